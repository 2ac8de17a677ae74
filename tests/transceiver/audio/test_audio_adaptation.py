"""What the peer reports decides how much is sent, and how well protected: as laws."""

import itertools

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtp.rtcp.transport_feedback import TransportFeedback
from transceiver.audio.adaptation import Adaptation, SendingOptions
from transceiver.audio.send_history import MAX_HISTORY, PacketsReported, SendHistory

OPTIONS = SendingOptions()


def report(adaptation, losses, start=0.0, round_trip=0.05, every=1.0):
    """Receiver reports, one a second, about 50 packets each."""
    for number, loss in enumerate(losses):
        adaptation.peer_reported(loss, 50, round_trip, start + number * every)
    return start + len(losses) * every


@pytest.fixture
def adaptation():
    return Adaptation(OPTIONS)


def test_without_trouble_nothing_changes(adaptation):
    report(adaptation, [0.0] * 100)
    assert (adaptation.bitrate, adaptation.expected_loss, adaptation.fec) == (OPTIONS.bitrate, 0.0, False)


@given(lower=st.floats(0.02, 0.2), more=st.floats(0.005, 0.2), seconds=st.integers(1, 20))
def test_more_loss_is_expected_to_go_on(lower, more, seconds):
    a, b = Adaptation(OPTIONS), Adaptation(OPTIONS)
    report(a, [lower] * seconds)
    report(b, [lower + more] * seconds)
    assert a.fec
    assert b.fec
    assert 0 < a.expected_loss <= b.expected_loss <= OPTIONS.max_expected_loss
    assert b.loss > a.loss
    assert a.loss <= lower


@given(
    reports=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 300), st.none() | st.floats(0, 10), st.floats(0, 20), st.booleans()),
        max_size=60,
    )
)
def test_nothing_leaves_its_bounds(reports):
    adaptation = Adaptation(OPTIONS)
    now = 0.0
    for loss, count, delay, step, is_feedback in reports:
        now += step
        if is_feedback:
            adaptation.packets_reported(loss, count, delay, now)
        else:
            adaptation.peer_reported(loss, count, delay, now)
        assert OPTIONS.min_bitrate <= adaptation.bitrate <= OPTIONS.max_bitrate
        assert 0 <= adaptation.expected_loss <= OPTIONS.max_expected_loss
        assert adaptation.fec == (adaptation.expected_loss > 0)
        assert 0 <= adaptation.loss <= 1
        if not adaptation.fec:
            assert adaptation.bitrate <= OPTIONS.bitrate


def test_a_spell_of_loss_is_remembered_for_a_while_and_then_forgotten(adaptation):
    now = report(adaptation, [0.1] * 5)
    assert adaptation.fec
    now = report(adaptation, [0.0] * 5, now)
    assert adaptation.fec
    now = report(adaptation, [0.0] * 30, now)
    assert not adaptation.fec
    assert adaptation.bitrate == OPTIONS.bitrate


def test_fec_does_not_flutter(adaptation):
    now = report(adaptation, [0.03])
    seen = []
    for _ in range(20):
        for loss in (*[0.0] * 7, 0.03):
            now = report(adaptation, [loss], now)
            seen.append((adaptation.fec, adaptation.loss))
    # It goes below where FEC is turned on, time and again.
    assert min(loss for _, loss in seen) < 0.01
    assert all(fec for fec, _ in seen)


def test_random_loss_below_a_tenth_costs_no_bitrate_but_is_paid_for(adaptation):
    report(adaptation, [0.08] * 30)
    assert adaptation.bitrate == OPTIONS.bitrate
    report(adaptation, [0.01] * 5, 30.0)
    assert OPTIONS.bitrate < adaptation.bitrate <= OPTIONS.max_bitrate


def test_heavy_loss_halves_soon_and_stops_at_the_least(adaptation):
    report(adaptation, [0.5] * 3)
    assert adaptation.bitrate < OPTIONS.bitrate / 1.5
    report(adaptation, [0.5] * 20, 3.0)
    assert adaptation.bitrate == OPTIONS.min_bitrate


def test_the_bitrate_recovers_slowly_when_the_path_is_clear(adaptation):
    now = report(adaptation, [0.5] * 20)
    bitrates = []
    for _ in range(60):
        now = report(adaptation, [0.0], now)
        bitrates.append(adaptation.bitrate)
    # While loss is still expected, some more is spent on copies.
    rising = bitrates[: bitrates.index(max(bitrates)) + 1]
    assert len(rising) > 15
    assert rising == sorted(rising)
    assert all(0.95 < after / before < 1.06 for before, after in itertools.pairwise(bitrates))
    assert bitrates[-1] == OPTIONS.bitrate


