"""Bytes that nobody should have sent: dropped with a reason, never raised, never believed."""

import random

import attrs
import pytest

from dtls.association import DtlsAssociation
from dtls.drops import DropReason
from dtls.events import ApplicationData, Connected
from dtls.groups import Group
from dtls.handshake.message import Fragment, HandshakeType
from dtls.options import DtlsOptions, Role, TimerOptions
from dtls.record_layer import MAX_EARLY_RECORDS
from dtls.records import ContentType, Record, plaintext_header, split_datagram
from dtls.versions import Version
from wire.buffer import Writer
from wire.core import Closed

OPTIONS = DtlsOptions(groups=(Group.X25519,), share_groups=(Group.X25519,))


def fragment(message_type, length, message_seq, offset, data):
    writer = Writer()
    Fragment(message_type, length, message_seq, offset, data).serialize(writer)
    return writer.finish()


def plaintext(content, content_type=22, epoch=0, sequence=0):
    return plaintext_header(content_type, epoch, sequence, len(content)) + content


def server(identities, options=OPTIONS):
    return DtlsAssociation(
        role=Role.SERVER, certificate=identities.server, peer_fingerprints=[], options=options, entropy=bytes, now=0.0
    )


# Every byte of a handshake -------------------------------------------------------------------------------------------


def recorded_handshake(make_network):
    network = make_network(options=OPTIONS).connect()
    return [(sender, data) for _, sender, data in network.sent]


@pytest.mark.parametrize("index", range(4))
def test_every_flipped_byte_of_every_datagram(make_network, index):
    """The datagram arrives damaged first, then whole: nothing raises, and no false `Connected` comes of it."""
    sender, original = recorded_handshake(make_network)[index]
    for position in range(len(original)):
        network = make_network(options=OPTIONS)
        for number in range(index):
            deliver(network, recorded_sender(number))
        (genuine,) = network[sender].datagrams_to_send(network.now)
        assert genuine == original
        damaged = bytearray(genuine)
        damaged[position] ^= 0x40 | 1 << position % 8
        receiver = Role.SERVER if sender is Role.CLIENT else Role.CLIENT
        for data in (bytes(damaged), genuine):
            network.events[receiver] += network[receiver].receive_datagram(data, network.now)
        network.run(100)
        connected = [any(isinstance(e, Connected) for e in network.events[role]) for role in Role]
        if all(connected) and all(network[role].is_connected for role in Role):
            keys = {network[role].export_keying_material("x", 32) for role in Role}
            assert len(keys) == 1
        if index >= 2:
            # Behind the hellos all is authenticated: damage costs time and nothing else.
            assert all(connected), (position, network.events)


def recorded_sender(number):
    return Role.CLIENT if number % 2 == 0 else Role.SERVER


def deliver(network, sender):
    receiver = Role.SERVER if sender is Role.CLIENT else Role.CLIENT
    for data in network[sender].datagrams_to_send(network.now):
        network.events[receiver] += network[receiver].receive_datagram(data, network.now)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("connected", [False, True])
def test_noise_never_raises(make_network, role, connected):
    network = make_network(options=OPTIONS)
    if connected:
        network.connect()
    noise = random.Random(5)
    for _ in range(2000):
        data = bytearray(noise.randbytes(noise.choice((0, 1, 2, 5, 13, 14, 30, 90, 1200))))
        if data:
            data[0] = noise.choice((20, 21, 22, 23, 24, 25, 26, 0x20, 0x2C, 0x2D, 0x2E, 0x2F, 0x3F, data[0]))
        events = list(network[role].receive_datagram(bytes(data), network.now))
        assert not any(isinstance(event, Connected | ApplicationData) for event in events)
        if any(isinstance(event, Closed) for event in events):
            assert not connected
            network = make_network(options=OPTIONS)
    network[role].receive_datagram(noise.randbytes(65507), network.now)
    if connected:
        network.client.send(b"unharmed")
        network.run(1)
        assert network.events[Role.SERVER][-1] == ApplicationData(data=b"unharmed")


# Records -------------------------------------------------------------------------------------------------------------


def test_a_replayed_record_is_refused(make_network):
    network = make_network(options=OPTIONS).connect()
    network.client.send(b"pay 100")
    (data,) = network.client.datagrams_to_send(network.now)
    assert list(network.server.receive_datagram(data, network.now)) == [ApplicationData(data=b"pay 100")]
    for _ in range(3):
        assert list(network.server.receive_datagram(data, network.now)) == []
    assert network.server.drops[DropReason.REPLAYED] == 3


