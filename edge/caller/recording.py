"""What recordings have in common: the packets of a call, in the order in which they were sent.

A recording has time: it waits for up to ten packets before it gives a missing one up.
"""

from collections.abc import Iterator
from typing import Protocol

import attrs

from transceiver.audio.opus_packet import CLOCK_RATE, check_packet
from wire.errors import MalformedError

__all__ = ["SAMPLE_RATE", "InOrder", "PacketOrder", "Recording", "packet_samples"]

SAMPLE_RATE = CLOCK_RATE
"""Samples in a second, whatever the bandwidth (RFC 7587 §4.1)."""

_HELD = 10
_MAX_GAP_SAMPLES = 5 * SAMPLE_RATE


def packet_samples(packet: bytes) -> int:
    """Tell how long a packet is, in samples; 0 for what is no Opus packet."""
    try:
        return check_packet(packet)
    except MalformedError:
        return 0


class Recording(Protocol):
    """Takes the packets of a call."""

    @property
    def seconds(self) -> float:
        """How much was recorded."""

    def add(self, sequence_number: int, timestamp: int, packet: bytes) -> None:
        """Take a received packet.

        Args:
            sequence_number: of RTP, 16 bits.
            timestamp: of RTP, 32 bits.
            packet: the RTP payload.
        """

    def finish(self) -> None:
        """Write what is left."""


@attrs.frozen(kw_only=True)
class InOrder:
    """A packet whose turn it is.

    Attributes:
        packet: an Opus packet.
        gap: samples at 48 kHz that are missing before it, because packets were lost or none were sent; 0 when the gap
            is so long that it can only be a new beginning.
        is_after_loss: whether the packet before it is missing.
    """

    packet: bytes
    gap: int
    is_after_loss: bool


class PacketOrder:
    """Puts packets in order, and leaves out what is no Opus or comes too late."""

    __slots__ = ("_held", "_next_sequence", "_next_timestamp")

    def __init__(self) -> None:
        self._held: dict[int, tuple[int, bytes]] = {}
        self._next_sequence: int | None = None
        self._next_timestamp = 0

    def add(self, sequence_number: int, timestamp: int, packet: bytes) -> Iterator[InOrder]:
        """Take a received packet, and give those whose turn has come.

        Args:
            sequence_number: of RTP, 16 bits.
            timestamp: of RTP, 32 bits.
            packet: the RTP payload.
        """
        if not packet_samples(packet):
            return
        if self._next_sequence is None:
            self._next_sequence, self._next_timestamp = sequence_number, timestamp
        ahead = (sequence_number - self._next_sequence) & 0xFFFF
        if ahead >= 0x8000:  # too late: its place was filled
            return
        self._held.setdefault(sequence_number, (timestamp, packet))
        while self._held and (self._next_sequence in self._held or len(self._held) > _HELD):
            yield self._take_next(self._next_sequence)

    def finish(self) -> Iterator[InOrder]:
        """Give what is held."""
        while self._held and self._next_sequence is not None:
            yield self._take_next(self._next_sequence)

    def _take_next(self, expected: int) -> InOrder:
        nearest = min(self._held, key=lambda sequence_number: (sequence_number - expected) & 0xFFFF)
        timestamp, packet = self._held.pop(nearest)
        gap = (timestamp - self._next_timestamp) & 0xFFFFFFFF
        self._next_sequence = (nearest + 1) & 0xFFFF
        self._next_timestamp = (timestamp + packet_samples(packet)) & 0xFFFFFFFF
        return InOrder(packet=packet, gap=gap if gap <= _MAX_GAP_SAMPLES else 0, is_after_loss=nearest != expected)
