"""The connections to backends whose calls have moved away, and who may have them.

    hold ──▶ ticket, in the sealed snapshot ──▶ record changes hands ──▶ open ──▶ serve the one who shows it ──▶ ended

Goal: a conversation is continued by the new owner of its call, and by nobody else; and what is kept for it here is
bounded in size and time.

Attackers:

* who reaches the control API without being a transceiver: refused before, by certificate and control key
  (`edge.control.tls`: signal and operators may not take tunnels, either);
* a transceiver that has not got the call, hostile or mistaken: knows session numbers and generations, has the control
  key, and asks for the tunnels of others, early, late, often;
* the same one later: the target of an earlier move, or of one that was taken back;
* a backend: sends endlessly, reads nothing, or writes what it would like us to take for our own words;
* a taker: the same.

Construction: a ticket has a random token of 16 bytes, drawn for each move. It leaves this process in the sealed
snapshot only, so who shows it has been offered the call, and has the keys of snapshots. It opens a tunnel of one
session and one generation, and only after the record has given that generation to another: before, there is none.
It is compared in constant time; it is taken once; a tunnel nobody takes within 5 s is closed. Who was offered a call
that was then taken back holds a token for which there never is a tunnel, since the next move draws another.

Properties:

1. One taker at most, in all of a tunnel's life: who was cut off connects to the backend anew.
2. All refusals are one: `TunnelRefused`.
3. Nothing queues (`transceiver.backends.tunnel`), so a tunnel costs two sockets; there are no more tunnels than calls
   were, and at most `_MAX_TUNNELS`.
4. Nothing is said in a tunnel but what the two ends say to each other. That it will end is on the ticket.
5. The backend's key stays here: the new owner needs none for the conversation that goes on.

What is not achieved: a hostile transceiver to which a call was given hears it and speaks in it, as it does anyway.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Mapping

import attrs
import trio

from transceiver.backend_leg import BackendLeg
from transceiver.backends.tunnel import Tunnel, TunnelEnd
from transceiver.backends.tunnel_ticket import MAX_HOPS, TOKEN_SIZE, TunnelTicket
from transceiver.handover.ownership import Owner
from transceiver.registry import Call
from transceiver.websocket.connection import WebSocket
from wire.core import Entropy

__all__ = ["TunnelRefused", "Tunnels"]

_TAKEN_WITHIN = 5.0
_SHORTEST = 4.0
"""Seconds for which a tunnel is worth it."""
_AHEAD = 1.0
"""Seconds before its end here by which the taker has to do without it."""
_MAX_TUNNELS = 4096


class TunnelRefused(Exception):  # noqa: N818 - named for what happened
    """There is no such tunnel, or not for who asks."""


@attrs.frozen(kw_only=True)
class _Kept:
    call_id: str
    token: bytes = attrs.field(repr=False)
    tunnel: Tunnel


class Tunnels:
    """The tunnels of a worker.

    Args:
        owner: who we are.
        entropy: for tokens.
        report: takes what happened, for the log.

    Attributes:
        counts: tunnels that were opened, taken and refused, and how they ended.
    """

    def __init__(self, *, owner: Owner, entropy: Entropy, report: Callable[[str, Mapping[str, object]], None]) -> None:
        self.counts: Counter[str] = Counter()
        self._owner = owner
        self._entropy = entropy
        self._report = report
        self._kept: dict[tuple[int, int], _Kept] = {}
        self._has_changed = trio.Event()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._kept)

    def takes(self, call: Call, until: float) -> bool:
        """Whether the connection to a call's backend can stay here for a time that is worth it.

        Args:
            call: which.
            until: when all tunnels have to have ended, in monotonic seconds.
        """
        leg = call.leg
        if leg is None or leg.hops >= MAX_HOPS or len(self._kept) >= _MAX_TUNNELS:
            return False
        return leg.can_be_tunnelled and _lives(leg, until) >= _SHORTEST

    async def hold(self, call: Call, until: float) -> TunnelTicket | None:
        """Hold a call's connection to its backend, so that it can become a tunnel.

        Args:
            call: which; it goes on meanwhile.
            until: as above.

        Returns:
            What the target needs; None when there will be none. One that was held has to be thawed, or opened.
        """
        leg = call.leg
        if leg is None or not self.takes(call, until):
            return None
        lives = _lives(leg, until)
        reading = await leg.hold()
        if reading is None:
            return None
        return TunnelTicket(
            cluster=self._owner.cluster,
            incarnation=self._owner.incarnation,
            worker=self._owner.worker,
            session=call.session_id,
            generation=call.generation + 1,
            token=self._entropy(TOKEN_SIZE),
            ends_in=lives,
            hops=leg.hops + 1,
            input_rate=leg.input_rate,
            reading=reading,
        )

    def open(self, call: Call, ticket: TunnelTicket, until: float) -> None:
        """Make a tunnel of a connection that is held: the call has another owner now.

        Args:
            call: which.
            ticket: what `hold` has returned.
            until: as there.
        """
        if call.leg is None:
            return
        tunnel = Tunnel(taken_within=_TAKEN_WITHIN, until=until)
        key = ticket.session, ticket.generation
        self._kept[key] = _Kept(call_id=call.call_id, token=ticket.token, tunnel=tunnel)
        self.counts["opened"] += 1
        self._report("tunnel-opened", {"call": call.call_id, "ends_in": round(ticket.ends_in, 1)})
        tunnel.on_ended = lambda ended: self._forget(key, ended)
        call.leg.hand_over(tunnel)

    async def serve(self, session: int, generation: int, token: bytes, taker: WebSocket) -> None:
        """Let a taker have a tunnel; returns when it has ended, with the taker's socket closed.

        Args:
            session: number of the session.
            generation: of the taker's ownership.
            token: of the ticket.
            taker: is not open yet.

        Raises:
            TunnelRefused: there is none for this taker; raised before anything is sent.
        """
        kept = self._kept.get((session, generation))
        # Compared in any case: how long a refusal takes says nothing.
        is_theirs = hmac.compare_digest(token, bytes(TOKEN_SIZE) if kept is None else kept.token)
        if kept is None or not is_theirs or kept.tunnel.is_taken or kept.tunnel.ended is not None:
            self.counts["refused"] += 1
            self._report("tunnel-refused", {"session": session, "generation": generation})
            raise TunnelRefused
        self.counts["taken"] += 1
        await kept.tunnel.serve(taker)

    def _forget(self, key: tuple[int, int], ended: TunnelEnd) -> None:
        kept = self._kept.pop(key)
        self.counts[f"ended-{ended}"] += 1
        self._report("tunnel-ended", {"call": kept.call_id, "reason": str(ended)})
        self._has_changed.set()

    async def wait_until_ended(self) -> None:
        """Wait until there is none left."""
        while self._kept:
            self._has_changed = trio.Event()
            await self._has_changed.wait()

    def end_all(self) -> None:
        """End all soon: this process does."""
        for kept in list(self._kept.values()):
            kept.tunnel.end(TunnelEnd.STOPPED)


def _lives(leg: BackendLeg, until: float) -> float:
    """Seconds for which a tunnel could be used that begins now."""
    return min(until - trio.current_time(), leg.tunnel_left) - _AHEAD
