"""How late packets come, relative to the quickest of late.

A packet's transit is the time of its arrival less the time in its timestamp. Its absolute value means nothing, since
the two clocks have nothing in common; what it exceeds the smallest transit of the last seconds by is the packet's
lateness, the part of its delay that varies. The quantile of the lateness tells how long after its time a packet may
still be on its way.

The smallest transit is taken over two windows, the present one and the one before. So it follows a clock that drifts,
and a path that has become longer, within seconds.

Source: the "relative arrival delay" of libwebrtc's NetEq, which chooses the delay of a player by it.
"""

from transceiver.audio.histogram import Histogram
from wire.serial import Unwrapper

__all__ = ["DelayEstimate"]

_WINDOW = 2.0
_BUCKET = 0.005
_BUCKETS = 101  # up to 0.5 s

# A timestamp that goes back by more than this, or makes a transit that is as much below the smallest, has jumped.
_JUMP = 1.0

_COUNTED_TOGETHER = 32
"""Packets whose lateness is counted in one go: less than half the work, and nobody asks more often."""


class DelayEstimate:
    """Measures the lateness of one source's packets.

    Args:
        memory: how many packets it remembers, roughly.
        believed: the lateness in seconds that is believed in before any was measured.

    Attributes:
        base: the smallest transit of late, in seconds; its absolute value means nothing.
        risen: by how much it grew when a window ended last; whoever has taken note of it sets it to zero.
    """

    __slots__ = (
        "_before",
        "_clock",
        "_floor",
        "_histogram",
        "_latest",
        "_media_time",
        "_timestamps",
        "_window_end",
        "base",
        "risen",
    )

    def __init__(self, *, memory: float, believed: float) -> None:
        self._histogram = Histogram(bucket=_BUCKET, count=_BUCKETS, memory=memory)
        self._histogram.add(believed)
        self._latest: list[float] = []  # not in the histogram yet
        self._clock = 0
        self._start(0, 0, 0.0)

    def _start(self, timestamp: int, clock: int, now: float) -> None:
        self._clock = clock
        self._timestamps = Unwrapper(32, last=timestamp)
        self._media_time = timestamp / clock if clock else 0.0  # of the newest packet
        self.base = self._floor = self._before = now - self._media_time
        self.risen = 0.0
        self._window_end = now + _WINDOW

    def add(self, timestamp: int, clock: int, now: float, is_newest: bool) -> float:
        """Measure one packet.

        Args:
            timestamp: of its first sample, 32 bits.
            clock: of the timestamp, in Hz; another one than before starts the estimate anew.
            now: when it arrived, in seconds, monotonic.
            is_newest: whether no packet with a higher sequence number has come. Only such a one can tell of a jump:
                an old one may be as late as it likes.

        Returns:
            Its lateness in seconds, not negative.
        """
        if clock != self._clock:
            self._start(timestamp, clock, now)
        media_time = self._timestamps.unwrap(timestamp) / clock
        transit = now - media_time
        lateness = transit - self.base
        if is_newest:
            if lateness < -_JUMP or self._media_time - media_time > _JUMP:
                self._start(timestamp, clock, now)
                transit = self.base
                lateness = 0.0
            else:
                self._media_time = media_time
        if now >= self._window_end:
            self._window_end = now + _WINDOW
            self._before = self._floor
            self._floor = transit
            base = min(transit, self._before)
            self.risen = base - self.base
            self.base = base
        elif transit < self._floor:
            self._floor = transit
            if transit < self.base:
                self.base = transit
        if lateness < 0:
            lateness = 0.0
        latest = self._latest
        latest.append(lateness)
        if len(latest) == _COUNTED_TOGETHER:
            self._count()
        return lateness

    def quantile(self, share: float) -> float:
        """Return the lateness in seconds that `share` (0 to 1) of the packets lately did not exceed."""
        self._count()
        return self._histogram.quantile(share)

    def _count(self) -> None:
        self._histogram.add(*self._latest)
        self._latest.clear()
