"""`transceiver.workers` and `--workers`: what is wrong is named with what would be right."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from edge.cli import main
from edge.config.check import check
from edge.config.embedded import embedded_tree
from edge.config.load import load
from edge.config.model import BackendConfig, Config, TransceiverConfig
from edge.reload import what_can_change
from edge.workers.tier import settings_of


def problems(**section: object) -> list[str]:
    config = Config(keys="keys", transceiver=TransceiverConfig(**section))
    return [str(problem) for problem in check(config)]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"workers": 0}, "transceiver.workers: found 0. It should be 1 to 255."),
        ({"workers": 256}, "transceiver.workers: found 256. It should be 1 to 255."),
        (
            {"workers": 4, "max_calls": 3},
            "transceiver.max_calls: found 3. It should be at least transceiver.workers, 4, so that each has a share.",
        ),
        (
            {"workers": 4, "hop": ("0.0.0.0", 65_533)},  # noqa: S104 - not bound
            "transceiver.hop: found port 65533. With 4 workers, each on a port of its own, it should be 65532 at most.",
        ),
    ],
)
def test_what_is_wrong_is_named(section, expected) -> None:
    assert problems(**section) == [expected]


@pytest.mark.parametrize(
    "section",
    [{}, {"workers": 255, "max_calls": 255}, {"workers": 4, "hop": ("::", 65_532)}, {"workers": 9, "hop": ("::", 0)}],
)
def test_what_is_right(section) -> None:
    assert problems(**section) == []


def test_it_can_be_set_by_file_variable_and_option(tmp_path: Path) -> None:
    environ = {"TRIO_VOICE_TRANSCEIVER_WORKERS": "3"}
    loaded = load(environ=environ, defaults=partial(embedded_tree, "192.0.2.7"))
    assert loaded.config.transceiver is not None
    assert loaded.config.transceiver.workers == 3
    invoked = CliRunner().invoke(main, ["serve", "--workers", "many"])
    assert invoked.exit_code == 2
    assert 'transceiver.workers: found "many" (from option --workers). It should be a whole number' in invoked.output
    invoked = CliRunner().invoke(main, ["serve", "--workers", "0"])
    assert "transceiver.workers: found 0. It should be 1 to 255." in invoked.output
    invoked = CliRunner().invoke(main, ["serve", "--role", "relay", "--workers", "0"])
    assert "relay.workers: found 0. It should be 1 to 255." in invoked.output
    invoked = CliRunner().invoke(main, ["serve", "--role", "signal", "--workers", "2"])
    assert "--workers are a relay's or a transceiver's; signal has one process." in invoked.output


def test_more_workers_than_cores_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1}, raising=False)

    def warnings(workers: int) -> list[str]:
        tree = embedded_tree("192.0.2.7") | {"transceiver": {"workers": workers}}
        return [text for text in load(environ={}, options=tree).warnings if "workers" in text]

    assert warnings(2) == []
    (warning,) = warnings(3)
    assert warning.startswith("transceiver.workers is 3, but this process may use 2 of the machine's cores")


def test_it_waits_for_a_restart() -> None:
    old = Config(transceiver=TransceiverConfig())
    new = Config(transceiver=TransceiverConfig(workers=2, max_calls=9))
    assert what_can_change(old, new) == (Config(transceiver=TransceiverConfig(max_calls=9)), ("transceiver.workers",))


@pytest.mark.parametrize(("max_calls", "shares"), [(2000, [667, 667, 666]), (3, [1, 1, 1]), (5, [2, 2, 1])])
def test_each_worker_has_a_port_and_a_share(bundle, max_calls, shares) -> None:
    section = TransceiverConfig(workers=3, hop=("10.0.0.3", 7001), control=("10.0.0.3", 7080), max_calls=max_calls)
    config = Config(transceiver=section, backend=(BackendConfig(use="echo"),))
    each = [settings_of(config, bundle, number) for number in range(3)]
    assert [settings.transceiver.max_calls for settings in each] == shares
    assert [settings.transceiver.hop for settings in each] == [("10.0.0.3", port) for port in (7001, 7002, 7003)]
    assert {settings.transceiver.control for settings in each} == {("127.0.0.1", 0)}, "the front has the other"
    assert {settings.backend for settings in each} == {config.backend}
    anywhere = attrs.evolve(config, transceiver=attrs.evolve(section, hop=("::1", 0)))
    assert settings_of(anywhere, bundle, 2).transceiver.hop == ("::1", 0)


def test_a_worker_is_nobodys_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "worker " not in CliRunner().invoke(main, ["--help"]).output


@pytest.mark.e2e
def test_a_worker_cannot_be_started_by_hand() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge", "worker"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "a worker is started by `trio-voice serve --workers N`" in done.stderr
