"""HTTP connections to one transceiver that stay open: just what the control API needs of HTTP/1.1.

A request leaves in one piece and its answer is read in one turn of the loop, where a general client takes several; in
the set-up of a call that was most of what signal spent (docs/decisions.md has the numbers). The server is our own, so
an answer always tells its length; whatever does not is refused and not guessed at.
"""

import re
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import attrs
import trio

from edge.control.tls import ControlTls, words_of
from edge.http.streams import open_stream

__all__ = ["Connect", "ConnectionFailed", "Connections", "Reply"]

Connect = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Connects to a host and port; raises OSError."""

_MAX_CONNECTIONS = 64
_KEEPALIVE_SECONDS = 30.0  # under the 60 s that the server keeps an idle connection for
_MAX_HEAD_BYTES = 16_384
_MAX_BODY_BYTES = 1_048_576
_READ_SIZE = 65_536

# RFC 9112 §4 and §5: the status line, and fields without folding.
_HEAD = re.compile(rb"HTTP/1\.([01]) ([2-5][0-9]{2})(?: [^\r\n]*)?\r\n((?:[!-9;-~]+:[^\r\n\0]*\r\n)*)")


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
    idle_since: float = 0.0
    was_heard: bool = False  # whether a byte of the present answer has come
    is_reusable: bool = False  # whether the present answer is complete and another may follow

    async def ask(self, request: bytes) -> Reply:
        """Send a request and read the answer.

        Raises:
            ConnectionFailed: the server went away or speaks another protocol.
        """
        self.was_heard = self.is_reusable = False
        try:
            await self.stream.send_all(request)
            return await self._read_reply()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionFailed(str(error) or words_of(error.__cause__)) from error

    async def _read_reply(self) -> Reply:
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > _MAX_HEAD_BYTES:
                raise ConnectionFailed(f"the answer's headers have more than {_MAX_HEAD_BYTES} bytes")
            await self._read_more(data)
        body_begin = end + 4
        status, headers, may_stay_open = _read_head(bytes(data[: end + 2]))
        body_end = body_begin + _length_of(headers)
        while len(data) < body_end:
            await self._read_more(data)
        # Bytes that nobody asked for would be taken for the next answer.
        self.is_reusable = may_stay_open and len(data) == body_end
        return Reply(status=status, headers=headers, body=bytes(data[body_begin:body_end]))

    async def _read_more(self, data: bytearray) -> None:
        more = await self.stream.receive_some(_READ_SIZE)
        if not more:
            raise ConnectionFailed("the server closed the connection")
        self.was_heard = True
        data += more


def _read_head(head: bytes) -> tuple[int, dict[bytes, bytes], bool]:
    """Return status, headers, and whether the connection may stay open."""
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ConnectionFailed("the answer is not HTTP/1.1")
    headers: dict[bytes, bytes] = {}
    for line in match[3].splitlines():
        name, _, value = line.partition(b":")
        key = name.lower()
        headers[key] = headers[key] + b", " + value.strip() if key in headers else value.strip()
    # RFC 9112 §9.3: HTTP/1.1 stays open unless somebody says otherwise.
    return int(match[2]), headers, match[1] == b"1" and b"close" not in headers.get(b"connection", b"").lower()


def _length_of(headers: Mapping[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or b"transfer-encoding" in headers:
        raise ConnectionFailed("the answer does not tell its length")
    if len(length) > len(str(_MAX_BODY_BYTES)) or int(length) > _MAX_BODY_BYTES:
        raise ConnectionFailed(f"the answer has more than {_MAX_BODY_BYTES} bytes")
    return int(length)


class Connections:
    """Asks one server, and keeps the connections for later questions.

    Args:
        url: base URL of the server, http or https.
        headers: sent with every request.
        connect: opens a connection.
        tls: for https; the system's trust, and no certificate of ours, by default.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], *, connect: Connect = open_stream, tls: ControlTls | None = None
    ) -> None:
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        self._control_tls = tls if is_secure else None
        self._tls = ssl.create_default_context() if is_secure and tls is None else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if is_secure else 80)
        self._base = parts.path.rstrip("/")
        fields = {"Host": parts.netloc.rpartition("@")[2], **headers}
        self._head = " HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._connect = connect
        self._idle: deque[_Connection] = deque()  # the one used last at the right end
        self._slots = trio.Semaphore(_MAX_CONNECTIONS)
        self._closed = False

    async def request(self, method: str, target: str, body: bytes = b"") -> Reply:
        """Ask; how long it may take is the caller's business.

        Raises:
            ConnectionFailed: there is no answer.
        """
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        request = f"{method} {self._base}{target}{self._head}{length}\r\n".encode("ascii") + body
        try:
            self._slots.acquire_nowait()  # acquire() would give other tasks a turn even when there is a slot
        except trio.WouldBlock:
            await self._slots.acquire()
        try:
            return await self._ask(request)
        finally:
            self._slots.release()

    async def aclose(self) -> None:
        """Close the connections that nobody uses, and the others when they are through."""
        self._closed = True
        while self._idle:
            await trio.aclose_forcefully(self._idle.pop().stream)

    async def _ask(self, request: bytes) -> Reply:
        await self._close_expired()
        if self._idle:
            connection = self._idle.pop()
            try:
                return await self._ask_over(connection, request)
            except ConnectionFailed:
                # The server may have closed it while it was idle. RFC 9110 §9.2.2 lets us repeat what was never
                # looked at; that cannot be known here, but a call made twice is given up when nobody connects to it,
                # and ending a call twice ends it. Once is enough: the next connection is new.
                if connection.was_heard:
                    raise
        connection = await self._open()
        try:
            return await self._ask_over(connection, request)
        except ConnectionFailed as error:
            if self._control_tls is None or connection.was_heard:
                raise
            raise ConnectionFailed(f"{error}; {self._control_tls.hint()}") from error

    async def _ask_over(self, connection: _Connection, request: bytes) -> Reply:
        try:
            return await connection.ask(request)
        finally:
            if connection.is_reusable and not self._closed:
                connection.idle_since = trio.current_time()
                self._idle.append(connection)
            else:
                await trio.aclose_forcefully(connection.stream)

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
            elif self._control_tls is not None:
                stream = await self._control_tls.secure(stream, self._host)
        except (OSError, trio.BrokenResourceError) as error:
            raise ConnectionFailed(str(error) or words_of(error.__cause__)) from error
        return _Connection(stream)
