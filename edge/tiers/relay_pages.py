"""The pages of a relay: its health and its metrics."""

from collections.abc import Callable

import trio

from edge.http.health import add_health_routes
from edge.http.routing import Router
from edge.http.server import HttpServer
from edge.tiers.serving import add_http_metrics, failure_hook, open_http
from edge.tiers.tier import Surroundings
from wire.core import Address

__all__ = ["RelayPages"]

_PATIENCE = 1.0


class RelayPages:
    """An HTTP server of /healthz, /readyz and /metrics.

    Args:
        surroundings: metrics and log of the process.
        not_ready_reason: tells why nothing is forwarded now; empty when something is.

    Attributes:
        address: where it listens; None before it does.
    """

    address: Address | None = None

    def __init__(self, surroundings: Surroundings, not_ready_reason: Callable[[], str]) -> None:
        router = Router()
        add_health_routes(router, not_ready_reason, surroundings.metrics.render)
        self._server = HttpServer(router, on_failure=failure_hook(surroundings.report))
        add_http_metrics(surroundings.metrics, "relay", self._server)

    async def serve(self, address: Address, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled or stopped; started when the address is bound.

        Raises:
            StartError: it cannot be bound.
        """
        listener = await open_http("relay.http", address)
        async with trio.open_nursery() as nursery:
            (self.address,) = await nursery.start(self._server.serve, [listener])
            task_status.started()

    async def stop(self) -> None:
        """Finish the requests under way, within a second."""
        await self._server.stop(_PATIENCE)
