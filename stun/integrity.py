"""MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT.

All three cover the raw bytes in front of them, with the header's length field set as if they were the last
attribute. So they are computed on bytes: a padding that is not zero is covered as it was sent, and a relay can
verify without parsing.

    message := header attributes [MESSAGE-INTEGRITY] [MESSAGE-INTEGRITY-SHA256] [FINGERPRINT]

Source: RFC 8489 §14.5, §14.6, §14.7.
"""

import enum
import hmac
import struct
import zlib

from stun.attributes import AttributeType
from stun.message import HEADER_LENGTH, MAX_ATTRIBUTES

__all__ = [
    "Integrity",
    "add_fingerprint",
    "add_integrity",
    "add_message_integrity",
    "add_message_integrity_sha256",
    "verify_fingerprint",
    "verify_message_integrity",
]

_ATTRIBUTE_HEADER = struct.Struct(">HH")
_LENGTH = struct.Struct(">H")
_FINGERPRINT = struct.Struct(">HHI")
# RFC 8489 §14.7: the CRC-32 is XOR'ed with "STUN", lest another protocol's CRC-32 be taken for a fingerprint.
_FINGERPRINT_XOR = 0x5354554E

_SHA1_TYPE = int(AttributeType.MESSAGE_INTEGRITY)
_SHA256_TYPE = int(AttributeType.MESSAGE_INTEGRITY_SHA256)
_FINGERPRINT_TYPE = int(AttributeType.FINGERPRINT)


class Integrity(enum.Enum):
    """The algorithm of a message's integrity; the value is what hashlib calls it."""

    SHA1 = "sha1"
    SHA256 = "sha256"


def _covered(data: bytes, end: int, attribute_size: int) -> bytes:
    """The bytes up to `end`, with the length field pointing behind an attribute of that size placed there."""
    length = end - HEADER_LENGTH + attribute_size
    return data[:2] + _LENGTH.pack(length) + data[4:end]


def verify_message_integrity(data: bytes, key: bytes) -> bool:
    """Whether a message was made by someone who knows `key`. Never raises.

    Every integrity attribute present has to verify, so that nothing in front of either is left uncovered; of
    repeated ones the first counts. Some microseconds, for the relay does it for each new address.

    Args:
        data: the message as received.
        key: the password, encoded in UTF-8 (RFC 8489 §9.1.1).

    Returns:
        False when the bytes do not parse that far, or hold no integrity at all.
    """
    size = len(data)
    position = HEADER_LENGTH
    verified = False
    sha256_seen = False
    for _ in range(MAX_ATTRIBUTES):
        if size - position < 4:
            break
        attribute_type, length = _ATTRIBUTE_HEADER.unpack_from(data, position)
        value = position + 4
        if length > size - value:
            return False
        if attribute_type == _SHA1_TYPE:
            expected = hmac.digest(key, _covered(data, position, 24), "sha1")
            # An attribute of another size is compared too, and differs.
            if not hmac.compare_digest(expected, data[value : value + length]):
                return False
            return sha256_seen or _verify_sha256_behind(data, value + 20, key)
        if attribute_type == _SHA256_TYPE and not sha256_seen:
            # RFC 8489 §14.6: the full 32 bytes unless the usage allows truncation, which ICE does not.
            expected = hmac.digest(key, _covered(data, position, 36), "sha256")
            if not hmac.compare_digest(expected, data[value : value + length]):
                return False
            verified = sha256_seen = True
        position = value + ((length + 3) & ~3)
    return verified


def _verify_sha256_behind(data: bytes, position: int, key: bytes) -> bool:
    """Verify the MESSAGE-INTEGRITY-SHA256 that may follow a MESSAGE-INTEGRITY; true when there is none."""
    size = len(data)
    for _ in range(MAX_ATTRIBUTES):
        if size - position < 4:
            return True
        attribute_type, length = _ATTRIBUTE_HEADER.unpack_from(data, position)
        value = position + 4
        if length > size - value:
            return False
        if attribute_type == _SHA256_TYPE:
            expected = hmac.digest(key, _covered(data, position, 36), "sha256")
            return hmac.compare_digest(expected, data[value : value + length])
        position = value + ((length + 3) & ~3)
    return True


def verify_fingerprint(data: bytes) -> bool:
    """Whether a message ends in a FINGERPRINT that is right. Never raises."""
    # RFC 8489 §14.7: FINGERPRINT MUST be the last attribute.
    end = len(data) - 8
    if end < HEADER_LENGTH:
        return False
    expected = (_FINGERPRINT_TYPE, 4, zlib.crc32(data[:end]) ^ _FINGERPRINT_XOR)
    found: tuple[int, int, int] = _FINGERPRINT.unpack_from(data, end)
    return found == expected


def add_message_integrity(data: bytes, key: bytes) -> bytes:
    """Append a MESSAGE-INTEGRITY (HMAC-SHA1) to a serialized message."""
    covered = _covered(data, len(data), 24)
    return covered + _ATTRIBUTE_HEADER.pack(_SHA1_TYPE, 20) + hmac.digest(key, covered, "sha1")


def add_message_integrity_sha256(data: bytes, key: bytes) -> bytes:
    """Append a MESSAGE-INTEGRITY-SHA256 to a serialized message."""
    covered = _covered(data, len(data), 36)
    return covered + _ATTRIBUTE_HEADER.pack(_SHA256_TYPE, 32) + hmac.digest(key, covered, "sha256")


def add_integrity(data: bytes, key: bytes, integrity: Integrity) -> bytes:
    """Append the integrity attribute of that algorithm."""
    if integrity is Integrity.SHA256:
        return add_message_integrity_sha256(data, key)
    return add_message_integrity(data, key)


def add_fingerprint(data: bytes) -> bytes:
    """Append a FINGERPRINT, the last attribute of any message."""
    covered = _covered(data, len(data), 8)
    return covered + _FINGERPRINT.pack(_FINGERPRINT_TYPE, 4, zlib.crc32(covered) ^ _FINGERPRINT_XOR)
