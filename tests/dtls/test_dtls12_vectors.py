"""Vectors for DTLS 1.2: its PRF, and whole handshakes with OpenSSL, recorded and played back.

No RFC has vectors for the PRF with SHA-256 or for DTLS 1.2 records. The PRF's are the ones that circulate since 2009
(ietf-tls: "Test vectors for TLS 1.2 PRF"); `openssl kdf … TLS1-PRF` confirms them and made the one for SHA-384.

The recordings (interop/record_dtls12.py) are the strictest test here: given the same entropy, our side has to say every
byte again, and to agree with the secrets that OpenSSL reported.
"""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from dtls.association import DtlsAssociation
from dtls.certificate import Certificate, Fingerprint
from dtls.events import ApplicationData, Connected
from dtls.groups import Group
from dtls.handshake.message import HandshakeType
from dtls.options import DtlsOptions, Role
from dtls.prf import prf
from dtls.records import ContentType, split_datagram
from dtls.versions import Version

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "openssl_dtls12_handshakes.json").read_text())["cases"]

SECRET = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
SEED = bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
SHA256_OUTPUT = bytes.fromhex(
    "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af"
    "0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701"
    "87347b66"
)
SHA384_OUTPUT = bytes.fromhex(
    "dd88775cd827187b67a3f7652b5c13f715791cc46e0274a6d3fb16651103defc544cd8afb68369a219bb918b8b21ddb1"
    "764af0a70339e6dec085e574"
)


@pytest.mark.parametrize(("hash_name", "expected"), [("sha256", SHA256_OUTPUT), ("sha384", SHA384_OUTPUT)])
def test_the_prf(hash_name, expected):
    for length in (0, 1, 12, 31, 32, 33, 48, len(expected)):
        assert prf(SECRET, b"test label", SEED, length, hash_name) == expected[:length]


def seeded_entropy(seed):
    """As in record_dtls12.py."""
    counter = iter(range(1 << 30))

    def entropy(size):
        digest = hashes.Hash(hashes.SHAKE256(max(size, 1)))
        digest.update(f"{seed} {next(counter)}".encode())
        return digest.finalize()[:size]

    return entropy


def play(case, datagrams):
    """Play OpenSSL's side to ours; return our association, its events and what it sent."""
    role = Role(case["role"])
    (group,) = (group for group in Group if group.iana_name == case["group"])
    private_key = ec.derive_private_key(int(case["our_private_key"], 16), ec.SECP256R1())
    ours = DtlsAssociation(
        role=role,
        certificate=Certificate(private_key=private_key, der=bytes.fromhex(case["our_certificate"])),
        peer_fingerprints=[Fingerprint.of(bytes.fromhex(case["their_certificate"]))],
        options=DtlsOptions(versions=(Version.DTLS_1_2,), groups=(group,), share_groups=(group,)),
        entropy=seeded_entropy(case["entropy_seed"]),
        now=0.0,
    )
    events, sent = [], list(ours.datagrams_to_send(0.0))
    for datagram in datagrams:
        events += ours.receive_datagram(datagram, 0.0)
        sent += ours.datagrams_to_send(0.0)
    if ours.is_connected:
        ours.send(b"from us")
        sent += ours.datagrams_to_send(0.0)
    return ours, events, sent


def datagrams_of(case, sender):
    return [bytes.fromhex(datagram["hex"]) for datagram in case["datagrams"] if datagram["from"] == sender]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["entropy_seed"])
def test_a_recorded_handshake_with_openssl(case):
    ours, events, sent = play(case, datagrams_of(case, "openssl"))
    assert sent == datagrams_of(case, "us")
    connected, data = events
    assert isinstance(connected, Connected)
    assert connected.group == case["group"]
    assert data == ApplicationData(data=b"from OpenSSL")
    assert not ours.drops
    assert ours._stage._secrets.master_secret.hex() == case["openssl_master_secret"]
    assert ours.export_keying_material("EXTRACTOR-dtls_srtp", 56).hex() == case["openssl_exporter"]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["entropy_seed"])
def test_every_changed_byte_of_openssls_side_is_noticed(case):
    """Ours says something else, or does not connect, or drops a record: all but what has no meaning at all."""
    datagrams = datagrams_of(case, "openssl")
    expected = play(case, datagrams)
    tolerated = set()
    for index, datagram in enumerate(datagrams):
        for position in range(len(datagram)):
            damaged = bytearray(datagram)
            damaged[position] ^= 0x55
            changed = [*datagrams[:index], bytes(damaged), *datagrams[index + 1 :]]
            ours, events, sent = play(case, changed)
            if (events, sent, ours.drops) == (expected[1], expected[2], {}):
                tolerated.add((index, position))
    # RFC 6347 §4.1: before there are keys nobody looks at a record's version and number.
    meaningless = set()
    for index, datagram in enumerate(datagrams):
        at = 0
        for raw in split_datagram(datagram):
            if raw.epoch == 0:
                meaningless |= {(index, at + offset) for offset in (1, 2, 5, 6, 7, 8, 9, 10)}
            if raw.payload[:1] == bytes((HandshakeType.HELLO_VERIFY_REQUEST,)):
                # RFC 6347 §4.2.1: nor at the version in a HelloVerifyRequest.
                meaningless |= {(index, at + 25), (index, at + 26)}
            at += 13 + len(raw.payload)
    assert tolerated <= meaningless
    # So that not a byte of the recording can change, look at those too.
    plaintext = [raw for datagram in datagrams for raw in split_datagram(datagram) if raw.epoch == 0]
    assert [raw.sequence for raw in plaintext] == list(range(len(plaintext)))
    for raw in plaintext:
        before_the_version_is_chosen = raw.content_type == ContentType.HANDSHAKE and raw.payload[0] in (1, 3)
        assert raw.header[1:3].hex() == ("feff" if before_the_version_is_chosen else "fefd")
    verify_requests = [data[25:27].hex() for data in datagrams if data[13] == HandshakeType.HELLO_VERIFY_REQUEST]
    assert set(verify_requests) <= {"feff"}
