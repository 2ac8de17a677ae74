"""The three processes with every backend that the tests need, and an agent's server as a fourth."""

import json
import os
import struct
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from bench.ports import free_port
from edge.config.model import Role
from edge.key_files import bundle_path, load_bundle
from edge.signal.client_secrets import ClientSecretKeys
from edge.tiers.keyring import client_secret_keys

from .edge_processes import PROGRAM, Edge, start_edge
from .scripted_backend import Heard, ScriptedBackend

__all__ = ["API_KEY", "VoiceEdge", "start_voice_edge"]

API_KEY = "sk-test"
_HEAD = struct.Struct("<dI")  # before each piece of audio: time of day, size


@attrs.define
class VoiceEdge:
    """What the tests call.

    Attributes:
        edge: the three processes. Its default backend is the parrot; models lead to others: those with `-agent` to
            agents in the transceiver, those with `-remote` to agents in `trio-voice backend`, a process each, `gone` to
            where nobody listens, and all else that is named below to the scripted backend.
        scripted: that backend.
        origin: of the test's pages.
        agent_url: of the parrot in `trio-voice backend`, where the official clients begin.
    """

    edge: Edge
    scripted: ScriptedBackend
    origin: str
    agent_url: str

    @property
    def calls_url(self) -> str:
        return f"{self.edge.signal_url}/v1/realtime/calls"

    @property
    def base_url(self) -> str:
        """Where the official clients begin."""
        return f"{self.edge.signal_url}/v1"

    def mint(self, **body: Any) -> str:
        """Mint a client secret, as an application's server does for each of its users."""
        request = urllib.request.Request(
            f"{self.base_url}/realtime/client_secrets",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(json.load(response)["value"])

    def client_secret_keys(self) -> ClientSecretKeys:
        keys = client_secret_keys(load_bundle(bundle_path(self.edge.folder / "keys", Role.SIGNAL), Role.SIGNAL))
        assert keys is not None
        return keys

    def recording_of(self, model: str) -> list[tuple[float, bytes]]:
        """Return what a backend that records has heard: pieces, each with the time of day when it came."""
        if not model.startswith("recorder-agent"):
            return list(self.scripted.last(model).pieces)
        data, pieces, at = (self.edge.folder / model).read_bytes(), [], 0
        while at + _HEAD.size <= len(data):
            when, size = _HEAD.unpack_from(data, at)
            pieces.append((when, data[at + _HEAD.size : at + _HEAD.size + size]))
            at += _HEAD.size + size
        return pieces

    def heard_by(self, model: str) -> Heard:
        return self.scripted.last(model)

    def call_state(self, call_id: str) -> Mapping[str, Any]:
        request = urllib.request.Request(f"{self.calls_url}/{call_id}", headers={"Authorization": f"Bearer {API_KEY}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            state: Mapping[str, Any] = json.load(response)
            return state

    def conversations_apart(self) -> int:
        """Count the connections that the parrot in a process of its own has now."""
        port = urllib.parse.urlsplit(self.agent_url).port
        connections = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(local.endswith(f":{port:04X}") and state == "01" for local, _, state in connections)

    def calls(self) -> float:
        return self.edge.metric(self.edge.control_url, "trio_voice_transceiver_calls")

    def flows(self) -> float:
        return self.edge.metric(self.edge.relay_url, "trio_voice_relay_flows")

    def wait_until_free(self, calls: float = 0, flows: float = 0, seconds: float = 15.0) -> None:
        """Wait until no calls and flows are left but so many."""
        self.edge.wait_until(f"only {calls:g} calls are left", lambda: self.calls() <= calls, seconds)
        self.edge.wait_until(f"the relay has only {flows:g} flows", lambda: self.flows() <= flows, seconds)

    def logged(self, event: str, call_id: str, seconds: float = 15.0) -> Mapping[str, Any]:
        """Wait for a line of the transceiver's log about a call."""

        def find() -> Mapping[str, Any] | None:
            lines = [line for line in self.edge.log("transceiver").splitlines() if call_id in line and event in line]
            return json.loads(lines[0]) if lines else None

        return self.edge.wait_until(f"the log says {event!r} of the call", find, seconds)

    def end_of(self, call_id: str, seconds: float = 15.0) -> str:
        """Wait for the end of a call, and return the reason that the log gives."""
        return str(self.logged("call ended", call_id, seconds)["closed"])


@contextmanager
def start_voice_edge(folder: Path, origin: str, scripted: ScriptedBackend) -> Iterator[VoiceEdge]:
    """Start all processes, and stop them behind the block."""
    parrot, storyteller = free_port(), free_port()
    backends = f"""
backend = [
    {{ use = "realtime:ws://127.0.0.1:{parrot}/v1/realtime", models = ["parrot-remote"] }},
    {{ use = "realtime:ws://127.0.0.1:{storyteller}/v1/realtime", models = ["storyteller-remote"] }},
    {{ use = "agent:listening_agents:storyteller", models = ["storyteller-agent"] }},
    {{ use = "agent:listening_agents:recorder", models = ["recorder-agent*"] }},
    {{ use = "realtime:ws://127.0.0.1:{free_port()}/v1/realtime", models = ["gone"] }},
    {{ use = "realtime:{scripted.url}", models = ["reconnecting*"], reconnect = 3 }},
    {{ use = "realtime:{scripted.url}", connect_timeout = 1, models = [
        "refuses", "hangs", "silent", "babbles", "beta*", "obedient*", "recorder-socket*",
    ] }},
]
"""
    signal = f'api_keys = ["{API_KEY}"]\nallowed_origins = ["{origin}"]'
    here, elsewhere = str(Path(__file__).parent), os.environ.get("PYTHONPATH")
    path = here if elsewhere is None else f"{elsewhere}{os.pathsep}{here}"
    environment = {"PYTHONPATH": path, "TEST_RECORDINGS": str(folder)}
    edge = start_edge(folder, backend="parrot", top=backends, signal_section=signal, environment=environment)
    try:
        for agent, port in (("parrot", parrot), ("listening_agents:storyteller", storyteller)):
            _start_agent(edge, agent, port, environment)
        yield VoiceEdge(edge, scripted, origin, f"http://127.0.0.1:{parrot}/v1")
    except BaseException:
        edge.kill()
        raise
    edge.stop()
    assert "internal error" not in edge.log("transceiver")


def _start_agent(edge: Edge, agent: str, port: int, environment: Mapping[str, str]) -> None:
    with (edge.folder / f"{agent}.log").open("wb") as log:
        edge.processes[agent] = subprocess.Popen(
            [PROGRAM, "backend", "--listen", f"127.0.0.1:{port}", "--agent", agent],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )
    edge.wait_until(f"{agent} is served", lambda: "answers at" in edge.log(agent), 60)
