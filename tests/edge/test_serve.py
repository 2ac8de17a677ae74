"""What is around the roles: keys for them, and a crash that is told as a log line."""

import io
import json
import logging
import os
import signal
from functools import partial
from pathlib import Path

import pytest
import structlog
import trio
import trio.testing

import edge.logs
import edge.serve
from edge.config.embedded import embedded_tree
from edge.config.load import load
from edge.config.model import LogConfig, Role
from edge.key_files import KeysError, write_all
from edge.keys import Purpose, new_root
from edge.launch import Launch
from edge.roles import RunningRoles
from edge.serve import load_keys, serve


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def all_roles(**options: object):
    return load(environ={}, defaults=partial(embedded_tree, None), options=dict(options)).config


def test_without_bundles_every_start_has_keys_of_its_own() -> None:
    keys, warnings = load_keys(all_roles())
    assert warnings == ()
    assert set(keys) == set(Role)
    assert keys[Role.SIGNAL].secrets(Purpose.CONTROL) == keys[Role.TRANSCEIVER].secrets(Purpose.CONTROL)
    assert load_keys(all_roles())[0][Role.RELAY].secrets(Purpose.HOP) != keys[Role.RELAY].secrets(Purpose.HOP)


def test_bundles_come_from_a_folder_or_a_file(tmp_path: Path) -> None:
    write_all(tmp_path, new_root(os.urandom, 0), is_new=True)
    keys, warnings = load_keys(all_roles(keys=str(tmp_path)))
    assert set(keys) == set(Role)
    assert warnings == ()
    (tmp_path / "relay.keys").chmod(0o644)
    assert len(load_keys(all_roles(keys=str(tmp_path)))[1]) == 1
    fields = json.loads((tmp_path / "signal.keys").read_text())
    del fields["keys"][0]["client-secret"]
    (tmp_path / "signal.keys").write_text(json.dumps(fields))
    warnings = load_keys(all_roles(keys=str(tmp_path)))[1]
    assert len(warnings) == 2
    assert any("trio-voice keys update" in warning for warning in warnings)
    with pytest.raises(KeysError, match="name the folder of all"):
        load_keys(all_roles(keys=str(tmp_path / "relay.keys")))
    environ = {
        "TRIO_VOICE_KEYS": str(tmp_path / "relay.keys"),
        "TRIO_VOICE_RELAY_INGRESSES": "1=203.0.113.5:3478",
        "TRIO_VOICE_RELAY_TRANSCEIVERS": "10.0.0.3:7001",
    }
    relay = Launch(environ=environ, role=Role.RELAY).load().config
    assert set(load_keys(relay)[0]) == {Role.RELAY}


async def test_a_crash_is_one_log_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(_config, *_given, task_status) -> None:
        task_status.started(RunningRoles(config=_config))
        await trio.lowlevel.checkpoint()
        raise RuntimeError("our mistake")

    stream = io.StringIO()
    configure = edge.logs.configure_logs
    monkeypatch.setattr(edge.serve, "run_roles", crash)
    monkeypatch.setattr(edge.serve, "_announce", lambda _running, _role: None)
    monkeypatch.setattr(edge.logs, "configure_logs", lambda _config: configure(LogConfig(format="json"), stream))
    launch = Launch(environ={})
    assert await serve(launch, launch.load()) == 1
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["level"], line["event"]) == ("critical", "crashed")
    assert "RuntimeError: our mistake" in line["exception"]


class Stoppable:
    """A tier, as far as a stop sees it."""

    has_stopped = False

    async def stop(self) -> None:
        self.has_stopped = True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch):
    """Serve roles whose start does what a test wants; returns the exit code."""
    monkeypatch.setattr(edge.serve, "_announce", lambda _running, _role: None)

    async def run(start) -> int:
        async def run_roles(config, *_given, task_status) -> None:
            await start(RunningRoles(config=config), task_status)
            await trio.sleep_forever()

        monkeypatch.setattr(edge.serve, "run_roles", run_roles)
        launch = Launch(environ={})
        with trio.fail_after(10):
            return await serve(launch, launch.load())

    return run


async def test_a_stop_before_the_last_moments_of_a_start_is_graceful(started) -> None:
    """Pages say "ready" a moment before all is: who stops it then says goodbye, too."""
    tier = Stoppable()

    async def start(running: RunningRoles, task_status) -> None:
        running.tiers[Role.RELAY] = tier
        signal.raise_signal(signal.SIGTERM)
        await trio.testing.wait_all_tasks_blocked()
        assert not tier.has_stopped
        task_status.started(running)

    assert await started(start) == 0
    assert tier.has_stopped


async def test_a_start_that_does_not_end_is_given_up(started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.serve, "_STARTING", 0.01)

    async def start(_running: RunningRoles, _task_status) -> None:
        signal.raise_signal(signal.SIGTERM)

    assert await started(start) == 128 + signal.SIGTERM


async def test_a_second_signal_ends_a_start_at_once(started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.serve, "_STARTING", 1000.0)

    async def start(_running: RunningRoles, _task_status) -> None:
        signal.raise_signal(signal.SIGTERM)
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGINT)

    assert await started(start) == 128 + signal.SIGINT


class Reloadable(Stoppable):
    """A tier whose reload takes as long as a test wants, and which must not be stopped meanwhile."""

    def __init__(self) -> None:
        self.may_go_on = trio.Event()
        self.reloads: list[str] = []

    async def reload(self, _config: object, _keys: object) -> None:
        self.reloads.append("begun")
        try:
            await self.may_go_on.wait()
            self.reloads.append("done")
        finally:
            assert not self.has_stopped


@pytest.mark.parametrize(("ends", "reloads"), [(True, ["begun", "done"]), (False, ["begun"])])
async def test_a_stop_in_the_middle_of_a_reload_waits_for_it_but_not_for_long(
    started, monkeypatch: pytest.MonkeyPatch, ends: bool, reloads: list[str]
) -> None:
    monkeypatch.setattr(edge.serve, "_RELOADING", 1000.0 if ends else 0.01)
    tier = Reloadable()

    async def start(running: RunningRoles, task_status) -> None:
        running.tiers[Role.RELAY] = tier
        task_status.started(running)
        while not tier.reloads:
            signal.raise_signal(signal.SIGHUP)
            await trio.testing.wait_all_tasks_blocked(0.01)
        signal.raise_signal(signal.SIGHUP)  # waits for its turn, which does not come
        signal.raise_signal(signal.SIGTERM)
        await trio.testing.wait_all_tasks_blocked()
        if ends:
            assert not tier.has_stopped
            tier.may_go_on.set()

    assert await started(start) == 0
    assert tier.has_stopped
    assert tier.reloads == reloads
