"""What a peer may not do: each refusal has its status, its JSON and its counted reason."""

import pytest
import trio
import trio.testing

from edge.http.limits import HttpLimits
from edge.http.messages import Request, Response

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


async def refusal(bench, data: bytes) -> tuple[int, str, dict[str, int]]:
    browser = bench.connect()
    answer = await browser.ask(data)
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"].startswith("req_")
    assert set(answer.error) == {"message", "type", "code", "param"}
    assert await browser.is_closed()
    assert bench.handler.requests == []
    return answer.status, answer.error["code"], bench.drops


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the beginning of TLS
        b"GET / HTTP/1.1\r\n\r\n",  # without Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
async def test_what_is_not_http_is_refused(bench, data):
    assert await refusal(bench, data) == (400, "malformed_request", {"malformed": 1})


async def test_an_unknown_transfer_coding_is_not_implemented(bench):
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    assert await refusal(bench, data) == (501, "malformed_request", {"malformed": 1})


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_a_request_of_two_lengths_cannot_smuggle_another(bench, data):
    assert await refusal(bench, data + GET) == (400, "ambiguous_length", {"ambiguous-length": 1})


async def test_headers_of_one_piece_that_are_too_large_are_refused(bench):
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 16_384 + b"\r\n\r\n"
    assert await refusal(bench, data) == (431, "header_too_large", {"header-too-large": 1})


async def test_headers_without_end_are_refused(bench):
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40_000
    assert await refusal(bench, data) == (431, "header_too_large", {"header-too-large": 1})


async def test_a_long_target_counts_as_header(bench):
    data = b"GET /" + b"x" * 16_380 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    assert await refusal(bench, data) == (431, "header_too_large", {"header-too-large": 1})


async def test_too_many_headers_are_refused(bench):
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(100)) + b"\r\n"
    assert await refusal(bench, data) == (431, "header_too_large", {"header-too-large": 1})


async def test_a_declared_body_that_is_too_large_is_refused_before_it_is_read(bench):
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"
    assert await refusal(bench, data) == (413, "content_too_large", {"body-too-large": 1})
    ((request, _),) = bench.handler.refused
    assert request.path == "/"


async def test_a_body_of_the_greatest_size_is_accepted(bench):
    answer = await bench.connect().ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n" + b"x" * 65536)
    assert (answer.status, len(answer.body)) == (200, 65536)


async def test_a_chunked_body_is_bounded_too(bench):
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 5
    assert await refusal(bench, data) == (413, "content_too_large", {"body-too-large": 1})


async def test_a_refused_peer_that_goes_on_sending_is_cut(autojump_clock, bench):
    bench.use(HttpLimits(linger_bytes=100_000))
    browser = bench.connect()
    sent = 0
    await browser.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
    try:
        while sent < 10_000_000:
            await browser.send(b"x" * 10_000)
            await trio.testing.wait_all_tasks_blocked()
            sent += 10_000
    except trio.BrokenResourceError:
        pass
    assert sent < 200_000


async def test_headers_sent_slowly_are_late_however_steadily_they_come(autojump_clock, bench):
    browser = bench.connect()
    began = trio.current_time()
    await browser.send(b"GET / HTTP/1.1\r\n")
    for _ in range(11):
        await trio.sleep(0.9)
        await browser.send(b"X: y\r\n")
    answer = await browser.read_answer()
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert trio.current_time() - began == pytest.approx(10, abs=0.01)
    assert bench.drops == {"header-timeout": 1}


async def test_a_connection_that_says_nothing_is_closed(autojump_clock, bench):
    browser = bench.connect()
    assert await browser.is_closed()
    assert trio.current_time() == pytest.approx(10, abs=0.01)
    assert bench.drops == {"header-timeout": 1}


async def test_a_body_sent_slowly_is_late_by_a_clock_of_its_own(autojump_clock, bench):
    bench.use(HttpLimits(body_timeout=4))
    browser = bench.connect()
    await trio.sleep(8)
    await browser.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    began = trio.current_time()
    for _ in range(4):
        await trio.sleep(0.9)
        await browser.send(b"x")
    answer = await browser.read_answer()
    assert (answer.status, answer.headers["x-refused"]) == (408, "yes")
    assert trio.current_time() - began == pytest.approx(4, abs=0.01)
    assert bench.drops == {"body-timeout": 1}


async def test_an_idle_connection_is_closed_without_a_word(autojump_clock, bench):
    browser = bench.connect()
    await browser.ask(GET)
    assert await browser.is_closed()
    assert trio.current_time() == pytest.approx(60, abs=0.01)
    assert bench.drops == {}


async def test_the_headers_of_a_later_request_have_their_own_time(autojump_clock, bench):
    browser = bench.connect()
    await browser.ask(GET)
    await trio.sleep(50)
    answer = await browser.ask(b"GET / HTTP")
    assert answer.status == 408
    assert trio.current_time() == pytest.approx(60, abs=0.01)


async def test_a_pipelined_half_request_does_not_get_the_idle_time(autojump_clock, bench):
    browser = bench.connect()
    assert (await browser.ask(GET + b"GET / HTTP")).status == 200
    assert (await browser.read_answer()).status == 408
    assert trio.current_time() == pytest.approx(10, abs=0.01)


async def test_a_handler_that_takes_too_long_is_cancelled(autojump_clock, bench):
    async def wait(_request: Request) -> Response:
        await trio.sleep_forever()
        raise AssertionError

    bench.handler.answer = wait
    answer = await bench.connect().ask(GET)
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "handler_timeout", "1")
    assert trio.current_time() == pytest.approx(30, abs=0.01)
    assert bench.drops == {"handler-timeout": 1}


async def test_a_peer_that_does_not_read_its_response_is_cut(autojump_clock, bench, nursery):
    ours, theirs = trio.testing.lockstep_stream_pair()  # takes bytes only while the other end reads
    nursery.start_soon(bench.server.serve_stream, theirs, ("192.0.2.7", 50000))
    await ours.send_all(GET)
    await trio.sleep(11)
    assert bench.drops == {"write-timeout": 1}
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(GET)
