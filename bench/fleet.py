"""A fleet to disturb: signal, relays, some transceivers and Redis, each a process."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from bench.ports import free_port, hop_port
from bench.processes import spawned
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
        bases: URLs of the health pages of all, by name.
        processes: all of them, by name.
    """

    folder: Path
    url: str
    controls: dict[str, str]
    bases: dict[str, str]
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

    def pages(self, name: str) -> str:
        """The metrics of any process, as text; empty where it says nothing."""
        try:
            return fetch(f"{self.bases[name]}/metrics")
        except OSError:
            return ""

    def owner(self) -> str:
        """The transceiver that has the one call."""
        return str(self.wait_for(lambda: next(filter(self.calls, self.controls), ""), "a call"))

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        self.processes[name].send_signal(number)

    def start_again(self, name: str) -> None:
        """Start a process again that has ended or is about to, and wait until it is ready."""
        self.processes[name].wait(_PATIENCE)
        role = "transceiver" if name in self.controls else name.partition("-")[0]
        command = [*PROGRAM, "serve", "--role", role, "--config", str(self.folder / f"{name}.toml")]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait_for(lambda: self.is_ready(name), f"{name} to be ready")

    def is_ready(self, name: str) -> bool:
        """Whether a process does its work."""
        try:
            return bool(fetch(f"{self.bases[name]}/readyz"))
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
def our_fleet(
    folder: Path, names: Sequence[str], *, relays: int = 1, signals: int = 1, transceiver_keys: str = ""
) -> Iterator[Fleet]:
    """Run a fleet that finds itself by Redis.

    Args:
        folder: empty, for keys, configuration and logs.
        names: of the transceivers.
        relays: how many; "relay", "relay-2" and so on.
        signals: how many signal nodes, named likewise.
        transceiver_keys: further lines of each transceiver's section.

    Raises:
        NotMeasured: there is no redis-server.
    """
    redis = shutil.which("redis-server")
    if redis is None:
        raise NotMeasured("there is no redis-server: apt-get install redis-server")
    folder.mkdir(parents=True)
    subprocess.run([*PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    port = free_port()
    shared = f'[store]\nurl = "redis://127.0.0.1:{port}/0"\n[log]\nformat = "json"\n'
    commands = {"redis": [redis, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]}
    bases: dict[str, str] = {}

    def add(name: str, role: str, text: str, http: int) -> None:
        path = folder / f"{name}.toml"
        path.write_text(f'keys = "{folder}/keys/{role}.keys"\n{shared}[node]\nname = "{name}"\n[{role}]\n{text}')
        commands[name] = [*PROGRAM, "serve", "--role", role, "--config", str(path)]
        bases[name] = f"http://127.0.0.1:{http}"

    for name in _numbered("signal", signals):
        http = free_port()
        add(name, "signal", f'listen = "127.0.0.1:{http}"\n', http)
    for number, name in enumerate(_numbered("relay", relays), 1):
        http, media, hop = free_port(), free_port(), hop_port()
        text = f'ingresses = ["{number}=127.0.0.1:{media}/127.0.0.1:{media}"]\n'
        add(name, "relay", f'hop = "127.0.0.1:{hop}"\nhttp = "127.0.0.1:{http}"\n{text}', http)
    for name in names:
        control, hop = free_port(), hop_port()
        text = f'backend = "echo"\nhop = "127.0.0.1:{hop}"\ncontrol = "127.0.0.1:{control}"\n'
        add(name, "transceiver", text + transceiver_keys, control)

    def is_ready() -> bool:
        return all(fetch(f"{base}/readyz") for base in bases.values())

    with spawned(commands, folder, is_ready) as processes:
        fleet = Fleet(folder, bases["signal"], {name: bases[name] for name in names}, bases, dict(processes))
        try:
            yield fleet
        finally:
            for name, process in fleet.processes.items():
                if process is not processes[name]:
                    process.kill()
                    process.wait()


def _numbered(name: str, count: int) -> list[str]:
    return [name, *(f"{name}-{number}" for number in range(2, count + 1))]
