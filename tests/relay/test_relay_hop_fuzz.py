"""Every parser of the hop: whatever comes, from a stranger or from who holds the key, is taken or counted.

Who holds the hop key can seal any body; so bodies are fuzzed inside good envelopes too.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.hop import messages
from relay.hop.drops import HopDropReason
from relay.hop.header import CONTROL, DOWN, SEALED, UP, pack_header, parse_header
from relay.hop.keys import HopKeys
from relay.hop.links import RelayLinks, TransceiverLink
from relay.hop.messages import (
    Announce,
    Announced,
    Confirm,
    Ended,
    Gone,
    Hello,
    Moved,
    Ping,
    Pong,
    Suspect,
    Welcome,
    Workers,
    parse_message,
)
from relay.hop.sealing import ANYONE, Opened, open_sealed, seal
from relay.hop.tunnel import Tunnel
from wire.buffer import Writer
from wire.errors import MalformedError

KEYS = HopKeys.derive({1: b"h" * 32}, 1)
RELAY, TRANSCEIVER = ("10.0.0.1", 4001), ("10.0.1.1", 5000)
U8, U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
ADDRESSES = st.tuples(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str), U16)
UP_HEADERS = st.builds(
    lambda ingress, client, session, tag, generation: pack_header(
        UP, ingress=ingress, client=client, session=session, tag=tag, generation=generation
    ),
    U16,
    ADDRESSES,
    U64,
    st.binary(min_size=8, max_size=8),
    U16,
)
NONCES = st.binary(min_size=16, max_size=16)
RECORDS = st.one_of(
    st.builds(Hello, nonce=NONCES),
    st.builds(Welcome, nonce=NONCES, cookie=NONCES, cluster=U16, incarnation=U32, worker=U8),
    st.builds(Confirm, cookie=NONCES, ingresses=st.lists(U16, max_size=255).map(tuple)),
    st.builds(Gone, session=U64, tag=st.binary(min_size=8, max_size=8)),
    st.builds(Workers, count=U8),
    st.builds(Announce, number=U32, headers=st.lists(UP_HEADERS, max_size=20).map(tuple)),
    st.builds(Announced, number=U32),
    st.builds(Ping, number=U32),
    st.builds(Pong, number=U32),
    st.builds(Ended, session=U64),
    st.builds(Moved, session=U64, generation=U16, cluster=U16, incarnation=U32, worker=U8),
    st.builds(Suspect, cluster=U16, incarnation=U32, worker=U8),
)


def body_of(record) -> bytes:
    writer = Writer()
    record.serialize(writer)
    return writer.finish()


class Body:
    """A body of any bytes, to be sealed."""

    def __init__(self, kind: int, body: bytes) -> None:
        self.KIND, self._body = kind, body

    def serialize(self, writer: Writer) -> None:
        writer.octets(self._body)


# Laws of the codecs.


@given(RECORDS)
def test_records_survive_the_wire(record):
    assert parse_message(record.KIND, body_of(record)) == record


@given(RECORDS, st.data())
def test_no_strict_prefix_is_the_same_message_and_no_byte_may_follow(record, data):
    body = body_of(record)
    cut = data.draw(st.integers(0, len(body) - 1))
    if not (isinstance(record, Confirm) and cut == 16):  # where a CONFIRM of revision 0 ends
        with pytest.raises(MalformedError):
            parse_message(record.KIND, body[:cut])
    if body != body_of(Confirm(cookie=bytes(16))) and not (isinstance(record, Confirm) and not record.ingresses):
        with pytest.raises(MalformedError):
            parse_message(record.KIND, body + b"\0")


@given(U8, st.binary(max_size=300))
def test_any_body_is_a_message_or_malformed_and_has_one_spelling(kind, body):
    try:
        message = parse_message(kind, body)
    except MalformedError:
        return
    if message is None:
        assert kind not in messages._BY_KIND
    elif not isinstance(message, Hello):  # its padding may be anything
        assert body_of(message) == body


@given(st.binary(max_size=100), st.sampled_from([UP, DOWN, CONTROL, 0x21]))
def test_any_header_parses_or_does_not(data, first):
    data = bytes((first,)) + data
    header = parse_header(data)
    if header is not None:
        fields = header._asdict()
        size = fields.pop("size")
        assert pack_header(fields.pop("direction"), **fields) == data[:size]


@given(st.binary(max_size=200))
def test_any_bytes_open_or_are_refused(data):
    for first in (b"", bytes((CONTROL,)), bytes((SEALED,))):
        assert isinstance(open_sealed(KEYS, first + data, receiver=1), HopDropReason)
        assert isinstance(
            Tunnel(keys=lambda: KEYS, number=1, peer=2, count=lambda: 1).open(first + data), HopDropReason
        )


@given(RECORDS, U64, U64, U8)
def test_what_is_sealed_opens(record, sender, counter, abilities):
    receiver = ANYONE if isinstance(record, Hello) else 5
    sealed = seal(KEYS, record, sender=sender, counter=counter, receiver=receiver, abilities=abilities)
    assert open_sealed(KEYS, sealed, receiver=5) == Opened(record, sender, counter, abilities)


# Both ends, with a link that is up.


class Ends:
    def __init__(self) -> None:
        self.now = 100.0
        self.relay = RelayLinks(
            keys=KEYS, transceivers=[TRANSCEIVER], entropy=random.Random(1).randbytes, now=self.now, ingresses=[1]
        )
        self.transceiver = TransceiverLink(
            keys=KEYS, cluster=1, incarnation=2, worker=0, entropy=random.Random(2).randbytes, now=self.now, workers=2
        )
        self.carry()

    def carry(self) -> None:
        list(self.relay.handle_timeout(self.now))
        for _ in range(3):
            for data, address in self.relay.datagrams_to_send(self.now):
                if address == TRANSCEIVER:
                    list(self.transceiver.receive_control(data, RELAY, self.now))
            for data, _ in self.transceiver.datagrams_to_send(self.now):
                list(self.relay.receive_control(data, TRANSCEIVER, self.now))

    def check(self, data: bytes) -> None:
        """Give a datagram to both; each takes or counts it, and says no more than its tables allow."""
        list(self.relay.receive_control(data, TRANSCEIVER, self.now))
        list(self.transceiver.receive_control(data, RELAY, self.now))
        list(self.relay.datagrams_to_send(self.now))
        list(self.transceiver.datagrams_to_send(self.now))
        assert len(self.relay._peers) <= 256
        assert len(self.transceiver._relays) <= 1


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.one_of(st.integers(0, 13), U8), st.one_of(st.binary(max_size=80), RECORDS.map(body_of))),
        max_size=12,
    )
)
def test_any_body_from_who_holds_the_key_harms_neither_end(bodies):
    ends = Ends()
    peer = ends.relay._peers[TRANSCEIVER]
    for counter, (kind, body) in enumerate(bodies, 1000):
        to_relay = {"sender": peer.number, "receiver": peer.own_number}
        to_transceiver = {"sender": peer.own_number, "receiver": ANYONE if kind == Hello.KIND else peer.number}
        for direction in (to_relay, to_transceiver):
            ends.check(seal(KEYS, Body(kind, body), counter=counter, **direction))
        peer = ends.relay._peers[TRANSCEIVER]
    ends.now += 1.5
    ends.carry()
    ends.now += 1.5
    ends.carry()
    assert TRANSCEIVER in ends.relay.up, "the link goes on, or comes back"


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_and_changed_messages_are_counted(world, kit, seed):
    weather = random.Random(seed)
    first = world.transceivers[0]
    world.call(first, 7, ("192.0.2.1", 40000))
    forwarder, link = world.forwarder, first.link
    number = link._relays[kit.relay_address].number
    good = [
        seal(kit.hop_keys, message, sender=link._number, counter=counter, receiver=number)
        for counter, message in enumerate(
            [Gone(session=8, tag=bytes(8)), Ended(session=8), Announce(number=1, headers=()), Pong(number=1)], 1000
        )
    ]
    for _ in range(2000):
        if weather.random() < 0.5:
            data = bytes((weather.choice([CONTROL, SEALED, DOWN, UP]),)) + weather.randbytes(weather.randrange(90))
        else:
            changed = bytearray(weather.choice(good))
            changed[weather.randrange(len(changed))] ^= 1 << weather.randrange(8)
            data = bytes(changed)
        before = sum((forwarder.drops + forwarder.links.drops).values())
        forwarder.receive_from_hop(data, first.address, world.now)
        assert sum((forwarder.drops + forwarder.links.drops).values()) == before + 1
        before = sum(link.drops.values())
        if data[0] == CONTROL:
            list(link.receive_control(data, kit.relay_address, world.now))
            assert sum(link.drops.values()) == before + 1
    assert len(forwarder.table) == 1
    assert forwarder.live_transceivers == 2
