"""A series is what `compose` would have chosen packet by packet, and nothing where that looks closer."""

import pytest

from sctp.options import SctpOptions
from sctp.tx.composing import compose
from sctp.tx.message import END, ChunkState, OutgoingMessage
from sctp.tx.sender import Sender
from sctp.tx.series import take_series

ROOM = 1176
PIECE = 1160
"""User data of a chunk that fills a packet."""


@pytest.fixture
def sender():
    sender = Sender(SctpOptions(), 10)
    sender.set_peer(100_000, has_forward_tsn=True)
    return sender


def begin(sender, size, now=0.0, **limit):
    """Let the first packet of a message be out."""
    sender.queue.add(OutgoingMessage(1, 51, b"x" * size, **limit))
    sender.burst = 4
    (chunk,) = compose(sender, ROOM, now)
    return chunk


def test_the_middle_is_a_series_and_the_end_is_not(sender):
    begin(sender, 4 * PIECE)
    chunks = take_series(sender, ROOM, 0.1)
    assert [(chunk.tsn, chunk.flags, len(chunk.payload), chunk.sent_at) for chunk in chunks] == [
        (11, 0, PIECE, 0.1),
        (12, 0, PIECE, 0.1),
    ]
    assert sender.burst == 1
    assert sender.last_sent == 0.1
    assert not take_series(sender, ROOM, 0.1)
    (last,) = compose(sender, ROOM, 0.1)
    assert (last.tsn, last.flags) == (13, END)
    assert sender.outstanding.flight_size == 4 * ROOM
    assert sender.queue.buffered == sender.queue.buffered_amount(1) == 0


def test_a_message_begins_with_compose(sender):
    sender.queue.add(OutgoingMessage(1, 51, bytes(9 * PIECE)))
    assert not take_series(sender, ROOM, 0.0)


def test_what_may_be_abandoned_is_for_compose(sender):
    begin(sender, 9 * PIECE, max_retransmits=0)
    sender.acknowledge(10, 100_000, (), 0.1)
    assert not sender.outstanding.limited
    assert not take_series(sender, ROOM, 0.1)


def test_while_something_may_be_abandoned_all_is_for_compose(sender):
    begin(sender, 100, expires_at=0.5)
    begin(sender, 9 * PIECE)
    assert not take_series(sender, ROOM, 0.6)


def test_after_a_timeout_one_packet_until_it_is_answered(sender):
    begin(sender, 9 * PIECE)
    sender.handle_timeout(0.5)
    sender.outstanding.chunks[0].state = ChunkState.IN_FLIGHT  # as if what is on the way were small
    sender.outstanding.flight_size, sender.outstanding.retransmissions = 20, []
    assert sender.congestion.window > 20
    assert not take_series(sender, ROOM, 0.5)


def test_a_window_that_was_not_used_has_shrunk(sender):
    begin(sender, 99 * PIECE)
    sender.acknowledge(10, 100_000, (), 0.1)
    sender.congestion.window = 20 * ROOM
    sender.burst = 30
    assert len(take_series(sender, ROOM, 60.0)) == 4


def test_the_round_trip_is_measured_with_the_first_of_a_series(sender):
    begin(sender, 9 * PIECE)
    sender.acknowledge(10, 100_000, (), 0.1)
    take_series(sender, ROOM, 0.2)
    assert sender.outstanding.timed_tsn == 11
    assert sender.timer.deadline == pytest.approx(0.2 + sender.rto.seconds)
