"""Peers of DTLS 1.2 with whom nothing is in common, or who break a rule: the proper alert, and a clear reason."""

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from dtls.alerts import AlertDescription
from dtls.association import DtlsAssociation
from dtls.certificate import Certificate, Fingerprint
from dtls.extensions.block import Extension, ExtensionBlock, ExtensionType
from dtls.extensions.groups import SupportedGroups
from dtls.extensions.legacy import EcPointFormats, ExtendedMasterSecret, RenegotiationInfo
from dtls.extensions.signatures import SignatureAlgorithms
from dtls.extensions.srtp import UseSrtp
from dtls.extensions.versions import SelectedVersion
from dtls.groups import Group
from dtls.handshake.body import parse_body, serialize_body
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.hello_verify_request import HelloVerifyRequest
from dtls.handshake.message import Fragment, HandshakeType, parse_fragments
from dtls.handshake.server_hello import DOWNGRADE_TO_1_2, ServerHello
from dtls.options import DtlsOptions, Role
from dtls.records import ContentType, plaintext_header, split_datagram
from dtls.signatures import SignatureScheme, verify
from dtls.versions import Version
from wire.buffer import Writer
from wire.core import Closed
from wire.errors import AuthenticationError

A, E, T = AlertDescription, ExtensionType, HandshakeType
ONLY_12 = DtlsOptions(versions=(Version.DTLS_1_2,), groups=(Group.X25519,), share_groups=(Group.X25519,))
BOTH_VERSIONS = attrs.evolve(ONLY_12, versions=(Version.DTLS_1_3, Version.DTLS_1_2))


def pack(body, message_seq=0):
    data = serialize_body(body)
    writer = Writer()
    Fragment(body.TYPE, len(data), message_seq, 0, data).serialize(writer)
    return plaintext_header(ContentType.HANDSHAKE, 0, 0, len(writer)) + writer.finish()


def with_extension(hello, *bodies):
    """Replace or add extensions."""
    new = ExtensionBlock.of(bodies).entries
    kept = tuple(entry for entry in hello.extensions.entries if entry.type not in {entry.type for entry in new})
    return attrs.evolve(hello, extensions=ExtensionBlock(kept + new))


def without_extension(hello, *types):
    kept = tuple(entry for entry in hello.extensions.entries if entry.type not in types)
    return attrs.evolve(hello, extensions=ExtensionBlock(kept))


def outcome(association, events):
    """The reason of the final event and the alert that was sent; None for none."""
    datagrams = list(association.datagrams_to_send(0.0))
    if not events:
        return None, None
    (closed,) = events
    assert isinstance(closed, Closed)
    (raw,) = split_datagram(datagrams[-1])
    assert raw.content_type == ContentType.ALERT
    assert raw.payload[0] == 2, "fatal"
    assert association.next_timeout() is None
    return closed.reason, AlertDescription(raw.payload[1])


# A server ------------------------------------------------------------------------------------------------------------


def client_hello():
    """As an old client sends it: no supported_versions."""
    return ClientHello(
        random=bytes(32),
        cipher_suites=(0xC02B,),
        extensions=ExtensionBlock.of(
            [
                ExtendedMasterSecret(),
                RenegotiationInfo(),
                EcPointFormats(),
                SupportedGroups(groups=(Group.X25519,)),
                SignatureAlgorithms(schemes=(0x0403,)),
            ]
        ),
    )


def ask(identities, hello, options=ONLY_12):
    """Send a ClientHello to a server; return the server, its final event and its alert."""
    server = DtlsAssociation(
        role=Role.SERVER,
        certificate=identities.server,
        peer_fingerprints=None,
        options=options,
        entropy=bytes,
        now=0.0,
    )
    return server, list(server.receive_datagram(pack(hello), 0.0))


def server_hello_of(server):
    (raw, *_), *_ = [list(split_datagram(data)) for data in server.datagrams_to_send(0.0)]
    return parse_body(ServerHello, parse_fragments(raw.payload)[0].data)


