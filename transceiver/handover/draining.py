"""Moving calls away while everybody is alive: nothing is lost, nothing leaps.

    freeze ──▶ exact snapshot ──▶ target restores, holds ──▶ record changes hands ──▶ MOVED, erase ──▶ target sends
      └────── what comes is kept ──────────────────────────────────────────────────▶ and handed over ─────┘

Goal: nothing is sent from the moment of the snapshot on, unless the store has said that the record is still ours; and
what the client sends meanwhile is not lost, but told to the target, and so is what comes late (`late`).

The backend's connection does not move. Where it can stay here as a tunnel (`tunnels`), the call is moved at once. Any
other is moved between two turns, if there is such a moment in time: what its agent has said by then is played on by the
target, and nothing is under way that the backend would take with it.

A call that cannot be moved stays, and is tried again until the deadline of the drain ends it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import trio

from transceiver.handover.checkpointing import Seal, snapshot_of
from transceiver.handover.dispatching import MovingDispatcher
from transceiver.handover.kept import pack_kept
from transceiver.handover.late import LateDatagrams
from transceiver.handover.ownership import LAST_GENERATION, Owner, OwnershipStore, StoreUnavailable
from transceiver.handover.peers import HandOverRefused, Offered, Peers
from transceiver.handover.tunnels import Tunnels
from transceiver.registry import Call, CallRegistry

__all__ = ["Draining"]

_PACE = 0.02
"""Seconds between the beginnings of two moves: 50 calls a second, which a target takes beside its own."""
_AT_ONCE = 4
_RETRY = 1.0
_CONNECTING = 3.0
"""Seconds in which a client that was answered before the drain may still come, and be moved."""
_ASK_AGAIN = 0.1
_BETWEEN_TURNS = 8.0
"""Seconds for which a call waits for the end of a turn, or half of the time to the drain's deadline if that is less."""
_SPARE = 1.0
"""Seconds between the end of the last tunnel and the drain's deadline."""
_LISTEN_AGAIN = 0.2


