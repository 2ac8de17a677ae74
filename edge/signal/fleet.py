"""What the transceivers say about themselves, asked every second.

Signal keeps nothing of its own: this view can be lost and is whole again after one round of questions.

Whom to ask, the configuration says, and the registry (`edge.registry`), whose members join and leave at run time. The
registry's word is that somebody exists; what he can do, he says himself. So a member that the registry has lost sight
of stays for as long as he answers, and one whose heartbeats are late is chosen only when nobody else takes calls.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import attrs
import trio

from edge.config.model import Role
from edge.control.client import ControlClient, TransceiverUnreachable
from edge.control.messages import TransceiverStatus
from edge.registry.links import hops_of, process_name
from edge.registry.member import Heard
from edge.registry.member import Member as Registered
from edge.registry.membership import Membership
from edge.signal.announced import announced_ingresses
from edge.signal.geography import FoundIngress
from geo.choice import TransceiverCandidate
from geo.health import WELL, Health
from geo.hops import HopRatings
from geo.regions import Region

__all__ = ["FleetView", "Member"]

_POLL_SECONDS = 1.0
_POLL_TIMEOUT = 2.0


@attrs.define(eq=False)
class Member:
    """A transceiver, as it is configured and as it was heard last.

    Attributes:
        client: how to command it.
        region: where it is.
        status: what it said last; None before it ever said anything.
        problem: why it cannot be reached; empty when it can.
        placed: how many calls we placed on it for each owner since it said how many it has.
        under_way: how many calls we are placing on it.
        returned_at: when it came back after it could not be used, in monotonic seconds; None if it never was away.
        lateness: why it seems to stall, by the registry; empty when it does not.
        health: what relays have measured of it, by the registry.
    """

    client: ControlClient
    region: Region | None = None
    status: TransceiverStatus | None = None
    problem: str = "it has not been asked yet"
    placed: Counter[str] = attrs.field(factory=Counter)
    under_way: int = 0
    returned_at: float | None = None
    lateness: str = ""
    health: Health = WELL

    @property
    def reason(self) -> str:
        """Why it takes no calls; empty when it does."""
        if self.problem or self.status is None:
            return self.problem
        return "" if self.status.is_ready else (self.status.reason or "not ready")

    def candidate(self) -> TransceiverCandidate:
        """Describe it for the choice among transceivers."""
        load, calls = 0.0, self.placed.total() + self.under_way
        if self.status is not None:
            # Its own number is up to a second old; without ours, every call of that second would go to the same one.
            calls += self.status.calls
            load = calls / self.status.max_calls if self.status.max_calls else 0.0
        reason = self.reason
        return TransceiverCandidate(
            name=self.client.url,
            region=self.region,
            load=min(1.0, load),
            calls=calls,
            is_ready=not reason,
            is_healthy=not self.lateness,
            reason=reason or self.lateness,
            up_seconds=None if self.returned_at is None else trio.current_time() - self.returned_at,
            health=self.health,
        )

    def calls_of(self, owner: str) -> int:
        """Tell how many calls an owner has there."""
        told = 0 if self.status is None else self.status.calls_by_owner.get(owner, 0)
        return told + self.placed[owner]

    async def poll(self) -> None:
        """Ask for its status once; being unreachable is an answer too."""
        placed_before = self.placed.copy()
        was_away = self.status is not None and bool(self.reason)
        with trio.move_on_after(_POLL_TIMEOUT) as scope:
            try:
                self.status = await self.client.status()
            except TransceiverUnreachable as error:
                self.problem = str(error)
            else:
                self.problem = ""
                self.placed -= placed_before
                if was_away and not self.reason:
                    self.returned_at = trio.current_time()
        if scope.cancelled_caught:
            self.problem = f"{self.client.url}: no status within {_POLL_TIMEOUT:g} seconds"


class FleetView:
    """All transceivers that are configured, and those of the registry.

    Args:
        members: one for each that is configured.
        membership: reads the registry; None without one.
        meet: makes a member of somebody in the registry.

    Attributes:
        membership: as given.
        ingresses: addresses of the relays in the registry; another object whenever they have changed.
    """

    def __init__(
        self,
        members: Iterable[Member],
        membership: Membership | None = None,
        meet: Callable[[Registered], Member] | None = None,
    ) -> None:
        self._members = {member.client.url: member for member in members}
        self.membership = membership
        self._meet = meet
        self._met: dict[str, trio.CancelScope] = {}
        self._hops = HopRatings()
        self.ingresses: tuple[FoundIngress, ...] = ()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep asking until cancelled. Started with `nursery.start`, it returns when each was asked once."""
        async with trio.open_nursery() as nursery:
            if self.membership is not None:
                await self.membership.wait_for_answer()
                self._follow(self.membership)
            async with trio.open_nursery() as first_round:
                for member in self._members.values():
                    first_round.start_soon(member.poll)
            task_status.started()
            for url, member in self._members.items():
                nursery.start_soon(_poll_forever, member, self._met.get(url))
            while self.membership is not None:
                await self.membership.roster.wait_read()
                for member in self._follow(self.membership):
                    nursery.start_soon(_poll_forever, member, self._met[member.client.url])
            await trio.sleep_forever()

    def _follow(self, membership: Membership) -> Sequence[Member]:
        """Go by what the registry says now; returns who is new."""
        assert self._meet is not None  # noqa: S101 - it comes with the membership
        static = {url: member for url, member in self._members.items() if url not in self._met}
        # Who is configured by another address than he announces is one all the same.
        configured = {_process_of(member) for member in static.values()} - {None}
        registered = {
            each.member.control: each
            for each in membership.others(Role.TRANSCEIVER)
            if each.member.control in static or (each.member.cluster, each.member.incarnation) not in configured
        }
        new = []
        for url, each in registered.items():
            if url not in self._members:
                self._members[url] = member = self._meet(each.member)
                self._met[url] = trio.CancelScope()
                new.append(member)
            self._members[url].lateness = _lateness_of(each)
        for url, scope in list(self._met.items()):
            member = self._members[url]
            if url not in registered and (member.problem or _process_of(member) in configured):
                del self._members[url], self._met[url]
                scope.cancel()
        self._hops.follow(hops_of(membership.roster.members()), trio.current_time())
        for member in self._members.values():
            process = _process_of(member)
            member.health = WELL if process is None else self._hops.transceiver(process_name(*process))
        ingresses = announced_ingresses(membership.roster.members(Role.RELAY), self._hops)
        if ingresses != self.ingresses:
            self.ingresses = ingresses
        return new

    @property
    def members(self) -> Collection[Member]:
        """All of them, as they are configured and were heard last."""
        return self._members.values()

    def candidates(self) -> Sequence[TransceiverCandidate]:
        """Describe all of them for the choice among transceivers."""
        return [member.candidate() for member in self._members.values()]

    def member(self, name: str) -> Member:
        """Return a transceiver by the name of its candidate."""
        return self._members[name]

    def find(self, cluster: int, incarnation: int) -> Member | None:
        """Return the transceiver process that a call id names; None when none of those heard is it."""
        for member in self._members.values():
            status = member.status
            if status is not None and status.incarnation == incarnation and status.cluster == cluster:
                return member
        return None

    def calls_of(self, owner: str) -> int:
        """Tell how many calls an owner has, on all of them; up to a second old, as far as others placed them."""
        return sum(member.calls_of(owner) for member in self._members.values())

    @property
    def is_complete(self) -> bool:
        """Whether every transceiver can be reached, so that a process that is not among them is gone."""
        if self.membership is not None and (self.membership.roster.problem or not self.membership.roster.has_read):
            return False  # there may be some of whom nobody can tell us
        return all(not member.problem for member in self._members.values())

    def not_ready_reason(self) -> str:
        """Tell why no call can be placed now; empty when one can."""
        reasons = [member.reason for member in self._members.values()]
        if not reasons and self.membership is None:
            return "No transceiver is configured: signal.transceivers is empty."
        if not reasons and self.membership is not None:
            problem = self.membership.roster.problem
            return f"No transceiver is known: {problem}" if problem else "No transceiver has announced itself."
        if not all(reasons):
            return ""
        return "No transceiver takes calls. " + "; ".join(
            reason if url in reason else f"{url}: {reason}" for url, reason in zip(self._members, reasons, strict=True)
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for member in self._members.values():
            await member.client.aclose()


async def _poll_forever(member: Member, until: trio.CancelScope | None) -> None:
    with until or trio.CancelScope():
        while True:
            await trio.sleep(_POLL_SECONDS)
            await member.poll()
    with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
        await member.client.aclose()


def _process_of(member: Member) -> tuple[int, int] | None:
    return None if member.status is None else (member.status.cluster, member.status.incarnation)


def _lateness_of(heard: Heard) -> str:
    return f"its last heartbeat was {heard.age:.1f} s ago" if heard.is_late else ""