@pytest.mark.parametrize("options", [ONLY_12, BOTH_VERSIONS])
@pytest.mark.parametrize(
    ("hello", "reason", "alert"),
    [
        (attrs.evolve(client_hello(), cipher_suites=(0xC02F, 0xC02C, 0xCCA9, 0x1301)), "no-common-cipher-suite",
         A.HANDSHAKE_FAILURE),
        (attrs.evolve(client_hello(), legacy_version=Version.DTLS_1_0), "no-common-version", A.PROTOCOL_VERSION),
        (without_extension(client_hello(), E.EXTENDED_MASTER_SECRET), "no-extended-master-secret", A.HANDSHAKE_FAILURE),
        (with_extension(client_hello(), SupportedGroups(groups=(0x18, 0x19, 0x11EC))), "no-common-group",
         A.HANDSHAKE_FAILURE),
        (with_extension(client_hello(), SignatureAlgorithms(schemes=(0x0804, 0x0203, 0x0503))),
         "no-common-signature-scheme", A.HANDSHAKE_FAILURE),
        (without_extension(client_hello(), E.SIGNATURE_ALGORITHMS), "no-common-signature-scheme", A.HANDSHAKE_FAILURE),
        (with_extension(client_hello(), RenegotiationInfo(renegotiated_connection=bytes(12))), "misbehaved",
         A.HANDSHAKE_FAILURE),
        (with_extension(client_hello(), EcPointFormats(formats=b"\1\2")), "misbehaved", A.ILLEGAL_PARAMETER),
        (attrs.evolve(client_hello(), legacy_compression_methods=b"\1"), "misbehaved", A.ILLEGAL_PARAMETER),
        (attrs.evolve(client_hello(), extensions=ExtensionBlock(client_hello().extensions.entries * 2)), "misbehaved",
         A.ILLEGAL_PARAMETER),
        (attrs.evolve(client_hello(), extensions=ExtensionBlock((Extension(E.EXTENDED_MASTER_SECRET, b"x"),))),
         "malformed", A.DECODE_ERROR),
        (ServerHello(random=bytes(32), cipher_suite=0xC02B, extensions=ExtensionBlock()), "unexpected-message",
         A.UNEXPECTED_MESSAGE),
    ],
)  # fmt: skip
def test_a_server_refuses(identities, options, hello, reason, alert):
    assert outcome(*ask(identities, hello, options)) == (reason, alert)


def test_the_reason_names_what_is_missing(identities):
    _, (closed,) = ask(identities, without_extension(client_hello(), E.EXTENDED_MASTER_SECRET))
    assert "extended master secret" in closed.detail


def test_what_an_old_client_may_leave_out(identities):
    assert outcome(*ask(identities, client_hello())) == (None, None)
    for hello in (
        attrs.evolve(client_hello(), legacy_session_id=bytes(32)),
        attrs.evolve(client_hello(), legacy_compression_methods=b"\1\0"),
        without_extension(client_hello(), E.EC_POINT_FORMATS),
        with_extension(client_hello(), EcPointFormats(formats=b"\1\0\2")),
        attrs.evolve(client_hello(), cipher_suites=(0x1301, 0xC02B, 0x0A0A)),
    ):
        server, events = ask(identities, hello)
        assert events == []
        assert server_hello_of(server).cipher_suite == 0xC02B


@pytest.mark.parametrize(
    ("hello", "answered"),
    [
        (client_hello(), True),
        (without_extension(client_hello(), E.RENEGOTIATION_INFO), False),
        (attrs.evolve(without_extension(client_hello(), E.RENEGOTIATION_INFO), cipher_suites=(0xC02B, 0x00FF)), True),
    ],
)
def test_renegotiation_info_answers_what_was_said(identities, hello, answered):
    """RFC 5746 §3.6: also when it was said with the cipher suite that is none."""
    server, _ = ask(identities, hello)
    assert (E.RENEGOTIATION_INFO in server_hello_of(server).extensions.types) == answered


