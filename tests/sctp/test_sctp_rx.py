"""What has arrived, what is whole, what is in order, and when to say so."""

import random

import pytest

from sctp.drops import DropReason
from sctp.events import MessageReceived, StreamsReset
from sctp.options import SctpOptions
from sctp.rx.data_tracker import DataTracker
from sctp.rx.receiver import Receiver
from sctp.rx.sack_schedule import SackSchedule
from wire.core import Drops
from wire.errors import LimitError, MisbehavedError

WHOLE, BEGINNING, MIDDLE, END, UNORDERED, IMMEDIATE = 3, 2, 0, 1, 4, 8


class Half:
    """A receiving half, and what it reports."""

    def __init__(self, *, first=10, **options):
        self.drops, self.events = Drops(), []
        self.options = SctpOptions(**{"max_message_size": 1500, "receive_window": 3000, **options})
        self.receiver = Receiver(self.options, first, 100, self.drops, self.events)

    def data(self, tsn, flags=WHOLE, payload=b"x", *, stream=1, number=0):
        self.receiver.receive_data(tsn & 0xFFFF_FFFF, stream, number, 51, flags, payload)
        self.receiver.packet_received(0.0)

    def take(self):
        events, self.events[:] = list(self.events), []
        return [event.data if isinstance(event, MessageReceived) else event for event in events]

    def sack(self):
        return self.receiver.take_sack(1000)


@pytest.fixture
def half():
    return Half()


# TSNs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_the_tracker_is_what_a_set_of_numbers_is(seed):
    dice = random.Random(seed)
    tracker, seen = DataTracker(100), set()
    for _ in range(300):
        tsn = dice.randrange(100, 400)
        assert tracker.has(tsn) == (tsn in seen)
        if tsn not in seen:
            seen.add(tsn)
            tracker.add(tsn)
        cumulative = next(number for number in range(99, 500) if number + 1 not in seen)
        assert tracker.cumulative_tsn == cumulative
        covered = {tsn for first, last in tracker.islands() for tsn in range(first, last + 1)}
        assert covered == {tsn for tsn in seen if tsn > cumulative}
        assert tracker.has_gap == bool(covered)
        assert tracker.highest == max(seen)


def test_forwarding_swallows_islands():
    tracker = DataTracker(100)
    for tsn in (102, 104, 105, 107):
        tracker.add(tsn)
    # The example of RFC 3758 §3.6.
    tracker.forward(103)
    assert tracker.cumulative_tsn == 105
    assert tracker.gap_blocks(9) == ((2, 2),)


def test_numbers_wrap_in_the_middle_of_a_gap():
    half = Half(first=(1 << 32) - 2)
    half.data(-2, number=0)
    half.data(1, number=3)
    assert half.sack().gap_ack_blocks == ((3, 3),)
    half.data(-1, number=1)
    half.data(0, number=2)
    assert half.sack().cumulative_tsn_ack == 1
    assert len(half.take()) == 4


def test_a_sack_tells_of_duplicates_and_as_many_gaps_as_fit(half):
    for number in range(10, 30, 2):
        half.data(number, UNORDERED | WHOLE)
    half.data(12, UNORDERED | WHOLE)
    sack = half.receiver.take_sack(16 + 4 * 4)
    assert list(sack.duplicate_tsns) == [12]
    assert sack.gap_ack_blocks == ((2, 2), (4, 4), (6, 6))
    assert not half.sack().duplicate_tsns
    assert half.drops == {DropReason.DUPLICATE_TSN: 1}


# When a SACK is due --------------------------------------------------------------------------------------------------


def test_the_first_packet_then_every_second_then_after_a_while():
    schedule = SackSchedule(0.2)
    schedule.packet_received(0.0, False)
    assert schedule.is_due
    schedule.sent()
    schedule.packet_received(1.0, False)
    assert not schedule.is_due
    assert schedule.timer.deadline == pytest.approx(1.2)
    schedule.packet_received(1.1, False)
    assert schedule.is_due
    schedule.sent()
    assert schedule.timer.deadline is None
    schedule.packet_received(2.0, False)
    schedule.handle_timeout(2.1)
    assert not schedule.is_due
    schedule.handle_timeout(2.2)
    assert schedule.is_due


@pytest.mark.parametrize(
    ("tsn", "flags", "is_due"),
    [(11, WHOLE, False), (12, WHOLE, True), (10, WHOLE, True), (11, WHOLE | IMMEDIATE, True), (99999, WHOLE, True)],
)
def test_gaps_duplicates_and_wishes_are_answered_at_once(half, tsn, flags, is_due):
    half.data(10)
    half.sack()
    half.data(tsn, flags, number=1)
    assert half.receiver.sacks.is_due is is_due


def test_a_window_that_opens_by_a_quarter_is_told_at_once(half):
    for tsn in range(10, 13):
        half.data(tsn, BEGINNING if tsn == 10 else MIDDLE, b"x" * 450)
    half.sack()
    half.data(13, MIDDLE, b"x")
    assert half.receiver.sacks.is_due is False
    half.sack()
    half.data(14, END, b"x")
    assert half.receiver.sacks.is_due
    assert half.sack().a_rwnd == 3000


