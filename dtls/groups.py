"""Key exchange: elliptic curves, and the hybrid of ML-KEM-768 with X25519.

A client generates (`generate_all`) and later finishes; a server answers a client's share in one step (`respond`).
Entropy comes in. The encapsulation of ML-KEM takes no seed from outside, so a function that encapsulates comes in.

Source: RFC 8446 §4.2.8, RFC 7748 §6.1, FIPS 203, draft-ietf-tls-ecdhe-mlkem §3 (order of the parts).
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import attrs
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dtls.alerts import AbortError, misbehaved
from wire.core import Entropy

__all__ = ["Encapsulate", "Group", "KeyExchange", "encapsulate_mlkem768", "generate", "generate_all", "respond"]

Encapsulate = Callable[[bytes], tuple[bytes, bytes]]
"""Takes an ML-KEM-768 encapsulation key; returns shared secret and ciphertext. ValueError for a bad key."""

_X25519_SIZE = 32
_MLKEM768_KEY_SIZE = 1184
_MLKEM768_CIPHERTEXT_SIZE = 1088
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Group(enum.IntEnum):
    """Groups that we know."""

    SECP256R1 = 0x0017
    X25519 = 0x001D
    X25519MLKEM768 = 0x11EC

    @property
    def iana_name(self) -> str:
        """The name in IANA's registry."""
        return _IANA_NAMES[self]


_IANA_NAMES = {Group.SECP256R1: "secp256r1", Group.X25519: "x25519", Group.X25519MLKEM768: "X25519MLKEM768"}


class KeyExchange(Protocol):
    """Our half of a key exchange, which waits for the peer's."""

    @property
    def share(self) -> bytes:
        """Our public value."""

    def finish(self, peer_share: bytes) -> bytes:
        """Return the shared secret.

        Raises:
            AbortError: the peer's public value is none.
        """


@attrs.frozen
class _X25519:
    private: x25519.X25519PrivateKey = attrs.field(repr=False)
    share: bytes

    @classmethod
    def generate(cls, entropy: Entropy) -> "_X25519":
        private = x25519.X25519PrivateKey.from_private_bytes(entropy(32))
        return cls(private, private.public_key().public_bytes_raw())

    def finish(self, peer_share: bytes) -> bytes:
        try:
            # RFC 7748 §6.1 and RFC 8446 §7.4.2: an all-zero result MUST abort; the library raises ValueError.
            return self.private.exchange(x25519.X25519PublicKey.from_public_bytes(peer_share))
        except ValueError as error:
            raise _bad_share() from error


@attrs.frozen
class _Secp256r1:
    private: ec.EllipticCurvePrivateKey = attrs.field(repr=False)
    share: bytes

    @classmethod
    def generate(cls, entropy: Entropy) -> "_Secp256r1":
        # FIPS 186-5 A.2.1: 64 bits more than the order has, so that the remainder is as good as uniform.
        scalar = int.from_bytes(entropy(40), "big") % (_P256_ORDER - 1) + 1
        private = ec.derive_private_key(scalar, ec.SECP256R1())
        return cls(private, private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def finish(self, peer_share: bytes) -> bytes:
        try:
            # RFC 8446 §4.2.8.2: the uncompressed form only; the library checks that the point is on the curve.
            if peer_share[:1] != b"\x04":
                raise _bad_share()
            peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), peer_share)
            return self.private.exchange(ec.ECDH(), peer)
        except ValueError as error:
            raise _bad_share() from error


@attrs.frozen
class _X25519Mlkem768:
    decapsulation: mlkem.MLKEM768PrivateKey = attrs.field(repr=False)
    curve: _X25519 = attrs.field(repr=False)
    share: bytes

    @classmethod
    def generate(cls, curve: _X25519, entropy: Entropy) -> "_X25519Mlkem768":
        decapsulation = mlkem.MLKEM768PrivateKey.from_seed_bytes(entropy(64))
        return cls(decapsulation, curve, decapsulation.public_key().public_bytes_raw() + curve.share)

    def finish(self, peer_share: bytes) -> bytes:
        if len(peer_share) != _MLKEM768_CIPHERTEXT_SIZE + _X25519_SIZE:
            raise _bad_share()
        ciphertext, curve_share = peer_share[:_MLKEM768_CIPHERTEXT_SIZE], peer_share[_MLKEM768_CIPHERTEXT_SIZE:]
        return self.decapsulation.decapsulate(ciphertext) + self.curve.finish(curve_share)


def generate(group: Group, entropy: Entropy) -> KeyExchange:
    """Make our half of a key exchange as the side that goes first."""
    return generate_all([group], entropy)[group]


def generate_all(groups: Iterable[Group], entropy: Entropy) -> dict[Group, KeyExchange]:
    """Make our half of each key exchange that one ClientHello offers."""
    # RFC 9954 §3.2: in one ClientHello an algorithm that is in several groups may have the same value in all of them.
    # Firefox does so, Chromium makes two X25519 keys. One of them would be for nothing, and costs 22 us.
    curve = None
    exchanges: dict[Group, KeyExchange] = {}
    for group in groups:
        if group is Group.SECP256R1:
            exchanges[group] = _Secp256r1.generate(entropy)
        else:
            curve = _X25519.generate(entropy) if curve is None else curve
            exchanges[group] = curve if group is Group.X25519 else _X25519Mlkem768.generate(curve, entropy)
    return exchanges


def respond(group: Group, peer_share: bytes, entropy: Entropy, encapsulate: Encapsulate) -> tuple[bytes, bytes]:
    """Answer a client's public value.

    Returns:
        Our public value and the shared secret.

    Raises:
        AbortError: the client's public value is none.
    """
    if group is not Group.X25519MLKEM768:
        ours = generate(group, entropy)
        return ours.share, ours.finish(peer_share)
    if len(peer_share) != _MLKEM768_KEY_SIZE + _X25519_SIZE:
        raise _bad_share()
    try:
        mlkem_secret, ciphertext = encapsulate(peer_share[:_MLKEM768_KEY_SIZE])
    except ValueError as error:
        raise _bad_share() from error
    curve = _X25519.generate(entropy)
    return ciphertext + curve.share, mlkem_secret + curve.finish(peer_share[_MLKEM768_KEY_SIZE:])


def encapsulate_mlkem768(key: bytes) -> tuple[bytes, bytes]:
    """Encapsulate with the crypto library's own entropy: the default outside of tests."""
    return mlkem.MLKEM768PublicKey.from_public_bytes(key).encapsulate()


def choose_group(ours: Sequence[Group], theirs: Sequence[int]) -> Group | None:
    """Choose the first of our groups that the peer has too."""
    return next((group for group in ours if group in theirs), None)


def _bad_share() -> AbortError:
    return misbehaved("the key share is no public value of its group")
