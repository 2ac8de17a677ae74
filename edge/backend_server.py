"""An agent as a Realtime WebSocket server: what `trio-voice backend` serves.

Clients of the Realtime WebSocket and `trio-voice serve --backend realtime:URL` reach the agent alike, with the same
rules that a call has (`transceiver.realtime.passthrough`). Who may come in is signal's business everywhere, and so it
is here (`edge.signal.access`): without a key, only this machine, and no page of another origin.
"""

import os

from edge.http.errors import error_response
from edge.http.health import HEALTH_PATHS, add_health_routes
from edge.http.messages import Request, Response
from edge.http.routing import Router
from edge.http.websocket import Upgrade, refuse_plain_request
from edge.reports import Report
from edge.signal.access import Access
from edge.signal.cors import CorsPolicy
from edge.signal.errors import RequestRefused
from edge.signal.sideband import in_dialect, key_in_subprotocols, selected_subprotocol
from transceiver.agents.contract import Agent
from transceiver.backends.agent import AgentLink
from transceiver.backends.contract import BackendUnavailable
from transceiver.realtime.options import BackendProfile
from transceiver.realtime.passthrough import MAX_APPEND_CHARACTERS, ClientTooSlow, PassThroughOptions, pass_through
from transceiver.websocket.closing import CloseCode
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits
from wire.core import Address

__all__ = ["BackendHandler"]

_PATHS = ("/v1/realtime", "/openai/v1/realtime")  # the second is Azure's way to say the same
_LIMITS = SocketLimits(message_size=MAX_APPEND_CHARACTERS)
_PROFILE = BackendProfile(
    unsupported_fields=frozenset(), turn_detection_types=frozenset({"server_vad", "semantic_vad", "none"})
)


class BackendHandler:
    """Connects each client to an agent of its own.

    Args:
        agent: the function.
        listen: the address listened on.
        api_key: what clients must show; None lets everybody on this machine in.
        report: takes a line for the log for each conversation.

    Raises:
        ValueError: the key is empty.
    """

    def __init__(self, agent: Agent, *, listen: Address, api_key: str | None, report: Report) -> None:
        self._agent = agent
        self._report = report
        api_keys = () if api_key is None else (api_key,)
        self._access = Access(api_keys=api_keys, cors=CorsPolicy(), listen=listen)
        self._router = Router()
        for path in _PATHS:
            self._router.add("GET", path, self._open)
        add_health_routes(self._router, lambda: "", lambda: b"")

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            if request.path not in HEALTH_PATHS:
                self._access.check(request)
            response = await self._router.handle(request)
        except RequestRefused as refusal:
            return refusal.response
        if response.status == 404:
            return error_response(404, "not_found", f"The agent answers WebSockets at {_PATHS[0]}.")
        return response

    def refuse(self, request: Request, response: Response) -> Response:
        """Leave the server's refusals as they are."""
        return self._router.refuse(request, response)

    async def _open(self, request: Request) -> Response:
        self._access.caller(request, key_in_subprotocols(request))
        refusal = refuse_plain_request(request)
        if refusal is not None:
            return refusal

        async def run(socket: WebSocket) -> None:
            await self._converse(request, socket)

        return Upgrade(run=run, subprotocol=selected_subprotocol(request), limits=_LIMITS)

    async def _converse(self, request: Request, socket: WebSocket) -> None:
        facts = {"peer": request.peer[0], "request": request.id}
        self._report("conversation-began", facts | {"model": request.query.get("model", "")})
        link = AgentLink(self._agent, entropy=os.urandom, model=request.query.get("model", ""))
        options = PassThroughOptions(profile=_PROFILE)
        try:
            await pass_through(in_dialect(request, socket), link, entropy=os.urandom, options=options)
        except BackendUnavailable as failure:
            self._report("agent-failed", facts | {"reason": str(failure)})
            await socket.close(CloseCode.INTERNAL_ERROR, "backend_disconnected")
        except ClientTooSlow as failure:
            self._report("client-too-slow", facts | {"reason": str(failure)})
            await socket.close(CloseCode.POLICY_VIOLATION, "client_too_slow")
        else:
            self._report("conversation-ended", facts)
