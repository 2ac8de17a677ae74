"""Signature schemes: what we can verify, and what we sign with.

Source: RFC 8446 §4.2.3. In 1.2 the same numbers name a pair of hash and signature algorithm (RFC 5246 §7.4.1.4.1).
"""

import enum
from collections.abc import Iterable

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from wire.errors import AuthenticationError

__all__ = ["SIGNATURE_SCHEMES", "SignatureScheme", "choose_scheme", "sign", "verify"]


class SignatureScheme(enum.IntEnum):
    """Schemes that we verify."""

    ECDSA_SECP256R1_SHA256 = 0x0403
    ECDSA_SECP384R1_SHA384 = 0x0503
    RSA_PSS_RSAE_SHA256 = 0x0804
    RSA_PSS_RSAE_SHA384 = 0x0805
    RSA_PKCS1_SHA256 = 0x0401


@attrs.frozen(kw_only=True)
class _Scheme:
    """How a scheme signs.

    Attributes:
        hash: over the content.
        curve: which the key has to be on; None for RSA.
        is_pss: RSA padding; PKCS#1 v1.5 otherwise.
        signs_handshake_13: whether it may sign a CertificateVerify of 1.3.
    """

    hash: hashes.HashAlgorithm
    curve: type[ec.EllipticCurve] | None = None
    is_pss: bool = False
    signs_handshake_13: bool = True


_SCHEMES = {
    SignatureScheme.ECDSA_SECP256R1_SHA256: _Scheme(hash=hashes.SHA256(), curve=ec.SECP256R1),
    SignatureScheme.ECDSA_SECP384R1_SHA384: _Scheme(hash=hashes.SHA384(), curve=ec.SECP384R1),
    SignatureScheme.RSA_PSS_RSAE_SHA256: _Scheme(hash=hashes.SHA256(), is_pss=True),
    SignatureScheme.RSA_PSS_RSAE_SHA384: _Scheme(hash=hashes.SHA384(), is_pss=True),
    # RFC 8446 §4.2.3: rsa_pkcs1 is for signatures in certificates only (and for 1.2).
    SignatureScheme.RSA_PKCS1_SHA256: _Scheme(hash=hashes.SHA256(), signs_handshake_13=False),
}

SIGNATURE_SCHEMES = tuple(int(scheme) for scheme in _SCHEMES)
"""What we say that we verify, preferred first."""


def choose_scheme(key: ec.EllipticCurvePrivateKey, accepted: Iterable[int]) -> SignatureScheme | None:
    """Choose what to sign with: the scheme of the key's curve, if the peer accepts it."""
    accepted = frozenset(accepted)
    for number, scheme in _SCHEMES.items():
        if scheme.curve is not None and isinstance(key.curve, scheme.curve) and number in accepted:
            return number
    return None


def sign(key: ec.EllipticCurvePrivateKey, scheme: SignatureScheme, content: bytes) -> bytes:
    """Sign with ECDSA.

    The nonce comes from key and content (RFC 6979), not from a generator: so a handshake replays byte for byte from
    its entropy, and weak entropy cannot betray the key.
    """
    return key.sign(content, ec.ECDSA(_SCHEMES[scheme].hash, deterministic_signing=True))


def verify(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    scheme: int,
    signature: bytes,
    content: bytes,
    *,
    is_tls13: bool,
) -> None:
    """Check a signature.

    Raises:
        AuthenticationError: the scheme is not one of ours, does not fit the key, or the signature is wrong.
    """
    how = _SCHEMES.get(SignatureScheme(scheme)) if scheme in SIGNATURE_SCHEMES else None
    if how is None or (is_tls13 and not how.signs_handshake_13):
        raise AuthenticationError("signature scheme")
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            # RFC 8446 §4.2.3: the curve is part of the scheme. In 1.2 only the hash is (RFC 5246 §7.4.1.4.1).
            if how.curve is None or (is_tls13 and not isinstance(key.curve, how.curve)):
                raise AuthenticationError("signature scheme")
            key.verify(signature, content, ec.ECDSA(how.hash))
        elif how.curve is not None:
            raise AuthenticationError("signature scheme")
        elif how.is_pss:
            # RFC 8446 §4.2.3: the salt is as long as the hash.
            pss = padding.PSS(mgf=padding.MGF1(how.hash), salt_length=how.hash.digest_size)
            key.verify(signature, content, pss, how.hash)
        else:
            key.verify(signature, content, padding.PKCS1v15(), how.hash)
    except InvalidSignature as error:
        raise AuthenticationError("signature") from error
