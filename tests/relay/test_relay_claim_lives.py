"""Which claim yields to a proven one."""

import pytest

from relay.claim_lives import PROVEN_LIFE, TICK, UNPROVEN_LIFE, choose_yielding, deadline, tick_at
from relay.claims import Claim, ClaimState, TransceiverPlace

UNPROVEN, PROVEN, QUIET = ClaimState.UNPROVEN, ClaimState.PROVEN, ClaimState.QUIET


def claim(state, heard, told=0):
    made = Claim(egress=1, sockaddr=b"", path=b"", place=TransceiverPlace(None), heard=heard, told=told)
    made.state = state
    return made


@pytest.mark.parametrize(
    ("claims", "proven_too", "yielding"),
    [
        ([(QUIET, 1), (UNPROVEN, 9), (PROVEN, 0)], False, (UNPROVEN, 9)),
        ([(UNPROVEN, 9), (UNPROVEN, 8), (QUIET, 1)], True, (UNPROVEN, 8)),
        ([(PROVEN, 0), (QUIET, 9), (QUIET, 8)], True, (QUIET, 8)),
        ([(PROVEN, 9), (PROVEN, 8)], True, (PROVEN, 8)),
        ([(PROVEN, 9), (PROVEN, 8)], False, None),
        ([], True, None),
    ],
)
def test_the_least_believed_yields_and_of_these_the_longest_unheard(claims, proven_too, yielding):
    chosen = choose_yielding([claim(*each) for each in claims], proven_too=proven_too)
    assert (None if chosen is None else (chosen.state, chosen.heard)) == yielding


def test_deadlines():
    assert deadline(claim(UNPROVEN, 40)) == 40 + UNPROVEN_LIFE / TICK
    assert deadline(claim(PROVEN, 40, told=90)) == 40 + PROVEN_LIFE / TICK
    assert deadline(claim(QUIET, 40, told=90)) == 90 + 30 / TICK
    assert deadline(claim(QUIET, 90, told=40)) == 90 + 30 / TICK
    assert [tick_at(now) for now in (0.0, 0.24, 0.25, 10.0)] == [0, 0, 1, 40]
