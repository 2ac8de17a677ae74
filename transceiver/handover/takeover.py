"""Taking over the calls of a transceiver that has died.

    suspected ──probe──▶ alive: nothing
                  └────▶ dead: its sessions whose turn is ours ──▶ take, restore, announce, checkpoint, go on

Goal: audio back within a second, half of that where possible; and nothing that a mistake can break. The invariant does
not depend on the suspicion being right (docs/failover.md): who is wrong costs the call a leap in its numbers.

Attacker: a relay gone bad, which suspects everybody all the time. It causes one probe a second for each suspect.

No election: a hash of session and candidate says whose turn it is. The others wait, longer the later their turn, and
try what is left; of two that try, one compare-and-set wins.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import trio

from transceiver.handover.arrivals import Arrivals
from transceiver.handover.custody import TAKE_WITHIN
from transceiver.handover.ownership import Owner, Ownership, OwnershipStore, StoreUnavailable
from transceiver.handover.peers import HandOverRefused, Peers
from transceiver.registry import Call

__all__ = ["Takeover", "turn_of"]

_PROBE_AGAIN = 1.0
"""A suspect that has answered is not asked again for so many seconds."""
_TURN_SECONDS = 0.4
"""How much longer each next candidate waits."""
_TRIES = 5
_ASK_AGAIN = 0.05
"""Seconds until a store that was away is asked again. Whoever has just been started may not have reached it yet."""
_AT_ONCE = 8
"""Sessions that are taken at the same time: their round trips to the store overlap, and no tick waits for all."""
_BETWEEN = 0.002
"""Seconds that other calls have between two restored sessions."""


class Takeover:
    """Takes over from workers that are dead.

    Args:
        store: who has which session.
        peers: the other transceivers.
        owner: who we are.
        arrivals: restores calls.
        settle: makes a held call ours for good: its first checkpoint, its announcement; False when it was lost again.
        report: takes what happened, for the log.

    Attributes:
        counts: suspicions and sessions by what became of them.
        is_over: whether nothing more is taken, because we are about to leave ourselves.
    """

    def __init__(
        self,
        *,
        store: OwnershipStore,
        peers: Peers,
        owner: Owner,
        arrivals: Arrivals,
        settle: Callable[[Call], Awaitable[bool]],
        report: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.is_over = False
        self._store = store
        self._peers = peers
        self._owner = owner
        self._arrivals = arrivals
        self._settle = settle
        self._report = report
        self._asked: dict[Owner, float] = {}
        self._followed: set[Owner] = set()
        self._unreadable: set[int] = set()  # sessions that others may be able to restore, but not we
        self._suspects: trio.MemorySendChannel[Owner] | None = None

    def suspect(self, suspect: Owner, now: float) -> None:
        """Take note that a relay holds a worker for dead; what follows is `run`'s."""
        if suspect == self._owner or self._suspects is None or self.is_over:
            return
        for owner, until in list(self._asked.items()):
            if now >= until:
                del self._asked[owner]
        if suspect in self._asked or suspect in self._followed:
            return
        self._asked[suspect] = now + _PROBE_AGAIN
        try:
            self._suspects.send_nowait(suspect)
        except trio.WouldBlock:
            self.counts["suspicions-shed"] += 1
        else:
            self._followed.add(suspect)

    async def run(self) -> None:
        """Follow suspicions until cancelled, several at a time."""
        self._suspects, incoming = trio.open_memory_channel[Owner](64)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reclaim)
            async for suspect in incoming:
                nursery.start_soon(self._follow, suspect)

    async def _reclaim(self) -> None:
        """Take what belongs to us by name: a worker that died has been replaced by this process."""
        sessions = await self._sessions_of(self._owner)
        if sessions and (taken := await self._take_all(sessions, self._owner)):
            self._report("taken-over", {"worker": self._owner.worker, "sessions": taken})

    async def _sessions_of(self, owner: Owner) -> Sequence[tuple[int, int]]:
        """Find all sessions of an owner; none when the store is away until it is too late for them."""
        with trio.move_on_after(TAKE_WITHIN):
            while True:
                try:
                    return await self._store.sessions_of(owner)
                except StoreUnavailable:
                    await trio.sleep(_ASK_AGAIN)
        return ()

    async def _follow(self, suspect: Owner) -> None:
        try:
            await self._take_over_from(suspect)
        finally:
            self._followed.discard(suspect)

    async def _take_over_from(self, suspect: Owner) -> None:
        self.counts["suspected"] += 1
        if await self._peers.is_alive(suspect):
            self.counts["suspected-alive"] += 1
            return
        self._unreadable.clear()  # we may have been told a key since
        began = trio.current_time()
        taken = 0
        for attempt in range(_TRIES):
            sessions = await self._sessions_of(suspect)
            if not sessions:
                break
            taken += await self._take_all(self._turns(sessions, suspect, attempt), suspect)
            await trio.sleep(_TURN_SECONDS)
        if taken:
            facts = {"incarnation": suspect.incarnation, "worker": suspect.worker, "sessions": taken}
            self._report("taken-over", {**facts, "seconds": round(trio.current_time() - began, 3)})

    def _turns(self, sessions: Sequence[tuple[int, int]], suspect: Owner, attempt: int) -> list[tuple[int, int]]:
        """Return the sessions whose turn is ours by now."""
        candidates = [each for each in self._peers.candidates() if each != suspect] or [self._owner]
        return [
            (session, generation)
            for session, generation in sessions
            if session not in self._unreadable and turn_of(self._owner, candidates, session) <= attempt
        ]

    async def _take_all(self, sessions: Iterable[tuple[int, int]], dead: Owner) -> int:
        taken = 0
        waiting = iter(sessions)

        async def take_next() -> None:
            nonlocal taken
            for session, generation in waiting:
                taken += await self._take(session, generation, dead)
                await trio.sleep(_BETWEEN)

        async with trio.open_nursery() as nursery:
            for _ in range(_AT_ONCE):
                nursery.start_soon(take_next)
        return taken

    async def _take(self, session: int, generation: int, dead: Owner) -> bool:
        try:
            record = await self._store.take(session, generation=generation, owner=self._owner, within=TAKE_WITHIN)
        except StoreUnavailable:
            self.counts["store-away"] += 1
            return False
        if record is None:
            self.counts["not-taken"] += 1
            return False
        try:
            call = self._arrivals.restore(session, record.snapshot, generation=record.generation, age=record.age)
        except HandOverRefused as error:
            self.counts["not-restored"] += 1
            self._report("not-restored", {"call": record.call_id, "reason": str(error)})
            if dead != self._owner:
                await self._give_back(record, dead)
            return False
        is_ours = await self._settle(call)
        self.counts["taken-over" if is_ours else "lost-again"] += 1
        return is_ours

    async def _give_back(self, record: Ownership, dead: Owner) -> None:
        """Let another try that may have the key which we lack: the record names the dead one again.

        It does not come back by that, should it live: what it writes is of a generation that is over. Nothing was
        sent, and the snapshot is the same, so the next one leaps from where we would have.
        """
        self._unreadable.add(record.session)
        try:
            await self._store.take(record.session, generation=record.generation, owner=dead, within=None)
        except StoreUnavailable:
            self.counts["store-away"] += 1


def turn_of(owner: Owner, candidates: Iterable[Owner], session: int) -> int:
    """Tell how many candidates come before an owner for a session, which all of them compute alike."""
    ours = _weight(owner, session)
    return sum(_weight(each, session) > ours for each in candidates if each != owner)


def _weight(owner: Owner, session: int) -> bytes:
    subject = f"{session} {owner.cluster} {owner.incarnation} {owner.worker}".encode()
    return hashlib.blake2b(subject, digest_size=8).digest()
