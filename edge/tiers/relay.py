"""The relay tier: a worker, and health pages where they are wanted.

A relay that starts again has calls waiting for it. So it forwards first, and loads what serves its pages afterwards, in
a thread beside the loop.
"""

import socket
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import trio

from edge.config.model import Config, RelayConfig
from edge.config.values import format_address
from edge.keys import Bundle
from edge.tiers.keyring import relay_keys
from edge.tiers.relay_figures import add_relay_metrics, figures_of
from edge.tiers.relay_options import bind_problem, ingress_for, relay_options, resolve_transceivers
from edge.tiers.tier import Surroundings
from relay.worker import RelayWorker
from wire.core import Address

if TYPE_CHECKING:
    from edge.tiers.relay_pages import RelayPages

__all__ = ["RelayTier"]


class RelayTier:
    """A relay in this process.

    Args:
        config: its section.
        keys: its bundle.
        surroundings: metrics and log of the process.
        shared: numbers of the TCP ingresses whose connections somebody else accepts, and passes to `adopt`.
    """

    def __init__(
        self, config: RelayConfig, keys: Bundle, surroundings: Surroundings, shared: Collection[int] = ()
    ) -> None:
        self._config = config
        self._shared = shared
        self._keys = keys
        self._surroundings = surroundings
        self._worker: RelayWorker | None = None
        self._pages: RelayPages | None = None
        self._worker_scope = trio.CancelScope()
        self._worker_finished = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped; see `Tier.run`."""
        transceivers = await resolve_transceivers(self._config)
        worker = self._worker = self._bind(transceivers)
        add_relay_metrics(self._surroundings.metrics, lambda: figures_of(worker))
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._run_worker, worker)
                if self._config.http is not None:
                    await self._open_pages(self._config.http, nursery)
                task_status.started()
        finally:
            worker.close()

    def _bind(self, transceivers: tuple[Address, ...]) -> RelayWorker:
        report = self._surroundings.report
        try:
            return RelayWorker(
                relay_options(self._config, transceivers, self._shared),
                relay_keys(self._keys),
                on_warning=lambda text: report("socket-warning", {"warning": text}),
            )
        except OSError as error:
            raise bind_problem(self._config, error, self._shared) from None

    def adopt(self, sock: socket.socket) -> None:
        """Take over a client's connection to a shared port."""
        if self._worker is None:
            sock.close()
            return
        self._worker.adopt(sock, ingress_for(sock, self._config, self._shared))

    async def _open_pages(self, address: Address, nursery: trio.Nursery) -> None:
        self._pages = await trio.to_thread.run_sync(_load_pages, self._surroundings, self.not_ready_reason)
        await nursery.start(self._pages.serve, address)

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
        transceivers = await resolve_transceivers(config.relay)
        self._worker.replace_keys(relay_keys(keys))
        self._worker.set_transceivers(transceivers)

    async def stop(self) -> None:
        """End; see `Tier.stop`. Clients notice nothing if another relay takes over their datagrams."""
        if self._pages is not None:
            await self._pages.stop()
        self._worker_scope.cancel()
        if self._worker is not None:
            await self._worker_finished.wait()

    def not_ready_reason(self) -> str:
        """Tell why nothing is forwarded now; empty when something is."""
        if self._worker is None:
            return "it has not started"
        return "" if self._worker.forwarder.links.up else "no transceiver has answered yet"

    def describe(self) -> str:
        """Tell people where it can be reached."""
        ingresses = ", ".join(
            f"{each.id} = {format_address(each.advertise)} ({each.protocol.upper()})" for each in self._config.ingresses
        )
        hop = self._worker.hop_address if self._worker else self._config.hop
        return f"relay: clients send to {ingresses}, transceivers to {format_address(hop)}"


def _load_pages(surroundings: Surroundings, not_ready_reason: Callable[[], str]) -> "RelayPages":
    from edge.tiers.relay_pages import RelayPages

    surroundings.metrics.load()
    return RelayPages(surroundings, not_ready_reason)
