"""Which message goes next, and in which pieces."""

import pytest

from sctp.tx.message import OutgoingMessage
from sctp.tx.send_queue import SendQueue
from wire.errors import LocalProtocolError


@pytest.fixture
def queue():
    return SendQueue()


def drain(queue, size=100, now=0.0):
    pieces = []
    while (message := queue.next_message(now)) is not None:
        data = queue.cut(size)
        pieces.append((message.stream_id, message.stream_sequence_number, data))
    return pieces


def test_a_message_is_cut_to_size_and_finished_before_the_next(queue):
    queue.add(OutgoingMessage(1, 51, b"a" * 250))
    queue.add(OutgoingMessage(2, 51, b"b" * 10))
    assert [(stream, len(data)) for stream, _, data in drain(queue)] == [(1, 100), (1, 100), (1, 50), (2, 10)]
    assert queue.buffered == queue.buffered_amount(1) == 0
    assert queue.is_empty


def test_streams_share_by_bytes_and_not_by_messages(queue):
    for _ in range(20):
        queue.add(OutgoingMessage(1, 51, b"a" * 100))
    for _ in range(10):
        queue.add(OutgoingMessage(2, 51, b"b" * 400))
    order = [stream for stream, _, _ in drain(queue, size=1000)]
    # After 2000 bytes of each: twenty small ones and five large ones.
    assert 4 <= order[:24].count(2) <= 6


def test_a_stream_that_was_silent_has_no_credit(queue):
    queue.add(OutgoingMessage(1, 51, b"a" * 100_000))
    drain(queue, size=1000)
    for _ in range(10):
        queue.add(OutgoingMessage(1, 51, b"a" * 100))
        queue.add(OutgoingMessage(2, 51, b"b" * 100))
    order = [stream for stream, _, _ in drain(queue)]
    assert order[:10].count(1) >= 4


def test_sequence_numbers_count_ordered_messages_only(queue):
    for is_unordered in (False, True, False):
        queue.add(OutgoingMessage(1, 51, b"x", is_unordered=is_unordered))
    assert [number for _, number, _ in drain(queue)] == [0, 0, 1]


def test_what_expires_before_it_begins_is_never_sent_and_takes_no_number(queue):
    queue.may_expire = True
    queue.add(OutgoingMessage(1, 51, b"old", expires_at=5.0))
    queue.add(OutgoingMessage(1, 51, b"new"))
    assert drain(queue, now=6.0) == [(1, 0, b"new")]
    assert queue.buffered == 0


def test_nothing_expires_for_a_peer_that_knows_no_forward_tsn(queue):
    queue.add(OutgoingMessage(1, 51, b"old", expires_at=5.0))
    assert drain(queue, now=6.0) == [(1, 0, b"old")]


def test_a_chosen_message_may_still_expire(queue):
    queue.may_expire = True
    queue.add(OutgoingMessage(1, 51, b"old", expires_at=5.0))
    assert queue.next_message(4.0) is not None
    assert queue.next_message(6.0) is None


def test_the_rest_of_an_abandoned_message_is_forgotten(queue):
    message = OutgoingMessage(1, 51, b"a" * 250)
    queue.add(message)
    queue.next_message(0.0)
    queue.cut(100)
    assert queue.abandon(message)
    assert not queue.abandon(message)
    assert queue.is_empty
    assert queue.buffered == 0


def test_a_paused_stream_drains_and_holds_back_what_comes_later(queue):
    queue.add(OutgoingMessage(1, 51, b"before"))
    queue.pause(1)
    queue.add(OutgoingMessage(1, 51, b"after"))
    assert not queue.is_drained(1)
    assert drain(queue) == [(1, 0, b"before")]
    assert queue.is_drained(1)
    assert queue.buffered_amount(1) == 5
    queue.resume(1, is_reset=True)
    assert drain(queue) == [(1, 0, b"after")]


def test_a_refused_reset_goes_on_counting(queue):
    queue.add(OutgoingMessage(1, 51, b"before"))
    drain(queue)
    queue.pause(1)
    queue.resume(1, is_reset=False)
    queue.add(OutgoingMessage(1, 51, b"after"))
    assert drain(queue) == [(1, 1, b"after")]


def test_a_restart_begins_messages_anew_that_had_begun(queue):
    queue.add(OutgoingMessage(1, 51, b"done"))
    queue.add(OutgoingMessage(1, 51, b"a" * 250))
    queue.next_message(0.0)
    queue.cut(100)
    queue.next_message(0.0)
    queue.cut(100)
    queue.restart()
    assert queue.buffered == 250
    assert [(number, len(data)) for _, number, data in drain(queue)] == [(0, 100), (0, 100), (0, 50)]


def test_streams_that_the_peer_does_not_accept_are_forgotten(queue):
    queue.add(OutgoingMessage(1, 51, b"kept"))
    queue.add(OutgoingMessage(7, 51, b"lost"))
    queue.drop_beyond(5)
    assert drain(queue) == [(1, 0, b"kept")]
    assert queue.buffered == 0


def test_cutting_without_a_message_is_our_fault(queue):
    with pytest.raises(LocalProtocolError):
        queue.cut(10)
