"""Taking over the calls of a transceiver that has died.

    suspected ──pulse──▶ alive: nothing
                  ├────▶ silent, and said again: dead
                  └────▶ gone: its sessions whose turn is ours ──▶ take, restore, announce, checkpoint, go on

Goal: audio back within half a second; and nothing that a mistake can break. The invariant does not depend on the
suspicion being right (docs/failover.md): who is wrong costs the call a leap in its numbers.

Silence alone convinces nobody: a relay must have said once more, meanwhile, that it hears nothing either. Relays do so
0.1 s later, and not of one that was heard again. So somebody is given up who has answered on neither way for the whole
time.

Attacker: a relay gone bad, which suspects everybody all the time. It causes two probes a second for each suspect.

No election: a hash of session and candidate says whose turn it is. The others wait, longer the later their turn, and
try what is left; of two that try, one compare-and-set wins. Nobody waits for the turn of one that is suspected itself.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import attrs
import trio

from transceiver.handover.arrivals import Arrivals
from transceiver.handover.custody import TAKE_WITHIN
from transceiver.handover.ownership import Owner, Ownership, OwnershipStore, StoreUnavailable
from transceiver.handover.peers import HandOverRefused, Peers, Pulse
from transceiver.registry import Call

__all__ = ["Takeover", "turn_of"]

_PROBE_AGAIN = 0.5
"""A suspect that has answered is not asked again for so many seconds."""
_SAID_AGAIN, _SAID_LATELY = 0.08, 0.12
"""Seconds from the first word of a suspicion, and back from the present, within which a word confirms it: relays repeat
it every 0.1 s (`relay.hop.warning`), and a second relay's first word repeats nothing."""
_CONFIRMED_WITHIN = 1.2
"""Seconds that a silent suspect is kept in mind until a relay confirms it; the slowest repeats it every second."""
_TURN_SECONDS = 0.1
"""How much longer each next candidate waits."""
_TRIES = 20
_ASK_AGAIN = 0.05
"""Seconds until a store that was away is asked again. Whoever has just been started may not have reached it yet."""
_AT_ONCE = 8
"""Sessions that are taken at the same time: their round trips to the store overlap, and no tick waits for all."""
_BETWEEN = 0.002
"""Seconds that other calls have between two restored sessions."""


@attrs.define(eq=False)
class _Case:
    """A suspect that is looked into.

    Attributes:
        first: when a relay said so first.
        last: when one said so last.
        is_said: that happens.
    """

    first: float
    last: float
    is_said: trio.Event = attrs.field(factory=trio.Event)

    def hear(self, now: float) -> None:
        """Take a relay's word."""
        self.last = now
        self.is_said.set()
        self.is_said = trio.Event()

    def is_confirmed(self, now: float) -> bool:
        """Whether a relay has said it again, and still says so."""
        return self.last - self.first >= _SAID_AGAIN and now - self.last <= _SAID_LATELY


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
        self._followed: dict[Owner, _Case] = {}
        self._unreadable: set[int] = set()  # sessions that others may be able to restore, but not we
        self._refused: set[tuple[int, int]] = set()  # sessions and generations of which the store has said no
        self._suspects: trio.MemorySendChannel[Owner] | None = None

    def suspect(self, suspect: Owner, now: float) -> None:
        """Take note that a relay holds a worker for dead; what follows is `run`'s."""
        if suspect == self._owner or self._suspects is None or self.is_over:
            return
        if (case := self._followed.get(suspect)) is not None:
            case.hear(now)
            return
        for owner, until in list(self._asked.items()):
            if now >= until:
                del self._asked[owner]
        if suspect in self._asked:
            return
        self._asked[suspect] = now + _PROBE_AGAIN
        try:
            self._suspects.send_nowait(suspect)
        except trio.WouldBlock:
            self.counts["suspicions-shed"] += 1
        else:
            self._followed[suspect] = _Case(now, now)

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
            self.counts["suspected"] += 1
            if await self._is_dead(suspect):
                await self._take_over_from(suspect)
            else:
                self.counts["suspected-alive"] += 1
        finally:
            del self._followed[suspect]

    async def _is_dead(self, suspect: Owner) -> bool:
        """Ask itself; who says nothing is dead when a relay, too, goes on hearing nothing."""
        pulse = await self._peers.feel_pulse(suspect)
        if pulse is Pulse.SILENT:
            case = self._followed[suspect]
            with trio.move_on_after(_CONFIRMED_WITHIN):
                while not case.is_confirmed(trio.current_time()):
                    await case.is_said.wait()
                return True
        return pulse is Pulse.GONE

    async def _take_over_from(self, suspect: Owner) -> None:
        self._unreadable.clear()  # we may have been told a key since
        self._refused.clear()
        began = trio.current_time()
        taken = 0
        for attempt in range(_TRIES):
            sessions = await self._sessions_of(suspect)
            if not sessions:
                break
            taken += await self._take_all(self._turns(sessions, attempt), suspect)
            await trio.sleep(_TURN_SECONDS)
        if taken:
            facts = {"incarnation": suspect.incarnation, "worker": suspect.worker, "sessions": taken}
            self._report("taken-over", {**facts, "seconds": round(trio.current_time() - began, 3)})

    def _turns(self, sessions: Sequence[tuple[int, int]], attempt: int) -> list[tuple[int, int]]:
        """Return the sessions whose turn is ours by now."""
        candidates = [each for each in self._peers.candidates() if each not in self._followed]
        return [
            (session, generation)
            for session, generation in sessions
            if session not in self._unreadable
            and (session, generation) not in self._refused
            and turn_of(self._owner, candidates, session) <= attempt
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
            self._refused.add((session, generation))
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
