"""A message on its way out, and the chunks that it was cut into."""

import enum

__all__ = [
    "BEGINNING",
    "DATA_HEADER_SIZE",
    "END",
    "UNORDERED",
    "ChunkState",
    "OutgoingMessage",
    "SentChunk",
    "chunk_size",
]

UNORDERED = 4
BEGINNING = 2
END = 1
"""The bits U, B and E of a DATA chunk (RFC 9260 §3.3.1)."""

DATA_HEADER_SIZE = 16
"""Bytes of a DATA chunk before its user data (RFC 9260 §3.3.1)."""


def chunk_size(payload_size: int) -> int:
    """Bytes of a DATA chunk with so much user data, padding included."""
    return DATA_HEADER_SIZE + (payload_size + 3 & ~3)


class OutgoingMessage:
    """One message of the application.

    Args:
        stream_id: the stream it is sent on.
        ppid: payload protocol identifier.
        data: what is left to be sent is `data[position:]`.
        is_unordered: whether the peer may deliver it before earlier ones.
        max_retransmits: how often a chunk of it is sent again before it is abandoned; None for no limit.
        expires_at: when it is abandoned; None for never.

    Attributes:
        is_limited: whether it may be abandoned at all.
        stream_sequence_number: given when its first chunk is made; does not wrap.
        position: bytes that were cut off so far.
        is_abandoned: nothing of it is sent any more.
    """

    __slots__ = (
        "data",
        "expires_at",
        "is_abandoned",
        "is_limited",
        "is_unordered",
        "max_retransmits",
        "position",
        "ppid",
        "stream_id",
        "stream_sequence_number",
    )

    def __init__(
        self,
        stream_id: int,
        ppid: int,
        data: bytes,
        *,
        is_unordered: bool = False,
        max_retransmits: int | None = None,
        expires_at: float | None = None,
    ) -> None:
        self.stream_id = stream_id
        self.ppid = ppid
        self.data = data
        self.is_unordered = is_unordered
        self.max_retransmits = max_retransmits
        self.expires_at = expires_at
        self.is_limited = max_retransmits is not None or expires_at is not None
        self.stream_sequence_number = 0
        self.position = 0
        self.is_abandoned = False

    def has_expired(self, now: float) -> bool:
        """Whether its lifetime is over."""
        return self.expires_at is not None and now >= self.expires_at


class ChunkState(enum.Enum):
    """What is known of a chunk that has a TSN and is not cumulatively acknowledged."""

    IN_FLIGHT = "in-flight"
    ACKED = "acked"
    """By a gap block, which the peer may take back (RFC 9260 §6.2.1 D iii)."""
    TO_RETRANSMIT = "to-retransmit"
    ABANDONED = "abandoned"


# Names of the module, where a look-up in an enum class costs as much as a call; one is made for every packet.
_IN_FLIGHT = ChunkState.IN_FLIGHT


class SentChunk:
    """A DATA chunk that has a TSN.

    Args:
        tsn: does not wrap.
        message: what it is a piece of.
        payload: its user data; empty for the stand-in that closes an abandoned message.
        flags: of UNORDERED, BEGINNING, END.
        sent_at: when.

    Attributes:
        size: bytes of the chunk, header and padding included.
        state: what is known of it.
        misses: how many SACKs in a row have missed it.
        transmissions: how often it was sent.
        sent_at: when it was last sent.
        fast_retransmitted_at: the TSN that was the next new one when it was fast retransmitted; -1 if it was not.
    """

    __slots__ = (
        "fast_retransmitted_at",
        "flags",
        "message",
        "misses",
        "payload",
        "sent_at",
        "size",
        "state",
        "transmissions",
        "tsn",
    )

    def __init__(
        self,
        tsn: int,
        message: OutgoingMessage,
        payload: bytes,
        flags: int,
        sent_at: float,
    ) -> None:
        self.tsn = tsn
        self.message = message
        self.payload = payload
        self.flags = flags
        self.sent_at = sent_at
        self.size = DATA_HEADER_SIZE + (len(payload) + 3 & ~3)
        self.state = _IN_FLIGHT
        self.misses = 0
        self.transmissions = 1
        self.fast_retransmitted_at = -1
