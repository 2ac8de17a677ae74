"""DTLS 1.2 and bytes that nobody should have sent: dropped with a reason, never raised, never believed."""

import random

import pytest

from dtls.association import DtlsAssociation
from dtls.cipher_suites import TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
from dtls.drops import DropReason
from dtls.events import ApplicationData, Connected
from dtls.groups import Group
from dtls.handshake.message import Fragment, HandshakeType, parse_fragments
from dtls.options import DtlsOptions, Role
from dtls.prf import RecordKeys
from dtls.protection12 import InboundProtection12, OutboundProtection12
from dtls.record_layer import MAX_EARLY_RECORDS
from dtls.records import ContentType, plaintext_header, split_datagram
from dtls.versions import Version
from wire.buffer import Writer
from wire.core import Closed
from wire.errors import AuthenticationError, LimitError, ReplayError

OPTIONS = DtlsOptions(versions=(Version.DTLS_1_2,), groups=(Group.X25519,), share_groups=(Group.X25519,))
BOTH = (Role.CLIENT, Role.SERVER)


def other(role):
    return Role.SERVER if role is Role.CLIENT else Role.CLIENT


def fragment(message_type, length, message_seq, offset, data):
    writer = Writer()
    Fragment(message_type, length, message_seq, offset, data).serialize(writer)
    return writer.finish()


def plaintext(content, content_type=22, epoch=0, sequence=0):
    return plaintext_header(content_type, epoch, sequence, len(content)) + content


def stage_name(network, role):
    return type(network[role]._stage).__name__


# Every byte of a handshake -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("index", "step"), [(0, 1), (1, 3), (2, 5), (3, 1)])
def test_flipped_bytes_of_every_datagram(make_network, index, step):
    """The datagram arrives damaged first, then whole: nothing raises, and no false `Connected` comes of it."""
    original = make_network(options=OPTIONS).connect().sent[index][2]
    closed = 0
    for position in range(0, len(original), step):
        network = make_network(options=OPTIONS)
        for number in range(index):
            deliver(network, BOTH[number % 2])
        sender, receiver = BOTH[index % 2], BOTH[1 - index % 2]
        (genuine,) = network[sender].datagrams_to_send(network.now)
        assert genuine == original
        damaged = bytearray(genuine)
        damaged[position] ^= 0x40 | 1 << position % 8
        for data in (bytes(damaged), genuine):
            network.events[receiver] += network[receiver].receive_datagram(data, network.now)
        network.run(100)
        if all(network[role].is_connected for role in BOTH):
            assert len({network[role].export_keying_material("x", 32) for role in BOTH}) == 1
        else:
            closed += 1
            assert any(network.closed(role) for role in BOTH), "nobody waits for ever"
    # The last flight is Finished and a ChangeCipherSpec that is not acted on: damage costs time and nothing else.
    assert index != 3 or not closed


def deliver(network, sender):
    for data in network[sender].datagrams_to_send(network.now):
        network.events[other(sender)] += network[other(sender)].receive_datagram(data, network.now)


@pytest.mark.parametrize("role", BOTH)
@pytest.mark.parametrize("flights", [0, 1, 2, 3, 4])
def test_noise_never_raises(make_network, role, flights):
    def fresh():
        network = make_network(options=OPTIONS)
        for number in range(flights):
            deliver(network, BOTH[number % 2])
        return network

    network = fresh()
    noise = random.Random(5)
    for _ in range(800):
        data = bytearray(noise.randbytes(noise.choice((0, 1, 2, 5, 13, 14, 25, 30, 90, 1200))))
        if len(data) > 13:
            # A header that nearly makes sense: any type, epoch 0 or 1, and the true length.
            header = plaintext_header(noise.choice((20, 21, 22, 23, 26)), noise.randrange(2), 7, len(data) - 13)
            data[:13] = header
        events = list(network[role].receive_datagram(bytes(data), network.now))
        assert not any(isinstance(event, Connected | ApplicationData) for event in events)
        if any(isinstance(event, Closed) for event in events):
            assert flights < 4
            network = fresh()
    network[role].receive_datagram(noise.randbytes(65507), network.now)
    if flights == 4:
        network.client.send(b"unharmed")
        network.run(1)
        assert network.events[Role.SERVER][-1] == ApplicationData(data=b"unharmed")


