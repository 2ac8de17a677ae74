"""A WebSocket in the hands of its handler: refused in time, used, ended for a reason, and counted."""

from collections.abc import Callable

import trio

from edge.http import refusals
from edge.http.messages import FailureHook, Handler, HeaderList, Request, Response
from edge.http.reasons import DropReason, HttpCounts, reason_of_fault
from edge.http.websocket import Upgrade, UpgradeRefused, new_socket
from transceiver.websocket.closing import CloseCode, WebSocketClosed
from transceiver.websocket.connection import WebSocket

__all__ = ["SocketService"]


class SocketService:
    """Lets a handler use one socket, and closes it.

    Args:
        stream: the connection.
        handler: completes a refusal.
        counts: where openings and faults are counted.
        on_failure: told of exceptions of the handler.
        on_open: called when the request is accepted.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        handler: Handler,
        counts: HttpCounts,
        on_failure: FailureHook,
        on_open: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._handler = handler
        self._counts = counts
        self._on_failure = on_failure
        self._on_open = on_open
        self._scope = trio.CancelScope()

    async def serve(self, request: Request, upgrade: Upgrade, received: bytes, headers: HeaderList) -> Response | None:
        """Run the upgrade until it returns.

        Args:
            request: what is upgraded.
            upgrade: what the handler answered.
            received: what came behind the request.
            headers: of the response, beside those of the upgrade.

        Returns:
            What the request gets instead, if the handler refused it after all; None when there was a socket, which is
            closed now.
        """
        socket = new_socket(self._stream, request, upgrade, received, headers, self._opened)
        code, reason = CloseCode.NORMAL, ""
        with self._scope:
            try:
                await upgrade.run(socket)
            except WebSocketClosed:
                pass  # the handler had nothing to do about it
            except UpgradeRefused as refusal:
                if not socket.is_open:
                    return self._handler.refuse(request, refusal.response)
                code, reason = CloseCode.POLICY_VIOLATION, "refused"
            except Exception as error:  # noqa: BLE001 - whatever a handler did wrong, nobody else suffers
                self._counts.drops[DropReason.HANDLER_FAILED] += 1
                self._on_failure(request, error)
                if not socket.is_open:
                    return self._handler.refuse(request, refusals.internal_error(request.id))
                code, reason = CloseCode.INTERNAL_ERROR, f"internal error; quote request {request.id}"
        if self._scope.cancelled_caught:
            code, reason = CloseCode.GOING_AWAY, "the server is stopping"
        await self._end(socket, code, reason)
        return None

    def stop(self) -> None:
        """Tell the client that we go away."""
        self._scope.cancel()

    def _opened(self) -> None:
        self._counts.responses[101] += 1
        self._on_open()

    async def _end(self, socket: WebSocket, code: int, reason: str) -> None:
        await socket.close(code, reason)
        if socket.closed is not None and socket.closed.fault is not None:
            self._counts.drops[reason_of_fault(socket.closed.fault)] += 1
