"""Requests that become WebSockets, seen by a foreign client (trio-websocket) and by one that writes bytes."""

import base64

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, ConnectionRejected, wrap_client_stream
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage

from edge.http.errors import error_response
from edge.http.limits import HttpLimits
from edge.http.messages import Request
from edge.http.reasons import DropReason, reason_of_fault
from edge.http.websocket import Upgrade, UpgradeRefused, offered_subprotocols, refuse_plain_request
from transceiver.calls import SocketClosed
from transceiver.websocket.closing import Fault
from transceiver.websocket.limits import SocketLimits

KEY = base64.b64encode(bytes(16)).decode()
HANDSHAKE = (
    "GET /talk HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
).encode()


async def echo(socket) -> None:
    while True:
        await socket.send(await socket.receive())


def answer_with(bench, run=echo, **fields: object) -> None:
    async def answer(request: Request):
        return refuse_plain_request(request) or Upgrade(run=run, **fields)

    bench.handler.answer = answer


async def open_client(bench, nursery, **options: object):
    stream = bench.connect().stream
    return await wrap_client_stream(nursery, stream, "test", "/talk?x=1", **options)


async def test_texts_go_both_ways_until_the_client_says_goodbye(bench, nursery):
    answer_with(bench)
    client = await open_client(bench, nursery)
    for text in ("", "héllo", "x" * 200_000):
        await client.send_message(text)
        assert await client.get_message() == text
    await client.aclose(1000, "enough")
    assert client.closed.code == 1000
    assert bench.handler.requests[0].query == {"x": "1"}
    assert bench.server.counts.responses == {101: 1}
    assert bench.drops == {}


async def test_the_response_carries_the_handlers_headers_and_the_subprotocol(bench, nursery):
    async def answer(request: Request):
        assert offered_subprotocols(request) == ["other", "realtime"]
        return Upgrade(run=echo, subprotocol="realtime").with_headers(("X-Mine", "yes"))

    bench.handler.answer = answer
    client = await open_client(bench, nursery, subprotocols=["other", "realtime"])
    assert client.subprotocol == "realtime"
    headers = dict(client.handshake_headers)
    assert headers[b"x-mine"] == b"yes"
    assert headers[b"x-request-id"].startswith(b"req_")
    await client.aclose()


async def test_frames_that_come_with_the_request_are_not_lost(bench):
    answer_with(bench)
    browser = bench.connect()
    frames = Connection(ConnectionType.CLIENT)
    await browser.send(HANDSHAKE + frames.send(TextMessage(data="early")))
    received = bytearray()
    while b"\r\n\r\n" not in received or not received.partition(b"\r\n\r\n")[2]:
        received += await browser.stream.receive_some(65_536)
    assert received.startswith(b"HTTP/1.1 101 ")
    frames.receive_data(bytes(received.partition(b"\r\n\r\n")[2]))
    assert [event.data for event in frames.events()] == ["early"]


async def test_a_request_before_the_upgrade_is_served_on_the_same_connection(bench):
    answer_with(bench)
    browser = bench.connect()
    assert (await browser.ask(HANDSHAKE.replace(b"websocket\r\nC", b"other\r\nC"))).status == 426
    await browser.send(HANDSHAKE)
    assert (await browser.stream.receive_some(1000)).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [
        (b"Upgrade: websocket\r\n", b"", 426, "websocket_required"),
        (b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n", 426, "websocket_required"),
        (b"Connection: keep-alive, Upgrade\r\n", b"Connection: keep-alive\r\n", 426, "websocket_required"),
        (b"GET", b"POST", 426, "websocket_required"),
        (b"Version: 13", b"Version: 8", 426, "websocket_version"),
        (KEY.encode(), b"", 400, "websocket_key"),
        (KEY.encode(), b"AAAA", 400, "websocket_key"),
        (KEY.encode(), b"!" * 24, 400, "websocket_key"),
        (KEY.encode(), b"\xff" * 24, 400, "websocket_key"),
    ],
)
async def test_what_is_no_handshake_gets_a_response(bench, old, new, status, code):
    answer_with(bench)
    answer = await bench.connect().ask(HANDSHAKE.replace(old, new))
    assert (answer.status, answer.error["code"]) == (status, code)
    if status == 426:
        assert answer.headers["upgrade"] == "websocket"
    if code == "websocket_version":
        assert answer.headers["sec-websocket-version"] == "13"


