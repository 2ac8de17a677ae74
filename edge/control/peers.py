"""The other transceivers of a fleet, found in its registry and asked through their control API.

Whether one is alive is asked of itself: the registry is seconds old, and a relay may have trouble of its own. A
connection that is refused is an answer; so is silence, after `_PROBE_SECONDS`; and so is another incarnation at the
same address.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from edge.config.model import Role
from edge.control.moving_client import MovingClient
from edge.registry.member import Heard, Member
from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import HandOverRefused, Offered
from transceiver.websocket.connecting import SocketUnreachable
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["FleetPeers"]

_PROBE_SECONDS = 0.3
"""A control address that says nothing for so long is dead or paused. A busy one answers within milliseconds: it is
asked for a status that it has ready."""
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

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    def candidates(self) -> Sequence[Owner]:
        """Return the workers that could take a call over; see `Peers.candidates`."""
        cluster, incarnation = self._me
        found = [Owner(cluster=cluster, incarnation=incarnation, worker=number) for number in range(self._workers)]
        for member in self._others():
            if member.is_ready and not member.is_draining:
                found += [
                    Owner(cluster=cluster, incarnation=member.incarnation, worker=number)
                    for number in range(member.workers)
                ]
        return found

    async def is_alive(self, suspect: Owner) -> bool:
        """Ask a transceiver itself; see `Peers.is_alive`."""
        member = next((each for each in self._all() if each.incarnation == suspect.incarnation), None)
        if member is None:
            return False  # its lease has run out: the second sign
        status = None
        with trio.move_on_after(_PROBE_SECONDS):
            status = await self._client(member.control).status()
        if status is None or status.get("incarnation") != suspect.incarnation:
            return False
        workers = status.get("each_worker")
        if not isinstance(workers, list) or suspect.worker >= len(workers):
            return True
        state = workers[suspect.worker]
        # One that is still being started serves nobody; it takes over itself what nobody else has taken by then.
        return not isinstance(state, dict) or state.get("serves", True) is True

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

    def _all(self) -> list[Member]:
        """The transceivers of the cluster; those that stall, last."""
        heard = sorted(self._members(), key=lambda each: each.is_late)
        members = (each.member for each in heard)
        return [each for each in members if each.kind is Role.TRANSCEIVER and each.cluster == self._me[0]]

    def _others(self) -> list[Member]:
        """Those in other processes."""
        return [each for each in self._all() if each.incarnation != self._me[1]]

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
