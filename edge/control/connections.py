"""HTTP connections to one transceiver that stay open: h11 does the protocol, Trio the waiting.

A request leaves in one piece and its answer is read in one turn of the loop, where a general client takes several; in
the set-up of a call that was most of what signal spent (docs/decisions.md has the numbers).
"""

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import attrs
import h11
import trio

from edge.http.streams import open_stream

__all__ = ["Connect", "ConnectionFailed", "Connections", "Reply"]

Connect = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Connects to a host and port; raises OSError."""

_MAX_CONNECTIONS = 64
_KEEPALIVE_SECONDS = 30.0  # under the 60 s that the server keeps an idle connection for
_MAX_BODY_BYTES = 1_048_576
_READ_SIZE = 65_536


class ConnectionFailed(Exception):  # noqa: N818 - named for what happened
    """No answer came, or none that is HTTP; the text says why."""


@attrs.frozen(kw_only=True)
class Reply:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


@attrs.define(eq=False)
class _Connection:
    stream: trio.abc.Stream
    http: h11.Connection = attrs.field(factory=lambda: h11.Connection(h11.CLIENT))
    idle_since: float = 0.0
    was_heard: bool = False  # whether a byte of the present answer has come

    async def ask(self, request: h11.Request, body: bytes) -> Reply:
        """Send a request and read the answer.

        Raises:
            ConnectionFailed: the server went away or speaks another protocol.
        """
        self.was_heard = False
        output = self._serialize(request)
        if body:
            output += self._serialize(h11.Data(data=body))
        output += self._serialize(h11.EndOfMessage())
        try:
            await self.stream.send_all(output)
            return await self._read_reply()
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError) as error:
            raise ConnectionFailed(str(error) or "the connection broke") from error

    async def _read_reply(self) -> Reply:
        head: h11.Response | None = None
        body = bytearray()
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                data = bytes(await self.stream.receive_some(_READ_SIZE))
                self.was_heard = self.was_heard or bool(data)
                self.http.receive_data(data)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _MAX_BODY_BYTES:
                    raise ConnectionFailed(f"the answer has more than {_MAX_BODY_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Reply(status=head.status_code, headers=dict(head.headers), body=bytes(body))

    def make_reusable(self) -> bool:
        """Prepare for another request, if both sides have kept to the rules so far and want one."""
        if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
            return False
        self.http.start_next_cycle()
        return not self.http.trailing_data[0]  # bytes that nobody asked for would be taken for the next answer

    def _serialize(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> bytes:
        return self.http.send(event) or b""


class Connections:
    """Asks one server, and keeps the connections for later questions.

    Args:
        url: base URL of the server, http or https.
        headers: sent with every request.
        connect: opens a connection.
    """

    def __init__(self, url: str, headers: Mapping[str, str], *, connect: Connect = open_stream) -> None:
        parts = urlsplit(url)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._base = parts.path.rstrip("/")
        self._headers = [("Host", parts.netloc.rpartition("@")[2]), *headers.items()]
        self._connect = connect
        self._idle: deque[_Connection] = deque()  # the one used last at the right end
        self._slots = trio.Semaphore(_MAX_CONNECTIONS)
        self._closed = False

    async def request(self, method: str, target: str, body: bytes = b"") -> Reply:
        """Ask; how long it may take is the caller's business.

        Raises:
            ConnectionFailed: there is no answer.
        """
        headers = [*self._headers, ("Content-Length", str(len(body)))] if body else self._headers
        request = h11.Request(method=method, target=self._base + target, headers=headers)
        try:
            self._slots.acquire_nowait()  # acquire() would give other tasks a turn even when there is a slot
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            return await self._ask(request, body)
        finally:
            self._slots.release()

    async def aclose(self) -> None:
        """Close the connections that nobody uses, and the others when they are through."""
        self._closed = True
        while self._idle:
            await trio.aclose_forcefully(self._idle.pop().stream)

    async def _ask(self, request: h11.Request, body: bytes) -> Reply:
        await self._close_expired()
        if self._idle:
            connection = self._idle.pop()
            try:
                return await self._ask_over(connection, request, body)
            except ConnectionFailed:
                # The server may have closed it while it was idle. RFC 9110 §9.2.2 lets us repeat what was never
                # looked at; that cannot be known here, but a call made twice is given up when nobody connects to it,
                # and ending a call twice ends it. Once is enough: the next connection is new.
                if connection.was_heard:
                    raise
        return await self._ask_over(await self._open(), request, body)

    async def _ask_over(self, connection: _Connection, request: h11.Request, body: bytes) -> Reply:
        is_reusable = False
        try:
            reply = await connection.ask(request, body)
            is_reusable = connection.make_reusable() and not self._closed
        finally:
            if is_reusable:
                connection.idle_since = trio.current_time()
                self._idle.append(connection)
            else:
                await trio.aclose_forcefully(connection.stream)
        return reply

    async def _close_expired(self) -> None:
        oldest = trio.current_time() - _KEEPALIVE_SECONDS
        while self._idle and self._idle[0].idle_since < oldest:
            await trio.aclose_forcefully(self._idle.popleft().stream)

    async def _open(self) -> _Connection:
        try:
            stream = await self._connect(self._host, self._port)
            if self._tls is not None:
                secured = trio.SSLStream(stream, self._tls, server_hostname=self._host, https_compatible=True)
                stream = secured
                await secured.do_handshake()
        except (OSError, trio.BrokenResourceError) as error:
            raise ConnectionFailed(str(error) or type(error).__name__) from error
        return _Connection(stream)
