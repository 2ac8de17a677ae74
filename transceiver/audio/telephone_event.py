"""Keys that a caller presses, sent as events and not as tones.

     0                   1                   2                   3
    |     event     |E|R| volume    |          duration             |

While a key is down, packets with the timestamp of its beginning tell how long it has been down; the one with the E bit
ends it, and is sent three times. A key held for longer than the duration can tell goes on in a further segment, whose
timestamp is where the one before ended. Every packet tells all there is to know, so a key is found if one of its
packets comes; and only once, since one that ended is remembered for a while.

A key is reported when it is released, because its duration is known then: on the first E bit, on the next key, or when
nothing has been heard of it for a while.

Source: RFC 4733 §2.3 (payload), §2.5.2 (receiving), §3.2 (keys).
"""

from collections import Counter, deque

import attrs

from transceiver.audio.audio_packet import DropReason
from wire.core import Drops, Event
from wire.serial import serial_distance

__all__ = ["DtmfReceived", "TelephoneEvents"]

DIGITS = "0123456789*#ABCD"
"""RFC 4733 §3.2, table 3: the keys by event code."""

MAX_EVENTS_IN_PACKET = 8
"""RFC 4733 §2.5.1.5 allows several that follow each other; real senders send one."""

MAX_UNTAKEN = 64
"""Most key presses kept for who does not take them."""

# RFC 4733 §2.5.2.2: an event is extended by no more than three intervals; senders report every 20 to 50 ms.
_SILENT_END = 0.150

_ENDED_KEPT = 16

_END = 0x80
_LONGEST = 0xFFFF
_MASK = 0xFFFF_FFFF


@attrs.frozen(kw_only=True)
class DtmfReceived(Event):
    """The caller pressed a key and has released it.

    Attributes:
        digit: one of `0123456789*#ABCD`.
        duration_ms: how long it was down, as far as was heard, in milliseconds.
    """

    digit: str
    duration_ms: int


@attrs.define
class _Press:
    """A key that is down.

    Attributes:
        code: of the event.
        clock: of its timestamps, in Hz.
        timestamp: where the present segment begins.
        duration: of the present segment.
        earlier: duration of the segments before.
        heard_at: when it was last heard of.
    """

    code: int
    clock: int
    timestamp: int
    duration: int
    earlier: int
    heard_at: float

    def is_continued_by(self, code: int, timestamp: int) -> bool:
        """Whether a report is about a further segment of this press."""
        # RFC 4733 §2.5.2.3: there is no gap between two segments. The last reports of a full one may be lost, though;
        # and in redundant audio segments are shorter (§2.5.2.3.1).
        past = (timestamp - self.timestamp) & _MASK
        return code == self.code and (past == _LONGEST or past == self.duration > 0)

    def move_on(self, timestamp: int) -> None:
        """Start the next segment."""
        self.earlier += (timestamp - self.timestamp) & _MASK
        self.timestamp, self.duration = timestamp, 0


class TelephoneEvents:
    """Follows the keys of one source.

    Args:
        drops: where it is counted what was not used.
    """

    def __init__(self, drops: Drops | None = None) -> None:
        self.drops: Drops = Counter() if drops is None else drops
        self.press: _Press | None = None
        self._silenced: _Press | None = None  # released because nothing was heard of it
        self._ended: deque[tuple[int, int]] = deque(maxlen=_ENDED_KEPT)  # code and timestamp, for each segment
        self.received: list[DtmfReceived] = []

    def receive(self, timestamp: int, payload: bytes, clock: int, now: float, *, marker: bool = False) -> None:
        """Take one payload.

        Args:
            timestamp: of the packet, 32 bits.
            marker: whether a key has just gone down.
            payload: one report, or several of keys that follow each other.
            clock: of timestamp and duration, in Hz.
            now: seconds, monotonic.
        """
        if not payload or len(payload) % 4 or len(payload) > 4 * MAX_EVENTS_IN_PACKET:
            self.drops[DropReason.MALFORMED_EVENT] += 1
            return
        for at in range(0, len(payload), 4):
            code, flags = payload[at], payload[at + 1]
            duration = payload[at + 2] << 8 | payload[at + 3]
            if code < len(DIGITS):
                press = self._find(code, timestamp, clock, now, is_new=marker)
                if press is not None:
                    # Reports overtake each other.
                    press.duration = max(press.duration, duration)
                    press.heard_at = now
                    # One that the next key has overtaken is over, whether it says so or not.
                    if flags & _END or press is not self.press:
                        self._release(press)
            else:
                self.drops[DropReason.UNKNOWN_EVENT] += 1
            # RFC 4733 §2.5.2.4: each begins where the one before ends.
            timestamp = (timestamp + duration) & _MASK

    def handle_timeout(self, now: float) -> None:
        """Release a key that was not heard of for too long.

        Args:
            now: seconds, monotonic.
        """
        if self.press is not None and now >= self.press.heard_at + _SILENT_END:
            self._silenced = self.press
            self._release(self.press)

    def take(self) -> list[DtmfReceived]:
        """Return the keys that were released, each once."""
        received, self.received = self.received, []
        return received

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called; None for never."""
        return None if self.press is None else self.press.heard_at + _SILENT_END

    def _find(self, code: int, timestamp: int, clock: int, now: float, *, is_new: bool) -> _Press | None:
        """Return the key that a report is about; None when there is nothing left to tell of it."""
        # RFC 4733 §2.5.2.2: further reports of an event that is over MUST be ignored.
        if (code, timestamp) in self._ended:
            return None
        press = self.press
        if press is not None and press.code == code and press.timestamp == timestamp:
            return press
        # RFC 4733 §2.5.1.3: the marker is not set on a further segment.
        if press is not None and not is_new and press.is_continued_by(code, timestamp):
            self._ended.append((code, press.timestamp))
            press.move_on(timestamp)
            return press
        if self._silenced is not None and not is_new and self._silenced.is_continued_by(code, timestamp):
            self._silenced.move_on(timestamp)
            self._ended.append((code, timestamp))
            return None
        found = _Press(code, clock, timestamp, 0, 0, now)
        if press is not None and serial_distance(timestamp, press.timestamp, 32) < 0:
            return found  # of a key before the present one, which has overtaken it
        if press is not None:
            # RFC 4733 §2.5.2.2: the next event ends one whose end was lost.
            self._release(press)
        self.press = found
        return found

    def _release(self, press: _Press) -> None:
        if press is self.press:
            self.press = None
        self._ended.append((press.code, press.timestamp))
        self._append(press.code, press.earlier + press.duration, press.clock)

    def _append(self, code: int, duration: int, clock: int) -> None:
        if len(self.received) >= MAX_UNTAKEN:
            self.drops[DropReason.TOO_MANY_EVENTS] += 1
            return
        self.received.append(DtmfReceived(digit=DIGITS[code], duration_ms=round(duration * 1000 / clock)))
