"""Three separate processes, started as an operator would, and looked at from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import pytest

__all__ = ["PROGRAM", "Edge", "free_port", "start_edge"]

_START_SECONDS = 60.0  # of a machine that is busy with something else

PROGRAM = Path(sys.executable).with_name("trio-voice")


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.define
class Edge:
    """A signal, a relay and a transceiver, each a process of its own."""

    folder: Path
    signal_url: str
    relay_url: str
    control_url: str
    media_port: int
    processes: dict[str, subprocess.Popen[bytes]] = attrs.field(factory=dict)

    def get(self, url: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def call_state(self, location: str) -> dict[str, Any] | None:
        status, body = self.get(self.signal_url + location)
        return json.loads(body) if status == 200 else None

    def metric(self, url: str, name: str, **labels: str) -> float:
        """Sum a metric's samples that carry the given labels."""
        total = 0.0
        for line in self.get(f"{url}/metrics")[1].splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.split("{")[0] == name and all(f'{key}="{text}"' in sample for key, text in labels.items()):
                total += float(value)
        return total

    def wait_until(self, what: str, condition: Any, seconds: float = 10.0) -> Any:
        """Poll what another process will do soon; fails with `what` after a deadline."""
        deadline = time.monotonic() + seconds
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > deadline:
                logs = "\n".join(self.log(role)[-3000:] for role in self.processes)
                pytest.fail(f"did not happen within {seconds} s: {what}\n{logs}")
            time.sleep(0.05)

    def log(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text(errors="replace")

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for role, process in self.processes.items():
            try:
                code = process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                pytest.fail(f"{role} did not stop on SIGTERM:\n{self.log(role)[-3000:]}")
            assert code == 0, f"{role} ended with {code}:\n{self.log(role)[-3000:]}"


def start_edge(
    folder: Path,
    *,
    backend: str = "echo",
    top: str = "",
    signal_section: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Edge:
    """Make keys and configuration as an operator would, and start the three tiers.

    Args:
        folder: where keys, configuration and logs go.
        backend: what answers calls.
        top: further lines for all roles, above the sections.
        signal_section: further lines for signal's section.
        environment: further variables of the processes.
    """
    subprocess.run([PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    http, relay_http, control = free_port(), free_port(), free_port()
    media, relay_hop, transceiver_hop = (free_port(socket.SOCK_DGRAM) for _ in range(3))
    config = {
        "signal": f"""
[signal]
listen = "127.0.0.1:{http}"
transceivers = ["http://127.0.0.1:{control}"]
ingresses = ["1=127.0.0.1:{media}"]
{signal_section}
""",
        "relay": f"""
[relay]
hop = "127.0.0.1:{relay_hop}"
http = "127.0.0.1:{relay_http}"
transceivers = ["127.0.0.1:{transceiver_hop}"]
[[relay.ingresses]]
id = 1
advertise = "127.0.0.1:{media}"
bind = "127.0.0.1:{media}"
""",
        "transceiver": f"""
[transceiver]
backend = "{backend}"
hop = "127.0.0.1:{transceiver_hop}"
control = "127.0.0.1:{control}"
""",
    }
    edge = Edge(
        folder,
        f"http://127.0.0.1:{http}",
        f"http://127.0.0.1:{relay_http}",
        f"http://127.0.0.1:{control}",
        media,
    )
    for role, text in config.items():
        path = folder / f"{role}.toml"
        path.write_text(f'keys = "{folder}/keys/{role}.keys"\n{top}{text}')
        with (folder / f"{role}.log").open("wb") as log:
            edge.processes[role] = subprocess.Popen(
                [PROGRAM, "serve", "--role", role, "--config", str(path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            )
    try:
        for url in (edge.signal_url, edge.relay_url, edge.control_url):
            edge.wait_until(f"{url} is ready", lambda url=url: _is_ready(edge, url), _START_SECONDS)
    except BaseException:
        edge.kill()
        raise
    return edge


def _is_ready(edge: Edge, url: str) -> bool:
    try:
        return edge.get(f"{url}/readyz")[0] == 200
    except OSError:
        return False
