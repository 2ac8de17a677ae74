"""A backend behind a WebSocket: any server that speaks the OpenAI Realtime protocol, in the GA or the beta shape.

One connection is one conversation, and a link runs once. What is to be sent waits in a queue, so that the caller never
does; a server that does not read loses its call, and not the worker its memory. Whatever the server does wrong ends in
`BackendUnavailable`, with words for the operator:

| the server                              | what happens                                                           |
|-----------------------------------------|------------------------------------------------------------------------|
| cannot be reached, is not trusted       | lost within `connect_timeout`                                          |
| answers 4xx                             | `BackendRefused`, with its words; 408, 425 and 429 may be tried again  |
| answers anything else, or is no server  | lost                                                                   |
| says nothing at all                     | lost after `first_event_timeout`                                       |
| falls silent later                      | asked by ping, lost after `ping_interval` + `ping_timeout`             |
| sends what is no event                  | dropped and counted; lost after `max_nonsense` in a row                |
| sends bytes, or too long a message      | lost; closed with 1003, 1009                                           |
| breaks off, or closes with an error     | lost                                                                   |
| closes with 1000 after it has spoken    | the end                                                                |
| does not read                           | lost when `queue_bytes` wait                                           |

When its call moves to another process, the connection stays here and a `Tunnel` takes the place of the sink: `hold` it
between two events, and then `release` it, or `hand_over`.

Source: the Realtime API reference, "WebSocket"; RFC 6455.
"""

import json
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import trio

from transceiver.backends.contract import BackendSink, BackendUnavailable
from transceiver.backends.realtime_options import RealtimeOptions
from transceiver.backends.realtime_reading import ServerEvents
from transceiver.backends.tunnel import Tunnel, TunnelEnd
from transceiver.backends.tunnel_ticket import Reading
from transceiver.realtime.base64_audio import append_event
from transceiver.realtime.dialect import to_beta
from transceiver.websocket.closing import CloseCode, WebSocketClosed
from transceiver.websocket.connecting import Connect, SocketRefused, SocketUnreachable, open_socket
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits
from wire.core import Drops

__all__ = ["BackendRefused", "RealtimeLink"]

_PASSING_STATUSES = frozenset({408, 425, 429})
_MAX_WORDS = 300
_HOLD_SECONDS = 0.25
"""In which a link comes to the end of an event, which may be the audio of a whole answer."""

_Event = Mapping[str, object]


class BackendRefused(BackendUnavailable):
    """The backend will say the same again: a wrong key, model or path."""


class _Pause:
    """The time for which nothing is read."""

    def __init__(self) -> None:
        self.is_reached = trio.Event()
        self.has_ended = trio.Event()
        self.tunnel: Tunnel | None = None

    async def wait(self) -> Tunnel | None:
        """Read nothing until it is decided how it goes on: with a tunnel, or None for as before."""
        self.is_reached.set()
        await self.has_ended.wait()
        return self.tunnel


