"""Peers with whom we have nothing in common, or who break a rule: the proper alert, and a clear reason."""

import attrs
import pytest

from dtls.alerts import AlertDescription
from dtls.association import DtlsAssociation
from dtls.extensions.block import Extension, ExtensionBlock, ExtensionType
from dtls.extensions.groups import KeyShareEntry, KeyShares, SelectedKeyShare, SupportedGroups
from dtls.extensions.signatures import SignatureAlgorithms
from dtls.extensions.srtp import UseSrtp
from dtls.extensions.versions import SelectedVersion, SupportedVersions
from dtls.groups import Group
from dtls.handshake.body import parse_body, serialize_body
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.message import Fragment, HandshakeMessage, HandshakeType, parse_fragments
from dtls.handshake.server_hello import DOWNGRADE_TO_1_2, HELLO_RETRY_REQUEST_RANDOM, ServerHello
from dtls.options import DtlsOptions, Role
from dtls.records import ContentType, plaintext_header, split_datagram
from dtls.versions import Version
from wire.buffer import Writer
from wire.core import Closed

X25519_ONLY = DtlsOptions(versions=(Version.DTLS_1_3,), groups=(Group.X25519,), share_groups=(Group.X25519,))


def pack(body, message_seq=0, content_type=ContentType.HANDSHAKE):
    data = serialize_body(body)
    writer = Writer()
    Fragment(body.TYPE, len(data), message_seq, 0, data).serialize(writer)
    return plaintext_header(content_type, 0, 0, len(writer)) + writer.finish()


def client_hello():
    share = KeyShareEntry(group=Group.X25519, key_exchange=bytes(range(1, 33)))
    return ClientHello(
        random=bytes(32),
        cipher_suites=(0x1301,),
        extensions=ExtensionBlock.of(
            [
                SupportedVersions(versions=(0xFEFC,)),
                SupportedGroups(groups=(Group.X25519,)),
                KeyShares(entries=(share,)),
                SignatureAlgorithms(schemes=(0x0403,)),
            ]
        ),
    )


def with_extension(hello, *bodies):
    """Replace or add extensions."""
    new = ExtensionBlock.of(bodies).entries
    kept = tuple(entry for entry in hello.extensions.entries if entry.type not in {entry.type for entry in new})
    return attrs.evolve(hello, extensions=ExtensionBlock(kept + new))


def without_extension(hello, extension_type):
    kept = tuple(entry for entry in hello.extensions.entries if entry.type != extension_type)
    return attrs.evolve(hello, extensions=ExtensionBlock(kept))


def ask(identities, hello):
    """Send a ClientHello to a server; return its final event and the alert it sent."""
    server = DtlsAssociation(
        role=Role.SERVER,
        certificate=identities.server,
        peer_fingerprints=None,
        options=DtlsOptions(versions=(Version.DTLS_1_3,)),
        entropy=bytes,
        now=0.0,
    )
    events = list(server.receive_datagram(hello if isinstance(hello, bytes) else pack(hello), 0.0))
    return outcome(server, events)


def outcome(association, events):
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


A = AlertDescription
SUPPORTED_VERSIONS, USE_SRTP = ExtensionType.SUPPORTED_VERSIONS, ExtensionType.USE_SRTP


def test_the_client_hello_of_these_tests_is_a_good_one(identities):
    assert ask(identities, client_hello()) == (None, None)
    assert ask(identities, with_extension(client_hello(), SupportedVersions(versions=(0x7A7A, 0xFEFC)))) == (None, None)


