"""The transceiver's end of the control API's WebSockets: a handler over its `Conversations`.

The socket is opened by whoever serves the conversation, with its first use; what is refused before is an ordinary
response with the same codes as any other request's.

| how the conversation ends                 | close code                          |
|-------------------------------------------|-------------------------------------|
| the call ended, or the backend's session  | 1000                                |
| this process stops                        | 1001 (`edge.http.connection`)       |
| the client does not read                  | 1008 `client_too_slow`              |
| the backend was lost                      | 1011 `backend_disconnected`         |
"""

from functools import partial

from edge.control import refusals
from edge.control.messages import WISHES_HEADER, BadMessage, decode_wishes
from edge.http.errors import error_response
from edge.http.messages import Request, Response
from edge.http.routing import Router
from edge.http.websocket import RunSocket, Upgrade, UpgradeRefused, refuse_plain_request
from transceiver.backends.contract import BackendUnavailable
from transceiver.calls import (
    CallMoved,
    CallNotFound,
    Conversations,
    ModelNotAllowed,
    NotOwner,
    Overloaded,
    WorkerUnreachable,
)
from transceiver.realtime.passthrough import MAX_APPEND_CHARACTERS, ClientTooSlow
from transceiver.websocket.closing import CloseCode
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["ConversationRoutes"]

_SIDEBAND_LIMITS = SocketLimits()
_REALTIME_LIMITS = SocketLimits(message_size=MAX_APPEND_CHARACTERS)


class ConversationRoutes:
    """Lets signal take part in conversations.

    Args:
        conversations: what is taken part in.
    """

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    def add_to(self, router: Router) -> None:
        """Route both kinds of socket."""
        router.add("GET", "/control/v1/calls/{call_id}/sideband", self._sideband)
        router.add("GET", "/control/v1/realtime", self._realtime)

    async def _sideband(self, request: Request) -> Response:
        call_id, owner = request.parameters["call_id"], request.query.get("owner")

        async def serve(socket: WebSocket) -> None:
            await self._conversations.serve_sideband(call_id, owner, socket)

        return refuse_plain_request(request) or Upgrade(run=partial(_refusing, serve), limits=_SIDEBAND_LIMITS)

    async def _realtime(self, request: Request) -> Response:
        try:
            wishes = decode_wishes(request.headers.get(WISHES_HEADER.lower(), ""))
        except BadMessage as error:
            return error_response(400, "invalid_request", str(error))

        async def serve(socket: WebSocket) -> None:
            await self._conversations.serve_realtime(wishes, socket)

        return refuse_plain_request(request) or Upgrade(run=partial(_refusing, serve), limits=_REALTIME_LIMITS)


async def _refusing(serve: RunSocket, socket: WebSocket) -> None:
    """Serve a conversation, and word how it is refused or ends."""
    try:
        await serve(socket)
    except CallNotFound:
        raise UpgradeRefused(refusals.call_not_found()) from None
    except CallMoved as moved:
        raise UpgradeRefused(refusals.call_moved(moved)) from None
    except NotOwner:
        raise UpgradeRefused(refusals.not_owner()) from None
    except ModelNotAllowed as refusal:
        raise UpgradeRefused(refusals.model_not_allowed(refusal)) from None
    except Overloaded as refusal:
        raise UpgradeRefused(refusals.overloaded(refusal)) from None
    except WorkerUnreachable as failure:
        raise UpgradeRefused(refusals.worker_unreachable(failure)) from None
    except BackendUnavailable:
        await socket.close(CloseCode.INTERNAL_ERROR, "backend_disconnected")
    except ClientTooSlow:
        await socket.close(CloseCode.POLICY_VIOLATION, "client_too_slow")