async def test_the_request_can_be_refused_until_the_socket_is_used(bench, nursery):
    async def run(_socket) -> None:
        raise UpgradeRefused(error_response(404, "call_id_not_found", "No."))

    answer_with(bench, run)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as inner:
            await open_client(bench, inner)
    rejected = caught.value.exceptions[0]
    assert isinstance(rejected, ConnectionRejected)
    assert rejected.status_code == 404
    assert b"call_id_not_found" in rejected.body
    assert dict(rejected.headers)[b"x-refused"] == b"yes"  # the handler could add what lets a page read it
    assert bench.server.counts.responses == {404: 1}


async def test_a_refused_connection_serves_the_next_request(bench):
    async def run(_socket) -> None:
        raise UpgradeRefused(error_response(404, "call_id_not_found", "No."))

    answer_with(bench, run)
    browser = bench.connect()
    for _ in range(2):
        assert (await browser.ask(HANDSHAKE)).status == 404


async def test_a_refusal_that_comes_too_late_closes(bench, nursery):
    async def run(socket) -> None:
        await socket.send("open")
        raise UpgradeRefused(error_response(404, "call_id_not_found", "No."))

    answer_with(bench, run)
    client = await open_client(bench, nursery)
    assert await client.get_message() == "open"
    with pytest.raises(ConnectionClosed) as caught:
        await client.get_message()
    assert caught.value.reason.code == 1008


async def test_a_socket_that_is_never_used_opens_and_closes(bench, nursery):
    async def run(_socket) -> None:
        await trio.lowlevel.checkpoint()

    answer_with(bench, run)
    client = await open_client(bench, nursery)
    with pytest.raises(ConnectionClosed) as caught:
        await client.get_message()
    assert caught.value.reason.code == 1000


async def test_the_handler_chooses_how_to_close(bench, nursery):
    async def run(socket) -> None:
        await socket.send("bye")
        await socket.close(1001, "call ended")

    answer_with(bench, run)
    client = await open_client(bench, nursery)
    assert await client.get_message() == "bye"
    with pytest.raises(ConnectionClosed) as caught:
        await client.get_message()
    assert (caught.value.reason.code, caught.value.reason.reason) == (1001, "call ended")


@pytest.mark.parametrize("is_open", [False, True])
async def test_a_handler_that_fails_harms_nobody_else(bench, nursery, is_open):
    async def run(socket) -> None:
        if is_open:
            await socket.send("open")
        raise RuntimeError("our bug")

    answer_with(bench, run)
    if is_open:
        client = await open_client(bench, nursery)
        await client.get_message()
        with pytest.raises(ConnectionClosed) as caught:
            await client.get_message()
        assert caught.value.reason.code == 1011
        assert caught.value.reason.reason.startswith("internal error; quote request req_")
    else:
        assert (await bench.connect().ask(HANDSHAKE)).status == 500
    assert [str(error) for _, error in bench.failures] == ["our bug"]
    assert bench.drops == {"handler-failed": 1}


async def test_the_handlers_time_runs_until_the_socket_opens_and_no_longer(autojump_clock, bench, nursery):
    async def run(socket) -> None:
        await socket.receive()
        await trio.sleep(10_000)
        await socket.send("late")

    answer_with(bench, run)
    client = await open_client(bench, nursery)
    await client.send_message("go")
    assert await client.get_message() == "late"

    async def hang(_socket) -> None:
        await trio.sleep_forever()

    answer_with(bench, hang)
    answer = await bench.connect().ask(HANDSHAKE)
    assert (answer.status, answer.error["code"]) == (503, "handler_timeout")


