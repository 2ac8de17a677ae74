"""What the soak of a busy fleet calls wrong, and what it lets pass."""

import attrs
import pytest

from bench.soak.takeovers import TakeoverSoak, describe_takeovers, judge_takeovers

GOOD = TakeoverSoak(
    seconds=3600.0,
    busy=0.9,
    suspected=4,
    probed=4,
    alive=4,
    taken_over=0,
    fenced=0,
    lost=0,
    sent=3_600_000,
    missing=12,
    worst_gap=0.4,
    killed_gap=0.7,
)


def test_suspicions_that_a_probe_clears_are_no_fault():
    assert judge_takeovers(GOOD) == []
    assert "4 suspicions, 4 probes, 4 of them answered, 0 calls taken over" in describe_takeovers(GOOD)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"taken_over": 1}, "1 calls were taken over"),
        ({"fenced": 1}, "1 fenced"),
        ({"lost": 2}, "2 calls were lost"),
        ({"busy": 0.5}, "busy to 50% only"),
        ({"killed_gap": float("inf")}, "behind a kill"),
    ],
)
def test_what_is_wrong_is_named(wrong, word):
    (culprit,) = judge_takeovers(attrs.evolve(GOOD, **wrong))
    assert word in culprit