def test_nothing_is_answered_that_was_not_asked(identities):
    server, _ = ask(identities, without_extension(client_hello(), E.EC_POINT_FORMATS, E.RENEGOTIATION_INFO))
    assert server_hello_of(server).extensions.types == {E.EXTENDED_MASTER_SECRET}


def test_a_client_that_names_no_groups_gets_p256(identities):
    server, _ = ask(identities, without_extension(client_hello(), E.SUPPORTED_GROUPS))
    assert server._stage._group is Group.SECP256R1


# A client ------------------------------------------------------------------------------------------------------------


def server_hello(**changes):
    extensions = ExtensionBlock.of([ExtendedMasterSecret(), RenegotiationInfo(), EcPointFormats()])
    return attrs.evolve(ServerHello(random=bytes(32), cipher_suite=0xC02B, extensions=extensions), **changes)


def answer(identities, hello, options=ONLY_12, after_cookie=False):
    """Answer a client's ClientHello; return the client, its final event and its alert."""
    client = DtlsAssociation(
        role=Role.CLIENT, certificate=identities.client, peer_fingerprints=None, options=options, entropy=bytes, now=0.0
    )
    if after_cookie:
        list(client.receive_datagram(pack(HelloVerifyRequest(cookie=b"c")), 0.0))
    return client, list(client.receive_datagram(pack(hello, int(after_cookie)), 0.0))


@pytest.mark.parametrize("after_cookie", [False, True])
@pytest.mark.parametrize("options", [ONLY_12, BOTH_VERSIONS])
@pytest.mark.parametrize(
    ("hello", "reason", "alert"),
    [
        (server_hello(cipher_suite=0xC02C), "misbehaved", A.ILLEGAL_PARAMETER),
        (server_hello(cipher_suite=0x1301), "misbehaved", A.ILLEGAL_PARAMETER),
        (server_hello(legacy_compression_method=1), "misbehaved", A.ILLEGAL_PARAMETER),
        (server_hello(legacy_version=Version.DTLS_1_0), "no-common-version", A.PROTOCOL_VERSION),
        (without_extension(server_hello(), E.EXTENDED_MASTER_SECRET), "no-extended-master-secret", A.HANDSHAKE_FAILURE),
        (without_extension(server_hello(), E.RENEGOTIATION_INFO), "no-secure-renegotiation", A.HANDSHAKE_FAILURE),
        (with_extension(server_hello(), RenegotiationInfo(renegotiated_connection=bytes(24))), "misbehaved",
         A.HANDSHAKE_FAILURE),
        (with_extension(server_hello(), EcPointFormats(formats=b"\1")), "misbehaved", A.ILLEGAL_PARAMETER),
        (with_extension(server_hello(), UseSrtp(profiles=(2,))), "misbehaved", A.ILLEGAL_PARAMETER),
        (with_extension(server_hello(), UseSrtp(profiles=(7, 1))), "misbehaved", A.ILLEGAL_PARAMETER),
        (with_extension(server_hello(), UseSrtp(profiles=(7,), mki=b"m")), "misbehaved", A.ILLEGAL_PARAMETER),
        (with_extension(server_hello(), SupportedGroups(groups=(29,))), "misbehaved", A.UNSUPPORTED_EXTENSION),
        (attrs.evolve(server_hello(), extensions=ExtensionBlock((Extension(35, b""),))), "misbehaved",
         A.UNSUPPORTED_EXTENSION),
        (client_hello(), "unexpected-message", A.UNEXPECTED_MESSAGE),
    ],
)  # fmt: skip
def test_a_client_refuses(identities, options, after_cookie, hello, reason, alert):
    assert outcome(*answer(identities, hello, options, after_cookie)) == (reason, alert)


