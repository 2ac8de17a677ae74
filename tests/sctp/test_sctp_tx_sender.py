"""The sending half as a whole: what leaves when, by examples computed by hand."""

import pytest

from sctp.options import SctpOptions
from sctp.tx.composing import compose
from sctp.tx.message import OutgoingMessage
from sctp.tx.sender import Sender

ROOM = 1176
PACKET = 716
"""A chunk of 700 bytes: two do not fit into a packet."""


@pytest.fixture
def sender():
    sender = Sender(SctpOptions(), 10)
    sender.set_peer(100_000, has_forward_tsn=True)
    return sender


def send(sender, count, now=0.0, size=700):
    """Send messages in packets of their own."""
    for _ in range(count):
        sender.queue.add(OutgoingMessage(1, 51, b"x" * size))
        sender.burst = 4
        assert len(compose(sender, ROOM, now)) == 1


def tsns(chunks):
    return [chunk.tsn for chunk in chunks]


def test_after_a_timeout_one_packet_until_it_is_answered(sender):
    send(sender, 3)
    assert sender.handle_timeout(0.5)
    assert tsns(compose(sender, ROOM, 0.5)) == [10]
    assert sender.outstanding.flight_size < sender.congestion.window
    assert compose(sender, ROOM, 0.5) == []
    sender.acknowledge(10, 100_000, (), 0.6)
    assert tsns(compose(sender, ROOM, 0.6)) == [11]


def test_the_timer_doubles_and_its_deadline_is_that_of_the_oldest(sender):
    send(sender, 1, now=1.0)
    send(sender, 1, now=1.3)
    assert sender.next_timeout() == 1.5
    assert not sender.handle_timeout(1.4)
    assert sender.handle_timeout(1.5)
    assert sender.rto.seconds == 1.0
    assert sender.next_timeout() == 2.5


def test_an_acknowledgement_of_the_oldest_restarts_the_timer_and_that_of_all_stops_it(sender):
    send(sender, 3, now=1.0)
    sender.acknowledge(9, 100_000, ((11, 11),), 1.1)
    # 10 is not acknowledged: the timer goes on, though the round trip is measured with nothing either.
    assert sender.next_timeout() == 1.5
    sender.acknowledge(11, 100_000, (), 1.2)
    assert sender.next_timeout() == pytest.approx(1.2 + sender.rto.seconds)
    sender.acknowledge(12, 100_000, (), 1.3)
    assert sender.next_timeout() is None


def test_a_fast_retransmit_of_the_oldest_ignores_the_window_and_restarts_the_timer(sender):
    send(sender, 8, now=1.0)
    for last in (11, 12, 13):
        sender.acknowledge(9, 100_000, ((11, last),), 1.1)
    assert sender.congestion.window == 5880
    sender.congestion.window = 1
    assert tsns(compose(sender, ROOM, 1.2)) == [10]
    assert sender.next_timeout() == pytest.approx(1.2 + sender.rto.seconds)
    assert compose(sender, ROOM, 1.2) == []


def test_silence_makes_the_window_forget(sender):
    send(sender, 1, now=0.0)
    sender.acknowledge(10, 100_000, (), 0.1)
    assert sender.congestion.window == 11_760
    send(sender, 1, now=60.0)
    assert sender.congestion.window == 4 * 1176


def test_a_closed_window_is_probed_by_one_chunk_and_costs_neither_window_nor_patience(sender):
    sender.peer_window.size = 500
    sender.queue.add(OutgoingMessage(1, 51, b"x" * 5000))
    assert compose(sender, ROOM, 1.0) == []
    assert sender.next_timeout() == 1.5
    sender.handle_timeout(1.5)
    assert len(compose(sender, ROOM, 1.5)) == 1
    assert compose(sender, ROOM, 1.5) == []
    window = sender.congestion.window
    for _ in range(3):
        # Answered with a window that is still closed.
        sender.acknowledge(9, 0, (), sender.timer.deadline - 0.1)
        now = sender.timer.deadline
        assert not sender.handle_timeout(now), "no error is counted"
        assert tsns(compose(sender, ROOM, now)) == [10]
    assert sender.congestion.window == window
    # Not answered at all: now it counts.
    assert sender.handle_timeout(sender.timer.deadline)


def test_a_window_that_opens_by_a_sack_needs_no_probe(sender):
    sender.peer_window.size = 0
    sender.queue.add(OutgoingMessage(1, 51, b"x" * 100))
    compose(sender, ROOM, 1.0)
    sender.acknowledge(9, 50_000, (), 1.1)
    assert len(compose(sender, ROOM, 1.1)) == 1


def test_the_peers_window_counts_what_is_in_flight(sender):
    sender.peer_window.size = 1500
    send(sender, 1)
    sender.queue.add(OutgoingMessage(1, 51, b"x" * 900))
    assert compose(sender, ROOM, 0.0) == []
    sender.acknowledge(10, 1500, (), 0.1)
    assert len(compose(sender, ROOM, 0.1)) == 1


def test_a_rest_too_small_is_left_empty(sender):
    sender.queue.add(OutgoingMessage(1, 51, b"x" * 900))
    sender.queue.add(OutgoingMessage(1, 51, b"y" * 900))
    first = compose(sender, ROOM, 0.0)
    assert [len(chunk.payload) for chunk in first] == [900]
    sender.queue.add(OutgoingMessage(1, 51, b"z" * 100))
    second = compose(sender, ROOM, 0.0)
    assert [len(chunk.payload) for chunk in second] == [900, 100]


def test_forward_tsn_tells_the_last_number_of_each_stream_and_not_twice_in_a_moment(sender):
    for stream in (1, 2, 1):
        message = OutgoingMessage(stream, 51, b"x", max_retransmits=0)
        sender.queue.add(message)
    sender.queue.add(OutgoingMessage(3, 51, b"x", is_unordered=True, max_retransmits=0))
    compose(sender, ROOM, 1.0)
    sender.handle_timeout(1.5)
    tsn, skipped = sender.forward_tsn(1.5)
    assert tsn == 13
    assert dict(skipped) == {1: 1, 2: 0}
    assert sender.forward_tsn(1.5) is None
    sender.acknowledge(9, 50_000, (), 1.55)
    assert sender.forward_tsn(1.55) is None
    sender.acknowledge(9, 50_000, (), 1.75)
    assert sender.forward_tsn(1.75) == (13, skipped)
    sender.acknowledge(13, 50_000, (), 1.8)
    assert sender.is_done
    assert sender.next_timeout() is None
