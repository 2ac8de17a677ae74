"""A port that HTTP shares with another protocol: the first byte tells whose a connection is."""

import socket

import pytest
import trio

from edge.http.first_byte import Neighbour
from edge.http.limits import HttpLimits
from edge.http.reasons import DropReason
from edge.http.server import HttpServer, open_listener

GET = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


@pytest.fixture
def taken():
    sockets: list[socket.socket] = []
    yield sockets
    for each in sockets:
        each.close()


@pytest.fixture
async def start(bench, nursery, taken):
    async def run(limits=None):
        neighbour = Neighbour(wants=lambda first: first <= 5, take=taken.append)
        bench.server = HttpServer(bench.handler, limits=limits, neighbour=neighbour)
        (address,) = await nursery.start(bench.server.serve, [await open_listener(("127.0.0.1", 0))])
        return address

    yield run
    await bench.server.stop(0)


async def read_all(stream) -> bytes:
    answer = b""
    with trio.fail_after(5):
        async for data in stream:
            answer += data
    return answer


async def until(condition) -> None:
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - what another task does within milliseconds
            await trio.sleep(0.005)


async def test_letters_are_http(start, taken):
    async with await trio.open_tcp_stream(*await start()) as stream:
        await stream.send_all(GET[:1])
        await trio.sleep(0.02)
        await stream.send_all(GET[1:])
        assert (await read_all(stream)).startswith(b"HTTP/1.1 200 ")
    assert not taken


@pytest.mark.parametrize("first", range(6))
async def test_lengths_are_the_neighbours_and_nothing_is_read_of_them(bench, start, taken, first):
    address = await start()
    async with await trio.open_tcp_stream(*address) as stream:
        await stream.send_all(bytes([first, 7]) + b"content")
        await until(lambda: taken)
        await until(lambda: bench.server.connection_count == 0)
        (sock,) = taken
        assert sock.recv(100) == bytes([first, 7]) + b"content"
        assert sock.getpeername() == stream.socket.getsockname()
        sock.send(b"answer")
        assert await stream.receive_some() == b"answer"
    assert not bench.server.counts.drops


async def test_who_says_nothing_is_closed_in_time(bench, start):
    async with await trio.open_tcp_stream(*await start(HttpLimits(header_timeout=0.05))) as stream:
        assert await read_all(stream) == b""
    await until(lambda: bench.server.connection_count == 0)
    assert bench.server.counts.drops == {DropReason.HEADER_TIMEOUT: 1}


async def test_who_leaves_without_a_word_is_no_refusal(bench, start):
    async with await trio.open_tcp_stream(*await start()):
        await until(lambda: bench.server.connection_count == 1)
    await until(lambda: bench.server.connection_count == 0)
    assert not bench.server.counts.drops


async def test_a_server_that_stops_does_not_wait_for_the_silent(bench, start):
    async with await trio.open_tcp_stream(*await start()) as stream:
        await until(lambda: bench.server.connection_count == 1)
        with trio.fail_after(2):
            await bench.server.stop(5)
        assert await read_all(stream) == b""
    assert not bench.server.counts.drops
