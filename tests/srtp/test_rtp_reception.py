"""Loss, jitter and report blocks against numbers worked out by hand and a seeded network."""

import random

import pytest

from srtp.reception import ReceptionStatistics
from srtp.rtcp.ntp import round_trip_time
from srtp.sending import RtpSource

PERIOD = 0.02
TICKS = 960


def feed(statistics: ReceptionStatistics, numbers: list[int], start: float = 100.0) -> None:
    """Packets that left at even intervals and took no time."""
    for number in numbers:
        statistics.received([(number & 0xFFFF, number * TICKS & 0xFFFFFFFF, start + number * PERIOD, b"")])


def test_nothing_received() -> None:
    statistics = ReceptionStatistics(7)
    assert statistics.report_block(1.0) is None
    assert (statistics.expected_count, statistics.lost_count, statistics.jitter) == (0, 0, 0)


def test_all_received() -> None:
    statistics = ReceptionStatistics(7)
    feed(statistics, list(range(10, 60)))
    block = statistics.report_block(1.0)
    assert block is not None
    assert (block.ssrc, block.fraction_lost, block.cumulative_lost) == (7, 0, 0)
    assert block.extended_highest_sequence_number == 59
    assert block.jitter <= 1
    assert (block.last_sender_report, block.delay_since_last_sender_report) == (0, 0)


def test_loss_by_interval() -> None:
    statistics = ReceptionStatistics(7)
    feed(statistics, [number for number in range(100) if number % 4 or number == 0])
    first = statistics.report_block(1.0)
    assert first is not None
    assert first.cumulative_lost == 24
    assert first.fraction_lost == 24 * 256 // 100
    # Nothing came: no block, and the loss shows in the next one.
    assert statistics.report_block(2.0) is None
    feed(statistics, [149])
    second = statistics.report_block(3.0)
    assert second is not None
    assert second.fraction_lost == 49 * 256 // 50
    assert second.cumulative_lost == 24 + 49
    feed(statistics, [150, 151])
    third = statistics.report_block(4.0)
    assert third is not None
    assert (third.fraction_lost, third.cumulative_lost) == (0, 73)


def test_duplicates_make_loss_negative() -> None:
    statistics = ReceptionStatistics(7)
    feed(statistics, [1, 2, 2, 2, 3])
    block = statistics.report_block(1.0)
    assert block is not None
    assert (block.fraction_lost, block.cumulative_lost) == (0, -2)


def test_late_packets_are_not_lost() -> None:
    statistics = ReceptionStatistics(7)
    feed(statistics, [1, 2, 5, 6, 4, 3])
    assert statistics.lost_count == 0
    assert statistics.highest == 6


def test_rollovers_are_counted() -> None:
    statistics = ReceptionStatistics(7)
    feed(statistics, list(range(65_000, 65_000 + 3 * 65_536, 1000)))
    block = statistics.report_block(1.0)
    assert block is not None
    highest = 65_000 + 196 * 1000
    assert block.extended_highest_sequence_number == highest
    assert statistics.expected_count == highest - 65_000 + 1
    # Late ones from before a rollover stay there.
    feed(statistics, [highest - 50])
    assert statistics.highest == highest


def test_loss_is_cut_to_its_field() -> None:
    statistics = ReceptionStatistics(7)
    for number in range(0, 6_000 * 2_900, 2_900):
        statistics.received([(number & 0xFFFF, 0, 1.0, b"")])
    block = statistics.report_block(1.0)
    assert block is not None
    assert statistics.lost_count > 1 << 23
    assert block.cumulative_lost == (1 << 23) - 1
    assert block.fraction_lost == 255


@pytest.mark.parametrize("jump", [3_000, 20_000, 40_000, 65_536 - 100])
def test_one_stray_number_changes_nothing_and_two_start_over(jump: int) -> None:
    statistics = ReceptionStatistics(7)
    feed(statistics, list(range(50)))
    statistics.received([(49 + jump & 0xFFFF, 0, 101.0, b"")])
    assert (statistics.highest, statistics.received_count) == (49, 50)
    feed(statistics, [50])
    assert (statistics.highest, statistics.received_count) == (50, 51)
    # The stray one was remembered, so the one that follows it starts over.
    statistics.received([(50 + jump & 0xFFFF, 0, 101.0, b"")])
    assert (statistics.highest, statistics.received_count) == (50 + jump & 0xFFFF, 1)


@pytest.mark.parametrize("jump", [2_999, 65_536 - 99])
def test_gaps_and_reordering_up_to_the_limits(jump: int) -> None:
    statistics = ReceptionStatistics(7)
    feed(statistics, list(range(200)))
    statistics.received([(199 + jump & 0xFFFF, 0, 101.0, b"")])
    assert statistics.received_count == 201


