"""The client's handshake."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import h11
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, RejectData, Request
from wsproto.utilities import RemoteProtocolError

from transceiver.websocket.closing import CloseCode
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["Connect", "SocketRefused", "SocketUnreachable", "open_socket"]

Connect = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Connects to a host and port; raises OSError."""

_READ_SIZE = 65_536
_MAX_REFUSAL_BYTES = 65_536
_GOODBYE_SECONDS = 0.5


class SocketUnreachable(Exception):  # noqa: N818 - named for what happened
    """There is no WebSocket at the other end; the text says why."""


class SocketRefused(SocketUnreachable):
    """The server answered with an ordinary response instead.

    Args:
        status: of the response.
        headers: names in lower case.
        body: at most 64 KiB of it.
    """

    def __init__(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> None:
        super().__init__(f"the server answered {status} instead of opening a WebSocket")
        self.status = status
        self.headers = headers
        self.body = body


@asynccontextmanager
async def open_socket(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Iterable[str] = (),
    limits: SocketLimits | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109 - one bound over three steps, of which callers need not know
    tls: ssl.SSLContext | None = None,
    connect: Connect = trio.open_tcp_stream,
) -> AsyncIterator[WebSocket]:
    """Open a WebSocket, and close it at the end of the block; cancellation closes it without much waiting.

    Args:
        url: ws or wss (or http, https); with the query.
        headers: sent with the request.
        subprotocols: offered to the server.
        limits: what the server may take.
        timeout: seconds until the handshake must be complete.
        tls: for wss; the system's trust by default.
        connect: opens the connection below.

    Raises:
        SocketRefused: the server answered with something else.
        SocketUnreachable: it could not be reached, took too long, or speaks another protocol.
        ValueError: the URL is none of these.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss", "http", "https"} or not parts.hostname:
        raise ValueError(f"not the URL of a WebSocket: {url}")
    is_secure = parts.scheme in {"wss", "https"}
    request = Request(
        host=parts.netloc.rpartition("@")[2],
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        subprotocols=list(subprotocols),
        extra_headers=[(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    )
    stream: trio.abc.Stream | None = None
    try:
        with trio.fail_after(timeout):
            stream = await connect(parts.hostname, parts.port or (443 if is_secure else 80))
            if is_secure:
                context = tls or ssl.create_default_context()
                secured = trio.SSLStream(stream, context, server_hostname=parts.hostname, https_compatible=True)
                stream = secured
                await secured.do_handshake()
            socket = await _shake_hands(stream, request, limits or SocketLimits())
    except BaseException as error:
        if stream is not None:
            await trio.aclose_forcefully(stream)
        if isinstance(error, trio.TooSlowError):
            raise SocketUnreachable(f"no WebSocket within {timeout:g} s") from error
        if isinstance(error, OSError | trio.BrokenResourceError | trio.ClosedResourceError):
            raise SocketUnreachable(_words_of(error)) from error
        raise
    try:
        yield socket
    except BaseException:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _GOODBYE_SECONDS):
            await socket.close(CloseCode.GOING_AWAY)
        raise
    await socket.close()


async def _shake_hands(stream: trio.abc.Stream, request: Request, limits: SocketLimits) -> WebSocket:
    protocol = WSConnection(ConnectionType.CLIENT)
    try:
        written = protocol.send(request)
    except (h11.LocalProtocolError, UnicodeError):  # with the header inside, which may be a key
        raise SocketUnreachable("the URL or a header has characters that no request can have") from None
    await stream.send_all(written)
    refusal: RejectConnection | None = None
    body = bytearray()
    while True:
        data = await stream.receive_some(_READ_SIZE)
        try:
            protocol.receive_data(bytes(data))
            for event in protocol.events():
                if isinstance(event, AcceptConnection) and protocol.connection is not None:
                    return WebSocket(stream, protocol.connection, limits)
                is_whole = False
                if isinstance(event, RejectConnection):
                    refusal, is_whole = event, not event.has_body
                if isinstance(event, RejectData):
                    body += event.data
                    is_whole = event.body_finished
                if refusal is not None and (is_whole or len(body) > _MAX_REFUSAL_BYTES):
                    raise _refused(refusal, bytes(body))
        except (RemoteProtocolError, UnicodeError) as error:
            raise SocketUnreachable(f"the answer is no WebSocket's: {error}") from error
        if not data:
            if refusal is not None:
                raise _refused(refusal, bytes(body))
            raise SocketUnreachable("the server closed the connection without an answer")


def _refused(refusal: RejectConnection, body: bytes) -> SocketRefused:
    headers = {name.lower(): value for name, value in refusal.headers}
    return SocketRefused(refusal.status_code, headers, body[:_MAX_REFUSAL_BYTES])


def _words_of(error: BaseException) -> str:
    """Return what an operator can use of an error of the operating system or of TLS."""
    cause = error.__cause__ if isinstance(error, trio.BrokenResourceError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause or error) or type(error).__name__
