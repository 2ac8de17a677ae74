"""What happens to every request: who may knock, CORS, the table of routes."""

import time
from collections.abc import Awaitable, Callable, Mapping

from edge.config.model import SignalConfig
from edge.http.health import HEALTH_PATHS, RenderMetrics, add_health_routes
from edge.http.messages import Request, Response
from edge.http.routing import Endpoint, Router
from edge.http.static import StaticFile, add_static_files
from edge.signal.access import Access, Caller, is_local
from edge.signal.calls import CallRoutes, Report
from edge.signal.client_secrets import ClientSecretKeys
from edge.signal.cors import CorsPolicy
from edge.signal.errors import RequestRefused
from edge.signal.finding import CallFinder, CallIdOpener
from edge.signal.fleet import FleetView
from edge.signal.fleet_routes import FleetRoutes
from edge.signal.geography import Geography
from edge.signal.minting import MintingRoutes
from edge.signal.placement import Placement
from edge.signal.sideband import SocketRoutes, key_in_subprotocols
from transceiver.handover.ownership import OwnershipStore

__all__ = ["SignalHandler"]

CallEndpoint = Callable[[Request, Caller], Awaitable[Response]]
"""Answers a request of whoever has shown an API key or a client secret."""

KeyEndpoint = Callable[[Request, str], Awaitable[Response]]
"""Answers a request of whoever has shown an API key, or needs none; is told its digest."""

_PREFIXES = ("/v1/realtime", "/openai/v1/realtime")  # the second is Azure's way to say the same


def _silent(_name: str, _facts: Mapping[str, object]) -> None:
    """Report to nobody."""


class SignalHandler:
    """Answers browsers, and whoever else makes calls.

    Args:
        config: keys, origins, hosts, ingresses, regions.
        fleet: the transceivers; somebody else runs it.
        call_ids: reads call ids.
        pages: the files of the page.
        render_metrics: the body of `/metrics`.
        report: takes a line for the log for whatever became of a call.
        client_secrets: mints and opens client secrets; None for a node without their key.
        ownership: knows who has a call that has moved; None where calls never move.
        unix_time: wall clock, for the expiry of client secrets.
        geography: regions, and what calls have shown of the ways to them; None for one made of `config` alone.

    Raises:
        ValueError: an API key is empty.
    """

    def __init__(
        self,
        config: SignalConfig,
        *,
        fleet: FleetView,
        call_ids: CallIdOpener,
        pages: Mapping[str, StaticFile] | None = None,
        render_metrics: RenderMetrics = lambda: b"",
        report: Report = _silent,
        client_secrets: ClientSecretKeys | None = None,
        ownership: OwnershipStore | None = None,
        unix_time: Callable[[], float] = time.time,
        geography: Geography | None = None,
    ) -> None:
        self._cors = CorsPolicy(config.allowed_origins)
        self._access = Access(
            api_keys=config.api_keys,
            cors=self._cors,
            listen=config.listen,
            allowed_hosts=config.allowed_hosts,
            client_secrets=client_secrets,
            unix_time=unix_time,
        )
        self._placement = Placement(geography or Geography(config), fleet)
        finder = CallFinder(fleet, call_ids, ownership)
        self._calls = CallRoutes(config, placement=self._placement, fleet=fleet, finder=finder, report=report)
        self._sockets = SocketRoutes(
            config, placement=self._placement, fleet=fleet, calls=self._calls, finder=finder, report=report
        )
        self._minting = MintingRoutes(keys=client_secrets, unix_time=unix_time, report=report)
        self._router = Router()
        for prefix in _PREFIXES:
            self._add_realtime_routes(prefix)
        fleet_routes = FleetRoutes(self._placement, fleet)
        self._router.add("GET", "/fleet/state", self._for_operators(fleet_routes.state))
        self._router.add("GET", "/fleet/members", self._for_operators(fleet_routes.members))
        self._router.add("GET", "/fleet/where", self._for_operators(fleet_routes.where))
        add_health_routes(self._router, self._placement.not_ready_reason, render_metrics)
        add_static_files(self._router, dict(pages or {}))

    def _add_realtime_routes(self, prefix: str) -> None:
        for method, path, call_endpoint in (
            ("POST", "", self._calls.create),
            ("GET", "", self._sockets.open),
            ("POST", "/calls", self._calls.create),
            ("GET", "/calls/{call_id}", self._calls.describe),
            ("PATCH", "/calls/{call_id}", self._calls.update),
            ("DELETE", "/calls/{call_id}", self._calls.end),
            ("POST", "/calls/{call_id}/hangup", self._calls.end),
            ("POST", "/calls/{call_id}/accept", self._calls.refuse_sip),
            ("POST", "/calls/{call_id}/refer", self._calls.refuse_sip),
            ("POST", "/calls/{call_id}/reject", self._calls.refuse_sip),
        ):
            self._router.add(method, prefix + path, self._for_callers(call_endpoint))
        for path, key_endpoint in (
            ("/client_secrets", self._minting.client_secret),
            ("/sessions", self._minting.beta_session),
            ("/transcription_sessions", self._minting.beta_transcription_session),
        ):
            self._router.add("POST", prefix + path, self._for_key_holders(key_endpoint))

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            response = await self._answer(request)
        except RequestRefused as refusal:
            response = refusal.response
        return self._with_cors(request, response)

    def refuse(self, request: Request, response: Response) -> Response:
        """Let pages read the server's refusals."""
        return self._with_cors(request, response)

    async def _answer(self, request: Request) -> Response:
        if request.path in HEALTH_PATHS:
            return await self._router.handle(request)  # probes come from anywhere and name us by address
        self._access.check(request)
        if request.method == "OPTIONS" and (request.path == "*" or _is_api(request)):
            return self._cors.preflight(request)
        if request.path == "/metrics" and not is_local(request):
            self._access.key_holder(request)
        return await self._router.handle(request)

    def _for_callers(self, endpoint: CallEndpoint) -> Endpoint:
        """Let nobody reach an endpoint without an API key or a client secret."""

        async def answer(request: Request) -> Response:
            return await endpoint(request, self._access.caller(request, key_in_subprotocols(request)))

        return answer

    def _for_key_holders(self, endpoint: KeyEndpoint) -> Endpoint:
        """Let nobody reach an endpoint without an API key."""

        async def answer(request: Request) -> Response:
            return await endpoint(request, self._access.key_holder(request))

        return answer

    def _for_operators(self, endpoint: KeyEndpoint) -> Endpoint:
        """Let nobody reach an endpoint without an API key, but on this machine."""

        async def answer(request: Request) -> Response:
            return await endpoint(request, self._access.operator(request))

        return answer

    def _with_cors(self, request: Request, response: Response) -> Response:
        return response.with_headers(*self._cors.headers(request)) if _is_api(request) else response


def _is_api(request: Request) -> bool:
    return request.path.startswith(("/v1/", "/openai/"))
