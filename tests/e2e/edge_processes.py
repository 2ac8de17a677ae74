"""Three separate processes, started as an operator would, and looked at from outside."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from bench.ports import free_port, hop_port

from .namespaces import command_in, inside

__all__ = ["PROGRAM", "Edge", "add_server", "start_edge"]

_START_SECONDS = 60.0  # of a machine that is busy with something else

_ANY_CERTIFICATE = ssl.create_default_context()
_ANY_CERTIFICATE.check_hostname = False
_ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE  # as probes do it

PROGRAM = Path(sys.executable).with_name("trio-voice")


@attrs.frozen(kw_only=True)
class Server:
    """A process of an edge.

    Attributes:
        role: what it runs.
        command: what starts it.
        health: base URL of its health pages.
        environment: its variables.
    """

    role: str
    command: list[str]
    health: str
    environment: Mapping[str, str]


@attrs.define
class Edge:
    """A signal, a relay and a transceiver, each a process of its own.

    Attributes:
        folder: of keys, configurations and logs.
        signal_url: where offers go.
        relay_url: health pages of the relay.
        control_url: of the transceiver.
        media_port: the relay's public one.
        tcp_port: its public one for TCP; 0 for none.
        key: API key; None where none is needed.
        namespace: where the tests look at it from.
        ingresses: how many relays' public addresses there are to be known, at least.
        processes: by name, mostly that of the role.
        servers: what they were started with.
    """

    folder: Path
    signal_url: str
    relay_url: str
    control_url: str
    media_port: int
    tcp_port: int = attrs.field(default=0, kw_only=True)
    key: str | None = None
    namespace: str | None = None
    ingresses: int = attrs.field(default=1, kw_only=True)
    processes: dict[str, subprocess.Popen[bytes]] = attrs.field(factory=dict)
    servers: dict[str, Server] = attrs.field(factory=dict)

    def get(self, url: str) -> tuple[int, str]:
        return self._request(urllib.request.Request(url))[:2]

    def offer(self, offer: str) -> tuple[str, str]:
        """Offer a call; returns the answer and the call's location."""
        url, headers = f"{self.signal_url}/v1/realtime/calls", {"Content-Type": "application/sdp"}
        status, body, location = self._request(urllib.request.Request(url, offer.encode(), headers))
        assert status == 201, body
        return body, location

    def delete(self, location: str) -> tuple[int, str]:
        """Hang a call up; returns status and body."""
        return self._request(urllib.request.Request(self.signal_url + location, method="DELETE"))[:2]

    def _request(self, request: urllib.request.Request) -> tuple[int, str, str]:
        if self.key:
            request.add_header("Authorization", f"Bearer {self.key}")

        def fetch() -> tuple[int, str, str]:
            try:
                with urllib.request.urlopen(request, timeout=10, context=_ANY_CERTIFICATE) as response:
                    return response.status, response.read().decode(), response.headers.get("Location", "")
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode(), ""

        return inside(self.namespace, fetch)

    def call_state(self, location: str) -> dict[str, Any] | None:
        status, body = self.get(self.signal_url + location)
        return json.loads(body) if status == 200 else None

    def metric(self, url: str, name: str, **labels: str) -> float:
        """Sum a metric's samples that carry the given labels."""
        samples = self.samples(url, name).items()
        return sum(
            value for sample, value in samples if all(f'{key}="{text}"' in sample for key, text in labels.items())
        )

    def samples(self, url: str, name: str) -> dict[str, float]:
        """All samples of a metric, by their labels as they stand there."""
        found = {}
        for line in self.get(f"{url}/metrics")[1].splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.split("{")[0] == name:
                found[sample] = float(value)
        return found

    def counted(self, url: str, name: str) -> Counter[str]:
        """A metric that has one label, by its text: what it stands at now."""
        return Counter({sample.split('"')[1]: int(value) for sample, value in self.samples(url, name).items()})

    def wait_until(self, what: str, condition: Any, seconds: float = 30.0) -> Any:
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

    def start(self, name: str) -> None:
        """Start a process, for the first time or again; its log goes on."""
        server = self.servers[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                server.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **server.environment},
            )

    def start_all(self) -> None:
        """Start all, and wait until they are ready, and every signal node knows all that may take a call.

        It is ready itself as soon as it knows one transceiver and one ingress.
        """
        try:
            for name in self.servers:
                self.start(name)
            for server in self.servers.values():
                self.wait_until(
                    f"{server.health} is ready", lambda url=server.health: self.is_ready(url), _START_SECONDS
                )
            for url in [server.health for server in self.servers.values() if server.role == "signal"]:
                self.wait_until(f"{url} knows all", lambda url=url: self._is_known_to(url), _START_SECONDS)
        except BaseException:
            self.kill()
            raise

    def fleet_state(self, url: str | None = None) -> dict[str, Any]:
        """What signal knows of its fleet, or another node of signal's."""
        status, body = self.get(f"{url or self.signal_url}/fleet/state")
        assert status == 200, body
        return json.loads(body)

    def ready_transceivers(self, url: str | None = None) -> int:
        """How many transceivers signal would place a call on."""
        return sum(each["ready"] for each in self.fleet_state(url)["transceivers"])

    def _is_known_to(self, url: str) -> bool:
        transceivers = [server for server in self.servers.values() if server.role == "transceiver"]
        healthy = sum(each["healthy"] for each in self.fleet_state(url)["ingresses"])
        return self.ready_transceivers(url) == len(transceivers) and healthy >= self.ingresses

    def is_ready(self, url: str) -> bool:
        try:
            return self.get(f"{url}/readyz")[0] == 200
        except OSError:
            return False

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
    tcp: bool = False,
    environment: Mapping[str, str] = MappingProxyType({}),
    hosts: Sequence[str] = ("127.0.0.1",),
) -> Edge:
    """Make keys and configuration as an operator would, and start the three tiers.

    Args:
        folder: where keys, configuration and logs go.
        backend: what answers calls.
        top: further lines for all roles, above the sections.
        signal_section: further lines for signal's section.
        tcp: whether clients may come over TCP, too.
        environment: further variables of the processes.
        hosts: addresses of the relay's ingresses, which are numbered from 1 and share a port.
    """
    subprocess.run([PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    http, relay_http, control, media = (free_port() for _ in range(4))
    relay_hop, transceiver_hop = hop_port(), hop_port()
    tcp_port = free_port() if tcp else 0
    public = [("udp", f"[{host}]:{media}" if ":" in host else f"{host}:{media}") for host in hosts]
    public += [("tcp", f"127.0.0.1:{tcp_port}")] if tcp else []
    ingresses = "\n".join(
        f'[[relay.ingresses]]\nid = {number}\nprotocol = "{protocol}"\nadvertise = "{address}"\nbind = "{address}"'
        for number, (protocol, address) in enumerate(public, 1)
    )
    config = {
        "signal": f"""
[signal]
listen = "127.0.0.1:{http}"
transceivers = ["http://127.0.0.1:{control}"]
ingresses = {[f"{number}={protocol}:{address}" for number, (protocol, address) in enumerate(public, 1)]}
ingress_count = {len(public)}
{signal_section}
""",
        "relay": f"""
[relay]
hop = "127.0.0.1:{relay_hop}"
http = "127.0.0.1:{relay_http}"
transceivers = ["127.0.0.1:{transceiver_hop}"]
{ingresses}
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
        tcp_port=tcp_port,
    )
    urls = {"signal": edge.signal_url, "relay": edge.relay_url, "transceiver": edge.control_url}
    for role, text in config.items():
        add_server(edge, role, f"{top}{text}", urls[role], environment=environment)
    edge.start_all()
    return edge


def add_server(
    edge: Edge,
    name: str,
    text: str,
    health: str,
    *,
    role: str | None = None,
    namespace: str | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Configure a process of an edge, to be started.

    Args:
        edge: the edge, which has keys.
        name: of the process; its log is named after it.
        text: the configuration, but for the keys.
        health: base URL of its health pages.
        role: what it runs; None when that is its name.
        namespace: where it lives; None for here.
        environment: further variables.
    """
    role = role or name
    path = edge.folder / f"{name}.toml"
    path.write_text(f'keys = "{edge.folder}/keys/{role}.keys"\n{text}')
    command = command_in(namespace, PROGRAM, "serve", "--role", role, "--config", path)
    edge.servers[name] = Server(role=role, command=command, health=health, environment=environment)
