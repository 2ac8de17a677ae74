"""How much to send, and how well protected, by what the peer reports.

Two questions, answered apart:

* How much is lost? In-band FEC makes up for a lost packet if the next one arrives, and costs bits. It is on while loss
  is seen, for as much as is seen; a rise counts soon, a fall slowly, since losses come in spells.
* Is the path full? Heavy loss says so, or packets that wait longer than they need to. Then the bitrate falls, and it
  climbs back when the path is clear. The rules for loss are those of Google's congestion control.

A voice never takes much: without loss it needs no more than `SendingOptions.bitrate`, and never looks for more. What is
between that and `max_bitrate` pays for FEC.

Source: draft-ietf-rmcat-gcc-02 §6 (loss), RFC 8854 §3.3 (Opus's in-band FEC).
"""

import math

import attrs

__all__ = ["FRAME_SECONDS", "Adaptation", "SendingOptions"]


@attrs.frozen(kw_only=True)
class SendingOptions:
    """How speech is sent. Bitrates are those of the codec, in bit/s; RTP, SRTP, UDP and IP add 26000 at 20 ms a packet.

    Attributes:
        min_bitrate: where a full path may push it. Opus is understood well at 12000, in wide band.
        bitrate: where it is on a good path. At 32000 a voice at 24 kHz is hard to tell from the original.
        max_bitrate: where it is while FEC is on, for spare copies that do not take from the quality.
        max_expected_loss: more than this FEC is not asked for; beyond it copies take more than they give.
        uses_fec: whether the peer's decoder makes use of FEC (RFC 7587 §6.1, `useinbandfec`).
        complexity: of Opus, 0 to 10. Measured with libopus 1.6.1 on speech at 24 kHz and 32000 bit/s: a frame of 20 ms
            takes 44 us at 0, 77 at 2, 105 at 5 and 144 at 9, and its spectrum (32 mel bands) is off by 2.30, 2.18, 2.06
            and 1.98 dB. At 16000 bit/s 0 and 1 fall to telephone bandwidth, and 5 is 0.2 dB from the best.
        tail: seconds of coded silence behind speech, before sending stops. It lets the codec and the listener's buffer
            come to rest, and bridges a short pause without a new talkspurt. libopus waits as long before DTX.
        keepalive: seconds between two frames that say "nothing" while nothing is said; see `sender`.
    """

    min_bitrate: int = 12000
    bitrate: int = 32000
    max_bitrate: int = 40000
    max_expected_loss: float = 0.25
    uses_fec: bool = True
    complexity: int = 5
    tail: float = 0.2
    keepalive: float = 0.4


FRAME_SECONDS = 0.02
"""Every packet holds as much audio."""

_RISE, _FALL = 1.0, 8.0
"""Time constants of the loss that is believed in, in seconds of audio."""
_FEC_ON, _FEC_OFF = 0.01, 0.005
_FULL_COPIES = 0.1
"""From this loss on, FEC may use all of `max_bitrate`."""

# draft-ietf-rmcat-gcc-02 §6: above a tenth the path is full, below a fiftieth it is clear.
_LOSS_FULL, _LOSS_CLEAR = 0.1, 0.02
_GROWTH = 1.05  # a second
_WAITING_FULL = 0.15
"""Seconds that packets wait in the path's queues before it counts as full; a voice is disturbed by more."""
_WAITING_CLEAR = 0.05
_DECREASE = 0.85
_BETWEEN_DECREASES = 1.0
"""Seconds: about what it takes until a report shows the effect."""

_LONGEST_STEP = 5.0
_FEEDBACK_LASTS = 2.0
_BASELINE_WINDOW = 30.0


