"""Puts packets in order, and decides when one that is missing has been waited for long enough.

A player needs a delay before each packet, because it must never run dry. Who feeds a voice agent has no loudspeaker:
a packet that is next in order is handed on at once, whether it was quick or slow, and only a gap makes us wait. So
what is to be measured is not how late packets are, but how long a packet keeps coming after one that was sent behind
it. On a path that keeps the order (most do) that is never: a gap is a loss as soon as it is seen, and no time passes
over it. Where packets overtake each other, a gap is left open for the quantile of what was measured.

Sequence numbers only; what timestamps mean is `media_time`'s business.
"""

import math
from collections import Counter, deque

from transceiver.audio.audio_packet import AudioPacket, DropReason
from transceiver.audio.histogram import Histogram
from transceiver.audio.listening_options import ListeningOptions
from wire.core import Drops
from wire.serial import Unwrapper

__all__ = ["JitterBuffer"]

_BUCKET = 0.005

# What is believed of a new path: one packet in so many comes behind its successor, by as much. It outlives the first
# half of the memory if nothing of the kind happens.
_BELIEVED_LAG = 0.040

# RFC 3550 A.1: as far behind, two packets in a row are not late, but of a sender that has started again.
_MAX_MISORDER = 100

# How many gaps that were given up are remembered, to tell who comes late from who comes twice.
_GAPS_KEPT = 64

# Packets in order are counted, and measured together.
_COUNTED_TOGETHER = 256

# Of a longer gap, what is further back is not expected to come: 10 s.
_LONGEST_GAP = 512


