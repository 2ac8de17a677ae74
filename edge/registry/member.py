"""What a member of the fleet says of itself, and what a store of members promises."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from edge.config.model import Role, SignalIngress
from wire.core import Address

__all__ = ["HEARTBEAT", "LATE", "LEASE", "Heard", "MeasuredLink", "Member", "MemberStore"]

HEARTBEAT = 1.0
"""Seconds between two heartbeats."""

LEASE = 5.0
"""Seconds after its last heartbeat at which a member is forgotten."""

LATE = LEASE / 2
"""Seconds after its last heartbeat from which on a member is not chosen while there are others."""


@attrs.frozen(kw_only=True)
class MeasuredLink:
    """What a relay has measured lately of a transceiver; see `relay.hop.health`.

    Attributes:
        cluster: the transceiver's.
        incarnation: the transceiver's.
        pings: how many PINGs were sent.
        lost: how many of them brought no answer in time.
        round_trip: how long answers take, in milliseconds; None when none has come.
    """

    cluster: int
    incarnation: int
    pings: int
    lost: int
    round_trip: float | None = None


@attrs.frozen(kw_only=True)
class Member:
    """A tier of a process, as it describes itself. What other versions leave out has its default.

    Attributes:
        kind: which tier.
        name: of its node, as it is configured.
        incarnation: a random number, u32, of the process; a transceiver's is the one in its tokens.
        version: of the program.
        cluster: a transceiver's; the one that a relay serves for others, or None.
        region: name of the region it is in; empty for none.
        control: base URL of a transceiver's control address; empty for others.
        hop: addresses of its workers on the hop, the first of them for relays that look for the others by themselves.
        workers: how many workers it has.
        ingresses: public addresses of a relay.
        calls: that it has; of a relay, client addresses that it remembers.
        max_calls: that it takes at a time; 0 for no bound.
        is_ready: whether it can do its work.
        reason: why it cannot.
        is_draining: whether it is about to leave.
        lateness: seconds by which its event loop was late when it spoke.
        links: what a relay has measured of transceivers, of at most `edge.registry.links.LINKS_TOLD` of them.
    """

    kind: Role
    name: str
    incarnation: int
    version: str = ""
    cluster: int | None = None
    region: str = ""
    control: str = ""
    hop: tuple[Address, ...] = ()
    workers: int = 1
    ingresses: tuple[SignalIngress, ...] = ()
    calls: int = 0
    max_calls: int = 0
    is_ready: bool = True
    reason: str = ""
    is_draining: bool = False
    lateness: float = 0.0
    links: tuple[MeasuredLink, ...] = ()

    @property
    def id(self) -> str:
        """What tells it from all others, earlier and later processes of its node included."""
        return f"{self.kind.value}.{self.cluster or 0}.{self.incarnation:x}"


@attrs.frozen
class Heard:
    """A member and its last heartbeat.

    Attributes:
        member: what it said.
        age: seconds since then, by the store's clock.
    """

    member: Member
    age: float

    @property
    def is_late(self) -> bool:
        """Whether it seems to stall."""
        return self.age > LATE


class MemberStore(Protocol):
    """Keeps the members; every method raises `StoreUnavailable` within a deadline when the store is away."""

    async def announce(self, member: Member) -> None:
        """Say that a member lives; for the next `LEASE` seconds it is listed."""

    async def withdraw(self, member: Member) -> None:
        """Say that a member has left."""

    async def members(self) -> Sequence[Heard]:
        """List who has announced itself and not left."""
