"""Every parser that strangers' bytes reach, by clients or over the hop: found by its signature, fuzzed, or excused.

The convention that discovery leans on: what was received is a parameter named `data`, `reader`, `body` or, for the
token inside of a check, `ufrag`. A new function with such a parameter has to be entered here, or the first test fails.

Nothing may come out of any of them but a result or, from those that read with a `Reader`, a `MalformedError`.
"""

import importlib
import inspect
import pkgutil
import random
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import permutations
from types import SimpleNamespace

import attrs
import pytest

import relay
import stun
from relay.admission import Admission
from relay.claims import mark_of
from relay.drops import DropReason
from relay.forwarder import Forwarder, ForwarderOptions
from relay.hop.bundles import bundle_front, find_parts, parts_of
from relay.hop.header import BUNDLE, IPV4_HEADER_SIZE, IPV6_HEADER_SIZE, SEALED, UP, pack_header, parse_header
from relay.hop.links import RelayLinks
from relay.hop.messages import Message as HopMessage
from relay.hop.messages import parse_message
from relay.hop.sealing import open_sealed, seal
from relay.hop.tunnel import Tunnel
from relay.tcp.connections import Connections
from relay.tcp.framing import MAX_FRAME, FrameReader, frame
from relay.tcp.options import TcpOptions
from relay.transactions import Transactions, binding_request_id, is_binding_response
from stun import attributes as stun_attributes
from stun.binding import check_request, check_response, receive_message
from stun.controlling import IceControlling
from stun.integrity import verify_fingerprint, verify_message_integrity
from stun.lite import IceLite
from stun.message import Message, read_username
from stun.proofs import ProofRequests
from transceiver.dispatcher import Dispatcher
from transceiver.registry import CallRegistry
from wire.buffer import Reader, Writer
from wire.core import Path
from wire.demux import kind_of
from wire.errors import MalformedError

RECEIVED = {"data", "reader", "body", "ufrag"}
ROUNDS = 1500
CLIENT = ("192.0.2.1", 40000)
KEY = b"p" * 32

EXCUSED = {
    "relay.sockaddr.parse_sockaddr": "the kernel's bytes",
    "relay.mmsg.address_of_bytes": "asks where they lie, and not what they are",
    "stun.credentials.Route.from_bytes": "authentic by then: AES-SIV has opened them",
    "stun.credentials.CredentialKeys.password": "asked only of a fragment that was opened",
    "relay.hop.tunnel.Tunnel.seal": "seals what we write",
    "stun.integrity.add_message_integrity": "signs what we write",
    "stun.integrity.add_message_integrity_sha256": "signs what we write",
    "stun.integrity.add_integrity": "signs what we write",
    "stun.integrity.add_fingerprint": "signs what we write",
    "stun.lite.IceLite.set_remote_credentials": "from an offer, which the tests of SDP fuzz",
    "stun.proofs.ProofRequests.set_remote_credentials": "the same",
    "stun.lite.IceLite.resume": "from a snapshot, which is authentic by then",
    "stun.snapshot.read_paths": "the same",
}


@attrs.frozen(kw_only=True)
class Target:
    """What to feed, and what to begin with."""

    feed: Callable[[bytes], object]
    examples: list[bytes]


TARGETS: dict[str, Callable[[SimpleNamespace], Target]] = {}


def fuzzes(*names: str) -> Callable:
    """Enter a factory of targets, for one parser or for several that it reaches."""

    def enter(factory: Callable[[SimpleNamespace], Target]) -> Callable[[SimpleNamespace], Target]:
        TARGETS.update(dict.fromkeys(names, factory))
        return factory

    return enter


def discovered() -> Iterator[str]:
    """Public functions and methods that take received bytes, of the relay, of the hop and of STUN."""
    for package in (relay, stun):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                if getattr(value, "__module__", None) != module.__name__ or name.startswith("_"):
                    continue
                methods = vars(value) if inspect.isclass(value) else {"": value}
                for method in methods:
                    function = getattr(value, method) if method else value
                    if method.startswith("_") or not inspect.isroutine(function):
                        continue
                    if RECEIVED.intersection(inspect.signature(function).parameters):
                        yield ".".join(filter(None, (module.__name__, name, method)))


# Clients.