class JitterBuffer:
    """Orders the packets of one source.

    Args:
        options: bounds.
        drops: where it is counted what is dropped.

    Attributes:
        drops: what was dropped, by reason.
        deadline: when the gap that is waited at will be given up, in seconds, monotonic; None while there is none.
        waited: how long packets have stood behind gaps, in all, in seconds.
        longest_wait: the longest of these waits.
        lost: how many packets were given up.
        ready: packets whose turn it is, until `take` takes them.
        numbers: gives a packet that has just come its number, which never wraps; knows the newest.
    """

    def __init__(self, options: ListeningOptions, drops: Drops | None = None) -> None:
        self.drops: Drops = Counter() if drops is None else drops
        self.deadline: float | None = None
        self.waited = 0.0
        self.longest_wait = 0.0
        self.lost = 0
        self._options = options
        self._max_packets = options.max_packets
        self.numbers = Unwrapper(16)
        self._has_begun = False
        self._first = self._next = 0
        self.ready: list[AudioPacket] = []
        self._held: dict[int, AudioPacket] = {}
        self._given_up: deque[tuple[range, float]] = deque(maxlen=_GAPS_KEPT)  # which numbers, when the gap was seen
        self._after_jump: int | None = None
        self._lags = Histogram(bucket=_BUCKET, count=int(options.max_wait / _BUCKET) + 2, memory=options.memory)
        self._lags.add(0.0, times=options.memory / 2)
        self._lags.add(_BELIEVED_LAG, times=options.memory * (1 - options.quantile))
        self._in_order = 0  # packets without a lag that `_lags` was not told of yet

    def is_missing(self, sequence: int) -> bool:
        """Whether the packet of an unwrapped number is being waited for."""
        return self._has_begun and sequence >= self._next and sequence not in self._held

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held and nothing is ready."""
        return not self._held and not self.ready

    @property
    def wait(self) -> float:
        """How long a gap is left open now, in seconds."""
        self._count_in_order()
        return min(self._lags.quantile(self._options.quantile), self._options.max_wait)

    def insert(self, packet: AudioPacket, now: float) -> None:
        """Take a packet that has come.

        Args:
            packet: the packet.
            now: seconds, monotonic.
        """
        sequence = packet.sequence
        if not self._has_begun:
            self._has_begun = True
            self._first = self._next = sequence
        if sequence == self._next and not self._held and len(self.ready) < self._max_packets:
            # Nearly all packets.
            self._next = sequence + 1
            self._in_order += 1
            if self._in_order == _COUNTED_TOGETHER:
                self._count_in_order()
            self.ready.append(packet)
        elif sequence < self._next and not self._is_restart(packet):
            self._count_behind(packet, now)
        elif len(self.ready) + len(self._held) >= self._max_packets:
            self.drops[DropReason.OVERFLOW] += 1
        else:
            self._insert_at_gap(packet, now)

    def take(self, now: float) -> list[AudioPacket]:
        """Return the packets whose turn it is, in order; the missing ones before each are counted in it.

        Args:
            now: seconds, monotonic.
        """
        if self.deadline is not None and now >= self.deadline:
            self._settle(now)
        ready, self.ready = self.ready, []
        return ready

    # -- how late packets are that others have overtaken

    def _measure(self, lag: float) -> None:
        self._count_in_order()
        self._lags.add(lag)

    def _count_in_order(self) -> None:
        self._lags.add_zeros(self._in_order)
        self._in_order = 0

    # -- gaps

    def _insert_at_gap(self, packet: AudioPacket, now: float) -> None:
        sequence = packet.sequence
        present = self._held.get(sequence)
        if present is not None and (packet.is_copy or not present.is_copy):
            self.drops[DropReason.DUPLICATE] += 1
            return
        overtaken_by = [held.arrived_at for number, held in self._held.items() if number > sequence]
        self._measure(now - min(overtaken_by, default=now))
        self._held[sequence] = packet
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Move on what is next in order, and give up what has been waited for long enough."""
        self._move_on(now)
        self.deadline = None
        held = self._held
        if not held:
            return
        wait = self.wait
        self.deadline = min(packet.arrived_at for packet in held.values()) + wait
        if now < self.deadline:
            return
        # A gap is seen with the first packet from behind it.
        seen_at = math.inf
        gaps = []
        for number in sorted(held, reverse=True):
            seen_at = min(seen_at, held[number].arrived_at)
            gaps.append((number, seen_at))
        self.deadline = None
        for number, seen_at in reversed(gaps):
            if number < self._next:
                continue  # has moved on with the one before
            if now < seen_at + wait:
                self.deadline = seen_at + wait
                return
            self._give_up(number, seen_at)
            self._move_on(now)

    def _move_on(self, now: float) -> None:
        while (packet := self._held.pop(self._next, None)) is not None:
            waited = now - packet.arrived_at
            self.waited += waited
            self.longest_wait = max(self.longest_wait, waited)
            self.ready.append(packet)
            self._next += 1

    def _give_up(self, following: int, seen_at: float) -> None:
        """Stop waiting for all that is missing before a packet that is held."""
        missing = following - self._next
        self._held[following].missing = missing
        self.lost += missing
        self._given_up.append((range(max(self._next, following - _LONGEST_GAP), following), seen_at))
        self._next = following

    # -- packets from behind

    def _count_behind(self, packet: AudioPacket, now: float) -> None:
        if packet.is_copy:
            return
        seen_at = self._given_up_at(packet.sequence)
        if seen_at is not None:
            # It is measured as well, or the wait would never learn that it is too short.
            self._measure(now - seen_at)
        is_late = seen_at is not None or packet.sequence < self._first
        self.drops[DropReason.LATE if is_late else DropReason.DUPLICATE] += 1

    def _given_up_at(self, sequence: int) -> float | None:
        """Return when the gap was seen in which a packet was given up; None if it was not."""
        return next((seen_at for gap, seen_at in self._given_up if sequence in gap), None)

    def _is_restart(self, packet: AudioPacket) -> bool:
        sequence = packet.sequence
        if packet.is_copy or sequence >= self._next - _MAX_MISORDER or self._given_up_at(sequence) is not None:
            return False
        if sequence != self._after_jump:
            self._after_jump = sequence + 1
            return False
        self._after_jump = None
        self.numbers.last = self._first = self._next = sequence
        self._held.clear()
        self._given_up.clear()
        self.deadline = None
        return True