def test_mutated_handshakes_never_raise(make_network):
    """Several bytes changed, cut, repeated and swapped, in every flight."""
    source = random.Random(12)
    for _ in range(100):
        network = make_network(options=OPTIONS, seed=source.randrange(1000))

        def mangle(sender, data, _now, network=network):
            if source.random() < 0.4:
                damaged = bytearray(data)
                for _ in range(source.randint(1, 3)):
                    damaged[source.randrange(13, len(damaged))] = source.randrange(256)
                if source.random() < 0.3:
                    del damaged[source.randrange(len(damaged)) :]
                receiver = other(sender)
                network.events[receiver] += network[receiver].receive_datagram(bytes(damaged), network.now)
                return source.random() < 0.5
            return True

        network.filter = mangle
        network.run(20)
        if all(network[role].is_connected for role in BOTH):
            assert len({network[role].export_keying_material("x", 32) for role in BOTH}) == 1


# Records -------------------------------------------------------------------------------------------------------------

SUITE = TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
KEYS = RecordKeys(key=bytes(range(16)), iv=b"salt")


def raw_of(data):
    (raw,) = split_datagram(data)
    return raw


def test_every_byte_of_a_record_is_authenticated():
    record = OutboundProtection12(SUITE, KEYS, 5).seal(23, b"some content")
    for position in range(len(record)):
        if position in (11, 12):
            continue  # its length: a record that is cut off, or one with something behind it
        damaged = bytearray(record)
        damaged[position] ^= 1
        inbound = InboundProtection12(SUITE, KEYS)
        if position == 0:
            damaged[0] = 22
        with pytest.raises(AuthenticationError):
            inbound.open(raw_of(bytes(damaged)))
        assert inbound.failures == 1
        # What was not authentic has not moved the window.
        assert inbound.open(raw_of(record)).content == b"some content"


def test_a_record_shorter_than_nonce_and_tag():
    for size in (0, 8, 23):
        inbound = InboundProtection12(SUITE, KEYS)
        with pytest.raises(AuthenticationError):
            inbound.open(raw_of(plaintext(bytes(size), 23, 1)))


def test_the_nonce_of_a_peer_need_not_be_the_number():
    """RFC 5288 §3: the explicit part is the sender's choice; it comes from the record."""
    outbound = OutboundProtection12(SUITE, KEYS)
    nonce = b"whatever"
    content = b"content"
    associated_data = bytes.fromhex("0001 000000000009 17 fefd 0007")
    sealed = outbound._aead.encrypt(KEYS.iv + nonce, content, associated_data)
    record = InboundProtection12(SUITE, KEYS).open(raw_of(plaintext(nonce + sealed, 23, 1, 9)))
    assert (record.epoch, record.sequence, record.content_type, record.content) == (1, 9, 23, content)


def test_the_window_refuses_what_was_seen_and_what_is_too_old():
    outbound, inbound = OutboundProtection12(SUITE, KEYS), InboundProtection12(SUITE, KEYS)
    records = [outbound.seal(23, b"%d" % number) for number in range(300)]
    assert inbound.open(raw_of(records[-1])).sequence == 299
    for data in records[172:-1]:
        inbound.open(raw_of(data))
    for data in records:
        with pytest.raises(ReplayError):
            inbound.open(raw_of(data))


def test_too_many_failures_under_one_key_end_it():
    inbound = InboundProtection12(SUITE, KEYS)
    inbound.failures = SUITE.integrity_limit
    with pytest.raises(LimitError):
        inbound.open(raw_of(plaintext(bytes(60), 23, 1)))


def test_a_key_that_is_used_up_ends_the_association(make_network):
    network = make_network(options=OPTIONS).connect()
    network.server._records.outbound(1).next_sequence = SUITE.confidentiality_limit
    network.server.send(b"one too many")
    (closed,) = network.server.handle_timeout(network.now)
    assert closed.reason == "key-exhausted"
    network.run(1)
    assert network.closed(Role.CLIENT).reason == "close-notify"


