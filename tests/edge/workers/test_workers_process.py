"""`trio-voice serve --workers 2` as operators run it: processes that are shared, killed, replaced and stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import attrs
import httpcore
import pytest
import trio

from bench.ports import free_port
from edge.caller.exchange import Exchange
from edge.caller.opus_file import read_clip
from edge.caller.placing import Caller
from edge.caller.progress import CallerOptions
from edge.caller.signalling import SignalClient

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-m", "edge"]
PATIENCE = 20.0


@attrs.define(eq=False)
class Process:
    """A `trio-voice serve` in a process group of its own, as under a terminal."""

    process: subprocess.Popen[bytes]
    log_path: Path

    def logged(self, event: str) -> list[dict[str, object]]:
        """Return what was logged under a name, by the process and its workers."""
        lines = [json.loads(line) for line in self.log_path.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def wait_for_log(self, event: str, count: int = 1) -> list[dict[str, object]]:
        eventually(lambda: len(self.logged(event)) >= count, f"{event} in {self.log_path.read_text()}")
        return self.logged(event)

    def worker_pids(self) -> dict[int, int]:
        """Tell which process is which worker now."""
        return {int(str(line["worker"])): int(str(line["pid"])) for line in self.logged("worker started")}

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal to the whole group, as a terminal does, and wait."""
        os.killpg(self.process.pid, number)
        return self.process.wait(PATIENCE)


def eventually(condition: Callable[[], object], what: str = "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def run(*arguments: object) -> Process:
        log_path = tmp_path / f"log-{len(started)}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TRIO_VOICE_")}
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*COMMAND, "serve", "--log-format", "json", *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean,
                start_new_session=True,
            )
        started.append(Process(process, log_path))
        assert process.stdout is not None
        assert process.stdout.readline(), log_path.read_text()
        return started[-1]

    yield run
    for each in started:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()
        for pid in each.worker_pids().values():
            eventually(lambda pid=pid: not is_alive(pid), "a worker outlives its front")


@contextmanager
def several_hosts(start: Callable[..., Process], folder: Path) -> Iterator[tuple[Process, str, str, str]]:
    """A transceiver of two workers, a relay that is told one address of it, and signal: three processes and two."""
    subprocess.run([*COMMAND, "keys", "new", folder / "keys"], check=True, capture_output=True)
    http, control, relay_http = (free_port() for _ in range(3))
    media, hop = free_port(), free_port(2)
    config = folder / "config.toml"
    config.write_text(f"""
keys = "{folder}/keys"
[signal]
listen = "127.0.0.1:{http}"
transceivers = ["http://127.0.0.1:{control}"]
[relay]
hop = "127.0.0.1:0"
ingresses = ["7=127.0.0.1:{media}/127.0.0.1:{media}"]
transceivers = ["127.0.0.1:{hop}"]
http = "127.0.0.1:{relay_http}"
[transceiver]
hop = "127.0.0.1:{hop}"
control = "127.0.0.1:{control}"
backend = "echo"
""")
    transceiver = start("--role", "transceiver", "--workers", 2, "--config", config)
    relay = start("--role", "relay", "--config", config)
    other = start("--role", "signal", "--config", config)
    yield transceiver, *(f"http://127.0.0.1:{port}" for port in (http, control, relay_http))
    for process in (other, transceiver, relay):
        assert process.end() == 0, process.log_path.read_text()


