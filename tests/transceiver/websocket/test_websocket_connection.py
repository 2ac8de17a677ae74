"""One end of a WebSocket against wsproto's other end, over memory streams and a mock clock."""

import tracemalloc

import pytest
import trio
import trio.testing
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from transceiver.websocket.closing import CloseCode, Fault, WebSocketClosed
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits


class Peer:
    """The other end, which writes whatever a test wants."""

    def __init__(self, stream: trio.abc.Stream, kind: ConnectionType) -> None:
        self.stream = stream
        self.frames = Connection(kind)

    async def send(self, *events: object) -> None:
        await self.stream.send_all(b"".join(self.frames.send(event) for event in events))

    async def read(self) -> list[object]:
        data = await self.stream.receive_some(65_536)
        if not data:
            return []
        self.frames.receive_data(bytes(data))
        return list(self.frames.events())


def make_pair(kind: ConnectionType = ConnectionType.SERVER, **limits: float) -> tuple[WebSocket, Peer]:
    ours, theirs = trio.testing.memory_stream_pair()
    other = ConnectionType.CLIENT if kind is ConnectionType.SERVER else ConnectionType.SERVER
    return WebSocket(ours, Connection(kind), SocketLimits(**limits)), Peer(theirs, other)


async def closing_of(socket: WebSocket) -> WebSocketClosed:
    with pytest.raises(WebSocketClosed) as caught:
        await socket.receive()
    with pytest.raises(WebSocketClosed) as again:
        await socket.send("x")
    assert again.value.code == caught.value.code
    return caught.value


@pytest.mark.parametrize("kind", list(ConnectionType))
async def test_texts_keep_their_order_and_fragments_become_one(kind):
    socket, peer = make_pair(kind)
    await peer.send(TextMessage(data="one"), TextMessage(data="tw", message_finished=False), Ping(payload=b"?"))
    await peer.send(TextMessage(data="", message_finished=False), TextMessage(data="o"), TextMessage(data="three"))
    assert [await socket.receive() for _ in range(3)] == ["one", "two", "three"]
    assert await peer.read() == [Pong(payload=b"?")]


async def test_a_cancelled_receive_loses_nothing():
    socket, peer = make_pair()
    await peer.send(TextMessage(data="ha", message_finished=False))
    with trio.move_on_after(0):
        await socket.receive()
    with trio.move_on_after(0.01):
        await socket.receive()
    await peer.send(TextMessage(data="lf"))
    assert await socket.receive() == "half"


