"""A whole DTLS 1.2 handshake between our own two sides, in good weather, and what comes after it."""

import attrs
import pytest

from dtls.alerts import Alert, AlertDescription, AlertLevel
from dtls.association import DtlsAssociation
from dtls.certificate import Fingerprint
from dtls.drops import DropReason
from dtls.events import ApplicationData, Connected
from dtls.extensions.block import ExtensionType
from dtls.extensions.legacy import EcPointFormats, ExtendedMasterSecret, RenegotiationInfo
from dtls.extensions.srtp import UseSrtp
from dtls.groups import Group
from dtls.handshake.body import parse_body, serialize_body
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.hello_verify_request import HelloVerifyRequest
from dtls.handshake.message import Fragment, HandshakeType, parse_fragments
from dtls.handshake.server_hello import DOWNGRADE_TO_1_2, ServerHello
from dtls.options import DtlsOptions, Role
from dtls.records import ContentType, plaintext_header, split_datagram
from dtls.versions import Version
from wire.buffer import Reader, Writer
from wire.core import Closed
from wire.errors import MalformedError

BOTH = (Role.CLIENT, Role.SERVER)
LABEL = "EXTRACTOR-dtls_srtp"
V12, V13 = Version.DTLS_1_2, Version.DTLS_1_3
ONLY_12 = DtlsOptions(versions=(V12,))


def other(role):
    return Role.SERVER if role is Role.CLIENT else Role.CLIENT


def messages(network, sender):
    """Messages in the clear that a side sent, whole ones only."""
    found = []
    for _, side, data in network.sent:
        if side is sender:
            for raw in split_datagram(data):
                if raw.content_type == ContentType.HANDSHAKE and raw.epoch == 0:
                    found += parse_fragments(raw.payload)
    return found


def hello_of(network, sender):
    first = messages(network, sender)[0]
    return parse_body(ClientHello if sender is Role.CLIENT else ServerHello, first.data)


# Agreement -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [Group.X25519, Group.SECP256R1])
def test_each_group_connects_and_agrees(make_network, identities, group):
    options = DtlsOptions(versions=(V12,), groups=(group,), share_groups=(group,))
    network = make_network(options=options).connect()
    for role, peer in ((Role.CLIENT, identities.server), (Role.SERVER, identities.client)):
        association = network[role]
        connected = Connected(
            version="DTLS 1.2",
            cipher_suite="TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            group=group.iana_name,
            srtp_profile=7,
            peer_fingerprint=peer.fingerprint(),
        )
        assert network.events[role] == [connected]
        assert association.version == "DTLS 1.2"
        assert association.cipher_suite == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
        assert association.group == group.iana_name
        assert association.srtp_profile == 7
        assert not association.drops
        assert association.next_timeout() is None, "an established association of 1.2 needs no timer"
    assert network.client.export_keying_material(LABEL, 56) == network.server.export_keying_material(LABEL, 56)
    assert network.client.export_keying_material(LABEL, 56) != network.client.export_keying_material("other", 56)
    assert len(network.client.export_keying_material(LABEL, 301)) == 301


def test_without_a_group_of_12_in_the_options_it_is_p256(make_network):
    """RFC 8827 §6.5: everybody has P-256."""
    options = DtlsOptions(versions=(V12,), groups=(Group.X25519MLKEM768,), share_groups=(Group.X25519MLKEM768,))
    assert make_network(options=options).connect().client.group == "secp256r1"


def test_each_flight_is_as_small_as_can_be(make_network):
    network = make_network(options=ONLY_12).connect()
    assert [sender for _, sender, _ in network.sent] == [Role.CLIENT, Role.SERVER, Role.CLIENT, Role.SERVER]


def test_no_datagram_is_larger_than_the_mtu(make_network):
    for mtu in (256, 300, 548, 1200):
        network = make_network(options=DtlsOptions(mtu=mtu)).connect()
        network = make_network(options=attrs.evolve(ONLY_12, mtu=mtu)).connect()
        assert max(len(data) for _, _, data in network.sent) <= mtu


