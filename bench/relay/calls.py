"""Calls on our relay as it sees them: a request makes a flow, and a transceiver proves it and keeps its link."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import run

import attrs

from bench.processes import cpu_of
from bench.relay.load import Load, discard
from bench.relay.sides import Clients, OurRelay, Side, our_relay, send_from
from bench.servers import PROGRAM, fetch
from bench.settings import NotMeasured
from bench.soak.readings import parse_metrics
from edge.config.model import Role
from edge.key_files import bundle_path, load_bundle
from edge.tiers.keyring import relay_keys
from relay.hop.header import UP, answering, parse_header
from relay.worker import RelayKeys
from stun.attributes import Attribute, AttributeType
from stun.binding import binding_request, pack_username
from stun.credentials import Route
from wire.core import Address

__all__ = ["Calls", "calls_on_our_relay"]

_AT_ONCE = 250
"""Calls that are set up together: well below what a socket's buffer holds, and what one source may ask."""
_ANSWER, _PATIENCE, _TRIES = 1.0, 20.0, 5
_REFRESH_PAUSE = 0.002
_SMALLEST = b"\x80"


@attrs.define
class Calls:
    """Calls of some clients on our relay, and the transceiver that they go to.

    Attributes:
        relay: what they go through.
        clients: one for each call.
        keys: the relay's.
        workers: how many the relay has.
        up_headers: of each call that is set up, by its number from 1.
        hops: from where the relay sent that.
        claim_cpu: CPU seconds that the relay took to make the flows.
        prove_cpu: and those for the proofs of their paths.
    """

    relay: OurRelay
    clients: Clients
    keys: RelayKeys
    workers: int = 1
    up_headers: dict[int, bytes] = attrs.field(factory=dict)
    hops: dict[int, Address] = attrs.field(factory=dict)
    claim_cpu: float = 0.0
    prove_cpu: float = 0.0

    def token(self, session: int) -> str:
        """Mint the username fragment of a call."""
        route = Route(cluster=0, incarnation=1, worker=0, session=session, minted=int(time.time()))
        return self.keys.credentials.mint(route)

    def request(self, session: int, *, ufrag: str = "", password: str = "") -> bytes:
        """Make the Binding Request of a call; a fragment or a password that is given stands in for the right one."""
        ufrag = ufrag or self.token(session)
        username = pack_username(ufrag, "peer")
        password = password or self.keys.credentials.password(ufrag)
        attributes = (
            Attribute(AttributeType.PRIORITY, b"\x6e\x7f\x1e\xff"),
            Attribute(AttributeType.ICE_CONTROLLING, os.urandom(8)),
        )
        return binding_request(os.urandom(12), username, password.encode(), attributes)

    def connect(self) -> None:
        """Wait until every worker of the relay has found its transceiver."""
        self.relay.transceiver.keep_links(self.keys.hop)
        end = time.monotonic() + _PATIENCE
        while self.relay.transceiver.relays < self.workers:
            if time.monotonic() > end:
                raise NotMeasured("the relay did not find its transceiver")
            time.sleep(0.01)

    def take(self) -> None:
        """Take what has come to the transceiver, and note the headers of calls."""
        sock = self.relay.transceiver.sock
        while True:
            try:
                data, source = sock.recvfrom(2048)
            except BlockingIOError:
                return
            if data[0] == UP and (header := parse_header(data)) is not None:
                self.up_headers[header.session] = data[: header.size]
                self.hops[header.session] = source

    def set_up(self, numbers: range) -> None:
        """Set some calls up: flows are made by requests, and proven by the transceiver."""
        for begin in range(0, len(numbers), _AT_ONCE):
            sessions = numbers[begin : begin + _AT_ONCE]
            self._claim(sessions)
            before = self._cpu()
            self._prove(sessions)
            self.prove_cpu += self._cpu() - before

    def _claim(self, sessions: Sequence[int]) -> None:
        for _ in range(_TRIES):
            missing = [session for session in sessions if session not in self.up_headers]
            requests = [self.request(session) for session in missing]
            before = self._cpu()
            for session, request in zip(missing, requests, strict=True):
                send_from(self.clients.sock, self.clients.hosts[session - 1], request, self.relay.public)
            end = time.monotonic() + _ANSWER
            while time.monotonic() < end and not all(session in self.up_headers for session in missing):
                time.sleep(0.002)
                self.take()
            self.claim_cpu += self._cpu() - before
            if all(session in self.up_headers for session in sessions):
                return
        raise NotMeasured("the relay does not forward requests")

    def _cpu(self) -> float:
        return sum(map(cpu_of, self.relay.pids))

    def _prove(self, sessions: Sequence[int]) -> None:
        """Send one datagram down each path, with the word that it is proven."""
        for _ in range(_TRIES):
            discard(self.clients.sock)
            for session in sessions:
                header = answering(self.up_headers[session], validated=True)
                self.relay.transceiver.sock.sendto(header + _SMALLEST, self.hops[session])
            arrived = 0
            end = time.monotonic() + _ANSWER
            while time.monotonic() < end and arrived < len(sessions):
                time.sleep(_REFRESH_PAUSE)
                arrived += discard(self.clients.sock)
            if arrived >= len(sessions):
                return
        raise NotMeasured("the relay does not forward what a transceiver sends")

    def refresh(self) -> None:
        """Have the relay hear of all calls: it forgets those that nobody speaks of."""
        self.take()
        sessions = sorted(self.up_headers)
        for begin in range(0, len(sessions), _AT_ONCE * 4):
            self._prove(sessions[begin : begin + _AT_ONCE * 4])
        self.take()

    def drops(self) -> Mapping[str, float]:
        """Return what the relay has dropped so far, by reason."""
        prefix = "relay_drops_total "
        metrics = parse_metrics(fetch(f"{self.relay.http}/metrics"))
        return {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}

    def as_side(self) -> Side:
        """Return the relay as one side of a comparison, with the calls that are set up."""
        sessions = sorted(self.up_headers)
        hosts = [self.clients.hosts[session - 1] for session in sessions]
        return Side(
            name="ours",
            pids=self.relay.pids,
            up=Load.of(
                self.clients.sock, self.relay.transceiver.sock, [(host, self.relay.public, b"") for host in hosts]
            ),
            down=Load.of(
                self.relay.transceiver.sock,
                self.clients.sock,
                [
                    (None, self.hops[session], answering(self.up_headers[session], validated=True))
                    for session in sessions
                ],
            ),
            refresh=self.refresh,
        )


@contextmanager
def calls_on_our_relay(
    folder: Path, clients: Clients, *, workers: int = 1, program: Sequence[str] = PROGRAM
) -> Iterator[Calls]:
    """Run a relay for some clients.

    Args:
        folder: for keys, configuration and log.
        clients: one for each call.
        workers: of the relay.
        program: what runs it instead of `trio-voice`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run([*PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    keys = relay_keys(load_bundle(bundle_path(folder / "keys", Role.RELAY), Role.RELAY))
    options = ("--workers", str(workers)) if workers > 1 else ()
    with our_relay(folder, options=options, program=program) as relay:
        calls = Calls(relay=relay, clients=clients, keys=keys, workers=workers)
        calls.connect()
        yield calls