class Calls:
    """Our own caller, and what signal says of its calls."""

    def __init__(self, exchange: Exchange, url: str) -> None:
        self.url = url
        self._exchange = exchange
        self._clip = read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())
        self._pool = httpcore.AsyncConnectionPool()

    async def place(self):
        caller = Caller(SignalClient(self.url, None), self._exchange)
        placed = await caller.place(CallerOptions(clip=self._clip))
        await caller.connect(placed)
        await caller.hear(placed)
        return caller, placed

    async def state_of(self, placed) -> dict[str, object] | None:
        response = await self._pool.request("GET", self.url + placed.path)
        return json.loads(response.content) if response.status == 200 else None

    async def metric(self, url: str, name: str) -> float:
        page = (await self._pool.request("GET", f"{url}/metrics")).content.decode()
        found = re.search(rf"^trio_voice_{re.escape(name)} (.*)$", page, re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def until_both_workers_are_ready(self, url: str) -> None:
        """Wait until each has told the front by itself that the relay has come; before, it gets no call."""
        for number in range(2):
            ready = f'transceiver_worker_ready{{worker="{number}"}}'
            await self.until(lambda ready=ready: _is(self.metric(url, ready), 1))

    async def until(self, condition, seconds: float = 10.0) -> None:
        with trio.fail_after(seconds):
            while not await condition():  # noqa: ASYNC110 - what another process will do soon
                await trio.sleep(0.05)


async def test_calls_on_two_workers_one_of_which_is_killed(nursery, start, tmp_path: Path) -> None:
    exchange = Exchange()
    nursery.start_soon(exchange.run)
    with several_hosts(start, tmp_path) as (transceiver, url, control, relay):
        calls = Calls(exchange, url)
        await calls.until(lambda: _is(calls.metric(relay, "relay_transceivers"), 2))
        await calls.until_both_workers_are_ready(control)
        placed = [await calls.place() for _ in range(4)]
        states = [await calls.state_of(call) for _, call in placed]
        assert [state["state"] for state in states if state] == ["established"] * 4
        await calls.until(lambda: _is(calls.metric(control, 'transceiver_worker_calls{worker="0"}'), 2))
        await calls.until(lambda: _is(calls.metric(control, 'transceiver_worker_calls{worker="1"}'), 2))

        pids = transceiver.worker_pids()
        _check_no_secrets(pids[0], tmp_path)
        os.kill(pids[0], signal.SIGKILL)
        (died,) = transceiver.wait_for_log("worker died")
        assert (died["worker"], died["how"], died["calls_lost"]) == (0, "killed by SIGKILL", 2)
        transceiver.wait_for_log("worker started", 3)
        alive = []
        for caller, call in placed:
            state = await calls.state_of(call)
            if state is not None:
                assert state["state"] == "established"
                alive.append((caller, call))
        assert len(alive) == 2, "the other worker's; the others are not found"
        # The new worker tells the relay that what still comes for the old one's calls is nobody's.
        await calls.until(lambda: _is(calls.metric(relay, 'relay_events_total{event="gone"}'), 2))
        assert await calls.metric(relay, "relay_flows") == 2
        await calls.until(lambda: _is(calls.metric(control, 'transceiver_worker_calls{worker="1"}'), 2))
        await calls.until(lambda: _is(calls.metric(control, 'transceiver_worker_ready{worker="0"}'), 1))
        fresh = [await calls.place() for _ in range(2)]
        await calls.until(lambda: _is(calls.metric(control, 'transceiver_worker_calls{worker="0"}'), 2))
        for caller, call in (*alive, *fresh):
            await caller.hang_up(call)
            assert await calls.state_of(call) is None
        await calls.until(lambda: _is(calls.metric(relay, "relay_flows"), 0))
        assert await calls.metric(control, 'transceiver_events_total{event="ended-worker-died"}') == 2
        pids = transceiver.worker_pids()
    assert not any(map(is_alive, pids.values()))
    assert not transceiver.logged("crashed")
    nursery.cancel_scope.cancel()


async def _is(value, expected: float) -> bool:
    return await value == expected


def _check_no_secrets(pid: int, folder: Path) -> None:
    """Neither arguments nor variables of a worker hold a key, or say where one is."""
    shown = Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
    assert shown.split("\0")[1:4] in (["-m", "edge", "worker"], ["-P", "-m", "edge"])
    assert str(folder / "keys") not in shown
    for line in (folder / "keys" / "transceiver.keys").read_text().splitlines():
        found = re.search(r'"[a-z-]+": "(\S{20,})"', line)
        assert found is None or found[1] not in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_says_goodbye_to_every_client_and_leaves_no_process(nursery, start, number: int) -> None:
    exchange = Exchange()
    nursery.start_soon(exchange.run)
    http, media = free_port(), free_port()
    edge = start("--http", http, "--media-port", media, "--workers", 2, "--backend", "echo")
    calls = Calls(exchange, f"http://127.0.0.1:{http}")
    await calls.until_both_workers_are_ready(calls.url)
    placed = [await calls.place() for _ in range(2)]
    before = time.monotonic()
    assert await trio.to_thread.run_sync(edge.end, number) == 0, edge.log_path.read_text()
    assert time.monotonic() - before < 4
    ended = edge.logged("call ended")
    assert sorted(int(str(line["worker"])) for line in ended) == [0, 1]
    assert {line["closed"] for line in ended} == {"shutdown"}
    for caller, call in placed:
        with trio.fail_after(1), pytest.raises(Exception, match=r"clos|end|hung"):
            await caller.ended(call)
    assert not edge.logged("worker died")
    assert not any(map(is_alive, edge.worker_pids().values()))
    nursery.cancel_scope.cancel()


async def test_workers_do_not_outlive_a_front_that_is_killed(nursery, start) -> None:
    exchange = Exchange()
    nursery.start_soon(exchange.run)
    http, media = free_port(), free_port()
    edge = start("--http", http, "--media-port", media, "--workers", 2, "--backend", "echo")
    await Calls(exchange, f"http://127.0.0.1:{http}").place()
    pids = edge.worker_pids()
    edge.process.kill()
    edge.process.wait()
    await trio.to_thread.run_sync(eventually, lambda: not any(map(is_alive, pids.values())))
    assert len(edge.logged("the front is gone: stopping")) == 2
    assert [line["closed"] for line in edge.logged("call ended")] == ["shutdown"], (
        "its client is told, if a relay lives"
    )
    nursery.cancel_scope.cancel()


def test_workers_ignore_what_is_sent_to_the_whole_group(start) -> None:
    http, media = free_port(), free_port()
    edge = start("--http", http, "--media-port", media, "--workers", 2)
    pids = edge.worker_pids()
    for pid in pids.values():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # as a service manager does
            os.kill(pid, number)
    os.kill(edge.process.pid, signal.SIGHUP)
    edge.wait_for_log("reloaded")
    assert edge.worker_pids() == pids
    assert all(map(is_alive, pids.values()))
    assert edge.end() == 0
    assert not edge.logged("worker died")


def test_a_port_that_is_taken_is_named_once_and_nothing_stays(tmp_path: Path) -> None:
    hop = free_port(2)
    config = tmp_path / "config.toml"
    config.write_text(f'[transceiver]\nhop = "127.0.0.1:{hop}"\nworkers = 2\n')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", hop + 1))
        done = subprocess.run(
            [*COMMAND, "serve", "--config", config, "--http", "0", "--media-port", str(free_port())],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    assert f"transceiver.hop: 127.0.0.1:{hop + 1} is in use by another program" in done.stderr
    assert "Traceback" not in done.stderr
