"""Connections that stay open: which are used again, when a request is repeated, and what a server may not do."""

import pytest
import trio
import trio.testing

from edge.control.connections import ConnectionFailed, Connections
from edge.http.messages import Request, Response
from edge.http.server import HttpServer

URL = "http://transceiver:7080/base/"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Mark: a\r\n\r\nok"


class Last(bytes):
    """An answer after which the connection is cut."""


class Script:
    """A server that plays a list of answers on each connection.

    Attributes:
        requests: the bytes of every request, by connection.
    """

    def __init__(self, nursery: trio.Nursery, *connections: list[bytes]) -> None:
        self._nursery = nursery
        self._connections = list(connections)
        self.requests: list[list[bytes]] = []
        self.streams: list[trio.abc.Stream] = []

    async def connect(self, host: str, port: int) -> trio.abc.Stream:
        assert (host, port) == ("transceiver", 7080)
        if not self._connections:
            raise OSError("nobody listens there")
        ours, theirs = trio.testing.memory_stream_pair()
        self.requests.append([])
        self.streams.append(ours)
        self._nursery.start_soon(self._serve, theirs, self._connections.pop(0), self.requests[-1])
        return ours

    async def _serve(self, stream: trio.abc.Stream, answers: list[bytes], requests: list[bytes]) -> None:
        for answer in answers:
            request = bytes(await stream.receive_some())
            if not request:
                break
            requests.append(request)
            if answer:
                await stream.send_all(answer)
            if isinstance(answer, Last):
                break
        else:
            await stream.receive_some()
        await stream.aclose()


@pytest.fixture
async def play(nursery):
    """Make the connections to a scripted server, and return both."""

    def make(*scripts: list[bytes]) -> tuple[Connections, Script]:
        server = Script(nursery, *scripts)
        return Connections(URL, {"Authorization": "Bearer x"}, connect=server.connect), server

    yield make
    nursery.cancel_scope.cancel()


async def test_a_request_leaves_in_one_piece_and_its_answer_comes_back_whole(play):
    connections, server = play([OK])
    reply = await connections.request("POST", "/calls?a=b", b"{}")
    assert (reply.status, reply.headers[b"x-mark"], reply.body) == (200, b"a", b"ok")
    assert server.requests == [
        [
            b"\r\n".join(
                [
                    b"POST /base/calls?a=b HTTP/1.1",
                    b"Host: transceiver:7080",
                    b"Authorization: Bearer x",
                    b"Content-Length: 2",
                    b"",
                    b"{}",
                ]
            )
        ]
    ]


async def test_the_connection_is_used_again(play):
    connections, server = play([OK, OK, OK])
    for _ in range(3):
        await connections.request("GET", "/")
    assert [len(each) for each in server.requests] == [3]


@pytest.mark.parametrize("parts", [[OK[:1], OK[1:]], [OK[:30], OK[30:-1], OK[-1:]]])
async def test_an_answer_may_come_in_pieces(nursery, parts):
    ours, theirs = trio.testing.memory_stream_pair()

    async def connect(_host: str, _port: int) -> trio.abc.Stream:
        return ours

    async def serve() -> None:
        await theirs.receive_some()
        for part in parts:
            await trio.testing.wait_all_tasks_blocked()
            await theirs.send_all(part)

    nursery.start_soon(serve)
    assert (await Connections(URL, {}, connect=connect).request("GET", "/")).body == b"ok"


async def test_a_request_is_repeated_when_the_kept_connection_dies_without_a_word(play):
    connections, server = play([OK, Last()], [OK])
    await connections.request("GET", "/1")
    assert (await connections.request("POST", "/2", b"{}")).status == 200
    assert server.requests[0][1] == server.requests[1][0], "the same request, whole"


async def test_a_request_is_not_repeated_when_an_answer_had_begun(play):
    connections, server = play([OK, Last(OK[:1])], [OK])
    await connections.request("GET", "/")
    with pytest.raises(ConnectionFailed):
        await connections.request("GET", "/")
    assert len(server.requests) == 1


async def test_a_request_is_not_repeated_when_the_connection_was_new(play):
    connections, server = play([Last()], [OK])
    with pytest.raises(ConnectionFailed):
        await connections.request("GET", "/")
    assert len(server.requests) == 1


async def test_a_request_is_repeated_once_only(play):
    connections, server = play([OK, Last()], [Last()], [OK])
    await connections.request("GET", "/")
    with pytest.raises(ConnectionFailed):
        await connections.request("GET", "/")
    assert len(server.requests) == 2


async def test_nobody_listens(play):
    connections, _ = play()
    with pytest.raises(ConnectionFailed, match="nobody listens there"):
        await connections.request("GET", "/")


async def test_a_connection_that_was_idle_too_long_is_closed_and_not_used(autojump_clock, play):
    connections, server = play([OK, OK], [OK, OK])
    await connections.request("GET", "/")
    await trio.sleep(29)
    await connections.request("GET", "/")
    await trio.sleep(31)
    await connections.request("GET", "/")
    assert [len(each) for each in server.requests] == [2, 1]
    with pytest.raises(trio.ClosedResourceError):
        await server.streams[0].send_all(b"x")


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"X-Mark: a", b"Connection: close"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        OK + b"HTTP/1.1 200 OK\r\n",  # would be taken for the answer to the next request
    ],
)
async def test_a_connection_that_cannot_be_trusted_with_another_request_is_closed(play, answer):
    connections, server = play([answer], [OK])
    for _ in range(2):
        assert (await connections.request("GET", "/")).body == b"ok"
    assert len(server.requests) == 2
    with pytest.raises(trio.ClosedResourceError):
        await server.streams[0].send_all(b"x")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n folded\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n",
        b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n" + bytes(1_048_577),
    ],
)
async def test_an_answer_that_is_not_http_or_too_long_is_a_failure(play, answer):
    connections, server = play([answer])
    with pytest.raises(ConnectionFailed):
        await connections.request("GET", "/")
    with pytest.raises(trio.ClosedResourceError):
        await server.streams[0].send_all(b"x")


async def test_there_are_64_connections_at_most_and_the_others_wait_their_turn(nursery):
    opened = 0
    gate = trio.Event()
    answered = []

    class Patient:
        async def handle(self, _request: Request) -> Response:
            await gate.wait()
            return Response(status=200)

        def refuse(self, _request: Request, response: Response) -> Response:
            return response

    server = HttpServer(Patient())

    async def connect(_host: str, _port: int) -> trio.abc.Stream:
        nonlocal opened
        opened += 1
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(server.serve_stream, theirs, ("127.0.0.1", 40000))
        return ours

    async def ask() -> None:
        answered.append((await connections.request("GET", "/")).status)

    connections = Connections(URL, {}, connect=connect)
    async with trio.open_nursery() as asking:
        for _ in range(100):
            asking.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert opened == 64
        gate.set()
    assert answered == [200] * 100
    assert opened == 64
    await connections.aclose()


async def test_closing_closes_what_is_idle_now_and_the_rest_when_it_is_through(nursery, play):
    connections, server = play([OK, OK])
    await connections.request("GET", "/")
    await connections.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await server.streams[0].send_all(b"x")

    connections, server = play([OK])
    nursery.start_soon(connections.request, "GET", "/")
    await connections.aclose()
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(trio.ClosedResourceError):
        await server.streams[0].send_all(b"x")