def test_a_profile_for_a_client_that_wants_none_is_refused(identities):
    hello = with_extension(server_hello(), UseSrtp(profiles=(7,)))
    options = attrs.evolve(ONLY_12, srtp_profiles=())
    assert outcome(*answer(identities, hello, options)) == ("misbehaved", A.UNSUPPORTED_EXTENSION)


@pytest.mark.parametrize("after_cookie", [False, True])
def test_a_client_refuses_the_mark_of_a_downgrade(identities, after_cookie):
    hello = server_hello(random=bytes(24) + DOWNGRADE_TO_1_2)
    assert outcome(*answer(identities, hello, BOTH_VERSIONS, after_cookie)) == ("misbehaved", A.ILLEGAL_PARAMETER)
    # A client that does not speak 1.3 has lost nothing.
    assert outcome(*answer(identities, hello, ONLY_12, after_cookie)) == (None, None)


def test_a_server_that_asks_for_a_cookie_cannot_choose_13(identities):
    hello = with_extension(server_hello(), SelectedVersion(version=Version.DTLS_1_3))
    assert outcome(*answer(identities, hello, BOTH_VERSIONS, True)) == ("misbehaved", A.ILLEGAL_PARAMETER)


def test_what_a_server_may_say(identities):
    for hello in (
        server_hello(),
        server_hello(legacy_session_id_echo=bytes(32)),
        without_extension(server_hello(), E.EC_POINT_FORMATS),
        with_extension(server_hello(), UseSrtp(profiles=(8,))),
    ):
        assert outcome(*answer(identities, hello)) == (None, None)


# Behind the hellos: one side of our own is made to break a rule ------------------------------------------------------


def corrupt_handshake(network, role, message_type, change):
    """Make one side send another body in one of its messages."""
    channel = network[role]._channel
    original = channel.message

    def message(body, epoch):
        return original(change(body) if message_type == body.TYPE else body, epoch)

    # The class has slots, so the method cannot be replaced on the instance.
    channel.__class__ = type("Channel", (type(channel),), {"__slots__": (), "message": staticmethod(message)})


def flip(name):
    def change(body):
        value = bytearray(getattr(body, name))
        value[-1] ^= 1
        return attrs.evolve(body, **{name: bytes(value)})

    return change


def put(**changes):
    return lambda body: attrs.evolve(body, **changes)


@pytest.mark.parametrize(
    ("role", "message_type", "change", "reason", "alert"),
    [
        (Role.SERVER, T.FINISHED, flip("verify_data"), "bad-finished", A.DECRYPT_ERROR),
        (Role.CLIENT, T.FINISHED, flip("verify_data"), "bad-finished", A.DECRYPT_ERROR),
        (Role.CLIENT, T.FINISHED, put(verify_data=b""), "bad-finished", A.DECRYPT_ERROR),
        (Role.SERVER, T.SERVER_KEY_EXCHANGE, flip("signature"), "bad-signature", A.DECRYPT_ERROR),
        (Role.SERVER, T.SERVER_KEY_EXCHANGE, flip("public"), "bad-signature", A.DECRYPT_ERROR),
        (Role.SERVER, T.SERVER_KEY_EXCHANGE, put(algorithm=0x0203), "bad-signature", A.DECRYPT_ERROR),
        (Role.SERVER, T.SERVER_KEY_EXCHANGE, put(algorithm=0x0804), "bad-signature", A.DECRYPT_ERROR),
        (Role.SERVER, T.SERVER_KEY_EXCHANGE, put(group=0x18), "misbehaved", A.ILLEGAL_PARAMETER),
        (Role.SERVER, T.SERVER_KEY_EXCHANGE, put(group=0x11EC), "misbehaved", A.ILLEGAL_PARAMETER),
        (Role.CLIENT, T.CERTIFICATE_VERIFY, flip("signature"), "bad-signature", A.DECRYPT_ERROR),
        (Role.CLIENT, T.CERTIFICATE_VERIFY, put(algorithm=0x0807), "bad-signature", A.DECRYPT_ERROR),
        (Role.SERVER, T.CERTIFICATE, put(certificates=()), "no-certificate", A.HANDSHAKE_FAILURE),
        (Role.CLIENT, T.CERTIFICATE, put(certificates=()), "no-certificate", A.HANDSHAKE_FAILURE),
        (Role.CLIENT, T.CLIENT_KEY_EXCHANGE, put(public=bytes(32)), "misbehaved", A.ILLEGAL_PARAMETER),
        (Role.CLIENT, T.CLIENT_KEY_EXCHANGE, put(public=bytes(31)), "misbehaved", A.ILLEGAL_PARAMETER),
        (Role.SERVER, T.CERTIFICATE_REQUEST, put(schemes=(0x0804,)), "no-common-signature-scheme",
         A.HANDSHAKE_FAILURE),
        (Role.SERVER, T.CERTIFICATE_REQUEST, put(certificate_types=b"\1"), "no-common-signature-scheme",
         A.HANDSHAKE_FAILURE),
    ],
)  # fmt: skip
def test_a_peer_that_breaks_a_rule_is_refused(make_network, role, message_type, change, reason, alert):
    network = make_network(options=ONLY_12, client_expects=None, server_expects=None)
    corrupt_handshake(network, role, message_type, change)
    network.run(30)
    victim = Role.CLIENT if role is Role.SERVER else Role.SERVER
    assert network.closed(victim).reason == reason
    assert network.closed(role) == Closed(reason="peer-alert", detail=alert.name.lower())


