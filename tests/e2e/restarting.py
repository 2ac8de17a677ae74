"""What is done to a relay while a call goes on."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from .edge_processes import PROGRAM, Edge, start_edge

__all__ = [
    "is_running",
    "kill_worker",
    "reload_relay",
    "start_edge_with_workers",
    "stop_successor",
    "worker_pids",
]


def start_edge_with_workers(folder: Path, workers: int, *, tcp: bool = False) -> Edge:
    """Start three tiers, the relay with several workers and ready to be replaced."""
    variables = {
        "TRIO_VOICE_RELAY_WORKERS": str(workers),
        "TRIO_VOICE_RELAY_HOP": "127.0.0.1:0",
        "TRIO_VOICE_RELAY_RELOAD_SOCKET": str(folder / "reload.sock"),
        "TRIO_VOICE_LOG_FORMAT": "json",
    }
    return start_edge(folder, environment=variables, tcp=tcp)


def worker_pids(edge: Edge, relay: str = "relay") -> dict[int, int]:
    """Tell which process is which worker of a relay now, by what its supervisor has logged."""
    lines = [json.loads(line) for line in edge.log(relay).splitlines() if line.startswith("{")]
    return {line["worker"]: line["pid"] for line in lines if line["event"] == "worker started"}


def kill_worker(edge: Edge, number: int, relay: str = "relay") -> None:
    """Kill a worker of a relay, and wait until another process is in its place."""
    pid = worker_pids(edge, relay)[number]
    os.kill(pid, signal.SIGKILL)
    edge.wait_until(f"worker {number} is replaced", lambda: worker_pids(edge, relay)[number] != pid)


def reload_relay(edge: Edge, relay: str = "relay") -> int:
    """Have a relay replaced, as an operator does; returns the number of the process that is the relay then."""
    variables = {**os.environ, **edge.servers[relay].environment}
    command = [PROGRAM, "reload", "--config", edge.folder / f"{relay}.toml"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    told = re.fullmatch(r"The relay is process (\d+) now\.\n", done.stdout)
    assert told, done.stderr + edge.log(relay)[-3000:]
    assert edge.processes[relay].wait(10) == 0
    return int(told[1])


def stop_successor(edge: Edge, pid: int) -> None:
    """Stop a relay that we have not started ourselves."""
    os.kill(pid, signal.SIGTERM)
    edge.wait_until("the relay stops", lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of one."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