class Draining:
    """Moves a worker's calls to others.

    Args:
        store: who has which session.
        peers: the other transceivers.
        calls: the worker's.
        dispatcher: suspends and lets go of calls.
        checkpoint: writes the records of calls now; returns those that are confirmed.
        owner: who we are.
        seal: seals snapshots.
        tunnels: keep the connections to backends.
        on_moved: told of each call that has moved away, and who has it.
        late: hands on what comes for calls that have left.
        report: takes what happened, for the log.

    Attributes:
        counts: moves by what became of them.
    """

    def __init__(
        self,
        *,
        store: OwnershipStore,
        peers: Peers,
        calls: CallRegistry,
        dispatcher: MovingDispatcher,
        checkpoint: Callable[[Sequence[Call]], Awaitable[Collection[Call] | None]],
        owner: Owner,
        seal: Seal,
        tunnels: Tunnels,
        on_moved: Callable[[str, Owner], None],
        late: LateDatagrams,
        report: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._store = store
        self._peers = peers
        self._calls = calls
        self._dispatcher = dispatcher
        self._checkpoint = checkpoint
        self._owner = owner
        self._seal = seal
        self._tunnels = tunnels
        self._tunnels_until = 0.0
        self._on_moved = on_moved
        self._late = late
        self._report = report

    async def run(self, tunnels_for: float = 0.0) -> None:
        """Move all calls; returns when there is none left but of clients that have not come for a while.

        Cancelled, those that are left stay as they are.

        Args:
            tunnels_for: seconds for which the connections of calls that move may stay here.
        """
        began = trio.current_time()
        self._tunnels_until = min(began + tunnels_for, trio.current_effective_deadline()) - _SPARE
        patience = began + _CONNECTING
        interrupts_at = began + min(_BETWEEN_TURNS, (trio.current_effective_deadline() - began) / 2)
        tried: dict[int, float] = {}  # by session
        while any(call.session.media is not None or trio.current_time() < patience for call in self._calls):
            limiter = trio.CapacityLimiter(_AT_ONCE)
            async with trio.open_nursery() as nursery:
                for call in self._calls:
                    now = trio.current_time()
                    can_move = (
                        now >= interrupts_at or self._tunnels.takes(call, self._tunnels_until) or _is_quiet(call, now)
                    )
                    if now < tried.get(call.session_id, began) or not can_move:
                        continue
                    tried[call.session_id] = now + _RETRY
                    await limiter.acquire_on_behalf_of(call)
                    nursery.start_soon(self._move_one, call, limiter)
                    await trio.sleep(_PACE)
            if len(self._calls):
                await trio.sleep(_LISTEN_AGAIN)
        await self._late.linger()

    async def _move_one(self, call: Call, limiter: trio.CapacityLimiter) -> None:
        try:
            if call in self._calls and not call.is_held and call.custody is not None:
                await self.move(call)
        except Exception as error:  # noqa: BLE001 - our bug, and that call's trouble alone
            self._dispatcher.leg_failed(call, error, trio.current_time())
        finally:
            limiter.release_on_behalf_of(call)

    async def move(self, call: Call) -> bool:
        """Move one call; returns whether it is gone. One that could not be moved goes on here."""
        dispatcher = self._dispatcher
        if call.generation >= LAST_GENERATION:
            self.counts["worn-out"] += 1
            self._report("not-moved", {"call": call.call_id, "reason": f"it has moved {call.generation} times already"})
            return False
        # So there is a record to be given, and a store that has just answered.
        if not await self._checkpoint([call]):
            self.counts["not-confirmed"] += 1
            return call not in self._calls
        ticket = await self._tunnels.hold(call, self._tunnels_until)
        if call not in self._calls:
            return True
        began = trio.current_time()
        dispatcher.suspend(call, began)
        is_ours = True
        try:
            if call.session.ceilings is None:
                # The store had no room for the snapshot, and meanwhile we do without it: the target may not.
                self.counts["not-confirmed"] += 1
                return False
            session = call.session.snapshot(began)
            snapshot = snapshot_of(call, session, is_exact=True, ticket=ticket)
            sealed = self._seal(snapshot, call.session_id, call.generation)
            offered = Offered(session=call.session_id, generation=call.generation + 1, snapshot=sealed)
            try:
                target = await self._peers.offer(offered)
            except HandOverRefused as refusal:
                self.counts["refused"] += 1
                self._report("not-moved", {"call": call.call_id, "reason": str(refusal)})
                return False
            # From here on the record decides, and only what the store says of it counts.
            is_ours = await self._give(call, target)
            if is_ours:
                await self._peers.withdraw(offered, target)
                return False
        finally:
            if is_ours:
                dispatcher.resume(call, trio.current_time())
                if call.leg is not None:
                    call.leg.release()
        identity = (target.cluster, target.incarnation, target.worker)
        self._on_moved(call.call_id, target)
        if ticket is not None:
            self._tunnels.open(call, ticket, self._tunnels_until)
        kept = pack_kept(() if call.kept is None else call.kept.take())
        self._late.expect(offered, target, trio.current_time())
        dispatcher.let_go(call, identity, "moved", trio.current_time())
        await self._peers.release(offered, target, kept)
        self._late.released(call.session_id)
        self.counts["moved"] += 1
        self._report("call-moved", {"call": call.call_id, "seconds": round(trio.current_time() - began, 4)})
        return True

    async def _give(self, call: Call, target: Owner) -> bool:
        """Have the record name the target; returns whether it is still ours instead.

        It waits for as long as the store says nothing, frozen: who has the call is not known meanwhile. It must not be
        cancelled in between, or the call would thaw here and there.
        """
        is_given: bool | None = None
        with trio.CancelScope(shield=True):
            while is_given is None:
                is_given = await self._try_to_give(call, target)
                if is_given is None:
                    await trio.sleep(_ASK_AGAIN)
        return not is_given

    async def _try_to_give(self, call: Call, target: Owner) -> bool | None:
        """Ask the store to name the target; whether it does, None when it gives no answer."""
        session, generation = call.session_id, call.generation
        try:
            if await self._store.take(session, generation=generation, owner=target, within=None) is not None:
                return True
            record = await self._store.find(session)
        except StoreUnavailable:
            return None
        # Without a record nobody has it but us, and the target is told so.
        return not (record is None or (record.owner, record.generation) == (self._owner, generation))


def _is_quiet(call: Call, now: float) -> bool:
    return call.leg is None or call.leg.is_quiet(now)
