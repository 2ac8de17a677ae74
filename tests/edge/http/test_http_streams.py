"""The stream over real loopback sockets: bytes, ends, full buffers, and whose turn it is."""

import pytest
import trio
import trio.testing

from edge.http.streams import open_stream


@pytest.fixture
async def pair():
    """Both ends of a connection: ours, and the other as Trio's own stream."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    ours = await open_stream(*listener.socket.getsockname())
    theirs = await listener.accept()
    async with listener, ours, theirs:
        yield ours, theirs


async def test_bytes_pass_both_ways_until_each_side_ends(pair):
    ours, theirs = pair
    await ours.send_all(b"question")
    await ours.send_eof()
    assert await theirs.receive_some() == b"question"
    assert await theirs.receive_some() == b""
    await theirs.send_all(b"answer")
    await theirs.aclose()
    assert await ours.receive_some(3) == b"ans"
    assert await ours.receive_some(100) == b"wer"
    assert await ours.receive_some(100) == b""


async def test_a_full_buffer_makes_the_writer_wait_and_loses_nothing(pair, nursery):
    ours, theirs = pair
    data = bytes(range(256)) * 65_536
    finished = trio.Event()

    async def write() -> None:
        await ours.send_all(data)
        finished.set()

    nursery.start_soon(write)
    await trio.testing.wait_all_tasks_blocked()
    assert not finished.is_set()
    received = bytearray()
    while len(received) < len(data):
        received += await theirs.receive_some()
    assert received == data
    await finished.wait()


async def test_a_writer_that_waits_can_be_cancelled(pair):
    ours, _ = pair
    with trio.move_on_after(0.01) as scope:
        await ours.send_all(bytes(16_777_216))
    assert scope.cancelled_caught


async def test_reading_lets_others_run_even_when_bytes_are_there_and_writing_does_not(pair, nursery):
    ours, theirs = pair
    turns = []

    async def take_turns() -> None:
        while True:
            turns.append(1)
            await trio.lowlevel.checkpoint()

    await theirs.send_all(b"xx")
    nursery.start_soon(take_turns)
    await trio.lowlevel.checkpoint()
    before = len(turns)
    await ours.send_all(b"y")
    assert len(turns) == before
    # In the turn that a read gives up, Trio runs the ready tasks in any order, the reader among them; so that the
    # others come before it is certain only of the second.
    for _ in range(2):
        assert await ours.receive_some(1) == b"x"
    assert len(turns) > before
    nursery.cancel_scope.cancel()


async def test_a_peer_that_cut_the_connection_breaks_it(pair):
    ours, theirs = pair
    await ours.send_all(b"never read")
    await trio.testing.wait_all_tasks_blocked()
    await theirs.aclose()  # with bytes unread, so that the kernel sends a reset
    with pytest.raises(trio.BrokenResourceError):
        await ours.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(b"x")
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_eof()


async def test_closing_wakes_who_reads(pair, nursery):
    ours, _ = pair

    async def read() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await ours.receive_some()

    nursery.start_soon(read)
    await trio.testing.wait_all_tasks_blocked()
    await ours.aclose()


async def test_a_closed_stream_says_so(pair):
    ours, _ = pair
    await ours.aclose()
    await ours.aclose()
    for use in (ours.receive_some, lambda: ours.send_all(b"x"), ours.send_eof, ours.wait_send_all_might_not_block):
        with pytest.raises(trio.ClosedResourceError):
            await use()
