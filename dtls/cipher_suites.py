"""Cipher suites: everything that depends on the one chosen.

A 1.3 suite names an AEAD and a hash. Adding one is adding an entry, and for an AEAD of another kind its record-number
mask (RFC 9147 §4.2.3). A 1.2 suite names the kind of key exchange and of the server's key too; all that we have are
ECDHE with ECDSA.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dtls.versions import Version
from wire.buffer import Reader
from wire.errors import MalformedError

__all__ = [
    "CIPHER_SUITES",
    "TLS_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "Aead",
    "CipherSuite",
    "Mask",
    "read_suite",
]

Mask = Callable[[bytes], bytes]
"""Takes the first 16 bytes of a record's ciphertext; returns at least 2 bytes that hide its number."""


class Aead(Protocol):
    """Authenticated encryption under one key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return ciphertext and tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the plaintext; `cryptography.exceptions.InvalidTag` when it is not authentic."""


@attrs.frozen(kw_only=True)
class CipherSuite:
    """A cipher suite.

    Attributes:
        number: on the wire.
        name: in IANA's registry.
        version: the only version that it belongs to.
        hash_name: hashlib's name of the hash.
        key_size: bytes of an AEAD key (and of a record-number key).
        iv_size: bytes of an IV; in 1.2 of the part that is not sent.
        tag_size: bytes that a record grows by.
        aead: makes the AEAD of a key.
        mask: makes the record-number mask of a key; None in 1.2.
        confidentiality_limit: how many records one key may protect (RFC 9147 §4.5.3, RFC 8446 §5.5).
        integrity_limit: how many records may fail under one key.
    """

    number: int
    name: str
    version: Version
    hash_name: str
    key_size: int
    iv_size: int
    tag_size: int
    aead: Callable[[bytes], Aead]
    mask: Callable[[bytes], Mask] | None
    confidentiality_limit: int
    integrity_limit: int


def _aes_mask(key: bytes) -> Mask:
    # RFC 9147 §4.2.3: Mask = AES-ECB(sn_key, Ciphertext[0..15]). One encryptor is kept: 0.2 µs a record instead of 3.
    # ECB over single blocks has no state between calls.
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # noqa: S305  (one block, as the RFC demands)


TLS_AES_128_GCM_SHA256 = CipherSuite(
    number=0x1301,
    name="TLS_AES_128_GCM_SHA256",
    version=Version.DTLS_1_3,
    hash_name="sha256",
    key_size=16,
    iv_size=12,
    tag_size=16,
    aead=AESGCM,
    mask=_aes_mask,
    confidentiality_limit=1 << 24,  # of full-size records 2^24.5
    integrity_limit=1 << 36,
)

# RFC 8827 §6.5: the one that every WebRTC endpoint has in 1.2 (RFC 5289 §3.2, with RFC 5288's AES-GCM).
TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = CipherSuite(
    number=0xC02B,
    name="TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    version=Version.DTLS_1_2,
    hash_name="sha256",
    key_size=16,
    iv_size=4,
    tag_size=16,
    aead=AESGCM,
    mask=None,
    confidentiality_limit=1 << 24,
    integrity_limit=1 << 36,
)

_ALL = (TLS_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)

CIPHER_SUITES: Mapping[int, CipherSuite] = {suite.number: suite for suite in _ALL}
"""All that we know, preferred first."""


def read_suite(reader: Reader, version: Version) -> CipherSuite:
    """Read a suite's number from the snapshot of an association.

    Raises:
        MalformedError: it is not known, or not of that version.
    """
    at, number = reader.offset, reader.u16("cipher_suite")
    suite = CIPHER_SUITES.get(number)
    if suite is None or suite.version is not version:
        raise MalformedError("cipher_suite", at, f"0x{number:04x} is not known in this version")
    return suite
