"""Plain requests are read without h11, and are to h11 the same."""

import random

import h11
import pytest
import trio
import trio.testing

from edge.http.limits import HttpLimits
from edge.http.messages import Request, Response
from edge.http.plain import read_plain_head

_LIMITS = HttpLimits()

_OF_A_BROWSER = (
    b"POST /v1/realtime/calls?model=a%20b HTTP/1.1\r\n"
    b"Host: 127.0.0.1:8080\r\n"
    b"Connection: keep-alive\r\n"
    b"Content-Length: 4\r\n"
    b'sec-ch-ua: "Chromium";v="156"\r\n'
    b"Accept: */*\r\n"
    b"Accept:\ttext/html \r\n"
    b"X-Empty:\r\n"
    b"\r\n"
    b"v=0\r"
)


def test_a_browsers_request_is_plain():
    head = read_plain_head(_OF_A_BROWSER, _LIMITS)

    assert head is not None
    assert (head.method, head.target) == ("POST", "/v1/realtime/calls?model=a%20b")
    assert head.headers["accept"] == "*/*, text/html"
    assert head.headers["x-empty"] == ""
    assert head.headers["host"] == "127.0.0.1:8080"
    assert _OF_A_BROWSER[head.size :] == b"v=0\r"
    assert head.length == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"POST /", b"POST http://other/"),
        (b"POST /v1", b"CONNECT /v1"),
        (b"Host: 127.0.0.1:8080\r\n", b""),
        (b"Accept: */*", b"Host: other"),
        (b"keep-alive", b"close"),
        (b"keep-alive", b"Upgrade"),
        (b"Accept: */*", b"Content-Length: 4"),
        (b"Content-Length: 4", b"Content-Length: 4, 4"),
        (b"Content-Length: 4", b"Content-Length: +4"),
        (b"Content-Length: 4", b"Content-Length: 4\xb2"),
        (b"Content-Length: 4", b"Content-Length : 4"),
        (b"Content-Length: 4", b"Transfer-Encoding: chunked"),
        (b"Accept: */*", b"Expect: 100-continue"),
        (b"Accept: */*", b"Upgrade: websocket"),
        (b"Accept: */*\r\n", b"Accept: */*\r\n folded\r\n"),
        (b"Accept: */*\r\n", b"Accept: */*\n"),
        (b"Accept: */*", b"Accept: \x01"),
        (b"Accept: */*", b"Accept: \xff"),
        (b"\r\n\r\nv=0\r", b"\r\n"),
    ],
)
def test_what_asks_for_a_second_look_is_left_to_h11(old, new):
    assert old in _OF_A_BROWSER

    assert read_plain_head(_OF_A_BROWSER.replace(old, new, 1), _LIMITS) is None


@pytest.mark.parametrize("limits", [HttpLimits(header_bytes=100), HttpLimits(header_count=6)])
def test_what_is_beyond_the_limits_is_left_to_h11(limits):
    assert read_plain_head(_OF_A_BROWSER, limits) is None


def _as_h11_reads(data):
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert event.http_version == b"1.1"
    assert not connection.they_are_waiting_for_100_continue
    headers = {}
    for name, value in event.headers:
        key, text = name.decode(), value.decode()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    body = b""
    while isinstance(event_of_body := connection.next_event(), h11.Data):
        body += event_of_body.data
    is_whole = isinstance(event_of_body, h11.EndOfMessage)
    may_stay = connection.their_state is h11.DONE
    return event.method.decode(), event.target.decode(), headers, body, is_whole, may_stay, connection.trailing_data[0]


def test_h11_reads_a_plain_request_alike_whatever_was_changed_in_it():
    chance = random.Random(9112)
    pieces = [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b",",
        b"0",
        b"4",
        b"\x00",
        b"\x0b",
        b"\x85",
        b"\xff",
        b"host",
        b"a",
    ]
    pieces += [
        b"Content-Length: 4\r\n",
        b"Connection: keep-alive\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: b\r\n",
    ]
    plain = 0
    for _ in range(20_000):
        data = bytearray(_OF_A_BROWSER)
        for _ in range(chance.randrange(1, 4)):
            where = chance.randrange(len(data))
            data[where : where + chance.randrange(3)] = chance.choice(pieces)
        head = read_plain_head(bytes(data), _LIMITS)
        if head is None:
            continue
        plain += 1
        content = bytes(data[head.size :])
        is_whole = len(content) >= head.length
        assert _as_h11_reads(bytes(data)) == (
            head.method,
            head.target,
            head.headers,
            content[: head.length],
            is_whole,
            is_whole,
            content[head.length :],
        )
    assert plain > 2000


async def test_a_plain_request_in_two_pieces_is_one_request(bench):
    browser = bench.connect()
    await browser.send(_OF_A_BROWSER[:-3])
    await trio.testing.wait_all_tasks_blocked()
    answer = await browser.ask(_OF_A_BROWSER[-3:], "POST")

    (request,) = bench.handler.requests
    assert request.body == b"v=0\r"
    assert answer.headers["x-request-id"] == request.id
    assert "connection" not in answer.headers


async def test_plain_requests_and_others_take_turns_on_a_connection(bench):
    chunked = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    browser = bench.connect()
    for data in (_OF_A_BROWSER, chunked, _OF_A_BROWSER, _OF_A_BROWSER + chunked, _OF_A_BROWSER[:-1]):
        await browser.send(data)
    for _ in range(5):
        assert (await browser.read_answer("POST")).status == 200
    await browser.send(_OF_A_BROWSER[-1:])
    assert (await browser.read_answer("POST")).status == 200

    bodies = [request.body for request in bench.handler.requests]
    assert bodies == [b"v=0\r", b"abc", b"v=0\r", b"v=0\r", b"abc", b"v=0\r"]


async def test_content_beyond_the_bound_is_refused_also_when_it_is_all_there(bench):
    bench.use(HttpLimits(body_bytes=3))
    answer = await bench.connect().ask(_OF_A_BROWSER, "POST")

    assert answer.status == 413
    assert answer.headers["x-refused"] == "yes"
    assert answer.headers["connection"] == "close"


async def test_a_peer_that_vanishes_in_the_middle_of_content_is_counted(bench):
    browser = bench.connect()
    await browser.send(_OF_A_BROWSER[:-1])
    await trio.testing.wait_all_tasks_blocked()
    await browser.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()

    assert bench.drops == {"peer-vanished": 1}
    assert bench.handler.requests == []


async def test_a_plain_request_under_way_when_the_server_stops_is_the_last(bench, nursery):
    may_answer = trio.Event()

    async def answer(_request: Request) -> Response:
        await may_answer.wait()
        return Response(status=200)

    bench.handler.answer = answer
    browser = bench.connect()
    await browser.send(_OF_A_BROWSER)
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(bench.server.stop, 1)
    await trio.testing.wait_all_tasks_blocked()
    may_answer.set()

    assert (await browser.read_answer("POST")).headers["connection"] == "close"
    assert await browser.is_closed()