def test_jitter_follows_the_formula() -> None:
    rng = random.Random(3550)
    statistics = ReceptionStatistics(7)
    jitter, previous = 0.0, None
    # The timestamps wrap on the way.
    start = 0xFFFFFFFF - 100 * TICKS
    for number in range(500):
        arrival = 1000 + number * PERIOD + rng.random() * 0.03
        statistics.received([(number, (start + number * TICKS) & 0xFFFFFFFF, arrival, b"")])
        transit = arrival * 48000 - number * TICKS
        if previous is not None:
            jitter += (abs(transit - previous) - jitter) / 16
        previous = transit
    assert statistics.jitter == pytest.approx(jitter / 48000, rel=0.01)
    assert 0.005 < statistics.jitter < 0.02
    block = statistics.report_block(2000.0)
    assert block is not None
    assert block.jitter == pytest.approx(jitter, rel=0.01)


def test_clock_rate() -> None:
    fast, slow = ReceptionStatistics(1, clock_rate=48000), ReceptionStatistics(1, clock_rate=8000)
    for number in range(200):
        late = 0.01 * (number % 2)
        fast.received([(number, 960 * number, 10 + PERIOD * number + late, b"")])
        slow.received([(number, 160 * number, 10 + PERIOD * number + late, b"")])
    assert fast.jitter == pytest.approx(0.01, rel=0.05)
    assert slow.jitter == pytest.approx(0.01, rel=0.05)


class TestSource:
    def source(self) -> RtpSource:
        return RtpSource(ssrc=9, sequence_number=65_535, timestamp=5000)

    def test_start_is_unpredictable_and_clear_of_the_rollover(self) -> None:
        rng = random.Random(1)
        sources = [RtpSource.start(rng.randbytes) for _ in range(50)]
        assert len({source.ssrc for source in sources}) == 50
        assert len({source.timestamp for source in sources}) == 50
        assert all(source.sequence_number < 0x8000 for source in sources)
        assert RtpSource.start(rng.randbytes, ssrc=5).ssrc == 5
        assert RtpSource.start(lambda size: b"\xff" * size).sequence_number == 0x7FFF

    def test_packets_are_counted(self) -> None:
        source = self.source()
        first = source.packet(111, b"12345", 0x1_0000_0001, 10.0, marker=True)
        second = source.packet(111, b"678", 961, 10.02, extension=b"\xbe\xde\0\0")
        assert first.hex() == "80efffff0000000100000009" + b"12345".hex()
        assert second.hex() == "906f0000000003c100000009" + "bede0000" + b"678".hex()
        assert (source.packet_count, source.octet_count, source.sequence_number) == (2, 8, 65_537)

    def test_report_tells_the_instant_on_both_clocks(self) -> None:
        source = self.source()
        report = source.sender_report(816_003_205.125, 10.0)
        assert (report.rtp_timestamp, report.packet_count) == (5000, 0)
        source.packet(111, bytes(80), 0xFFFFFFFF, 10.0)
        report = source.sender_report(816_003_205.125, 10.5)
        assert report.ntp_timestamp == 0xB44DB70520000000
        assert report.rtp_timestamp == 24_000 - 1
        assert (report.ssrc, report.packet_count, report.octet_count) == (9, 1, 80)

    def test_round_trip_between_two_ends(self) -> None:
        """Our report takes 30 ms, lies there for 400 ms, and the answer takes 50 ms."""
        source, statistics = self.source(), ReceptionStatistics(9)
        statistics.received([(65_535, 5000, 700.0, b"")])
        wall = 1_700_000_000.0
        statistics.sender_reported(source.sender_report(wall, 10.0), 700.03)
        block = statistics.report_block(700.43)
        assert block is not None
        source.peer_reported(block, wall + 0.48)
        assert source.round_trip_time == pytest.approx(0.08, abs=0.001)
        assert round_trip_time(wall + 0.48, block.last_sender_report, block.delay_since_last_sender_report) == (
            source.round_trip_time
        )

    def test_what_the_peer_reports(self) -> None:
        source, statistics = self.source(), ReceptionStatistics(9)
        feed(statistics, [0, 3])
        block = statistics.report_block(1.0)
        assert block is not None
        source.peer_reported(block, 1_700_000_000.0)
        assert (source.fraction_lost, source.cumulative_lost, source.round_trip_time) == (0.5, 2, None)
        other = ReceptionStatistics(10)
        feed(other, [0])
        ignored = other.report_block(1.0)
        assert ignored is not None
        source.peer_reported(ignored, 1_700_000_000.0)
        assert source.fraction_lost == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_many_at_once_count_as_one_by_one(seed: int) -> None:
    """Through loss, reordering, duplicates, jumps of numbers and of timestamps, cut into pieces anywhere."""
    chance = random.Random(seed)
    arrivals, number, now = [], 65_000, 100.0
    for _ in range(2000):
        number += chance.choice((1, 1, 1, 1, 0, 2, -1, -120, 3000, 20_000))
        now += chance.uniform(0, 0.05)
        stamp = number * TICKS + chance.choice((0, 0, 0, 1 << 31))
        arrivals.append((number & 0xFFFF, stamp & 0xFFFF_FFFF, now, b""))
    together, apart = ReceptionStatistics(1), ReceptionStatistics(1)
    at = 0
    while at < len(arrivals):
        size = chance.randrange(40)
        together.received(arrivals[at : at + size])
        for each in arrivals[at : at + size]:
            apart.received([each])
        at += size
        assert together.state() == apart.state()
        assert together.jitter == apart.jitter
