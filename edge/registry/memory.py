"""Members in memory, for one process, and for tests."""

import time
from collections.abc import Callable, Sequence

from edge.registry.member import LEASE, Heard, Member

__all__ = ["MemoryMembers"]


class MemoryMembers:
    """A `MemberStore` of one process.

    Args:
        clock: the store's only clock; monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, tuple[Member, float]] = {}

    async def announce(self, member: Member) -> None:
        """Say that a member lives; see `MemberStore.announce`."""
        self._heard[member.id] = (member, self._clock())

    async def withdraw(self, member: Member) -> None:
        """Say that a member has left; see `MemberStore.withdraw`."""
        self._heard.pop(member.id, None)

    async def members(self) -> Sequence[Heard]:
        """List who is there; see `MemberStore.members`."""
        now = self._clock()
        self._heard = {name: each for name, each in self._heard.items() if now - each[1] <= LEASE}
        return [Heard(member, now - heard_at) for member, heard_at in self._heard.values()]