# Reassembly ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(15))
def test_messages_come_out_whole_whatever_the_order_of_their_pieces(seed):
    dice = random.Random(seed)
    half = Half(first=100, max_message_size=4000, receive_window=100_000)
    chunks, wanted, tsn, numbers = [], {}, 100, {}
    for _ in range(12):
        stream, pieces, is_unordered = dice.randrange(3), dice.randrange(1, 7), dice.random() < 0.4
        payloads = [dice.randbytes(dice.randrange(1, 50)) for _ in range(pieces)]
        number = numbers.get(stream, 0)
        if not is_unordered:
            numbers[stream] = number + 1
            wanted.setdefault(stream, []).append(b"".join(payloads))
        else:
            wanted.setdefault("any", []).append(b"".join(payloads))
        for index, payload in enumerate(payloads):
            flags = is_unordered * UNORDERED | (index == 0) * BEGINNING | (index == pieces - 1) * END
            chunks.append((tsn, flags, payload, stream, number))
            tsn += 1
    dice.shuffle(chunks)
    for tsn, flags, payload, stream, number in chunks:
        half.data(tsn, flags, payload, stream=stream, number=number)
    got = [event for event in half.events if isinstance(event, MessageReceived)]
    for stream in range(3):
        ordered = [event.data for event in got if event.stream_id == stream and event.data in wanted.get(stream, [])]
        assert ordered == wanted.get(stream, [])
    assert sorted(event.data for event in got) == sorted(data for group in wanted.values() for data in group)
    assert half.receiver.delivery.held_bytes == half.receiver.delivery.held_chunks == 0
    assert not half.drops


def test_a_message_that_begins_inside_another_is_beyond_repair(half):
    half.data(10, BEGINNING)
    with pytest.raises(MisbehavedError):
        half.data(11, BEGINNING)


@pytest.mark.parametrize("change", [{"stream": 2}, {"number": 1}, {"flags": UNORDERED | MIDDLE}])
def test_pieces_of_different_messages_side_by_side_are_beyond_repair(half, change):
    half.data(10, BEGINNING)
    with pytest.raises(MisbehavedError):
        half.data(11, change.pop("flags", MIDDLE), **change)


def test_a_message_that_is_too_large_is_beyond_repair(half):
    half.data(10, BEGINNING, b"x" * 1000)
    half.data(11, MIDDLE, b"x" * 500)
    with pytest.raises(LimitError):
        half.data(12, MIDDLE, b"x")


# Order ---------------------------------------------------------------------------------------------------------------


def test_streams_wait_only_for_themselves(half):
    half.data(10, number=1)
    half.data(11, number=0, stream=2, payload=b"two")
    assert half.take() == [b"two"]
    half.data(12, number=0, payload=b"zero")
    assert half.take() == [b"zero", b"x"]


def test_sequence_numbers_wrap():
    half = Half(receive_window=200_000)
    for tsn in range(10, 10 + 65537):
        half.data(tsn, number=(tsn - 10) & 0xFFFF)
    assert len(half.take()) == 65537


def test_an_old_sequence_number_is_dropped(half):
    half.data(10, number=0)
    half.data(11, number=0)
    half.data(12, number=5)
    half.data(13, number=5)
    assert half.drops == {DropReason.OLD_STREAM_SEQUENCE_NUMBER: 2}


def test_a_stream_that_does_not_exist_is_acknowledged_and_reported(half):
    half.data(10, stream=100)
    assert half.sack().cumulative_tsn_ack == 10
    assert half.take() == []
    assert half.drops == {DropReason.UNKNOWN_STREAM: 1}
    assert [cause.stream_id for cause in half.receiver.causes] == [100]


# The window ----------------------------------------------------------------------------------------------------------


def test_a_full_window_takes_nothing_new_but_what_fills_a_gap(half):
    half.data(11, number=1, payload=b"x" * 1000)
    half.data(12, number=2, payload=b"x" * 1000)
    half.data(14, number=4, payload=b"x" * 1000)
    assert half.sack().a_rwnd == 0
    half.data(15, number=5)
    assert half.drops == {DropReason.WINDOW_FULL: 1}
    half.data(13, number=3, payload=b"x" * 1000)
    assert half.drops == {DropReason.WINDOW_FULL: 1}
    half.data(10, number=0)
    assert len(half.take()) == 5
    assert half.sack().a_rwnd == 3000


def test_a_peer_that_never_sends_the_first_message_fills_its_window_and_no_more(half):
    for tsn in range(10, 1000):
        half.data(tsn, number=tsn, payload=b"x" * 100)
    assert half.receiver.delivery.held_bytes == 3000
    assert half.drops == {DropReason.WINDOW_FULL: 960}
    assert half.sack().cumulative_tsn_ack == 39


def test_many_tiny_pieces_are_bounded_too():
    half = Half(max_tsn_distance=50)
    for tsn in range(10, 200):
        half.data(tsn, number=tsn)
    assert half.receiver.delivery.held_chunks == 50


