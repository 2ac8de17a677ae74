"""How many calls are begun at a time, when everybody comes at once.

Goal: when a region dies, all of its callers come back within seconds, to regions that have calls already. Those calls
must not suffer, and those who come back should get through as soon as there is room for them, in one try if it is soon.
A set-up is the dearest moment of a call: a handshake, a backend that connects, a burst of audio.

So each signal node paces the calls that it begins. This is a token bucket, kept as one number, the time at which
everything that was let in would have begun had it kept to the rate (GCRA, as in `limits`):

    now      the next turn                   the longest wait
     |------------|------------------------------|
       at once            after a wait                 refused, with a time to come back

Who is refused is told a time, and each of them another: turns are given out to the refused too, behind those who
wait, so that they do not come back all at once. Nobody is bound to come, so these turns are kept by nothing else.

Beside the rate there is a bound on the calls that are being placed on one transceiver at a time (`Member.under_way`): a
transceiver that is slow gets no more of them, whatever the rate is (`attempts`).
"""

from wire.core import Entropy

__all__ = ["CallPace"]

_LONGEST_RETRY = 60.0
"""Seconds; clients of the OpenAI API do not wait longer by themselves."""
_JITTER = 0.25
"""Share by which a time to come back is longer than it need be, at most."""


class CallPace:
    """Paces the calls of one node; somebody else waits.

    Args:
        rate: calls a second; 0 for no bound.
        longest_wait: seconds that a call may wait for its turn.
        entropy: for the jitter of times to come back.
    """

    def __init__(self, rate: float, longest_wait: float, entropy: Entropy) -> None:
        self._interval = 1.0 / rate if rate else 0.0
        self._longest_wait = longest_wait
        self._entropy = entropy
        self._time = float("-inf")  # when all that was let in would have begun
        self._returns = float("-inf")  # the same, had those who were refused been let in too

    def admit(self, now: float) -> tuple[bool, float]:
        """Ask for a turn.

        Returns:
            Whether there is one, and the seconds until then; else the seconds after which to come back.
        """
        if not self._interval:
            return True, 0.0
        # A second's worth may begin at once.
        time = max(self._time, now - 1.0 + self._interval)
        wait = max(0.0, time - now)
        if wait <= self._longest_wait + self._interval / 1000:  # less is a rounding error
            self._time = time + self._interval
            return True, wait
        self._returns = max(self._returns, time) + self._interval
        return False, self.retry_after(self._returns - now)

    def retry_after(self, seconds: float) -> float:
        """Spread a time to come back, so that those who were told the same come apart."""
        jitter = int.from_bytes(self._entropy(2), "big") / 65536
        if seconds > _LONGEST_RETRY:
            return _LONGEST_RETRY * (0.5 + 0.5 * jitter)
        return seconds * (1 + _JITTER * jitter)
