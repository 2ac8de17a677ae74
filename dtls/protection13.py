"""Record protection of DTLS 1.3: AEAD over the content, and a mask over the record number.

Goal: who watches the path learns neither content, nor content type, nor record numbers that would link packets across
a change of address; who changes, repeats or invents records has no effect but a counted drop.

Attacker: reads, drops, repeats and writes datagrams at will.

Construction, in the order of sending: content ‖ type (‖ zeros) is encrypted under a nonce made of the IV and the whole
64-bit sequence number, with the header in the clear as associated data; then the sequence bits in the header are
XORed with a block of AES over the first 16 bytes of the ciphertext. Opening goes backwards, and the window that
refuses repetitions moves only after the AEAD has accepted.

Source: RFC 9147 §4, §4.2.2, §4.2.3, §4.5.1.
"""

from cryptography.exceptions import InvalidTag

from dtls.cipher_suites import CipherSuite
from dtls.key_schedule import KeySchedule
from dtls.protection import NO_CEILING
from dtls.records import UNIFIED_HEADER_SIZE, RawRecord, Record, unified_header
from wire.errors import AuthenticationError, CeilingReached, LimitError, MalformedError, ReplayError
from wire.replay import ReplayWindow

__all__ = ["InboundProtection13", "OutboundProtection13"]

_SAMPLE_SIZE = 16

# Both classes are on the path of every record: slots, an IV that is already an integer, and nothing built per record
# but the bytes themselves.


class OutboundProtection13:
    """Our records of one epoch.

    Args:
        suite: the cipher suite.
        secret: our traffic secret of the epoch.
        epoch: the whole epoch.
        next_sequence: the number of the next record.

    Attributes:
        ceiling: from this number on, nothing is sealed.
    """

    __slots__ = (
        "_aead",
        "_iv",
        "_iv_size",
        "_limit",
        "_mask",
        "ceiling",
        "epoch",
        "next_sequence",
        "overhead",
        "secret",
    )

    def __init__(self, suite: CipherSuite, secret: bytes, epoch: int, next_sequence: int = 0) -> None:
        keys = KeySchedule(hash_name=suite.hash_name).traffic_keys(secret, suite.key_size, suite.iv_size)
        assert suite.mask is not None  # noqa: S101  (a 1.3 suite has one)
        self._aead = suite.aead(keys.key)
        self._mask = suite.mask(keys.record_number_key)
        self._iv = int.from_bytes(keys.iv, "big")
        self._iv_size = suite.iv_size
        self._limit = suite.confidentiality_limit
        self.secret = secret
        self.epoch = epoch
        self.next_sequence = next_sequence
        self.ceiling = NO_CEILING
        self.overhead = UNIFIED_HEADER_SIZE + 1 + suite.tag_size

    def seal(self, content_type: int, content: bytes) -> bytes:
        """Return the whole record, and count on.

        Raises:
            CeilingReached: its number is not ours to use yet.
        """
        sequence = self.next_sequence
        if sequence >= self.ceiling:
            raise CeilingReached(f"epoch {self.epoch} may not use record number {sequence}")
        self.next_sequence = sequence + 1
        # RFC 9147 §4: the associated data is the header before record-number encryption.
        header = unified_header(self.epoch, sequence, len(content) + self.overhead - UNIFIED_HEADER_SIZE)
        # RFC 9147 §4: only the sequence number enters the nonce, not the epoch (RFC 8446 §5.3 for the XOR).
        nonce = (self._iv ^ sequence).to_bytes(self._iv_size, "big")
        ciphertext = self._aead.encrypt(nonce, content + bytes((content_type,)), header)
        mask = self._mask(ciphertext[:_SAMPLE_SIZE])
        masked = bytes((header[0], header[1] ^ mask[0], header[2] ^ mask[1]))
        return masked + header[3:] + ciphertext

    @property
    def is_exhausted(self) -> bool:
        """Whether the key has protected as many records as it may (RFC 9147 §4.5.3)."""
        return self.next_sequence >= self._limit


class InboundProtection13:
    """The peer's records of one epoch.

    Args:
        suite: the cipher suite.
        secret: the peer's traffic secret of the epoch.
        epoch: the whole epoch.
        window: which numbers were seen; a fresh one when None.

    Attributes:
        failures: how many records did not authenticate under this key.
    """

    __slots__ = ("_aead", "_iv", "_iv_size", "_limit", "_mask", "epoch", "failures", "secret", "window")
    is_unified = True

    def __init__(self, suite: CipherSuite, secret: bytes, epoch: int, window: ReplayWindow | None = None) -> None:
        keys = KeySchedule(hash_name=suite.hash_name).traffic_keys(secret, suite.key_size, suite.iv_size)
        assert suite.mask is not None  # noqa: S101  (a 1.3 suite has one)
        self._aead = suite.aead(keys.key)
        self._mask = suite.mask(keys.record_number_key)
        self._iv = int.from_bytes(keys.iv, "big")
        self._iv_size = suite.iv_size
        self._limit = suite.integrity_limit
        self.secret = secret
        self.epoch = epoch
        self.window = ReplayWindow() if window is None else window
        self.failures = 0

    def open(self, raw: RawRecord) -> Record:
        """Check a record, remove its protection, and remember its number.

        Raises:
            AuthenticationError: it is not authentic.
            ReplayError: it was opened before, or is too old to tell.
            MalformedError: it is authentic, but has no content type inside.
            LimitError: more records failed under this key than may.
        """
        payload, header = raw.payload, raw.header
        # RFC 9147 §4.2.3: shorter ciphertexts MUST be rejected as if they had failed deprotection.
        if len(payload) < _SAMPLE_SIZE:
            raise AuthenticationError("record")
        mask = self._mask(payload[:_SAMPLE_SIZE])
        if header[0] & 0x08:
            bits, wire_sequence = 16, raw.sequence ^ (mask[0] << 8 | mask[1])
            header = header[:1] + wire_sequence.to_bytes(2, "big") + header[3:]
        else:
            bits, wire_sequence = 8, raw.sequence ^ mask[0]
            header = header[:1] + bytes((wire_sequence,)) + header[2:]
        sequence = self._reconstruct(wire_sequence, bits)
        nonce = (self._iv ^ sequence).to_bytes(self._iv_size, "big")
        try:
            inner = self._aead.decrypt(nonce, payload, header)
        except InvalidTag as error:
            self.failures += 1
            # RFC 9147 §4.5.3: beyond the limit the association SHOULD be closed.
            if self.failures > self._limit:
                raise LimitError("records that fail under one key") from error
            raise AuthenticationError("record") from error
        # RFC 9147 §4.5.1: the check for repetition SHOULD happen after deprotecting, lest its timing tell the number;
        # the window MUST NOT move before.
        if not self.window.check(sequence):
            raise ReplayError(f"record {sequence}")
        self.window.commit(sequence)
        # RFC 8446 §5.4: the content type is the last byte that is not padding.
        content = inner.rstrip(b"\0")
        if not content:
            raise MalformedError("ContentType", len(header), "the record holds nothing but padding")
        return Record(self.epoch, sequence, content[-1], content[:-1])

    def _reconstruct(self, wire_sequence: int, bits: int) -> int:
        """RFC 9147 §4.2.2: the number closest to one plus the highest that was deprotected."""
        expected = self.window.highest + 1
        modulus = 1 << bits
        ahead = (wire_sequence - expected) % modulus
        sequence = expected + (ahead if ahead < modulus >> 1 else ahead - modulus)
        # At the start nothing lies below zero.
        return sequence if sequence >= 0 else sequence + modulus
