"""A relay core, transceivers and clients in one small world without sockets or clocks."""

import random
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace

import attrs
import pytest

from relay import mmsg
from relay.flows import Claim
from relay.forwarder import Forwarder, ForwarderOptions
from relay.hop.header import CONTROL, SEALED, UP, Header, answering, pack_header, parse_header
from relay.hop.keys import HopKeys
from relay.hop.links import TransceiverLink
from relay.tags import FlowTags
from stun.credentials import CredentialKey, CredentialKeys, Route
from stun.integrity import add_fingerprint, add_message_integrity
from wire.core import Address, Entropy, Event

HOP_KEYS = HopKeys.derive({1: b"h" * 32}, 1)
CREDENTIALS = CredentialKeys([CredentialKey(key_id=0, token=bytes(range(64)), ice_pwd=b"p" * 32)], 0)
FLOW_TAGS = FlowTags([b"f" * 32])
RELAY_ADDRESS = ("10.0.0.1", 4001)
UNIX_TIME = 1_800_000_000
COOKIE = b"\x21\x12\xa4\x42"


def stun(message_type: int, transaction: bytes, attributes: bytes = b"") -> bytes:
    return struct.pack(">HH", message_type, len(attributes)) + COOKIE + transaction + attributes


def binding_request(ufrag: str, password: str, transaction: bytes = b"t" * 12) -> bytes:
    username = f"{ufrag}:abcd".encode()
    attribute = struct.pack(">HH", 0x0006, len(username)) + username + bytes(-len(username) % 4)
    return add_fingerprint(add_message_integrity(stun(0x0001, transaction, attribute), password.encode()))


def seeded(seed: int) -> Entropy:
    return random.Random(seed).randbytes


def mutated(weather: random.Random, data: bytes) -> bytes:
    """Damage a datagram a little, in one of many ways; now and then not at all."""
    changed = bytearray(data)
    for _ in range(weather.choice([0, 1, 1, 2, 8])):
        kind = weather.randrange(4)
        at = weather.randrange(len(changed) + 1)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << weather.randrange(8)
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            changed[at:at] = weather.randbytes(weather.randrange(9))
        elif at < len(changed):
            changed[at] = weather.choice([0x00, 0x11, 0x12, 0x13, 0x15, 0x16, 0x80, 0xFF])
    return bytes(changed)


@attrs.define(eq=False)
class FakeTransceiver:
    """One transceiver worker: a real link, and sessions that a test speaks for."""

    address: Address
    incarnation: int
    now: float
    cluster: int = 1
    worker: int = 0
    sealed: bool = False
    received: list[tuple[Header, bytes]] = attrs.field(factory=list)
    outgoing: list[tuple[bytes, Address]] = attrs.field(factory=list)
    events: list[Event] = attrs.field(factory=list)
    link: TransceiverLink = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.link = TransceiverLink(
            keys=HOP_KEYS,
            cluster=self.cluster,
            incarnation=self.incarnation,
            worker=self.worker,
            entropy=seeded(self.incarnation),
            now=self.now,
            sealed=self.sealed,
        )

    def mint(self, session: int, minted: int = UNIX_TIME) -> str:
        return CREDENTIALS.mint(
            Route(
                cluster=self.cluster, incarnation=self.incarnation, worker=self.worker, session=session, minted=minted
            )
        )

    def request(self, session: int, transaction: bytes = b"t" * 12, minted: int = UNIX_TIME) -> bytes:
        ufrag = self.mint(session, minted)
        return binding_request(ufrag, CREDENTIALS.password(ufrag), transaction)

    def receive(self, data: bytes, source: Address, now: float) -> None:
        if data[0] == CONTROL:
            self.events += self.link.receive_control(data, source, now)
            self.outgoing += self.link.datagrams_to_send(now)
            return
        if data[0] == SEALED:
            opened = self.link.open_data(data, source)
            assert opened is not None
            data = opened
        else:
            assert self.link.accepts(source)
        header = parse_header(data)
        assert header is not None
        self.received.append((header, data[header.size :]))

    def payloads(self) -> list[bytes]:
        taken = [payload for _, payload in self.received]
        self.received.clear()
        return taken


