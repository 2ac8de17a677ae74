"""How often a lost backend is tried again."""

import pytest

from transceiver.backends.reconnecting import Reconnecting, ReconnectPolicy

LATEST = b"\x00"


def delays(attempts: Reconnecting, now: float = 0.0) -> list[float]:
    found = []
    while (delay := attempts.lost(now, LATEST)) is not None:
        found.append(delay)
    return found


def test_delays_grow_up_to_a_bound_and_attempts_end():
    policy = ReconnectPolicy(max_attempts=6, first_delay=0.5, factor=2, max_delay=4)
    assert delays(Reconnecting(policy)) == [0.5, 1, 2, 4, 4, 4]


@pytest.mark.parametrize(("entropy", "share"), [(b"\x00", 1.0), (b"\x80", 0.75), (b"\xff", 0.5)])
def test_jitter_makes_delays_shorter(entropy, share):
    assert Reconnecting(ReconnectPolicy(first_delay=1)).lost(0, entropy) == pytest.approx(share, abs=0.01)


def test_a_final_refusal_is_not_tried_again():
    assert Reconnecting(ReconnectPolicy()).lost(0, LATEST, is_final=True) is None


def test_none_may_be_configured():
    assert delays(Reconnecting(ReconnectPolicy(max_attempts=0))) == []


@pytest.mark.parametrize(("held", "is_anew"), [(29.0, False), (30.0, True)])
def test_a_connection_that_held_begins_a_new_row(held, is_anew):
    attempts = Reconnecting(ReconnectPolicy(max_attempts=2))
    assert len(delays(attempts)) == 2
    attempts.opened(100)
    assert (attempts.lost(100 + held, LATEST) is not None) == is_anew


def test_an_old_connection_does_not_count_for_later_attempts():
    attempts = Reconnecting(ReconnectPolicy(max_attempts=2))
    attempts.opened(0)
    assert [attempts.lost(now, LATEST) is not None for now in (100, 200, 300)] == [True, True, False]
