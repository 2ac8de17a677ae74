"""What is done to a relay while a call goes on, by its processes' numbers."""

import json
import os
import signal
import time
from collections.abc import Iterator

from .edge_processes import Edge

__all__ = ["kill_relay", "kill_worker", "relay_workers", "restart_relay"]


def relay_workers(edge: Edge) -> dict[int, int]:
    """Tell which process is which worker of the relay now, by what its supervisor has logged."""
    workers = {}
    for line in _logged(edge, "relay"):
        if line["event"] == "worker started":
            workers[line["worker"]] = line["pid"]
    return workers


def _logged(edge: Edge, role: str) -> Iterator[dict[str, object]]:
    for line in edge.log(role).splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def kill_worker(edge: Edge, number: int) -> None:
    """Kill a worker of the relay, and wait until another process is in its place."""
    pid = relay_workers(edge)[number]
    os.kill(pid, signal.SIGKILL)
    edge.wait_until(f"worker {number} is replaced", lambda: relay_workers(edge)[number] != pid)


def kill_relay(edge: Edge) -> None:
    """Kill the relay's own process; its workers end with it."""
    process = edge.processes["relay"]
    process.send_signal(signal.SIGKILL)
    process.wait()


def restart_relay(edge: Edge) -> float:
    """Kill the relay's process and start it again at once; returns when that was."""
    before = time.monotonic()
    kill_relay(edge)
    edge.start("relay")
    return before
