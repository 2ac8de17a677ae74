"""The signal tier: the HTTP server for browsers, and its view of the transceivers.

A reload makes a new handler and a new view from the new configuration and swaps them in between two requests: there is
one way to apply a configuration, and it is the way of the start.
"""

import ssl
from typing import TYPE_CHECKING

import attrs
import trio

from edge.config.embedded import own_address
from edge.config.model import Config, SignalConfig
from edge.config.problems import Problem, describe
from edge.config.values import format_address
from edge.http.first_byte import Neighbour
from edge.http.messages import Request, Response
from edge.http.server import HttpServer
from edge.http.static import StaticFile
from edge.http.tls import reload_certificate, server_tls_context
from edge.keys import Bundle
from edge.signal.calls import Report
from edge.signal.fleet import FleetView
from edge.signal.geography import Geography
from edge.signal.handler import SignalHandler
from edge.signal.pages import read_pages
from edge.signal.placement import fleet_of
from edge.start import StartError
from edge.tiers.control_tls import signal_tls
from edge.tiers.keyring import call_id_keys, client_secret_keys, control_bearers
from edge.tiers.serving import add_http_metrics, failure_hook
from edge.tiers.tier import Surroundings
from geo.losses import RegionLosses
from geo.measuring import CallerNetworks
from wire.core import Address

if TYPE_CHECKING:
    from edge.registry.describing import Node
    from edge.registry.member import Member
    from edge.signal.locating import LocationFile

__all__ = ["SignalTier"]

_PATIENCE = 2.0
_LONGEST_REQUEST = 30.0


@attrs.define(eq=False)
class _View:
    """A handler with the view of the fleet that it was made for."""

    handler: SignalHandler
    fleet: FleetView
    location_file: "LocationFile | None" = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Keep asking the transceivers, and looking for a newer location database, until the scope is cancelled."""
        try:
            with self.scope:
                async with trio.open_nursery() as nursery:
                    if self.location_file is not None:
                        nursery.start_soon(self.location_file.follow)
                    await nursery.start(self.fleet.run)
                    task_status.started()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await self.fleet.aclose()


class SignalTier:
    """A signal server in this process; is itself the HTTP server's handler, and passes on to the present view's.

    Args:
        config: its section.
        keys: its bundle.
        surroundings: metrics and log of the process.
        listener: accepts its connections; closed in the end.
        neighbour: who shares the port with it; None for nobody.

    Attributes:
        address: where it listens; the kernel's choice, once `run` has started.
    """

    def __init__(
        self,
        config: SignalConfig,
        keys: Bundle,
        surroundings: Surroundings,
        listener: trio.SocketListener,
        neighbour: Neighbour | None = None,
    ) -> None:
        self.address: Address = config.listen
        self._listener = listener
        self._surroundings = surroundings
        self._pages: dict[str, StaticFile] = read_pages()
        self._networks, self._losses = CallerNetworks(), RegionLosses()  # what calls have shown outlives a reload
        self._view = self._make_view(config, keys)
        self._tls = _tls_context(config)
        self._server = HttpServer(
            self,
            limits=config.limits,
            tls=self._tls,
            on_failure=failure_hook(surroundings.report),
            neighbour=neighbour,
        )
        self._nursery: trio.Nursery | None = None
        metrics = surroundings.metrics
        add_http_metrics(metrics, "signal", self._server)
        metrics.add_gauge(
            "signal_ready", "Whether a call can be placed now.", lambda: float(not self.not_ready_reason())
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped; see `Tier.run`. Starts when every transceiver was asked once."""
        async with trio.open_nursery() as self._nursery:
            await self._nursery.start(self._view.run)
            (self.address,) = await self._nursery.start(self._server.serve, [self._listener])
            task_status.started()

    async def reload(self, config: Config, keys: Bundle) -> None:
        """Use another configuration, keys and certificate; see `Tier.reload`. Open connections go on."""
        if config.signal is None or self._nursery is None:
            return
        if self._tls is not None and config.signal.tls_certificate and config.signal.tls_key:
            try:
                reload_certificate(self._tls, config.signal.tls_certificate, config.signal.tls_key)
            except (OSError, ssl.SSLError) as error:
                raise _tls_problem(config.signal, error) from None
        old, new = self._view, self._make_view(config.signal, keys)
        await self._nursery.start(new.run)
        self._view = new
        self._nursery.start_soon(_retire, old)

    async def stop(self) -> None:
        """Finish the requests under way; see `Tier.stop`."""
        await self._server.stop(_PATIENCE)
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    async def handle(self, request: Request) -> Response:
        """Answer a request with the present configuration."""
        return await self._view.handler.handle(request)

    def refuse(self, request: Request, response: Response) -> Response:
        """Complete a refusal of the server."""
        return self._view.handler.refuse(request, response)

    def not_ready_reason(self) -> str:
        """Tell why no call can be placed now; empty when one can."""
        return self._view.fleet.not_ready_reason()

    @property
    def url(self) -> str:
        """The address of the page, as a browser on this machine opens it."""
        host, port = self.address
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - replaced
            host = own_address() or "127.0.0.1"
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{format_address((host, port))}"

    def describe(self) -> str:
        """Tell people where it can be reached."""
        return f"signal: {self.url}"

    def describe_member(self, node: "Node") -> "Member":
        """Tell the fleet what it is and how it is."""
        from edge.registry.describing import describe_signal

        return describe_signal(node, self.not_ready_reason())

    def _make_view(self, config: SignalConfig, keys: Bundle) -> _View:
        location_file = _location_file(config, self._surroundings.report)
        membership = self._surroundings.membership
        fleet = fleet_of(config, control_bearers(keys)[0], signal_tls(config), membership)
        handler = SignalHandler(
            config,
            fleet=fleet,
            call_ids=call_id_keys(keys),
            pages=self._pages,
            render_metrics=self._surroundings.metrics.render,
            report=self._surroundings.report,
            client_secrets=client_secret_keys(keys),
            ownership=None if membership is None else membership.stores.ownership,
            geography=Geography(config, database=location_file, networks=self._networks, losses=self._losses),
        )
        return _View(handler, fleet, location_file)


async def _retire(view: _View) -> None:
    """End a view when no request that began with it can be under way any more."""
    await trio.sleep(_LONGEST_REQUEST)
    view.scope.cancel()


def _location_file(config: SignalConfig, report: Report) -> "LocationFile | None":
    if config.location_database is None:
        return None
    from edge.signal.locating import DatabaseUnreadable, LocationFile  # needs a package that few others need

    try:
        return LocationFile(config.location_database, report)
    except DatabaseUnreadable as error:
        right = "It must be a MaxMind-format file (.mmdb) that this process may read."
        raise StartError([Problem("signal.location_database", f"it cannot be used: {error}", right)]) from None


def _tls_context(config: SignalConfig) -> ssl.SSLContext | None:
    if config.tls_certificate is None or config.tls_key is None:
        return None
    try:
        return server_tls_context(config.tls_certificate, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise _tls_problem(config, error) from None


def _tls_problem(config: SignalConfig, error: Exception) -> StartError:
    found = f"{describe(config.tls_certificate)} and {describe(config.tls_key)} cannot be used together: {error}"
    right = "The first must be a PEM certificate chain, and signal.tls_key the PEM private key of its certificate."
    return StartError([Problem("signal.tls_certificate", found, right)])
