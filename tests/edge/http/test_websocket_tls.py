"""WebSockets over TLS, from our client to our server: trust, goodbyes, and stopping."""

import datetime as dt
import json
import ssl

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.http.messages import Request
from edge.http.server import HttpServer, open_listener
from edge.http.tls import server_tls_context
from edge.http.websocket import Upgrade
from transceiver.backends.contract import BackendUnavailable
from transceiver.backends.realtime import RealtimeLink
from transceiver.backends.realtime_options import RealtimeOptions
from transceiver.websocket.closing import WebSocketClosed
from transceiver.websocket.connecting import open_socket


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@pytest.fixture
async def server(nursery, certificate):
    class Talking:
        async def handle(self, _request: Request) -> Upgrade:
            async def run(socket) -> None:
                await socket.send(json.dumps({"type": "session.created", "session": {"type": "realtime"}}))
                while (text := await socket.receive()) != "bye":
                    await socket.send(text)

            return Upgrade(run=run)

        def refuse(self, _request, response):
            return response

    context = server_tls_context(certificate / "cert.pem", certificate / "key.pem")
    server = HttpServer(Talking(), tls=context)
    (address,) = await nursery.start(server.serve, [await open_listener(("127.0.0.1", 0))])
    server.url = f"wss://localhost:{address[1]}/"
    yield server
    await server.stop(0)


@pytest.fixture
def trusting(certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate / "cert.pem"))


async def test_texts_and_goodbyes_travel_over_tls(server, trusting):
    async with open_socket(server.url, tls=trusting) as socket:
        await socket.receive()
        for text in ("x", "y" * 500_000):
            await socket.send(text)
            assert await socket.receive() == text
        await socket.send("bye")
        with pytest.raises(WebSocketClosed) as caught:
            await socket.receive()
    assert caught.value.code == 1000
    await server.stop(2)
    assert server.counts.drops == {}


async def test_stopping_is_told_over_tls(server, trusting):
    async with open_socket(server.url, tls=trusting) as socket:
        await socket.receive()
        async with trio.open_nursery() as stopping:
            stopping.start_soon(server.stop, 2)
            with pytest.raises(WebSocketClosed) as caught:
                await socket.receive()
            await socket.close()
    assert caught.value.code == 1001


class Sink:
    def backend_opened(self) -> None:
        """Not of interest."""

    def backend_event(self, event) -> None:
        self.link.close()

    def backend_audio(self, _speech, _pcm: bytes) -> None:
        raise AssertionError


async def test_a_link_trusts_whom_it_is_told_to_trust_and_nobody_else(server, trusting):
    sink = Sink()
    sink.link = RealtimeLink(RealtimeOptions(url=server.url), tls=trusting)
    await sink.link.run(sink)
    with pytest.raises(BackendUnavailable, match="its certificate is not trusted: self-signed certificate"):
        await RealtimeLink(RealtimeOptions(url=server.url)).run(sink)


async def test_a_certificate_for_another_name_is_not_trusted(server, trusting):
    url = server.url.replace("localhost", "127.0.0.1")
    with pytest.raises(BackendUnavailable, match="not trusted: IP address mismatch"):
        await RealtimeLink(RealtimeOptions(url=url), tls=trusting).run(Sink())
