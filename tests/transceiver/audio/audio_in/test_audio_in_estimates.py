"""What is measured of a path: histograms that forget, and lateness against a drifting clock."""

import random

import pytest

from transceiver.audio.delay_estimate import DelayEstimate
from transceiver.audio.histogram import Histogram


def test_a_quantile_is_the_upper_edge_of_its_bucket():
    histogram = Histogram(bucket=0.005, count=100, memory=1e9)
    assert histogram.quantile(0.5) == 0
    for n in range(1000):
        histogram.add(n / 1000 * 0.1)
    assert histogram.quantile(0.95) == pytest.approx(0.095)
    assert histogram.quantile(0.5) == pytest.approx(0.05)
    assert histogram.quantile(0.0) <= 0.005


def test_zero_has_a_bucket_of_its_own():
    histogram = Histogram(bucket=0.005, count=10, memory=1000)
    for n in range(100):
        histogram.add(0.0001 if n == 50 else 0.0)
    assert histogram.quantile(0.9) == 0
    assert histogram.quantile(0.999) == 0.005


def test_what_is_beyond_counts_in_the_last_bucket():
    histogram = Histogram(bucket=0.005, count=10, memory=1000)
    histogram.add(1e9)
    assert histogram.quantile(0.5) == pytest.approx(0.045)
    histogram.add(-1.0, times=5.0)
    assert histogram.quantile(0.5) == 0


def test_old_values_fade_at_the_rate_of_the_memory():
    histogram = Histogram(bucket=1, count=3, memory=100)
    for _ in range(2000):
        histogram.add(1)
    # 1/e of the weight is left after as many values as the memory holds: 37 % of all.
    for _ in range(100):
        histogram.add(0)
    assert histogram.quantile(0.60) == 0
    assert histogram.quantile(0.66) == 1


@pytest.mark.parametrize("memory", [2, 50, 500])
def test_zeros_that_are_counted_together_count_as_one_by_one(memory):
    together, one_by_one = (Histogram(bucket=0.01, count=10, memory=memory) for _ in range(2))
    for count in (0, 1, 3, 256, 40, 256):
        for histogram in (together, one_by_one):
            histogram.add(0.03)
        together.add_zeros(count)
        for _ in range(count):
            one_by_one.add(0.0)
        for share in (0.5, 0.9, 0.99, 0.999):
            assert together.quantile(share) == one_by_one.quantile(share)
    for _ in range(100):
        together.add_zeros(256)
        together.add(0.05)
        together.add(0.05)
    assert together.quantile(1 - 1 / (memory + 256)) == pytest.approx(0.05)


def test_weights_do_not_overflow():
    histogram = Histogram(bucket=1, count=3, memory=2)
    for _ in range(10_000):
        histogram.add(1)
    assert histogram.quantile(0.5) == 1
    for _ in range(20):
        histogram.add(0)
    assert histogram.quantile(0.9) == 0


def lateness_of(estimate, delays, *, start=100.0, ppm=0.0, timestamp=2**32 - 48000):
    return [
        estimate.add(
            (timestamp + n * 960) & 0xFFFF_FFFF,
            48000,
            start + n * 0.02 * (1 + ppm * 1e-6) + delay,
            True,
        )
        for n, delay in enumerate(delays)
    ]


def test_lateness_is_relative_to_the_quickest_of_late():
    estimate = DelayEstimate(memory=100, believed=0.04)
    assert lateness_of(estimate, [0.1, 0.15, 0.1, 0.08, 0.1]) == pytest.approx([0, 0.05, 0, 0, 0.02])


def test_before_anything_is_measured_something_is_believed():
    assert DelayEstimate(memory=100, believed=0.04).quantile(0.95) == pytest.approx(0.04)


def test_the_quantile_is_that_of_what_came():
    estimate = DelayEstimate(memory=2000, believed=0.04)
    chance = random.Random(3)
    lateness_of(estimate, [chance.random() * 0.1 for _ in range(5000)])
    assert estimate.quantile(0.9) == pytest.approx(0.09, abs=0.008)


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_clock_that_drifts_does_not_look_like_lateness(ppm):
    estimate = DelayEstimate(memory=500, believed=0.04)
    lateness = lateness_of(estimate, [0.05] * 45000, ppm=ppm)  # a quarter of an hour, 180 ms of drift
    assert max(lateness) < 0.002


def test_a_longer_path_is_the_new_usual_within_seconds():
    estimate = DelayEstimate(memory=100, believed=0.04)
    lateness = lateness_of(estimate, [0.02] * 500 + [0.2] * 500)
    assert lateness[510] == pytest.approx(0.18)
    assert estimate.base == pytest.approx(100.2 - (2**32 - 48000) / 48000)
    assert max(lateness[720:]) < 1e-6


def test_a_timestamp_that_jumps_starts_anew():
    estimate = DelayEstimate(memory=100, believed=0.04)
    lateness_of(estimate, [0.02] * 100)
    for jump in (3600 * 48000, -7200 * 48000, 30 * 48000):
        before = estimate.base
        assert lateness_of(estimate, [0.02] * 100, start=102.0, timestamp=jump & 0xFFFF_FFFF) == pytest.approx(
            [0] * 100, abs=1e-9
        )
        assert estimate.base != before


def test_a_packet_late_by_seconds_is_no_jump():
    estimate = DelayEstimate(memory=100, believed=0.04)
    lateness_of(estimate, [0.02] * 500, timestamp=0)
    base = estimate.base
    assert estimate.add(100 * 960, 48000, 110.02, False) == pytest.approx(8.0)
    assert estimate.base == base


def test_a_stall_is_no_jump():
    estimate = DelayEstimate(memory=100, believed=0.04)
    lateness_of(estimate, [0.02] * 500, timestamp=0)
    base = estimate.base
    # Everything that was held back comes at once.
    lateness = [estimate.add((500 + n) * 960, 48000, 115.02, True) for n in range(250)]
    assert lateness == pytest.approx([5.0 - n * 0.02 for n in range(250)])
    assert estimate.base == base
    assert estimate.risen == 0
