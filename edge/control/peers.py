"""The other transceivers of a fleet, found in its registry and asked through their control API.

Whether one is alive is asked of itself: the registry is seconds old, and a relay may have trouble of its own. A
connection that is refused is an answer; so is silence, after a while; and so is another incarnation at the same
address. Of several workers the one in question is asked, through its front, which is silent as long as that one is.

How long that while is follows from how busy everybody is: `_PATIENCE` for one that was in time with its last heartbeat,
and longer the later it was; `_LONGER` for one that has answered a question like this lately, since it is slow rather
than dead. Only the time in which our own loop turns counts: who stood still meanwhile may have an answer in his socket.

Who gives no answer is no candidate either, with all workers of its process, until its lease has ended. The others would
wait for their turns: a successor that is just started still knows the one in whose place it is, and a host that dies
takes several with it.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from edge.config.model import Role
from edge.control.moving_client import MovingClient
from edge.registry.member import LEASE, Heard, Member
from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import HandOverRefused, Offered, Pulse
from transceiver.websocket.connecting import SocketUnreachable
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["FleetPeers"]

_PATIENCE, _LONGER, _LONGEST = 0.1, 0.3, 0.5
"""Seconds until silence counts. A busy transceiver answers within milliseconds: it is asked for a status that it has
ready."""
_TIMES_AS_LATE = 4.0
"""So many times as long as its loop was late when it spoke last, one that is asked may take longer."""
_GLANCE = 0.02
"""Patience is counted in steps of so many seconds; one that takes longer, as our own loop is late, counts as one."""
_SLOW_FOR = 30.0
"""Seconds for which somebody is known to be slow who was asked for his pulse, and answered."""
_DEAD_FOR = 2 * LEASE
"""Seconds for which somebody is no candidate who gave no answer; by then he is not on the roster any more."""
_TRIES = 3
"""How many peers a call is offered to."""


class FleetPeers:
    """`Peers` over the registry.

    Args:
        members: the members of the fleet that are known now, of any kind.
        make_client: connects to a control URL.
        cluster: our own cluster.
        incarnation: our own process.
        workers: how many workers we have.
    """

    def __init__(
        self,
        *,
        members: Callable[[], Sequence[Heard]],
        make_client: Callable[[str], MovingClient],
        cluster: int,
        incarnation: int,
        workers: int = 1,
    ) -> None:
        self._members = members
        self._make_client = make_client
        self._me = (cluster, incarnation)
        self._workers = workers
        self._clients: dict[str, MovingClient] = {}
        self._sites: dict[tuple[int, int], str] = {}  # whom a call was offered to, for what is said of it later
        self._dead: dict[Owner, float] = {}  # until when nobody waits for them
        self._slow: dict[int, float] = {}  # incarnations, until when they are given more time

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    def candidates(self) -> Sequence[Owner]:
        """Return the workers that could take a call over; see `Peers.candidates`."""
        now = trio.current_time()
        self._dead = {owner: until for owner, until in self._dead.items() if now < until}
        ready = (
            each.member
            for each in self._heard()
            if each.member.incarnation != self._me[1]
            and each.member.is_ready
            and not (each.is_late or each.member.is_draining)
        )
        found = [self._owner(self._me[1], number) for number in range(self._workers)]
        for member in ready:
            found += [self._owner(member.incarnation, number) for number in range(member.workers)]
        return [owner for owner in found if owner not in self._dead]

    async def feel_pulse(self, suspect: Owner) -> Pulse:
        """Ask a transceiver itself; see `Peers.feel_pulse`."""
        member = next((each for each in self._all() if each.incarnation == suspect.incarnation), None)
        if member is None:
            # Its lease has run out, which is the second sign; or we have just begun, and know nobody whom to ask.
            return Pulse.GONE if self._all() else Pulse.SILENT
        now = trio.current_time()
        self._slow = {incarnation: until for incarnation, until in self._slow.items() if now < until}
        pulse, serving = await self._ask(member, suspect)
        now = trio.current_time()
        if pulse is Pulse.ALIVE and suspect not in self._dead:  # who was away for longer is not slow
            self._slow[suspect.incarnation] = now + _SLOW_FOR
        for number in range(max(member.workers, suspect.worker + 1)):
            owner = self._owner(suspect.incarnation, number)
            if number in serving:
                self._dead.pop(owner, None)
            else:
                self._dead[owner] = now + _DEAD_FOR
        return pulse

    async def _ask(self, member: Member, suspect: Owner) -> tuple[Pulse, Collection[int]]:
        """Ask for a status, which comes when the suspect turns; returns what it says of it, and which workers serve."""
        answers: list[Mapping[str, object] | None] = []

        async def ask() -> None:
            answers.append(await self._client(member.control).status(suspect.worker))
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            for _ in range(round(self._patience(member) / _GLANCE)):
                await trio.sleep(_GLANCE)
            nursery.cancel_scope.cancel()
        if not answers:
            return Pulse.SILENT, ()
        status = answers[0]
        if status is None or status.get("incarnation") != suspect.incarnation:
            return Pulse.GONE, ()
        workers = status.get("each_worker")
        serving = set(range(max(member.workers, suspect.worker + 1)))
        if isinstance(workers, list):
            # One that is still being started serves nobody; it takes over itself what nobody else has taken by then.
            serving = {number for number, each in enumerate(workers) if _serves(each)}
        return Pulse.ALIVE if suspect.worker in serving else Pulse.GONE, serving

    def _patience(self, member: Member) -> float:
        """How many seconds of silence count."""
        least = _LONGER if member.incarnation in self._slow else _PATIENCE
        return min(max(least, _PATIENCE + _TIMES_AS_LATE * member.lateness), _LONGEST)

    async def offer(self, call: Offered) -> Owner:
        """Offer a call to the least loaded, and to the next when that does not want it; see `Peers.offer`."""
        others = sorted((each for each in self._others() if each.is_ready and not each.is_draining), key=_load)
        refusal = HandOverRefused("there is no other transceiver in this cluster that takes calls")
        for member in others[:_TRIES]:
            try:
                owner = await self._client(member.control).offer(call)
            except HandOverRefused as error:
                refusal = error
                continue
            self._sites[owner.cluster, owner.incarnation] = member.control
            return owner
        raise refusal

    async def withdraw(self, call: Offered, owner: Owner) -> None:
        """Take an offer back; see `Peers.withdraw`."""
        if (client := self._site(owner)) is not None:
            try:
                await client.withdraw(call, owner)
            except HandOverRefused:
                return  # it forgets what is not released by itself

    async def release(self, call: Offered, owner: Owner, kept: bytes) -> None:
        """Say that a call is the peer's now; see `Peers.release`."""
        if (client := self._site(owner)) is not None:
            try:
                await client.release(call, owner, kept)
            except HandOverRefused:
                return  # the relays tell it, too

    @asynccontextmanager
    async def open_tunnel(self, ticket: TunnelTicket, limits: SocketLimits) -> AsyncIterator[WebSocket]:
        """Open the tunnel of a ticket; see `Peers.open_tunnel`. Where its process is, the registry knows."""
        member = next((each for each in self._all() if each.incarnation == ticket.incarnation), None)
        if member is None or ticket.cluster != self._me[0]:
            raise SocketUnreachable("the transceiver that has it is not known any more")
        client = self._client(member.control)
        tunnel = client.open_tunnel(ticket.worker, ticket.session, ticket.generation, ticket.token, limits)
        async with tunnel as socket:
            yield socket

    def _heard(self) -> list[Heard]:
        """The transceivers of the cluster; those that stall, last."""
        heard = sorted(self._members(), key=lambda each: each.is_late)
        return [each for each in heard if each.member.kind is Role.TRANSCEIVER and each.member.cluster == self._me[0]]

    def _all(self) -> list[Member]:
        return [each.member for each in self._heard()]

    def _others(self) -> list[Member]:
        """Those in other processes."""
        return [each for each in self._all() if each.incarnation != self._me[1]]

    def _owner(self, incarnation: int, worker: int) -> Owner:
        return Owner(cluster=self._me[0], incarnation=incarnation, worker=worker)

    def _site(self, owner: Owner) -> MovingClient | None:
        url = self._sites.get((owner.cluster, owner.incarnation))
        return None if url is None else self._client(url)

    def _client(self, url: str) -> MovingClient:
        client = self._clients.get(url)
        if client is None:
            client = self._clients[url] = self._make_client(url)
        return client


def _load(member: Member) -> float:
    return member.calls / member.max_calls if member.max_calls else 0.0


def _serves(worker: object) -> bool:
    """Whether a worker does, by what its process says of it."""
    return not isinstance(worker, dict) or worker.get("serves", True) is True
