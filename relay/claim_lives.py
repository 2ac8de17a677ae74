"""How long a claim lives, and which yields to a proven one: rules of `relay.flows` that look at single claims only.

Table of a claim's life:

    from         when                                     to
    (none)       STUN request, integrity verified          unproven, 5 s
    (none)       ANNOUNCE, or DOWN with VALIDATED          proven, 10 s unless its client is heard
    unproven     the same                                  proven
    unproven     5 s old, or a proof needs its place       (none)
    proven       10 s without STUN of its client           quiet: gets nothing while another is proven, and yields
    quiet        STUN of its client                        proven
    quiet        30 s in which neither its client nor its  (none)
                 transceiver has spoken of it
    proven       a witnessed proof of a third on its flow  (none), if its client was heard longest ago
    any          GONE from the session's transceiver       (none)

So a flow lasts as long as its transceiver says so, also on a relay that has only been told of it and that its client
may turn to any time; but it wins only while its client is heard.

Times are counted in ticks of a quarter of a second: claims of one tick share one number, and a timer wheel holds them.
"""

from collections.abc import Iterable

from relay.claims import Claim, ClaimState

__all__ = [
    "FORGOTTEN_AFTER",
    "LATEST_LOOK",
    "PROVEN_LIFE",
    "TICK",
    "UNPROVEN_LIFE",
    "choose_yielding",
    "deadline",
    "tick_at",
]

TICK = 0.25
"""Length of a tick, in seconds; a life is exact to one tick."""
_TICKS = 4.0
UNPROVEN_LIFE = 5.0
PROVEN_LIFE = 10.0
"""Clients send STUN every 2.5 s (Chrome) or 4 to 6 s (RFC 7675 §5.1), so one may be lost."""
FORGOTTEN_AFTER = 30.0
"""RFC 7675 §5.1: consent ends after 30 s; no transceiver sends beyond."""
_UNPROVEN_TICKS, _PROVEN_TICKS, _FORGOTTEN_TICKS = (
    int(life * _TICKS) for life in (UNPROVEN_LIFE, PROVEN_LIFE, FORGOTTEN_AFTER)
)
LATEST_LOOK = _PROVEN_TICKS
"""A claim is looked at again after so many ticks at most: no deadline that it may get is nearer than that."""


def tick_at(now: float) -> int:
    """The tick that a time lies in."""
    return int(now * _TICKS)


def deadline(claim: Claim) -> int:
    """The tick in which something will happen to a claim, if nothing is heard of it before."""
    if claim.state is ClaimState.UNPROVEN:
        return claim.heard + _UNPROVEN_TICKS
    if claim.state is ClaimState.PROVEN:
        return claim.heard + _PROVEN_TICKS
    return max(claim.heard, claim.told) + _FORGOTTEN_TICKS


def choose_yielding(claims: Iterable[Claim], *, proven_too: bool = False) -> Claim | None:
    """Choose who yields to a proven claim: an unproven one, or else a quiet one, or else perhaps a proven one.

    Of several it is the one whose client was heard longest ago; None when nobody yields.
    """
    states = (ClaimState.UNPROVEN, ClaimState.QUIET, *((ClaimState.PROVEN,) if proven_too else ()))
    yielding = [claim for claim in claims if claim.state in states]
    return min(yielding, key=lambda claim: (states.index(claim.state), claim.heard), default=None)
