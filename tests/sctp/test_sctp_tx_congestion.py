"""Windows and timeouts, by examples computed by hand."""

import pytest

from sctp.options import SctpOptions
from sctp.tx.congestion import CongestionControl
from sctp.tx.rto import RetransmissionTimeout

OPTIONS = SctpOptions(initial_window=10)


@pytest.fixture
def congestion():
    return CongestionControl(OPTIONS, 1000)


def acknowledge(congestion, acked, *, before, after=500, has_advanced=True):
    congestion.acknowledged(acked, flight_before=before, flight_after=after, has_advanced=has_advanced)


def test_slow_start_grows_by_what_is_acknowledged_up_to_a_packet(congestion):
    acknowledge(congestion, 700, before=10_000)
    assert congestion.window == 10_700
    acknowledge(congestion, 2000, before=10_700)
    assert congestion.window == 11_700


def test_slow_start_needs_a_full_window_an_advance_and_no_recovery(congestion):
    acknowledge(congestion, 700, before=9_999)
    acknowledge(congestion, 700, before=10_000, has_advanced=False)
    assert congestion.window == 10_000
    congestion.lost(50)
    congestion.slow_start_threshold = 10_000
    acknowledge(congestion, 700, before=20_000)
    assert congestion.window == 5_000


def test_congestion_avoidance_adds_a_packet_per_window(congestion):
    congestion.slow_start_threshold = 5_000
    congestion.recovery_exit = None
    for _ in range(4):
        acknowledge(congestion, 2000, before=10_000)
    assert (congestion.window, congestion.partial_bytes_acked) == (10_000, 8_000)
    acknowledge(congestion, 2500, before=10_000)
    assert (congestion.window, congestion.partial_bytes_acked) == (11_000, 500)


def test_congestion_avoidance_saves_no_credit_while_the_window_is_not_used(congestion):
    congestion.slow_start_threshold = 5_000
    for _ in range(20):
        acknowledge(congestion, 2000, before=3_000)
    assert (congestion.window, congestion.partial_bytes_acked) == (10_000, 10_000)
    acknowledge(congestion, 100, before=3_000, after=0)
    assert congestion.partial_bytes_acked == 0


def test_a_loss_halves_the_window_once_per_flight(congestion):
    assert congestion.lost(highest_outstanding=99)
    assert (congestion.window, congestion.slow_start_threshold) == (5_000, 5_000)
    assert not congestion.lost(highest_outstanding=120)
    assert congestion.window == 5_000
    congestion.cumulative_advanced(98)
    assert congestion.recovery_exit == 99
    congestion.cumulative_advanced(99)
    assert congestion.recovery_exit is None
    assert congestion.lost(highest_outstanding=130)
    # RFC 9260 §7.2.3: never below four packets.
    assert congestion.window == 4_000


def test_a_timeout_leaves_one_packet(congestion):
    congestion.partial_bytes_acked = 77
    congestion.timed_out()
    assert (congestion.window, congestion.slow_start_threshold) == (1_000, 5_000)
    assert congestion.partial_bytes_acked == 0


def test_silence_halves_the_window_once_per_rto(congestion):
    congestion.window = 40_000
    congestion.idle(0)
    assert congestion.window == 40_000
    congestion.idle(2)
    assert (congestion.window, congestion.slow_start_threshold) == (10_000, 40_000)
    congestion.idle(1000)
    assert congestion.window == 4_000


def test_rto_as_in_the_rfc():
    rto = RetransmissionTimeout(SctpOptions(rto_initial=0.5, rto_minimum=0.01, rto_maximum=3.0))
    assert rto.seconds == 0.5
    rto.measure(0.2)
    # SRTT = 0.2, RTTVAR = 0.1, RTO = 0.2 + 4 * 0.1.
    assert rto.seconds == pytest.approx(0.6)
    rto.measure(0.4)
    # RTTVAR = 0.75 * 0.1 + 0.25 * 0.2 = 0.125; SRTT = 0.875 * 0.2 + 0.125 * 0.4 = 0.225; RTO = 0.225 + 0.5.
    assert rto.seconds == pytest.approx(0.725)
    rto.back_off()
    assert rto.seconds == pytest.approx(1.45)
    rto.back_off()
    rto.back_off()
    assert rto.seconds == 3.0
    rto.measure(0.225)
    # RTTVAR = 0.75 * 0.125 = 0.09375; SRTT stays.
    assert rto.seconds == pytest.approx(0.6)


def test_rto_has_a_floor_and_no_variation_below_a_millisecond():
    rto = RetransmissionTimeout(SctpOptions(rto_minimum=0.4))
    rto.measure(0.01)
    assert rto.seconds == 0.4
    free = RetransmissionTimeout(SctpOptions(rto_minimum=0.0))
    for _ in range(100):
        free.measure(0.01)
    assert free.seconds == pytest.approx(0.014)