@pytest.mark.parametrize("tsn", [11 + 32768, 10 + (1 << 30)])
def test_tsns_far_away_are_dropped(half, tsn):
    half.data(tsn)
    assert half.drops == {DropReason.TSN_TOO_FAR: 1}
    assert half.sack().gap_ack_blocks == ()


def test_what_is_behind_is_a_duplicate(half):
    half.data(10 + (1 << 31))
    assert half.drops == {DropReason.DUPLICATE_TSN: 1}


# What the peer gives up ----------------------------------------------------------------------------------------------


def forward(half, tsn, *skipped):
    half.receiver.receive_forward_tsn(tsn & 0xFFFF_FFFF, skipped)
    half.receiver.packet_received(0.0)


def test_skipping_delivers_what_waited(half):
    half.data(12, number=2)
    half.data(13, number=3, payload=b"y")
    forward(half, 11, (1, 1))
    assert half.take() == [b"x", b"y"]
    assert half.sack().cumulative_tsn_ack == 13
    assert half.receiver.delivery.held_bytes == 0


def test_skipping_removes_messages_that_can_never_be_whole(half):
    half.data(10, BEGINNING)
    half.data(12, END)
    half.data(13, BEGINNING, number=1)
    forward(half, 11, (1, 0))
    assert half.receiver.delivery.held_chunks == 1
    half.data(14, END, number=1)
    assert half.take() == [b"xx"]


def test_the_rest_of_a_message_that_was_given_up_is_dropped(half):
    half.data(10, BEGINNING)
    forward(half, 11)
    half.data(12, MIDDLE)
    half.data(13, END)
    assert half.drops == {DropReason.SKIPPED_FRAGMENT: 2}
    half.data(14, number=0)
    assert half.take() == [b"x"]


def test_a_skipped_tsn_that_comes_after_all_is_a_duplicate(half):
    forward(half, 12)
    half.data(11)
    assert half.drops == {DropReason.DUPLICATE_TSN: 1}


def test_old_and_far_forwards_are_dropped_and_answered(half):
    half.data(10)
    half.sack()
    forward(half, 10)
    forward(half, 10 + 40_000)
    assert half.drops == {DropReason.OLD_FORWARD_TSN: 1, DropReason.TSN_TOO_FAR: 1}
    assert half.receiver.sacks.is_due


def test_skipping_old_numbers_changes_nothing(half):
    for number in range(3):
        half.data(10 + number, number=number)
    forward(half, 13, (1, 1))
    half.data(14, number=3)
    assert len(half.take()) == 4


# Stream resets -------------------------------------------------------------------------------------------------------


def test_a_reset_expects_zero_again(half):
    half.data(10, number=0)
    assert half.receiver.reset_streams(10, [1])
    half.data(11, number=0, payload=b"again")
    assert half.take() == [b"x", StreamsReset(stream_ids=(1,)), b"again"]


def test_a_reset_waits_for_what_is_missing_and_holds_what_is_behind_it(half):
    half.data(11, number=1, payload=b"one")
    assert half.receiver.reset_streams(11, [1]) is False
    half.data(12, number=0, payload=b"new")
    half.data(13, number=0, stream=2, payload=b"other")
    assert half.take() == [b"other"]
    half.data(10, number=0, payload=b"zero")
    assert half.take() == [b"zero", b"one", StreamsReset(stream_ids=(1,)), b"new"]
    assert half.receiver.delivery.held_bytes == 0


def test_a_second_reset_while_one_waits_joins_it(half):
    half.data(11, number=1)
    half.receiver.reset_streams(11, [1])
    assert half.receiver.reset_streams(11, [2]) is False
    half.data(10, number=0)
    assert half.take()[-1] == StreamsReset(stream_ids=(1, 2))


def test_a_reset_of_all_streams(half):
    half.data(10, number=0)
    half.data(11, number=0, stream=2)
    half.data(12, number=7, stream=3)
    half.receiver.reset_streams(12, [])
    assert half.receiver.delivery.held_bytes == 0
    half.take()
    half.data(13, number=0, stream=2)
    assert half.take() == [b"x"]


def test_a_reset_from_far_away_cannot_be(half):
    assert half.receiver.reset_streams(10 + 40_000, [1]) is None


def test_a_forward_performs_a_reset_that_waits(half):
    half.data(11, number=1)
    half.receiver.reset_streams(12, [1])
    forward(half, 12, (1, 2))
    half.data(13, number=0, payload=b"new")
    events = half.take()
    assert StreamsReset(stream_ids=(1,)) in events
    assert events[-1] == b"new"


def test_the_rest_of_a_message_that_was_given_up_is_dropped_if_a_piece_was_there_before(half):
    half.data(10, BEGINNING)
    half.data(12, MIDDLE)
    forward(half, 11)
    half.data(13, END)
    assert half.drops == {DropReason.SKIPPED_FRAGMENT: 1}
    assert half.receiver.delivery.held_chunks == 0