@pytest.mark.parametrize(
    ("hello", "reason", "alert"),
    [
        (
            attrs.evolve(client_hello(), cipher_suites=(0x1302, 0x1303, 0xC02B)),
            "no-common-cipher-suite",
            A.HANDSHAKE_FAILURE,
        ),
        (
            with_extension(client_hello(), SupportedVersions(versions=(0xFEFF, 0x0304))),
            "no-common-version",
            A.PROTOCOL_VERSION,
        ),
        (
            attrs.evolve(without_extension(client_hello(), SUPPORTED_VERSIONS), legacy_version=0xFEFF),
            "no-common-version",
            A.PROTOCOL_VERSION,
        ),
        (
            attrs.evolve(without_extension(client_hello(), SUPPORTED_VERSIONS), legacy_version=0xFEFC),
            "no-common-version",
            A.PROTOCOL_VERSION,
        ),
        (
            with_extension(client_hello(), SupportedGroups(groups=(0x18, 0x19)), KeyShares(entries=())),
            "no-common-group",
            A.HANDSHAKE_FAILURE,
        ),
        (
            with_extension(client_hello(), SupportedGroups(groups=(0x18, 0x17)), KeyShares(entries=())),
            "hello-retry-needed",
            A.HANDSHAKE_FAILURE,
        ),
        (with_extension(client_hello(), SupportedGroups(groups=(0x17,))), "misbehaved", A.ILLEGAL_PARAMETER),
        (
            with_extension(client_hello(), SignatureAlgorithms(schemes=(0x0804, 0x0503))),
            "no-common-signature-scheme",
            A.HANDSHAKE_FAILURE,
        ),
        (without_extension(client_hello(), ExtensionType.KEY_SHARE), "missing-extension", A.MISSING_EXTENSION),
        (without_extension(client_hello(), ExtensionType.SUPPORTED_GROUPS), "missing-extension", A.MISSING_EXTENSION),
        (
            without_extension(client_hello(), ExtensionType.SIGNATURE_ALGORITHMS),
            "missing-extension",
            A.MISSING_EXTENSION,
        ),
        (attrs.evolve(client_hello(), legacy_cookie=b"x"), "misbehaved", A.ILLEGAL_PARAMETER),
        (attrs.evolve(client_hello(), legacy_compression_methods=b"\x01\x00"), "misbehaved", A.ILLEGAL_PARAMETER),
        (
            attrs.evolve(client_hello(), extensions=ExtensionBlock(client_hello().extensions.entries * 2)),
            "misbehaved",
            A.ILLEGAL_PARAMETER,
        ),
        (
            attrs.evolve(client_hello(), extensions=ExtensionBlock((Extension(SUPPORTED_VERSIONS, b"\x03\xfe\xfc"),))),
            "malformed",
            A.DECODE_ERROR,
        ),
        (pack(client_hello())[:13] + b"\x01\x00\x00\x01" + bytes(7) + b"\x01\xff", "malformed", A.DECODE_ERROR),
        (
            ServerHello(random=bytes(32), cipher_suite=0x1301, extensions=ExtensionBlock()),
            "unexpected-message",
            A.UNEXPECTED_MESSAGE,
        ),
    ],
)
def test_a_server_refuses(identities, hello, reason, alert):
    if isinstance(hello, bytes):
        hello = plaintext_header(22, 0, 0, len(hello) - 13) + hello[13:]
    assert ask(identities, hello) == (reason, alert)


def server_hello(**changes):
    extensions = [
        SelectedVersion(version=0xFEFC),
        SelectedKeyShare(entry=KeyShareEntry(group=Group.X25519, key_exchange=bytes(range(1, 33)))),
    ]
    hello = ServerHello(random=bytes(32), cipher_suite=0x1301, extensions=ExtensionBlock.of(extensions))
    return attrs.evolve(hello, **changes)


def answer(identities, hello, options=X25519_ONLY):
    """Answer a client's ClientHello; return its final event and the alert it sent."""
    client = DtlsAssociation(
        role=Role.CLIENT, certificate=identities.client, peer_fingerprints=None, options=options, entropy=bytes, now=0.0
    )
    list(client.datagrams_to_send(0.0))
    return outcome(client, list(client.receive_datagram(pack(hello), 0.0)))


def test_the_server_hello_of_these_tests_is_a_good_one(identities):
    assert answer(identities, server_hello()) == (None, None)


NO_SHARE_FOR = KeyShareEntry(group=Group.SECP256R1, key_exchange=bytes(65))


