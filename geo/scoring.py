"""The one scoring function. A score is in milliseconds of round trip, lower is better, so that terms can be added.

A term enters only with a test that shows its need (tests/geo/test_scoring.py).
"""

import attrs

from geo.regions import Place, distance_km

__all__ = ["DEFAULT_WEIGHTS", "Score", "Weights", "predicted_round_trip", "score"]

# Light in fibre needs 1 ms for some 200 km, there and back 1 ms for 100 km; routes are about 1.6 times as long as
# the great circle. The constant part stands for the last mile, which is the same whatever we choose.
_MILLISECONDS_PER_KM = 1.6 / 100
_LAST_MILE_MILLISECONDS = 10.0

# When only some candidates have a location: as if it were half-way round a continent, so that a near one is taken
# before it, and it before the other side of the earth.
_UNKNOWN_ROUND_TRIP_MILLISECONDS = 100.0


@attrs.frozen(kw_only=True)
class Weights:
    """How much each term counts.

    Attributes:
        round_trip: milliseconds of score for a millisecond of predicted round trip.
        load: milliseconds of score for a candidate that is completely full; an empty one has none. At 100 a full
            transceiver loses to an empty one some 6 000 km further away.
    """

    round_trip: float = 1.0
    load: float = 100.0


DEFAULT_WEIGHTS = Weights()


@attrs.frozen(kw_only=True)
class Score:
    """What a candidate was given, term by term.

    Attributes:
        round_trip: the round-trip term; 0 when no distance can tell candidates apart.
        load: the load term.
        why: the terms in words, for people.
    """

    round_trip: float
    load: float
    why: str

    @property
    def total(self) -> float:
        """The sum that candidates are ordered by, lower is better."""
        return self.round_trip + self.load


def predicted_round_trip(kilometres: float) -> float:
    """Predict a round trip in milliseconds from a great-circle distance."""
    return _LAST_MILE_MILLISECONDS + kilometres * _MILLISECONDS_PER_KM


def score(
    caller: Place | None, candidate: Place | None, load: float = 0.0, weights: Weights = DEFAULT_WEIGHTS
) -> Score:
    """Score one candidate for one caller.

    Args:
        caller: where the caller is; None when nobody knows, and distance plays no part.
        candidate: where the candidate is; None when nobody said.
        load: share of the candidate's capacity in use, 0 to 1; values outside are taken as the nearest.
        weights: how much each term counts.
    """
    load = min(1.0, max(0.0, load))
    words = []
    round_trip = 0.0
    if caller is not None and candidate is not None:
        kilometres = distance_km(caller, candidate)
        round_trip = predicted_round_trip(kilometres)
        words.append(f"{kilometres:.0f} km from the caller ({caller.why}), about {round_trip:.0f} ms")
    elif caller is not None:
        round_trip = _UNKNOWN_ROUND_TRIP_MILLISECONDS
        words.append(f"its location is not configured, taken as {round_trip:.0f} ms")
    else:
        words.append("nobody tells where the caller is")
    if load:
        words.append(f"{load:.0%} full")
    return Score(round_trip=weights.round_trip * round_trip, load=weights.load * load, why=", ".join(words))
