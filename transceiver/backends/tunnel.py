"""A backend's connection that stays in its process while the call goes on in another: texts passed on both ways.

    backend ⇄ RealtimeLink's socket ⇄ Tunnel ⇄ taker's socket ⇄ TunnelledLink in the new owner

Goal: neither end, however slow or hostile, makes this process grow, and none keeps it longer than was agreed. There is
no queue in here: a text is read when the one before was written, so TCP holds back who is faster, and the sockets'
limits bound one text. What is passed on is not looked at. How it ended is told with the close code only, which the
backend does not choose.

Who may become the taker is decided before (`transceiver.handover.tunnels`).
"""

import enum
from collections.abc import Callable

import trio

from transceiver.calls import SocketClosed
from transceiver.websocket.closing import CloseCode
from transceiver.websocket.connection import WebSocket

__all__ = ["Tunnel", "TunnelCloseCode", "TunnelEnd"]


class TunnelEnd(enum.StrEnum):
    """Why a tunnel has ended."""

    HUNG_UP = "hung-up"
    """The backend has said goodbye."""
    BACKEND_LOST = "backend-lost"
    TAKER_LEFT = "taker-left"
    """The new owner does without it: its call is over, or it has connected anew; or it was lost."""
    NOT_TAKEN = "not-taken"
    DEADLINE = "deadline"
    BROKEN = "broken"
    """The one behind it has ended: the call has moved more than once."""
    STOPPED = "stopped"
    """This process ends."""


class TunnelCloseCode(enum.IntEnum):
    """What the taker is told, beside 1000 for a backend that has said goodbye. RFC 6455 §7.4.2: private codes."""

    BACKEND_LOST = 4001
    CONNECT_ANEW = 4002


class Tunnel:
    """One connection, and its taker when there is one.

    Args:
        taken_within: seconds that it waits for its taker.
        until: when it ends at the latest, in monotonic seconds.

    Attributes:
        ended: why it has ended; None while it has not.
        on_ended: called once with that, when it has.
    """

    def __init__(self, *, taken_within: float, until: float) -> None:
        self.ended: TunnelEnd | None = None
        self.on_ended: Callable[[TunnelEnd], None] = lambda _: None
        self._taken_within = taken_within
        self._scope = trio.CancelScope(deadline=until)
        self._taker: WebSocket | None = None
        self._has_taker = trio.Event()
        self._is_over = trio.Event()

    @property
    def is_taken(self) -> bool:
        """Whether somebody has it, or had it."""
        return self._taker is not None

    async def serve(self, taker: WebSocket) -> TunnelEnd:
        """Let its one taker have it; returns why it has ended, the socket with what is to be said of it.

        Cancellation ends the tunnel.
        """
        self._taker = taker
        self._has_taker.set()
        try:
            await self._is_over.wait()
        finally:
            self.end(TunnelEnd.TAKER_LEFT)
        ended = self.ended or TunnelEnd.STOPPED
        if ended is TunnelEnd.BACKEND_LOST:
            await taker.close(TunnelCloseCode.BACKEND_LOST, ended)
        elif ended is not TunnelEnd.HUNG_UP:
            await taker.close(TunnelCloseCode.CONNECT_ANEW, ended)
        else:
            await taker.close(CloseCode.NORMAL)
        return ended

    def end(self, reason: TunnelEnd) -> None:
        """End it soon, if it has not ended."""
        if self.ended is None:
            self.ended = reason
            self._scope.cancel()
            self.on_ended(reason)

    async def pass_on(self, backend: WebSocket, is_flushed: trio.Event, *, is_tunnel: bool = False) -> None:
        """Wait for the taker, and pass texts on until either side ends; the backend's socket is its owner's.

        Args:
            backend: the connection.
            is_flushed: set when all is sent that goes before the taker's first text.
            is_tunnel: whether another tunnel is at the other end of it: the call has moved more than once.
        """
        try:
            with self._scope:
                with trio.move_on_after(self._taken_within):
                    await self._has_taker.wait()
                if self._taker is None:
                    self.end(TunnelEnd.NOT_TAKEN)
                    return
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._to_backend, self._taker, backend, is_flushed, is_tunnel)
                    await self._to_taker(backend, self._taker, is_tunnel)
            self.end(TunnelEnd.DEADLINE)  # unless there was another reason
        finally:
            self.end(TunnelEnd.STOPPED)
            self._is_over.set()

    async def _to_backend(self, taker: WebSocket, backend: WebSocket, is_flushed: trio.Event, is_tunnel: bool) -> None:
        await is_flushed.wait()
        while True:
            try:
                text = await taker.receive()
            except SocketClosed:
                return self.end(TunnelEnd.TAKER_LEFT)
            try:
                await backend.send(text)
            except SocketClosed:
                return self.end(_ended_by(backend, is_tunnel=is_tunnel))

    async def _to_taker(self, backend: WebSocket, taker: WebSocket, is_tunnel: bool) -> None:
        while True:
            try:
                text = await backend.receive()
            except SocketClosed:
                return self.end(_ended_by(backend, is_tunnel=is_tunnel))
            try:
                await taker.send(text)
            except SocketClosed:
                return self.end(TunnelEnd.TAKER_LEFT)
            # The kernel takes much at once, and others have calls, too.
            await trio.lowlevel.checkpoint()


def _ended_by(backend: WebSocket, *, is_tunnel: bool) -> TunnelEnd:
    code = None if backend.closed is None else backend.closed.code
    if code == CloseCode.NORMAL:
        return TunnelEnd.HUNG_UP
    # That the process behind has died says nothing of the backend.
    return TunnelEnd.BROKEN if is_tunnel and code != TunnelCloseCode.BACKEND_LOST else TunnelEnd.BACKEND_LOST
