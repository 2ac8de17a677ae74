"""Lines over a stream: whole, however they arrive."""

import pytest
import trio
import trio.testing

import edge.children.channel
from edge.children.channel import Channel, ChannelClosed


@pytest.fixture
def pair():
    ours, theirs = trio.testing.memory_stream_pair()
    return Channel(ours), theirs


async def test_lines_arrive_whole_however_they_are_cut(pair) -> None:
    channel, stream = pair
    for piece in (b"on", b"e\ntwo\n\nth", b"ree", b"\n"):
        await stream.send_all(piece)
    assert [await channel.receive() for _ in range(4)] == [b"one", b"two", b"", b"three"]


async def test_a_wait_that_is_cancelled_loses_nothing(autojump_clock, pair) -> None:
    channel, stream = pair
    await stream.send_all(b"hal")
    with trio.move_on_after(1):
        await channel.receive()
    await stream.send_all(b"f\n")
    assert await channel.receive() == b"half"


async def test_lines_of_several_tasks_do_not_mix(nursery) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    sender, receiver = Channel(ours), Channel(theirs)
    lines = [bytes([letter]) * 200_000 for letter in b"abc"]
    for line in lines:
        nursery.start_soon(sender.send, line + b"\n")
    assert sorted([await receiver.receive() for _ in lines]) == lines


async def test_an_end_in_the_middle_of_a_line_is_an_end(pair) -> None:
    channel, stream = pair
    await stream.send_all(b"whole\nhal")
    await stream.aclose()
    assert await channel.receive() == b"whole"
    with pytest.raises(ChannelClosed, match="closed"):
        await channel.receive()
    with pytest.raises(ChannelClosed):
        await channel.send(b"x\n")


async def test_a_line_that_never_ends_is_refused(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.children.channel, "_LONGEST_LINE", 1000)
    channel, stream = pair
    await stream.send_all(b"x" * 1001)
    with pytest.raises(ChannelClosed, match="1000 bytes"):
        await channel.receive()


async def test_a_closed_channel_is_closed_at_both_ends(pair) -> None:
    channel, stream = pair
    await channel.aclose()
    assert await stream.receive_some() == b""
    with pytest.raises(ChannelClosed):
        await channel.receive()