def test_a_replayed_record_is_refused(make_network):
    network = make_network(options=OPTIONS).connect()
    network.client.send(b"pay 100")
    (data,) = network.client.datagrams_to_send(network.now)
    assert list(network.server.receive_datagram(data, network.now)) == [ApplicationData(data=b"pay 100")]
    for _ in range(3):
        assert list(network.server.receive_datagram(data, network.now)) == []
    assert network.server.drops == {DropReason.REPLAYED: 3}


def test_a_replayed_handshake_has_no_effect(make_network):
    """A replayed Finished too: its record was seen, so nobody can make a server repeat its own."""
    network = make_network(options=OPTIONS).connect()
    for _, sender, data in list(network.sent):
        receiver = other(sender)
        assert list(network[receiver].receive_datagram(data, network.now)) == []
        assert list(network[receiver].datagrams_to_send(network.now)) == []
    assert network.server.drops == {DropReason.UNPROTECTED_RECORD: 3, DropReason.REPLAYED: 1}
    assert network.client.drops == {DropReason.UNPROTECTED_RECORD: 2, DropReason.REPLAYED: 1}


@pytest.mark.parametrize("role", BOTH)
def test_records_that_belong_to_nothing(make_network, role):
    association = make_network(options=OPTIONS).connect()[role]
    for data, reason in (
        (plaintext(bytes(40), 23, 2), DropReason.UNKNOWN_EPOCH),
        (plaintext(bytes(40), 23, 1), DropReason.UNDECRYPTABLE),
        (plaintext(bytes(10), 23, 1), DropReason.UNDECRYPTABLE),
        (plaintext(b"in the clear", 23), DropReason.UNPROTECTED_RECORD),
        (b"\x2f\x00\x01\x00\x20" + bytes(32), DropReason.UNKNOWN_EPOCH),
        (plaintext(b"\x01", 20), DropReason.UNPROTECTED_RECORD),
        (plaintext(b"\x02\x28", 21), DropReason.UNPROTECTED_RECORD),
        (plaintext(fragment(1, 0, 0, 0, b"")), DropReason.UNPROTECTED_RECORD),
        (plaintext(b"abc", 23, 1)[:-1], DropReason.TRUNCATED_RECORD),
        (b"", DropReason.NOT_DTLS),
    ):
        before = association.drops[reason]
        assert list(association.receive_datagram(data, 0.0)) == []
        assert association.drops[reason] == before + 1
        assert list(association.datagrams_to_send(0.0)) == []
    assert association.is_connected


def test_early_records_are_few(make_network):
    network = make_network(options=OPTIONS)
    for number in range(MAX_EARLY_RECORDS + 5):
        network.server.receive_datagram(plaintext(bytes(40), 22, 1, number), network.now)
    assert network.server.drops == {DropReason.EARLY_RECORD_OVERFLOW: 5}
    network.connect()
    assert network.server.drops[DropReason.UNDECRYPTABLE] == MAX_EARLY_RECORDS


# ChangeCipherSpec ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", BOTH)
def test_an_early_change_cipher_spec_changes_nothing(make_network, role):
    """Whoever could switch keys on early would choose them (CVE-2014-0224)."""
    network = make_network(options=OPTIONS)
    network[role].receive_datagram(plaintext(b"\x01", 20), network.now)
    network.run(until=lambda: stage_name(network, role).endswith("12"))
    seen = network[role].drops[DropReason.UNEXPECTED_CONTENT_TYPE]
    if role is Role.SERVER:  # (the client has answered at once, and does wait for one)
        network[role].receive_datagram(plaintext(b"\x01", 20), network.now)
        seen += 1
        assert network[role]._records.inbound(1) is None
    assert network[role].drops == {DropReason.UNEXPECTED_CONTENT_TYPE: seen}
    assert seen >= 1
    network.connect()


