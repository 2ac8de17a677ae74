"""DTLS 1.2 with OpenSSL in this process, in both roles: what aiortc puts on the wire."""

import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from dtls.drops import DropReason
from dtls.events import ApplicationData
from dtls.extensions.block import ExtensionType
from dtls.groups import Group
from dtls.handshake.body import parse_body
from dtls.handshake.message import HandshakeType, parse_fragments
from dtls.handshake.server_hello import DOWNGRADE_TO_1_2, ServerHello
from dtls.options import DtlsOptions, Role
from dtls.records import ContentType, split_datagram
from dtls.versions import Version
from wire.core import Closed

V12, V13 = Version.DTLS_1_2, Version.DTLS_1_3
ONLY_12 = DtlsOptions(versions=(V12,))
ROLES = list(Role)
OP_NO_EXTENDED_MASTER_SECRET = 1  # OpenSSL's SSL_OP_NO_EXTENDED_MASTER_SECRET; pyOpenSSL has no name for it


def handshake_types(pair, *, ours):
    """Types of the messages that a side sent in the clear, in their order, each once."""
    types = {}
    for is_ours, data in pair.sent:
        for raw in split_datagram(data):
            if is_ours is ours and raw.content_type == ContentType.HANDSHAKE and raw.epoch == 0:
                types.update((fragment.message_seq, fragment.type) for fragment in parse_fragments(raw.payload))
    return list(types.values())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("versions", [(V12,), (V13, V12)])
@pytest.mark.parametrize(("our_mtu", "their_mtu"), [(1200, None), (256, None), (1200, 1200), (256, 300), (400, 260)])
def test_a_handshake_with_certificates_on_both_sides(make_pair, role, versions, our_mtu, their_mtu):
    """Whole and in fragments; offering 1.3 too, which OpenSSL does not choose."""
    pair = make_pair(role, options=DtlsOptions(versions=versions, mtu=our_mtu), their_mtu=their_mtu).run()
    connected = pair.assert_agreed()
    assert (connected.version, pair.theirs.get_protocol_version_name()) == ("DTLS 1.2", "DTLSv1.2")
    assert connected.cipher_suite == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert connected.group == "x25519"
    assert connected.srtp_profile == 7
    assert pair.theirs.get_selected_srtp_profile() == b"SRTP_AEAD_AES_128_GCM"
    assert not pair.ours.drops
    assert max(len(data) for is_ours, data in pair.sent if is_ours) <= our_mtu
    # Data both ways, which proves the records of each direction to the other implementation.
    pair.ours.send(b"from us")
    pair.theirs.send(b"from them")
    pair.run()
    assert pair.events[-1] == ApplicationData(data=b"from them")
    assert pair.theirs.recv(100) == b"from us"
    pair.theirs.shutdown()
    pair.run()
    assert pair.closed.reason == "close-notify"


@pytest.mark.parametrize("role", ROLES)
def test_p256(make_pair, role):
    options = DtlsOptions(versions=(V12,), groups=(Group.SECP256R1,), share_groups=(Group.SECP256R1,))
    assert make_pair(role, options=options).run().assert_agreed().group == "secp256r1"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("srtp", "profile"), [(b"SRTP_AES128_CM_SHA1_80", 1), (b"SRTP_AEAD_AES_256_GCM", 8), (b"", None)]
)
def test_srtp_profiles(make_pair, role, srtp, profile):
    pair = make_pair(role, options=ONLY_12, srtp=srtp).run()
    assert pair.assert_agreed().srtp_profile == profile


def test_a_cookie_is_returned(make_pair):
    for versions in ((V12,), (V13, V12)):
        pair = make_pair(Role.CLIENT, options=DtlsOptions(versions=versions), cookie=b"c" * 32).run()
        pair.assert_agreed()
        assert handshake_types(pair, ours=False)[:2] == [HandshakeType.HELLO_VERIFY_REQUEST, HandshakeType.SERVER_HELLO]


def test_the_mark_of_a_downgrade_does_not_disturb_a_client_of_12(make_pair):
    for versions, marked in (((V13, V12), True), ((V12,), False)):
        pair = make_pair(Role.SERVER, options=DtlsOptions(versions=versions)).run()
        pair.assert_agreed()
        assert (pair.theirs.server_random()[-8:] == DOWNGRADE_TO_1_2) == marked


