"""Vectors: HKDF (RFC 5869), the key schedule with TLS's labels (RFC 8448), X25519 (RFC 7748).

No RFC has vectors for DTLS 1.3 records or for "dtls13" labels; Chromium's packets and the e2e tests stand in for them.
"""

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from dtls.alerts import AbortError
from dtls.certificate import public_key_of
from dtls.groups import Group, encapsulate_mlkem768, generate, generate_all, respond
from dtls.handshake.body import parse_body
from dtls.handshake.certificate import CertificateMessage
from dtls.handshake.certificate_verify import CertificateVerify
from dtls.handshake.encrypted_extensions import EncryptedExtensions
from dtls.handshake.server_hello import ServerHello
from dtls.handshake13 import signed_content
from dtls.key_schedule import DTLS13_LABEL_PREFIX, KeySchedule, hkdf_expand, hkdf_extract
from dtls.options import Role
from dtls.signatures import SignatureScheme, verify
from dtls.transcript import Transcript
from wire.errors import AuthenticationError

HERE = Path(__file__).parent
RFC_5869 = json.loads((HERE / "rfc5869_appendix_a.json").read_text())["cases"]
RFC_8448 = json.loads((HERE / "rfc8448_section3.json").read_text())
TLS13 = KeySchedule(hash_name="sha256", prefix=b"tls13 ")


def unhex(name):
    return bytes.fromhex(RFC_8448[name])


MESSAGES = [bytes.fromhex(message["hex"]) for message in RFC_8448["messages"]]


def transcript_hash(count):
    transcript = Transcript("sha256")
    for message in MESSAGES[:count]:
        transcript.add(message)
    return transcript.digest()


@pytest.mark.parametrize("case", RFC_5869)
def test_hkdf(case):
    secret = hkdf_extract(case["hash"], bytes.fromhex(case["salt"]), bytes.fromhex(case["IKM"]))
    assert secret.hex() == case["PRK"]
    output = hkdf_expand(case["hash"], secret, bytes.fromhex(case["info"]), case["L"])
    assert output.hex() == case["OKM"]
    assert len(output) == case["L"]


def test_the_key_exchange_of_rfc_8448():
    client = generate(Group.X25519, lambda _size: unhex("client_private"))
    assert client.share == unhex("client_public")
    share, shared = respond(Group.X25519, client.share, lambda _size: unhex("server_private"), encapsulate_mlkem768)
    assert share == unhex("server_public")
    assert shared == client.finish(share) == unhex("shared")


@pytest.mark.parametrize("chosen", list(Group))
def test_one_x25519_key_serves_all_shares_that_have_one(chosen):
    asked = []
    ours = generate_all(Group, lambda size: asked.append(size) or bytes(range(len(asked), len(asked) + size)))
    assert ours[Group.X25519MLKEM768].share[-32:] == ours[Group.X25519].share
    assert sorted(asked) == [32, 40, 64]
    theirs, shared = respond(chosen, ours[chosen].share, lambda size: b"e" * size, encapsulate_mlkem768)
    assert ours[chosen].finish(theirs) == shared


def test_the_secrets_of_rfc_8448():
    assert hkdf_extract("sha256", bytes(32), bytes(32)) == unhex("early_secret")
    handshake = TLS13.handshake_secret(unhex("shared"))
    assert handshake == unhex("handshake_secret")
    master = TLS13.master_secret(handshake)
    assert master == unhex("master_secret")
    for label, secret, messages in (
        ("c hs traffic", handshake, 2),
        ("s hs traffic", handshake, 2),
        ("c ap traffic", master, 6),
        ("s ap traffic", master, 6),
        ("exp master", master, 6),
    ):
        expected = RFC_8448[label]
        assert transcript_hash(messages).hex() == expected["hash"]
        assert TLS13.derive_secret(secret, label.encode(), transcript_hash(messages)).hex() == expected["expanded"]


@pytest.mark.parametrize("name", ["server_handshake", "server_application", "client_handshake"])
def test_the_traffic_keys_of_rfc_8448(name):
    expected = RFC_8448[name]
    keys = TLS13.traffic_keys(bytes.fromhex(expected["secret"]), 16, 12)
    assert (keys.key.hex(), keys.iv.hex()) == (expected["key"], expected["iv"])


@pytest.mark.parametrize(("label", "messages"), [("s hs traffic", 5), ("c hs traffic", 6)])
def test_the_finished_messages_of_rfc_8448(label, messages):
    secret = bytes.fromhex(RFC_8448[label]["expanded"])
    assert TLS13.finished_mac(secret, transcript_hash(messages)) == MESSAGES[messages][4:]


def test_the_signature_of_rfc_8448():
    """It is RSA-PSS, by a key too short for us; so the key comes from the certificate by another way."""
    certificate = parse_body(CertificateMessage, MESSAGES[3][4:])
    proof = parse_body(CertificateVerify, MESSAGES[4][4:])
    assert proof.algorithm == SignatureScheme.RSA_PSS_RSAE_SHA256
    der = certificate.entries[0].cert_data
    with pytest.raises(AbortError, match="kind of key"):
        public_key_of(der)
    from cryptography import x509

    key = x509.load_der_x509_certificate(der).public_key()
    content = signed_content(Role.SERVER, transcript_hash(4))
    verify(key, proof.algorithm, proof.signature, content, is_tls13=True)
    with pytest.raises(AuthenticationError):
        verify(key, proof.algorithm, proof.signature, content + b"x", is_tls13=True)
    with pytest.raises(AuthenticationError):
        verify(key, SignatureScheme.RSA_PKCS1_SHA256, proof.signature, content, is_tls13=True)


