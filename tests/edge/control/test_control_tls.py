"""The control API over mutual TLS: who may ask what, and what is said to everybody else."""

import ssl
import time
from pathlib import Path

import attrs
import pytest
import trio

from edge.certificates import Authority
from edge.control.client import ControlClient, TransceiverUnreachable
from edge.control.moving_client import MovingClient
from edge.control.server import CONTROL_LIMITS, ControlHandler
from edge.control.tls import ControlTls, control_server_context, may_ask
from edge.http.server import HttpServer, open_listener
from transceiver.calls import AnswerIngress
from transceiver.handover.tunnels import TunnelRefused
from transceiver.websocket.connecting import SocketRefused
from transceiver.websocket.limits import SocketLimits

KEY = "5f" * 32
INGRESSES = (AnswerIngress(id=1, host="192.0.2.1", port=3478, priority=200),)
DAY = 86400.0


class Echo:
    """The conversations of a transceiver: says what it hears."""

    async def serve_sideband(self, call_id, owner, socket) -> None:
        await socket.send(await socket.receive())


class Tunnelling:
    """What moves of a transceiver: one tunnel, which says what it hears."""

    async def serve_tunnel(self, worker, session, generation, token, taker) -> None:
        if (worker, session, generation, token) != (3, 7, 2, b"t" * 16):
            raise TunnelRefused
        await taker.send(await taker.receive())