def client_datagrams(env: SimpleNamespace) -> list[bytes]:
    first, kit = env.world.transceivers[0], env.kit
    request = first.request(7)
    return [
        request,
        request[:20] + request[20:] * 3,
        kit.binding_request("x" * 300, "p" * 32),
        kit.binding_request(first.mint(7) + "\u00e9", "p" * 32),
        kit.stun(0x0101, b"i" * 12),
        kit.stun(0x0111, b"i" * 12, b"\0\x09\0\4\0\0\4\1"),
        kit.stun(0x0011, b"i" * 12),
        b"\x80media" * 9,
        b"\x16\xfe\xfdhandshake",
    ]


@fuzzes("relay.forwarder.Forwarder.receive_from_client", "relay.stun_router.StunRouter.receive")
def from_client(env: SimpleNamespace) -> Target:
    world = env.world

    def feed(data: bytes) -> None:
        world.now += 0.01
        world.client_sends(data, CLIENT)
        if data:
            world.forwarder.stun.receive(data, CLIENT, 1, world.now, world.unix_time)
        assert len(world.forwarder.table) <= 2
        assert set(world.forwarder.drops) <= env.reasons

    return Target(feed=feed, examples=client_datagrams(env))


@fuzzes("relay.tcp.connections.Connections.receive")
def from_tcp_client(env: SimpleNamespace) -> Target:
    world = env.world
    connections = Connections(forwarder=world.forwarder, connected={2: set()}, options=TcpOptions())

    def feed(data: bytes) -> None:
        world.now += 1.0
        connection = connections.accept(2, CLIENT, world.now)
        assert connection is not None
        for at in range(0, len(data), 100):
            connections.receive(connection, data[at : at + 100], world.now, world.unix_time)
        connections.handle_timeout(world.now)
        connections.lost(connection)
        connections.closed.clear()
        assert len(connections) == 0

    return Target(feed=feed, examples=[frame(data) * 2 for data in client_datagrams(env)])


@fuzzes("relay.tcp.framing.FrameReader.receive")
def stream(env: SimpleNamespace) -> Target:
    def feed(data: bytes) -> None:
        whole = FrameReader()
        at_once = whole.receive(data)
        pieces, found, at = FrameReader(), [], 0
        while at < len(data):
            step = env.weather.randrange(1, 40)
            found += pieces.receive(data[at : at + step])
            at += step
        assert found == at_once  # however it was cut
        assert whole.is_broken == pieces.is_broken
        assert all(0 < len(each) <= MAX_FRAME for each in found)

    streams = [frame(b"a" * 30) + frame(b"") + frame(b"b" * 1200), b"\xff" * 9, b"\0\0\0", frame(bytes(MAX_FRAME + 1))]
    return Target(feed=feed, examples=streams)


@fuzzes("relay.admission.Admission.open", "relay.claims.mark_of", "stun.credentials.CredentialKeys.open")
def token(env: SimpleNamespace) -> Target:
    admission = Admission(
        credentials=env.kit.credentials, max_call=7200.0, entropy=env.weather.randbytes, drops=Counter()
    )
    ufrag = env.world.transceivers[0].mint(7)

    def feed(data: bytes) -> None:
        text = data.decode("latin-1")
        assert isinstance(mark_of(text), int)
        env.world.now += 11.0  # what failed before is forgotten
        route = admission.open(text, CLIENT, env.world.now, env.kit.unix_time)
        assert (route is None) == (text != ufrag)
        assert (env.kit.credentials.open(text) is None) == (text != ufrag)

    return Target(feed=feed, examples=[ufrag.encode(), ufrag[:-1].encode(), b"A" * 49, "é".encode()])


@fuzzes("relay.admission.Admission.verify")
def integrity(env: SimpleNamespace) -> Target:
    admission = Admission(
        credentials=env.kit.credentials, max_call=7200.0, entropy=env.weather.randbytes, drops=Counter()
    )
    transceiver = env.world.transceivers[0]
    ufrag, request = transceiver.mint(7), transceiver.request(7)

    def feed(data: bytes) -> None:
        verdicts = tuple(admission.verify(data, ufrag, 7, CLIENT, 1.0, is_known=flag) for flag in (False, True))
        # What stands behind the integrity is not under it; before it, no bit may differ.
        covered = request[: request.index(b"\0\x08\0\x14")]
        assert verdicts in [(True, True), (False, False)]
        assert not verdicts[0] or data[4 : len(covered)] == covered[4:]

    return Target(feed=feed, examples=[request, *client_datagrams(env)])


