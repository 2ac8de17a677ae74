"""Whatever a peer sends, in whatever pieces: an answer or an end, and never an exception of ours."""

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from edge.http.messages import Request, Response
from edge.http.server import HttpServer

_PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST http://[::1/%zz?a=%&b HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.0\r\n",
        b"Host: test\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 99999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: upgrade, close\r\nUpgrade: websocket\r\n",
        b"X: \xff\xfe\r\n",
        b"\r\n",
        b"3\r\nabc\r\n0\r\n\r\n",
    ]
)


class _Echo:
    async def handle(self, request: Request) -> Response:
        return Response(status=200, body=request.body)

    def refuse(self, _request: Request, response: Response) -> Response:
        return response


@given(st.lists(_PIECES | st.binary(max_size=20), max_size=12))
def test_no_bytes_make_the_server_fail(pieces):
    failures = []

    async def talk() -> None:
        server = HttpServer(_Echo(), on_failure=lambda _request, error: failures.append(error))
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs, ("192.0.2.7", 1))
            for piece in pieces:
                try:
                    await ours.send_all(piece)
                except trio.BrokenResourceError:
                    break
            await ours.send_eof()
            while await ours.receive_some():
                pass

    trio.run(talk, clock=trio.testing.MockClock(autojump_threshold=0))
    assert failures == []
