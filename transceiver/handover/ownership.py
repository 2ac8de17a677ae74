"""Who has a session: one record for each, in a store that every transceiver of the cluster reaches.

Goal: of all processes that hold, or held, the keys of a session, at most one can have the store's word that it is the
owner. And a store that is away, restarted, emptied or full ends no call.

Attacker: none in here; whoever can write to the store can take calls, so it is reachable from transceivers and signal
only, and what it could read is sealed under a key that it does not know (`Ownership.snapshot`). What is guarded against
is time: processes that are paused, slow or partitioned, wake up, and believe that nothing has happened.

Construction: a record names its owner and a generation. Each change is a compare-and-set of both, carried out by the
store at one point in time. Generations only rise: the owner's own checkpoints keep theirs, a take-over adds one. The
only clock is the store's. A call's end leaves the record behind as a mark ("ended"), until it expires.

Properties:

1. Between two confirmations of one owner at one generation, nobody else was the owner, unless the store has lost its
   data in between.
2. Who was overtaken hears so from its next checkpoint (`FENCED`), for at least `RECORD_LIFE` after whoever overtook it
   has spoken last: as owner, or to end the call.
3. A store that has lost its data is filled again by the owners' checkpoints. Who had a confirmation before hears
   `MISSING`, and creates a record again only when it knows from elsewhere that nobody has overtaken it. Should a stale
   owner be mistaken in that, the rightful one overrules it, since its generation is higher.
"""

import enum
from collections.abc import Sequence
from typing import Protocol

import attrs

__all__ = [
    "LAST_GENERATION",
    "RECORD_LIFE",
    "Confirmation",
    "Owner",
    "Ownership",
    "OwnershipStore",
    "StoreUnavailable",
]

RECORD_LIFE = 120.0
"""Seconds after the last checkpoint or take-over, or the call's end, at which a record is forgotten: crashes leave
nothing."""

LAST_GENERATION = 0xFFFF
"""The hop header has 16 bits for it (`relay.hop.header`): a session that has moved so often stays where it is."""


class StoreUnavailable(Exception):  # noqa: N818 - named for what happened, like an HTTP reason
    """The store gave no answer in time, or none that helps. The text says what happened, for logs.

    Whether a change was made is not known.
    """


@attrs.frozen(kw_only=True)
class Owner:
    """A worker of a transceiver, as tokens name it.

    Attributes:
        cluster: the transceiver's, u16.
        incarnation: the transceiver's, u32, drawn when it started.
        worker: its number, u8.
    """

    cluster: int
    incarnation: int
    worker: int


@attrs.frozen(kw_only=True)
class Ownership:
    """A session's record.

    Attributes:
        session: number of the session, u64.
        call_id: what signal calls it; unchanged when it moves.
        owner: who has it.
        generation: how often it has moved.
        snapshot: what the next owner needs, sealed; empty where nobody asked for it.
        may_create: whether a checkpoint makes the record where there is none; else it is answered `MISSING`.
        age: seconds, by the store's clock, since the snapshot was written; known to who has taken the session only.
    """

    session: int
    call_id: str
    owner: Owner
    generation: int
    snapshot: bytes = attrs.field(default=b"", repr=False)
    may_create: bool = attrs.field(default=False, eq=False)
    age: float = attrs.field(default=0.0, eq=False)


class Confirmation(enum.Enum):
    """What the store says to a checkpoint; true where it was kept."""

    CONFIRMED = "confirmed"
    """The record was there, with this owner and generation."""

    CREATED = "created"
    """There was none, or one of a lower generation; now there is."""

    MISSING = "missing"
    """There is none, or one of a lower generation; see property 3. The checkpoint was not kept."""

    FENCED = "fenced"
    """The session belongs to another, or has ended. The checkpoint was not kept."""

    UNKEPT = "unkept"
    """The record is there, with this owner and generation, and stays; but it has the snapshot from before, with that
    one's age, as the store has no room for a larger one."""

    NO_ROOM = "no-room"
    """There is none, or one of a lower generation, and no room for it. The checkpoint was not kept."""

    @property
    def is_ours(self) -> bool:
        """Whether the record names who has asked."""
        return bool(self) or self is Confirmation.UNKEPT

    def __bool__(self) -> bool:
        """Whether the checkpoint was kept."""
        return self in (Confirmation.CONFIRMED, Confirmation.CREATED)


class OwnershipStore(Protocol):
    """Keeps the records.

    Every method ends within a deadline of the store's own (a second by default). Cancelled, or ended by
    `StoreUnavailable`, a change may have been made or not.
    """

    async def checkpoint(self, records: Sequence[Ownership]) -> Sequence[Confirmation]:
        """Keep fresh snapshots of sessions, each if its owner and generation still stand; all in one round trip.

        Args:
            records: at most one of each session.

        Returns:
            What became of each, in the same order. Where it was kept, its age begins anew.

        Raises:
            StoreUnavailable: no answer. Some of the records may have been kept.
        """

    async def take(self, session: int, *, generation: int, owner: Owner, within: float | None) -> Ownership | None:
        """Become the owner of a session, if its generation still stands.

        Args:
            session: which.
            generation: the one to take it from; one more is the new owner's.
            owner: the new one.
            within: seconds, by the store's clock, that the last checkpoint may be old, a take-over being none; None for
                any age, where the old owner asks for it.

        Returns:
            The record as it is now, with the last snapshot and its age; None when it is too old or gone, the call has
            ended, somebody else was faster, or there is no generation after this one.

        Raises:
            StoreUnavailable: no answer.
        """

    async def forget(self, session: int, *, owner: Owner, generation: int) -> None:
        """Note that a call has ended; nothing changes if it belongs to another by now.

        Raises:
            StoreUnavailable: no answer; the record will expire.
        """

    async def sessions_of(self, owner: Owner) -> Sequence[tuple[int, int]]:
        """Find all sessions of an owner, with their generations; cheap when they are many.

        Raises:
            StoreUnavailable: no answer.
        """

    async def find(self, session: int) -> Ownership | None:
        """Find who has a session; None when nobody has. The snapshot is left empty.

        Raises:
            StoreUnavailable: no answer.
        """
