"""Record protection of DTLS 1.2: an AEAD over the content; the header stays readable.

Goal: who changes, repeats or invents records has no effect but a counted drop; who watches sees types, lengths and
record numbers, and no content.

Attacker: reads, drops, repeats and writes datagrams at will.

Construction of a protected record:

    0         13              21                       21+n     37+n
    +---------+---------------+------------------------+---------+
    | header  | nonce, 8 bytes| content, n bytes, AES  | tag, 16 |
    +---------+---------------+------------------------+---------+

The AEAD's nonce is the 4 secret bytes of the IV and the 8 that are sent; as those we send epoch and sequence number,
which never repeat under a key. Epoch, sequence number, type, version and n are associated data. The window that
refuses repetitions moves only after the AEAD has accepted.

Source: RFC 5288 §3, RFC 5246 §6.2.3.3, RFC 6347 §4.1.2.
"""

import struct

from cryptography.exceptions import InvalidTag

from dtls.cipher_suites import CipherSuite
from dtls.prf import RecordKeys
from dtls.protection import NO_CEILING
from dtls.records import PLAINTEXT_HEADER_SIZE, RawRecord, Record, plaintext_header
from dtls.versions import Version
from wire.errors import AuthenticationError, CeilingReached, LimitError, ReplayError
from wire.replay import ReplayWindow

__all__ = ["EPOCH_PROTECTED", "InboundProtection12", "OutboundProtection12"]

EPOCH_PROTECTED = 1
"""RFC 6347 §4.1: each ChangeCipherSpec counts the epoch up; without renegotiation there is one."""

_EXPLICIT_NONCE_SIZE = 8
_NUMBER = struct.Struct(">Q")  # epoch (16 bits) and sequence number (48 bits)
_ASSOCIATED_DATA = struct.Struct(">QBHH")  # number, type, version, length of the content
_LENGTH = struct.Struct(">H")

# Both classes are on the path of every record: slots, precompiled structs, and nothing built per record but the bytes
# themselves.


class OutboundProtection12:
    """Our protected records.

    Args:
        suite: the cipher suite.
        keys: ours.
        next_sequence: the number of the next record.

    Attributes:
        ceiling: from this number on, nothing is sealed.
    """

    __slots__ = ("_aead", "_iv", "_limit", "ceiling", "next_sequence", "overhead")
    epoch = EPOCH_PROTECTED

    def __init__(self, suite: CipherSuite, keys: RecordKeys, next_sequence: int = 0) -> None:
        self._aead = suite.aead(keys.key)
        self._iv = keys.iv
        self._limit = suite.confidentiality_limit
        self.next_sequence = next_sequence
        self.ceiling = NO_CEILING
        self.overhead = PLAINTEXT_HEADER_SIZE + _EXPLICIT_NONCE_SIZE + suite.tag_size

    def seal(self, content_type: int, content: bytes) -> bytes:
        """Return the whole record, and count on.

        Raises:
            CeilingReached: its number is not ours to use yet.
        """
        sequence = self.next_sequence
        if sequence >= self.ceiling:
            raise CeilingReached(f"epoch {self.epoch} may not use record number {sequence}")
        self.next_sequence = sequence + 1
        size = len(content)
        number = EPOCH_PROTECTED << 48 | sequence
        # RFC 5288 §3: nonce_explicit MUST be distinct for each record of a key; it may be the 64-bit number.
        explicit = _NUMBER.pack(number)
        # RFC 5246 §6.2.3.3 with RFC 6347 §4.1.2.1: seq_num is epoch and sequence number; the length is the content's.
        associated_data = _ASSOCIATED_DATA.pack(number, content_type, Version.DTLS_1_2, size)
        header = plaintext_header(content_type, EPOCH_PROTECTED, sequence, size + self.overhead - PLAINTEXT_HEADER_SIZE)
        return header + explicit + self._aead.encrypt(self._iv + explicit, content, associated_data)

    @property
    def is_exhausted(self) -> bool:
        """Whether the key has protected as many records as it may; far below where the numbers would wrap.

        RFC 9147 §4.5.3 has the limit for 1.3; the AEAD, and so the arithmetic, is the same.
        """
        return self.next_sequence >= self._limit


class InboundProtection12:
    """The peer's protected records.

    Args:
        suite: the cipher suite.
        keys: the peer's.
        window: which numbers were seen; a fresh one when None.

    Attributes:
        failures: how many records did not authenticate under this key.
    """

    __slots__ = ("_aead", "_iv", "_limit", "_smallest", "failures", "window")
    epoch = EPOCH_PROTECTED
    is_unified = False

    def __init__(self, suite: CipherSuite, keys: RecordKeys, window: ReplayWindow | None = None) -> None:
        self._aead = suite.aead(keys.key)
        self._iv = keys.iv
        self._limit = suite.integrity_limit
        self._smallest = _EXPLICIT_NONCE_SIZE + suite.tag_size
        self.window = ReplayWindow() if window is None else window
        self.failures = 0

    def open(self, raw: RawRecord) -> Record:
        """Check a record, remove its protection, and remember its number.

        Raises:
            AuthenticationError: it is not authentic.
            ReplayError: it was opened before, or is too old to tell.
            LimitError: more records failed under this key than may.
        """
        payload, header = raw.payload, raw.header
        size = len(payload) - self._smallest
        if size < 0:
            raise AuthenticationError("record")
        # The header as it came (version too), in the order of the associated data.
        associated_data = header[3:11] + header[:3] + _LENGTH.pack(size)
        nonce = self._iv + payload[:_EXPLICIT_NONCE_SIZE]
        try:
            content = self._aead.decrypt(nonce, payload[_EXPLICIT_NONCE_SIZE:], associated_data)
        except InvalidTag as error:
            self.failures += 1
            # RFC 6347 §4.1.2.7: invalid records SHOULD be discarded; RFC 9147 §4.5.3 has the limit for this AEAD.
            if self.failures > self._limit:
                raise LimitError("records that fail under one key") from error
            raise AuthenticationError("record") from error
        # RFC 6347 §4.1.2.6: the window MUST NOT move before the record has been verified.
        if not self.window.check(raw.sequence):
            raise ReplayError(f"record {raw.sequence}")
        self.window.commit(raw.sequence)
        return Record(EPOCH_PROTECTED, raw.sequence, raw.content_type, content)