async def test_stopping_tells_sockets_that_we_go_away(autojump_clock, bench, nursery):
    answer_with(bench)
    client = await open_client(bench, nursery)
    await client.send_message("x")
    await client.get_message()
    await bench.server.stop(5)
    with pytest.raises(ConnectionClosed) as caught:
        await client.get_message()
    assert (caught.value.reason.code, caught.value.reason.reason) == (1001, "the server is stopping")


async def test_a_socket_that_opens_while_we_stop_is_told_too(bench, nursery):
    may_open = trio.Event()

    async def run(socket) -> None:
        await may_open.wait()
        await socket.send("open")
        await socket.receive()

    answer_with(bench, run)
    seen = []
    has_ended = trio.Event()

    async def collect() -> None:
        client = await open_client(bench, nursery)
        try:
            while True:
                seen.append(await client.get_message())
        except ConnectionClosed as closed:
            seen.append(closed.reason.code)
            has_ended.set()

    nursery.start_soon(collect)
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(bench.server.stop, 5)
    await trio.testing.wait_all_tasks_blocked()
    may_open.set()
    with trio.fail_after(1):
        await has_ended.wait()
    assert seen == ["open", 1001]


async def test_a_socket_counts_as_a_connection(nursery):
    from edge.http.server import HttpServer, open_listener

    class Handler:
        async def handle(self, request: Request):
            return Upgrade(run=echo)

        def refuse(self, _request, response):
            return response

    server = HttpServer(Handler(), limits=HttpLimits(connections=1))
    (address,) = await nursery.start(server.serve, [await open_listener(("127.0.0.1", 0))])
    first = await trio.open_tcp_stream(*address)
    client = await wrap_client_stream(nursery, first, "test", "/")
    await client.send_message("x")
    assert await client.get_message() == "x"
    assert server.connection_count == 1
    second = await trio.open_tcp_stream(*address)
    assert (await second.receive_some(1000)).startswith(b"HTTP/1.1 503 ")
    await trio.aclose_forcefully(second)
    await client.aclose()
    await server.stop(2)
    assert server.connection_count == 0


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"bytes", 1003, DropReason.SOCKET_BINARY),
        ("x" * 1001, 1009, DropReason.SOCKET_TOO_LARGE),
    ],
)
async def test_what_a_client_does_wrong_is_counted(bench, nursery, message, code, reason):
    answer_with(bench, limits=SocketLimits(message_size=1000))
    client = await open_client(bench, nursery)
    await client.send_message("x" * 1000)
    assert len(await client.get_message()) == 1000
    await client.send_message(message)
    with pytest.raises(ConnectionClosed) as caught:
        await client.get_message()
    assert caught.value.reason.code == code
    await trio.testing.wait_all_tasks_blocked()
    assert bench.drops == {reason: 1}


async def test_a_client_that_vanishes_ends_the_handler(bench, nursery):
    ended = trio.Event()

    async def run(socket) -> None:
        try:
            await echo(socket)
        except SocketClosed:
            ended.set()
            raise

    answer_with(bench, run)
    browser = bench.connect()
    await browser.send(HANDSHAKE)
    await browser.stream.receive_some(1000)
    await trio.aclose_forcefully(browser.stream)
    with trio.fail_after(1):
        await ended.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert bench.drops == {"peer-vanished": 1}


async def test_the_client_sees_a_close_frame_and_the_end(bench):
    async def run(socket) -> None:
        await socket.send("x")

    answer_with(bench, run)
    browser = bench.connect()
    await browser.send(HANDSHAKE)
    data = (await browser.stream.receive_some(65_536)).partition(b"\r\n\r\n")[2]
    frames = Connection(ConnectionType.CLIENT)
    frames.receive_data(bytes(data))
    while not any(isinstance(event, CloseConnection) for event in frames.events()):
        frames.receive_data(bytes(await browser.stream.receive_some(65_536)))
    await browser.send(frames.send(CloseConnection(code=1000)))
    assert await browser.is_closed()


def test_every_fault_has_a_reason():
    assert {reason_of_fault(fault) for fault in Fault} == {
        reason for reason in DropReason if reason.startswith("socket-")
    } | {DropReason.PEER_VANISHED}