@fuzzes(
    "relay.transactions.binding_request_id",
    "relay.transactions.is_binding_response",
    "relay.transactions.Transactions.find",
)
def transactions(env: SimpleNamespace) -> Target:
    known = Transactions()
    place = env.place
    known.remember(b"i" * 12, 1, CLIENT, b"header", place, 1.0)

    def feed(data: bytes) -> None:
        assert len(binding_request_id(data) or bytes(12)) == 12
        if is_binding_response(data):
            found = known.find(data, 1, CLIENT, 2.0)
            assert (found is not None) == (data[8:20] == b"i" * 12)

    return Target(feed=feed, examples=client_datagrams(env))


# The hop.


def hop_datagrams(env: SimpleNamespace) -> list[bytes]:
    kit = env.kit
    return [
        kit.down_header(7, CLIENT, validated=True) + b"x" * 20,
        kit.down_header(7, CLIENT, validated=False) + kit.stun(0x0001, b"i" * 12),
        kit.down_header(7, ("2001:db8::1", 1), validated=True) + b"x",
        pack_header(UP, ingress=1, client=CLIENT, session=7, tag=bytes(8)) + b"\x80x",
        *bundles(env),
        *env.recorded,
    ]


def bundles(env: SimpleNamespace) -> list[bytes]:
    parts = [
        env.kit.down_header(7, CLIENT, validated=True) + b"x" * 20,
        env.kit.down_header(7, ("2001:db8::1", 1), validated=True) + b"x",
        pack_header(UP, ingress=1, client=CLIENT, session=7, tag=bytes(8)) + b"\x80x",
    ]
    inner = bundle_front([len(part) for part in parts]) + b"".join(parts)
    nested = inner
    for _ in range(20):
        nested = bundle_front([len(parts[0]), len(nested)]) + parts[0] + nested
    return [inner, bundle_front([len(inner)] * 2) + inner * 2, nested[:2048], bytes((BUNDLE, 255)) + bytes(510)]


@attrs.frozen
class Junk:
    """A body that is authentic and may be anything: from an end that was taken over."""

    KIND: int
    body: bytes

    def serialize(self, writer: Writer) -> None:
        writer.octets(self.body)


def sealed(env: SimpleNamespace, body: bytes, *, to_relay: bool) -> bytes:
    env.counter += 1
    first = env.world.transceivers[0]
    relay, transceiver = env.world.forwarder.links._peers[first.address].own_number, first.link._number
    sender, receiver = (transceiver, relay) if to_relay else (relay, transceiver)
    junk = Junk(env.weather.randrange(16), body)
    return seal(env.kit.hop_keys, junk, sender=sender, counter=env.counter, receiver=receiver)


@fuzzes(
    "relay.forwarder.Forwarder.receive_from_hop",
    "relay.hop_router.HopRouter.receive",
    "relay.hop.relay_end.RelayLinks.receive_control",
    "relay.hop.sealing.open_sealed",
)
def from_hop(env: SimpleNamespace) -> Target:
    world = env.world
    first = world.transceivers[0]

    def feed(data: bytes) -> None:
        world.now += 0.001
        world.forwarder.receive_from_hop(data, first.address, world.now)
        world.forwarder.links.receive_control(data, first.address, world.now)
        taken_over = sealed(env, data[24:], to_relay=True)
        world.forwarder.receive_from_hop(taken_over, first.address, world.now)
        opened = open_sealed(env.kit.hop_keys, data, receiver=1)
        assert opened is not None
        assert world.forwarder.live_transceivers == 2
        world.forwarder.to_transceivers.clear()
        for datagrams in world.forwarder.to_clients.values():
            datagrams.clear()
        assert len(world.forwarder.table) <= 2

    return Target(feed=feed, examples=hop_datagrams(env))


