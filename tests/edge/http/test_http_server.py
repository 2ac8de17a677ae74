"""A server on real loopback sockets: bounds on connections, TLS, stopping."""

import datetime as dt
import json
import re
import ssl

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.control.connections import ConnectionFailed, Connections
from edge.http.first_byte import Neighbour
from edge.http.limits import HttpLimits
from edge.http.messages import Request, Response
from edge.http.server import HttpServer, open_listener, source_of
from edge.http.tls import reload_certificate, server_tls_context

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CLOSING_GET = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def start(bench, nursery):
    """Start a server on a free port and return its address."""

    async def run(
        limits: HttpLimits | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        neighbour: Neighbour | None = None,
    ):
        bench.server = HttpServer(
            bench.handler,
            limits=limits,
            tls=tls,
            neighbour=neighbour,
            on_failure=lambda request, error: bench.failures.append((request, error)),
        )
        (address,) = await nursery.start(bench.server.serve, [await open_listener((host, 0))])
        return address

    yield run
    await bench.server.stop(0)


async def ask(address, data: bytes = CLOSING_GET) -> bytes:
    """Connect, send, and read to the end."""
    with trio.fail_after(5):
        async with await trio.open_tcp_stream(*address) as stream:
            await stream.send_all(data)
            return await read_all(stream)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    answer = bytearray()
    async for data in stream:
        answer += data
    return bytes(answer)


def error_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_server_answers_and_knows_its_peer(bench, start, host):
    try:
        address = await start(host=host)
    except OSError:
        pytest.skip(f"{host} is not configured here")
    assert (await ask(address)).startswith(b"HTTP/1.1 200 ")
    assert bench.handler.requests[0].peer[0] == host


async def test_an_ipv4_peer_of_a_socket_for_both_families_is_an_ipv4_peer(bench, nursery):
    sock = trio.socket.socket(trio.socket.AF_INET6, trio.socket.SOCK_STREAM)
    sock.setsockopt(trio.socket.IPPROTO_IPV6, trio.socket.IPV6_V6ONLY, 0)
    try:
        await sock.bind(("::", 0))
    except OSError:
        pytest.skip("there is no IPv6 here")
    sock.listen(5)
    (address,) = await nursery.start(bench.server.serve, [trio.SocketListener(sock)])
    await ask(("127.0.0.1", address[1]))
    assert bench.handler.requests[0].peer[0] == "127.0.0.1"
    await bench.server.stop(0)


async def test_one_connection_too_many_is_told_so(bench, start):
    address = await start(HttpLimits(connections=2))
    async with await trio.open_tcp_stream(*address) as first, await trio.open_tcp_stream(*address) as second:
        for stream in (first, second):
            await stream.send_all(GET)
            await stream.receive_some(1000)
        assert error_of(await ask(address)) == (503, "connection_limit")
        assert bench.drops == {"connection-limit": 1}
        assert bench.server.connection_count == 2
        await first.send_all(GET)  # those that are served lose nothing
        assert (await first.receive_some(1000)).startswith(b"HTTP/1.1 200 ")
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert (await ask(address)).startswith(b"HTTP/1.1 200 ")


async def test_one_source_cannot_take_all_connections(bench, start):
    address = await start(HttpLimits(connections=10, connections_per_source=1))
    async with await trio.open_tcp_stream(*address) as first:
        await first.send_all(GET)
        await first.receive_some(1000)
        answer = await ask(address)
        assert error_of(answer) == (503, "source_limit")
        assert re.search(rb"Retry-After: [1-5]\r\n", answer)
        assert bench.drops == {"source-limit": 1}
        async with await trio.open_tcp_stream(*address, local_address="127.0.0.2") as other:
            await other.send_all(GET)
            assert (await other.receive_some(1000)).startswith(b"HTTP/1.1 200 ")


def test_a_source_is_an_ipv4_address_or_an_ipv6_network():
    assert source_of("192.0.2.1") != source_of("192.0.2.2")
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:ffff:ffff:ffff")
    assert source_of("2001:db8::1") != source_of("2001:db8:0:1::1")
    assert source_of("fe80::1%eth0") == source_of("fe80::2")


async def test_a_megabyte_that_is_refused_does_not_hide_the_refusal(bench, start):
    address = await start()
    size = 1_000_000
    request = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    assert error_of(await ask(address, request)) == (413, "content_too_large")
    assert bench.drops == {"body-too-large": 1}


async def test_a_slow_peer_is_cut_while_others_are_served(autojump_clock, bench, start):
    address = await start(HttpLimits(header_timeout=0.2, linger_timeout=0.1))
    async with await trio.open_tcp_stream(*address) as slow, await trio.open_tcp_stream(*address) as other:
        await slow.send_all(b"GET / HT")
        await other.send_all(GET)
        assert (await other.receive_some(1000)).startswith(b"HTTP/1.1 200 ")
        with trio.fail_after(5):
            answer = await read_all(slow)
        await other.send_all(GET)
        assert (await other.receive_some(1000)).startswith(b"HTTP/1.1 200 ")
    assert error_of(answer) == (408, "request_timeout")
    assert bench.drops == {"header-timeout": 1}


# Stopping


