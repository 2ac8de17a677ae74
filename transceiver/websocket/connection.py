"""Texts both ways over one stream, pings, and the closing handshake.

There is no task in here. Whoever waits for a message reads the stream, answers pings and asks for life; whoever sends
waits for the kernel. So while nobody here reads, the other end is held back by TCP, and nothing piles up.

What the other end does wrong closes the socket with a code of its own and is told to whoever uses it as
`WebSocketClosed`; nothing else is raised.
"""

import io
from collections.abc import Callable

import trio
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from transceiver.websocket.closing import CloseCode, Fault, WebSocketClosed
from transceiver.websocket.limits import SocketLimits

__all__ = ["WebSocket"]

_READ_SIZE = 65_536
_MAX_REASON_BYTES = 123  # RFC 6455 §5.5: a control frame has at most 125 bytes, and two are the code


class WebSocket:
    """One end of a WebSocket; an `EventSocket`.

    One task at a time may receive. Any number may send. `close` and `cut` are for the owner, when nobody does either.

    Args:
        stream: the connection, taken over.
        frames: wsproto's end of it, past the opening handshake.
        limits: what the other end may take.
        opening: bytes that go out before all others, on the first use: a server's end can be made before anybody knows
            whether the request will be accepted.
        on_open: called when these are out.

    Attributes:
        closed: how the socket ended; None while it has not.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        frames: Connection,
        limits: SocketLimits,
        opening: bytes = b"",
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self.closed: WebSocketClosed | None = None
        self._stream = stream
        self._frames = frames
        self._limits = limits
        self._opening = opening
        self._on_open = on_open
        self._writing = trio.Lock()
        self._pong: bytes | None = None  # the payload of the last ping that could not be answered at once
        self._partial: io.StringIO | None = None  # the beginning of a message
        self._size = 0
        self._last_message = trio.current_time()
        self._is_broken = False

    @property
    def is_open(self) -> bool:
        """Whether the opening handshake is complete as far as this end goes."""
        return not self._opening

    async def receive(self) -> str:
        """Wait for the next text.

        Cancellation loses nothing.

        Raises:
            WebSocketClosed: there will be none.
        """
        self._check()
        if self._opening:
            await self._write(b"")
        has_waited = False
        while True:
            for event in self._frames.events():
                text = await self._handle(event)
                if text is not None:
                    self._last_message = trio.current_time()
                    if not has_waited:
                        # Who sends many messages in one piece holds up nobody else; cancelled here, this one was lost.
                        await trio.lowlevel.cancel_shielded_checkpoint()
                    return text
            await self._read()
            has_waited = True

    async def send(self, text: str) -> None:
        """Send a text; waits while the other end does not read.

        Other tasks get no turn unless there is something to wait for. Cancelled while it waits, it breaks the socket.

        Raises:
            WebSocketClosed: nobody will read it.
        """
        self._check()
        await trio.lowlevel.checkpoint_if_cancelled()  # here nothing is lost by it
        self._last_message = trio.current_time()
        await self._write(self._frames.send(TextMessage(data=text)))

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """Say goodbye, wait for the other end's for at most `close_timeout`, and close the stream.

        Closing what has ended already only closes the stream. Cancelled, it closes without waiting.
        """
        try:
            with trio.move_on_after(self._limits.close_timeout):
                try:
                    await self._say_goodbye(code, reason)
                    await self._await_end()
                except (trio.BrokenResourceError, trio.ClosedResourceError, WebSocketClosed):
                    pass
        finally:
            await trio.aclose_forcefully(self._stream)

    # Receiving

    async def _handle(self, event: Event) -> str | None:
        """Take an event of wsproto's; returns a text when one is complete."""
        if isinstance(event, TextMessage):
            return await self._take_text(event)
        if isinstance(event, BytesMessage):
            raise await self._fail(CloseCode.UNSUPPORTED_DATA, "events are texts", Fault.BINARY)
        if isinstance(event, Ping):
            await self._answer_ping(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            if self._frames.state is ConnectionState.OPEN:
                # wsproto's way to say that what came is no WebSocket frame
                raise await self._fail(event.code, event.reason or "", Fault.MALFORMED)
            self.closed = WebSocketClosed(event.code, event.reason or "")
            # RFC 6455 §5.5.1: an endpoint that receives a Close frame and has sent none MUST send one.
            await self._write(self._frames.send(event.response()))
            raise self.closed.again()
        return None

    async def _take_text(self, event: TextMessage) -> str | None:
        self._size += len(event.data)
        if self._size > self._limits.message_size:
            reason = f"a message may have at most {self._limits.message_size} bytes"
            raise await self._fail(CloseCode.MESSAGE_TOO_BIG, reason, Fault.TOO_LARGE)
        if event.message_finished and self._partial is None:
            self._size = 0
            return event.data
        # One growing buffer instead of a list of pieces: a message in a million fragments costs no more than another.
        if self._partial is None:
            self._partial = io.StringIO()
        self._partial.write(event.data)
        if not event.message_finished:
            return None
        text = self._partial.getvalue()
        self._partial, self._size = None, 0
        return text

    async def _read(self) -> None:
        """Wait for bytes, and for a sign of life when none come."""
        has_asked = False
        quiet_at = trio.current_time() + self._limits.ping_interval
        while True:
            with trio.move_on_at(min(quiet_at, self._idle_at)):
                self._frames.receive_data(await self._receive_some())
                return
            if trio.current_time() >= self._idle_at:
                raise await self._fail(CloseCode.GOING_AWAY, "idle", Fault.IDLE)
            if trio.current_time() < quiet_at or self._writing.locked():
                # Something was sent in the meantime, or is being sent: then the time for that is what counts.
                quiet_at = max(quiet_at, trio.current_time() + 1)
            elif has_asked:
                raise self._broken("no answer to a ping", Fault.SILENT)
            else:
                await self._write(self._frames.send(Ping()))
                has_asked = True
                quiet_at = trio.current_time() + self._limits.ping_timeout

    async def _receive_some(self) -> bytes:
        try:
            data = await self._stream.receive_some(_READ_SIZE)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if not data:
            raise self._broken("the connection was lost", Fault.VANISHED)
        return bytes(data)

    @property
    def _idle_at(self) -> float:
        return self._last_message + self._limits.idle_timeout

    async def _answer_ping(self, payload: bytes) -> None:
        # RFC 6455 §5.5.3: of several pings, only the last needs an answer. Whoever is writing adds it then, so that
        # one end that cannot write does not keep the other from being read.
        self._pong = payload
        if not self._writing.locked():
            await self._write(b"")

    # Sending

    async def _write(self, data: bytes) -> None:
        try:
            self._writing.acquire_nowait()  # acquire() would give other tasks a turn even when nobody writes
        except trio.WouldBlock:
            await self._writing.acquire()
        try:
            if self._is_broken:
                raise self._broken("the connection was lost", Fault.VANISHED)
            opening, self._opening = self._opening, b""
            await self._write_all(opening + data)
            if opening:
                self._on_open()
            while self._pong is not None and self._frames.state is ConnectionState.OPEN:
                payload, self._pong = self._pong, None
                await self._write_all(self._frames.send(Pong(payload=payload)))
        finally:
            self._writing.release()

    async def _write_all(self, data: bytes) -> None:
        is_whole = False
        try:
            with trio.move_on_after(self._limits.write_timeout):
                await self._stream.send_all(data)
                is_whole = True
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._broken("the connection was lost", Fault.VANISHED) from None
        finally:
            if not is_whole:
                self._is_broken = True  # half a frame may be out; nothing can follow it
        if not is_whole:
            raise self._broken("the other end does not read", Fault.STALLED)

    # Ending

    def _check(self) -> None:
        if self.closed is not None:
            raise self.closed.again()

    def _broken(self, reason: str, fault: Fault) -> WebSocketClosed:
        """Give the socket up without a goodbye."""
        self._is_broken = True
        if self.closed is None:
            self.closed = WebSocketClosed(CloseCode.ABNORMAL, reason, fault)
        return self.closed.again()

    async def _fail(self, code: int, reason: str, fault: Fault) -> WebSocketClosed:
        """Say goodbye for a reason."""
        closed = WebSocketClosed(code, reason, fault)
        if self.closed is None:
            self.closed = closed.again()
        await self._write(self._frames.send(CloseConnection(code=code, reason=_shorten(reason))))
        return closed

    async def _say_goodbye(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = WebSocketClosed(code, reason)
            await self._write(self._frames.send(CloseConnection(code=code, reason=_shorten(reason))))

    async def _await_end(self) -> None:
        """Read until the other end has said goodbye too, so that it reads ours before the connection is gone.

        RFC 6455 §7.1.1: of the two, the server closes the connection first.
        """
        is_garbled = self.closed is not None and self.closed.fault is Fault.MALFORMED
        while not self._is_broken and (self._frames.client or self._frames.state is not ConnectionState.CLOSED):
            data = await self._stream.receive_some(_READ_SIZE)
            if not data:
                return
            if is_garbled or self._frames.state is not ConnectionState.LOCAL_CLOSING:
                continue  # thrown away: wsproto would only collect it
            self._frames.receive_data(bytes(data))
            for event in self._frames.events():
                is_garbled = isinstance(event, CloseConnection) and self._frames.state is ConnectionState.LOCAL_CLOSING


def _shorten(reason: str) -> str:
    return reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