def test_the_messages_of_rfc_8448_parse():
    """TLS's ServerHello has the same layout; its extensions are in the order of the trace."""
    hello = parse_body(ServerHello, MESSAGES[1][4:])
    assert hello.cipher_suite == 0x1301
    assert [entry.type for entry in hello.extensions.entries] == [51, 43]
    assert [entry.type for entry in parse_body(EncryptedExtensions, MESSAGES[2][4:]).extensions.entries] == [10, 28, 0]


def test_the_label_prefix_separates_dtls_from_tls():
    assert KeySchedule().prefix == DTLS13_LABEL_PREFIX == b"dtls13"
    secret = bytes(32)
    assert KeySchedule().derive_secret(secret, b"derived", bytes(32)) != TLS13.derive_secret(
        secret, b"derived", bytes(32)
    )


def test_an_exporter_is_what_the_rfc_writes_down():
    """RFC 8446 §7.5, spelled out once more with nothing but HMAC."""
    secret, label, length = bytes(range(32)), b"EXTRACTOR-dtls_srtp", 32
    empty = hashlib.sha256(b"").digest()

    def expand(key, name, context):
        info = (32).to_bytes(2, "big") + bytes([len(name) + 6]) + b"dtls13" + name + bytes([len(context)]) + context
        return hmac.digest(key, info + b"\x01", "sha256")

    expected = expand(expand(secret, label, empty), b"exporter", empty)
    assert KeySchedule().export(secret, label, b"", length) == expected


def x25519(scalar, u):
    return generate(Group.X25519, lambda _size: scalar).finish(u)


@pytest.mark.parametrize(
    ("scalar", "u", "result"),
    [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ],
)
def test_x25519_of_rfc_7748_section_5_2(scalar, u, result):
    assert x25519(bytes.fromhex(scalar), bytes.fromhex(u)).hex() == result


def test_x25519_iterated_of_rfc_7748_section_5_2():
    k = u = bytes.fromhex("0900000000000000000000000000000000000000000000000000000000000000")
    for count in range(1, 1001):
        k, u = x25519(k, u), k
        if count == 1:
            assert k.hex() == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    assert k.hex() == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


def test_x25519_of_rfc_7748_section_6_1():
    a = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    b = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    alice = generate(Group.X25519, lambda _size: a)
    assert alice.share.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    share, shared = respond(Group.X25519, alice.share, lambda _size: b, encapsulate_mlkem768)
    assert share.hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert shared.hex() == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert alice.finish(share) == shared


@pytest.mark.parametrize("group", list(Group))
def test_a_bad_share_is_refused_in_both_roles(group):
    ours = generate(group, lambda size: bytes(range(size)))
    sizes = {Group.SECP256R1: 65, Group.X25519: 32, Group.X25519MLKEM768: 1120}
    client_sizes = {Group.SECP256R1: 65, Group.X25519: 32, Group.X25519MLKEM768: 1216}
    # All zero: the point at infinity's neighbour, a point of small order, and a hybrid with such a point.
    for share in (bytes(sizes[group]), b"", b"\x04", bytes(sizes[group] - 1), bytes(sizes[group] + 1)):
        with pytest.raises(AbortError, match="key share"):
            ours.finish(share)
    for share in (bytes(client_sizes[group]), b"", bytes(client_sizes[group] + 1), b"\xff" * client_sizes[group]):
        if group is Group.X25519 and share == b"\xff" * 32:
            continue  # any 32 bytes but a few are a public value
        with pytest.raises(AbortError, match="key share"):
            respond(group, share, lambda size: bytes(range(1, size + 1)), encapsulate_mlkem768)


def test_a_compressed_point_is_refused():
    ours = generate(Group.SECP256R1, lambda size: bytes(range(1, size + 1)))
    assert ours.finish(ours.share)
    with pytest.raises(AbortError):
        ours.finish(b"\x02" + ours.share[1:33])


def test_the_hybrid_is_two_secrets_side_by_side():
    """draft-ietf-tls-ecdhe-mlkem §3: ML-KEM first, in shares and in the secret."""
    client = generate(Group.X25519MLKEM768, lambda size: bytes(range(1, size + 1)))
    share, shared = respond(
        Group.X25519MLKEM768, client.share, lambda size: bytes(range(2, size + 2)), lambda key: (key[:32], bytes(1088))
    )
    assert (len(client.share), len(share), len(shared)) == (1216, 1120, 64)
    assert shared[:32] == client.share[:32]
    curve = generate(Group.X25519, lambda size: bytes(range(2, size + 2)))
    assert share[1088:] == curve.share
    assert shared[32:] == curve.finish(client.share[1184:])
