"""What all three tiers have in common."""

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs
import trio

from edge.config.model import Config
from edge.http.messages import Request
from edge.http.server import HttpServer, open_listener
from edge.keys import Bundle
from edge.logs import Report
from edge.metrics import Metrics
from edge.start import StartError
from wire.core import Address

__all__ = ["Surroundings", "Tier", "add_http_metrics", "failure_hook", "open_http"]


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a tier is given by the process that it runs in.

    Attributes:
        metrics: of the whole process.
        report: takes what happened, for the log.
    """

    metrics: Metrics
    report: Report


class Tier(Protocol):
    """A tier that runs in this process. Making it opens nothing."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped. Started with `nursery.start`, it returns when its addresses are bound.

        Raises:
            StartError: an address cannot be bound.
        """

    async def reload(self, config: Config, keys: Bundle) -> None:
        """Use another configuration and keys; what needs a restart is the same in both configurations."""

    async def stop(self) -> None:
        """Finish what is under way, within seconds; `run` returns."""

    def not_ready_reason(self) -> str:
        """Tell why it cannot do its work now; empty when it can."""

    def describe(self) -> str:
        """Tell people where it can be reached, in one line."""


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
