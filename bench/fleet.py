"""A fleet to disturb: signal, a relay, some transceivers and Redis, each a process."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any

import attrs

from bench.processes import free_port, spawned
from bench.servers import PROGRAM, fetch
from bench.settings import NotMeasured

__all__ = ["Fleet", "our_fleet"]

_PATIENCE = 30.0
_PAUSE = 0.02


@attrs.define
class Fleet:
    """The fleet that runs.

    Attributes:
        folder: of configuration and logs.
        url: of signal.
        controls: control URLs of the transceivers, by name.
        processes: all of them, by name.
    """

    folder: Path
    url: str
    controls: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]]

    def calls(self, name: str) -> int:
        """How many calls a transceiver has."""
        return int(self.metric(name, "trio_voice_transceiver_calls"))

    def metric(self, name: str, metric: str) -> float:
        """What a transceiver says of itself; 0 where it says nothing."""
        try:
            lines = fetch(f"{self.controls[name]}/metrics").splitlines()
        except OSError:
            return 0.0
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == metric)

    def owner(self) -> str:
        """The transceiver that has the one call."""
        return str(self.wait_for(lambda: next(filter(self.calls, self.controls), ""), "a call"))

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        self.processes[name].send_signal(number)

    def start_again(self, name: str) -> None:
        """Start a transceiver again that has ended, and wait until it is ready."""
        process = self.processes[name]
        process.wait(_PATIENCE)
        command = [*PROGRAM, "serve", "--role", "transceiver", "--config", str(self.folder / f"{name}.toml")]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait_for(lambda: self.is_ready(name), f"{name} to be ready")

    def is_ready(self, name: str) -> bool:
        """Whether a transceiver takes calls."""
        try:
            return bool(fetch(f"{self.controls[name]}/readyz"))
        except OSError:
            return False

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something that another process is about to do.

        Raises:
            NotMeasured: it did not.
        """
        deadline = time.monotonic() + _PATIENCE
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise NotMeasured(f"waited {_PATIENCE:g} s for {what}")
            time.sleep(_PAUSE)
        return found


@contextmanager
def our_fleet(folder: Path, names: Sequence[str]) -> Iterator[Fleet]:
    """Run a fleet that finds itself by Redis.

    Args:
        folder: empty, for keys, configuration and logs.
        names: of the transceivers.

    Raises:
        NotMeasured: there is no redis-server.
    """
    redis = shutil.which("redis-server")
    if redis is None:
        raise NotMeasured("there is no redis-server: apt-get install redis-server")
    folder.mkdir(parents=True)
    subprocess.run([*PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    port, http, relay_http = (free_port() for _ in range(3))
    media, relay_hop = (free_port(SOCK_DGRAM) for _ in range(2))
    shared = f'[store]\nurl = "redis://127.0.0.1:{port}/0"\n[log]\nformat = "json"\n'
    commands = {"redis": [redis, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]}

    def add(name: str, role: str, text: str) -> None:
        path = folder / f"{name}.toml"
        path.write_text(f'keys = "{folder}/keys/{role}.keys"\n{shared}[node]\nname = "{name}"\n[{role}]\n{text}')
        commands[name] = [*PROGRAM, "serve", "--role", role, "--config", str(path)]

    add("signal", "signal", f'listen = "127.0.0.1:{http}"\n')
    add(
        "relay",
        "relay",
        f'hop = "127.0.0.1:{relay_hop}"\nhttp = "127.0.0.1:{relay_http}"\n'
        f'ingresses = ["1=127.0.0.1:{media}/127.0.0.1:{media}"]\n',
    )
    controls = {}
    for name in names:
        control, hop = free_port(), free_port(SOCK_DGRAM)
        controls[name] = f"http://127.0.0.1:{control}"
        add(name, "transceiver", f'backend = "echo"\nhop = "127.0.0.1:{hop}"\ncontrol = "127.0.0.1:{control}"\n')
    url = f"http://127.0.0.1:{http}"

    def is_ready() -> bool:
        bases = (url, f"http://127.0.0.1:{relay_http}", *controls.values())
        return all(fetch(f"{base}/readyz") for base in bases)

    with spawned(commands, folder, is_ready) as processes:
        fleet = Fleet(folder, url, controls, dict(processes))
        try:
            yield fleet
        finally:
            for name, process in fleet.processes.items():
                if process is not processes[name]:
                    process.kill()
                    process.wait()