def test_the_order_of_records_in_each_flight(make_network):
    """RFC 5246 §7.3: ChangeCipherSpec right before Finished, in the epoch before, and it is one byte."""
    network = make_network(options=ONLY_12).connect()
    _, server, client, last = [list(split_datagram(data)) for _, _, data in network.sent]
    assert [fragment.type for fragment in parse_fragments(server[0].payload)] == [2, 11, 12, 13, 14]
    assert [fragment.type for fragment in parse_fragments(client[0].payload)] == [11, 16, 15]
    for flight in (client[1:], last):
        assert [(raw.content_type, raw.epoch, raw.sequence) for raw in flight[1:]] == [(22, 1, 0)]
        assert (flight[0].content_type, flight[0].epoch, flight[0].payload) == (20, 0, b"\x01")


def test_a_handshake_replays_byte_for_byte(make_network):
    runs = [make_network(seed=7, options=ONLY_12).connect().sent for _ in range(2)]
    assert runs[0] == runs[1]
    assert make_network(seed=8, options=ONLY_12).connect().sent != runs[0]


# Hellos --------------------------------------------------------------------------------------------------------------


def test_what_the_client_offers(make_network):
    network = make_network(options=DtlsOptions(versions=(V12,), srtp_profiles=(7, 1))).connect()
    hello = hello_of(network, Role.CLIENT)
    assert hello.cipher_suites == (0xC02B,)
    assert hello.extensions.get(ExtendedMasterSecret) == ExtendedMasterSecret()
    assert hello.extensions.get(RenegotiationInfo) == RenegotiationInfo()
    assert hello.extensions.get(EcPointFormats) == EcPointFormats(formats=b"\0")
    assert hello.extensions.get(UseSrtp) == UseSrtp(profiles=(7, 1))
    assert ExtensionType.KEY_SHARE not in hello.extensions.types
    assert (hello.legacy_session_id, hello.legacy_cookie) == (b"", b"")


def test_what_the_server_answers(make_network):
    network = make_network(options=ONLY_12).connect()
    hello = hello_of(network, Role.SERVER)
    assert hello.cipher_suite == 0xC02B
    assert hello.extensions.types == {
        ExtensionType.EXTENDED_MASTER_SECRET,
        ExtensionType.RENEGOTIATION_INFO,
        ExtensionType.EC_POINT_FORMATS,
        ExtensionType.USE_SRTP,
    }
    assert hello.extensions.get(RenegotiationInfo) == RenegotiationInfo()
    assert hello.extensions.get(UseSrtp) == UseSrtp(profiles=(7,))
    assert hello.legacy_session_id_echo == b""


@pytest.mark.parametrize(
    ("client", "server", "chosen"),
    [((7, 8, 1), (1,), 1), ((1, 7), (7, 8, 1), 7), ((8,), (7, 1), None), ((), (7,), None)],
)
def test_the_server_chooses_the_srtp_profile(make_network, client, server, chosen):
    network = make_network(
        client_options=DtlsOptions(versions=(V12,), srtp_profiles=client),
        server_options=DtlsOptions(versions=(V12,), srtp_profiles=server),
    ).connect()
    assert network.client.srtp_profile == network.server.srtp_profile == chosen
    assert (ExtensionType.USE_SRTP in hello_of(network, Role.SERVER).extensions.types) == (chosen is not None)


@pytest.mark.parametrize(
    ("client", "server", "chosen"),
    [
        ((V13, V12), (V13, V12), "DTLS 1.3"),
        ((V13, V12), (V12, V13), "DTLS 1.2"),
        ((V13, V12), (V12,), "DTLS 1.2"),
        ((V12,), (V13, V12), "DTLS 1.2"),
        ((V13, V12), (V13,), "DTLS 1.3"),
        ((V13,), (V13, V12), "DTLS 1.3"),
        ((V13,), (V12,), None),
        ((V12,), (V13,), None),
    ],
)
def test_the_version_is_chosen(make_network, client, server, chosen):
    network = make_network(client_options=DtlsOptions(versions=client), server_options=DtlsOptions(versions=server))
    network.run(30)
    if chosen is None:
        assert network.closed(Role.SERVER).reason == "no-common-version"
        assert network.closed(Role.CLIENT) == Closed(reason="peer-alert", detail="protocol_version")
    elif chosen == "DTLS 1.2" and V13 in client and V13 in server:
        # A server that prefers 1.2 although it speaks 1.3 looks like an attack; there is no such server of ours.
        assert network.closed(Role.CLIENT).reason == "misbehaved"
    else:
        assert network.client.version == network.server.version == chosen


