"""The relay tier with more than one worker: a supervisor that holds the sockets."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from socket import socket
from typing import TYPE_CHECKING

import attrs
import trio

from edge.children.forking import first_of
from edge.children.launch import Launch, launch_child, python_command
from edge.config.model import Config, LogConfig, RelayConfig
from edge.config.problems import Problem
from edge.config.values import format_address
from edge.head_start import NO_HEAD_START, HeadStart
from edge.keys import Bundle
from edge.metrics import Metrics
from edge.relay_workers.binding import core_of
from edge.relay_workers.crew import Crew, Place
from edge.relay_workers.messages import RelaySettings
from edge.relay_workers.totals import add_up
from edge.start import StartError
from edge.tiers.relay_binding import bind_relay
from edge.tiers.relay_figures import Figures, add_relay_metrics, load_pages
from edge.tiers.relay_options import ingress_for, resolve_peers
from edge.tiers.tier import Surroundings
from relay.places import HopPeers
from relay.sockets import GivenSockets, RelaySockets
from relay.udp import address_of
from wire.core import Address

if TYPE_CHECKING:
    from edge.handover.predecessor import Predecessor
    from edge.registry.describing import Node
    from edge.registry.member import Member
    from edge.tiers.relay_pages import RelayPages

__all__ = ["RelayWorkersTier"]

_LAUNCH: Launch = partial(launch_child, python_command("edge.relay_workers.command"))


class RelayWorkersTier:
    """A relay of several processes.

    Args:
        config: its section.
        log: what its workers log.
        keys: its bundle.
        surroundings: metrics and log of the process.
        shared: numbers of the TCP ingresses whose connections somebody else accepts, and passes to `adopt`.
        predecessor: the program in whose place it is started; None for none.
        head_start: what was made for it already.
        launch: starts a worker's process where none was made.

    Attributes:
        sockets: those of each worker, while it runs.
    """

    def __init__(  # noqa: PLR0913, RUF100 - the last ones have defaults
        self,
        config: RelayConfig,
        log: LogConfig,
        keys: Bundle,
        surroundings: Surroundings,
        shared: Sequence[int] = (),
        predecessor: "Predecessor | None" = None,
        head_start: HeadStart = NO_HEAD_START,
        launch: Launch = _LAUNCH,
    ) -> None:
        self._config = config
        self._log = log
        self._keys = keys
        self._surroundings = surroundings
        self._shared = tuple(shared)
        self._predecessor = predecessor
        self._head_start = head_start
        self._launch = first_of(head_start.workers, launch)
        self.sockets: Sequence[RelaySockets] = ()
        self._settings: RelaySettings | None = None
        self._peers = HopPeers()
        self._found: Sequence[Address] = ()
        self._nursery: trio.Nursery | None = None
        self._crew: Crew | None = None
        self._pages: RelayPages | None = None
        self._finished = trio.Event()
        self.hop_addresses: tuple[Address, ...] = ()
        add_relay_metrics(surroundings.metrics, self._total)
        _add_worker_metrics(surroundings.metrics, lambda: self._places)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped; see `Tier.run`. No process is left when it returns."""
        self._peers = await resolve_peers(self._config)
        if self._surroundings.membership is not None:
            self._found = self._surroundings.membership.transceivers_for(self._config)
        peers = self._peers.with_transceivers(self._found)
        self._settings = RelaySettings(
            relay=self._config, peers=peers, log=self._log, keys=self._keys, shared=self._shared
        )
        self.sockets = self._bind()
        try:
            self.hop_addresses = tuple(address_of(sockets.hop) for sockets in self.sockets)
            async with trio.open_nursery() as self._nursery:
                await self._begin(self._nursery, self._settings)
                task_status.started()
        finally:
            for sockets in self.sockets:
                sockets.close()

    async def _begin(self, nursery: trio.Nursery, settings: RelaySettings) -> None:
        """Let workers forward, and serve the pages."""
        workers = len(self.sockets)
        places = [
            Place(number=number, core=core_of(number, workers), sockets=sockets)
            for number, sockets in enumerate(self.sockets)
        ]
        finished = self._finished = trio.Event()
        self._crew = Crew(settings, places, self._surroundings.report, self._launch)
        await nursery.start(self._run_crew, self._crew, finished)
        given = None
        if self._predecessor is not None:
            await self._predecessor.take_over()
            given, self._predecessor = self._predecessor.sockets, None
        await self._crew.go()
        if self._config.http is not None and self._pages is None:
            await self._open_pages(self._config.http, given, nursery)

    async def pause(self) -> None:
        """Read nothing more; see `edge.handover.successor.Lender`."""
        if self._crew is not None:
            await self._crew.stop()

    async def resume(self) -> None:
        """Go on after all; see `edge.handover.successor.Lender`."""
        assert self._nursery is not None  # noqa: S101 - it runs
        assert self._settings is not None  # noqa: S101 - as above
        await self._begin(self._nursery, self._settings)

    def _bind(self) -> Sequence[RelaySockets]:
        report = self._surroundings.report
        for text in self._head_start.warnings:
            report("socket-warning", {"warning": text})
        return self._head_start.sockets or bind_relay(
            self._config,
            self._shared,
            on_warning=lambda text: report("socket-warning", {"warning": text}),
            given=self._predecessor.sockets if self._predecessor else None,
        )

    async def _run_crew(self, crew: Crew, finished: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await crew.run(task_status=task_status)
        except* OSError as group:
            found = "; ".join(map(str, group.exceptions))
            raise StartError([Problem("relay.workers", found, "What it said itself is above.")]) from None
        finally:
            finished.set()

    async def _open_pages(self, address: Address, given: GivenSockets | None, nursery: trio.Nursery) -> None:
        self._pages = await trio.to_thread.run_sync(load_pages, self._surroundings, self.not_ready_reason)
        await nursery.start(self._pages.serve, address, given)

    async def reload(self, config: Config, keys: Bundle) -> None:
        """Use another configuration and keys; see `Tier.reload`. The workers have them when this returns."""
        if self._crew is None or config.relay is None:
            return
        self._peers = await resolve_peers(config.relay)
        peers = self._peers.with_transceivers(self._found)
        self._settings = RelaySettings(relay=config.relay, peers=peers, log=config.log, keys=keys, shared=self._shared)
        silent = await self._crew.reload(self._settings)
        if silent:
            found = f"no answer from worker {', '.join(map(str, silent))}"
            raise StartError([Problem("relay.workers", found, "Reload again; see its log for what holds it up.")])

    async def use_transceivers(self, found: Sequence[Address]) -> None:
        """Link with these, beside those that are configured."""
        self._found = found
        if self._settings is not None and self._crew is not None:
            self._settings = attrs.evolve(self._settings, peers=self._peers.with_transceivers(found))
            await self._crew.reload(self._settings)  # who does not answer is about to be replaced, and starts with it

    async def stop(self) -> None:
        """End; see `Tier.stop`. Clients notice nothing if another relay takes over their datagrams."""
        if self._pages is not None:
            await self._pages.stop()
        await self.pause()
        await self._finished.wait()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def adopt(self, sock: socket) -> None:
        """Take over a client's connection to a shared port."""
        if self._crew is None:
            sock.close()
        else:
            self._crew.adopt(sock, ingress_for(sock, self._config, self._shared))

    def not_ready_reason(self) -> str:
        """Tell why nothing is forwarded now; empty when something is."""
        if self._crew is None:
            return "it has not started"
        return "" if self._total().transceivers else "no transceiver has answered yet"

    @property
    def flows(self) -> int:
        """How many client addresses the workers remember."""
        return self._total().flows

    @property
    def pages_socket(self) -> trio.socket.SocketType | None:
        """By which the pages are served; None when there are none."""
        return None if self._pages is None else self._pages.socket

    def describe(self) -> str:
        """Tell people where it can be reached."""
        ingresses = ", ".join(
            f"{each.id} = {format_address(each.advertise)} ({each.protocol.upper()})" for each in self._config.ingresses
        )
        hops = ", ".join(map(format_address, self.hop_addresses))
        return f"relay: {self._config.workers} workers, clients send to {ingresses}, transceivers to {hops}"

    def describe_member(self, node: "Node") -> "Member":
        """Tell the fleet what it is and how it is."""
        from edge.registry.describing import describe_relay

        return describe_relay(
            node, self._config, self.hop_addresses, self.flows, self.not_ready_reason(), self._total().links
        )

    @property
    def _places(self) -> Sequence[Place]:
        return () if self._crew is None else self._crew.places

    def _total(self) -> Figures:
        return add_up(place.total for place in self._places)


def _add_worker_metrics(metrics: Metrics, places: Callable[[], Sequence[Place]]) -> None:
    def of_each(read: Callable[[Place], float]) -> Callable[[], Mapping[int, float]]:
        return lambda: {place.number: read(place) for place in places()}

    def datagrams(direction: str) -> Callable[[Place], float]:
        return lambda place: place.total.traffic.get(f"{direction}_datagrams", 0)

    metrics.add_counters(
        "relay_worker_datagrams_up", "Datagrams towards transceivers, by worker.", "worker", of_each(datagrams("up"))
    )
    metrics.add_counters(
        "relay_worker_datagrams_down", "Datagrams towards clients, by worker.", "worker", of_each(datagrams("down"))
    )
    metrics.add_counters(
        "relay_worker_drops",
        "Datagrams not forwarded, by worker.",
        "worker",
        of_each(lambda place: sum(place.total.drops.values())),
    )
    metrics.add_gauges(
        "relay_worker_flows",
        "Client addresses in the table, by worker.",
        "worker",
        of_each(lambda place: place.figures.flows),
    )
    metrics.add_gauges(
        "relay_worker_resident_bytes",
        "Memory of each worker's process.",
        "worker",
        of_each(lambda place: place.figures.resident_bytes),
    )
    metrics.add_counters(
        "relay_worker_cpu_seconds",
        "Processor time of each worker's processes.",
        "worker",
        of_each(lambda place: place.total.cpu_seconds),
    )
    metrics.add_counters(
        "relay_worker_starts",
        "How often a process has served as each worker; more than once, and one has died.",
        "worker",
        of_each(lambda place: place.starts),
    )
