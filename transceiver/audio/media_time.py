"""Keeps what is handed on in step with the sender's timestamps, whatever the network does to the packets.

What is handed on has no gaps. So where the sender has sent nothing (it is muted, it saves bandwidth, its packets were
lost) something stands in for the time. Two rules decide how much:

* A packet whose timestamp is ahead of what was handed on so far is preceded by as much as it is ahead.
* While nothing comes, time goes on: silence is handed on as it passes, so that whoever listens notices the end of a
  turn. It stays behind the latest moment at which a packet may still be expected, so that nearly always the next packet
  finds that too little silence was handed on, and the first rule makes it exact.

When it is too much (the network stalled, and brings everything at once), what is handed on runs `ahead` of the
sender. Nothing is cut away for that: the next pauses are made shorter by as much.

Time is counted in ticks of 1/48000 s: the clocks of all codecs and all sample rates divide it.

Source: RFC 3550 §5.1 (timestamps), RFC 7587 §3.1.3 (a gap in timestamps without one in sequence numbers is a pause).
"""

from transceiver.audio.audio_packet import AudioPacket
from wire.serial import serial_distance

__all__ = ["TICKS", "MediaTime"]

TICKS = 48000
"""Ticks in a second."""

_FRAME = TICKS // 50
_PATIENT = 0.0199
"""Seconds behind the time of a packet that has not come: less than a frame of silence has passed then."""

# Time that passed was handed on as silence, up to the lateness that was allowed for. A timestamp that is off by more
# than this is of a sender whose clock jumped.
_JUMP = TICKS
_JUMP_BACK = TICKS // 4


class MediaTime:
    """The position of what is handed on, on the sender's clock.

    Attributes:
        ahead: ticks by which more was handed on than the sender's timestamps account for.
        target: the lateness in seconds that is still usual; to be kept up to date from outside.
        jumps: how often the sender's clock jumped.
        patient_until: until then `pace` has nothing, in seconds, monotonic.
    """

    def __init__(self, target: float) -> None:
        self.target = target
        self.ahead = 0
        self.jumps = 0
        self._next = 0  # timestamp that would continue what was handed on, in units of the clock
        self._clock = 0
        self._due = 0.0  # when the packet behind the last one would come if it were as quick as the quickest
        self._last_duration = _FRAME
        self.patient_until = 0.0

    def follow(self, packet: AudioPacket, clock: int) -> bool:
        """Move on to behind a packet that begins where the one before ends, as nearly all do.

        Args:
            packet: the next one.
            clock: of its timestamp, in Hz.

        Returns:
            Whether it is such a one; nothing has changed if not.
        """
        if packet.timestamp != self._next or clock != self._clock or packet.missing or self.ahead:
            return False
        self._move_behind(packet)
        return True

    def gap_before(self, packet: AudioPacket, clock: int) -> int:
        """Return for how many ticks the sender has nothing to show before a packet.

        Call it once for each packet, in order, and then `settle`.

        Args:
            packet: the next one.
            clock: of its timestamp, in Hz.
        """
        lost = min(packet.missing * self._last_duration, TICKS)
        if clock != self._clock:
            # RFC 7160 §4.1: timestamps before and after a change of the clock cannot be compared.
            self._clock = clock
            return self._anchor(lost)
        gap = serial_distance(packet.timestamp, self._next, 32) * TICKS // clock
        if gap - self.ahead - lost > _JUMP or gap < -_JUMP_BACK:
            self.jumps += 1
            return self._anchor(lost)
        return gap

    def _anchor(self, lost: int) -> int:
        self.ahead = min(self.ahead, lost)
        return lost

    def settle(self, gap: int, packet: AudioPacket, at_least: int = 0) -> int:
        """Move on to behind a packet.

        Args:
            gap: what `gap_before` said; negative where packets overlap.
            packet: the packet that will be handed on.
            at_least: ticks before it that are known (recovered), and to be handed on in any case.

        Returns:
            How many ticks to hand on before the packet, `at_least` included.
        """
        owed = gap - self.ahead
        fill = max(owed, at_least)
        self.ahead = fill - owed
        self._move_behind(packet)
        return fill

    def _move_behind(self, packet: AudioPacket) -> None:
        duration = self._last_duration = packet.duration
        self._next = (packet.timestamp + duration * self._clock // TICKS) & 0xFFFF_FFFF
        # A packet later than usual says that the network stalled or the sender's clock stood still, not that the next
        # one is overdue as well.
        self._due = due = packet.arrived_at - min(packet.lateness, self.target) + duration / TICKS
        self.patient_until = due + _PATIENT

    def skip(self, ticks: int) -> None:
        """Note that ticks of the sender's were left out, to be less ahead."""
        self.ahead -= ticks

    def forgive(self, seconds: float) -> None:
        """Note that the smallest transit has grown: it was the sender's clock that stood still, not the network."""
        self.ahead = max(self.ahead - round(seconds * TICKS), 0)

    def pace(self, now: float, patience: float) -> int:
        """Return how many ticks of silence have become due, in whole frames of 20 ms; at most a second at a time.

        Args:
            now: seconds, monotonic.
            patience: for how many seconds more than `target` a packet is still expected.
        """
        overdue = now - self._due - self.target - patience - self.ahead / TICKS
        # Less than a sample early is due, whatever the fractions of the clock are.
        frames = int(overdue * (TICKS / _FRAME) + 1e-3)
        if not self._clock or frames <= 0:
            return 0
        ticks = min(frames * _FRAME, TICKS)
        self.ahead += ticks
        return ticks

    def next_silence(self, patience: float) -> float | None:
        """When `pace` will have a frame, in seconds, monotonic; None before the first packet."""
        if not self._clock:
            return None
        return self._due + self.target + patience + (self.ahead + _FRAME) / TICKS