async def test_stopping_finishes_what_is_under_way(bench, start):
    may_answer = trio.Event()

    async def wait(_request: Request) -> Response:
        await may_answer.wait()
        return Response(status=200, body=b"finished")

    bench.handler.answer = wait
    address = await start()
    idle = await trio.open_tcp_stream(*address)
    busy = await trio.open_tcp_stream(*address)
    await busy.send_all(GET)
    await trio.testing.wait_all_tasks_blocked(0.05)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.server.stop, 5.0)
        with trio.fail_after(5):
            assert await idle.receive_some(1) == b""
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream(*address)
        may_answer.set()
        answer = await read_all(busy)
    assert answer.endswith(b"finished")
    assert b"Connection: close" in answer
    assert bench.drops == {}


async def test_stopping_cuts_what_takes_too_long(bench, start):
    async def wait(_request: Request) -> Response:
        await trio.sleep_forever()
        raise AssertionError

    bench.handler.answer = wait
    address = await start()
    stream = await trio.open_tcp_stream(*address)
    await stream.send_all(GET)
    await trio.testing.wait_all_tasks_blocked(0.05)
    with trio.fail_after(5):
        await bench.server.stop(0.05)
    assert await stream.receive_some(100) == b""


async def test_a_server_that_never_ran_stops_at_once(bench):
    with trio.fail_after(1):
        await bench.server.stop(5)


# TLS


def write_certificate(folder, name: str) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(paths[0]), str(paths[1])


async def ask_tls(address, trusted: str, name: str) -> bytes:
    context = ssl.create_default_context(cafile=trusted)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with trio.fail_after(5):
        stream = trio.SSLStream(
            await trio.open_tcp_stream(*address), context, server_hostname=name, https_compatible=True
        )
        async with stream:
            await stream.send_all(CLOSING_GET)
            answer = await read_all(stream)
            assert stream.selected_alpn_protocol() == "http/1.1"
            return answer


async def test_tls_by_certificate_files(bench, start, tmp_path):
    files = write_certificate(tmp_path, "one.example")
    address = await start(tls=server_tls_context(*files))
    assert (await ask_tls(address, files[0], "one.example")).startswith(b"HTTP/1.1 200 ")
    assert bench.handler.requests[0].is_secure


async def test_a_port_with_tls_is_shared_by_the_first_byte(bench, start, tmp_path):
    taken = []
    files = write_certificate(tmp_path, "one.example")
    neighbour = Neighbour(wants=lambda first: first <= 5, take=taken.append)
    address = await start(tls=server_tls_context(*files), neighbour=neighbour)
    assert (await ask_tls(address, files[0], "one.example")).startswith(b"HTTP/1.1 200 ")
    assert not taken
    async with await trio.open_tcp_stream(*address) as stream:
        await stream.send_all(b"\0\7content")
        with trio.fail_after(5):
            while not taken:  # noqa: ASYNC110 - what another task does within milliseconds
                await trio.sleep(0.005)
    with taken[0] as sock:
        assert sock.recv(100) == b"\0\7content"
    assert not bench.server.counts.drops


async def test_a_certificate_is_replaced_without_a_restart(start, tmp_path):
    old, new = write_certificate(tmp_path, "old.example"), write_certificate(tmp_path, "new.example")
    context = server_tls_context(*old)
    address = await start(tls=context)
    with pytest.raises(ssl.SSLError):
        reload_certificate(context, new[0], old[1])
    assert (await ask_tls(address, old[0], "old.example")).startswith(b"HTTP/1.1 200 ")
    reload_certificate(context, *new)
    assert (await ask_tls(address, new[0], "new.example")).startswith(b"HTTP/1.1 200 ")


async def test_our_own_client_speaks_tls_and_trusts_only_whom_it_should(bench, start, tmp_path, monkeypatch):
    files = write_certificate(tmp_path, "localhost")
    url = f"https://localhost:{(await start(tls=server_tls_context(*files)))[1]}"
    stranger = Connections(url, {})
    monkeypatch.setenv("SSL_CERT_FILE", files[0])
    friend = Connections(url, {})
    for _ in range(2):
        assert (await friend.request("GET", "/")).status == 200
    assert bench.server.connection_count == 1
    with pytest.raises(ConnectionFailed):
        await stranger.request("GET", "/")
    await friend.aclose()


async def test_what_is_not_tls_is_counted_and_hurts_nobody(autojump_clock, bench, start, tmp_path):
    files = write_certificate(tmp_path, "one.example")
    address = await start(HttpLimits(header_timeout=0.2), tls=server_tls_context(*files))
    await ask(address, b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    assert bench.drops == {"tls-handshake": 1}
    await ask(address, b"\x16\x03")  # a handshake that never goes on
    assert bench.drops == {"tls-handshake": 2}
    assert (await ask_tls(address, files[0], "one.example")).startswith(b"HTTP/1.1 200 ")
    assert bench.failures == []


async def test_one_tls_connection_too_many_is_closed_without_a_handshake(bench, start, tmp_path):
    files = write_certificate(tmp_path, "one.example")
    address = await start(HttpLimits(connections=1), tls=server_tls_context(*files))
    async with await trio.open_tcp_stream(*address) as first:
        await first.send_all(b"\x16")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert await ask(address, b"") == b""
    assert bench.drops["connection-limit"] == 1
