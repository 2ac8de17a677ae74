"""How well a part of the fleet does what it is there for, as a grade rather than a verdict.

Whether a member is alive is a `geo.standing`. One that lives may still lose packets, or answer late; what that costs a
call is weighed against the distance to the next one. `geo.losses` and `geo.hops` are where it is measured.
"""

from collections.abc import Sequence

import attrs

__all__ = ["WELL", "Health", "lower_median", "worse_of"]


@attrs.frozen(kw_only=True)
class Health:
    """What was measured of a member or a region.

    Attributes:
        loss: share of packets that it loses, 0 to 1.
        delay: milliseconds of round trip beyond those that distance explains.
        why: who has measured it, for people; empty when there is nothing to tell.
    """

    loss: float = 0.0
    delay: float = 0.0
    why: str = ""


WELL = Health()
"""That of whatever nobody has measured, too: only who was seen to be worse is taken for worse."""


def worse_of(one: Health, other: Health) -> Health:
    """Take the worse of two in each respect. They are not added: both may have met the same losses."""
    if not (other.loss or other.delay):
        return one
    if not (one.loss or one.delay):
        return other
    loss, delay = max(one, other, key=lambda each: each.loss), max(one, other, key=lambda each: each.delay)
    why = loss.why if loss is delay or not delay.delay else f"{loss.why}, {delay.why}" if loss.loss else delay.why
    return Health(loss=loss.loss, delay=delay.delay, why=why)


def lower_median(values: Sequence[float]) -> float:
    """Return the middle one of at least one value; of the two in the middle of an even number, the smaller.

    Whoever has less than half of the values takes it neither above all of the others nor below them.
    """
    return sorted(values)[(len(values) - 1) // 2]