def test_finished_counts_without_its_change_cipher_spec(make_network):
    """It may be lost by itself; the epoch in the record's header says the same."""
    network = make_network(options=OPTIONS)

    def remove(sender, data, _now):
        records = [data[: 13 + len(raw.payload)] for raw in split_datagram(data)]
        parts, at = [], 0
        for raw, record in zip(split_datagram(data), records, strict=True):
            parts.append((raw.content_type, data[at : at + len(record)]))
            at += len(record)
        kept = b"".join(part for content_type, part in parts if content_type != 20)
        if len(kept) < len(data):
            network.events[other(sender)] += network[other(sender)].receive_datagram(kept, network.now)
            return False
        return True

    network.filter = remove
    network.connect()
    assert not network.client.drops
    assert not network.server.drops


@pytest.mark.parametrize("content", [b"", b"\x00", b"\x02", b"\x01\x01"])
def test_a_change_cipher_spec_that_is_none_is_dropped(make_network, content):
    network = make_network(options=OPTIONS)
    network.run(until=lambda: network.client._channel.reassembly.epoch == 1)
    network.client.receive_datagram(plaintext(content, 20), network.now)
    assert network.client.drops == {DropReason.UNEXPECTED_CONTENT_TYPE: 1}
    network.client.receive_datagram(plaintext(b"\x01", 20), network.now)
    assert network.client.drops == {DropReason.UNEXPECTED_CONTENT_TYPE: 1}
    network.connect()


@pytest.mark.parametrize("role", BOTH)
def test_finished_in_the_clear_is_not_believed(make_network, role):
    """Neither when it is awaited, nor when it was put there ahead of its turn."""
    network = make_network(options=OPTIONS)
    message_seq = 5 if role is Role.CLIENT else 4
    forged = plaintext(fragment(HandshakeType.FINISHED, 12, message_seq, 0, bytes(12)))
    network.run(until=lambda: stage_name(network, Role.SERVER) == "Server12")
    network[role].receive_datagram(forged, network.now)
    network.run(until=lambda: network[role]._channel.reassembly.epoch == 1)
    if not network[role].is_connected:
        network[role].receive_datagram(forged, network.now)
        assert network[role].drops[DropReason.WRONG_EPOCH] == 1
    network.connect()


def test_messages_in_the_clear_are_not_taken_under_protection(make_network):
    """A client may not hide its Certificate in epoch 1: it would be read before the keys are agreed on."""
    network = make_network(options=OPTIONS)
    network.run(until=lambda: stage_name(network, Role.SERVER) == "Server12")
    record = plaintext(fragment(HandshakeType.CERTIFICATE, 3, 1, 0, bytes(3)), 22, 1)
    network.server.receive_datagram(record, network.now)
    assert not network.server.drops
    network.connect()
    assert network.server.drops == {DropReason.UNDECRYPTABLE: 1}


# Fragments -----------------------------------------------------------------------------------------------------------


def waiting_server(make_network):
    """A server that has answered and waits for a Certificate with message_seq 1."""
    network = make_network(options=OPTIONS)
    deliver(network, Role.CLIENT)
    list(network.server.datagrams_to_send(network.now))
    return network.server, network


def test_fragments_that_overlap_are_put_together_once(make_network):
    """Whatever the second says about bytes that are here: the first counts; then the real message is parsed."""
    server, _ = waiting_server(make_network)
    body = b"\x00\x00\x00"  # an empty certificate list
    for offset, data in ((0, body[:2]), (1, b"\x00"), (0, b"\xff\xff"), (1, b"\xff")):
        assert list(server.receive_datagram(plaintext(fragment(11, 3, 1, offset, data)), 0.0)) == []
    assert server.drops == {DropReason.REPEATED_FRAGMENT: 3}
    (closed,) = server.receive_datagram(plaintext(fragment(11, 3, 1, 1, body[1:])), 0.0)
    assert closed.reason == "no-certificate"


