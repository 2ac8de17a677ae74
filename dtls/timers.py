"""The retransmission timer: one deadline that doubles.

Source: RFC 9147 §5.8.2.
"""

from dtls.options import TimerOptions

__all__ = ["RetransmissionTimer"]

_ROUND_TRIPS = 2.0
"""DEVIATES: RFC 9147 §5.8.2 takes 1.5 round trips. Two are what libwebrtc takes, and the round trip that ICE measures
knows nothing of the peer's time for signatures."""


class RetransmissionTimer:
    """Waits for the answer to a flight.

    Args:
        options: its durations.

    Attributes:
        deadline: when it expires; None while nothing is waited for.
        timeout: the present duration in seconds.
        expirations: how often it has expired for this flight.
    """

    __slots__ = ("_options", "_started", "deadline", "expirations", "timeout")

    def __init__(self, options: TimerOptions) -> None:
        self._options = options
        self._started = 0.0
        self.timeout = options.initial
        self.deadline: float | None = None
        self.expirations = 0

    def set_round_trip_time(self, seconds: float) -> None:
        """Take a measured round trip; a flight that was sent once so far is waited for accordingly."""
        if self.expirations:
            return
        options = self._options
        self.timeout = min(max(_ROUND_TRIPS * seconds, options.minimum), options.maximum_measured)
        if self.deadline is not None:
            self.deadline = self._started + self.timeout

    def start(self, now: float) -> None:
        """A flight was sent for the first time.

        A timeout that was doubled stays until a flight is answered without having to be repeated.
        """
        self._started = now
        self.expirations = 0
        self.deadline = now + self.timeout

    def answered(self, now: float) -> None:
        """The first of the answer came: wait for its rest from now on."""
        if not self.expirations:
            # RFC 9147 §5.8.2: adjust the timeout to the round trip of a flight that was not repeated.
            self.set_round_trip_time(now - self._started)
        self.deadline = now + self.timeout

    def hasten(self, now: float) -> None:
        """The peer repeats itself, so it lacks our answer: expire sooner, but not again and again."""
        if self.deadline is not None:
            self.deadline = min(self.deadline, max(now, self._started + self.timeout / 2))

    def is_due(self, now: float) -> bool:
        """Whether it has expired."""
        return self.deadline is not None and now >= self.deadline

    def back_off(self, now: float) -> bool:
        """It has expired: wait twice as long the next time.

        Returns:
            False when it has expired often enough to give up.
        """
        self.expirations += 1
        # RFC 9147 §5.8.2: double the value at each retransmission, up to no less than 60 seconds.
        self.timeout = min(self.timeout * 2, self._options.maximum)
        self._started = now
        self.deadline = now + self.timeout
        return self.expirations <= self._options.retransmissions

    def stop(self) -> None:
        """Nothing is waited for."""
        self.deadline = None
