"""What the tiers' HTTP servers have in common."""

from collections.abc import Callable, Mapping

import trio

from edge.http.messages import Request
from edge.http.server import HttpServer, open_listener
from edge.metrics import Metrics
from edge.reports import Report
from edge.start import StartError
from wire.core import Address

__all__ = ["add_http_metrics", "failure_hook", "open_http"]


async def open_http(key: str, address: Address) -> trio.SocketListener:
    """Listen for HTTP.

    Raises:
        StartError: the address cannot be bound; names `key`.
    """
    try:
        return await open_listener(address)
    except OSError as error:
        raise StartError.for_address(key, address, error) from None


def failure_hook(report: Report) -> Callable[[Request | None, Exception], None]:
    """Report exceptions of an HTTP server that should not have happened."""

    def failed(request: Request | None, error: Exception) -> None:
        facts: Mapping[str, object] = {} if request is None else {"request": request.id, "path": request.path}
        report("internal-error", {**facts, "exception": error})

    return failed


def add_http_metrics(metrics: Metrics, tier: str, server: HttpServer) -> None:
    """Count what an HTTP server does."""
    metrics.add_counters(
        f"{tier}_http_responses", "HTTP responses sent, by status.", "status", lambda: server.counts.responses
    )
    metrics.add_counters(
        f"{tier}_http_drops", "HTTP requests and connections refused, by reason.", "reason", lambda: server.counts.drops
    )
    metrics.add_gauge(f"{tier}_http_connections", "Open HTTP connections.", lambda: server.connection_count)
