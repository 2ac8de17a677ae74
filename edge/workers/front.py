"""`Calls` and `Conversations` of a transceiver with several workers.

A new call goes to the worker with the smallest load that is ready; everything about a call that exists goes to the
worker that its id names, or, should that not have it, to whichever has taken it over. The front keeps nothing of a
call.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TypeVar

from edge.control.client import ControlClient, TransceiverUnreachable
from edge.control.moving_client import MovingClient
from edge.signal.relaying import carry, relay
from edge.workers.life import Life
from edge.workers.place import Place
from edge.workers.totals import add_lateness, lateness_of, sum_counts
from transceiver.backends.contract import BackendUnavailable
from transceiver.call_ids import CallIdKeys
from transceiver.calls import (
    NO_WISHES,
    AnswerIngress,
    CallMoved,
    CallNotFound,
    CallWishes,
    CreatedCall,
    EventSocket,
    IceUpdate,
    IceUpdated,
    Overloaded,
    WorkerUnreachable,
)
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import HandOverRefused, Offered
from transceiver.handover.tunnels import TunnelRefused
from transceiver.realtime.passthrough import ClientTooSlow
from transceiver.round_trips import LossSample, RoundTripSample, SamplesOfAll
from transceiver.ticker import Lateness
from transceiver.websocket.closing import CloseCode, Fault
from transceiver.websocket.connecting import SocketUnreachable
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

__all__ = ["Front"]

Value = TypeVar("Value")

_RETRY_SECONDS = 2.0
_TUNNEL_LIMITS = SocketLimits(message_size=33_554_432)  # more than a worker takes from a backend in one event


class Front:
    """The calls of all workers; see `Calls` and `Conversations` for the commands.

    Args:
        places: one for each worker, in the order of their numbers.
        call_id_keys: to read call ids; may be replaced.
        cluster: with the next, what the transceiver's call ids name.
        incarnation: the transceiver's.
    """

    def __init__(self, places: Sequence[Place], *, call_id_keys: CallIdKeys, cluster: int, incarnation: int) -> None:
        self.call_id_keys = call_id_keys
        self._places = tuple(places)
        self._identity = (cluster, incarnation)
        self._is_draining = False
        self._round_trips: SamplesOfAll[RoundTripSample] = SamplesOfAll()
        self._losses: SamplesOfAll[LossSample] = SamplesOfAll()

    # -- commands: what `Calls` promises

    async def create_call(
        self, offer: str, ingresses: Sequence[AnswerIngress], owner: str, wishes: CallWishes = NO_WISHES
    ) -> CreatedCall:
        """Let the least loaded worker answer an offer; see `Calls.create_call`."""
        retry_after = _RETRY_SECONDS
        for life, client in self._by_load():
            life.under_way += 1
            try:
                created = await client.create_call(offer, ingresses, owner, wishes)
            except Overloaded as refusal:
                retry_after = refusal.retry_after
            except TransceiverUnreachable:
                life.left_unanswered()  # the next caller need not wait for it, too; if it is dying, its place notices
            else:
                life.call_placed(owner)
                return created
            finally:
                life.under_way -= 1
        raise Overloaded(retry_after)

    async def end_call(self, call_id: str, owner: str | None) -> None:
        """End a call; see `Calls.end_call`."""
        await self._ask_owner(call_id, lambda client: client.end_call(call_id, owner))

    async def update_call(self, call_id: str, owner: str | None, update: IceUpdate) -> IceUpdated:
        """Take a client's candidates, or restart ICE; see `Calls.update_call`."""
        return await self._ask_owner(call_id, lambda client: client.update_call(call_id, owner, update))

    async def describe_call(self, call_id: str) -> Mapping[str, object]:
        """Tell a call's state; see `Calls.describe_call`."""
        return await self._ask_owner(call_id, lambda client: client.describe_call(call_id, None))

    def status(self) -> Mapping[str, object]:
        """Tell the state of all workers; see `Calls.status`. It is what they said, at most about a second old."""
        lives = [place.life for place in self._places if place.life is not None]
        reasons = self._reasons()
        for life in lives:
            self._round_trips.add(life, life.figures.round_trips)
            self._losses.add(life, life.figures.losses)
        self._round_trips.keep_only(lives)
        self._losses.keep_only(lives)
        lateness = max((lateness_of(life.figures).quantile(0.999) for life in lives), default=0.0)
        return {
            "cluster": self._identity[0],
            "incarnation": self._identity[1],
            "workers": len(self._places),
            "calls": sum(life.calls for life in lives),
            "calls_by_owner": dict(sum_counts(life.calls_by_owner for life in lives)),
            "max_calls": sum(life.figures.max_calls for life in lives),
            "relays": max((life.figures.relays for life in lives), default=0),
            "ready": not all(reasons),
            "reason": _together(reasons),
            "tick_lateness_p999_ms": round(lateness * 1000, 2),
            "counts": dict(self.counts),
            "round_trips": [each.to_list() for each in self._round_trips.latest()],
            "losses": [each.to_list() for each in self._losses.latest()],
            "each_worker": [place.describe() for place in self._places],
        }

    # -- commands: what `Conversations` promises

    async def serve_sideband(self, call_id: str, owner: str | None, socket: EventSocket) -> None:
        """Let a control connection take part in a call; see `Conversations.serve_sideband`."""
        async with AsyncExitStack() as stack:

            def open_sideband(client: ControlClient) -> Awaitable[WebSocket]:
                return stack.enter_async_context(client.open_sideband(call_id, owner))

            await _carry(socket, await self._ask_owner(call_id, open_sideband))

    async def serve_realtime(self, wishes: CallWishes, socket: EventSocket) -> None:
        """Reach a backend through the least loaded worker; see `Conversations.serve_realtime`."""
        retry_after = _RETRY_SECONDS
        for life, client in self._by_load():
            async with AsyncExitStack() as stack:
                try:
                    worker = await stack.enter_async_context(client.open_realtime(wishes))
                except Overloaded as refusal:
                    retry_after = refusal.retry_after
                    continue
                except TransceiverUnreachable:
                    life.left_unanswered()
                    continue
                life.sockets += 1
                try:
                    await _carry(socket, worker)
                finally:
                    life.sockets -= 1
                return
        raise Overloaded(retry_after)

    # -- commands: what `Movable` promises

    async def accept_call(self, offered: Offered) -> Owner:
        """Let the least loaded worker restore a call; see `Movable.accept_call`."""
        refusal = HandOverRefused("no call is taken over here")
        for life, _ in self._by_load():
            if life.moving is None:
                continue
            life.under_way += 1
            try:
                return await life.moving.offer(offered)
            except HandOverRefused as error:
                refusal = error
            finally:
                life.under_way -= 1
        raise refusal

    async def release_call(self, offered: Offered, owner: Owner, kept: bytes) -> None:
        """Tell the worker that holds a call; see `Movable.release_call`."""
        if (moving := self._moving_of(owner)) is not None:
            with suppress(HandOverRefused):  # the relays tell it, too
                await moving.release(offered, owner, kept)

    async def withdraw_call(self, offered: Offered, owner: Owner) -> None:
        """Tell the worker that holds a call; see `Movable.withdraw_call`."""
        if (moving := self._moving_of(owner)) is not None:
            with suppress(HandOverRefused):  # it forgets what is not released by itself
                await moving.withdraw(offered, owner)

    async def hear_worker(self, worker: int) -> None:
        """Ask a worker how it is, and wait for its answer; see `Movable.hear_worker`."""
        life = self._places[worker].life if worker < len(self._places) else None
        if life is not None and life.moving is not None:
            await life.moving.status()

    async def start_drain(self) -> None:
        """Have every worker move its calls to other transceivers; see `Movable.start_drain`."""
        self._is_draining = True
        for place in self._places:
            if place.life is not None and place.life.client is not None:
                with suppress(TransceiverUnreachable):  # it has died, or is about to
                    await place.life.client.drain()

    async def serve_tunnel(self, worker: int, session: int, generation: int, token: bytes, taker: WebSocket) -> None:
        """Let the new owner of a worker's call have the connection to its backend; see `Movable.serve_tunnel`."""
        life = self._places[worker].life if worker < len(self._places) else None
        if life is None or life.moving is None:
            raise TunnelRefused
        async with AsyncExitStack() as stack:
            opening = life.moving.open_tunnel(worker, session, generation, token, _TUNNEL_LIMITS)
            try:
                tunnel = await stack.enter_async_context(opening)
            except SocketUnreachable:
                raise TunnelRefused from None
            await relay(taker, tunnel)

    def _moving_of(self, owner: Owner) -> MovingClient | None:
        if (owner.cluster, owner.incarnation) != self._identity:
            return None
        life = self._places[owner.worker].life if owner.worker < len(self._places) else None
        return None if life is None else life.moving

    # -- for the tier that it runs in

    def start_draining(self) -> None:
        """Take no further call; those that are stay."""
        self._is_draining = True

    def not_ready_reason(self) -> str:
        """Tell why no worker takes calls now; empty when one does."""
        reasons = self._reasons()
        return _together(reasons) if all(reasons) else ""

    def not_joined_reason(self) -> str:
        """Tell why a worker does not know the fleet yet; empty when all do."""
        return _together([place.figures.not_joined for place in self._places])

    @property
    def counts(self) -> Mapping[str, int]:
        """What became of offers and calls, by event."""
        ended, present = (place.ended.counts for place in self._places), (each.figures.counts for each in self._places)
        return sum_counts((*ended, *present))

    @property
    def lateness(self) -> Lateness:
        """How late the ticks of all came."""
        total = Lateness()
        for place in self._places:
            add_lateness(total, place.ended.lateness)
            add_lateness(total, lateness_of(place.figures))
        return total

    def all_drops(self) -> Mapping[str, int]:
        """Count what all have dropped, by layer and reason."""
        ended, present = (place.ended.drops for place in self._places), (each.figures.drops for each in self._places)
        return sum_counts((*ended, *present))

    def handover_counts(self) -> Mapping[str, int]:
        """Count checkpoints, take-overs and moves of calls of all workers, by what became of them."""
        ended, present = (place.ended.moves for place in self._places), (each.figures.moves for each in self._places)
        return sum_counts((*ended, *present))

    def _reasons(self) -> list[str]:
        """Tell of each worker why it takes no calls, in the order of their numbers; empty when it does."""
        return ["draining" if self._is_draining else place.not_ready_reason() for place in self._places]

    def _by_load(self) -> Iterator[tuple[Life, ControlClient]]:
        """Go through the workers that take calls, the least loaded first."""
        ready = [place for place in self._places if not self._is_draining and not place.not_ready_reason()]
        lives = [place.life for place in ready if place.life is not None]
        for life in sorted(lives, key=lambda life: life.load):
            if life.client is not None:
                yield life, life.client

    async def _ask_owner(self, call_id: str, command: Callable[[ControlClient], Awaitable[Value]]) -> Value:
        """Ask who has a call: most likely the worker that its id names.

        Raises:
            CallNotFound: nobody here has it.
        """
        for is_named, client in self._clients_of(call_id):
            try:
                with _translating():
                    return await command(client)
            except CallNotFound:
                continue
            except WorkerUnreachable:
                if is_named:
                    raise
            except CallMoved as moved:
                if (moved.cluster, moved.incarnation) != self._identity:
                    raise
        raise CallNotFound(call_id)

    def _clients_of(self, call_id: str) -> Iterator[tuple[bool, ControlClient]]:
        """Go through the workers that may have a call, and whether its id names them; none if the id is not ours."""
        route = self.call_id_keys.open(call_id)
        if route is None:
            return
        named = route.worker if (route.cluster, route.incarnation) == self._identity else None
        for place in sorted(self._places, key=lambda place: place.number != named):
            if place.life is not None and place.life.client is not None:
                yield place.number == named, place.life.client


async def _carry(socket: EventSocket, worker: WebSocket) -> None:
    """Carry texts both ways until either ends; raises what the worker's end was closed for."""
    await carry(socket, worker)
    closed = worker.closed
    if closed is None:
        return  # the client has ended it
    if closed.code == CloseCode.POLICY_VIOLATION:
        raise ClientTooSlow(closed.reason)
    if closed.code == CloseCode.INTERNAL_ERROR or closed.fault is Fault.VANISHED:
        raise BackendUnavailable(closed.reason or "the worker was lost")


@contextmanager
def _translating() -> Iterator[None]:
    """Say of a worker what its client says of a transceiver."""
    try:
        yield
    except TransceiverUnreachable as error:
        raise WorkerUnreachable(f"the worker that has the call gives no answer: {error}") from error


def _together(reasons: Sequence[str]) -> str:
    """Tell the reasons of all workers in one line; once, if all have the same."""
    if len(set(reasons)) == 1:
        return reasons[0]
    return "; ".join(f"worker {number}: {reason}" for number, reason in enumerate(reasons) if reason)