def test_both_versions_are_spoken_by_default(make_network):
    assert DtlsOptions().versions == (V13, V12)
    assert make_network().connect().client.version == "DTLS 1.3"


@pytest.mark.parametrize("speaks_13", [True, False])
def test_the_mark_of_a_downgrade(make_network, speaks_13):
    """RFC 8446 §4.1.3: there if the server speaks 1.3, and nowhere else."""
    versions = (V13, V12) if speaks_13 else (V12,)
    network = make_network(client_options=ONLY_12, server_options=DtlsOptions(versions=versions)).connect()
    assert hello_of(network, Role.SERVER).random.endswith(DOWNGRADE_TO_1_2) == speaks_13


def test_who_removes_13_from_a_client_hello_is_found_out(make_network):
    """The attacker changes supported_versions on the way; the server's mark gives it away before any key is used."""
    network = make_network(options=DtlsOptions(groups=(Group.X25519,), share_groups=(Group.X25519,)))
    offered = b"\x00\x2b\x00\x05\x04\xfe\xfc\xfe\xfd"
    hidden = b"\x00\x2b\x00\x05\x04\xfe\xfd\xfe\xfd"
    forward = []

    def downgrade(sender, data, _now):
        if sender is Role.CLIENT and offered in data:
            forward.append(data.replace(offered, hidden))
            return False
        return True

    network.filter = downgrade
    network.run(0.001)
    for data in forward:
        network.server.receive_datagram(data, network.now)
    network.run(10)
    assert network.closed(Role.CLIENT) == Closed(
        reason="misbehaved", detail="somebody removed 1.3 from our ClientHello"
    )


# HelloVerifyRequest --------------------------------------------------------------------------------------------------


def pack(body, message_seq=0, sequence=0):
    data = serialize_body(body)
    writer = Writer()
    Fragment(body.TYPE, len(data), message_seq, 0, data).serialize(writer)
    return plaintext_header(ContentType.HANDSHAKE, 0, sequence, len(writer)) + writer.finish()


def client_of(identities, options=ONLY_12):
    return DtlsAssociation(
        role=Role.CLIENT, certificate=identities.client, peer_fingerprints=None, options=options, entropy=bytes, now=0.0
    )


@pytest.mark.parametrize("versions", [(V12,), (V13, V12)])
def test_a_cookie_is_returned_in_an_otherwise_equal_hello(identities, versions):
    client = client_of(identities, DtlsOptions(versions=versions, groups=(Group.X25519,)))
    (first,) = client.datagrams_to_send(0.0)
    assert list(client.receive_datagram(pack(HelloVerifyRequest(cookie=b"c" * 20)), 0.0)) == []
    (second,) = client.datagrams_to_send(0.0)
    hellos = []
    for number, datagram in enumerate((first, second)):
        (raw,) = split_datagram(datagram)
        (fragment,) = parse_fragments(raw.payload)
        assert (fragment.message_seq, raw.sequence) == (number, number)
        hellos.append(parse_body(ClientHello, fragment.data))
    assert hellos[1] == attrs.evolve(hellos[0], legacy_cookie=b"c" * 20)
    # It is sent again as the first was, and the same request once more is an old message.
    assert list(client.receive_datagram(pack(HelloVerifyRequest(cookie=b"c" * 20)), 0.0)) == []
    assert client.drops == {DropReason.OLD_MESSAGE: 1}
    client.handle_timeout(client.next_timeout())
    (third,) = client.datagrams_to_send(0.0)
    assert third[13:] == second[13:]


def test_the_cookie_exchange_is_not_part_of_the_transcript(make_network):
    """RFC 6347 §4.2.1. A stateless front asks for a cookie; behind it is our server, which knows nothing of it."""
    network = make_network(options=ONLY_12)
    list(network.client.datagrams_to_send(network.now))
    network.client.receive_datagram(pack(HelloVerifyRequest(cookie=b"cookie")), network.now)
    # The server behind the front begins to count where the front left off (RFC 6347 §4.2.2).
    network.server._channel.reassembly.next_seq = network.server._channel._next_message_seq = 1
    network.connect()
    assert network.client.version == "DTLS 1.2"
    assert not network.server.drops


