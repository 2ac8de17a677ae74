"""A worker: one UDP socket towards the relays, many calls, and the commands that make and end them.

One loop takes what has arrived in batches, hands each datagram to the `Dispatcher`, and flushes once a batch. One
ticker looks at every call fifty times a second. Beside these two, each call whose backend is more than an echo has a
task that waits for what that says, and each socket of a call's owner has its own.
"""

import hmac
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import urandom
from socket import socket

import attrs
import trio

from relay.hop.keys import HopKeys
from relay.hop.links import TransceiverLink
from relay.hop.mtu import never_fragment
from relay.udp import Batch, UdpDropReason, address_of, batch_sender, lost_on_arrival, open_udp, receive_batches
from stun.credentials import CredentialKeys
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backend_legs import BackendLegs
from transceiver.backends.choice import choose_backend
from transceiver.backends.contract import BackendUnavailable
from transceiver.backends.links import make_link, profile_of
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.call_ids import CallIdKeys
from transceiver.calls import (
    NO_WISHES,
    AnswerIngress,
    CallNotFound,
    CallWishes,
    CreatedCall,
    EventSocket,
    IceUpdate,
    IceUpdated,
    ModelNotAllowed,
    NotOwner,
    OfferRefused,
    Overloaded,
)
from transceiver.dispatcher import DropReason, Report
from transceiver.handover.arrivals import Arrivals
from transceiver.handover.dispatching import MovingDispatcher
from transceiver.handover.handover import Handover
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import HandOverRefused, Offered, Peers
from transceiver.handover.sealing import SnapshotKeys
from transceiver.handover.seals import Seals
from transceiver.handover.services import HandoverServices
from transceiver.handover.tunnels import TunnelRefused
from transceiver.ice_updates import ice_tag, update_ice
from transceiver.intake import Intake
from transceiver.last_words import say_last_words, wait_until_heard
from transceiver.moved_calls import MovedCalls
from transceiver.options import SessionOptions, WorkerOptions
from transceiver.realtime.passthrough import ClientTooSlow, PassThroughOptions, pass_through
from transceiver.registry import Call, CallRegistry
from transceiver.round_trips import LossSample, RoundTripSample
from transceiver.sampling import WayLog
from transceiver.ticker import Lateness, run_ticker
from transceiver.websocket.connection import WebSocket
from wire.core import Address, Drops, Entropy

__all__ = ["DropReason", "Report", "Worker"]

_RETRY_SECONDS = 2.0
_BATCH = 16
"""How many datagrams are taken from the hop before timers get their turn; most are bundles of ten."""
_REST_SECONDS = 1.0  # the ticker of a worker without calls wakes up this often


def _silent(name: str, facts: Mapping[str, object]) -> None:
    """Report to nobody."""