def test_reports_that_come_seldom_recover_as_fast_in_time():
    slow, fast = Adaptation(OPTIONS), Adaptation(OPTIONS)
    for adaptation in (slow, fast):
        report(adaptation, [0.5] * 20)
    report(fast, [0.0] * 10, 20.0)
    for number in range(2):
        slow.peer_reported(0.0, 250, 0.05, 24.0 + 5 * number)
    assert slow.bitrate == pytest.approx(fast.bitrate, rel=0.03)


def test_a_round_trip_that_grows_lowers_the_bitrate_and_a_long_one_does_not():
    far, full = Adaptation(OPTIONS), Adaptation(OPTIONS)
    report(far, [0.0] * 30, round_trip=0.6)
    assert far.bitrate == OPTIONS.bitrate
    now = report(full, [0.0] * 10, round_trip=0.05)
    now = report(full, [0.0] * 5, now, round_trip=0.4)
    lowest = full.bitrate
    assert lowest < OPTIONS.bitrate / 1.8
    now = report(full, [0.0] * 30, now, round_trip=0.05)
    assert full.bitrate == OPTIONS.bitrate


def test_a_path_that_became_longer_for_good_is_accepted_after_a_minute(adaptation):
    now = report(adaptation, [0.0] * 10, round_trip=0.05)
    now = report(adaptation, [0.0] * 20, now, round_trip=0.3)
    assert adaptation.bitrate == OPTIONS.min_bitrate
    report(adaptation, [0.0] * 60, now, round_trip=0.3)
    assert adaptation.bitrate == OPTIONS.bitrate


def test_decreases_wait_for_their_effect(adaptation):
    for number in range(8):
        adaptation.packets_reported(0.5, 12, 0.0, number * 0.1)
    assert adaptation.bitrate >= OPTIONS.bitrate * 0.7


def test_while_feedback_comes_reports_tell_the_round_trip_only(adaptation):
    adaptation.packets_reported(0.0, 12, 1.0, 0.0)
    adaptation.peer_reported(0.3, 50, 0.05, 0.5)
    assert adaptation.loss == 0
    adaptation.peer_reported(0.3, 50, 0.05, 5.0)
    assert adaptation.loss > 0.1


def test_few_packets_say_little(adaptation):
    adaptation.peer_reported(0.5, 2, 0.05, 0.0)
    few = adaptation.loss
    other = Adaptation(OPTIONS)
    other.peer_reported(0.5, 50, 0.05, 0.0)
    assert few < other.loss / 10


def test_a_decoder_that_makes_no_use_of_fec_gets_none():
    adaptation = Adaptation(attrs.evolve(OPTIONS, uses_fec=False))
    report(adaptation, [0.1] * 10)
    assert (adaptation.fec, adaptation.expected_loss) == (False, 0.0)


# -- transport-wide feedback


def feedback(base, deltas, reference_time=0):
    return TransportFeedback(
        sender_ssrc=1,
        media_ssrc=2,
        base_sequence_number=base,
        reference_time=reference_time,
        feedback_packet_count=0,
        deltas=tuple(deltas),
    )


def test_losses_and_transit_are_told_of_what_was_sent():
    history = SendHistory()
    assert [history.sent(10 + number * 0.02) for number in range(4)] == [0, 1, 2, 3]
    # Arrivals at 0.064, 0.084 and 0.124 s of the peer's clock; sent at 10.00, 10.02 and 10.06.
    reported = history.reported(feedback(0, [0, 80, None, 160], reference_time=1))
    assert reported == PacketsReported(count=4, fraction_lost=0.25, transit_time=pytest.approx(0.064 - 10))
    assert history.reported(feedback(0, [0, 80, None, 160], reference_time=1)) is None


def test_feedback_overlaps_and_only_the_new_counts():
    history = SendHistory()
    for number in range(10):
        history.sent(number * 0.02)
    history.reported(feedback(0, [0] * 6))
    reported = history.reported(feedback(4, [80, 80, None, None]))
    assert reported == PacketsReported(count=2, fraction_lost=1.0, transit_time=None)


def test_numbers_wrap():
    history = SendHistory()
    for number in range(70000):
        last = history.sent(number * 0.02)
    assert last == 69999 & 0xFFFF
    reported = history.reported(feedback((last - 3) & 0xFFFF, [0, 80, 80, 80]))
    assert reported.count == 4
    assert reported.transit_time == pytest.approx(-69996 * 0.02)


@given(base=st.integers(0, 0xFFFF), deltas=st.lists(st.none() | st.integers(-500, 500), min_size=1, max_size=600))
def test_feedback_of_anything_is_survived(base, deltas):
    history = SendHistory()
    for number in range(MAX_HISTORY + 100):
        history.sent(number * 0.02)
    reported = history.reported(feedback(base, deltas))
    # Numbers 100 to 599 are remembered.
    known = len(range(max(base, 100), min(base + len(deltas), MAX_HISTORY + 100)))
    if base + len(deltas) > 0x10000:
        known += max(base + len(deltas) - 0x10000 - 100, 0)
    assert (reported.count if reported else 0) == known