def test_a_second_cookie_request_is_refused(identities):
    client = client_of(identities)
    list(client.receive_datagram(pack(HelloVerifyRequest(cookie=b"one")), 0.0))
    (closed,) = client.receive_datagram(pack(HelloVerifyRequest(cookie=b"two"), message_seq=1), 0.0)
    assert closed == Closed(reason="unexpected-message", detail="handshake message 3 in state WAIT_SH_AFTER_COOKIE")


def test_a_cookie_request_means_nothing_to_a_client_of_13(identities):
    client = client_of(identities, DtlsOptions(versions=(V13,)))
    (closed,) = client.receive_datagram(pack(HelloVerifyRequest(cookie=b"one")), 0.0)
    assert closed.reason == "unexpected-message"


def test_we_never_ask_for_a_cookie_and_ignore_one(make_network):
    network = make_network(options=ONLY_12)
    (first,) = network.client.datagrams_to_send(network.now)
    (raw,) = split_datagram(first)
    hello = parse_body(ClientHello, parse_fragments(raw.payload)[0].data)
    network.server.receive_datagram(pack(attrs.evolve(hello, legacy_cookie=b"of somebody else")), network.now)
    network.run(0.005)
    assert messages(network, Role.SERVER)[0].type == HandshakeType.SERVER_HELLO


# Identity ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", BOTH)
def test_a_mismatch_ends_both_sides(make_network, identities, role):
    name = "client_expects" if role is Role.CLIENT else "server_expects"
    network = make_network(options=ONLY_12, **{name: [identities.stranger.fingerprint()]}).run(30)
    assert network.closed(role).reason == "fingerprint-mismatch"
    assert not any(isinstance(event, Connected) for event in network.events[role])
    assert network.closed(other(role)) == Closed(reason="peer-alert", detail="bad_certificate")


@pytest.mark.parametrize("role", BOTH)
def test_fingerprints_that_come_late_decide_late(make_network, identities, role):
    name = "client_expects" if role is Role.CLIENT else "server_expects"
    network = make_network(options=ONLY_12, **{name: None}).run(5)
    waiting, peer = network[role], network[other(role)]
    assert peer.is_connected
    assert not waiting.is_connected
    assert network.events[role] == []
    peer.send(b"held")
    network.run(1)
    assert network.events[role] == []
    expected = (identities.server if role is Role.CLIENT else identities.client).fingerprint()
    waiting.set_peer_fingerprints([expected])
    connected, data = waiting.handle_timeout(network.now)
    assert connected.peer_fingerprint == expected
    assert data == ApplicationData(data=b"held")


def test_any_announced_hash_will_do(make_network, identities):
    expects = [Fingerprint.of(identities.server.der, "sha-512")]
    make_network(options=ONLY_12, client_expects=expects).connect()


# After the handshake -------------------------------------------------------------------------------------------------


def test_data_goes_both_ways(make_network):
    network = make_network(options=ONLY_12).connect()
    network.client.send(b"ping")
    network.server.send(b"pong" * 300)
    network.server.send(b"")
    network.run(1)
    assert network.events[Role.SERVER][1:] == [ApplicationData(data=b"ping")]
    assert network.events[Role.CLIENT][1:] == [ApplicationData(data=b"pong" * 300), ApplicationData(data=b"")]


@pytest.mark.parametrize("role", BOTH)
def test_close_notify_ends_both_sides(make_network, role):
    network = make_network(options=ONLY_12).connect()
    network[role].close()
    network.run(1)
    assert network.closed(other(role)).reason == "close-notify"
    assert network.closed(role) is None
    (last,) = split_datagram([data for _, side, data in network.sent if side is role][-1])
    assert (last.content_type, last.epoch) == (ContentType.ALERT, 1), "goodbye is said under protection"


def inject(network, sender, content_type, content):
    """Let a side send any protected record; return what the other side answers."""
    network[sender]._records.send(content_type, content, 1)
    receiver = other(sender)
    for data in network[sender].datagrams_to_send(network.now):
        network.events[receiver] += network[receiver].receive_datagram(data, network.now)
    answers = network[receiver].datagrams_to_send(network.now)
    records = [record for data in answers for record in network[sender]._records.receive(data)]
    return [(record.epoch, record.content_type, record.content) for record in records]


