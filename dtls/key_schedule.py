"""The key schedule of TLS 1.3 with DTLS's labels: from one shared secret to all keys.

             0
             |
    0 ─▶ HKDF-Extract = early secret
             |  derive "derived"
    shared ─▶ HKDF-Extract = handshake secret ──▶ "c hs traffic", "s hs traffic"      epoch 2
             |  derive "derived"
    0 ─▶ HKDF-Extract = master secret ──▶ "c ap traffic", "s ap traffic"              epoch 3
                                      └─▶ "exp master"                                exporters

The label prefix is a parameter, because the only published vectors are those of TLS (RFC 8448).

Source: RFC 8446 §7.1-7.5, RFC 5869, RFC 9147 §5.9.
"""

import functools
import hashlib
import hmac
from typing import NamedTuple

import attrs

from wire.buffer import Writer

__all__ = ["DTLS13_LABEL_PREFIX", "KeySchedule", "TrafficKeys", "hkdf_expand", "hkdf_extract"]

DTLS13_LABEL_PREFIX = b"dtls13"
"""RFC 9147 §5.9: no space at the end, unlike "tls13 "."""


class TrafficKeys(NamedTuple):
    """What protects the records of one direction and epoch."""

    key: bytes
    iv: bytes
    record_number_key: bytes


# `hmac.digest` is one call into OpenSSL and faster than the HKDF objects of `cryptography` (1.4 µs against 1.6 µs for
# one block, measured on the reference machine); a handshake does about forty of these.


def hkdf_extract(hash_name: str, salt: bytes, input_key: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 §2.2)."""
    return hmac.digest(salt, input_key, hash_name)


def hkdf_expand(hash_name: str, secret: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3); `length` is at most 255 times the hash's size."""
    block = hmac.digest(secret, info + b"\x01", hash_name)
    output = block
    counter = 1
    while len(output) < length:
        counter += 1
        block = hmac.digest(secret, block + info + bytes((counter,)), hash_name)
        output += block
    return output[:length]


@functools.lru_cache(maxsize=8)
def _empty_hash(hash_name: str) -> bytes:
    return hashlib.new(hash_name).digest()


@functools.lru_cache(maxsize=64)
def _label_info(prefix: bytes, label: bytes, length: int, context_size: int) -> bytes:
    """Encode HkdfLabel up to its context; the same few over and over."""
    writer = Writer().u16(length, "length").vector(1, prefix + label, "label").u8(context_size, "context")
    return writer.finish()


@functools.lru_cache(maxsize=8)
def _derived_early_secret(hash_name: str, prefix: bytes) -> bytes:
    """The salt of the handshake secret. Without a pre-shared key it is the same in every handshake."""
    schedule = KeySchedule(hash_name=hash_name, prefix=prefix)
    zeros = bytes(schedule.hash_size)
    early = hkdf_extract(hash_name, zeros, zeros)
    return schedule.derive_secret(early, b"derived", schedule.empty_hash)


@attrs.frozen(kw_only=True)
class KeySchedule:
    """Derivations for one hash function.

    Attributes:
        hash_name: hashlib's name of the cipher suite's hash.
        prefix: what every label begins with.
    """

    hash_name: str = "sha256"
    prefix: bytes = DTLS13_LABEL_PREFIX

    @property
    def hash_size(self) -> int:
        """Bytes of a hash, and of every secret."""
        return len(_empty_hash(self.hash_name))

    @property
    def empty_hash(self) -> bytes:
        """The hash of nothing."""
        return _empty_hash(self.hash_name)

    def expand_label(self, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        """HKDF-Expand-Label (RFC 8446 §7.1)."""
        info = _label_info(self.prefix, label, length, len(context)) + context
        return hkdf_expand(self.hash_name, secret, info, length)

    def derive_secret(self, secret: bytes, label: bytes, transcript_hash: bytes) -> bytes:
        """Derive-Secret, over the hash of the messages instead of the messages (RFC 8446 §7.1)."""
        return self.expand_label(secret, label, transcript_hash, len(transcript_hash))

    def handshake_secret(self, shared: bytes) -> bytes:
        """Mix in the result of the key exchange."""
        return hkdf_extract(self.hash_name, _derived_early_secret(self.hash_name, self.prefix), shared)

    def master_secret(self, handshake_secret: bytes) -> bytes:
        """Step on from the handshake secret."""
        salt = self.derive_secret(handshake_secret, b"derived", self.empty_hash)
        return hkdf_extract(self.hash_name, salt, bytes(self.hash_size))

    def traffic_keys(self, traffic_secret: bytes, key_size: int, iv_size: int) -> TrafficKeys:
        """Derive the keys of one direction and epoch (RFC 8446 §7.3, RFC 9147 §4.2.3)."""
        return TrafficKeys(
            self.expand_label(traffic_secret, b"key", b"", key_size),
            self.expand_label(traffic_secret, b"iv", b"", iv_size),
            self.expand_label(traffic_secret, b"sn", b"", key_size),
        )

    def finished_mac(self, traffic_secret: bytes, transcript_hash: bytes) -> bytes:
        """Compute verify_data (RFC 8446 §4.4.4)."""
        key = self.expand_label(traffic_secret, b"finished", b"", self.hash_size)
        return hmac.digest(key, transcript_hash, self.hash_name)

    def export(self, exporter_secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        """Derive keying material for another protocol (RFC 8446 §7.5); no context counts as an empty one."""
        secret = self.derive_secret(exporter_secret, label, self.empty_hash)
        context_hash = hashlib.new(self.hash_name, context).digest()
        return self.expand_label(secret, b"exporter", context_hash, length)
