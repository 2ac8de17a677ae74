"""A server without sockets: each connection is a pair of memory streams, and time is Trio's mock clock."""

import json
from collections.abc import Awaitable, Callable

import attrs
import h11
import pytest
import trio
import trio.testing

from edge.http.limits import HttpLimits
from edge.http.messages import Request, Response
from edge.http.server import HttpServer


@attrs.frozen
class Answer:
    """A response as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, object]:
        return json.loads(self.body)["error"]


class Browser:
    """A client's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def read_answer(self, method: str = "GET") -> Answer:
        if self.http.our_state is h11.IDLE:
            self.http.send(h11.Request(method=method, target="/", headers=[("host", "test")]))
            self.http.send(h11.EndOfMessage())
        body = b""
        response = None
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(await self.stream.receive_some(65536))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise AssertionError("closed without an answer")
        assert response is not None
        if self.http.our_state is h11.DONE and self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
        return Answer(response.status_code, {k.decode(): v.decode() for k, v in response.headers}, body)

    async def ask(self, data: bytes, method: str = "GET") -> Answer:
        await self.send(data)
        return await self.read_answer(method)

    async def is_closed(self) -> bool:
        try:
            return await self.stream.receive_some(1) == b""
        except trio.BrokenResourceError:
            return True


class Recorder:
    """A handler that remembers what it was asked, and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refused: list[tuple[Request, Response]] = []
        self.answer: Callable[[Request], Awaitable[Response]] | None = None

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.answer is not None:
            return await self.answer(request)
        return Response(status=200, headers=(("Content-Type", "text/plain"),), body=request.body or b"hello")

    def refuse(self, request: Request, response: Response) -> Response:
        self.refused.append((request, response))
        return response.with_headers(("X-Refused", "yes"))


class Bench:
    """A server, its handler, and connections to it."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.handler = Recorder()
        self.failures: list[tuple[Request | None, Exception]] = []
        self.use(HttpLimits())

    def use(self, limits: HttpLimits) -> None:
        self.server = HttpServer(
            self.handler, limits=limits, on_failure=lambda request, error: self.failures.append((request, error))
        )

    @property
    def drops(self) -> dict[str, int]:
        return dict(self.server.counts.drops)

    def connect(self) -> Browser:
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self.server.serve_stream, theirs, ("192.0.2.7", 50000))
        return Browser(ours)


@pytest.fixture
async def bench(nursery: trio.Nursery) -> Bench:
    return Bench(nursery)
