"""How late ticks were, from two readings of a histogram."""

import math

import pytest

from bench.ticks import late_share, lateness_between, lateness_quantile

BEFORE = {0.001: 50.0, 0.005: 90.0, 0.05: 100.0, math.inf: 100.0}
# Of a thousand ticks, 980 came within 1 ms, 18 within 5 ms, and 2 within 50 ms.
AFTER = {0.001: 1030.0, 0.005: 1088.0, 0.05: 1100.0, math.inf: 1100.0}


def test_late_ticks_are_counted_between_two_readings():
    assert late_share(BEFORE, AFTER, 0.005) == pytest.approx(0.002)
    assert late_share(BEFORE, BEFORE, 0.005) == math.inf  # a transceiver that does not tick keeps no time


@pytest.mark.parametrize(
    ("share", "seconds"),
    [
        (0.49, 0.0005),  # in the middle of the first bucket
        (0.98, 0.001),
        (0.989, 0.003),  # the middle of 18 in a bucket of 4 ms
        (0.998, 0.005),
        (1.0, 0.05),
    ],
)
def test_ticks_count_as_evenly_spread_within_a_bucket(share, seconds):
    after = {bound: BEFORE[bound] + n for bound, n in zip(BEFORE, (980, 998, 1000, 1000), strict=True)}
    assert lateness_quantile(BEFORE, after, share) == pytest.approx(seconds)


def test_what_is_later_than_all_bounds_counts_as_the_last():
    before = dict.fromkeys((0.001, 0.05, math.inf), 0.0)
    assert lateness_quantile(before, {0.001: 10.0, 0.05: 10.0, math.inf: 1000.0}, 0.99) == 0.05


def test_lateness_is_told_in_words():
    before = dict.fromkeys((0.01, math.inf), 0.0)
    after = {0.01: 1000.0, math.inf: 1000.0}
    assert lateness_between(before, after) == "transceiver's ticks 9.9 ms late at p99, 10.0 ms at p99.9"
