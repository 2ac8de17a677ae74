"""Says again and again that one member lives, for as long as its event loop turns."""

from collections.abc import Callable

import attrs
import trio

from edge.registry.member import HEARTBEAT, Member, MemberStore
from transceiver.handover.ownership import StoreUnavailable

__all__ = ["Heartbeat"]

_FAREWELL = 0.5


class Heartbeat:
    """The pulse of one member.

    Args:
        store: where it is felt.
        describe: tells the member's present state.

    Attributes:
        was_heard: whether the store has ever taken a beat.
    """

    def __init__(self, store: MemberStore, describe: Callable[[], Member]) -> None:
        self._store = store
        self._describe = describe
        self._hurry = trio.Event()
        self.was_heard = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Beat until cancelled, and leave then; a store that is away is tried again. Started after the first beat."""
        lateness = 0.0
        try:
            while True:
                self._hurry = trio.Event()
                await self._beat(lateness)
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                due = trio.current_time() + HEARTBEAT
                with trio.move_on_at(due):
                    await self._hurry.wait()
                lateness = max(0.0, trio.current_time() - due)
        finally:
            with trio.move_on_after(_FAREWELL, shield=True):
                await self._leave()

    def hurry(self) -> None:
        """Tell now what has changed."""
        self._hurry.set()

    async def _beat(self, lateness: float) -> None:
        try:
            await self._store.announce(attrs.evolve(self._describe(), lateness=round(lateness, 4)))
        except StoreUnavailable:
            return  # the next beat may arrive; whoever keeps the connection says what is wrong
        self.was_heard = True

    async def _leave(self) -> None:
        try:
            await self._store.withdraw(self._describe())
        except StoreUnavailable:
            return  # the lease ends soon
