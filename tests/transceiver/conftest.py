"""Sessions to try: one in a network with a caller, or many behind the hop."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path as FilePath
from types import ModuleType
from typing import ClassVar

import attrs
import pytest

from dtls.certificate import Certificate
from edge.caller.description import parse_answer
from edge.caller.opus_file import Clip
from edge.caller.progress import CallerOptions, Stage
from edge.caller.session import CallerSession
from relay.hop.header import DOWN, UP, pack_header, parse_header
from relay.hop.keys import HopKeys
from relay.hop.links import FlowGone, FlowsAnnounced, RelayLinks, SessionEnded, TransceiverLink
from transceiver.dispatcher import Dispatcher
from transceiver.intake import Intake
from transceiver.options import SessionOptions
from transceiver.registry import Call, CallRegistry
from transceiver.ticker import PHASES
from wire.core import Address, Event, Path

HOP_KEYS = HopKeys.derive({1: b"h" * 32}, 1)
HERE = ("10.0.1.1", 5000)
RELAYS = (("10.0.0.1", 4000), ("10.0.0.2", 4000))
SESSION_OPTIONS = SessionOptions()
START = 100.0


@attrs.define(eq=False)
class Client:
    """A caller behind a relay."""

    caller: CallerSession
    call: Call
    path: Path
    relay: Address = RELAYS[0]
    tag: bytes = b"flow-tag"
    down_headers: list[bytes] = attrs.field(factory=list)

    @property
    def header(self) -> bytes:
        return pack_header(
            UP, ingress=self.path.via, client=self.path.address, session=self.call.session_id, tag=self.tag
        )


@attrs.define(eq=False, slots=False)
class World:
    """A dispatcher, its relays, and clients behind them; nothing takes time, and time passes in `run`."""

    support: ModuleType
    certificate: Certificate
    clip: Clip
    now: float = START
    clients: list[Client] = attrs.field(factory=list)
    reports: list[tuple[str, dict[str, object]]] = attrs.field(factory=list)
    relay_events: list[Event] = attrs.field(factory=list)
    sent: list[tuple[bytes, Address]] = attrs.field(factory=list)
    options: SessionOptions = SESSION_OPTIONS
    ingresses: tuple[int, ...] = ()  # of both relays, which then are a group
    RELAYS: ClassVar = RELAYS

    def __attrs_post_init__(self) -> None:
        entropy = random.Random(5).randbytes
        self.relays = {
            address: RelayLinks(
                keys=HOP_KEYS, transceivers=[HERE], entropy=entropy, now=self.now, ingresses=self.ingresses
            )
            for address in RELAYS
        }
        self.link = TransceiverLink(keys=HOP_KEYS, cluster=1, incarnation=2, worker=0, entropy=entropy, now=self.now)
        self.calls = CallRegistry()
        self.dispatcher = Dispatcher(
            link=self.link,
            calls=self.calls,
            send=self.sent.extend,
            report=lambda name, facts: self.reports.append((name, dict(facts))),
        )
        self.intake = Intake(
            cluster=1,
            incarnation=2,
            worker=0,
            credential_keys=self.support.CREDENTIAL_KEYS,
            call_id_keys=self.support.CALL_ID_KEYS,
            entropy=entropy,
            unix_time=lambda: self.support.UNIX,
        )
        self.run(0.1)
        assert set(self.link.relays) == set(RELAYS)

    def add(self, number: int = 0, relay: Address = RELAYS[0]) -> Client:
        caller = self.support.make_caller(self.certificate, CallerOptions(clip=self.clip), self.now, seed=number)
        accepted = self.intake.accept(caller.offer, [self.support.INGRESS], self.options, self.now)
        call = self.calls.add(
            call_id=accepted.call_id, owner="", session_id=accepted.session_id, session=accepted.session
        )
        caller.accept(parse_answer(accepted.answer), self.now)
        client = Client(caller, call, Path(("198.51.100.7", 50000 + number), 1), relay)
        self.clients.append(client)
        return client

    def receive(self, data: bytes, source: Address = RELAYS[0]) -> None:
        self.dispatcher.receive_datagrams([(data, source)], self.now)

    def run(self, seconds: float) -> None:
        """Let time pass in ticks."""
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            for links in self.relays.values():
                self.relay_events += links.handle_timeout(self.now)
            for client in self.clients:
                client.caller.handle_timeout(self.now)
                if client.caller.media is not None and client.caller.stage is Stage.TALKING:
                    for data in client.caller.media.audio_to_send(self.now, self.now):
                        self.receive(client.header + data, client.relay)
            self.dispatcher.flush(self.now)
            for phase in range(PHASES):
                self.dispatcher.tick(phase, self.now)
            self.pump()

    def pump(self) -> None:
        """Carry everything until nobody has anything to say."""
        for _ in range(30):
            moving = False
            for address, links in self.relays.items():
                for data, _ in links.datagrams_to_send(self.now):
                    self.receive(data, address)
                    moving = True
            for client in self.clients:
                for data, _ in client.caller.datagrams_to_send(self.now):
                    self.receive(client.header + data, client.relay)
                    moving = True
            self.dispatcher.flush(self.now)
            sent = list(self.sent)
            self.sent.clear()
            for data, relay in sent:
                moving = True
                self._arrive(data, relay)
            if not moving:
                return

    def _arrive(self, data: bytes, relay: Address) -> None:
        header = parse_header(data)
        if header is None:
            if relay in self.relays:
                self.relay_events += self.relays[relay].receive_control(data, HERE, self.now)
            return
        assert header.direction == DOWN
        for client in self.clients:
            if client.path.address == header.client and client.call.session_id == header.session:
                assert relay == client.relay
                client.down_headers.append(data[: header.size])
                client.caller.receive_datagram(data[header.size :], Path(self.support.SERVER), self.now)

    def announced(self) -> list[bytes]:
        """What relays were told of since the last time."""
        told = [header for event in self.relay_events if isinstance(event, FlowsAnnounced) for header in event.headers]
        self.relay_events.clear()
        return told

    def ended(self) -> list[int]:
        return [event.session for event in self.relay_events if isinstance(event, SessionEnded)]

    def gone(self) -> list[tuple[int, bytes]]:
        return [(event.session, event.tag) for event in self.relay_events if isinstance(event, FlowGone)]

    def facts(self, name: str) -> list[dict[str, object]]:
        return [facts for reported, facts in self.reports if reported == name]


@pytest.fixture
def talk(connect: Callable[..., object]) -> Callable[..., object]:
    """The same, a second into the call."""

    def make(**changes: object) -> object:
        network = connect(**changes)
        network.run(1)
        assert network.server.media is not None
        return network

    return make


@pytest.fixture
def make_world(call_network, certificate: Certificate, clip: Clip) -> Callable[..., World]:
    """Make a dispatcher with its relays, and clients behind them."""
    return lambda **changes: World(call_network, certificate, clip, **changes)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture(scope="session")
def worker_network(load_neighbour: Callable[[FilePath], ModuleType]) -> ModuleType:
    """The module next door: a worker on loopback sockets, a relay, and callers."""
    return load_neighbour(FilePath(__file__).with_name("worker_network.py"))


@pytest.fixture
def start(worker_network: ModuleType, call_network: ModuleType, certificate: Certificate, clip: Clip) -> object:
    """Run a worker until the end of a block."""
    return partial(worker_network.run_worker, call_network, certificate, clip)