@fuzzes(
    "relay.cluster_relay.ClusterRelay.receive_up",
    "relay.cluster_relay.ClusterRelay.receive_down",
    "relay.cluster_relay.ClusterRelay.receive_control",
)
def between_tiers(env: SimpleNamespace) -> Target:
    kit, now = env.kit, 1000.0
    front, inner_address, max_paths = kit.relay_address, ("10.0.2.1", 7000), 40
    inner = Forwarder(
        credentials=kit.credentials,
        hop_keys=kit.hop_keys,
        flow_tags=kit.flow_tags,
        ingresses=(),
        transceivers=(),
        entropy=env.weather.randbytes,
        now=now,
        options=ForwarderOptions(cluster=1, max_claims=max_paths),
    )
    links = RelayLinks(
        keys=kit.hop_keys, transceivers=[inner_address], entropy=env.weather.randbytes, now=now, ingresses=[1]
    )
    links.handle_timeout(now)
    for _ in range(3):
        for data, _to in links.datagrams_to_send(now):
            inner.receive_from_hop(data, front, now)
        for data, _to in inner.to_transceivers:
            links.receive_control(data, inner_address, now)
        inner.to_transceivers.clear()
    cluster = inner.hop.cluster
    assert cluster is not None
    assert cluster.link.accepts(front)

    def feed(data: bytes) -> None:
        cluster.receive_up(data, front, now, is_sealed=False)
        header = parse_header(data)
        if header is not None:
            cluster.receive_down(data, header, env.place, now)
        for source in (front, CLIENT):
            cluster.receive_control(data, source, now)
            inner.receive_from_hop(data, source, now)
        inner.to_transceivers.clear()
        assert len(cluster.paths) <= max_paths
        assert set(inner.drops) <= env.reasons

    return Target(feed=feed, examples=hop_datagrams(env))


@fuzzes("relay.hop.transceiver_end.TransceiverLink.receive_control")
def at_transceiver(env: SimpleNamespace) -> Target:
    world, first = env.world, env.world.transceivers[0]
    dispatcher = Dispatcher(link=first.link, calls=CallRegistry(), send=list, report=lambda *_: None)

    def feed(data: bytes) -> None:
        world.now += 0.001
        for source in (env.kit.relay_address, CLIENT):
            first.link.receive_control(data, source, world.now)
            dispatcher.receive_datagrams([(data, source)], world.now)
            first.link.receive_control(sealed(env, data[24:], to_relay=False), env.kit.relay_address, world.now)
        assert list(first.link.relays) == [env.kit.relay_address]

    return Target(feed=feed, examples=hop_datagrams(env))


@fuzzes(
    "relay.hop.tunnel.Tunnel.open",
    "relay.hop_router.HopRouter.open_data",
    "relay.hop.transceiver_end.TransceiverLink.open_data",
)
def sealed_data(env: SimpleNamespace) -> Target:
    world, first, count = env.world, env.world.transceivers[0], iter(range(1, 1 << 40))

    def tunnel(number: int, peer: int) -> Tunnel:
        return Tunnel(keys=lambda: env.kit.hop_keys, number=number, peer=peer, count=count.__next__)

    here, there = tunnel(1, 2), tunnel(2, 1)
    env.place.tunnel, first.link._tunnels[env.kit.relay_address] = tunnel(3, 4), tunnel(5, 6)
    to_relay, to_transceiver = tunnel(4, 3), tunnel(6, 5)

    def feed(data: bytes) -> None:
        assert not isinstance(there.open(data), bytes)
        packed = here.seal(data or b"x")
        damaged = env.kit.mutated(env.weather, packed)
        if damaged != packed:
            assert not isinstance(there.open(damaged), bytes)
        assert there.open(packed) == (data or b"x")
        assert not isinstance(there.open(packed), bytes)  # once
        # What is inside may be anything, too.
        world.forwarder.receive_from_hop(to_relay.seal(data or b"x"), first.address, world.now)
        assert first.link.open_data(to_transceiver.seal(data or b"x"), env.kit.relay_address) == (data or b"x")
        assert first.link.open_data(data, env.kit.relay_address) is None
        world.forwarder.to_transceivers.clear()
        for datagrams in world.forwarder.to_clients.values():
            datagrams.clear()

    return Target(feed=feed, examples=[bytes((SEALED,)) + bytes(40), *hop_datagrams(env)])


