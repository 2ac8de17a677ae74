"""What happens to every request: who may knock, CORS, the table of routes."""

from collections.abc import Awaitable, Callable, Mapping

from edge.config.model import SignalConfig
from edge.http.health import HEALTH_PATHS, RenderMetrics, add_health_routes
from edge.http.messages import Request, Response
from edge.http.routing import Endpoint, Router
from edge.http.static import StaticFile, add_static_files
from edge.signal.access import Access, is_local
from edge.signal.calls import CallIdOpener, CallRoutes, Report
from edge.signal.cors import CorsPolicy
from edge.signal.errors import RequestRefused
from edge.signal.fleet import FleetView
from edge.signal.placement import Placement

__all__ = ["SignalHandler"]

OwnedEndpoint = Callable[[Request, str], Awaitable[Response]]
"""Answers a request of an owner."""


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
    ) -> None:
        self._cors = CorsPolicy(config.allowed_origins)
        self._access = Access(
            api_keys=config.api_keys, cors=self._cors, listen=config.listen, allowed_hosts=config.allowed_hosts
        )
        self._placement = Placement(config, fleet)
        self._calls = CallRoutes(placement=self._placement, fleet=fleet, call_ids=call_ids, report=report)
        self._router = Router()
        for method, path, endpoint in (
            ("POST", "/v1/realtime/calls", self._calls.create),
            ("GET", "/v1/realtime/calls/{call_id}", self._calls.describe),
            ("DELETE", "/v1/realtime/calls/{call_id}", self._calls.end),
            ("POST", "/v1/realtime/calls/{call_id}/hangup", self._calls.end),
        ):
            self._router.add(method, path, self._owned(endpoint))
        add_health_routes(self._router, self._placement.not_ready_reason, render_metrics)
        add_static_files(self._router, dict(pages or {}))

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
            self._access.owner(request)
        return await self._router.handle(request)

    def _owned(self, endpoint: OwnedEndpoint) -> Endpoint:
        """Let nobody but owners reach an endpoint."""

        async def answer(request: Request) -> Response:
            return await endpoint(request, self._access.owner(request))

        return answer

    def _with_cors(self, request: Request, response: Response) -> Response:
        return response.with_headers(*self._cors.headers(request)) if _is_api(request) else response


def _is_api(request: Request) -> bool:
    return request.path.startswith("/v1/")
