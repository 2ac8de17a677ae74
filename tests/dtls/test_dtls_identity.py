"""Nothing of the peer's is believed before its certificate has an announced fingerprint."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from dtls.alerts import AbortError, AlertDescription
from dtls.association import MAX_EARLY_DATA
from dtls.certificate import Certificate, Fingerprint, public_key_of
from dtls.events import ApplicationData, Connected
from dtls.options import Role
from dtls.peer_identity import PeerIdentity
from dtls.signatures import SignatureScheme, choose_scheme, sign, verify
from wire.core import Closed
from wire.errors import AuthenticationError, LocalProtocolError, MalformedError


def fingerprint(certificate, algorithm="sha-256"):
    return Fingerprint.of(certificate.der, algorithm)


def other(role):
    return Role.SERVER if role is Role.CLIENT else Role.CLIENT


@pytest.mark.parametrize("role", list(Role))
def test_a_mismatch_ends_both_sides(make_network, identities, role):
    name = "client_expects" if role is Role.CLIENT else "server_expects"
    network = make_network(**{name: [fingerprint(identities.stranger)]}).run(30)
    assert network.closed(role).reason == "fingerprint-mismatch"
    assert not any(isinstance(event, Connected) for event in network.events[role])
    assert not network[role].is_connected
    # The peer is told: bad_certificate.
    assert network.closed(other(role)) == Closed(reason="peer-alert", detail="bad_certificate")


@pytest.mark.parametrize("role", list(Role))
def test_fingerprints_that_come_late_decide_late(make_network, identities, role):
    """Until then no event, no keys, no data; data that came is held and delivered afterwards."""
    name = "client_expects" if role is Role.CLIENT else "server_expects"
    network = make_network(**{name: None}).run(5)
    waiting, peer = network[role], network[other(role)]
    assert peer.is_connected
    assert network.events[role] == []
    assert not waiting.is_connected
    for command in (
        lambda: waiting.export_keying_material("x", 32),
        lambda: waiting.send(b""),
        lambda: waiting.snapshot(0),
    ):
        with pytest.raises(LocalProtocolError):
            command()
    for number in range(MAX_EARLY_DATA + 2):
        peer.send(b"%d" % number)
    network.run(1)
    assert network.events[role] == []
    assert waiting.drops["early-data-overflow"] == 2

    expected = fingerprint(identities.server if role is Role.CLIENT else identities.client)
    waiting.set_peer_fingerprints([expected])
    assert waiting.next_timeout() <= network.now
    events = list(waiting.handle_timeout(network.now))
    assert isinstance(events[0], Connected)
    assert events[0].peer_fingerprint == expected
    assert events[1:] == [ApplicationData(data=b"%d" % number) for number in range(MAX_EARLY_DATA)]
    assert waiting.export_keying_material("x", 32) == peer.export_keying_material("x", 32)


@pytest.mark.parametrize("role", list(Role))
def test_fingerprints_that_come_late_and_do_not_match(make_network, identities, role):
    name = "client_expects" if role is Role.CLIENT else "server_expects"
    network = make_network(**{name: None}).run(5)
    network[other(role)].send(b"held, and never given out")
    network.run(1)
    network[role].set_peer_fingerprints([fingerprint(identities.stranger)])
    network.run(1)
    assert [type(event) for event in network.events[role]] == [Closed]
    assert network.closed(role).reason == "fingerprint-mismatch"
    assert network.closed(other(role)).detail == "bad_certificate"
    network[role].set_peer_fingerprints([fingerprint(identities.client)])
    assert not network[role].is_connected, "a mismatch is final"


def test_fingerprints_before_the_handshake_replace_those_given(make_network, identities):
    network = make_network(client_expects=[fingerprint(identities.stranger)])
    network.client.set_peer_fingerprints([fingerprint(identities.server)])
    network.connect()


def test_a_connected_association_closes_when_signalling_changes_its_mind(make_network, identities):
    network = make_network().connect()
    network.client.set_peer_fingerprints([fingerprint(identities.server, "sha-512")])
    assert network.client.is_connected
    network.client.set_peer_fingerprints([fingerprint(identities.stranger)])
    assert [event.reason for event in network.client.handle_timeout(network.now)] == ["fingerprint-mismatch"]


MATCHES = [
    ("sha-256 alone", lambda ours, _: [fingerprint(ours)]),
    ("sha-384 alone", lambda ours, _: [fingerprint(ours, "sha-384")]),
    ("sha-512 alone", lambda ours, _: [fingerprint(ours, "sha-512")]),
    ("one of several", lambda ours, alien: [fingerprint(alien), fingerprint(ours)]),
    ("both kinds", lambda ours, _: [fingerprint(ours), fingerprint(ours, "sha-512")]),
    ("an unknown kind beside", lambda ours, _: [Fingerprint("sha3-256", bytes(32)), fingerprint(ours)]),
]
MISMATCHES = [
    ("none", lambda *_: []),
    ("another's", lambda _, alien: [fingerprint(alien)]),
    ("sha-1 alone", lambda ours, _: [Fingerprint("sha-1", hashlib.sha1(ours.der, usedforsecurity=False).digest())]),
    ("unknown alone", lambda *_: [Fingerprint("sha3-256", bytes(32))]),
    # RFC 8122 §5: the strongest kind decides; a weaker one cannot rescue it.
    ("the stronger differs", lambda ours, alien: [fingerprint(ours), fingerprint(alien, "sha-512")]),
    ("right digest, wrong kind", lambda ours, _: [Fingerprint("sha-512", fingerprint(ours).digest)]),
    ("a prefix", lambda ours, _: [Fingerprint("sha-256", fingerprint(ours).digest[:16])]),
]


@pytest.mark.parametrize(("_name", "announce"), MATCHES)
def test_matches(identities, _name, announce):
    peer = PeerIdentity()
    announced = announce(identities.server, identities.stranger)
    peer.expect(announced)
    assert peer.matched is None
    peer.present(identities.server.der)
    assert peer.matched in announced


@pytest.mark.parametrize(("_name", "announce"), MISMATCHES)
def test_mismatches_in_either_order(identities, _name, announce):
    announced = announce(identities.server, identities.stranger)
    first, second = PeerIdentity(), PeerIdentity()
    first.expect(announced)
    with pytest.raises(AbortError) as caught:
        first.present(identities.server.der)
    assert caught.value.alert is AlertDescription.BAD_CERTIFICATE
    second.present(identities.server.der)
    with pytest.raises(AbortError):
        second.expect(announced)
    assert first.matched is second.matched is None


def test_fingerprint_text(identities):
    ours = identities.server.fingerprint()
    text = str(ours)
    assert text.startswith("sha-256 ")
    assert text == text.replace("sha", "sha").upper().replace("SHA", "sha")
    assert (
        Fingerprint.parse(text)
        == Fingerprint.parse(text.lower())
        == Fingerprint.parse("  SHA-256  " + text[8:])
        == ours
    )
    assert ours.digest == hashlib.sha256(identities.server.der).digest()
    assert Fingerprint.parse("sha3-256 AB:cd").digest == b"\xab\xcd"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha-256",
        "sha-256 ",
        "sha-256 AB",
        " AB:CD",
        "sha 256 AB",
        "sha-256 " + "AB:" * 32,
        "sha-256 " + "ABCD" * 16,
        "sha-256 " + ":".join(["GG"] * 32),
        "sha-256 " + ":".join(["AB"] * 33),
    ],
)
def test_fingerprint_text_that_is_none(text):
    with pytest.raises(MalformedError):
        Fingerprint.parse(text)


def test_a_generated_certificate(identities):
    parsed = x509.load_der_x509_certificate(identities.client.der)
    assert parsed.subject == parsed.issuer
    assert isinstance(parsed.public_key().curve, ec.SECP256R1)
    assert parsed.not_valid_before_utc.timestamp() < 1.75e9 < parsed.not_valid_after_utc.timestamp()
    parsed.public_key().verify(parsed.signature, parsed.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    assert "private" not in repr(identities.client)
    assert identities.client.der != identities.server.der


def self_signed(key, algorithm=hashes.SHA256()):  # noqa: B008  (stateless)
    certificate = Certificate.generate(unix_time=1.75e9)
    template = x509.load_der_x509_certificate(certificate.der)
    builder = x509.CertificateBuilder().subject_name(template.subject).issuer_name(template.issuer)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(template.not_valid_before_utc).not_valid_after(template.not_valid_after_utc)
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_public_keys_that_we_verify_with(rsa_key):
    for key in (rsa_key, ec.generate_private_key(ec.SECP384R1())):
        assert public_key_of(self_signed(key)).public_numbers() == key.public_key().public_numbers()


def test_public_keys_that_we_do_not_verify_with():
    with pytest.raises(AbortError) as caught:
        public_key_of(self_signed(ed25519.Ed25519PrivateKey.generate(), None))
    assert caught.value.alert is AlertDescription.UNSUPPORTED_CERTIFICATE
    for junk in (b"", b"\x30", b"\x30\x82\xff\xff", bytes(300)):
        with pytest.raises(AbortError) as caught:
            public_key_of(junk)
        assert caught.value.alert is AlertDescription.BAD_CERTIFICATE


def test_signatures_of_every_scheme(rsa_key):
    from cryptography.hazmat.primitives.asymmetric import padding

    content = b"what is signed"
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    pss = [padding.PSS(padding.MGF1(kind), salt_length=kind.digest_size) for kind in (hashes.SHA256(), hashes.SHA384())]
    S = SignatureScheme  # noqa: N806  (a table follows)
    good = [
        (p256, S.ECDSA_SECP256R1_SHA256, sign(p256, S.ECDSA_SECP256R1_SHA256, content)),
        (p384, S.ECDSA_SECP384R1_SHA384, sign(p384, S.ECDSA_SECP384R1_SHA384, content)),
        (rsa_key, S.RSA_PSS_RSAE_SHA256, rsa_key.sign(content, pss[0], hashes.SHA256())),
        (rsa_key, S.RSA_PSS_RSAE_SHA384, rsa_key.sign(content, pss[1], hashes.SHA384())),
        (rsa_key, S.RSA_PKCS1_SHA256, rsa_key.sign(content, padding.PKCS1v15(), hashes.SHA256())),
    ]
    for key, scheme, signature in good:
        for claimed in (*S, 0x0807, 0x0201):
            for is_tls13 in (True, False):
                fits = claimed == scheme and not (is_tls13 and scheme is S.RSA_PKCS1_SHA256)
                if fits:
                    verify(key.public_key(), claimed, signature, content, is_tls13=is_tls13)
                    with pytest.raises(AuthenticationError):
                        verify(key.public_key(), claimed, signature, content + b"!", is_tls13=is_tls13)
                else:
                    with pytest.raises(AuthenticationError):
                        verify(key.public_key(), claimed, signature, content, is_tls13=is_tls13)


def test_what_we_sign_with():
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    assert choose_scheme(p256, [0x0804, 0x0403]) is SignatureScheme.ECDSA_SECP256R1_SHA256
    assert choose_scheme(p384, [0x0403, 0x0503]) is SignatureScheme.ECDSA_SECP384R1_SHA384
    assert choose_scheme(p256, [0x0503, 0x0804]) is None
    # RFC 6979: the same content gives the same signature, so a handshake can be replayed.
    scheme = SignatureScheme.ECDSA_SECP256R1_SHA256
    assert sign(p256, scheme, b"x") == sign(p256, scheme, b"x")


def test_a_peer_with_an_rsa_certificate(make_network, identities, rsa_key, monkeypatch):
    """We have no such certificate ourselves; the client here is made to sign like a peer that has."""
    from cryptography.hazmat.primitives.asymmetric import padding

    from dtls import handshake13, server13

    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)

    def sign_as_either(key, scheme, content):
        return key.sign(content, pss, hashes.SHA256()) if key is rsa_key else sign(key, scheme, content)

    def choose_for_either(key, accepted):
        return SignatureScheme.RSA_PSS_RSAE_SHA256 if key is rsa_key else choose_scheme(key, accepted)

    monkeypatch.setattr(handshake13, "sign", sign_as_either)
    monkeypatch.setattr(server13, "choose_scheme", choose_for_either)
    certificate = Certificate(private_key=rsa_key, der=self_signed(rsa_key))
    network = make_network(client_expects=[certificate.fingerprint()])
    network.server = type(network.server)(
        role=Role.SERVER,
        certificate=certificate,
        peer_fingerprints=[identities.client.fingerprint()],
        entropy=bytes,
        now=network.now,
    )
    network.connect()
