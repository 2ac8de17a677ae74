"""The one scoring function. A score is in milliseconds of round trip, lower is better, so that terms can be added.

A term enters only with a test that shows its need (tests/geo/test_scoring.py). What no term may outweigh (being dead,
residency, a full house) is not scored: it is a `geo.choice.Standing`.
"""

from collections.abc import Iterator

import attrs

from geo.health import WELL, Health
from geo.round_trips import RoundTrip

__all__ = ["DEFAULT_WEIGHTS", "MOST_FOR_HEALTH", "Score", "Weights", "cost_of", "effective_load", "score"]

MOST_FOR_HEALTH = 200.0
"""Milliseconds: nobody is sent further away than this for what was measured of a nearer one, whoever measured it. It is
what a region that loses a tenth of its packets costs; much more, and members of it will be late."""

_LOAD_EXPONENT = 8
"""Almost nothing while there is room, and steep in the end: half full costs 1 ms, 80 % full 50 ms. So near callers stay
as long as they can, and the first to be sent elsewhere are those for whom that is hardly further."""

_HIGHEST_LOAD = 1.5
_RAMP_SECONDS = 60.0
_RAMP_START = 0.1


@attrs.frozen(kw_only=True)
class Weights:
    """How much each term counts.

    Attributes:
        round_trip: milliseconds of score for a millisecond of round trip between caller and candidate.
        loss: milliseconds of score for each hundredth of the packets that is lost there. By the E-model (ITU-T G.107) a
            hundredth is heard like some 50 ms of round trip where delay has begun to disturb. At 20 a region that
            loses 5 % keeps those callers to whom the next one is more than 100 ms further.
        delay: milliseconds of score for a millisecond by which a candidate answers later than distance explains.
        load: milliseconds of score for a candidate that is completely full; an empty one has none. At 300 a candidate
            that is 90 % full loses to an empty one some 8 000 km further away.
        onward: milliseconds of score for a millisecond of round trip between an ingress and the transceiver behind it.
        change: milliseconds of score for a region that did not serve the caller's network lately: what a region must
            be better by before callers move to it.
        shared_machine: milliseconds of score for an ingress on the machine of one that is offered already.
    """

    round_trip: float = 1.0
    loss: float = 20.0
    delay: float = 1.0
    load: float = 300.0
    onward: float = 1.0
    change: float = 5.0
    shared_machine: float = 30.0


DEFAULT_WEIGHTS = Weights()


@attrs.frozen
class Score:
    """What a candidate was given, term by term, in milliseconds.

    Attributes:
        round_trip: the way between caller and candidate.
        health: what it was seen to lose, and how late it was seen to answer.
        load: how full it is.
        onward: the way from the ingress to the transceiver.
        change: callers of this network are served by another region.
        shared_machine: another address of the same answer is on the same machine.
        way: the way between caller and candidate.
        load_share: share of its capacity in use.
        up_seconds: how long ago it came back; None when that is long ago.
        measured: what was seen.
        total: the sum that candidates are ordered by, lower is better.
    """

    round_trip: float
    health: float
    load: float
    onward: float
    change: float
    shared_machine: float
    way: RoundTrip
    load_share: float
    up_seconds: float | None
    measured: Health
    total: float

    @property
    def terms(self) -> dict[str, float]:
        """The terms by name."""
        return {
            "round trip": self.round_trip,
            "health": self.health,
            "load": self.load,
            "way to the transceiver": self.onward,
            "change of region": self.change,
            "shared machine": self.shared_machine,
        }

    @property
    def why(self) -> str:
        """The terms in words, for people."""
        return ", ".join(self._words())

    def _words(self) -> Iterator[str]:
        yield self.way.why
        if self.health:
            yield self.measured.why + _costs(self.health)
        if self.load_share:
            yield f"{self.load_share:.0%} full" + _costs(self.load)
        if self.load and self.up_seconds is not None and self.up_seconds < _RAMP_SECONDS:
            yield f"back for {self.up_seconds:.0f} s and not yet given its whole share"
        if self.onward:
            yield "away from the transceiver" + _costs(self.onward)
        if self.change:
            yield "another region served the caller's network lately" + _costs(self.change)
        if self.shared_machine:
            yield "on the machine of another address in the answer" + _costs(self.shared_machine)


def score(
    way: RoundTrip,
    *,
    health: Health = WELL,
    load: float = 0.0,
    up_seconds: float | None = None,
    onward: float = 0.0,
    is_change: bool = False,
    shares_machine: bool = False,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Score:
    """Score one candidate for one caller.

    Args:
        way: between the caller and the candidate.
        health: what was measured of the candidate.
        load: share of the candidate's capacity in use, 0 to 1; values outside are taken as the nearest.
        up_seconds: how long ago the candidate came back; None when that is long ago.
        onward: milliseconds between an ingress and the transceiver behind it.
        is_change: whether another region served the caller's network lately.
        shares_machine: whether the ingress is on the machine of one that is offered already.
        weights: how much each term counts.
    """
    load = min(1.0, max(0.0, load))
    round_trip_term = weights.round_trip * way.milliseconds
    health_term = cost_of(health, weights)
    load_term = weights.load * effective_load(load, up_seconds) ** _LOAD_EXPONENT
    onward_term = weights.onward * onward
    change_term = weights.change if is_change else 0.0
    machine_term = weights.shared_machine if shares_machine else 0.0
    return Score(
        round_trip_term,
        health_term,
        load_term,
        onward_term,
        change_term,
        machine_term,
        way,
        load,
        up_seconds,
        health,
        round_trip_term + health_term + load_term + onward_term + change_term + machine_term,
    )


def cost_of(health: Health, weights: Weights = DEFAULT_WEIGHTS) -> float:
    """Tell what was measured of a candidate in milliseconds of score, 0 to `MOST_FOR_HEALTH`."""
    return min(MOST_FOR_HEALTH, weights.loss * 100 * health.loss + weights.delay * health.delay)


def effective_load(load: float, up_seconds: float | None) -> float:
    """Tell how full a candidate counts as.

    One that has just come back is empty, and nearest to everybody who went elsewhere; all of them at once would topple
    it. So its capacity grows from a tenth to the whole within a minute, and it counts as full before.

    Args:
        load: share of its capacity in use, 0 to 1.
        up_seconds: how long ago it came back; None when that is long ago.
    """
    if up_seconds is None or up_seconds >= _RAMP_SECONDS:
        return load
    share = _RAMP_START + (1 - _RAMP_START) * max(0.0, up_seconds) / _RAMP_SECONDS
    return min(_HIGHEST_LOAD, load / share)


def _costs(milliseconds: float) -> str:
    return f" (+{milliseconds:.0f} ms)" if milliseconds >= 0.5 else ""