class RealtimeLink:
    """One call's connection to a Realtime server; a `BackendLink`.

    Args:
        options: the server.
        tls: for wss; the system's trust by default.
        connect: opens the connection below the WebSocket.

    Attributes:
        input_rate: see `BackendLink`.
        output_rate: see `BackendLink`.
        queued: bytes that wait to be sent.
    """

    def __init__(
        self, options: RealtimeOptions, *, tls: ssl.SSLContext | None = None, connect: Connect = trio.open_tcp_stream
    ) -> None:
        self.input_rate = options.input_rate
        self.output_rate = options.output_rate
        self.queued = 0
        self._options = options
        self._tls = tls
        self._connect = connect
        self._reader = ServerEvents()
        self._reader.is_beta = bool(options.is_beta)
        self._queue: deque[str | bytes] = deque()  # events as JSON, and audio
        self._has_more = trio.Event()
        self._has_sent = trio.Event()
        self._has_heard = trio.Event()
        self._scope = trio.CancelScope()
        self._failure: BackendUnavailable | None = None
        self._is_tunnelled = False
        self._waiting = trio.CancelScope()  # for the server's next event
        self._pause: _Pause | None = None
        self._is_flushed = trio.Event()

    @property
    def drops(self) -> Drops:
        """What the server sent and made no sense, by reason."""
        return self._reader.drops

    async def run(self, sink: BackendSink) -> None:
        """Connect and deliver; see `BackendLink.run`."""
        with self._scope:
            try:
                await self._converse(sink)
            except SocketRefused as refusal:
                self._failure = _words_of_refusal(refusal)
            except SocketUnreachable as error:
                self._failure = BackendUnavailable(f"it could not be reached: {error}")
        if self._failure is not None:
            raise self._failure

    def send_event(self, event: _Event) -> None:
        """Queue an event; see `BackendLink.send_event`."""
        self._enqueue(json.dumps(event, separators=(",", ":")))

    def send_audio(self, pcm: bytes) -> None:
        """Queue audio; see `BackendLink.send_audio`."""
        self._enqueue(pcm)

    async def wait_for_room(self) -> None:
        """Wait until half of the queue is free: for who can hold back what it sends, as a microphone cannot."""
        while self.queued > self._options.queue_bytes // 2 and not self._scope.cancel_called:
            self._has_sent = trio.Event()
            await self._has_sent.wait()

    def close(self) -> None:
        """End the connection soon; see `BackendLink.close`."""
        self._end()

    # From the server

    async def _converse(self, sink: BackendSink) -> None:
        options = self._options
        limits = SocketLimits(
            message_size=options.message_bytes, ping_interval=options.ping_interval, ping_timeout=options.ping_timeout
        )
        async with self._open(limits) as socket:
            sink.backend_opened()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_queued, socket)
                await self._receive(socket, sink)
                nursery.cancel_scope.cancel()

    def _open(self, limits: SocketLimits) -> AbstractAsyncContextManager[WebSocket]:
        options = self._options
        return open_socket(
            options.full_url,
            headers=options.headers,
            limits=limits,
            timeout=options.connect_timeout,
            tls=self._tls,
            connect=self._connect,
        )

    async def _receive(self, socket: WebSocket, sink: BackendSink) -> None:
        nonsense = 0
        first_by = trio.current_time() + self._options.first_event_timeout
        try:
            while nonsense < self._options.max_nonsense:
                text = await self._next_text(socket, first_by)
                if text is None:
                    return
                if await self._reader.deliver(text, sink):
                    nonsense = 0
                    self._has_heard.set()
                else:
                    nonsense += 1
        except WebSocketClosed as closed:
            if closed.code != CloseCode.NORMAL or not self._has_heard.is_set():
                self._lose_socket(closed)
        except trio.TooSlowError:
            self._lose(f"it said nothing within {self._options.first_event_timeout:g} seconds")
        else:
            self._lose("it sends what is no Realtime event")

    async def _next_text(self, socket: WebSocket, first_by: float) -> str | None:
        """Wait for the next text; None when the connection was handed over, and the tunnel has ended."""
        while True:
            if self._pause is not None and (tunnel := await self._pause.wait()) is not None:
                await tunnel.pass_on(socket, self._is_flushed, is_tunnel=self._is_tunnelled)
                return None
            with trio.CancelScope() as self._waiting:
                if self._has_heard.is_set():
                    return await socket.receive()
                with trio.fail_at(first_by):
                    return await socket.receive()

    # For a call that moves

    async def hold(self) -> Reading | None:
        """Read no further than to the end of an event; what is to be sent is sent.

        Returns:
            How far it has read; None when it cannot be held now, and goes on.
        """
        if not self._has_heard.is_set() or self._pause is not None or self._scope.cancel_called:
            return None
        self._pause = pause = _Pause()
        self._waiting.cancel()
        reading = None
        try:
            with trio.move_on_after(_HOLD_SECONDS):
                await pause.is_reached.wait()
                if not self._scope.cancel_called:
                    reading = self._reader.reading
        finally:
            if reading is None:
                self.release()
        return reading

    def release(self) -> None:
        """Go on reading."""
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.has_ended.set()

    def hand_over(self, tunnel: Tunnel) -> None:
        """Let another process have the connection; a link that is not held is closed. `run` returns with the tunnel."""
        if self._pause is None or self._scope.cancel_called:
            tunnel.end(TunnelEnd.BACKEND_LOST)
            self._end()
        else:
            self._pause.tunnel = tunnel
            self._pause.has_ended.set()
            self._has_more.set()

    # To the server

    async def _send_queued(self, socket: WebSocket) -> None:
        if self._options.is_beta is None:
            with trio.move_on_after(self._options.dialect_patience):
                await self._has_heard.wait()
        try:
            while True:
                while self._queue:
                    entry = self._queue.popleft()
                    for text in self._texts_of(entry):
                        await socket.send(text)
                    self.queued -= len(entry)
                    self._has_sent.set()
                if self._pause is not None and self._pause.tunnel is not None:
                    return
                self._has_more = trio.Event()
                await self._has_more.wait()
        except WebSocketClosed:
            pass  # whoever receives is told, and tells
        finally:
            self._is_flushed.set()

    def _texts_of(self, entry: str | bytes) -> list[str]:
        if isinstance(entry, bytes):
            return [append_event(entry)]
        if not self._reader.is_beta:
            return [entry]
        return [json.dumps(event, separators=(",", ":")) for event in to_beta(json.loads(entry))]

    def _enqueue(self, entry: str | bytes) -> None:
        if self._scope.cancel_called:
            return
        self._queue.append(entry)
        self.queued += len(entry)
        self._has_more.set()
        if self.queued > self._options.queue_bytes:
            self._end(BackendUnavailable(f"it does not read: {self.queued} bytes wait for it"))

    # The end

    def _lose_socket(self, closed: WebSocketClosed) -> None:
        self._lose(str(closed))

    def _lose(self, reason: str) -> None:
        if self._failure is None:
            self._failure = BackendUnavailable(f"it was lost: {reason}")

    def _end(self, failure: BackendUnavailable | None = None) -> None:
        if not self._scope.cancel_called:
            self._failure = failure
            self._scope.cancel()
            self._queue.clear()
            self._has_sent.set()


def _words_of_refusal(refusal: SocketRefused) -> BackendUnavailable:
    words = f"it refused with {refusal.status}"
    try:
        error = json.loads(refusal.body)["error"]
        words += f": {error['message'] if isinstance(error, dict) else error}"
    except (ValueError, RecursionError, TypeError, LookupError):
        pass  # a proxy's page, or nothing
    is_final = 400 <= refusal.status < 500 and refusal.status not in _PASSING_STATUSES
    return (BackendRefused if is_final else BackendUnavailable)(words[:_MAX_WORDS])