def test_a_record_older_than_the_window_is_refused(make_network):
    network = make_network(options=OPTIONS).connect()
    datagrams = []
    for number in range(300):
        network.client.send(b"%d" % number)
        datagrams += network.client.datagrams_to_send(network.now)
    network.server.receive_datagram(datagrams[-1], network.now)
    late = [list(network.server.receive_datagram(data, network.now)) for data in datagrams[:-1]]
    accepted = [events for events in late if events]
    assert len(accepted) == 127
    assert late[-127:] == accepted
    assert network.server.drops[DropReason.REPLAYED] == 300 - 128


def test_a_replayed_handshake_has_no_effect(make_network):
    network = make_network(options=OPTIONS).connect()
    for _, sender, data in list(network.sent):
        receiver = Role.SERVER if sender is Role.CLIENT else Role.CLIENT
        assert list(network[receiver].receive_datagram(data, network.now)) == []
        assert list(network[receiver].datagrams_to_send(network.now)) == []


def test_a_forged_record_is_dropped(make_network):
    network = make_network(options=OPTIONS).connect()
    network.client.send(b"x" * 40)
    (data,) = network.client.datagrams_to_send(network.now)
    for position in range(1, len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1
        assert list(network.server.receive_datagram(bytes(damaged), network.now)) == []
    # Damage to the header's length makes a record that is cut off, or one with something behind it.
    drops = network.server.drops
    assert drops[DropReason.UNDECRYPTABLE] + drops[DropReason.TRUNCATED_RECORD] >= len(data) - 1
    assert list(network.server.receive_datagram(data, network.now)) == [ApplicationData(data=b"x" * 40)]


def test_records_from_a_stranger_with_a_connection_id_or_an_unknown_epoch(make_network):
    network = make_network(options=OPTIONS).connect()
    network.run(300)
    server = network.server
    for first, reason in (
        (0x3F, DropReason.CONNECTION_ID),
        (0x2C, DropReason.UNKNOWN_EPOCH),
        (0x2D, DropReason.UNKNOWN_EPOCH),
        (0x2E, DropReason.UNKNOWN_EPOCH),
        (0x2F, DropReason.UNDECRYPTABLE),
        (0x40, DropReason.NOT_DTLS),
        (25, DropReason.NOT_DTLS),
    ):
        before = server.drops[reason]
        server.receive_datagram(bytes((first,)) + b"\0\x01\0\x20" + bytes(32), network.now)
        assert server.drops[reason] == before + 1, hex(first)
    for data in (b"\x2f", b"\x2f\0\x01\0\x21" + bytes(32), b"\x16\xfe\xfd", plaintext(b"abc")[:-1]):
        before = server.drops[DropReason.TRUNCATED_RECORD]
        server.receive_datagram(data, network.now)
        assert server.drops[DropReason.TRUNCATED_RECORD] == before + 1
    server.receive_datagram(b"\x2f\0\x01\0\x0f" + bytes(15), network.now)  # shorter than the sample of its mask
    assert server.drops[DropReason.UNDECRYPTABLE] == 2
    server.receive_datagram(b"", network.now)
    assert server.drops[DropReason.NOT_DTLS] == 3


def test_plaintext_is_not_believed_once_there_are_keys(make_network):
    network = make_network(options=OPTIONS).connect()
    for content_type, content in ((21, b"\x02\x28"), (21, b"\x01\x00"), (22, fragment(1, 0, 0, 0, b"")), (23, b"data")):
        for role in Role:
            assert list(network[role].receive_datagram(plaintext(content, content_type), network.now)) == []
            assert list(network[role].datagrams_to_send(network.now)) == []
    for role in Role:
        assert network[role].drops[DropReason.UNPROTECTED_RECORD] == 4
        assert network[role].is_connected


def test_a_plaintext_ack_neither_silences_nor_excites(make_network):
    network = make_network(options=OPTIONS)
    list(network.client.datagrams_to_send(network.now))
    ack = Writer().vector(2, bytes(16)).finish()
    network.client.receive_datagram(plaintext(ack, ContentType.ACK), network.now)
    assert list(network.client.datagrams_to_send(network.now)) == []
    network.client.handle_timeout(network.now + 0.4)
    assert len(list(network.client.datagrams_to_send(network.now + 0.4))) == 1
    assert network.client.drops[DropReason.UNEXPECTED_CONTENT_TYPE] == 1


def test_early_records_are_few(make_network):
    """Records whose keys are not there yet wait, a bounded number of them."""
    network = make_network(options=OPTIONS)
    for number in range(MAX_EARLY_RECORDS + 5):
        network.client.receive_datagram(b"\x2e" + bytes((0, number, 0, 32)) + bytes(32), network.now)
    assert network.client.drops[DropReason.EARLY_RECORD_OVERFLOW] == 5
    network.client.receive_datagram(b"\x2e\x00\x01\x08\x01" + bytes(2049), network.now)
    assert network.client.drops[DropReason.UNKNOWN_EPOCH] == 1
    network.connect()
    assert network.client.drops[DropReason.UNDECRYPTABLE] == MAX_EARLY_RECORDS


def test_records_of_an_epoch_that_never_comes_do_not_wait_for_ever(make_network):
    network = make_network(options=OPTIONS)
    network.client.receive_datagram(b"\x2d\x00\x01\x00\x20" + bytes(32), network.now)
    assert not network.client.drops
    network.connect()
    assert network.client.drops == {DropReason.UNKNOWN_EPOCH: 1}
    assert network.client._records._early == []


def test_a_plaintext_hello_does_not_hasten_a_server_that_has_heard_from_the_client(make_network):
    network = make_network(options=DtlsOptions(groups=(Group.X25519,), share_groups=(Group.X25519,), mtu=256))
    sent = []

    def lose_the_rest(sender, data, _now):
        sent.append((sender, data))
        return [sender for sender, _ in sent].count(Role.CLIENT) < 3 or sender is Role.SERVER

    network.filter = lose_the_rest
    network.run(0.03)
    deadline = network.server._channel.timer.deadline
    network.server.receive_datagram(sent[0][1], network.now)
    assert network.server.drops[DropReason.UNPROTECTED_RECORD] == 1
    assert network.server._channel.timer.deadline == deadline


def test_a_record_of_which_something_was_refused_is_not_acknowledged(make_network):
    """RFC 9147 §7: else its sender would never send that part again."""
    network = make_network(options=OPTIONS)
    network.run(until=lambda: type(network.server._stage).__name__ == "Server13")
    channel = network.server._channel
    good, far = fragment(11, 40, 1, 0, b"x" * 10), fragment(11, 40, 99, 0, b"x" * 10)
    channel.receive(Record(2, 0, 22, good + far), network.now)
    assert not channel.received
    channel.receive(Record(2, 1, 22, good), network.now)
    assert channel.received.ack(3).record_numbers == ((2, 1),)


def test_before_the_handshake_nothing_else_is_taken(identities):
    association = server(identities)
    for content_type in (20, 23, 26):
        association.receive_datagram(plaintext(b"\x01", content_type), 0.0)
    assert association.drops == {DropReason.UNEXPECTED_CONTENT_TYPE: 2, DropReason.UNPROTECTED_RECORD: 1}
    assert list(association.datagrams_to_send(0.0)) == []


# Fragments -----------------------------------------------------------------------------------------------------------


def test_fragments_that_never_complete_are_bounded(identities):
    association = server(identities)
    for number in range(500):
        # Of the one message that may be held, every second byte.
        data = plaintext(fragment(HandshakeType.CLIENT_HELLO, 4000, 0, 2 * number, b"x"))
        assert list(association.receive_datagram(data, 0.0)) == []
    assert association.drops[DropReason.INCONSISTENT_FRAGMENT] == 500 - 64
    for message_seq in range(1, 100):
        association.receive_datagram(plaintext(fragment(1, 4000, message_seq, 0, b"x")), 0.0)
    assert association.drops[DropReason.MESSAGE_TOO_FAR_AHEAD] == 99
    association.receive_datagram(plaintext(fragment(1, 1 << 20, 0, 0, b"x")), 0.0)
    assert association.drops[DropReason.MESSAGE_TOO_LARGE] == 1
    assert association.next_timeout() is None


def test_overlapping_fragments_make_the_same_message(make_network):
    network = make_network(options=OPTIONS)
    (hello,) = network.client.datagrams_to_send(network.now)
    body = hello[25:]
    for start, end in ((60, 110), (0, 80), (75, 90), (100, len(body) - 1), (0, len(body))):
        piece = plaintext(fragment(1, len(body), 0, start, body[start:end]))
        network.server.receive_datagram(piece, network.now)
    network.connect()
    assert network.server.drops[DropReason.REPEATED_FRAGMENT] == 1


def test_one_forged_fragment_does_not_lock_the_client_out(make_network):
    """It claims another length; the genuine ClientHello starts afresh."""
    network = make_network(options=OPTIONS)
    network.server.receive_datagram(plaintext(fragment(1, 9999, 0, 0, b"forged")), network.now)
    network.connect()
    assert network.server.drops[DropReason.INCONSISTENT_FRAGMENT] == 1


def test_one_forged_fragment_does_not_silence_the_client(make_network):
    """A fragment in the clear is no answer; the ClientHello is still repeated."""
    network = make_network(options=OPTIONS)
    network.filter = lambda _sender, _data, now: now > 1000.1
    network.run(0.05)
    network.client.receive_datagram(plaintext(fragment(HandshakeType.SERVER_HELLO, 90, 0, 0, b"forged")), network.now)
    network.connect()


def test_malformed_fragments(identities):
    association = server(identities)
    for content in (
        b"",
        b"\x01",
        fragment(1, 10, 0, 0, b"")[:-1],
        fragment(1, 10, 0, 8, b"abc"),
        fragment(1, 10, 0, 11, b""),
    ):
        association.receive_datagram(plaintext(content), 0.0)
    assert association.drops == {DropReason.MALFORMED_FRAGMENT: 5}


@pytest.mark.parametrize(
    ("versions", "reason", "count"),
    [
        ((Version.DTLS_1_3,), DropReason.MESSAGE_TOO_FAR_AHEAD, 15),
        # 1.2 sends the rest of its flight in the clear, so it is held until the ServerHello says what it is worth.
        ((Version.DTLS_1_3, Version.DTLS_1_2), DropReason.INCONSISTENT_FRAGMENT, 10),
    ],
)
def test_plaintext_fragments_do_not_disturb_the_protected_flight(make_network, versions, reason, count):
    """Behind the ServerHello a fragment in the clear is refused, whatever message it claims to be of."""
    network = make_network(options=attrs.evolve(OPTIONS, versions=versions))
    injected = [plaintext(fragment(kind, 40, seq, 0, b"x" * 40)) for seq in range(1, 6) for kind in (8, 11, 20)]

    def inject(sender, data, _now):
        if sender is Role.SERVER and injected:
            while injected:
                network.client.receive_datagram(injected.pop(), network.now)
        return True

    network.filter = inject
    network.connect()
    assert network.client.version == "DTLS 1.3"
    assert network.client.drops[reason] == count


# Authentic, and wrong ------------------------------------------------------------------------------------------------


def sealed(association, content_type, content, epoch=3):
    """A record that the association's own keys protect."""
    association._records.send(content_type, content, epoch)
    return list(association.datagrams_to_send(0.0))[-1]


@pytest.mark.parametrize(
    ("content_type", "content", "reason"),
    [
        (21, b"", DropReason.MALFORMED_ALERT),
        (21, b"\x01\x00\x00", DropReason.MALFORMED_ALERT),
        (21, b"\x01\x5a", DropReason.IGNORED_ALERT),
        (26, b"", DropReason.MALFORMED_ACK),
        (26, b"\x00\x11" + bytes(17), DropReason.MALFORMED_ACK),
        (22, b"\x18", DropReason.MALFORMED_FRAGMENT),
        (22, fragment(24, 1, 4, 0, b"\0"), DropReason.POST_HANDSHAKE_MESSAGE),
        (22, fragment(13, 1, 4, 0, b"\0"), DropReason.POST_HANDSHAKE_MESSAGE),
        (20, b"\x01", DropReason.UNEXPECTED_CONTENT_TYPE),
        (24, b"heartbeat", DropReason.UNEXPECTED_CONTENT_TYPE),
        (0, b"", DropReason.EMPTY_RECORD),
    ],
)
def test_what_an_authentic_peer_gets_wrong_is_dropped(make_network, content_type, content, reason):
    network = make_network(options=OPTIONS).connect()
    data = sealed(network.server, content_type, content)
    assert list(network.client.receive_datagram(data, network.now)) == []
    assert network.client.drops == {reason: 1}
    assert list(network.client.datagrams_to_send(network.now)) == []
    assert network.client.is_connected


def test_padding_is_removed(make_network):
    network = make_network(options=OPTIONS).connect()
    # content ‖ type ‖ zeros: what the sealer takes for the type is the last zero.
    data = sealed(network.client, 0, b"padded\x17" + bytes(30))
    assert list(network.server.receive_datagram(data, network.now)) == [ApplicationData(data=b"padded")]


@pytest.mark.parametrize("level", [1, 2, 99])
def test_a_protected_alert_ends_the_association(make_network, level):
    network = make_network(options=OPTIONS).connect()
    data = sealed(network.server, 21, bytes((level, 80)))
    assert list(network.client.receive_datagram(data, network.now)) == [
        Closed(reason="peer-alert", detail="internal_error")
    ]
    after = sealed(network.server, 23, b"after the end")
    assert list(network.client.receive_datagram(after, network.now)) == []
    assert network.client.drops[DropReason.AFTER_CLOSE] == 1


def test_an_alert_without_a_name(make_network):
    network = make_network(options=OPTIONS).connect()
    data = sealed(network.server, 21, b"\x02\xc8")
    (closed,) = network.client.receive_datagram(data, network.now)
    assert closed.detail == "alert 200"


def test_a_session_ticket_is_acknowledged_and_forgotten(make_network):
    network = make_network(options=OPTIONS).connect()
    data = sealed(network.server, 22, fragment(HandshakeType.NEW_SESSION_TICKET, 5, 6, 0, b"token"))
    assert list(network.client.receive_datagram(data, network.now)) == []
    (ack,) = network.client.datagrams_to_send(network.now)
    (record,) = network.server._records.receive(ack)
    assert record.content_type == ContentType.ACK
    # Epoch 3, record 1: the ACK of the handshake was record 0.
    assert record.content == bytes.fromhex("0010 0000000000000003 0000000000000001".replace(" ", ""))


def test_an_ack_for_records_that_never_were(make_network):
    network = make_network(options=OPTIONS)
    network.filter = lambda sender, data, _now: sender is Role.CLIENT or data[0] == 22
    network.run(0.05)
    assert network.client.is_connected
    nonsense = (
        Writer().vector(2, b"".join(bytes(7) + b"\x02" + bytes(7) + bytes((n,)) for n in range(100, 200))).finish()
    )
    before = network.client.next_timeout()
    network.client.receive_datagram(sealed(network.server, 26, nonsense), network.now)
    assert network.client.next_timeout() == before
    assert list(network.client.datagrams_to_send(network.now)) == []


def test_after_closing_everything_is_ignored(make_network):
    network = make_network(options=OPTIONS).connect()
    network.server.send(b"x")
    (data,) = network.server.datagrams_to_send(network.now)
    network.client.close()
    list(network.client.datagrams_to_send(network.now))
    assert list(network.client.receive_datagram(data, network.now)) == []
    assert list(network.client.handle_timeout(network.now + 1000)) == []
    assert list(network.client.datagrams_to_send(network.now + 1000)) == []
    network.client.set_peer_fingerprints([])
    network.client.close()
    assert network.client.next_timeout() is None


def test_the_key_is_not_used_beyond_its_limit(make_network):
    network = make_network(options=OPTIONS).connect()
    network.client._records.outbound(3).next_sequence = 1 << 24
    network.client.send(b"one too many")
    (closed,) = network.client.handle_timeout(network.now)
    assert closed.reason == "key-exhausted"
    (alert,) = network.client.datagrams_to_send(network.now)
    assert len(list(split_datagram(alert))) == 1


def test_too_many_forgeries_under_one_key_end_the_association(make_network):
    """RFC 9147 §4.5.3: 2^36 of them; here the count is moved up."""
    network = make_network(options=OPTIONS).connect()
    network.client._records.inbound(3).failures = 1 << 36
    forged = b"\x2f\x00\x09\x00\x20" + bytes(32)
    (closed,) = network.client.receive_datagram(forged, network.now)
    assert closed.reason == "limit"


def test_a_silent_flood_does_not_make_a_server_talk(identities):
    """Garbage that looks like handshake gets no answer at all."""
    association = server(identities, DtlsOptions(timers=TimerOptions(initial=0.05)))
    for seed in range(200):
        noise = random.Random(seed).randbytes(60)
        association.receive_datagram(plaintext(fragment(1, 500, 0, seed % 400, noise[:40])), 0.0)
    assert list(association.datagrams_to_send(0.0)) == []
