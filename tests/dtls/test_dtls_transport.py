"""The parts that carry handshake messages: reassembly, fragmentation, flights, the timer."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtls.acknowledgement import MAX_ACKNOWLEDGED, ReceivedRecords
from dtls.drops import DropReason
from dtls.flight import Flight
from dtls.fragmentation import ChangeCipherSpec, FlightPart, plan_datagrams
from dtls.handshake.message import Fragment, HandshakeMessage, parse_fragments
from dtls.options import TimerOptions
from dtls.reassembly import FragmentOutcome, Reassembler
from dtls.record_layer import RecordLayer
from dtls.records import ContentType, RecordNumber, split_datagram
from dtls.timers import RetransmissionTimer
from wire.core import Drops
from wire.errors import LocalProtocolError


def message(seq, size, epoch=0, kind=11):
    return HandshakeMessage(type=kind, message_seq=seq, epoch=epoch, body=random.Random(seq).randbytes(size))


# Reassembly ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 300), max_size=4), st.integers(0, 2**32), st.integers(1, 90))
def test_any_cut_in_any_order_comes_together(sizes, seed, piece):
    source = random.Random(seed)
    messages = [message(seq, size) for seq, size in enumerate(sizes)]
    fragments = []
    for whole in messages:
        size = len(whole.body)
        starts = list(range(0, size, piece)) or [0]
        for start in starts:
            low, high = max(0, start - source.randrange(20)), min(size, start + piece + source.randrange(20))
            fragments.append(Fragment(whole.type, size, whole.message_seq, low, whole.body[low:high]))
    fragments += source.choices(fragments, k=5) if fragments else []
    source.shuffle(fragments)
    reassembler = Reassembler(Drops(), 4096)
    reassembler.look_ahead = 8
    out = []
    for fragment in fragments:
        reassembler.add(fragment, 0)
        while (whole := reassembler.next_message()) is not None:
            out.append(whole)
    assert out == messages


def test_reassembly_refuses_what_would_cost_memory():
    drops = Drops()
    reassembler = Reassembler(drops, 1000)
    reassembler.look_ahead = 8
    for fragment, reason in (
        (Fragment(1, 1001, 0, 0, b""), DropReason.MESSAGE_TOO_LARGE),
        (Fragment(1, 10, 9, 0, b""), DropReason.MESSAGE_TOO_FAR_AHEAD),
    ):
        assert reassembler.add(fragment, 0) is FragmentOutcome.REFUSED
        assert drops[reason] == 1
    assert reassembler.add(Fragment(1, 1000, 0, 0, b"a"), 0) is FragmentOutcome.ACCEPTED
    assert reassembler.add(Fragment(1, 1000, 1, 0, b"a"), 0) is FragmentOutcome.ACCEPTED
    # All held together have a limit too.
    assert reassembler.add(Fragment(1, 1, 2, 0, b"a"), 0) is FragmentOutcome.REFUSED
    assert drops[DropReason.MESSAGE_TOO_FAR_AHEAD] == 2


def test_reassembly_believes_one_epoch_only():
    drops = Drops()
    reassembler = Reassembler(drops, 1000)
    reassembler.epoch = 2
    assert reassembler.add(Fragment(1, 1, 0, 0, b"a"), 0) is FragmentOutcome.REFUSED
    assert drops == {DropReason.WRONG_EPOCH: 1}
    assert reassembler.add(Fragment(1, 1, 0, 0, b"a"), 2) is FragmentOutcome.ACCEPTED
    assert reassembler.next_message().epoch == 2


def test_a_protected_contradiction_is_refused():
    drops = Drops()
    reassembler = Reassembler(drops, 1000)
    reassembler.epoch = 2
    reassembler.add(Fragment(11, 10, 0, 0, b"abc"), 2)
    assert reassembler.add(Fragment(11, 12, 0, 3, b"abc"), 2) is FragmentOutcome.REFUSED
    assert reassembler.add(Fragment(15, 10, 0, 3, b"abc"), 2) is FragmentOutcome.REFUSED
    assert drops == {DropReason.INCONSISTENT_FRAGMENT: 2}
    reassembler.add(Fragment(11, 10, 0, 3, b"defghij"), 2)
    assert reassembler.next_message().body == b"abcdefghij"


def test_bytes_that_came_stay_as_they_came():
    reassembler = Reassembler(Drops(), 1000)
    reassembler.add(Fragment(1, 4, 0, 0, b"ab"), 0)
    reassembler.add(Fragment(1, 4, 0, 0, b"XXcd"), 0)
    assert reassembler.next_message().body == b"abcd"


# Fragmentation -------------------------------------------------------------------------------------------------------


def part(content):
    return FlightPart(content=content, pending=[(0, len(getattr(content, "body", b"")))])


def size_of(datagram, overhead):
    return sum(overhead(record.epoch) + len(record.serialize_content()) for record in datagram)


@given(st.lists(st.tuples(st.integers(0, 700), st.sampled_from([0, 2, 3])), max_size=6), st.integers(200, 1500))
def test_a_plan_covers_all_and_fits(sizes, mtu):
    contents = [message(seq, size, epoch) for seq, (size, epoch) in enumerate(sizes)]
    overhead = {0: 13, 2: 22, 3: 22}.__getitem__
    plan = plan_datagrams([part(content) for content in contents], mtu, overhead)
    assert all(0 < size_of(datagram, overhead) <= mtu for datagram in plan)
    reassembler = Reassembler(Drops(), 4096)
    reassembler.look_ahead = 8
    for datagram in plan:
        epochs = [record.epoch for record in datagram]
        assert all(a != b for a, b in itertools.pairwise(epochs)), "one record an epoch and datagram"
        for record in datagram:
            assert record.content_type is ContentType.HANDSHAKE
            for fragment in parse_fragments(record.serialize_content()):
                reassembler.add(fragment, 0)
    whole = []
    while (one := reassembler.next_message()) is not None:
        whole.append(one.body)
    assert whole == [content.body for content in contents]


def test_change_cipher_spec_is_a_record_of_its_own():
    contents = [message(0, 10), message(1, 10), ChangeCipherSpec(epoch=0), message(2, 12, epoch=1)]
    ((first, second, third),) = plan_datagrams([part(content) for content in contents], 1200, lambda _epoch: 13)
    assert [record.content_type for record in (first, second, third)] == [22, 20, 22]
    assert [record.epoch for record in (first, second, third)] == [0, 0, 1]
    assert second.serialize_content() == b"\x01"
    assert len(first.pieces) == 2


def test_an_mtu_for_nothing_is_our_own_mistake():
    with pytest.raises(LocalProtocolError):
        plan_datagrams([part(message(0, 100))], 40, lambda _epoch: 13)


# Flights -------------------------------------------------------------------------------------------------------------


def transmit(flight, records, mtu=300):
    flight.transmit(records, mtu)
    datagrams = records.take_datagrams()
    return [raw for datagram in datagrams for raw in split_datagram(datagram)]


def bodies(raws):
    return sorted((f.message_seq, f.offset, len(f.data)) for raw in raws for f in parse_fragments(raw.payload))


def test_only_what_is_not_acknowledged_is_sent_again():
    records = RecordLayer(Drops())
    flight = Flight([message(0, 500), message(1, 0), message(2, 20)])
    first = transmit(flight, records)
    assert len(first) == 2
    assert flight.acknowledge([RecordNumber(0, 0)])
    assert not flight.acknowledge([RecordNumber(0, 0)]), "no news"
    assert not flight.acknowledge([RecordNumber(0, 77), RecordNumber(2, 0)]), "never ours"
    again = transmit(flight, records)
    assert bodies(again) == bodies(first[1:])
    assert [raw.sequence for raw in again] == [2], "a new record"
    assert not flight.is_acknowledged
    # Either transmission of the rest may be named.
    assert flight.acknowledge([RecordNumber(0, 1)])
    assert flight.is_acknowledged
    assert transmit(flight, records) == []
    assert not flight.acknowledge([RecordNumber(0, 2)])


def test_a_flight_of_another_mtu_is_acknowledged_by_ranges():
    records = RecordLayer(Drops())
    flight = Flight([message(0, 600)])
    transmit(flight, records, 300)
    transmit(flight, records, 260)
    # Records 0 to 2 hold 275, 275 and 50 bytes; records 3 to 5 hold 235, 235 and 130.
    assert flight.acknowledge([RecordNumber(0, 1), RecordNumber(0, 3)])
    assert bodies(transmit(flight, records, 1200)) == [(0, 235, 40), (0, 550, 50)]


def test_an_answer_acknowledges_all():
    records = RecordLayer(Drops())
    flight = Flight([message(0, 100)])
    transmit(flight, records)
    flight.acknowledge_all()
    assert flight.is_acknowledged
    assert transmit(flight, records) == []


# ACKs ----------------------------------------------------------------------------------------------------------------


def test_an_ack_is_sorted_bounded_and_of_no_higher_epoch_than_its_own():
    received = ReceivedRecords()
    assert not received
    for number in (5, 3, 4, 3):
        received.add(RecordNumber(2, number))
    received.add(RecordNumber(0, 9))
    assert received.ack(2).record_numbers == ((0, 9), (2, 3), (2, 4), (2, 5))
    assert received.ack(0).record_numbers == ((0, 9),)
    for number in range(100):
        received.add(RecordNumber(3, number))
    assert len(received.ack(3).record_numbers) == MAX_ACKNOWLEDGED
    assert received.ack(3).record_numbers[-1] == (3, 99)
    received.clear()
    assert received.ack(3).record_numbers == ()


# The timer -----------------------------------------------------------------------------------------------------------


def test_the_timer_doubles_to_its_maximum_and_gives_up():
    timer = RetransmissionTimer(TimerOptions(initial=1.0, maximum=5.0, retransmissions=5))
    timer.start(0.0)
    deadlines = []
    now = 0.0
    while True:
        assert not timer.is_due(timer.deadline - 0.001)
        now = timer.deadline
        assert timer.is_due(now)
        deadlines.append(now)
        if not timer.back_off(now):
            break
    assert deadlines == [1, 3, 7, 12, 17, 22]


def test_a_doubled_timeout_stays_until_a_flight_needed_no_repetition():
    """RFC 9147 §5.8.2."""
    timer = RetransmissionTimer(TimerOptions(initial=0.4))
    timer.start(0.0)
    timer.back_off(0.4)
    timer.answered(0.9)
    assert timer.timeout == 0.8
    timer.start(1.0)
    timer.answered(1.15)
    assert timer.timeout == pytest.approx(0.3)


def test_a_repeating_peer_hastens_the_timer_once():
    timer = RetransmissionTimer(TimerOptions(initial=0.4))
    timer.hasten(0.0)
    assert timer.deadline is None
    timer.start(0.0)
    timer.hasten(0.01)
    timer.hasten(0.02)
    assert timer.deadline == pytest.approx(0.2)
    timer.back_off(0.2)
    timer.hasten(0.21)
    assert timer.deadline == pytest.approx(0.6)
    timer.hasten(5.0)
    assert timer.deadline == pytest.approx(0.6)


def test_a_round_trip_measured_meanwhile_moves_the_present_deadline():
    timer = RetransmissionTimer(TimerOptions(initial=0.4))
    timer.start(10.0)
    timer.set_round_trip_time(0.03)
    assert timer.deadline == pytest.approx(10.06)
    timer.set_round_trip_time(1.0)
    assert timer.deadline == pytest.approx(12.0)
    timer.back_off(12.0)
    timer.set_round_trip_time(0.03)
    assert timer.deadline == pytest.approx(16.0), "a repetition that was needed counts for more"
