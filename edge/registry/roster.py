"""Who is in the fleet, as this process has read it last.

Rules:

1. A store that is away changes nothing: the last view stands, with the ages that it had.
2. Who is missing from an answer stays on the list until answers have come without him for a whole lease. A store that
   has lost its data, or was away for longer than a lease, lists nobody at first; the living are back within a
   heartbeat, and the dead are missed in the end.
3. Of two that say they are at the same address, only the one heard last is there.
"""

from collections.abc import Callable, Sequence

import attrs
import trio

from edge.config.model import Role
from edge.registry.member import HEARTBEAT, LEASE, Heard, Member, MemberStore
from transceiver.handover.ownership import StoreUnavailable

__all__ = ["Roster"]


@attrs.define
class _Seen:
    heard: Heard
    missing_since: float | None = None


class Roster:
    """The members that this process knows.

    Args:
        store: where they are read.
        now: monotonic time in seconds.

    Attributes:
        problem: why the view may be old; empty when it is not.
        has_read: whether the store has ever answered.
    """

    def __init__(self, store: MemberStore, now: Callable[[], float] = trio.current_time) -> None:
        self.problem = "the store has not been asked yet"
        self.has_read = False
        self._store = store
        self._now = now
        self._seen: dict[str, _Seen] = {}
        self._changed = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep reading until cancelled. Started when the store was asked once."""
        while True:
            await self.read()
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            await trio.sleep(HEARTBEAT)

    async def read(self) -> None:
        """Ask the store once."""
        try:
            heard = await self._store.members()
        except StoreUnavailable as problem:
            self.problem = str(problem)
            for seen in self._seen.values():
                seen.missing_since = None
        else:
            self.problem = ""
            self.has_read = True
            self._follow(heard)
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def wait_read(self) -> None:
        """Wait until the store was asked once more."""
        await self._changed.wait()

    def members(self, kind: Role | None = None) -> Sequence[Heard]:
        """List who is there.

        Args:
            kind: the only tier wanted; None for all.
        """
        return [seen.heard for seen in self._seen.values() if kind in {None, seen.heard.member.kind}]

    def find(self, cluster: int, incarnation: int) -> Member | None:
        """Find a transceiver by what tokens and call ids say of it; None when nobody says that he is it."""
        for heard in self.members(Role.TRANSCEIVER):
            if (heard.member.cluster, heard.member.incarnation) == (cluster, incarnation):
                return heard.member
        return None

    def _follow(self, answer: Sequence[Heard]) -> None:
        now = self._now()
        present = {heard.member.id: heard for heard in answer}
        for name, seen in list(self._seen.items()):
            if name in present:
                continue
            seen.missing_since = now if seen.missing_since is None else seen.missing_since
            if now - seen.missing_since >= LEASE or _is_replaced(seen.heard.member, answer):
                del self._seen[name]
        for name, heard in present.items():
            younger = (each for each in answer if each.age < heard.age)
            if _is_replaced(heard.member, list(younger)):
                self._seen.pop(name, None)
            else:
                self._seen[name] = _Seen(heard)


def _is_replaced(member: Member, others: Sequence[Heard]) -> bool:
    """Whether another process is where this one was."""
    return any(
        each.member.kind is member.kind
        and each.member.id != member.id
        and ((member.control and each.member.control == member.control) or bool({*each.member.hop} & {*member.hop}))
        for each in others
    )