def test_a_post_quantum_hello_in_two_datagrams_is_answered_in_12(make_pair):
    pair = make_pair(Role.CLIENT).run()
    assert pair.assert_agreed().version == "DTLS 1.2"
    (first, second), answer = pair.sent[:2], pair.sent[2]
    assert (first[0], second[0], answer[0]) == (True, True, False)
    hello = parse_body(ServerHello, parse_fragments(next(split_datagram(answer[1])).payload)[0].data)
    assert hello.legacy_version == V12
    assert ExtensionType.SUPPORTED_VERSIONS not in hello.extensions.types


@pytest.mark.parametrize("role", ROLES)
def test_a_peer_without_extended_master_secret_is_refused(make_pair, role):
    pair = make_pair(role, options=ONLY_12, their_options=OP_NO_EXTENDED_MASTER_SECRET).run()
    assert pair.closed.reason == "no-extended-master-secret"
    assert "RFC 7627" in pair.closed.detail
    assert "handshake failure" in str(pair.error)


def test_a_client_without_our_suite_or_group_is_refused(make_pair):
    pair = make_pair(Role.SERVER, options=ONLY_12, ciphers=b"ECDHE-ECDSA-AES256-GCM-SHA384").run()
    assert pair.closed.reason == "no-common-cipher-suite"
    assert "handshake failure" in str(pair.error)


def test_a_server_without_our_suite_refuses_us(make_pair):
    pair = make_pair(Role.CLIENT, options=ONLY_12, ciphers=b"ECDHE-ECDSA-AES256-GCM-SHA384").run()
    assert pair.closed == Closed(reason="peer-alert", detail="handshake_failure")


def test_a_server_that_does_not_ask_who_we_are_is_refused(make_pair):
    pair = make_pair(Role.CLIENT, options=ONLY_12, ask_for_certificate=False).run()
    assert pair.closed.reason == "unexpected-message"
    assert "unexpected message" in str(pair.error)


def test_another_certificate_than_announced_is_refused(make_pair, identities):
    for role in ROLES:
        pair = make_pair(role, options=ONLY_12)
        pair.ours.set_peer_fingerprints([identities.client.fingerprint()])
        pair.run()
        assert pair.closed.reason == "fingerprint-mismatch"
        assert "bad certificate" in str(pair.error)


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(public_exponent=65537, key_size=2048), ec.generate_private_key(ec.SECP384R1())],
    ids=["rsa", "p384"],
)
def test_clients_with_other_kinds_of_keys_are_verified(make_pair, key):
    make_pair(Role.SERVER, options=ONLY_12, their_key=key).run().assert_agreed()


@pytest.mark.parametrize("role", ROLES)
def test_renegotiation_is_refused(make_pair, role):
    """OpenSSL gives up when it is refused, which is its right; what counts is that it was told no."""
    pair = make_pair(role, options=ONLY_12).run()
    pair.assert_agreed()
    assert pair.theirs.renegotiate()
    pair.run()
    if pair.error is None:
        with pytest.raises(SSL.Error) as caught:
            pair.theirs.recv(100)
        pair.error = caught.value
    assert "no renegotiation" in str(pair.error)
    assert pair.ours.drops == {DropReason.POST_HANDSHAKE_MESSAGE: 1}


def is_protected(data):
    return any(raw.epoch for raw in split_datagram(data))


def test_a_lost_last_flight_of_openssl_is_asked_for(make_pair):
    """Our timer repeats our Finished, and OpenSSL answers it as we would."""
    pair = make_pair(Role.CLIENT, options=ONLY_12)
    pair.lose = lambda is_ours, data: not is_ours and is_protected(data)
    pair.run()
    assert pair.events == []
    pair.lose = lambda *_: False
    pair.now = pair.ours.next_timeout()
    pair.events += pair.ours.handle_timeout(pair.now)
    pair.run()
    with pytest.raises(SSL.WantReadError):
        pair.theirs.recv(100)  # it looks at what came only when it is asked for data
    pair.run()
    pair.assert_agreed()


@pytest.mark.e2e  # waits a second for OpenSSL's timer, whose clock is its own
def test_a_lost_last_flight_of_ours_is_repeated(make_pair):
    pair = make_pair(Role.SERVER, options=ONLY_12)
    pair.lose = lambda is_ours, data: is_ours and is_protected(data)
    pair.run()
    assert pair.ours.is_connected
    pair.lose = lambda *_: False
    time.sleep(pair.theirs.DTLSv1_get_timeout() + 0.01)
    assert pair.theirs.DTLSv1_handle_timeout()
    pair.run()
    pair.assert_agreed()
    assert pair.ours.drops[DropReason.OLD_MESSAGE] == 1
