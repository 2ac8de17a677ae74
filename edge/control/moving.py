"""Routes of the control API by which calls move: offered by one transceiver to another, and drained by an operator.

    POST   /control/v1/arrivals/SESSION/GENERATION            a sealed snapshot; answers who will own the call
    POST   /control/v1/arrivals/SESSION/GENERATION/release    it is yours now     ?cluster=&incarnation=&worker=
                                                              and this came for it: `transceiver.handover.kept`
    DELETE /control/v1/arrivals/SESSION/GENERATION            it is not           (the same)
    POST   /control/v1/drain                                  move all calls away
    GET    /control/v1/tunnels/SESSION/GENERATION             a WebSocket: the backend of a call that is yours now
                                                              ?worker=  Tunnel-Token: what its ticket says, in hex

Numbers are decimal. Snapshots are sealed, so neither end of this learns more than whose call it is.
"""

from edge.http.errors import error_response
from edge.http.messages import Request, Response, json_response
from edge.http.routing import Router
from edge.http.websocket import Upgrade, UpgradeRefused, refuse_plain_request
from transceiver.backends.tunnel_ticket import TOKEN_SIZE
from transceiver.handover.movable import Movable
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import HandOverRefused, Offered
from transceiver.handover.tunnels import TunnelRefused
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["TUNNEL_TOKEN_HEADER", "MovingRoutes"]

TUNNEL_TOKEN_HEADER = "Tunnel-Token"  # noqa: S105 - the name of a header
_TUNNEL_LIMITS = SocketLimits(message_size=4_194_304)
"""What goes to a backend is audio in small pieces, and events of clients, of a mebibyte at most."""

_MAX_SESSION = (1 << 64) - 1
_MAX_GENERATION = 0xFFFF


class MovingRoutes:
    """Answers transceivers and operators.

    Args:
        movable: whose calls move.
    """

    def __init__(self, movable: Movable) -> None:
        self._movable = movable

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("POST", "/control/v1/arrivals/{session}/{generation}", self._offer)
        router.add("POST", "/control/v1/arrivals/{session}/{generation}/release", self._release)
        router.add("DELETE", "/control/v1/arrivals/{session}/{generation}", self._withdraw)
        router.add("POST", "/control/v1/drain", self._drain)
        router.add("GET", "/control/v1/tunnels/{session}/{generation}", self._tunnel)

    async def _offer(self, request: Request) -> Response:
        offered = _offered(request)
        if offered is None:
            return _bad_request()
        try:
            owner = await self._movable.accept_call(offered)
        except HandOverRefused as refusal:
            return error_response(409, "not_taken", str(refusal))
        return json_response(200, {"cluster": owner.cluster, "incarnation": owner.incarnation, "worker": owner.worker})

    async def _release(self, request: Request) -> Response:
        offered, owner = _offered(request), _owner(request)
        if offered is None or owner is None:
            return _bad_request()
        await self._movable.release_call(offered, owner, request.body)
        return json_response(200, {})

    async def _withdraw(self, request: Request) -> Response:
        offered, owner = _offered(request), _owner(request)
        if offered is None or owner is None:
            return _bad_request()
        await self._movable.withdraw_call(offered, owner)
        return json_response(200, {})

    async def _drain(self, _request: Request) -> Response:
        await self._movable.start_drain()
        return json_response(202, {"draining": True})

    async def _tunnel(self, request: Request) -> Response:
        offered, worker = _offered(request), _number(request.query.get("worker", ""), 0xFF)
        token = _token_of(request)
        if offered is None or worker is None or token is None:
            return _bad_request()

        async def serve(socket: WebSocket) -> None:
            try:
                await self._movable.serve_tunnel(worker, offered.session, offered.generation, token, socket)
            except TunnelRefused:
                raise UpgradeRefused(error_response(404, "no_tunnel", "There is no such tunnel.")) from None

        return refuse_plain_request(request) or Upgrade(run=serve, limits=_TUNNEL_LIMITS)


def _token_of(request: Request) -> bytes | None:
    try:
        token = bytes.fromhex(request.headers.get(TUNNEL_TOKEN_HEADER.lower(), ""))
    except ValueError:
        return None
    return token if len(token) == TOKEN_SIZE else None


def _bad_request() -> Response:
    return error_response(400, "invalid_request", "session, generation and owner are decimal numbers")


def _number(text: str, maximum: int) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= maximum else None


def _offered(request: Request) -> Offered | None:
    session = _number(request.parameters["session"], _MAX_SESSION)
    generation = _number(request.parameters["generation"], _MAX_GENERATION)
    if session is None or not generation:
        return None
    return Offered(session=session, generation=generation, snapshot=request.body)


def _owner(request: Request) -> Owner | None:
    query = request.query
    cluster = _number(query.get("cluster", ""), 0xFFFF)
    incarnation = _number(query.get("incarnation", ""), 0xFFFF_FFFF)
    worker = _number(query.get("worker", ""), 0xFF)
    if cluster is None or incarnation is None or worker is None:
        return None
    return Owner(cluster=cluster, incarnation=incarnation, worker=worker)
