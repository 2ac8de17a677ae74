"""The transceiver's end of the control API: a handler over its `Calls`."""

import hmac
import re
from collections.abc import Awaitable, Callable, Iterable

from edge.control import refusals
from edge.control.messages import BadMessage, CallRequest, ice_updated_to_fields, read_ice_update
from edge.control.moving import MovingRoutes
from edge.control.sockets import ConversationRoutes
from edge.control.tls import may_ask, role_uri, roles_of
from edge.http.bearer import BearerKeys
from edge.http.errors import error_response
from edge.http.health import HEALTH_PATHS, RenderMetrics, add_health_routes
from edge.http.limits import HttpLimits
from edge.http.messages import Request, Response, json_response
from edge.http.routing import Router
from transceiver.calls import (
    CallMoved,
    CallNotFound,
    Calls,
    Conversations,
    FragmentRefused,
    IceSessionChanged,
    ModelNotAllowed,
    NotOwner,
    OfferRefused,
    Overloaded,
    WorkerUnreachable,
)
from transceiver.handover.movable import Movable

__all__ = ["CONTROL_LIMITS", "ControlHandler"]

CONTROL_LIMITS = HttpLimits(body_bytes=1_048_576, header_bytes=131_072, connections=8192, connections_per_source=4096)
"""An offer grows when it is written as JSON, a socket's request carries a session configuration in a header, and one
signal node may hold many connections: each sideband is one."""

_WORKER = re.compile("[0-9]{1,3}")


class ControlHandler:
    """Answers signal.

    The health pages and metrics need no key: the address is inside the operator's network, and probes have none.

    Args:
        calls: what is controlled.
        keys: bearer keys, derived from the control keys that are valid now; at least one.
        render_metrics: the body of `/metrics`.
        conversations: what sockets take part in; None for no sockets.
        movable: whose calls move; None where they do not.
        needs_certificate: whether a client must have shown a certificate of a role that may command; may be changed.
        starting: tells why the start is not over; empty when it is. From then on it is not asked any more.

    Raises:
        ValueError: there is no key, or an empty one.
    """

    def __init__(
        self,
        calls: Calls,
        keys: Iterable[str],
        render_metrics: RenderMetrics = lambda: b"",
        conversations: Conversations | None = None,
        *,
        movable: Movable | None = None,
        needs_certificate: bool = False,
        starting: Callable[[], str] = lambda: "",
    ) -> None:
        self._calls = calls
        self._starting: Callable[[], str] | None = starting
        self.needs_certificate = needs_certificate
        self.replace_keys(keys)
        self._router = Router()
        self._router.add("POST", "/control/v1/calls", self._create)
        for method, endpoint in (("GET", self._describe), ("PATCH", self._update), ("DELETE", self._end)):
            self._router.add(method, "/control/v1/calls/{call_id}", _about_a_call(endpoint))
        self._router.add("GET", "/control/v1/status", self._status)
        if conversations is not None:
            ConversationRoutes(conversations).add_to(self._router)
        self._movable = movable
        if movable is not None:
            MovingRoutes(movable).add_to(self._router)
        add_health_routes(self._router, self._not_ready_reason, render_metrics)

    def replace_keys(self, keys: Iterable[str]) -> None:
        """Accept these keys and no others from here on.

        Raises:
            ValueError: there is no key, or an empty one; the old ones stay.
        """
        bearer = BearerKeys(keys)
        if not len(bearer):
            raise ValueError("the control API needs a key")
        self._bearer = bearer

    async def handle(self, request: Request) -> Response:
        """Answer one request; nothing but health and metrics without a key."""
        if request.path in HEALTH_PATHS or request.path == "/metrics":
            return await self._router.handle(request)
        if self.needs_certificate and (refusal := _certificate_problem(request)) is not None:
            return refusal
        if self._bearer.holder(request.headers.get("authorization", "")) is None:
            message = "The control API needs the bearer key that is derived from the control key."
            return error_response(401, "invalid_control_key", message, headers=(("WWW-Authenticate", "Bearer"),))
        return await self._router.handle(request)

    def refuse(self, request: Request, response: Response) -> Response:
        """Leave the server's refusals as they are."""
        return self._router.refuse(request, response)

    async def _create(self, request: Request) -> Response:
        try:
            wanted = CallRequest.from_json(request.body)
        except BadMessage as error:
            return error_response(400, "invalid_request", str(error))
        try:
            created = await self._calls.create_call(wanted.offer, wanted.ingresses, wanted.owner, wanted.wishes)
        except OfferRefused as error:
            return error_response(400, "invalid_offer", str(error), param="offer")
        except ModelNotAllowed as error:
            return refusals.model_not_allowed(error)
        except Overloaded as error:
            return refusals.overloaded(error)
        fields = {"call_id": created.call_id, "answer": created.answer, "ice_tag": created.ice_tag}
        return json_response(201, fields)

    async def _describe(self, request: Request) -> Response:
        state = await self._calls.describe_call(request.parameters["call_id"])
        owner = request.query.get("owner")
        if owner is not None and not hmac.compare_digest(str(state["owner"]).encode(), owner.encode()):
            return refusals.not_owner()
        return json_response(200, state)

    async def _update(self, request: Request) -> Response:
        try:
            update = read_ice_update(request.body)
        except BadMessage as error:
            return error_response(400, "invalid_request", str(error))
        try:
            updated = await self._calls.update_call(request.parameters["call_id"], request.query.get("owner"), update)
        except FragmentRefused as refusal:
            return refusals.fragment_refused(str(refusal))
        except IceSessionChanged as refusal:
            return refusals.ice_session_changed(str(refusal))
        except Overloaded as refusal:
            return refusals.overloaded(refusal)
        return json_response(200, ice_updated_to_fields(updated))

    async def _end(self, request: Request) -> Response:
        await self._calls.end_call(request.parameters["call_id"], request.query.get("owner"))
        return json_response(200, {})

    async def _status(self, request: Request) -> Response:
        worker = _WORKER.fullmatch(request.query.get("worker", ""))
        if worker is not None and self._movable is not None:
            await self._movable.hear_worker(int(worker[0]))
        return json_response(200, self._calls.status())

    def _not_ready_reason(self) -> str:
        status = self._calls.status()
        if not status.get("ready"):
            return str(status.get("reason") or "not ready")
        if self._starting is not None and (reason := self._starting()):
            return reason
        self._starting = None
        return ""


def _certificate_problem(request: Request) -> Response | None:
    """Tell why a client may not command; None when its certificate says that it may."""
    if request.certificate_uris is None:
        message = "The control API needs a client certificate of the authority in transceiver.tls_client_ca."
        return error_response(403, "client_certificate_required", message)
    roles = roles_of(request.certificate_uris)
    if may_ask(roles, request.path):
        return None
    told = ", ".join(sorted(roles)) or "none"
    message = f"The certificate tells the role {told}, which may not ask this; it needs the URI {role_uri('signal')}."
    return error_response(403, "wrong_role", message)


def _about_a_call(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Word what every command about a call may be refused for."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except CallNotFound:
            return refusals.call_not_found()
        except CallMoved as moved:
            return refusals.call_moved(moved)
        except NotOwner:
            return refusals.not_owner()
        except WorkerUnreachable as failure:
            return refusals.worker_unreachable(failure)

    return answer