@pytest.mark.parametrize(
    ("hello", "reason", "alert"),
    [
        (server_hello(cipher_suite=0x1303), "misbehaved", A.ILLEGAL_PARAMETER),
        (server_hello(legacy_session_id_echo=b"x"), "misbehaved", A.ILLEGAL_PARAMETER),
        (server_hello(legacy_compression_method=1), "misbehaved", A.ILLEGAL_PARAMETER),
        (with_extension(server_hello(), SelectedVersion(version=0xFEFD)), "misbehaved", A.ILLEGAL_PARAMETER),
        (without_extension(server_hello(), SUPPORTED_VERSIONS), "no-common-version", A.PROTOCOL_VERSION),
        (without_extension(server_hello(), ExtensionType.KEY_SHARE), "missing-extension", A.MISSING_EXTENSION),
        (with_extension(server_hello(), SelectedKeyShare(entry=NO_SHARE_FOR)), "misbehaved", A.ILLEGAL_PARAMETER),
        (with_extension(server_hello(), UseSrtp(profiles=(7,))), "misbehaved", A.UNSUPPORTED_EXTENSION),
        (server_hello(random=HELLO_RETRY_REQUEST_RANDOM), "hello-retry-needed", A.HANDSHAKE_FAILURE),
        (client_hello(), "unexpected-message", A.UNEXPECTED_MESSAGE),
    ],
)
def test_a_client_refuses(identities, hello, reason, alert):
    assert answer(identities, hello) == (reason, alert)


def test_a_client_offers_only_groups_with_a_share(make_network):
    """RFC 8446 §4.1.1: a server may ask again for a group that was listed without a share; so none is."""
    only_13 = (Version.DTLS_1_3,)  # 1.2 takes its group from the same list, and needs no share
    for options in (
        DtlsOptions(versions=only_13),
        DtlsOptions(versions=only_13, groups=(Group.SECP256R1, Group.X25519)),
    ):
        network = make_network(options=options)
        (message,) = [whole(datagrams) for datagrams in [list(network.client.datagrams_to_send(0.0))]]
        hello = parse_body(ClientHello, message.body)
        shared = [entry.group for entry in hello.extensions.require(KeyShares).entries]
        assert list(hello.extensions.require(SupportedGroups).groups) == shared
        assert shared == [group for group in options.groups if group in options.share_groups]


def whole(datagrams):
    """Put a message together that is fragmented in order."""
    pieces = [parse_fragments(raw.payload)[0] for datagram in datagrams for raw in split_datagram(datagram)]
    body = b"".join(piece.data for piece in pieces)
    return HandshakeMessage(type=pieces[0].type, message_seq=pieces[0].message_seq, epoch=0, body=body)


