"""How long to wait for an acknowledgement.

Source: RFC 9260 §6.3.1.
"""

from sctp.options import SctpOptions

__all__ = ["RetransmissionTimeout"]

_ALPHA = 1 / 8
_BETA = 1 / 4
_GRANULARITY = 0.001
"""DEVIATES: RFC 9260 §6.3.1 G1 sets RTTVAR to the clock's granularity only when it is 0; a variance below a
millisecond is no measurement either, and would let a timer expire on scheduling noise."""


class RetransmissionTimeout:
    """The retransmission timeout (RTO), from measured round trips.

    Args:
        options: `rto_initial`, `rto_minimum`, `rto_maximum`.

    Attributes:
        seconds: the present timeout.
        smoothed: the smoothed round trip (SRTT) in seconds; None before the first measurement.
        variation: the round trip's variation (RTTVAR) in seconds.
    """

    __slots__ = ("_maximum", "_minimum", "seconds", "smoothed", "variation")

    def __init__(self, options: SctpOptions) -> None:
        self._minimum = options.rto_minimum
        self._maximum = options.rto_maximum
        # C1: until a measurement has been made, RTO.Initial.
        self.seconds = options.rto_initial
        self.smoothed: float | None = None
        self.variation = 0.0

    def measure(self, round_trip: float) -> None:
        """Take a measurement, in seconds; it ends any doubling."""
        smoothed = self.smoothed
        if smoothed is None:
            # C2.
            self.smoothed = round_trip
            self.variation = round_trip / 2
        else:
            # C3: the variation is updated with the old SRTT.
            self.variation += _BETA * (abs(smoothed - round_trip) - self.variation)
            self.smoothed = smoothed + _ALPHA * (round_trip - smoothed)
        self.variation = max(self.variation, _GRANULARITY)
        # C6, C7.
        self.seconds = min(max(self.smoothed + 4 * self.variation, self._minimum), self._maximum)

    def back_off(self) -> None:
        """Nobody answered: wait twice as long."""
        # §6.3.3 E2.
        self.seconds = min(self.seconds * 2, self._maximum)