@pytest.mark.parametrize(
    ("options", "group"),
    [
        # We have it, and did not offer it; we offered it, and 1.2 has it not.
        (DtlsOptions(versions=(Version.DTLS_1_2,), share_groups=(Group.SECP256R1,)), Group.X25519),
        (DtlsOptions(), Group.X25519MLKEM768),
    ],
)
def test_a_group_that_was_not_meant(make_network, options, group):
    network = make_network(client_options=options, server_options=DtlsOptions(versions=(Version.DTLS_1_2,)))
    corrupt_handshake(network, Role.SERVER, T.SERVER_KEY_EXCHANGE, put(group=group))
    network.run(30)
    assert network.closed(Role.CLIENT) == Closed(
        reason="misbehaved", detail="the server chose a group that we did not offer"
    )


def test_a_done_that_says_more(make_network):
    class Talkative:
        TYPE = T.SERVER_HELLO_DONE

        def serialize(self, writer):
            writer.octets(b"!")

    network = make_network(options=ONLY_12)
    corrupt_handshake(network, Role.SERVER, T.SERVER_HELLO_DONE, lambda _: Talkative())
    network.run(30)
    assert network.closed(Role.CLIENT).reason == "malformed"
    assert network.closed(Role.SERVER).detail == "decode_error"


@pytest.mark.parametrize("public", [b"\x02" + bytes(range(32)), b"\x04" + bytes(64), b"\x04" + bytes(range(64))])
def test_points_that_are_none(make_network, public):
    """RFC 8422 §5.11: an invalid point must be refused, or it tells about our key."""
    options = DtlsOptions(versions=(Version.DTLS_1_2,), groups=(Group.SECP256R1,), share_groups=(Group.SECP256R1,))
    network = make_network(options=options)
    corrupt_handshake(network, Role.CLIENT, T.CLIENT_KEY_EXCHANGE, put(public=public))
    network.run(30)
    assert network.closed(Role.SERVER).reason == "misbehaved"