def test_fragments_that_never_complete_are_bounded(make_network):
    server, _ = waiting_server(make_network)
    for message_seq in range(1, 12):
        data = plaintext(fragment(11, OPTIONS.max_message_size, message_seq, 0, b"x"))
        assert list(server.receive_datagram(data, 0.0)) == []
    partials = server._channel.reassembly._partials
    assert sum(partial.buffer.length for partial in partials.values()) <= 2 * OPTIONS.max_message_size
    assert server.drops == {DropReason.MESSAGE_TOO_FAR_AHEAD: 9}
    server.receive_datagram(plaintext(fragment(11, OPTIONS.max_message_size + 1, 1, 0, b"x")), 0.0)
    assert server.drops[DropReason.MESSAGE_TOO_LARGE] == 1
    # It goes on sending its flight, and gives up in the end.
    for _ in range(50):
        if server.next_timeout() is None:
            break
        events = list(server.handle_timeout(server.next_timeout()))
    assert [event.reason for event in events] == ["handshake-timeout"]


def test_a_message_announced_too_early_cannot_block_the_true_one(make_network):
    """In the clear anybody may announce a message of another size; the newest announcement starts afresh."""
    server, network = waiting_server(make_network)
    server.receive_datagram(plaintext(fragment(11, 500, 1, 0, b"forged")), network.now)
    network.connect()
    assert network.server.drops[DropReason.INCONSISTENT_FRAGMENT] == 1


def test_malformed_fragments_and_bodies(make_network):
    for content, reason in (
        (b"", DropReason.MALFORMED_FRAGMENT),
        (fragment(11, 10, 1, 8, b"abc"), DropReason.MALFORMED_FRAGMENT),
        (fragment(11, 10, 1, 0, b"abc")[:-1], DropReason.MALFORMED_FRAGMENT),
        (fragment(11, 10, 99, 0, b"abc"), DropReason.MESSAGE_TOO_FAR_AHEAD),
        (fragment(11, 10, 0, 0, b"abc"), DropReason.OLD_MESSAGE),
    ):
        server, _ = waiting_server(make_network)
        assert list(server.receive_datagram(plaintext(content), 0.0)) == []
        assert server.drops == {reason: 1}
    for body in (b"", b"\x00", b"\x00\x00\x01", b"\x00\x00\x03\x00\x00\x00", b"\x00\x00\x00\x00"):
        server, _ = waiting_server(make_network)
        (closed,) = server.receive_datagram(plaintext(fragment(11, len(body), 1, 0, body)), 0.0)
        assert closed.reason == "malformed"
        (raw,) = split_datagram(next(iter(server.datagrams_to_send(0.0))))
        assert (raw.content_type, raw.payload) == (ContentType.ALERT, b"\x02\x32"), "decode_error"


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_flight_in_tiny_pieces_backwards(make_network, size):
    """Fragments of any size, in the worst order, each in a datagram of its own."""
    network = make_network(options=OPTIONS)
    network.filter = lambda sender, *_: sender is Role.CLIENT
    network.run(0.02)
    (flight,) = [data for _, sender, data in network.sent if sender is Role.SERVER]
    pieces = [
        plaintext(fragment(one.type, one.length, one.message_seq, at, one.data[at : at + size]))
        for raw in split_datagram(flight)
        for one in parse_fragments(raw.payload)
        for at in range(0, max(len(one.data), 1), size)
    ]
    for piece in reversed(pieces):
        network.events[Role.CLIENT] += network.client.receive_datagram(piece, network.now)
    network.filter = lambda *_: True
    network.run(0.1)
    assert network.client.is_connected
    assert not network.client.drops


# Lies of a peer that has keys ----------------------------------------------------------------------------------------


def test_a_plaintext_alert_is_believed_until_there_are_keys(make_network, identities):
    """Until then the peer has no other way to tell."""
    network = make_network(options=OPTIONS)
    (closed,) = network.client.receive_datagram(plaintext(b"\x02\x28", 21), network.now)
    assert closed == Closed(reason="peer-alert", detail="handshake_failure")
    server = DtlsAssociation(
        role=Role.SERVER, certificate=identities.server, peer_fingerprints=[], options=OPTIONS, entropy=bytes, now=0.0
    )
    assert list(server.receive_datagram(plaintext(b"\x01\x28", 21), 0.0)) == []
    assert list(server.receive_datagram(plaintext(b"\x02", 21), 0.0)) == []
    assert server.drops == {DropReason.IGNORED_ALERT: 1, DropReason.MALFORMED_ALERT: 1}
