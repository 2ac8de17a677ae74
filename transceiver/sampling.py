"""Asks the calls of a worker how long their ways take, and what they lose on them: a few calls a second."""

from collections import deque
from collections.abc import Sequence

from transceiver.registry import Call, CallRegistry
from transceiver.round_trips import LATEST, LossSample, RoundTripSample

__all__ = ["WayLog"]

_AT_ONCE = 32
_SAMPLE_SECONDS = 1.0
_ROUND_SECONDS = 15.0


class WayLog:
    """Looks at a few calls a second, at each every quarter of a minute, so that none is heard more than others.

    Args:
        calls: those of the worker.
    """

    def __init__(self, calls: CallRegistry) -> None:
        self._calls = calls
        self._round_trips: deque[RoundTripSample] = deque(maxlen=LATEST)
        self._losses: deque[LossSample] = deque(maxlen=LATEST)
        self._round_trip_count = self._loss_count = 0
        self._waiting: list[int] = []  # numbers of sessions, as calls may end meanwhile
        self._next_sample = self._next_round = float("-inf")

    def round_trips(self, now: float) -> Sequence[RoundTripSample]:
        """Return the latest round trips, the oldest first; looks at the calls whose turn it is."""
        self._sample(now)
        return tuple(self._round_trips)

    def losses(self, now: float) -> Sequence[LossSample]:
        """Return the latest losses, the oldest first; looks at the calls whose turn it is."""
        self._sample(now)
        return tuple(self._losses)

    def _sample(self, now: float) -> None:
        if now < self._next_sample:
            return
        self._next_sample = now + _SAMPLE_SECONDS
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
        network, ingress = call.wishes.caller_network, session.path.via
        self._round_trip_count += 1
        self._round_trips.append(RoundTripSample(self._round_trip_count, network, ingress, round(seconds * 1000, 1)))
        if session.media is not None:
            share = call.losses.share(session.media.packet_counts)
            if share is not None:
                self._loss_count += 1
                self._losses.append(LossSample(self._loss_count, network, ingress, round(share, 4)))
        return True
