"""The relay tier: a worker, and health pages where they are wanted.

A relay that starts again has calls waiting for it. So it forwards first, and loads what serves its pages afterwards, in
a thread beside the loop.
"""

import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

import trio

from edge.config.model import Config, RelayConfig, RelayIngress
from edge.config.problems import Problem
from edge.config.values import format_address, is_ip
from edge.keys import Bundle
from edge.metrics import Metrics
from edge.start import StartError, first_that_cannot_be_bound
from edge.tiers.keyring import relay_keys
from edge.tiers.tier import Surroundings
from relay.forwarder import ForwarderOptions
from relay.hop.health import LinkHealth
from relay.worker import IngressBinding, RelayOptions, RelayWorker
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
        transceivers = await _resolve(self._config)
        worker = self._worker = self._bind(transceivers)
        _add_metrics(self._surroundings.metrics, worker)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._run_worker, worker)
                if self._config.http is not None:
                    await self._open_pages(self._config.http, nursery)
                task_status.started()
        finally:
            worker.close()

    def _bind(self, transceivers: tuple[Address, ...]) -> RelayWorker:
        config = self._config
        options = RelayOptions(
            hop=config.hop,
            ingresses=[self._binding(each) for each in config.ingresses],
            transceivers=transceivers,
            forwarder=ForwarderOptions(
                max_claims=config.max_flows, max_call=config.max_call, hop_sealed=config.hop_sealed
            ),
        )
        report = self._surroundings.report
        try:
            return RelayWorker(
                options, relay_keys(self._keys), on_warning=lambda text: report("socket-warning", {"warning": text})
            )
        except OSError as error:
            addresses: list[tuple[str, Address, str]] = [("relay.hop", config.hop, "udp")]
            addresses += [
                (f"relay.ingresses[{index}].bind", each.bind, each.protocol)
                for index, each in enumerate(config.ingresses)
                if each.id not in self._shared
            ]
            raise first_that_cannot_be_bound(addresses, error) from None

    def _binding(self, ingress: RelayIngress) -> IngressBinding:
        bind = None if ingress.id in self._shared else ingress.bind
        return IngressBinding(id=ingress.id, bind=bind, protocol="tcp" if ingress.protocol == "tcp" else "udp")

    def adopt(self, sock: socket.socket) -> None:
        """Take over a client's connection to a shared port; of one family with its ingress, if there is such a one."""
        if self._worker is None:
            sock.close()
            return
        is_ipv6 = sock.family == socket.AF_INET6
        ingresses = [each for each in self._config.ingresses if each.id in self._shared]
        alike = [each for each in ingresses if (":" in each.advertise[0]) == is_ipv6]
        self._worker.adopt(sock, (alike or ingresses)[0].id)

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
        transceivers = await _resolve(config.relay)
        self._worker.replace_keys(relay_keys(keys))
        self._worker.forwarder.set_transceivers(transceivers, trio.current_time())

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


async def _resolve(config: RelayConfig) -> tuple[Address, ...]:
    """Turn names of transceivers into addresses of the hop socket's family; a name may stand for several."""
    family = trio.socket.AF_INET6 if ":" in config.hop[0] else trio.socket.AF_INET
    found: dict[Address, None] = {}
    for index, (host, port) in enumerate(config.transceivers):
        if is_ip(host):
            found[str(ipaddress.ip_address(host)), port] = None
            continue
        try:
            answers = await trio.socket.getaddrinfo(host, port, family, trio.socket.SOCK_DGRAM)
        except OSError as error:
            right = "It must be an IP address, or a name that can be resolved."
            problem = Problem(f"relay.transceivers[{index}]", f'"{host}" cannot be resolved: {error.strerror}', right)
            raise StartError([problem]) from None
        found.update({(str(answer[4][0]), port): None for answer in answers})
    return tuple(found)


def _load_pages(surroundings: Surroundings, not_ready_reason: Callable[[], str]) -> "RelayPages":
    from edge.tiers.relay_pages import RelayPages

    surroundings.metrics.load()
    return RelayPages(surroundings, not_ready_reason)


def _health(worker: RelayWorker) -> Iterable[tuple[Address, LinkHealth]]:
    return worker.forwarder.links.health(trio.current_time()).items()


def _add_metrics(metrics: Metrics, worker: RelayWorker) -> None:
    forwarder = worker.forwarder
    metrics.add_counters("relay_drops", "Datagrams not forwarded, by reason.", "reason", lambda: worker.drops)
    metrics.add_counters("relay_events", "Claims made, proven and ended, by event.", "event", lambda: forwarder.counts)
    metrics.add_counters(
        "relay_traffic",
        "Datagrams and bytes; up is towards transceivers.",
        "what",
        lambda: worker.traffic,
    )
    metrics.add_gauge("relay_connections", "Clients on TCP.", lambda: len(worker.connections))
    metrics.add_gauge("relay_flows", "Client addresses in the table.", lambda: forwarder.table.flow_count)
    metrics.add_gauges(
        "relay_transceiver_loss",
        "Share of the last 60 PINGs that a transceiver did not answer within a second.",
        "transceiver",
        lambda: {format_address(address): health.loss for address, health in _health(worker)},
    )
    metrics.add_gauges(
        "relay_transceiver_round_trip_seconds",
        "Time until a transceiver answers a PING, smoothed.",
        "transceiver",
        lambda: {
            format_address(address): health.round_trip
            for address, health in _health(worker)
            if health.round_trip is not None
        },
    )
    metrics.add_gauge("relay_transceivers", "Transceivers whose link is up.", lambda: len(forwarder.links.up))