@fuzzes(
    "relay.hop.bundles.find_parts",
    "relay.hop.bundles.parts_of",
    "relay.hop_router.HopRouter.open_bundle",
)
def bundle(env: SimpleNamespace) -> Target:
    world, first = env.world, env.world.transceivers[0]

    def feed(data: bytes) -> None:
        found, parts = find_parts(data), parts_of(data)
        assert (found is None) == (parts is None)
        for each in (data, bytes((BUNDLE,)) + data[1:]):
            for source in (first.address, CLIENT):
                assert list(world.forwarder.hop.open_bundle(each, source)) in ([], parts_of(each))
        if parts is not None:
            assert bundle_front([len(part) for part in parts]) + b"".join(parts) == data  # exactly one spelling
            assert all(part[0] != BUNDLE and len(part) >= IPV4_HEADER_SIZE for part in parts)

    return Target(feed=feed, examples=bundles(env))


@fuzzes("relay.hop.header.parse_header")
def header(env: SimpleNamespace) -> Target:
    def feed(data: bytes) -> None:
        parsed = parse_header(data)
        if parsed is None:
            return
        assert parsed.size in (IPV4_HEADER_SIZE, IPV6_HEADER_SIZE)
        values = {name: getattr(parsed, name) for name in ("ingress", "client", "session", "tag", "generation")}
        packed = pack_header(parsed.direction, **values, validated=parsed.validated)
        assert packed == data[: parsed.size]  # exactly one spelling

    return Target(feed=feed, examples=hop_datagrams(env))


@fuzzes(
    "relay.hop.messages.parse_message",
    *{f"{each.parse.__module__}.{each.parse.__qualname__}" for each in typing.get_args(HopMessage)},  # some share one
)
def bodies(env: SimpleNamespace) -> Target:
    def feed(data: bytes) -> None:
        for record in typing.get_args(HopMessage):
            with suppress(MalformedError):
                message = parse_message(record.KIND, data)
                assert isinstance(message, record)
                for packed in getattr(message, "headers", ()):
                    announced = parse_header(packed)
                    assert announced is not None
                    assert (announced.direction, announced.size) == (UP, len(packed))
                writer = Writer()
                message.serialize(writer)
                assert parse_message(record.KIND, writer.finish()) == message

    packed = b"".join(
        pack_header(UP, ingress=1, client=client, session=7, tag=bytes(8)) for client in (CLIENT, ("2001:db8::1", 9))
    )
    lengths = [bytes(length) for length in range(0, 80, 5)]
    return Target(feed=feed, examples=[*lengths, *[b"\0\0\0\1\2" + packed] * 8, b"\0\0\0\1\xff" + packed])


# STUN.


@fuzzes(
    "stun.message.Message.parse",
    "stun.message.read_username",
    "stun.binding.receive_message",
    "stun.binding.check_request",
    "stun.binding.check_response",
    "stun.integrity.verify_message_integrity",
    "stun.integrity.verify_fingerprint",
    "stun.proofs.ProofRequests.check_answer",
)
def stun_message(env: SimpleNamespace) -> Target:
    ufrag = env.world.transceivers[0].mint(7)
    proofs = ProofRequests(local_ufrag=ufrag, entropy=env.weather.randbytes, interval=0.05, interval_limit=2.0)
    proofs.set_remote_credentials("abcd", KEY.decode())

    def feed(data: bytes) -> None:
        if len(data) >= 20 and env.weather.random() < 0.5:
            data = data[:2] + (len(data) - 20).to_bytes(2, "big") + data[4:]  # or the length alone would refuse most
        username = read_username(data)
        if username is not None:
            text = ":".join(username).encode()
            assert b"\0\6" + len(text).to_bytes(2, "big") + text in data
        verify_message_integrity(data, KEY)
        verify_fingerprint(data)
        received = receive_message(data)
        try:
            message = Message.parse(data)
        except MalformedError:
            assert not isinstance(received, Message)
            return
        said = message.get(stun_attributes.AttributeType.USERNAME)
        if username is not None:
            # The relay routes by what the transceiver will read.
            assert said is not None
            assert ":".join(username) == said.decode()
        check_request(message, data, ufrag=ufrag.encode(), key=KEY, own_role=0x8029)
        check_response(message, data, KEY)
        proofs.check_answer(message, data, Path(CLIENT, 1), 1.0)

    username, signature = b"\0\6\0\x03a:b\0", b"\0\x08\0\x14" + bytes(20)
    orders = [env.kit.stun(0x0001, b"i" * 12, first + second) for first, second in permutations((username, signature))]
    return Target(feed=feed, examples=[*orders, *client_datagrams(env)])