@attrs.define(eq=False)
class World:
    """A relay with its transceivers; time stands still until a test moves it."""

    transceivers: list[FakeTransceiver]
    forwarder: Forwarder
    now: float = 1000.0
    to_clients: list[tuple[bytes, Address, int]] = attrs.field(factory=list)

    @property
    def unix_time(self) -> float:
        return UNIX_TIME + self.now - 1000.0

    def pump(self) -> None:
        """Carry what is under way between the tiers, until nothing is."""
        by_address = {transceiver.address: transceiver for transceiver in self.transceivers}
        moved = True
        while moved:
            moved = False
            upward, self.forwarder.to_transceivers[:] = list(self.forwarder.to_transceivers), []
            for data, address in upward:
                moved = True
                if address in by_address:
                    by_address[address].receive(data, RELAY_ADDRESS, self.now)
            for transceiver in self.transceivers:
                downward, transceiver.outgoing = transceiver.outgoing, []
                for data, _ in downward:
                    moved = True
                    self.forwarder.receive_from_hop(data, transceiver.address, self.now)
        for ingress, datagrams in self.forwarder.to_clients.items():
            self.to_clients += [(data, client, ingress) for data, client in datagrams]
            datagrams.clear()

    def pass_time(self, seconds: float) -> None:
        """Let time pass in steps of at most a second, links included."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 1.0)
            self.forwarder.handle_timeout(self.now)
            for transceiver in self.transceivers:
                transceiver.link.handle_timeout(self.now)
            self.pump()

    def client_sends(self, data: bytes, client: Address, ingress: int = 1) -> None:
        self.forwarder.receive_from_client(data, client, ingress, self.now, self.unix_time)
        self.pump()

    def transceiver_sends(
        self,
        transceiver: FakeTransceiver,
        session: int,
        client: Address,
        payload: bytes,
        *,
        validated: bool,
        ingress: int = 1,
    ) -> None:
        header = down_header(session, client, validated=validated, ingress=ingress)
        ((data, _),) = transceiver.link.seal_data([(header + payload, RELAY_ADDRESS)])
        self.forwarder.receive_from_hop(data, transceiver.address, self.now)
        self.pump()

    def received_by_clients(self) -> list[tuple[bytes, Address, int]]:
        taken, self.to_clients = self.to_clients, []
        return taken

    def claim(self, session: int) -> Claim:
        (claim,) = self.forwarder.table.claims_of(session)
        return claim

    def call(self, transceiver: FakeTransceiver, session: int, client: Address) -> None:
        """Bring a call to the point where its path is proven."""
        self.client_sends(transceiver.request(session), client)
        self.transceiver_sends(transceiver, session, client, b"\x16proof", validated=True)
        transceiver.received.clear()
        self.to_clients.clear()


def down_header(
    session: int, client: Address, *, validated: bool, ingress: int = 1, tag: bytes | None = None, generation: int = 0
) -> bytes:
    tag = FLOW_TAGS.make(ingress, session, client) if tag is None else tag
    up = pack_header(UP, ingress=ingress, client=client, session=session, tag=tag, generation=generation)
    return answering(up, validated=validated)


@pytest.fixture
def make_world() -> Callable[..., World]:
    def make(
        max_claims: int = 1000,
        transceivers: int = 2,
        connected: Mapping[int, set[Address]] = MappingProxyType({}),
        *,
        hop_sealed: bool = False,
        sealed: tuple[int, ...] = (),
    ) -> World:
        fakes = [
            FakeTransceiver(("10.0.1.1", 5000 + i), 100 + i, 1000.0, sealed=i in sealed) for i in range(transceivers)
        ]
        forwarder = Forwarder(
            credentials=CREDENTIALS,
            hop_keys=HOP_KEYS,
            flow_tags=FLOW_TAGS,
            ingresses=[1, 2, *connected],
            connected=connected,
            transceivers=[fake.address for fake in fakes],
            entropy=seeded(7),
            now=1000.0,
            options=ForwarderOptions(max_claims=max_claims, hop_sealed=hop_sealed),
        )
        world = World(transceivers=fakes, forwarder=forwarder)
        forwarder.handle_timeout(world.now)
        world.pump()
        assert forwarder.live_transceivers == transceivers
        return world

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def kit() -> SimpleNamespace:
    """What tests build datagrams and ends of links with."""
    return SimpleNamespace(
        hop_keys=HOP_KEYS,
        credentials=CREDENTIALS,
        flow_tags=FLOW_TAGS,
        relay_address=RELAY_ADDRESS,
        unix_time=UNIX_TIME,
        stun=stun,
        binding_request=binding_request,
        route=lambda cluster, incarnation, session, minted: Route(
            cluster=cluster, incarnation=incarnation, worker=0, session=session, minted=minted
        ),
        down_header=down_header,
        transceiver=FakeTransceiver,
        seeded=seeded,
        mutated=mutated,
    )


@pytest.fixture(params=["plain", "mmsg"])
def datapath(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test twice: with plain sockets, and in batches where this system can."""
    if request.param == "plain":
        monkeypatch.setattr(mmsg, "is_available", lambda: False)
    elif not mmsg.is_available():
        pytest.skip("this system has no recvmmsg and sendmmsg")
    return str(request.param)
