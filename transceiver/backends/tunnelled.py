"""A backend whose connection another process has: that of the call's last owner, which passes texts on.

It goes on in the middle of everything, so it says hello to nobody. It ends as the backend's connection does, or with
`TunnelEnded`, and then the backend may be connected anew.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from transceiver.backends.contract import BackendSink, BackendUnavailable
from transceiver.backends.realtime import RealtimeLink
from transceiver.backends.realtime_options import RealtimeOptions
from transceiver.backends.tunnel import TunnelCloseCode
from transceiver.backends.tunnel_ticket import Reading
from transceiver.websocket.closing import WebSocketClosed
from transceiver.websocket.connecting import SocketUnreachable
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["OpenTunnel", "TunnelEnded", "TunnelledLink"]

OpenTunnel = Callable[[SocketLimits], AbstractAsyncContextManager[WebSocket]]
"""Opens the way to a tunnel; raises `SocketUnreachable` when it is not there."""


class TunnelEnded(BackendUnavailable):
    """The tunnel has ended, and the backend has not: it may be connected anew."""


class TunnelledLink(RealtimeLink):
    """See `RealtimeLink`.

    Args:
        options: the server, as far as it matters here.
        open_tunnel: opens the way.
        reading: how far the last owner has read.
    """

    def __init__(self, options: RealtimeOptions, open_tunnel: OpenTunnel, reading: Reading) -> None:
        super().__init__(options)
        self._open_tunnel = open_tunnel
        self._is_tunnelled = True
        self._reader.reading = reading
        self._has_heard.set()

    async def run(self, sink: BackendSink) -> None:
        """Take the tunnel and deliver; see `BackendLink.run`.

        Raises:
            TunnelEnded: it could not be taken, or has ended.
            BackendUnavailable: the backend was lost.
        """
        with self._scope:
            try:
                await self._converse(sink)
            except SocketUnreachable as error:
                self._failure = TunnelEnded(f"the tunnel to it could not be taken: {error}")
        if self._failure is not None:
            raise self._failure

    def _open(self, limits: SocketLimits) -> AbstractAsyncContextManager[WebSocket]:
        return self._open_tunnel(limits)

    def _lose_socket(self, closed: WebSocketClosed) -> None:
        if closed.code == TunnelCloseCode.BACKEND_LOST:
            self._lose(closed.reason or "in the process that has its connection")
        elif self._failure is None:
            self._failure = TunnelEnded(f"the tunnel to it has ended: {closed}")
