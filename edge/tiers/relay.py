"""The relay tier: a worker, and health pages where they are wanted.

A relay that starts again has calls waiting for it. So it forwards first, and loads what serves its pages afterwards, in
a thread beside the loop.
"""

import socket
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import trio

from edge.config.model import Config, RelayConfig
from edge.config.values import format_address
from edge.head_start import NO_HEAD_START, HeadStart
from edge.keys import Bundle
from edge.tiers.keyring import relay_keys
from edge.tiers.relay_binding import bind_relay
from edge.tiers.relay_figures import Figures, add_relay_metrics, figures_of, links_of, load_pages
from edge.tiers.relay_options import ingress_for, relay_options, resolve_peers
from edge.tiers.tier import Surroundings
from relay.places import HopPeers
from relay.sockets import GivenSockets, RelaySockets
from relay.worker import RelayWorker
from wire.core import Address

if TYPE_CHECKING:
    from edge.handover.predecessor import Predecessor
    from edge.registry.describing import Node
    from edge.registry.member import Member
    from edge.tiers.relay_pages import RelayPages

__all__ = ["RelayTier"]


class RelayTier:
    """A relay in this process.

    Args:
        config: its section.
        keys: its bundle.
        surroundings: metrics and log of the process.
        shared: numbers of the TCP ingresses whose connections somebody else accepts, and passes to `adopt`.
        predecessor: the program in whose place it is started; None for none.
        head_start: what was made for it already.

    Attributes:
        sockets: of its one worker, while it runs.
    """

    def __init__(
        self,
        config: RelayConfig,
        keys: Bundle,
        surroundings: Surroundings,
        shared: Collection[int] = (),
        predecessor: "Predecessor | None" = None,
        head_start: HeadStart = NO_HEAD_START,
    ) -> None:
        self._config = config
        self._shared = shared
        self._keys = keys
        self._surroundings = surroundings
        self._predecessor = predecessor
        self._head_start = head_start
        self.sockets: Sequence[RelaySockets] = ()
        self._peers = HopPeers()
        self._found: Sequence[Address] = ()
        self._worker: RelayWorker | None = None
        self._pages: RelayPages | None = None
        self._nursery: trio.Nursery | None = None
        self._worker_scope = trio.CancelScope()
        self._worker_finished = trio.Event()
        add_relay_metrics(surroundings.metrics, lambda: figures_of(self._worker) if self._worker else Figures())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped; see `Tier.run`."""
        self._peers = await resolve_peers(self._config)
        if self._surroundings.membership is not None:
            self._found = self._surroundings.membership.transceivers_for(self._config)
        self.sockets = self._bind()
        try:
            async with trio.open_nursery() as self._nursery:
                await self._begin(self._nursery, self.sockets[0])
                task_status.started()
        finally:
            self.sockets[0].close()

    async def _begin(self, nursery: trio.Nursery, sockets: RelaySockets) -> None:
        """Forward, and serve the pages."""
        options = relay_options(self._config, self._peers.with_transceivers(self._found), self._shared)
        self._worker = RelayWorker(options, relay_keys(self._keys), sockets=sockets)
        self._worker_scope, self._worker_finished = trio.CancelScope(), trio.Event()
        given = None
        if self._predecessor is not None:
            await self._predecessor.take_over()
            given, self._predecessor = self._predecessor.sockets, None
        await nursery.start(self._run_worker, self._worker)
        await self._worker.is_forwarding.wait()  # a thread that loads things would hold it up
        if self._config.http is not None and self._pages is None:
            await self._open_pages(self._config.http, given, nursery)

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

    async def pause(self) -> None:
        """Read nothing more; see `edge.handover.successor.Lender`."""
        self._worker_scope.cancel()
        if self._worker is not None:
            await self._worker_finished.wait()

    async def resume(self) -> None:
        """Go on after all; see `edge.handover.successor.Lender`."""
        assert self._nursery is not None  # noqa: S101 - it runs
        await self._begin(self._nursery, self.sockets[0])

    def adopt(self, sock: socket.socket) -> None:
        """Take over a client's connection to a shared port."""
        if self._worker is None:
            sock.close()
            return
        self._worker.adopt(sock, ingress_for(sock, self._config, self._shared))

    async def _open_pages(self, address: Address, given: GivenSockets | None, nursery: trio.Nursery) -> None:
        self._pages = await trio.to_thread.run_sync(load_pages, self._surroundings, self.not_ready_reason)
        await nursery.start(self._pages.serve, address, given)

    async def _run_worker(self, worker: RelayWorker, *, task_status: trio.TaskStatus[RelayWorker]) -> None:
        try:
            with self._worker_scope:
                await worker.run(task_status=task_status)
        finally:
            self._worker_finished.set()

    async def reload(self, config: Config, keys: Bundle) -> None:
        """Use another configuration and keys; see `Tier.reload`. Flows stay."""
        if self._worker is None or config.relay is None:
            return
        self._peers = await resolve_peers(config.relay)
        self._keys = keys
        self._worker.replace_keys(relay_keys(keys))
        self._use_peers()

    async def use_transceivers(self, found: Sequence[Address]) -> None:
        """Link with these, beside those that are configured."""
        self._found = found
        self._use_peers()

    def _use_peers(self) -> None:
        peers = self._peers.with_transceivers(self._found)
        if self._worker is not None:
            self._worker.set_peers(peers.transceivers, peers.clusters)

    async def stop(self) -> None:
        """End; see `Tier.stop`. Clients notice nothing if another relay takes over their datagrams."""
        if self._pages is not None:
            await self._pages.stop()
        await self.pause()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def not_ready_reason(self) -> str:
        """Tell why nothing is forwarded now; empty when something is."""
        if self._worker is None:
            return "it has not started"
        return "" if self._worker.forwarder.links.up else "no transceiver has answered yet"

    @property
    def hop_addresses(self) -> Sequence[Address]:
        """Where it is on the hop."""
        return (self._worker.hop_address if self._worker else self._config.hop,)

    @property
    def flows(self) -> int:
        """How many client addresses it remembers."""
        return self._worker.forwarder.table.flow_count if self._worker else 0

    @property
    def pages_socket(self) -> trio.socket.SocketType | None:
        """By which the pages are served; None when there are none."""
        return None if self._pages is None else self._pages.socket

    def describe(self) -> str:
        """Tell people where it can be reached."""
        ingresses = ", ".join(
            f"{each.id} = {format_address(each.advertise)} ({each.protocol.upper()})" for each in self._config.ingresses
        )
        hop = self._worker.hop_address if self._worker else self._config.hop
        return f"relay: clients send to {ingresses}, transceivers to {format_address(hop)}"

    def describe_member(self, node: "Node") -> "Member":
        """Tell the fleet what it is and how it is."""
        from edge.registry.describing import describe_relay

        links = links_of(self._worker) if self._worker else ()
        return describe_relay(node, self._config, self.hop_addresses, self.flows, self.not_ready_reason(), links)
