"""How long the way between a caller and a region takes: predicted from the distance, corrected by what was measured."""

import attrs

from geo.regions import Place, distance_km

__all__ = ["Measured", "RoundTrip", "predicted_round_trip", "round_trip_between", "round_trip_of"]

# Light in fibre needs 1 ms for some 200 km, there and back 1 ms for 100 km; routes are about 1.6 times as long as
# the great circle. The constant part stands for the last mile, which is the same whatever we choose.
_MILLISECONDS_PER_KM = 1.6 / 100
_LAST_MILE_MILLISECONDS = 10.0

# When only some candidates have a location: as if it were half-way round a continent, so that a near one is taken
# before it, and it before the other side of the earth.
_UNKNOWN_ROUND_TRIP_MILLISECONDS = 100.0


@attrs.frozen(kw_only=True)
class Measured:
    """What calls have shown.

    Attributes:
        milliseconds: decaying average of the round trips between the caller's network and the region.
        confidence: how much it is to be believed rather than the prediction, 0 to 1.
        calls: how many measurements it is made of.
    """

    milliseconds: float
    confidence: float
    calls: int = 1


@attrs.frozen
class RoundTrip:
    """What is known of one way.

    Attributes:
        milliseconds: the best guess.
        predicted: from the distance alone; 0 when no distance can tell candidates apart.
        kilometres: great-circle distance; None when either end is unknown.
        measured: what it was corrected by.
        caller: the caller's place.
    """

    milliseconds: float
    predicted: float
    kilometres: float | None = None
    measured: Measured | None = None
    caller: Place | None = None

    @property
    def why(self) -> str:
        """The same in words."""
        if self.kilometres is not None and self.caller is not None:
            words = f"{self.kilometres:.0f} km from the caller ({self.caller.why}), about {self.predicted:.0f} ms"
        elif self.caller is not None:
            words = f"its location is not configured, taken as {self.predicted:.0f} ms"
        else:
            words = "nobody tells where the caller is"
        if self.measured is None:
            return words
        calls = "once" if self.measured.calls == 1 else f"{self.measured.calls} times"
        return f"{words}, measured {self.measured.milliseconds:.0f} ms {calls}, taken as {self.milliseconds:.0f} ms"


def predicted_round_trip(kilometres: float) -> float:
    """Predict a round trip in milliseconds from a great-circle distance."""
    return _LAST_MILE_MILLISECONDS + kilometres * _MILLISECONDS_PER_KM


def round_trip_of(caller: Place | None, candidate: Place | None, measured: Measured | None = None) -> RoundTrip:
    """Guess the round trip between a caller and a candidate.

    Args:
        caller: where the caller is; None when nobody knows, and distance plays no part.
        candidate: where the candidate is; None when nobody said.
        measured: what calls have shown.
    """
    kilometres = None
    predicted = 0.0
    if caller is not None and candidate is not None:
        kilometres = distance_km(caller, candidate)
        predicted = predicted_round_trip(kilometres)
    elif caller is not None:
        predicted = _UNKNOWN_ROUND_TRIP_MILLISECONDS
    milliseconds = predicted
    if measured is not None:
        # Where nobody can predict, a measured region is compared with unmeasured ones: these count as the unknown.
        base = predicted or _UNKNOWN_ROUND_TRIP_MILLISECONDS
        milliseconds = base + measured.confidence * (measured.milliseconds - base)
    return RoundTrip(milliseconds, predicted, kilometres, measured, caller)


def round_trip_between(one: Place | None, other: Place | None) -> float:
    """Predict the round trip between two regions in milliseconds, without anybody's last mile; 0 when unknown."""
    return 0.0 if one is None or other is None else distance_km(one, other) * _MILLISECONDS_PER_KM
