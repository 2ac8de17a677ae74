"""Checkpoints of a worker's calls: what the store is told, and what its answers do to them.

One task looks at all calls twice a second and writes those that are due in batches, one round trip each. What each
call's rules are is in `custody`; a slow store delays checkpoints and nothing else.

After a checkpoint without an answer nothing is written until a question is answered. So of all writes in an outage at
most the first is kept without our knowing, and the records in the store are as old as we think, or older.

A snapshot is made inline, a fraction of a millisecond each, a few between two turns of the loop, so that packets of
other calls do not wait for a batch.
"""

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence

import trio

from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.handover.call_snapshot import CallSnapshot, FlowSnapshot
from transceiver.handover.custody import Custody, Verdict
from transceiver.handover.dispatching import MovingDispatcher
from transceiver.handover.ownership import Confirmation, Owner, Ownership, OwnershipStore, StoreUnavailable
from transceiver.handover.session_snapshot import SessionSnapshot
from transceiver.registry import Call, CallRegistry
from wire.buffer import Writer

__all__ = ["Checkpointer", "Seal", "snapshot_of"]

Seal = Callable[[CallSnapshot, int, int], bytes]
"""Seals a call for the store: the call, its session's number, its generation."""

_SCAN = 0.5
_BATCH = 16
_AT_ONCE = 4
"""Snapshots that are made before the loop has another turn."""
_REFUSED = frozenset({Confirmation.UNKEPT, Confirmation.NO_ROOM})
_MAX_ENDED = 1 << 12
"""Ended calls whose records are still to be marked; beyond that they run out by themselves."""


class Checkpointer:
    """Keeps the records of a worker's calls fresh.

    Args:
        store: who has which session.
        calls: the worker's.
        dispatcher: ends those that another owns.
        owner: who we are.
        seal: seals snapshots.

    Attributes:
        counts: checkpoints by what became of them.
    """

    def __init__(
        self, *, store: OwnershipStore, calls: CallRegistry, dispatcher: MovingDispatcher, owner: Owner, seal: Seal
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._store = store
        self._calls = calls
        self._dispatcher = dispatcher
        self._owner = owner
        self._seal = seal
        self._is_away = False
        self._ended: deque[Call] = deque(maxlen=_MAX_ENDED)
        self._has_ended = trio.Event()
        dispatcher.on_ended = self._note_ended

    async def run(self) -> None:
        """Look at all calls, and write, until cancelled."""
        while True:
            with trio.move_on_after(_SCAN):
                while True:
                    # At once: should we die now, an ended call must not be taken over.
                    await self._has_ended.wait()
                    self._has_ended = trio.Event()
                    await self._mark_ended()
            await self.write_due()

    async def write_due(self) -> None:
        """Write what is due now, and mark the records of calls that have ended."""
        now = trio.current_time()
        due = [call for call in self._calls if self._look(call, now)]
        if self._is_away and not await self._asks():
            return
        for first in range(0, len(due), _BATCH):
            if await self.write(due[first : first + _BATCH]) is None:
                return
        await self._mark_ended()

    async def write(self, calls: Sequence[Call]) -> Collection[Call] | None:
        """Write checkpoints of calls, and follow the answers.

        Returns:
            Those whose ownership is confirmed, also where there was no room for the snapshot; None when the store gave
            no answer.
        """
        began = trio.current_time()
        written: list[tuple[Call, Custody, SessionSnapshot, Ownership]] = []
        for number, call in enumerate(calls):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            custody = call.custody
            if custody is None or call not in self._calls or call.is_leaving:
                continue  # it has ended, or is about to leave
            try:
                session = call.session.snapshot(trio.current_time())
                if custody.begin(began) is Verdict.RAISE:
                    call.session.raise_ceilings(session)
                sealed = self._seal(snapshot_of(call, session), call.session_id, call.generation)
            except Exception as error:  # noqa: BLE001 - our bug, and that call's trouble alone
                self._dispatcher.leg_failed(call, error, trio.current_time())
                continue
            record = Ownership(
                session=call.session_id,
                call_id=call.call_id,
                owner=self._owner,
                generation=call.generation,
                snapshot=sealed,
                may_create=custody.may_create(began),
            )
            written.append((call, custody, session, record))
        if not written:
            return ()
        try:
            answers = await self._store.checkpoint([record for _, _, _, record in written])
        except StoreUnavailable:
            self._is_away = True
            self.counts["unanswered"] += len(written)
            now = trio.current_time()
            for _, custody, _, _ in written:
                custody.unanswered(now)
            return None
        now, confirmed = trio.current_time(), []
        for (call, custody, session, _), answer in zip(written, answers, strict=True):
            self.counts[answer.value] += 1
            if answer.is_ours:
                confirmed.append(call)
            if answer in _REFUSED:
                custody.refused(answer, began, now)
            else:
                self._follow(custody.answered(answer, now), call, session, now)
        return confirmed

    def _follow(self, verdict: Verdict, call: Call, session: SessionSnapshot, now: float) -> None:
        if verdict is Verdict.RAISE:
            call.session.raise_ceilings(session)
        elif verdict is Verdict.FENCE:
            self._dispatcher.fence(call, now)

    async def _asks(self) -> bool:
        """Whether the store answers a question."""
        try:
            await self._store.find(0)
        except StoreUnavailable:
            return False
        self._is_away = False
        return True

    def _look(self, call: Call, now: float) -> bool:
        """Look at one call; return whether a checkpoint of it is due."""
        session = call.session
        if session.closed is not None or call.kept is not None:
            return False
        custody = call.custody
        if custody is None:
            if session.media is None or session.path is None:
                return False  # there is nothing to move before the client is authenticated
            custody = call.custody = Custody(call.generation, now)
        heard = max((session.heard(path) or 0.0 for path in call.flows), default=0.0)
        if custody.look(heard, now) is Verdict.RELEASE:
            self.counts["released"] += 1
            session.release_ceilings()
        if session.is_near_ceiling:
            custody.touch(now)
        if call.leg is not None and (progress := call.leg.progress()) != call.told_progress:
            call.told_progress = progress
            custody.touch(now)
        return custody.is_due(now)

    def _note_ended(self, call: Call) -> None:
        if call.custody is not None:
            self._ended.append(call)
            self._has_ended.set()

    async def _mark_ended(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # the rest is tried again, or runs out
            while self._ended:
                call = self._ended[0]
                await self._store.forget(call.session_id, owner=self._owner, generation=call.generation)
                # Meanwhile another task may have marked it, too, or it has made room for younger ones.
                if self._ended and self._ended[0] is call:
                    self._ended.popleft()

    async def finish(self) -> None:
        """Mark the records of what has ended: the last thing before the worker stops."""
        await self._mark_ended()


def snapshot_of(
    call: Call, session: SessionSnapshot, *, is_exact: bool = False, ticket: TunnelTicket | None = None
) -> CallSnapshot:
    """Put together what another transceiver needs to go on with a call; one that is suspended moves exactly.

    Args:
        call: which.
        session: its session.
        is_exact: whether it is suspended.
        ticket: of the tunnel to its backend that there will be.
    """
    written = Writer()
    session.serialize(written)
    return CallSnapshot(
        call_id=call.call_id,
        owner=call.owner,
        wishes=call.wishes,
        flows=tuple(
            FlowSnapshot(up_header=flow.up_header, relay=flow.relay)
            for flow in call.flows.values()
            if flow.is_validated
        ),
        session=written.finish(),
        conversation=b"" if call.leg is None else call.leg.memory(is_exact=is_exact, ticket=ticket),
    )
