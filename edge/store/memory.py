"""Ownership of sessions in memory, for one process: the rules of `OwnershipStore` at their plainest."""

import time
from collections.abc import Callable, Sequence

import attrs

from transceiver.handover.ownership import LAST_GENERATION, RECORD_LIFE, Confirmation, Owner, Ownership

__all__ = ["MemoryOwnership"]


@attrs.define
class _Kept:
    record: Ownership
    raised_at: float
    touched_at: float
    has_ended: bool = False


class MemoryOwnership:
    """An `OwnershipStore` that every worker of the process shares.

    Args:
        clock: the store's only clock; monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[int, _Kept] = {}  # the one that was touched last is the last
        self._by_owner: dict[Owner, dict[int, int]] = {}

    async def checkpoint(self, records: Sequence[Ownership]) -> Sequence[Confirmation]:
        """Keep fresh snapshots; see `OwnershipStore.checkpoint`."""
        now = self._forget_expired()
        return [self._checkpoint(record, now) for record in records]

    async def take(self, session: int, *, generation: int, owner: Owner, within: float | None) -> Ownership | None:
        """Become the owner of a session; see `OwnershipStore.take`."""
        now = self._forget_expired()
        kept = self._kept.get(session)
        if kept is None or kept.has_ended or kept.record.generation != generation:
            return None
        if generation >= LAST_GENERATION:
            return None
        if within is not None and now - kept.raised_at > within:
            return None
        taken = attrs.evolve(kept.record, owner=owner, generation=generation + 1, age=now - kept.raised_at)
        self._keep(_Kept(taken, kept.raised_at, now))
        return taken

    async def forget(self, session: int, *, owner: Owner, generation: int) -> None:
        """Note that a call has ended; see `OwnershipStore.forget`."""
        now = self._forget_expired()
        kept = self._kept.get(session)
        if kept is not None and (kept.record.owner, kept.record.generation) == (owner, generation):
            self._keep(_Kept(attrs.evolve(kept.record, snapshot=b""), now, now, has_ended=True))

    async def sessions_of(self, owner: Owner) -> Sequence[tuple[int, int]]:
        """Find all sessions of an owner; see `OwnershipStore.sessions_of`."""
        self._forget_expired()
        return list(self._by_owner.get(owner, {}).items())

    async def find(self, session: int) -> Ownership | None:
        """Find who has a session; see `OwnershipStore.find`."""
        self._forget_expired()
        kept = self._kept.get(session)
        return None if kept is None or kept.has_ended else attrs.evolve(kept.record, snapshot=b"")

    def _checkpoint(self, record: Ownership, now: float) -> Confirmation:
        kept = self._kept.get(record.session)
        if kept is None or kept.record.generation < record.generation:
            if not record.may_create:
                return Confirmation.MISSING
            confirmation = Confirmation.CREATED
        elif not kept.has_ended and (kept.record.owner, kept.record.generation) == (record.owner, record.generation):
            confirmation = Confirmation.CONFIRMED
        else:
            return Confirmation.FENCED
        self._keep(_Kept(record, now, now))
        return confirmation

    def _keep(self, kept: _Kept) -> None:
        record = kept.record
        self._remove(record.session)
        self._kept[record.session] = kept
        if not kept.has_ended:
            self._by_owner.setdefault(record.owner, {})[record.session] = record.generation

    def _remove(self, session: int) -> None:
        kept = self._kept.pop(session, None)
        if kept is None or kept.has_ended:
            return
        sessions = self._by_owner[kept.record.owner]
        del sessions[session]
        if not sessions:
            del self._by_owner[kept.record.owner]

    def _forget_expired(self) -> float:
        """Forget what is too old, oldest first; returns what time it is."""
        now = self._clock()
        while self._kept:
            session, kept = next(iter(self._kept.items()))
            if now - kept.touched_at < RECORD_LIFE:
                break
            self._remove(session)
        return now