async def test_many_messages_in_one_piece_let_others_run():
    socket, peer = make_pair()
    await peer.send(*(TextMessage(data=str(number)) for number in range(100)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        for _ in range(100):
            await socket.receive()
        nursery.cancel_scope.cancel()
    assert turns > 50


async def test_fragments_without_end_take_no_memory(nursery):
    socket, peer = make_narrow_pair(message_size=10)

    async def flood() -> None:
        await peer.send(TextMessage(data="", message_finished=False))
        piece = b"".join(peer.frames.send(TextMessage(data="", message_finished=False)) for _ in range(1000))
        tracemalloc.start()
        for _ in range(10):
            await peer.stream.send_all(piece)
        assert tracemalloc.get_traced_memory()[0] < 40_000  # a list of them would have 80 KB
        tracemalloc.stop()
        await peer.send(TextMessage(data="end"))

    nursery.start_soon(flood)
    assert await socket.receive() == "end"


@pytest.mark.parametrize("count", [1, 11])
async def test_a_message_that_is_too_large_is_refused_before_it_is_complete(count):
    socket, peer = make_pair(message_size=10)
    await peer.send(*(TextMessage(data="x" * (11 // count), message_finished=False) for _ in range(count)))
    closed = await closing_of(socket)
    assert (closed.code, closed.fault) == (CloseCode.MESSAGE_TOO_BIG, Fault.TOO_LARGE)
    assert [event.code for event in await peer.read()] == [1009]


async def test_bytes_are_refused():
    socket, peer = make_pair()
    await peer.send(BytesMessage(data=b"x"))
    closed = await closing_of(socket)
    assert (closed.code, closed.fault) == (CloseCode.UNSUPPORTED_DATA, Fault.BINARY)
    assert [event.code for event in await peer.read()] == [1003]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),  # a client's frame without a mask
        (b"\xf1\x80\x00\x00\x00\x00", 1002),  # reserved bits
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # an unknown opcode
        (b"\x80\x80\x00\x00\x00\x00", 1002),  # the continuation of nothing
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),  # not UTF-8
        (b"\x88\x82\x00\x00\x00\x00\x03\xed", 1002),  # a close code that is never sent
        (b"\x81\xff\xff" + bytes(11), 1002),  # 2^63 bytes or more
    ],
)
async def test_what_is_no_frame_ends_it(data, code):
    socket, peer = make_pair()
    await peer.stream.send_all(data)
    closed = await closing_of(socket)
    assert (closed.code, closed.fault) == (code, Fault.MALFORMED)
    assert [event.code for event in await peer.read()] == [code]


async def test_the_other_ends_goodbye_is_answered():
    socket, peer = make_pair()
    await peer.send(TextMessage(data="last"), CloseConnection(code=4321, reason="why"))
    assert await socket.receive() == "last"
    closed = await closing_of(socket)
    assert (closed.code, closed.reason, closed.fault) == (4321, "why", None)
    assert [event.code for event in await peer.read()] == [4321]
    assert peer.frames.state is ConnectionState.CLOSED


async def test_a_lost_connection_is_told():
    socket, peer = make_pair()
    await peer.stream.aclose()
    closed = await closing_of(socket)
    assert (closed.code, closed.fault) == (CloseCode.ABNORMAL, Fault.VANISHED)


async def test_silence_is_asked_about_and_then_ended(autojump_clock):
    socket, peer = make_pair(ping_interval=20, ping_timeout=5)
    begin = trio.current_time()
    closed = await closing_of(socket)
    assert (closed.code, closed.fault) == (CloseCode.ABNORMAL, Fault.SILENT)
    assert trio.current_time() - begin == pytest.approx(25)
    assert await peer.read() == [Ping(payload=b"")]


async def test_a_peer_that_answers_pings_lives(autojump_clock, nursery):
    socket, peer = make_pair(ping_interval=20, ping_timeout=5)

    async def answer() -> None:
        while events := await peer.read():
            for event in events:
                await peer.send(event.response())

    nursery.start_soon(answer)
    with trio.move_on_after(1000) as scope:
        await socket.receive()
    assert scope.cancelled_caught


async def test_time_in_which_nobody_reads_here_does_not_count(autojump_clock):
    socket, peer = make_pair(ping_interval=20, ping_timeout=5)
    await trio.sleep(1000)
    await peer.send(TextMessage(data="x"))
    assert await socket.receive() == "x"


async def test_pings_do_not_keep_an_idle_socket_open(autojump_clock, nursery):
    socket, peer = make_pair(ping_interval=20, ping_timeout=5, idle_timeout=100)

    async def ping() -> None:
        while True:
            await trio.sleep(7)
            await peer.send(Ping())
            await peer.read()

    nursery.start_soon(ping)
    await trio.sleep(50)
    await socket.send("a message, which begins the time anew")
    begin = trio.current_time()
    closed = await closing_of(socket)
    assert (closed.code, closed.fault) == (CloseCode.GOING_AWAY, Fault.IDLE)
    assert trio.current_time() - begin == pytest.approx(100, abs=1)
    nursery.cancel_scope.cancel()


def make_narrow_pair(**limits: float) -> tuple[WebSocket, Peer]:
    """Make a pair whose streams hold nothing: a write waits for its reader."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    return WebSocket(ours, Connection(ConnectionType.SERVER), SocketLimits(**limits)), Peer(
        theirs, ConnectionType.CLIENT
    )


async def test_an_end_that_does_not_read_holds_the_sender_back_and_is_given_up(autojump_clock):
    socket, _ = make_narrow_pair(write_timeout=20)
    begin = trio.current_time()
    with pytest.raises(WebSocketClosed) as caught:
        await socket.send("x")
    assert (caught.value.code, caught.value.fault) == (CloseCode.ABNORMAL, Fault.STALLED)
    assert trio.current_time() - begin == pytest.approx(20)


async def test_pings_are_answered_behind_what_is_being_written(autojump_clock, nursery):
    socket, peer = make_narrow_pair(ping_interval=1, ping_timeout=1, write_timeout=50)
    nursery.start_soon(socket.send, "slow")
    await trio.testing.wait_all_tasks_blocked()
    received = []

    async def receive() -> None:
        received.append(await socket.receive())

    nursery.start_soon(receive)
    await peer.send(Ping(payload=b"1"), Ping(payload=b"2"))
    await trio.sleep(10)  # longer than a ping may take: a write is under way, so nobody is asked
    await peer.send(TextMessage(data="still read"))
    await trio.testing.wait_all_tasks_blocked()
    assert received == ["still read"]
    assert await peer.read() == [TextMessage(data="slow")]
    assert await peer.read() == [Pong(payload=b"2")]


async def test_a_sender_that_is_cancelled_half_way_breaks_the_socket(autojump_clock):
    socket, _ = make_narrow_pair()
    with trio.move_on_after(1):
        await socket.send("x")
    with pytest.raises(WebSocketClosed):
        await socket.send("y")
    await socket.close()


async def test_sends_of_several_tasks_do_not_mix(nursery):
    socket, peer = make_narrow_pair()
    for number in range(5):
        nursery.start_soon(socket.send, str(number) * 100)
    seen = []
    while len(seen) < 5:
        seen += [event.data for event in await peer.read()]
    assert sorted(seen) == [str(number) * 100 for number in range(5)]


async def test_closing_waits_for_the_other_goodbye(autojump_clock, nursery):
    socket, peer = make_pair()

    async def answer() -> None:
        for event in await peer.read():
            await trio.sleep(1)
            await peer.send(TextMessage(data="still on its way") if peer.frames.state.value == 1 else event.response())

    nursery.start_soon(answer)
    begin = trio.current_time()
    await socket.close(1001, "ünd" * 100)
    assert trio.current_time() - begin == pytest.approx(1)
    assert (socket.closed.code, socket.closed.fault) == (1001, None)
    assert await peer.stream.receive_some(10) == b""


@pytest.mark.parametrize("kind", list(ConnectionType))
async def test_closing_does_not_wait_for_ever(autojump_clock, kind):
    socket, peer = make_pair(kind, close_timeout=2)
    await peer.send(*(TextMessage(data="x" * 1000) for _ in range(10)))
    begin = trio.current_time()
    await socket.close()
    assert trio.current_time() - begin == pytest.approx(2)


async def test_a_client_waits_for_the_server_to_end_the_connection(autojump_clock, nursery):
    socket, peer = make_pair(ConnectionType.CLIENT)

    async def answer() -> None:
        (event,) = await peer.read()
        await peer.send(event.response())
        await trio.sleep(1)
        await peer.stream.aclose()

    nursery.start_soon(answer)
    begin = trio.current_time()
    await socket.close()
    assert trio.current_time() - begin == pytest.approx(1)


async def test_what_comes_behind_garbage_is_thrown_away(autojump_clock, nursery):
    socket, peer = make_pair()
    await peer.stream.send_all(b"\x81\x05hello")
    await closing_of(socket)

    async def flood() -> None:
        try:
            while True:
                await peer.stream.send_all(bytes(65_536))
                await trio.sleep(0.01)
        except trio.BrokenResourceError:
            pass

    nursery.start_soon(flood)
    await socket.close()
    assert len(socket._frames._proto._frame_decoder.buffer) < 100


async def test_closing_twice_and_after_a_loss_is_harmless():
    socket, peer = make_pair(close_timeout=0.01)
    await socket.close()
    await socket.close()
    socket, peer = make_pair(close_timeout=0.01)
    await peer.stream.aclose()
    await socket.close(1000)
    assert socket.closed.code in {1000, 1006}