@pytest.mark.parametrize(
    ("asks", "message_type"), [(Role.CLIENT, HandshakeType.CLIENT_HELLO), (Role.SERVER, HandshakeType.HELLO_REQUEST)]
)
def test_renegotiation_is_refused_and_the_association_goes_on(make_network, asks, message_type):
    network = make_network(options=ONLY_12).connect()
    writer = Writer()
    Fragment(message_type, 0, 0, 0, b"").serialize(writer)
    ((epoch, content_type, content),) = inject(network, asks, ContentType.HANDSHAKE, writer.finish())
    assert (epoch, content_type) == (1, ContentType.ALERT)
    alert = Alert.parse(Reader(content))
    assert (alert.level, alert.description) == (AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION)
    asked = network[other(asks)]
    assert asked.drops == {DropReason.POST_HANDSHAKE_MESSAGE: 1}
    assert asked.is_connected
    network[asks].send(b"still here")
    network.run(1)
    assert network.events[other(asks)][-1] == ApplicationData(data=b"still here")


def test_a_warning_is_ignored_and_a_fatal_alert_is_not(make_network):
    network = make_network(options=ONLY_12).connect()
    inject(network, Role.SERVER, ContentType.ALERT, b"\x01\x64")
    assert network.client.is_connected
    assert network.client.drops == {DropReason.IGNORED_ALERT: 1}
    inject(network, Role.SERVER, ContentType.ALERT, b"\x02\x28")
    assert network.closed(Role.CLIENT) == Closed(reason="peer-alert", detail="handshake_failure")


@pytest.mark.parametrize(
    ("content_type", "content", "reason"),
    [
        (ContentType.HANDSHAKE, b"\x14\x00", DropReason.MALFORMED_FRAGMENT),
        (ContentType.HANDSHAKE, b"", DropReason.MALFORMED_FRAGMENT),
        (ContentType.HANDSHAKE, b"\x0b" + bytes(11), DropReason.POST_HANDSHAKE_MESSAGE),
        (ContentType.HANDSHAKE, b"\x04" + bytes(11), DropReason.POST_HANDSHAKE_MESSAGE),
        (ContentType.CHANGE_CIPHER_SPEC, b"\x01", DropReason.UNEXPECTED_CONTENT_TYPE),
        (ContentType.ACK, b"\x00\x00", DropReason.UNEXPECTED_CONTENT_TYPE),
        (99, b"?", DropReason.NOT_DTLS),
    ],
)
@pytest.mark.parametrize("role", BOTH)
def test_authentic_nonsense_is_dropped_and_answered_by_nothing(make_network, role, content_type, content, reason):
    network = make_network(options=ONLY_12).connect()
    assert inject(network, other(role), content_type, content) == []
    assert network[role].drops == {reason: 1}
    assert network[role].is_connected


def test_a_client_does_not_answer_a_repeated_finished(make_network):
    """Its own flight was answered, so it has nothing to repeat; two that repeat at each other would never end."""
    network = make_network(options=ONLY_12).connect()
    writer = Writer()
    Fragment(HandshakeType.FINISHED, 12, 5, 0, bytes(12)).serialize(writer)
    assert inject(network, Role.SERVER, ContentType.HANDSHAKE, writer.finish()) == []
    assert network.client.drops == {DropReason.OLD_MESSAGE: 1}


# Moving house --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", BOTH)
def test_an_association_moves_to_another_process(make_network, role):
    network = make_network(options=ONLY_12).connect()
    network[other(role)].send(b"before")
    (replayed,) = network[other(role)].datagrams_to_send(network.now)
    network.events[role] += network[role].receive_datagram(replayed, network.now)
    data = network[role].snapshot(network.now)
    moved = DtlsAssociation.restore(data, now=5.0)
    assert moved.is_connected
    assert moved.version == "DTLS 1.2"
    assert moved.group == "x25519"
    assert moved.srtp_profile == 7
    assert moved.snapshot(5.0) == data
    assert moved.export_keying_material(LABEL, 56) == network[role].export_keying_material(LABEL, 56)
    # Old records are still refused, new ones are read, and its own are new to the peer.
    assert list(moved.receive_datagram(replayed, 5.0)) == []
    assert moved.drops == {DropReason.REPLAYED: 1}
    network[other(role)].send(b"to the new place")
    (datagram,) = network[other(role)].datagrams_to_send(network.now)
    assert list(moved.receive_datagram(datagram, 5.0)) == [ApplicationData(data=b"to the new place")]
    moved.send(b"from the new place")
    (datagram,) = moved.datagrams_to_send(5.0)
    events = list(network[other(role)].receive_datagram(datagram, network.now))
    assert events == [ApplicationData(data=b"from the new place")]
    assert moved.next_timeout() is None


