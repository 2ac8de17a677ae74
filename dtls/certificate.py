"""Our certificate, the peer's public key, and fingerprints that bind certificates to a signalling channel.

WebRTC's certificates are self-signed: nobody vouches for them but the fingerprint in the SDP, so their names,
validity and issuers are not looked at.

Source: RFC 8122 §5 (fingerprint), RFC 8827 §6.5.
"""

import datetime as dt
import hashlib
import re
from typing import Self

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from dtls.alerts import AbortError, AlertDescription
from wire.errors import MalformedError

__all__ = ["FINGERPRINT_ALGORITHMS", "Certificate", "Fingerprint", "PublicKey", "public_key_of"]

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

FINGERPRINT_ALGORITHMS = {"sha-512": "sha512", "sha-384": "sha384", "sha-256": "sha256"}
"""Hash functions of fingerprints that we check, strongest first, with hashlib's names."""

_DAY = 86400.0
_PAIR = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")


@attrs.frozen
class Fingerprint:
    """A hash of a certificate, as `a=fingerprint` carries it.

    Attributes:
        algorithm: name of the hash function, lower case ("sha-256"); one that we cannot check is kept.
        digest: the hash.
    """

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "sha-256 AB:CD:…", in any case (RFC 8122 §5).

        Raises:
            MalformedError: it is something else, or the hash has the wrong size for its algorithm.
        """
        algorithm, _, digits = text.strip().partition(" ")
        algorithm, digits = algorithm.lower(), digits.strip()
        if not _TOKEN.fullmatch(algorithm):
            raise MalformedError("fingerprint", 0, "no hash function is named")
        if not _PAIR.fullmatch(digits):
            raise MalformedError("fingerprint", len(algorithm), "the hash is no list of byte values")
        digest = bytes.fromhex(digits.replace(":", ""))
        known = FINGERPRINT_ALGORITHMS.get(algorithm)
        if known is not None and len(digest) != hashlib.new(known).digest_size:
            raise MalformedError("fingerprint", len(algorithm), f"{len(digest)} bytes are no {algorithm}")
        return cls(algorithm, digest)

    def __str__(self) -> str:
        return f"{self.algorithm} {self.digest.hex(':').upper()}"

    @classmethod
    def of(cls, der: bytes, algorithm: str = "sha-256") -> Self:
        """Hash a certificate with one of `FINGERPRINT_ALGORITHMS`."""
        return cls(algorithm, hashlib.new(FINGERPRINT_ALGORITHMS[algorithm], der).digest())


@attrs.frozen(kw_only=True)
class Certificate:
    """Who we are: a self-signed ECDSA P-256 certificate and its key.

    Attributes:
        private_key: signs our CertificateVerify.
        der: the certificate.
    """

    private_key: ec.EllipticCurvePrivateKey = attrs.field(repr=False)
    der: bytes = attrs.field(repr=False)

    @classmethod
    def generate(cls, *, unix_time: float, lifetime: float = 30 * _DAY, common_name: str = "WebRTC") -> Self:
        """Make a new key and certificate (takes its entropy from the crypto library).

        Args:
            unix_time: the present, in seconds since 1970.
            lifetime: how long it is valid, in seconds. It is valid a day before now too: clocks differ.
            common_name: subject and issuer; nobody checks it.
        """
        private_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        now = dt.datetime.fromtimestamp(unix_time, dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(seconds=_DAY))
            .not_valid_after(now + dt.timedelta(seconds=lifetime))
            .sign(private_key, hashes.SHA256())
        )
        return cls(private_key=private_key, der=certificate.public_bytes(serialization.Encoding.DER))

    def fingerprint(self) -> Fingerprint:
        """Return what goes into our SDP (RFC 8122 §5: sha-256)."""
        return Fingerprint.of(self.der)


def public_key_of(der: bytes) -> PublicKey:
    """Read the public key out of a peer's certificate.

    Raises:
        AbortError: it is no certificate, or has a kind of key that we cannot verify with.
    """
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except Exception as error:  # the parser raises several kinds, and no peer's bytes may get past here
        raise AbortError(AlertDescription.BAD_CERTIFICATE, "bad-certificate", "it does not parse") from error
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key
    # RFC 8827 §6.5 and common practice: 2048 bits at least; very long keys only cost us time.
    if isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 8192:
        return key
    raise AbortError(AlertDescription.UNSUPPORTED_CERTIFICATE, "bad-certificate", "a kind of key that we do not verify")
