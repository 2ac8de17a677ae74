"""`trio-voice serve --role relay --workers 2` as operators run it: processes that are killed, replaced and stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from bench.ports import free_port
from edge.cli import main

pytestmark = pytest.mark.e2e

PATIENCE = 20.0


def eventually(condition: Callable[[], object], what: str = "") -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def children_of(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")  # each thread has its own
    return {int(child) for task in tasks for child in task.read_text().split()}


@attrs.define(eq=False)
class Relay:
    """A supervisor, in a process group of its own as under a terminal."""

    process: subprocess.Popen[str]
    log_path: Path
    http: int
    media: int

    def logged(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log_path.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def workers(self) -> dict[int, int]:
        return {int(str(line["worker"])): int(str(line["pid"])) for line in self.logged("worker started")}

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=5) as response:
            return response.read().decode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Relay]]:
    assert CliRunner().invoke(main, ["keys", "new", str(tmp_path / "keys")]).exit_code == 0
    started: list[Relay] = []

    def run(media: int = 0) -> Relay:
        media, http = media or free_port(), free_port()
        config = tmp_path / f"relay{len(started)}.toml"
        config.write_text(f"""
keys = "{tmp_path}/keys/relay.keys"
[relay]
hop = "127.0.0.1:0"
http = "127.0.0.1:{http}"
ingresses = ["1=127.0.0.1:{media}/127.0.0.1:{media}"]
transceivers = ["127.0.0.1:7001"]
""")
        log_path = tmp_path / f"log{len(started)}"
        command = [sys.executable, "-m", "edge", "serve", "--role", "relay", "--workers", "2", "--log-format", "json"]
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*command, "--config", str(config)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        started.append(Relay(process, log_path, http, media))
        return started[-1]

    yield run
    for each in started:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.communicate()


@pytest.fixture
def relay(start) -> Relay:
    """A relay that forwards, and has its spare."""
    made = start()
    assert made.process.stdout is not None
    assert made.process.stdout.readline().startswith("Ready. relay: 2 workers"), made.log_path.read_text()
    eventually(lambda: len(children_of(made.process.pid)) == 3, "two workers and a spare")
    return made


def program_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_a_worker_that_is_killed_is_replaced_by_the_spare(relay: Relay) -> None:
    before = children_of(relay.process.pid)
    workers = relay.workers()
    for pid in workers.values():
        assert program_of(pid) == program_of(relay.process.pid), "a copy, for which nothing is loaded anew"
    (spare,) = before - set(workers.values())
    os.kill(workers[1], signal.SIGKILL)
    eventually(lambda: relay.workers()[1] == spare)
    assert relay.workers() == {0: workers[0], 1: spare}
    (died,) = relay.logged("worker died")
    assert (died["worker"], died["how"]) == (1, "killed by SIGKILL")
    eventually(lambda: len(children_of(relay.process.pid)) == 3, "a spare again")
    metrics = relay.metrics()
    assert 'trio_voice_relay_worker_starts_total{worker="0"} 1.0' in metrics
    assert 'trio_voice_relay_worker_starts_total{worker="1"} 2.0' in metrics
    assert 'trio_voice_relay_worker_flows{worker="1"} 0.0' in metrics
    assert "trio_voice_relay_traffic_total" in metrics


def test_a_worker_that_hangs_is_killed_and_replaced(relay: Relay) -> None:
    hung = relay.workers()[0]
    os.kill(hung, signal.SIGSTOP)
    eventually(lambda: relay.workers()[0] != hung)
    assert relay.logged("worker silent")[0]["pid"] == hung
    assert not is_alive(hung)


def test_nobody_outlives_a_supervisor_that_is_killed(relay: Relay) -> None:
    pids = children_of(relay.process.pid)
    relay.process.kill()
    relay.process.wait()
    eventually(lambda: not any(map(is_alive, pids)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(relay: Relay, number: int) -> None:
    pids = children_of(relay.process.pid)
    os.killpg(relay.process.pid, number)
    out, _ = relay.process.communicate(timeout=PATIENCE)
    assert (relay.process.returncode, out) == (0, "Stopped.\n")
    assert not any(map(is_alive, pids))
    assert not relay.logged("worker died")
    assert not relay.logged("crashed")


def test_a_port_that_another_program_would_share_is_refused(start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        relay = start(other.getsockname()[1])
        relay.process.communicate(timeout=PATIENCE)
    assert relay.process.returncode == 1
    assert "relay.ingresses[0].bind: 127.0.0.1" in relay.log_path.read_text()
    assert "is in use by another program" in relay.log_path.read_text()
