"""A process's part in its fleet: what it says of itself, and what it knows of the others."""

from collections.abc import Awaitable, Callable, Sequence

import trio

from edge.config.model import NodeConfig, RelayConfig, Role, StoreConfig
from edge.metrics import Metrics
from edge.registry.describing import Node
from edge.registry.heartbeat import Heartbeat
from edge.registry.member import Heard, Member
from edge.registry.roster import Roster
from edge.reports import Report
from edge.store.opening import open_stores
from wire.core import Address

__all__ = ["Membership", "add_membership_metrics", "transceivers_for"]

_FIRST_ANSWER = 3.0


class Membership:
    """Of one process with a store.

    Args:
        store: where the store is.
        node: what the process is called.
        report: takes a line when the store is lost or found.

    Attributes:
        stores: what the fleet shares.
        roster: who is there.
        is_running: whether `run` has begun.
    """

    def __init__(self, store: StoreConfig, node: NodeConfig, report: Report) -> None:
        self.stores = open_stores(store, report)
        self.roster = Roster(self.stores.members)
        self._store = store
        self._config = node
        self._node: Node | None = None
        self._own: set[str] = set()
        self._heartbeats: list[Heartbeat] = []
        self._nursery: trio.Nursery | None = None
        self._scope = trio.CancelScope()
        self._has_left = trio.Event()
        self.is_running = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take part until cancelled. Started when the store was asked who is there, or is known to be away."""
        self.is_running = True
        try:
            with self._scope:
                await self._take_part(task_status)
        finally:
            self._has_left.set()

    async def _take_part(self, task_status: trio.TaskStatus[None]) -> None:
        self._node = await trio.to_thread.run_sync(Node.of, self._config, self._store)  # may have to resolve a name
        keep = trio.CancelScope(shield=True)
        async with trio.open_nursery() as outer:
            try:
                tried = trio.Event()
                outer.start_soon(self._keep_stores, keep, tried)
                await tried.wait()
                async with trio.open_nursery() as self._nursery:
                    # First we are there, and then we look: who was in our place before is not on the roster any more.
                    for heartbeat in tuple(self._heartbeats):
                        await self._nursery.start(heartbeat.run)
                    await self._nursery.start(self.roster.run)
                    task_status.started()
            finally:
                keep.cancel()  # whoever leaves has said so by now

    async def _keep_stores(self, scope: trio.CancelScope, tried: trio.Event) -> None:
        # Not by `Nursery.start`: cancelled before it has started, a task that is shielded would never end.
        with scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.stores.run)
                tried.set()

    async def leave(self) -> None:
        """Say that all tiers here leave, within half a second; `run` returns, also one that is still beginning."""
        self._scope.cancel()
        if self.is_running:
            await self._has_left.wait()

    def announce(self, describe: Callable[[Node], Member]) -> None:
        """Say from now on that a tier of this process is there.

        Args:
            describe: tells its present state; not called before the process knows its own name.
        """

        def present() -> Member:
            assert self._node is not None  # noqa: S101 - heartbeats begin when it is known
            member = describe(self._node)
            self._own.add(member.id)
            return member

        heartbeat = Heartbeat(self.stores.members, present)
        self._heartbeats.append(heartbeat)
        if self._nursery is not None:
            self._nursery.start_soon(heartbeat.run)

    @property
    def not_joined_reason(self) -> str:
        """Tell why the fleet does not know of this process yet, and it not of the fleet; empty from then on.

        A store that goes away later changes nothing: all are known, and know all, by what was read last.
        """
        if self.roster.has_read and all(heartbeat.was_heard for heartbeat in self._heartbeats):
            return ""
        return f"the store has not been reached since the start: {self.stores.problem or 'it is being asked'}"

    def hurry(self) -> None:
        """Tell the fleet now what has changed here."""
        for heartbeat in self._heartbeats:
            heartbeat.hurry()

    def others(self, kind: Role) -> Sequence[Heard]:
        """List the members of a tier in other processes."""
        return [heard for heard in self.roster.members(kind) if heard.member.id not in self._own]

    async def wait_for_answer(self) -> None:
        """Wait until the store was asked who is there, but not for long."""
        with trio.move_on_after(_FIRST_ANSWER):
            while not self.roster.has_read:
                await self.roster.wait_read()

    def transceivers_for(self, config: RelayConfig) -> Sequence[Address]:
        """List the transceivers in other processes that a relay links with; see the function of this name."""
        return transceivers_for(config, self.others(Role.TRANSCEIVER))

    async def follow_transceivers(
        self, config: RelayConfig, use: Callable[[Sequence[Address]], Awaitable[None]]
    ) -> None:
        """Tell a relay of the transceivers in other processes whenever they have changed, until cancelled.

        Args:
            config: the relay's section.
            use: takes their addresses on the hop.
        """
        used = None
        while True:
            found = self.transceivers_for(config)
            if found != used:
                await use(found)
                used = found
            await self.roster.wait_read()


def transceivers_for(config: RelayConfig, heard: Sequence[Heard]) -> Sequence[Address]:
    """List the transceivers that a relay links with, by their addresses on the hop.

    A relay of a cluster serves this cluster's. Any other serves all but those of clusters that it reaches through other
    relays. Who is late stays: a link costs next to nothing, and calls may go on behind it.
    """
    elsewhere = {each.cluster for each in config.cluster_relays}
    is_ipv6 = ":" in config.hop[0]

    def serves(cluster: int | None) -> bool:
        return cluster not in elsewhere if config.cluster is None else cluster == config.cluster

    members = [each.member for each in heard if serves(each.member.cluster)]
    return sorted({address for member in members for address in member.hop if (":" in address[0]) == is_ipv6})


def add_membership_metrics(metrics: Metrics, membership: Membership) -> None:
    """Show what this process sees of its fleet."""

    def count(*, only_late: bool) -> dict[str, float]:
        heard = [each for each in membership.roster.members() if each.is_late or not only_late]
        return {kind.value: sum(each.member.kind is kind for each in heard) for kind in Role}

    metrics.add_gauge("store_reachable", "Whether the store answers.", lambda: float(not membership.stores.problem))
    metrics.add_gauge(
        "store_full",
        "Whether the store has refused something of this process lately, as it has no room.",
        lambda: float(membership.stores.is_full),
    )
    metrics.add_gauges(
        "fleet_members", "Members of the fleet, as this process knows them.", "tier", lambda: count(only_late=False)
    )
    metrics.add_gauges(
        "fleet_members_late", "Those of them whose heartbeats are late.", "tier", lambda: count(only_late=True)
    )
