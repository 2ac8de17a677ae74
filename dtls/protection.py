"""What turns records into bytes and back, one object per direction and epoch.

The two protocols are what a version implements; plaintext, which both share, is here.
"""

from typing import Protocol

from dtls.records import PLAINTEXT_HEADER_SIZE, RawRecord, Record, plaintext_header

__all__ = ["NO_CEILING", "InboundPlaintext", "InboundProtection", "OutboundPlaintext", "OutboundProtection"]

NO_CEILING = 1 << 48
"""RFC 9147 §4.2.1: numbers end there."""


class InboundProtection(Protocol):
    """Opens the records that the peer protected under one epoch."""

    @property
    def epoch(self) -> int:
        """The whole epoch."""

    @property
    def is_unified(self) -> bool:
        """Whether its records have the unified header."""

    def open(self, raw: RawRecord) -> Record:
        """Check a record, remove its protection, and remember its number.

        Raises:
            AuthenticationError: it is not authentic.
            ReplayError: it was opened before, or is too old to tell.
            MalformedError: it is authentic, but has no content type inside.
        """


class OutboundProtection(Protocol):
    """Protects our records under one epoch.

    Attributes:
        next_sequence: the number that the next record will have.
        ceiling: from this number on, nothing is sealed: another process may use it with the same key.
    """

    next_sequence: int
    ceiling: int

    @property
    def epoch(self) -> int:
        """The whole epoch."""

    @property
    def overhead(self) -> int:
        """How many bytes a record is longer than its content."""

    @property
    def is_exhausted(self) -> bool:
        """Whether the key has protected as many records as it may."""

    def seal(self, content_type: int, content: bytes) -> bytes:
        """Return the whole record, header included, and count on.

        Raises:
            CeilingReached: its number is not ours to use yet.
        """


class InboundPlaintext:
    """Epoch 0: nothing is protected, so nothing is checked.

    No replay window: numbers that anybody can write must not decide what is refused later. Repetitions are harmless,
    because the handshake above tells messages apart by their own numbers.
    """

    __slots__ = ()
    epoch = 0
    is_unified = False

    def open(self, raw: RawRecord) -> Record:
        """Return the record as it is."""
        return Record(0, raw.sequence, raw.content_type, raw.payload)


class OutboundPlaintext:
    """Epoch 0 in our direction: no key, so numbers are no nonces."""

    __slots__ = ("ceiling", "next_sequence")
    epoch = 0
    overhead = PLAINTEXT_HEADER_SIZE
    is_exhausted = False

    def __init__(self) -> None:
        self.next_sequence = 0
        self.ceiling = NO_CEILING

    def seal(self, content_type: int, content: bytes) -> bytes:
        """Return header and content."""
        sequence = self.next_sequence
        self.next_sequence = sequence + 1
        return plaintext_header(content_type, 0, sequence, len(content)) + content
