"""What every tier says about itself: alive, ready, and its numbers."""

from collections.abc import Callable

from edge.http.errors import error_response
from edge.http.messages import Request, Response, json_response
from edge.http.routing import Router

__all__ = ["HEALTH_PATHS", "NotReadyReason", "RenderMetrics", "add_health_routes"]

NotReadyReason = Callable[[], str]
"""Tells why a tier cannot do its work now; empty when it can."""

RenderMetrics = Callable[[], bytes]
"""Writes the metrics in the text format of Prometheus."""

HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
"""What an orchestrator asks without a key; neither says anything that is worth one."""


def add_health_routes(router: Router, not_ready_reason: NotReadyReason, render_metrics: RenderMetrics) -> None:
    """Route `/healthz`, `/readyz` and `/metrics`.

    The first answers as long as the process serves at all: restarting a process that only waits for another tier would
    help nobody. The second tells whether to send it work.
    """

    async def healthz(_request: Request) -> Response:
        return json_response(200, {"status": "ok"})

    async def readyz(_request: Request) -> Response:
        reason = not_ready_reason()
        if reason:
            return error_response(503, "not_ready", reason, headers=(("Retry-After", "1"),))
        return json_response(200, {"status": "ready"})

    async def metrics(_request: Request) -> Response:
        headers = (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"), ("Cache-Control", "no-store"))
        return Response(status=200, headers=headers, body=render_metrics())

    router.add("GET", "/healthz", healthz)
    router.add("GET", "/readyz", readyz)
    router.add("GET", "/metrics", metrics)
