"""Records handshakes between our DTLS 1.2 and OpenSSL's into `openssl_dtls12_handshakes.json`.

    python tests/dtls/interop/record_dtls12.py

Ours is repeatable (seeded entropy, RFC 6979 signatures), so a recording can be played back to it without OpenSSL: see
test_dtls12_vectors.py.
"""

import contextlib
import json
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from dtls.association import DtlsAssociation
from dtls.certificate import Certificate
from dtls.groups import Group
from dtls.options import DtlsOptions, Role
from dtls.versions import Version

TARGET = Path(__file__).parents[1] / "openssl_dtls12_handshakes.json"


def seeded_entropy(seed: str):
    """Deterministic bytes on any Python: SHAKE-256 of the seed and a counter."""
    counter = iter(range(1 << 30))

    def entropy(size: int) -> bytes:
        digest = hashes.Hash(hashes.SHAKE256(max(size, 1)))
        digest.update(f"{seed} {next(counter)}".encode())
        return digest.finalize()[:size]

    return entropy


def record(role: Role, group: Group, cookie: bytes | None) -> dict[str, object]:
    """Let both sides connect and exchange a message each."""
    ours_certificate, theirs_certificate = (Certificate.generate(unix_time=time.time()) for _ in range(2))
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_options(SSL.OP_NO_TICKET)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.use_certificate(x509.load_der_x509_certificate(theirs_certificate.der))
    context.use_privatekey(theirs_certificate.private_key)
    context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80")
    if cookie is not None:
        context.set_options(SSL.OP_COOKIE_EXCHANGE)
        context.set_cookie_generate_callback(lambda _: cookie)
        context.set_cookie_verify_callback(lambda _, returned: returned == cookie)
    theirs = SSL.Connection(context, None)
    (theirs.set_accept_state if role is Role.CLIENT else theirs.set_connect_state)()
    seed = f"{role.value} {group.iana_name}"
    ours = DtlsAssociation(
        role=role,
        certificate=ours_certificate,
        peer_fingerprints=[theirs_certificate.fingerprint()],
        options=DtlsOptions(versions=(Version.DTLS_1_2,), groups=(group,), share_groups=(group,)),
        entropy=seeded_entropy(seed),
        now=0.0,
    )
    datagrams: list[dict[str, str]] = []

    def carry() -> None:
        for _ in range(6):
            with contextlib.suppress(SSL.WantReadError):
                theirs.do_handshake()
            try:
                data = theirs.bio_read(1 << 16)
            except SSL.WantReadError:
                pass
            else:
                datagrams.append({"from": "openssl", "hex": data.hex()})
                ours.receive_datagram(data, 0.0)
            for data in ours.datagrams_to_send(0.0):
                datagrams.append({"from": "us", "hex": data.hex()})
                theirs.bio_write(data)

    carry()
    theirs.send(b"from OpenSSL")
    ours.send(b"from us")
    carry()
    assert theirs.recv(100) == b"from us"
    numbers = ours_certificate.private_key.private_numbers()
    assert isinstance(ours_certificate.private_key.curve, ec.SECP256R1)
    return {
        "role": role.value,
        "group": group.iana_name,
        "entropy_seed": seed,
        "our_private_key": f"{numbers.private_value:064x}",
        "our_certificate": ours_certificate.der.hex(),
        "their_certificate": theirs_certificate.der.hex(),
        "datagrams": datagrams,
        "openssl_master_secret": theirs.master_key().hex(),
        "openssl_exporter": theirs.export_keying_material(b"EXTRACTOR-dtls_srtp", 56, None).hex(),
    }


def main() -> None:
    """Record each role with each group, once with a cookie."""
    cases = [
        record(Role.CLIENT, Group.X25519, b"cookie of twenty byt"),
        record(Role.CLIENT, Group.SECP256R1, None),
        record(Role.SERVER, Group.X25519, None),
        record(Role.SERVER, Group.SECP256R1, None),
    ]
    made_by = f"record_dtls12.py with {SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()}"
    TARGET.write_text(json.dumps({"made_by": made_by, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