class Adaptation:
    """Follows the reports about one source.

    Args:
        options: the bounds.

    Attributes:
        bitrate: what the codec should use, in bit/s.
        expected_loss: for which share of lost packets FEC should be dimensioned, 0 to 1; 0 while `fec` is off.
        fec: whether spare copies should be sent.
        loss: the share of packets that is believed to get lost.
    """

    __slots__ = (
        "_decreased_at",
        "_feedback_at",
        "_options",
        "_reported_at",
        "_round_trip",
        "_target",
        "_transit",
        "_waiting_by_feedback",
        "_waiting_by_report",
        "expected_loss",
        "fec",
        "loss",
    )

    def __init__(self, options: SendingOptions) -> None:
        self._options = options
        self._target = float(options.bitrate)
        self._reported_at: float | None = None
        self._decreased_at = -math.inf
        self._round_trip = _Baseline()
        self._transit = _Baseline()
        self._feedback_at = -math.inf
        self._waiting_by_report = 0.0
        self._waiting_by_feedback = 0.0
        self.loss = 0.0
        self.expected_loss = 0.0
        self.fec = False

    @property
    def bitrate(self) -> int:
        """What the codec should use, in bit/s."""
        return round(self._target)

    def peer_reported(self, fraction_lost: float, count: int, round_trip_time: float | None, now: float) -> None:
        """Take a receiver report. Its loss is passed over while transport-wide feedback tells the same sooner.

        Args:
            fraction_lost: since the report before, 0 to 1.
            count: how many packets were sent since then.
            round_trip_time: in seconds; None if it could not be measured.
            now: in seconds, monotonic.
        """
        if round_trip_time is not None:
            self._waiting_by_report = self._round_trip.excess(round_trip_time, now)
        if now - self._feedback_at > _FEEDBACK_LASTS:
            self._follow(fraction_lost, count, now)

    def packets_reported(self, fraction_lost: float, count: int, transit_time: float | None, now: float) -> None:
        """Take what transport-wide feedback says.

        Args:
            fraction_lost: of the packets that it tells of, 0 to 1.
            count: how many they are.
            transit_time: how long they took on average, on a clock of any offset, in seconds; None when none arrived.
            now: in seconds, monotonic.
        """
        self._feedback_at = now
        if transit_time is not None:
            self._waiting_by_feedback = self._transit.excess(transit_time, now)
        self._follow(fraction_lost, count, now)

    def _follow(self, fraction_lost: float, count: int, now: float) -> None:
        # A report counts for the audio that it tells of: a lost packet among three says less than a tenth of fifty.
        weight = min(count * FRAME_SECONDS, _LONGEST_STEP) / (_RISE if fraction_lost > self.loss else _FALL)
        self.loss += (fraction_lost - self.loss) * -math.expm1(-weight)
        self._choose_fec()
        elapsed = 0.0 if self._reported_at is None else min(max(now - self._reported_at, 0.0), _LONGEST_STEP)
        self._reported_at = now
        self._choose_bitrate(fraction_lost, elapsed, now)

    def _choose_fec(self) -> None:
        self.fec = self._options.uses_fec and self.loss >= (_FEC_OFF if self.fec else _FEC_ON)
        self.expected_loss = min(self.loss, self._options.max_expected_loss) if self.fec else 0.0

    def _choose_bitrate(self, fraction_lost: float, elapsed: float, now: float) -> None:
        waiting = max(self._waiting_by_report, self._waiting_by_feedback)
        is_decrease_due = now - self._decreased_at >= _BETWEEN_DECREASES
        if self.loss > _LOSS_FULL and fraction_lost > _LOSS_FULL:
            if is_decrease_due:
                self._target *= 1 - 0.5 * fraction_lost
                self._decreased_at = now
        elif waiting > _WAITING_FULL:
            if is_decrease_due:
                self._target *= _DECREASE
                self._decreased_at = now
        elif fraction_lost < _LOSS_CLEAR and waiting < _WAITING_CLEAR:
            self._target *= _GROWTH**elapsed
        options = self._options
        spare = (options.max_bitrate - options.bitrate) * min(self.expected_loss / _FULL_COPIES, 1.0)
        self._target = max(min(self._target, options.bitrate + spare), options.min_bitrate)


class _Baseline:
    """Tells how far a delay is above the least one of the last half to whole minute."""

    __slots__ = ("_before", "_least", "_started")

    def __init__(self) -> None:
        self._least = self._before = math.inf
        self._started = -math.inf

    def excess(self, delay: float, now: float) -> float:
        if now - self._started >= _BASELINE_WINDOW:
            self._before, self._least, self._started = self._least, math.inf, now
        self._least = min(self._least, delay)
        return delay - min(self._least, self._before)
