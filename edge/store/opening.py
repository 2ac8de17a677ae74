"""The stores of one process: in Redis, or in memory where no store is configured."""

from typing import TYPE_CHECKING

import trio

from edge.config.store import StoreConfig
from edge.registry.member import MemberStore
from edge.registry.memory import MemoryMembers
from edge.reports import Report
from edge.store.memory import MemoryOwnership
from transceiver.handover.ownership import OwnershipStore

if TYPE_CHECKING:
    from edge.store.link import RedisLink

__all__ = ["Stores", "open_stores"]


class Stores:
    """What this process shares with others.

    Args:
        ownership: who has which session.
        members: who is in the fleet.
        link: the connection that both need; None for none.

    Attributes:
        ownership: who has which session.
        members: who is in the fleet.
    """

    def __init__(self, ownership: OwnershipStore, members: MemberStore, link: "RedisLink | None" = None) -> None:
        self.ownership = ownership
        self.members = members
        self._link = link

    @property
    def is_shared(self) -> bool:
        """Whether other processes reach them too."""
        return self._link is not None

    @property
    def problem(self) -> str:
        """Why the store is away; empty when it is not."""
        return "" if self._link is None else self._link.problem

    @property
    def is_full(self) -> bool:
        """Whether the store has refused writes lately, as it has no room."""
        return self._link is not None and self._link.is_full

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the connection until cancelled. Started when the store was tried once, be it there or not."""
        if self._link is None:
            task_status.started()
            await trio.sleep_forever()
        else:
            await self._link.run(task_status=task_status)


def open_stores(config: StoreConfig, report: Report) -> Stores:
    """Make the stores that a configuration asks for; nothing is loaded or connected before they run.

    Args:
        config: where the store is.
        report: takes a line when it is lost or found, is full or has room again.
    """
    if config.url is None:
        return Stores(MemoryOwnership(), MemoryMembers())
    from edge.registry.redis import MEMBER_SCRIPTS, RedisMembers
    from edge.store.link import RedisLink
    from edge.store.redis import SCRIPTS, RedisOwnership

    link = RedisLink(config, (*SCRIPTS, *MEMBER_SCRIPTS), report)
    return Stores(RedisOwnership(link, config.prefix), RedisMembers(link, config.prefix), link)
