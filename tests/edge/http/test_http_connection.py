"""One connection: requests in, responses out, keep-alive, HEAD, and handlers that fail."""

import pytest
import trio
import trio.testing

from edge.http.messages import Request, Response

GET = b"GET /hello?a=1&b=%20x HTTP/1.1\r\nHost: test\r\n\r\n"


async def test_a_request_reaches_the_handler_whole(bench):
    browser = bench.connect()
    answer = await browser.ask(
        b"POST /a%20b?owner=me HTTP/1.1\r\nHost: example.com\r\nContent-Type: Text/Plain; charset=x\r\n"
        b"X-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert (answer.status, answer.body) == (200, b"abc")
    (request,) = bench.handler.requests
    assert (request.method, request.path, request.query) == ("POST", "/a b", {"owner": "me"})
    assert request.headers["host"] == "example.com"
    assert request.headers["x-twice"] == "1, 2"
    assert request.media_type == "text/plain"
    assert request.body == b"abc"
    assert request.peer == ("192.0.2.7", 50000)
    assert not request.is_secure


async def test_a_response_has_length_date_and_the_request_id(bench):
    answer = await bench.connect().ask(GET)
    assert answer.headers["content-length"] == "5"
    assert answer.headers["date"].endswith(" GMT")
    assert answer.headers["x-request-id"] == bench.handler.requests[0].id
    assert "connection" not in answer.headers


async def test_a_connection_serves_many_requests_each_with_an_id_of_its_own(bench):
    browser = bench.connect()
    ids = {(await browser.ask(GET)).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert bench.server.counts.responses == {200: 3}


async def test_requests_sent_in_one_piece_are_answered_in_order(bench):
    browser = bench.connect()
    await browser.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(3)))
    for _ in range(3):
        assert (await browser.read_answer()).status == 200
    assert [request.path for request in bench.handler.requests] == ["/0", "/1", "/2"]


async def test_a_request_in_single_bytes_is_a_request(bench):
    browser = bench.connect()
    for byte in GET:
        await browser.send(bytes([byte]))
    assert (await browser.read_answer()).status == 200


async def test_head_has_the_length_of_the_content_but_not_the_content(bench):
    browser = bench.connect()
    answer = await browser.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", "HEAD")
    assert (answer.headers["content-length"], answer.body) == ("5", b"")
    assert (await browser.ask(GET)).body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_a_response_without_content_has_no_length(bench, status):
    async def answer(_request: Request) -> Response:
        return Response(status=status)

    bench.handler.answer = answer
    browser = bench.connect()
    assert "content-length" not in (await browser.ask(GET)).headers
    assert (await browser.ask(GET)).status == status


async def test_a_chunked_body_is_put_together(bench):
    await bench.connect().ask(
        b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert bench.handler.requests[0].body == b"abcde"


async def test_a_client_that_waits_for_permission_gets_it(bench):
    browser = bench.connect()
    await browser.send(b"POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await browser.stream.receive_some(1000) == b"HTTP/1.1 100 \r\n\r\n"
    assert (await browser.ask(b"ok")).body == b"ok"


async def test_the_absolute_form_of_a_target_brings_its_own_host(bench):
    await bench.connect().ask(b"GET http://real.example:81/x?y=z HTTP/1.1\r\nHost: other.example\r\n\r\n")
    (request,) = bench.handler.requests
    assert (request.path, request.query, request.headers["host"]) == ("/x", {"y": "z"}, "real.example:81")


@pytest.mark.parametrize("status", [200, 405])
async def test_connect_makes_no_tunnel_and_the_next_request_is_served(bench, status):
    async def answer(_request: Request) -> Response:
        return Response(status=status, body=b"no")

    bench.handler.answer = answer
    stream = bench.connect().stream
    for _ in range(2):
        await stream.send_all(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n")
        answered = await stream.receive_some(10_000)
        assert answered.startswith(b"HTTP/1.1 %d " % status)
        assert answered.endswith(b"\r\n\r\nno")


async def test_an_old_client_is_told_that_the_connection_ends(bench):
    browser = bench.connect()
    answer = await browser.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await browser.is_closed()


async def test_a_client_may_ask_for_the_end_of_the_connection(bench):
    browser = bench.connect()
    answer = await browser.ask(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    assert answer.headers["connection"] == "close"
    assert await browser.is_closed()


async def test_a_handler_that_raises_is_a_500_and_the_next_request_is_served(bench):
    async def fail(_request: Request) -> Response:
        raise ZeroDivisionError("secret detail")

    browser = bench.connect()
    bench.handler.answer = fail
    answer = await browser.ask(GET)
    assert (answer.status, answer.error["code"], answer.error["type"]) == (500, "internal_error", "server_error")
    assert b"secret" not in answer.body
    assert answer.headers["x-refused"] == "yes"
    assert bench.drops == {"handler-failed": 1}
    ((request, error),) = bench.failures
    assert request is not None
    assert request.id in answer.error["message"]
    assert isinstance(error, ZeroDivisionError)
    bench.handler.answer = None
    assert (await browser.ask(GET)).status == 200


async def test_a_handler_that_raises_leaves_other_connections_alone(bench):
    waiting = trio.Event()

    async def fail_or_wait(request: Request) -> Response:
        if request.path == "/fail":
            raise ValueError
        await waiting.wait()
        return Response(status=200, body=b"late")

    bench.handler.answer = fail_or_wait
    patient, failing = bench.connect(), bench.connect()
    await patient.send(GET)
    assert (await failing.ask(b"GET /fail HTTP/1.1\r\nHost: test\r\n\r\n")).status == 500
    waiting.set()
    assert (await patient.read_answer()).body == b"late"


@pytest.mark.parametrize("header", [("Bad\nName", "x"), ("X", "a\r\nSet-Cookie: b"), ("X", "a\0"), ("X", "\u20ac")])
async def test_a_bug_of_the_server_ends_one_connection_and_is_reported(bench, header):
    async def answer(_request: Request) -> Response:
        return Response(status=200, headers=(header,))

    bench.handler.answer = answer
    browser = bench.connect()
    await browser.send(GET)
    assert await browser.is_closed()
    assert bench.failures[0][0] is None
    bench.handler.answer = None
    assert (await bench.connect().ask(GET)).status == 200


async def test_a_peer_that_vanishes_in_the_middle_is_counted(bench):
    browser = bench.connect()
    await browser.send(b"GET / HT")
    await browser.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert bench.drops == {"peer-vanished": 1}


async def test_a_peer_that_leaves_between_requests_is_not_counted(bench):
    browser = bench.connect()
    await browser.ask(GET)
    await browser.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert bench.drops == {}


async def test_a_request_that_crosses_with_the_stop_is_told_to_come_again(bench, nursery):
    async def answer(_request: Request) -> Response:
        await trio.lowlevel.checkpoint()
        return Response(status=200)

    bench.handler.answer = answer
    ours, theirs = trio.testing.memory_stream_pair()
    nursery.start_soon(bench.server.serve_stream, theirs, ("192.0.2.7", 50000))
    await trio.testing.wait_all_tasks_blocked()
    theirs.receive_stream.put_data(GET)  # the connection's task is awake now, but has not run yet
    await bench.server.stop(0)
    answered = await ours.receive_some(10_000)
    assert answered.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"stopping"' in answered
    assert bench.drops == {"stopping": 1}