def test_numbers_may_be_skipped_when_the_snapshot_is_not_the_last_word(make_network):
    network = make_network(options=ONLY_12).connect()
    data = network.server.snapshot(network.now)
    for _ in range(3):
        network.server.send(b"after the snapshot")
    network.run(1)
    moved = DtlsAssociation.restore(data, now=0.0, sequence_margin=100)
    moved.send(b"again")
    (datagram,) = moved.datagrams_to_send(0.0)
    (raw,) = split_datagram(datagram)
    assert raw.sequence == 101
    assert list(network.client.receive_datagram(datagram, network.now)) == [ApplicationData(data=b"again")]


def test_a_moved_server_still_repeats_its_last_flight(make_network):
    """The client has not seen it yet, and does not know that it talks to another process."""
    network = make_network(options=ONLY_12)
    network.filter = lambda sender, _data, now: not (sender is Role.SERVER and now > 1000.015)
    network.run(until=lambda: network.server.is_connected)
    network.server = DtlsAssociation.restore(network.server.snapshot(network.now), now=network.now)
    network.filter = lambda *_: True
    network.run(5)
    assert network.client.is_connected
    # Not one record number is used twice, in either epoch.
    numbers = [
        (raw.epoch, raw.sequence)
        for _, sender, data in network.sent
        if sender is Role.SERVER
        for raw in split_datagram(data)
    ]
    assert len(numbers) == len(set(numbers)) == 5


@pytest.mark.parametrize("role", BOTH)
def test_an_established_association_keeps_nothing_of_the_handshake(make_network, role):
    network = make_network(options=attrs.evolve(ONLY_12, mtu=256))  # so that Finished comes by itself
    network.run(until=lambda: network[role]._channel.reassembly.epoch == 1)
    assert not network[role].is_connected
    ahead = Fragment(HandshakeType.FINISHED, 12, network[role]._channel.reassembly.next_seq + 1, 0, b"x")
    network[role]._channel.reassembly.add(ahead, 1)
    network.connect()
    channel = network[role]._channel
    assert channel.flight is None
    assert channel.timer.deadline is None
    assert channel.reassembly._partials == {}
    assert network[role]._records._early == []


def test_failures_under_a_key_are_counted_on(make_network):
    network = make_network(options=ONLY_12).connect()
    network.server.receive_datagram(plaintext_header(23, 1, 9, 40) + bytes(40), network.now)
    moved = DtlsAssociation.restore(network.server.snapshot(network.now), now=0.0)
    assert moved._records.inbound(1).failures == 1


# The suite stands before a master secret of 48 bytes; without that, a certificate or its key has the two now and then.
@pytest.mark.parametrize(("old", "new"), [(b"\xc0\x2b\x30", b"\x13\x01\x30"), (b"\xfe\xfd", b"\xfe\xff")])
def test_a_snapshot_that_mixes_versions_is_refused(make_network, old, new):
    data = make_network(options=ONLY_12).connect().server.snapshot(0.0)
    assert old in data
    with pytest.raises(MalformedError):
        DtlsAssociation.restore(data.replace(old, new, 1), now=0.0)


@pytest.mark.parametrize("role", BOTH)
def test_a_damaged_snapshot_is_refused_or_is_another(make_network, role):
    network = make_network(options=ONLY_12).connect()
    data = network[role].snapshot(network.now)
    for end in range(len(data)):
        with pytest.raises(MalformedError):
            DtlsAssociation.restore(data[:end], now=0.0)
    with pytest.raises(MalformedError):
        DtlsAssociation.restore(data + b"\0", now=0.0)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x81
        try:
            moved = DtlsAssociation.restore(bytes(damaged), now=0.0)
        except MalformedError:
            continue
        moved.receive_datagram(bytes(60), 0.0)
