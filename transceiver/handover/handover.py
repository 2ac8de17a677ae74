"""Everything of a worker that has to do with moving calls, put together.

A relay that suspects somebody leads to `Takeover`; what another transceiver offers, releases or withdraws through the
control API, to `Arrivals`. Both end in settling: the relays told, a first checkpoint of our own, and the call goes on.
A drain leads to `Draining`. `Checkpointer` looks at all calls twice a second.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import attrs
import trio

from relay.hop.events import FlowsAcknowledged, TransceiverSuspected
from relay.hop.links import TransceiverLink
from transceiver.handover.arrivals import Arrivals
from transceiver.handover.checkpointing import Checkpointer, Seal
from transceiver.handover.dispatching import MovingDispatcher
from transceiver.handover.draining import Draining
from transceiver.handover.kept import KeptDatagrams, unpack_kept
from transceiver.handover.late import LateDatagrams
from transceiver.handover.ownership import Owner, OwnershipStore
from transceiver.handover.peers import HandOverRefused, Offered, Peers
from transceiver.handover.takeover import Takeover
from transceiver.handover.tunnels import Tunnels
from transceiver.registry import Call, CallRegistry
from wire.core import Address, Entropy, Event
from wire.errors import MalformedError

__all__ = ["Handover"]

_ACKNOWLEDGED_WITHIN = 1.0
"""Seconds that a successor waits for the relays; one that says nothing learns of it from the next datagram."""
_HELD_AT_MOST = 10.0
"""Seconds that a call which was offered is held; its source knows long before whether it is ours."""
_MEETING_SECONDS = 5.0
"""From our start on relays find us within a second or two. Whom they have not found would be silent until then, so it
takes no call that can stay where it is."""
_MAX_HELD = 256
_KEPT_WITHIN = 0.25
"""Seconds that a call which is ours waits for what its last owner has kept of it; that comes first."""
_CHECKPOINT_TRIES = 5
_CHECKPOINT_PAUSE = 0.2


@attrs.define(eq=False)
class _Held:
    """A call that was offered, and waits for the word that it is ours."""

    call: Call
    until: float
    is_settling: bool = False
    is_released: trio.Event = attrs.field(factory=trio.Event)
    handed_over: KeptDatagrams = attrs.field(factory=KeptDatagrams)


class Handover:
    """Moves a worker's calls.

    Args:
        store: who has which session.
        peers: the other transceivers.
        owner: who we are.
        calls: the worker's.
        dispatcher: carries datagrams, and tells of suspicions and acknowledgements.
        link: to the relays.
        arrivals: restores calls.
        seal: seals snapshots.
        on_moved: told of each call that has moved away, and who has it.
        report: takes what happened, for the log.
        entropy: source of unpredictable bytes.

    Attributes:
        tunnels: connections to backends that stay here for calls that have moved.
    """

    def __init__(
        self,
        *,
        store: OwnershipStore,
        peers: Peers,
        owner: Owner,
        calls: CallRegistry,
        dispatcher: MovingDispatcher,
        link: TransceiverLink,
        arrivals: Arrivals,
        seal: Seal,
        on_moved: Callable[[str, Owner], None],
        report: Callable[[str, Mapping[str, object]], None],
        entropy: Entropy,
    ) -> None:
        self._owner = owner
        self._calls = calls
        self._dispatcher = dispatcher
        self._link = link
        self._report = report
        self._arrivals = arrivals
        self._checkpointer = Checkpointer(store=store, calls=calls, dispatcher=dispatcher, owner=owner, seal=seal)
        self._takeover = Takeover(
            store=store, peers=peers, owner=owner, arrivals=arrivals, settle=self._settle_taken, report=report
        )
        self._late = LateDatagrams(peers)
        self.tunnels = Tunnels(owner=owner, entropy=entropy, report=report)
        self._draining = Draining(
            store=store,
            peers=peers,
            calls=calls,
            dispatcher=dispatcher,
            checkpoint=self._checkpointer.write,
            owner=owner,
            seal=seal,
            tunnels=self.tunnels,
            on_moved=on_moved,
            late=self._late,
            report=report,
        )
        self._meets_until = 0.0
        self._held: dict[int, _Held] = {}
        self._released: trio.MemorySendChannel[_Held] | None = None
        self._unacknowledged: dict[tuple[bytes, Address], trio.Event] = {}
        dispatcher.on_link_event = self._follow_link
        dispatcher.on_held = self._heard_by_held
        dispatcher.on_late = self._late.keep

    async def run(self) -> None:
        """Keep records fresh, follow suspicions, settle what arrives, until cancelled."""
        self._meets_until = trio.current_time() + _MEETING_SECONDS
        self._released, released = trio.open_memory_channel[_Held](_MAX_HELD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._checkpointer.run)
            nursery.start_soon(self._takeover.run)
            nursery.start_soon(self._late.run)
            nursery.start_soon(self._discard_unclaimed)
            async for held in released:
                nursery.start_soon(self._settle_held, held)

    async def drain(self, tunnels_for: float = 0.0) -> None:
        """Move all calls to others; returns when there is none left, and no connection that was theirs.

        Cancelled, those that are left stay.

        Args:
            tunnels_for: seconds for which connections to backends may stay here.
        """
        self._takeover.is_over = True
        await self._draining.run(tunnels_for)
        await self.tunnels.wait_until_ended()

    async def finish(self) -> None:
        """Mark what has ended in the store: the last thing before the worker stops."""
        await self._checkpointer.finish()

    def counts(self) -> Mapping[str, int]:
        """Count checkpoints, take-overs, moves and tunnels by what became of them, as "part.outcome"."""
        parts = {
            "checkpoint": self._checkpointer.counts,
            "takeover": self._takeover.counts,
            "drain": self._draining.counts,
            "tunnel": self.tunnels.counts,
        }
        return Counter({f"{part}.{name}": count for part, counts in parts.items() for name, count in counts.items()})

    # -- calls that others offer

    def accept(self, offered: Offered) -> Owner:
        """Restore a call that its owner wants to give us, and hold it.

        Raises:
            HandOverRefused: it cannot be restored, too many wait already, or relays do not know us yet.
        """
        if len(self._held) >= _MAX_HELD:
            raise HandOverRefused("too many calls are arriving")
        call = self._arrivals.restore(offered.session, offered.snapshot, generation=offered.generation, age=None)
        if trio.current_time() < self._meets_until and not self._has_met_relays(call):
            self._dispatcher.discard(call, trio.current_time())
            raise HandOverRefused("a relay of the call's is not known here yet")
        self._held[offered.session] = _Held(call, trio.current_time() + _HELD_AT_MOST)
        return self._owner

    def _has_met_relays(self, call: Call) -> bool:
        """Whether the relays that carry a call would take our word for it."""
        return all(self._link.knows(flow.relay) for flow in call.flows.values())

    def release(self, session: int, generation: int, kept: bytes = b"") -> None:
        """Take the word of a call's last owner that it is ours now, and what its client has said since (`kept`)."""
        call = self._calls.of_session(session)
        if call is None or call.generation != generation:
            return
        try:
            datagrams = unpack_kept(kept)
        except MalformedError as error:
            datagrams = KeptDatagrams()
            self._report("kept-unreadable", {"call": call.call_id, "reason": str(error)})
        held = self._held.get(session)
        if held is None:
            self._dispatcher.receive_kept(call, datagrams, trio.current_time())
            return
        for data, source in datagrams:
            held.handed_over.append(data, source)
        held.is_released.set()
        if call.leg is not None:
            call.leg.settle()  # the record is ours; the tunnel can be taken while we make sure of it
        self._settle_soon(held)

    def withdraw(self, session: int, generation: int) -> None:
        """Forget a call that was offered: its owner keeps it."""
        held = self._held.get(session)
        if held is not None and held.call.generation == generation and not held.is_settling:
            self._discard(held)

    def _heard_by_held(self, call: Call) -> None:
        """Relays send us the client's packets: they know that the call is ours."""
        held = self._held.get(call.session_id)
        if held is not None and held.call is call:
            self._settle_soon(held)

    def _settle_soon(self, held: _Held) -> None:
        if held.is_settling or self._released is None:
            return
        held.is_settling = True
        try:
            self._released.send_nowait(held)
        except trio.WouldBlock:
            held.is_settling = False  # the next packet of the client tries again

    async def _settle_held(self, held: _Held) -> None:
        try:
            await self._settle(held.call, held)
        finally:
            self._held.pop(held.call.session_id, None)

    def _discard(self, held: _Held) -> None:
        self._held.pop(held.call.session_id, None)
        self._dispatcher.discard(held.call, trio.current_time())

    async def _discard_unclaimed(self) -> None:
        while True:
            await trio.sleep(1.0)
            now = trio.current_time()
            for held in list(self._held.values()):
                if now >= held.until and not held.is_settling:
                    self._discard(held)

    # -- settling

    async def _settle(self, call: Call, held: _Held) -> None:
        """Let a call go on that was offered, once it is ours; first it takes what has come to its last owner."""
        if await self._confirm(call):
            with trio.move_on_after(_KEPT_WITHIN):
                await held.is_released.wait()
            self._dispatcher.resume(call, trio.current_time(), held.handed_over)
            if call.leg is not None:
                call.leg.settle()  # should the word of its last owner not have come

    async def _settle_taken(self, call: Call) -> bool:
        """Let a call go on that was taken, once it is ours and the relays that carried it lead to us.

        Both take a round trip, and neither needs the other.
        """
        waiting = []
        for flow in call.flows.values():
            for relay in self._link.tell.take_over(flow.up_header, flow.relay):
                acknowledged = self._unacknowledged[flow.up_header, relay] = trio.Event()
                waiting.append((flow.up_header, relay, acknowledged))
        self._dispatcher.flush_link(trio.current_time())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_wait_for_all, [acknowledged for _, _, acknowledged in waiting])
                is_ours = await self._confirm(call)
                if not is_ours:
                    nursery.cancel_scope.cancel()
        finally:
            for up_header, relay, _ in waiting:
                self._unacknowledged.pop((up_header, relay), None)
        if is_ours:
            self._dispatcher.resume(call, trio.current_time())
        return is_ours

    async def _confirm(self, call: Call) -> bool:
        """Have the store keep our own first checkpoint of a held call; one that is not ours is discarded."""
        for _ in range(_CHECKPOINT_TRIES):
            confirmed = await self._checkpointer.write([call])
            if confirmed is not None:
                break
            await trio.sleep(_CHECKPOINT_PAUSE)
        if not confirmed or call not in self._calls:
            # Not ours, or nobody knows. Nothing was sent; whoever the record names may go on.
            self._dispatcher.discard(call, trio.current_time())
            return False
        return True

    def _follow_link(self, event: Event, now: float) -> None:
        match event:
            case TransceiverSuspected():
                suspect = Owner(cluster=event.cluster, incarnation=event.incarnation, worker=event.worker)
                self._takeover.suspect(suspect, now)
            case FlowsAcknowledged():
                for up_header in event.headers:
                    waiting = self._unacknowledged.get((up_header, event.address))
                    if waiting is not None:
                        waiting.set()
            case _:
                pass


async def _wait_for_all(acknowledged: Iterable[trio.Event]) -> None:
    with trio.move_on_after(_ACKNOWLEDGED_WITHIN):
        for each in acknowledged:
            await each.wait()