def test_a_curve_without_a_name(identities, make_network):
    network = make_network(options=ONLY_12)
    network.filter = lambda sender, *_: sender is Role.CLIENT
    network.run(0.05)
    (datagram,) = [data for _, sender, data in network.sent if sender is Role.SERVER]
    (raw,) = split_datagram(datagram)
    fragments = parse_fragments(raw.payload)
    for fragment in fragments:
        writer = Writer()
        data = b"\x01" + fragment.data[1:] if fragment.type == T.SERVER_KEY_EXCHANGE else fragment.data
        Fragment(fragment.type, fragment.length, fragment.message_seq, 0, data).serialize(writer)
        record = plaintext_header(22, 0, fragment.message_seq, len(writer)) + writer.finish()
        network.events[Role.CLIENT] += network.client.receive_datagram(record, network.now)
    assert network.closed(Role.CLIENT) == Closed(reason="misbehaved", detail="the server's curve has no name")


@pytest.mark.parametrize("message_type", [0, 1, 2, 4, 12, 13, 14, 15, 16, 20, 22, 99])
@pytest.mark.parametrize("role", list(Role))
def test_messages_out_of_order_are_unexpected(make_network, role, message_type):
    """After the hellos both sides wait for a Certificate; nothing else may come in its place."""
    network = make_network(options=ONLY_12)
    if role is Role.SERVER:
        (hello,) = network.client.datagrams_to_send(network.now)
        network.server.receive_datagram(hello, network.now)
    else:
        network.client.receive_datagram(pack(server_hello()), network.now)
    writer = Writer()
    Fragment(message_type, 1, 1, 0, b"x").serialize(writer)
    record = plaintext_header(ContentType.HANDSHAKE, 0, 9, len(writer)) + writer.finish()
    reason, alert = outcome(network[role], list(network[role].receive_datagram(record, network.now)))
    assert (reason, alert) == ("unexpected-message", A.UNEXPECTED_MESSAGE)


def test_a_server_that_does_not_ask_who_we_are_is_refused(make_network):
    """WebRTC authenticates both sides (RFC 5763 §5); a server that does not care is no peer of ours."""
    network = make_network(options=ONLY_12)
    channel = network.server._channel
    original = channel.send_flight

    def send_flight(contents, now, *, expects_answer=True):
        kept = [content for content in contents if getattr(content, "type", None) != T.CERTIFICATE_REQUEST]
        if len(kept) < len(contents):
            kept[-1] = attrs.evolve(kept[-1], message_seq=3)
        original(kept, now, expects_answer=expects_answer)

    channel.__class__ = type("Channel", (type(channel),), {"__slots__": (), "send_flight": staticmethod(send_flight)})
    network.run(30)
    assert network.closed(Role.CLIENT) == Closed(
        reason="unexpected-message", detail="handshake message 14 in state WAIT_CR"
    )


# Other kinds of certificates -----------------------------------------------------------------------------------------


def self_signed(key):
    template = x509.load_der_x509_certificate(Certificate.generate(unix_time=1.75e9).der)
    builder = x509.CertificateBuilder().subject_name(template.subject).issuer_name(template.issuer)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(template.not_valid_before_utc).not_valid_after(template.not_valid_after_utc)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_server_with_an_rsa_key_does_not_fit_the_suite(make_network):
    der = self_signed(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    network = make_network(options=ONLY_12, client_expects=[Fingerprint.of(der)])
    corrupt_handshake(network, Role.SERVER, T.CERTIFICATE, put(certificates=(der,)))
    network.run(30)
    assert network.closed(Role.CLIENT).reason == "bad-certificate"
    assert network.closed(Role.SERVER).detail == "unsupported_certificate"


def test_a_p384_key_may_sign_with_sha256():
    """RFC 5246 §7.4.1.4.1: in 1.2 a scheme names a hash only; in 1.3 the curve too."""
    key = ec.generate_private_key(ec.SECP384R1())
    signature = key.sign(b"content", ec.ECDSA(hashes.SHA256()))
    verify(key.public_key(), SignatureScheme.ECDSA_SECP256R1_SHA256, signature, b"content", is_tls13=False)
    with pytest.raises(AuthenticationError):
        verify(key.public_key(), SignatureScheme.ECDSA_SECP256R1_SHA256, signature, b"content", is_tls13=True)