STUN_RECORDS = [value for value in vars(stun_attributes).values() if hasattr(value, "parse")]


@fuzzes(*(f"stun.attributes.{each.__name__}.parse" for each in STUN_RECORDS))
def stun_attribute(env: SimpleNamespace) -> Target:
    def feed(data: bytes) -> None:
        for record in STUN_RECORDS:
            with suppress(MalformedError):
                record.parse(Reader(data))

    return Target(feed=feed, examples=[b"\0\1\x9c\x40\xc0\0\2\1", b"\0\2\x9c\x40" + bytes(16), b"\0\0\4\1no", bytes(9)])


@fuzzes("stun.lite.IceLite.receive_datagram")
def lite(env: SimpleNamespace) -> Target:
    transceiver = env.world.transceivers[0]
    ufrag = transceiver.mint(7)
    agent = IceLite(
        local_ufrag=ufrag,
        local_pwd=env.kit.credentials.password(ufrag),
        entropy=env.weather.randbytes,
        now=1.0,
        remote_ufrag="abcd",
        remote_pwd="q" * 24,
    )

    def feed(data: bytes) -> None:
        list(agent.receive_datagram(data, Path(CLIENT, 1), 1.0))
        assert all(len(answer) <= 200 for answer, _ in agent.datagrams_to_send(1.0))

    return Target(feed=feed, examples=client_datagrams(env))


@fuzzes("stun.controlling.IceControlling.receive_datagram")
def controlling(env: SimpleNamespace) -> Target:
    agent = IceControlling(
        local_ufrag="abcd",
        local_pwd="p" * 24,
        remote_ufrag="efgh",
        remote_pwd="q" * 24,
        candidates=[(Path(CLIENT), 1)],
        entropy=env.weather.randbytes,
        now=1.0,
    )
    ((check, _),) = agent.datagrams_to_send(1.0)

    def feed(data: bytes) -> None:
        list(agent.receive_datagram(data, Path(CLIENT), 1.0))
        assert agent.selected is None

    answer = b"\x01\x01" + check[2:]
    request = env.kit.binding_request("abcd", "p" * 24)
    return Target(feed=feed, examples=[check, answer, request, *client_datagrams(env)])


# The tests.


@pytest.fixture
def env(world, kit, request) -> SimpleNamespace:
    """A world in which one call goes on and both ends have talked, and what went over its hop."""
    first = world.transceivers[0]
    recorded = []
    for _ in range(4):
        world.now += 1.0
        world.forwarder.handle_timeout(world.now)
        upward = [data for data, address in world.forwarder.to_transceivers if address == first.address]
        world.forwarder.to_transceivers.clear()
        for data in upward:
            first.link.receive_control(data, kit.relay_address, world.now)
        answers = [data for data, _ in first.link.datagrams_to_send(world.now)]
        for data in answers:
            world.forwarder.receive_from_hop(data, first.address, world.now)
        recorded += upward + answers
    world.call(first, 7, CLIENT)
    return SimpleNamespace(
        world=world,
        kit=kit,
        weather=random.Random(5),
        recorded=recorded,
        counter=1 << 40,
        reasons=set(DropReason),
        place=world.claim(7).place,
    )


def test_every_parser_is_fuzzed_or_excused():
    found = set(discovered())
    assert len(found) > 40
    assert not EXCUSED.keys() & TARGETS.keys()
    assert found - TARGETS.keys() - EXCUSED.keys() == set(), "enter them here"
    assert (TARGETS.keys() | EXCUSED.keys()) - found == set(), "these are gone"


@pytest.mark.parametrize("name", sorted({factory.__name__ for factory in TARGETS.values()}))
def test_nothing_escapes(env, kit, name):
    (factory,) = {factory for factory in TARGETS.values() if factory.__name__ == name}
    target = factory(env)
    weather = env.weather
    for example in target.examples:
        target.feed(example)
        for end in range(0, len(example), 1 + len(example) // 40):
            target.feed(example[:end])
    for _ in range(ROUNDS):
        data = weather.choice(target.examples)
        target.feed(kit.mutated(weather, data))
        target.feed(weather.randbytes(weather.choice([0, 1, 2, 3, 19, 20, 27, 28, 39, 40, 100, 1500])))
        assert kind_of(data) is not None or not data