class Worker:
    """The calls of one transceiver worker; see `Calls` for the commands.

    Args:
        options: where to listen, what to take.
        credential_keys: to mint the ICE credentials that route.
        call_id_keys: to mint call ids.
        hop_keys: to talk with relays.
        incarnation: random number of this process, by which tokens name it.
        report: takes what happened, for the log.
        entropy: source of unpredictable bytes.
        unix_time: wall clock, for the minting time inside tokens.
        handover: what moving calls needs; None where they stay in this process.

    Attributes:
        options: may be replaced; `max_calls` and the options of sessions count for new calls.
        incarnation: as given.
        lateness: how late ticks came.
        drops: datagrams that the worker itself dropped, by `DropReason` and `relay.udp.UdpDropReason`.
        counts: what became of offers and calls, by event.
        address: where relays reach it; None before it runs.
        moved: calls that were handed over, to be noted by whoever does that.
    """

    def __init__(
        self,
        *,
        options: WorkerOptions,
        credential_keys: CredentialKeys,
        call_id_keys: CallIdKeys,
        hop_keys: HopKeys,
        incarnation: int,
        report: Report = _silent,
        entropy: Entropy = urandom,
        unix_time: Callable[[], float] = time.time,
        handover: HandoverServices | None = None,
    ) -> None:
        self.options = options
        self.incarnation = incarnation
        self.lateness = Lateness()
        self.address: Address | None = None
        self.moved = MovedCalls()
        self._report = report
        self._calls = CallRegistry()
        self._ways = WayLog(self._calls)
        self._entropy = entropy
        self._unix_time = unix_time
        self._intake = Intake(
            cluster=options.cluster,
            incarnation=incarnation,
            worker=options.worker,
            credential_keys=credential_keys,
            call_id_keys=call_id_keys,
            entropy=entropy,
            unix_time=unix_time,
        )
        self._link = TransceiverLink(
            keys=hop_keys,
            cluster=options.cluster,
            incarnation=incarnation,
            worker=options.worker,
            entropy=entropy,
            now=0.0,  # there is no clock outside of `run`; so the link is looked after with the first tick
            workers=options.workers,
            sealed=options.hop_sealed,
        )
        self._dispatcher = MovingDispatcher(link=self._link, calls=self._calls, send=self._send, report=report)
        self.drops: Drops = self._dispatcher.drops
        self.counts: Counter[str] = self._dispatcher.counts
        self._socket: socket | None = None
        self._sender: Callable[[Batch], object] | None = None
        self._is_draining = self._is_moving = False
        self._told: set[int] = set()  # sessions whose clients know that we stop
        self._has_call = trio.Event()
        self._legs = BackendLegs(dispatcher=self._dispatcher, entropy=entropy, unix_time=unix_time, report=report)
        self._pass_throughs = 0
        self._seals: Seals | None = None
        self._handover = None if handover is None else self._make_handover(handover)

    def _make_handover(self, services: HandoverServices) -> Handover:
        owner = Owner(cluster=self.options.cluster, incarnation=self.incarnation, worker=self.options.worker)
        self._seals = seals = Seals(services.keys, owner, entropy=self._entropy, unix_time=self._unix_time)
        return Handover(
            store=services.store,
            peers=services.peers,
            owner=owner,
            calls=self._calls,
            dispatcher=self._dispatcher,
            link=self._link,
            arrivals=Arrivals(
                calls=self._calls,
                intake=self._intake,
                unseal=seals.open,
                choose_backend=self._choose_backend,
                add_leg=partial(self._add_leg, services.peers),
                session_options=self._session_options,
                entropy=self._entropy,
                unix_time=self._unix_time,
            ),
            seal=seals.seal,
            on_moved=self.moved.note,
            report=self._report,
            entropy=self._entropy,
        )

    def _add_leg(
        self, peers: Peers, call: Call, backend: BackendSettings, speech: SpeechQueue, now: float, memory: bytes
    ) -> None:
        self._legs.add(call, backend, call.wishes, speech, now, memory=memory, open_tunnel=peers.open_tunnel)
        self._has_call.set()

    # -- the loop

    async def run(self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, then say goodbye to every client. Reports the hop address when it is bound.

        Backends are cut off by the cancellation; `stop` before it lets them come to an end.
        """
        with open_udp(
            *self.options.hop, on_warning=lambda text: self._report("socket-warning", {"warning": text})
        ) as sock:
            never_fragment(sock)
            self._socket = sock
            self._sender = batch_sender(sock, self.drops)
            self.address = address_of(sock)
            try:
                async with trio.open_nursery() as nursery:
                    self._legs.nursery = nursery
                    nursery.start_soon(
                        run_ticker, self._dispatcher.tick, self.lateness, self._rest, self._calls.is_empty_phase
                    )
                    nursery.start_soon(
                        receive_batches, {sock: self._dispatcher.receive_datagrams}, self._dispatcher.flush, _BATCH
                    )
                    if self._handover is not None:
                        nursery.start_soon(self._handover.run)
                    task_status.started(self.address)
            finally:
                self._end_all()
                self._socket = self._sender = self._legs.nursery = None

    async def stop(self) -> None:
        """Take no further call, say goodbye to every client, and wait for their backends, which have a few seconds.

        Clients that listen for events are told why first (`last_words`).

        `run` goes on until it is cancelled. Cancellation leaves backends to themselves.
        """
        self.start_draining()
        self._say_last_words()
        await wait_until_heard(self._calls)
        self._end_all()
        if self._handover is not None:
            self._handover.tunnels.end_all()
        await self._legs.wait_until_ended()
        if self._handover is not None:
            await self._handover.finish()

    async def drain(self) -> None:
        """Take no further call, and move those that are to other transceivers; returns when there is none left.

        The tunnels to their backends have ended by then, too. Cancelled, those that are left stay. Where calls do not
        move, it returns at once.
        """
        self.start_draining()
        if self._handover is not None:
            await self._handover.drain(self.options.drain_deadline)

    def _say_last_words(self) -> None:
        """Tell the clients that are left, each but once, that their calls are about to end."""
        now = trio.current_time()
        for call in self._calls:
            if call.session_id not in self._told and not call.is_held:
                self._told.add(call.session_id)
                self._dispatcher.say(call, partial(say_last_words, entropy=self._entropy, now=now), now)

    def _end_all(self) -> None:
        self._say_last_words()
        for call in self._calls:
            self._dispatcher.end(call, "shutdown", trio.current_time())

    async def _rest(self) -> bool:
        """Wait while there is no call; not for long, since links have timers too."""
        if self._calls:
            return False
        self._has_call = trio.Event()
        with trio.move_on_after(_REST_SECONDS):
            await self._has_call.wait()
        return True

    def _send(self, datagrams: Batch) -> None:
        if datagrams and self._sender is not None:
            self._sender(self._link.bundle(datagrams))

    # -- commands: what `Calls` promises

    async def create_call(
        self,
        offer: str,
        ingresses: Sequence[AnswerIngress],
        owner: str,
        wishes: CallWishes = NO_WISHES,
    ) -> CreatedCall:
        """Answer an offer and wait for the client; see `Calls.create_call`."""
        self._check_load()
        backend = self._choose_backend(wishes)
        options = self._session_options(wishes)
        speech = None if backend.kind is BackendKind.ECHO else SpeechQueue(rate=backend.output_rate)
        now = trio.current_time()
        try:
            accepted = self._intake.accept(offer, ingresses, options, now, speech=speech, hears_at=backend.input_rate)
        except OfferRefused:
            self.counts["refused-offer"] += 1
            raise
        call = self._calls.add(
            call_id=accepted.call_id,
            owner=owner,
            session_id=accepted.session_id,
            session=accepted.session,
            wishes=wishes,
        )
        if speech is not None:
            try:
                self._legs.add(call, backend, wishes, speech, now)
            except BaseException:
                self._dispatcher.end(call, "internal-error", now)
                raise
        self._has_call.set()
        self.counts["created"] += 1
        self._report("call-created", {"call": accepted.call_id})
        return CreatedCall(call_id=accepted.call_id, answer=accepted.answer, ice_tag=ice_tag(accepted.session))

    async def update_call(self, call_id: str, owner: str | None, update: IceUpdate) -> IceUpdated:
        """Take a client's candidates, or restart ICE; see `Calls.update_call`."""
        call = self._find(call_id)
        _check_owner(call, owner)
        ice = call.session.ice
        updated = update_ice(call.session, update, lambda: self._intake.mint_again(call.session_id, ice.local))
        if updated.fragment and call.custody is not None:
            call.custody.touch(trio.current_time())  # whoever takes the call over has to know the new credentials
        self.counts["ice-restart" if updated.fragment else "ice-candidates"] += 1
        facts = {"candidates": updated.candidates, "unreadable": updated.unreadable, "end": updated.is_end}
        self._report("ice-restarted" if updated.fragment else "ice-trickled", {"call": call_id, **facts})
        return updated

    async def end_call(self, call_id: str, owner: str | None) -> None:
        """End a call; see `Calls.end_call`."""
        call = self._find(call_id)
        _check_owner(call, owner)
        self._dispatcher.end(call, "hang-up", trio.current_time())

    def _check_load(self) -> None:
        if self._is_draining or len(self._calls) + self._pass_throughs >= self.options.max_calls:
            self.counts["refused-overloaded"] += 1
            raise Overloaded(_RETRY_SECONDS)

    def _session_options(self, wishes: CallWishes) -> SessionOptions:
        options = self.options.session
        if wishes.max_call is None:
            return options
        return attrs.evolve(options, max_call=min(options.max_call, wishes.max_call))

    def _choose_backend(self, wishes: CallWishes) -> BackendSettings:
        backend = choose_backend(self.options.backends, wishes.model)
        if backend is None:
            self.counts["refused-model"] += 1
            raise ModelNotAllowed(wishes.model or "")
        return backend

    # -- commands: what `Conversations` promises

    async def serve_sideband(self, call_id: str, owner: str | None, socket: EventSocket) -> None:
        """Let a control connection take part in a call; see `Conversations.serve_sideband`."""
        call = self._find(call_id)
        _check_owner(call, owner)
        await self._legs.serve_sideband(call, socket)

    async def serve_realtime(self, wishes: CallWishes, socket: EventSocket) -> None:
        """Pass the plain Realtime protocol through to a backend; see `Conversations.serve_realtime`."""
        self._check_load()
        longest = self.options.session.max_call
        wishes = attrs.evolve(wishes, max_call=min(longest, wishes.max_call or longest))
        backend = self._choose_backend(wishes)
        if backend.kind is BackendKind.ECHO:
            raise ModelNotAllowed(wishes.model or "")
        self._pass_throughs += 1
        try:
            link = make_link(backend, wishes.model, self._entropy)
            options = PassThroughOptions(profile=profile_of(backend))
            await pass_through(socket, link, wishes, entropy=self._entropy, options=options)
        except (BackendUnavailable, ClientTooSlow) as error:
            self._report("pass-through-ended", {"reason": str(error)})
            raise
        finally:
            self._pass_throughs -= 1

    async def describe_call(self, call_id: str) -> Mapping[str, object]:
        """Tell a call's state; see `Calls.describe_call`."""
        call = self._find(call_id)
        return {"call": call_id, "owner": call.owner, "model": call.wishes.model, **call.describe()}

    def status(self) -> Mapping[str, object]:
        """Tell the worker's state; see `Calls.status`. Cheap, because every signal node asks each second."""
        relays = len(self._link.relays)
        reason = "draining" if self._is_draining else "" if relays else "no relay has said hello yet"
        return {
            "cluster": self.options.cluster,
            "incarnation": self.incarnation,
            "workers": 1,
            "calls": len(self._calls),
            "calls_by_owner": dict(self._calls.by_owner),
            "max_calls": self.options.max_calls,
            "relays": relays,
            "ready": not reason,
            "reason": reason,
            "tick_lateness_p999_ms": round(self.lateness.quantile(0.999) * 1000, 2),
            "counts": dict(self.counts),
            "round_trips": [each.to_list() for each in self.round_trips()],
            "losses": [each.to_list() for each in self.losses()],
        }

    def round_trips(self) -> Sequence[RoundTripSample]:
        """Tell the latest round trips that calls have measured."""
        return self._ways.round_trips(trio.current_time())

    def losses(self) -> Sequence[LossSample]:
        """Tell what calls have lost lately."""
        return self._ways.losses(trio.current_time())

    # -- commands: what `Movable` promises

    async def accept_call(self, offered: Offered) -> Owner:
        """Restore a call that another transceiver wants to give us, and hold it; see `Movable.accept_call`."""
        if self._handover is None or self._is_draining or len(self._calls) >= self.options.max_calls:
            raise HandOverRefused("no call is taken over here")
        owner = self._handover.accept(offered)
        self._has_call.set()
        return owner

    async def release_call(self, offered: Offered, owner: Owner, kept: bytes) -> None:  # noqa: ARG002 - but one worker
        """Take the word that a held call is ours; see `Movable.release_call`."""
        if self._handover is not None:
            self._handover.release(offered.session, offered.generation, kept)

    async def withdraw_call(self, offered: Offered, owner: Owner) -> None:  # noqa: ARG002 - there is but one worker
        """Forget a held call; see `Movable.withdraw_call`."""
        if self._handover is not None:
            self._handover.withdraw(offered.session, offered.generation)

    async def hear_worker(self, worker: int) -> None:
        """We are asked ourselves, and our loop turns; see `Movable.hear_worker`."""

    async def start_drain(self) -> None:
        """Begin to move all calls away; see `Movable.start_drain`."""
        self.start_draining()
        if self._handover is not None and self._legs.nursery is not None and not self._is_moving:
            self._is_moving = True
            self._legs.nursery.start_soon(self._handover.drain, self.options.drain_deadline)

    async def serve_tunnel(self, worker: int, session: int, generation: int, token: bytes, taker: WebSocket) -> None:
        """Let the new owner of a call have the connection to its backend; see `Movable.serve_tunnel`."""
        if self._handover is None or worker != self.options.worker:
            raise TunnelRefused
        await self._handover.tunnels.serve(session, generation, token, taker)

    def _find(self, call_id: str) -> Call:
        call = self._calls.of_call_id(call_id)
        if call is None:
            raise self.moved.refusal(call_id) or CallNotFound(call_id)
        return call

    # -- for the tier that it runs in

    def replace_keys(
        self,
        *,
        credential_keys: CredentialKeys,
        call_id_keys: CallIdKeys,
        hop_keys: HopKeys,
        snapshot_keys: SnapshotKeys | None = None,
    ) -> None:
        """Use other keys from now on; calls and links stay."""
        if self._seals is not None and snapshot_keys is not None:
            self._seals.keys = snapshot_keys
        self._intake.credential_keys = credential_keys
        self._intake.call_id_keys = call_id_keys
        self._link.keys = hop_keys

    def handover_counts(self) -> Mapping[str, int]:
        """Count checkpoints, take-overs and moves by what became of them; nothing where calls do not move."""
        return {} if self._handover is None else self._handover.counts()

    def start_draining(self) -> None:
        """Take no further call; those that are stay."""
        self._is_draining = True

    def all_drops(self) -> Mapping[str, int]:
        """Count what the worker, its link and all its sessions have dropped, by layer and reason."""
        total = self._calls.drops()
        total.update({f"worker.{reason}": count for reason, count in self.drops.items()})
        if self._socket is not None and (lost := lost_on_arrival(self._socket)):
            total[f"worker.{UdpDropReason.RECEIVE_BUFFER_FULL}"] = lost
        total.update({f"hop.{reason}": count for reason, count in self._link.drops.items()})
        return total


def _check_owner(call: Call, owner: str | None) -> None:
    if owner is not None and not hmac.compare_digest(call.owner.encode(), owner.encode()):
        raise NotOwner(call.call_id)
