"""Where the relay is attacked: an edge with its victims and attackers, on loopback or on hosts of their own."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from edge.caller.description import parse_answer
from stun.attributes import Attribute, AttributeType
from stun.binding import binding_request, pack_username

from .calling import Counted, Flood, PacedCall, flood, mere_offer, paced_call
from .edge_processes import PROGRAM, Edge, add_server, start_edge
from .namespaces import ip, switched

__all__ = ["Arena", "Credentials", "loopback_arena", "namespace_arena"]

SERVER, VICTIM, ATTACKER, BYSTANDER, RELAY = "10.78.0.1", "10.78.0.2", "10.78.0.3", "10.78.0.4", "10.78.0.5"
KEY = "sk-test"
PUBLIC, RELAY_HOP, TRANSCEIVER_HOP = 3478, 7000, 7001

_CONFIGURATION = {
    "signal": f"""
[signal]
listen = "{SERVER}:8080"
api_keys = ["{KEY}"]
transceivers = ["http://127.0.0.1:7080"]
ingresses = ["1={RELAY}:{PUBLIC}"]
""",
    "relay": f"""
[relay]
hop = "{RELAY}:{RELAY_HOP}"
http = "{RELAY}:7090"
transceivers = ["{SERVER}:{TRANSCEIVER_HOP}"]
ingresses = ["1={RELAY}:{PUBLIC}/{RELAY}:{PUBLIC}"]
""",
    "transceiver": f"""
[transceiver]
backend = "echo"
hop = "{SERVER}:{TRANSCEIVER_HOP}"
control = "127.0.0.1:7080"
""",
}


@attrs.frozen(kw_only=True)
class Credentials:
    """What an attacker has of a call of his own.

    Attributes:
        ufrag: the token.
        password: its password.
        location: of the call.
    """

    ufrag: str
    password: str = attrs.field(repr=False)
    location: str = ""

    def request(self, transaction: bytes | None = None) -> bytes:
        """A valid check, as a browser would send it."""
        attributes = [
            Attribute(AttributeType.PRIORITY, (1845501695).to_bytes(4, "big")),
            Attribute(AttributeType.ICE_CONTROLLING, bytes(8)),
        ]
        username = pack_username(self.ufrag, "abcd")
        return binding_request(transaction or os.urandom(12), username, self.password.encode(), attributes)


@attrs.define(kw_only=True)
class Arena:
    """An edge under attack.

    Attributes:
        edge: the edge.
        relay: its public address.
        victim: namespace of who calls.
        attacker: namespace of who attacks.
        names: all namespaces, by host.
        network: the first two numbers of the addresses that attackers send from.
        may_spoof: whether they may send from addresses that are not theirs.
    """

    edge: Edge
    relay: tuple[str, int]
    victim: str | None = None
    attacker: str | None = None
    names: dict[str, str] = attrs.field(factory=dict)
    network: str = "127.9"
    may_spoof: bool = False
    _sources: int = 0

    def sources(self, count: int) -> list[tuple[str, int]]:
        """So many addresses that nobody has sent from before."""
        first = self._sources + 1
        self._sources += count
        return [(f"{self.network}.{n >> 8}.{n & 255}", 5000) for n in range(first, first + count)]

    @contextmanager
    def call(self, *, namespace: str | None = None, port: int = 0) -> Iterator[PacedCall]:
        """A call of the victim, or of somebody else."""
        where = namespace or self.victim
        with paced_call(self.edge.signal_url, key=self.edge.key, namespace=where, port=port) as call:
            yield call

    def flood(
        self, sources: Sequence[tuple[str, int]], payloads: Sequence[bytes], *, rate: int, seconds: float
    ) -> Flood:
        return flood(
            self.relay,
            sources=sources,
            payloads=payloads,
            rate=rate,
            seconds=seconds,
            raw=self.may_spoof,
            namespace=self.attacker,
        )

    def credentials(self) -> Credentials:
        """Place a call, and keep its credentials for other uses."""
        text, location = self.edge.offer(mere_offer())
        answer = parse_answer(text)
        return Credentials(ufrag=answer.ice_ufrag, password=answer.ice_pwd, location=location)

    def drops(self) -> Counter[str]:
        """What the relay has dropped until now, by reason."""
        return self.edge.counted(self.edge.relay_url, "trio_voice_relay_drops_total")

    def events(self) -> Counter[str]:
        return self.edge.counted(self.edge.relay_url, "trio_voice_relay_events_total")

    def flows(self) -> int:
        return int(self.edge.metric(self.edge.relay_url, "trio_voice_relay_flows"))

    def source_of(self, call: PacedCall) -> tuple[str, int]:
        """The address that the transceiver knows a call's client by."""
        state = self.edge.call_state(call.location)
        assert state is not None
        host, _, port = state["client"].rpartition(":")
        return host, int(port)

    def assert_nothing_lost(self, call: PacedCall, counted: Counted) -> None:
        """Both sides have all packets: the caller its echoes, the transceiver what was sent to it."""
        assert counted.missing == [], f"{len(counted.missing)} of {counted.sent} packets did not come back"
        assert counted.send_errors == 0
        state = self.edge.call_state(call.location)
        assert state is not None
        assert [source["lost"] for source in state["media"]["sources"]] == [0]
        assert state["media"]["lost_out"] == 0


@contextmanager
def loopback_arena(folder: Path) -> Iterator[Arena]:
    """Everybody on this machine: sources are addresses of 127.0.0.0/8, all of which are everybody's."""
    edge = start_edge(folder)
    try:
        yield Arena(edge=edge, relay=("127.0.0.1", edge.media_port))
    finally:
        edge.kill()


@contextmanager
def namespace_arena(folder: Path) -> Iterator[Arena]:
    """Everybody on a host of his own; needs root. The hop is in the attacker's reach."""
    subprocess.run([PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    hosts = {"server": SERVER, "victim": VICTIM, "attacker": ATTACKER, "bystander": BYSTANDER, "relay": RELAY}
    with switched({host: [f"{address}/16"] for host, address in hosts.items()}) as names:
        # Whatever is sent to addresses that an attacker made up comes by the bystander.
        ip("-n", names["relay"], "route", "add", "10.79.0.0/16", "via", BYSTANDER)
        edge = Edge(
            folder,
            f"http://{SERVER}:8080",
            f"http://{RELAY}:7090",
            "http://127.0.0.1:7080",
            PUBLIC,
            key=KEY,
            namespace=names["server"],
        )
        health = {"signal": edge.signal_url, "relay": edge.relay_url, "transceiver": edge.control_url}
        for role, text in _CONFIGURATION.items():
            where = names["relay" if role == "relay" else "server"]
            add_server(edge, role, text, health[role], namespace=where)
        edge.start_all()
        try:
            yield Arena(
                edge=edge,
                relay=(RELAY, PUBLIC),
                victim=names["victim"],
                attacker=names["attacker"],
                names=names,
                network="10.79",
                may_spoof=True,
            )
        finally:
            edge.kill()
