"""Asks the calls of a worker how long their ways take: a few calls a second, each every quarter of a minute."""

from collections import deque
from collections.abc import Sequence

from transceiver.registry import Call, CallRegistry
from transceiver.round_trips import LATEST, RoundTripSample

__all__ = ["RoundTripLog"]

_AT_ONCE = 32
_SAMPLE_SECONDS = 1.0
_ROUND_SECONDS = 15.0


class RoundTripLog:
    """Looks at a few calls a second, at each every quarter of a minute, so that none is heard more than others.

    Args:
        calls: those of the worker.
    """

    def __init__(self, calls: CallRegistry) -> None:
        self._calls = calls
        self._latest: deque[RoundTripSample] = deque(maxlen=LATEST)
        self._count = 0
        self._waiting: list[int] = []  # numbers of sessions, as calls may end meanwhile
        self._next_sample = self._next_round = float("-inf")

    def latest(self, now: float) -> Sequence[RoundTripSample]:
        """Return the latest samples, the oldest first; looks at the calls whose turn it is."""
        if now >= self._next_sample:
            self._next_sample = now + _SAMPLE_SECONDS
            self._sample(now)
        return tuple(self._latest)

    def _sample(self, now: float) -> None:
        if now >= self._next_round:
            self._waiting = [call.session_id for call in self._calls if call.wishes.caller_network]
            self._next_round = now + _ROUND_SECONDS if self._waiting else now
        turn = self._waiting[-_AT_ONCE:]
        del self._waiting[-_AT_ONCE:]
        # Who cannot tell yet is asked once more, after all others.
        self._waiting[:0] = [each for each in turn if not self._has_told(each)]

    def _has_told(self, session_id: int) -> bool:
        """Take a call's round trip; whether it was there, or the call is gone."""
        call = self._calls.of_session(session_id)
        return call is None or self._look_at(call)

    def _look_at(self, call: Call) -> bool:
        session = call.session
        measured = None if session.media is None else session.media.round_trip_time
        seconds = session.ice.round_trip_time if measured is None else measured
        if session.path is None or not seconds:
            return False
        self._count += 1
        sample = RoundTripSample(self._count, call.wishes.caller_network, session.path.via, round(seconds * 1000, 1))
        self._latest.append(sample)
        return True