def test_a_removed_version_is_noticed_by_the_mark_of_a_downgrade(identities):
    """RFC 8446 §4.1.3; DTLS 1.2's own files need not exist for this."""
    both = attrs.evolve(X25519_ONLY, versions=(Version.DTLS_1_3, Version.DTLS_1_2))
    hello = without_extension(server_hello(random=bytes(24) + DOWNGRADE_TO_1_2), SUPPORTED_VERSIONS)
    assert answer(identities, hello, both) == ("misbehaved", A.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("message_type", [4, 8, 11, 20, 24, 77])
def test_messages_out_of_order_are_unexpected(identities, message_type):
    class Strange:
        TYPE = message_type

        def serialize(self, writer):
            writer.octets(b"strange")

    assert ask(identities, pack(Strange())) == ("unexpected-message", A.UNEXPECTED_MESSAGE)
    assert answer(identities, Strange()) == ("unexpected-message", A.UNEXPECTED_MESSAGE)


# Behind the hellos: a peer that has the keys and breaks a rule. One side of our own is made to.


def corrupt_handshake(network, role, message_type, change):
    """Make one side send another body in one of its messages."""
    channel = network[role]._channel
    original = channel.message

    def message(body, epoch):
        return original(change(body) if message_type == body.TYPE else body, epoch)

    # The class has slots, so the method cannot be replaced on the instance.
    replacement = type("Channel", (type(channel),), {"__slots__": (), "message": staticmethod(message)})
    channel.__class__ = replacement


def flip(name):
    def change(body):
        value = bytearray(getattr(body, name))
        value[-1] ^= 1
        return attrs.evolve(body, **{name: bytes(value)})

    return change


T = HandshakeType


@pytest.mark.parametrize(
    ("role", "message_type", "change", "reason", "alert"),
    [
        (Role.SERVER, T.FINISHED, flip("verify_data"), "bad-finished", A.DECRYPT_ERROR),
        (Role.CLIENT, T.FINISHED, flip("verify_data"), "bad-finished", A.DECRYPT_ERROR),
        (Role.SERVER, T.CERTIFICATE_VERIFY, flip("signature"), "bad-signature", A.DECRYPT_ERROR),
        (Role.CLIENT, T.CERTIFICATE_VERIFY, flip("signature"), "bad-signature", A.DECRYPT_ERROR),
        (
            Role.CLIENT,
            T.CERTIFICATE_VERIFY,
            lambda b: attrs.evolve(b, algorithm=0x0804),
            "bad-signature",
            A.DECRYPT_ERROR,
        ),
        (
            Role.CLIENT,
            T.CERTIFICATE_VERIFY,
            lambda b: attrs.evolve(b, algorithm=0x0807),
            "bad-signature",
            A.DECRYPT_ERROR,
        ),
        (Role.SERVER, T.CERTIFICATE, lambda b: attrs.evolve(b, entries=()), "no-certificate", A.DECODE_ERROR),
        (Role.CLIENT, T.CERTIFICATE, lambda b: attrs.evolve(b, entries=()), "no-certificate", A.CERTIFICATE_REQUIRED),
        (Role.CLIENT, T.CERTIFICATE, lambda b: attrs.evolve(b, context=b"x"), "misbehaved", A.ILLEGAL_PARAMETER),
        (
            Role.SERVER,
            T.CERTIFICATE_REQUEST,
            lambda b: attrs.evolve(b, context=b"x"),
            "misbehaved",
            A.ILLEGAL_PARAMETER,
        ),
        (
            Role.SERVER,
            T.CERTIFICATE_REQUEST,
            lambda b: attrs.evolve(b, extensions=ExtensionBlock()),
            "missing-extension",
            A.MISSING_EXTENSION,
        ),
        (
            Role.SERVER,
            T.CERTIFICATE_REQUEST,
            lambda b: with_extension(b, SignatureAlgorithms(schemes=(0x0804,))),
            "no-common-signature-scheme",
            A.HANDSHAKE_FAILURE,
        ),
        (
            Role.SERVER,
            T.ENCRYPTED_EXTENSIONS,
            lambda b: with_extension(b, UseSrtp(profiles=(2,))),
            "misbehaved",
            A.ILLEGAL_PARAMETER,
        ),
        (
            Role.SERVER,
            T.ENCRYPTED_EXTENSIONS,
            lambda b: with_extension(b, UseSrtp(profiles=(7, 8))),
            "misbehaved",
            A.ILLEGAL_PARAMETER,
        ),
        (
            Role.SERVER,
            T.ENCRYPTED_EXTENSIONS,
            lambda b: with_extension(b, UseSrtp(profiles=(7,), mki=b"x")),
            "misbehaved",
            A.ILLEGAL_PARAMETER,
        ),
        (
            Role.SERVER,
            T.ENCRYPTED_EXTENSIONS,
            lambda b: with_extension(b, SelectedVersion(version=0xFEFC)),
            "misbehaved",
            A.UNSUPPORTED_EXTENSION,
        ),
    ],
)
def test_a_peer_with_the_keys_is_refused(make_network, role, message_type, change, reason, alert):
    network = make_network(options=X25519_ONLY)
    corrupt_handshake(network, role, message_type, change)
    network.run(30)
    victim = Role.CLIENT if role is Role.SERVER else Role.SERVER
    assert network.closed(victim).reason == reason
    assert network.closed(role).detail == alert.name.lower()
    assert not network[victim].is_connected


def test_an_unknown_extension_in_a_hello_is_ignored(identities):
    hello = client_hello()
    grease = ExtensionBlock((Extension(0x0A0A, b"whatever"), *hello.extensions.entries))
    assert ask(identities, attrs.evolve(hello, extensions=grease)) == (None, None)
