"""WebSockets: the sideband of a call, and the plain Realtime protocol.

`GET /v1/realtime?call_id=rtc_…` attaches a second control connection to a call, as soon as the call's answer was given;
it is closed when the call ends. `GET /v1/realtime?model=…` reaches a backend without a call. Both are carried to a
transceiver: to the call's own, or to one that is chosen as for a call.

A browser cannot send headers with a WebSocket, so its key comes as a subprotocol, `openai-insecure-api-key.KEY`.
Whatever is wrong with key, call or model is an ordinary response before the upgrade. OpenAI accepts the upgrade and
closes with 3000 instead when a key is bad, so that a browser's page can read why; here, who has no key holds no socket,
and every client that is not a browser reads a status and a sentence.

| the socket ends                              | close code                    |
|----------------------------------------------|-------------------------------|
| the call ended, or the backend's session     | 1000                          |
| signal or the transceiver stops              | 1001                          |
| the client sent bytes                        | 1003                          |
| the client does not read                     | 1008 `client_too_slow`        |
| a message is too long                        | 1009                          |
| the backend or the transceiver was lost      | 1011                          |
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from edge.config.model import SignalConfig
from edge.control.client import ControlClient, TransceiverUnreachable
from edge.http.messages import Request, Response
from edge.http.websocket import Upgrade, UpgradeRefused, offered_subprotocols, refuse_plain_request
from edge.signal import errors
from edge.signal.access import Caller
from edge.signal.calls import CallRoutes, Report
from edge.signal.finding import CallFinder
from edge.signal.fleet import FleetView
from edge.signal.placement import Placement
from edge.signal.relaying import relay
from edge.signal.wishes import choose_wishes
from transceiver.calls import CallWishes, EventSocket, ModelNotAllowed, Overloaded
from transceiver.realtime.beta_socket import BetaSocket
from transceiver.realtime.passthrough import MAX_APPEND_CHARACTERS
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["SocketRoutes", "in_dialect", "key_in_subprotocols", "selected_subprotocol"]

_SUBPROTOCOL = "realtime"
_KEY_PREFIX = "openai-insecure-api-key."
_BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
_BETA_HEADER = "realtime=v1"
_MAX_TRIES = 3
_RETRY_SECONDS = 2.0

_SIDEBAND_LIMITS = SocketLimits()
_REALTIME_LIMITS = SocketLimits(message_size=MAX_APPEND_CHARACTERS, idle_timeout=600.0)

Serve = Callable[[WebSocket], Awaitable[None]]


def key_in_subprotocols(request: Request) -> str | None:
    """Return the key that a browser shows; None when it shows none."""
    keys = (name.removeprefix(_KEY_PREFIX) for name in offered_subprotocols(request) if name.startswith(_KEY_PREFIX))
    return next(keys, None)


class SocketRoutes:
    """`GET /v1/realtime`.

    Args:
        config: the bound on connections of a key.
        placement: chooses transceivers.
        fleet: the transceivers.
        calls: bounds how often an address may come, and all of them together.
        finder: finds calls.
        report: takes a line for the log for each socket.
    """

    def __init__(
        self,
        config: SignalConfig,
        *,
        placement: Placement,
        fleet: FleetView,
        calls: CallRoutes,
        finder: CallFinder,
        report: Report,
    ) -> None:
        self._config = config
        self._placement = placement
        self._fleet = fleet
        self._calls = calls
        self._finder = finder
        self._report = report
        self._passing: Counter[str] = Counter()  # connections to backends, by owner

    async def open(self, request: Request, caller: Caller) -> Response:
        """`GET /v1/realtime?call_id=…` or `?model=…`."""
        refusal = refuse_plain_request(request)
        if refusal is not None:
            return refusal
        call_id = request.query.get("call_id")
        if call_id is not None:
            serve = partial(self._serve_sideband, request, caller, call_id)
            return _upgrade(request, serve, _SIDEBAND_LIMITS)
        wishes = choose_wishes(request, None, caller)
        self._calls.check_rate(request)
        self._check_count(caller.owner)
        await self._calls.wait_for_turn()
        return _upgrade(request, partial(self._serve_realtime, request, caller, wishes), _REALTIME_LIMITS)

    async def _serve_sideband(self, request: Request, caller: Caller, call_id: str, socket: WebSocket) -> None:
        facts = {"request": request.id, "call": call_id}
        async with AsyncExitStack() as stack:

            def open_sideband(client: ControlClient) -> Awaitable[WebSocket]:
                return stack.enter_async_context(client.open_sideband(call_id, caller.owner))

            try:
                transceiver = await self._finder.ask(call_id, open_sideband)
            except Overloaded as refusal:
                message = "The call has too many sidebands."
                raise errors.try_later("sideband_limit_reached", message, refusal.retry_after) from None
            self._report("sideband-attached", facts)
            await relay(socket, transceiver, in_dialect(request, socket))
        self._report("sideband-detached", facts | {"code": socket.closed.code if socket.closed else None})

    async def _serve_realtime(self, request: Request, caller: Caller, wishes: CallWishes, socket: WebSocket) -> None:
        self._check_count(caller.owner)
        self._passing[caller.owner] += 1
        try:
            await self._reach_backend(request, caller, wishes, socket)
        finally:
            self._passing[caller.owner] -= 1
            if not self._passing[caller.owner]:
                del self._passing[caller.owner]

    async def _reach_backend(self, request: Request, caller: Caller, wishes: CallWishes, socket: WebSocket) -> None:
        proposal = self._placement.propose(request, caller.owner, wishes.model)
        members = proposal.members
        if proposal.residency.why and not members:
            self._report("no-permitted-region", {"request": request.id, "why": list(proposal.reasons)})
            raise errors.no_permitted_region(_RETRY_SECONDS)
        refusal = errors.try_later("no_transceiver_available", self._placement.not_ready_reason(), _RETRY_SECONDS)
        for member in members[:_MAX_TRIES]:
            facts = {"request": request.id, "transceiver": member.client.url}
            try:
                async with member.client.open_realtime(wishes) as transceiver:
                    self._report("realtime-opened", facts)
                    await relay(socket, transceiver, in_dialect(request, socket))
            except ModelNotAllowed as refused:
                refusal = errors.model_not_allowed(f"No backend answers for the model {refused.model!r}.")
            except Overloaded as refused:
                message = "No further connection is taken now."
                refusal = errors.try_later("session_limit_reached", message, refused.retry_after)
            except TransceiverUnreachable as failure:
                member.problem = str(failure)  # until it answers its next question
                self._report("transceiver-unreachable", {**facts, "reason": str(failure)})
            else:
                self._report("realtime-closed", facts | {"code": socket.closed.code if socket.closed else None})
                return
        raise refusal

    def _check_count(self, owner: str) -> None:
        bound = self._config.max_calls_per_key
        if bound and self._fleet.calls_of(owner) + self._passing[owner] >= bound:
            raise errors.too_many(f"The API key may have {bound} calls at a time, and has them.", _RETRY_SECONDS)


def _upgrade(request: Request, serve: Serve, limits: SocketLimits) -> Upgrade:
    async def run(socket: WebSocket) -> None:
        try:
            await serve(socket)
        except errors.RequestRefused as refusal:
            raise UpgradeRefused(refusal.response) from refusal

    return Upgrade(run=run, subprotocol=selected_subprotocol(request), limits=limits)


def selected_subprotocol(request: Request) -> str | None:
    """Return the subprotocol to answer with: of what clients offer, only one is a protocol.

    The others carry a key, a version, a dialect.
    """
    return _SUBPROTOCOL if _SUBPROTOCOL in offered_subprotocols(request) else None


def in_dialect(request: Request, socket: WebSocket) -> EventSocket:
    """Return a client's socket in the GA shape, whichever of the two it asked for."""
    asks_for_beta = _BETA_HEADER in request.headers.get("openai-beta", "")
    return BetaSocket(socket) if asks_for_beta or _BETA_SUBPROTOCOL in offered_subprotocols(request) else socket