@attrs.define
class Fleet:
    """A transceiver on loopback, an authority, and what it has issued.

    Attributes:
        refused: handshakes that failed at the transceiver.
    """

    folder: Path
    authority: Authority
    server: HttpServer
    handler: ControlHandler
    port: int = 0
    refused: list[str] = attrs.field(factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def issue(self, role: str, *, by: Authority | None = None, at: float | None = None) -> tuple[Path, Path]:
        now = time.time() if at is None else at
        return (by or self.authority).issue(role, name=role, days=1, unix_time=now)

    def client(self, *pair: Path, key: str = KEY, ca: Path | None = None, timeout: float = 5.0) -> ControlClient:
        tls = ControlTls(*pair, ca or self.authority.path)
        return ControlClient(self.url, key, tls=tls, timeout=timeout)


def context_of(fleet_authority: Authority, pair: tuple[Path, Path]) -> ssl.SSLContext:
    return control_server_context(*pair, fleet_authority.path)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ours", time.time())


@pytest.fixture
def others(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "others", time.time())


@pytest.fixture
async def fleet(nursery: trio.Nursery, make_calls, authority: Authority, tmp_path: Path) -> Fleet:
    handler = ControlHandler(make_calls(), [KEY], conversations=Echo(), movable=Tunnelling(), needs_certificate=True)
    refused: list[str] = []
    pair = authority.issue("transceiver", name="transceiver", days=1, unix_time=time.time())
    server = HttpServer(
        handler,
        limits=CONTROL_LIMITS,
        tls=context_of(authority, pair),
        on_handshake_failure=lambda _peer, reason: refused.append(reason),
    )
    listener = await open_listener(("127.0.0.1", 0))
    ((_, port),) = await nursery.start(server.serve, [listener])
    return Fleet(tmp_path, authority, server, handler, port, refused)


@pytest.mark.parametrize("role", ["signal", "operator"])
async def test_who_may_command(fleet, role):
    async with fleet.client(*fleet.issue(role)) as client:
        assert (await client.status()).incarnation == 77
        created = await client.create_call("v=0", INGRESSES, "me")
        async with client.open_sideband(created.call_id, "me") as socket:
            await socket.send("hello")
            assert await socket.receive() == "hello"
        await client.end_call(created.call_id, "me")
    assert not fleet.refused


async def test_another_transceiver_may_ask_how_it_is_and_no_more(fleet):
    async with fleet.client(*fleet.issue("transceiver")) as client:
        assert (await client.status()).incarnation == 77
        with pytest.raises(TransceiverUnreachable, match=r"403 wrong_role.*tells the role transceiver"):
            await client.create_call("v=0", INGRESSES, "me")
    assert may_ask(frozenset({"transceiver"}), "/control/v1/arrivals/1/2")
    assert not may_ask(frozenset({"relay"}), "/control/v1/status")


async def test_a_transceiver_takes_a_tunnel(fleet):
    tls = ControlTls(*fleet.issue("transceiver"), fleet.authority.path)
    client = MovingClient(fleet.url, KEY, tls=tls)
    async with client.open_tunnel(3, 7, 2, b"t" * 16, SocketLimits()) as socket:
        await socket.send("hello")
        assert await socket.receive() == "hello"
    for ticket in ((2, 7, 2, b"t" * 16), (3, 8, 2, b"t" * 16), (3, 7, 3, b"t" * 16), (3, 7, 2, b"T" * 16)):
        with pytest.raises(SocketRefused, match="404"):
            async with client.open_tunnel(*ticket, SocketLimits()):
                pass
    for nonsense in ((3, 7, 2, b"t" * 15), (256, 7, 2, b"t" * 16), (3, 7, 0, b"t" * 16)):
        with pytest.raises(SocketRefused, match="400"):
            async with client.open_tunnel(*nonsense, SocketLimits()):
                pass


async def test_signal_takes_no_tunnel(fleet):
    client = MovingClient(fleet.url, KEY, tls=ControlTls(*fleet.issue("signal"), fleet.authority.path))
    with pytest.raises(SocketRefused, match="403"):
        async with client.open_tunnel(3, 7, 2, b"t" * 16, SocketLimits()):
            pass


@pytest.mark.parametrize("role", ["signal", "operator", "relay"])
def test_tunnels_are_for_transceivers_only(role):
    path = "/control/v1/tunnels/1/2"
    assert may_ask(frozenset({"transceiver"}), path)
    assert not may_ask(frozenset({role}), path)
    assert may_ask(frozenset({role, "transceiver"}), path)


async def test_a_role_that_nobody_has_heard_of(fleet):
    async with fleet.client(*fleet.issue("relay")) as client:
        with pytest.raises(TransceiverUnreachable, match=r"403 wrong_role.*urn:trio-voice:role:signal"):
            await client.status()


async def test_the_bearer_stays_a_second_factor(fleet):
    async with fleet.client(*fleet.issue("signal"), key="00" * 32) as client:
        with pytest.raises(TransceiverUnreachable, match="401 invalid_control_key"):
            await client.status()


async def test_without_a_certificate_there_is_health_and_nothing_else(fleet):
    context = ssl.create_default_context(cafile=fleet.authority.path)
    context.check_hostname = False

    async def ask(path: str) -> bytes:
        stream = await trio.open_ssl_over_tcp_stream(
            "127.0.0.1", fleet.port, ssl_context=context, https_compatible=True
        )
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
        await stream.send_all(request.encode())
        answer = b""
        async with stream:
            while data := await stream.receive_some():
                answer += data
        return answer

    assert b" 200 " in (await ask("/healthz")).split(b"\r\n")[0]
    refusal = await ask("/control/v1/status")
    assert b" 403 " in refusal.split(b"\r\n")[0]
    assert b"client_certificate_required" in refusal


async def test_a_certificate_of_somebody_elses(fleet, others):
    pair = fleet.issue("signal", by=others)
    async with fleet.client(*pair) as client:
        with pytest.raises(TransceiverUnreachable, match=r"may not accept our certificate .*signal\.crt"):
            await client.status()
    assert len(fleet.refused) == 1
    assert "unable to get local issuer certificate" in fleet.refused[0]


async def test_a_certificate_of_ours_that_has_expired(fleet):
    async with fleet.client(*fleet.issue("signal", at=time.time() - 2 * DAY)) as client:
        with pytest.raises(TransceiverUnreachable, match=r"our certificate .*signal\.crt expired on 2"):
            await client.status()
        with pytest.raises(TransceiverUnreachable):
            async with client.open_sideband("rtc_1", "me"):
                pass
    assert all("certificate has expired" in reason for reason in fleet.refused)
    assert len(fleet.refused) == 2


@pytest.mark.parametrize(
    ("role", "is_ours", "age", "words"),
    [
        ("transceiver", False, 0.0, r"its certificate is not one of .*ca\.crt"),
        ("transceiver", True, 2 * DAY, "its certificate has expired"),
        ("transceiver", True, -2 * DAY, "its certificate is not valid yet; is a clock wrong?"),
        ("signal", True, 0.0, "its certificate is not a transceiver's: it tells the role signal"),
        ("relay", True, 0.0, "it tells the role relay"),
    ],
)
async def test_a_transceiver_that_is_none_of_ours_is_told_nothing(fleet, others, role, is_ours, age, words):
    pair = fleet.issue(role, by=fleet.authority if is_ours else others, at=time.time() - age)
    fleet.server.replace_tls(context_of(fleet.authority, pair))
    fleet.handler._calls.failure = AssertionError("it was told of a call")
    async with fleet.client(*fleet.issue("operator")) as client:
        with pytest.raises(TransceiverUnreachable, match=words):
            await client.create_call("v=0", INGRESSES, "me")
        with pytest.raises(TransceiverUnreachable, match=words):
            async with client.open_sideband("rtc_1", "me"):
                pass


async def test_certificates_and_authority_are_replaced_while_a_connection_stays_open(fleet, others):
    async with fleet.client(*fleet.issue("signal")) as old:
        await old.status()
        fleet.server.replace_tls(context_of(others, fleet.issue("transceiver", by=others)))
        await old.status()
        pair = fleet.issue("signal", by=others)
        async with fleet.client(*pair, ca=others.path) as new:
            await new.status()
        async with fleet.client(*fleet.issue("signal")) as late:
            with pytest.raises(TransceiverUnreachable, match="not one of"):
                await late.status()


async def test_tls_at_one_end_only(fleet):
    async with ControlClient(fleet.url.replace("https", "http"), KEY) as client:
        with pytest.raises(TransceiverUnreachable):
            await client.status()
    fleet.server.replace_tls(None)
    async with fleet.client(*fleet.issue("signal")) as client:
        with pytest.raises(TransceiverUnreachable, match="no TLS: "):
            await client.status()


async def test_a_stranger_that_says_nothing_is_given_up(fleet):
    listener = await open_listener(("127.0.0.1", 0))
    fleet.port = listener.socket.getsockname()[1]
    async with listener, fleet.client(*fleet.issue("signal"), timeout=0.2) as client:
        with pytest.raises(TransceiverUnreachable, match="no answer within"):
            await client.status()
