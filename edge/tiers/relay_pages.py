"""The pages of a relay: its health and its metrics."""

import socket
from collections.abc import Callable

import trio

from edge.http.health import add_health_routes
from edge.http.routing import Router
from edge.http.server import HttpServer
from edge.tiers.serving import add_http_metrics, failure_hook, open_http
from edge.tiers.tier import Surroundings
from relay.sockets import PAGES, GivenSockets
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
        socket: by which it does.
    """

    address: Address | None = None
    socket: trio.socket.SocketType | None = None

    def __init__(self, surroundings: Surroundings, not_ready_reason: Callable[[], str]) -> None:
        router = Router()
        add_health_routes(router, not_ready_reason, surroundings.metrics.render)
        self._server = HttpServer(router, on_failure=failure_hook(surroundings.report))
        add_http_metrics(surroundings.metrics, "relay", self._server)

    async def serve(
        self,
        address: Address,
        given: GivenSockets | None = None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled or stopped; started when the address is bound.

        Args:
            address: to bind.
            given: an earlier program's sockets, of which one may be bound there.
            task_status: as in any nursery.

        Raises:
            StartError: it cannot be bound.
        """
        sock = given.take(0, PAGES, socket.SOCK_STREAM, address) if given is not None else None
        if sock is None:
            listener = await open_http("relay.http", address)
        else:
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        self.socket = listener.socket
        async with trio.open_nursery() as nursery:
            (self.address,) = await nursery.start(self._server.serve, [listener])
            task_status.started()

    async def stop(self) -> None:
        """Finish the requests under way, within a second."""
        await self._server.stop(_PATIENCE)
