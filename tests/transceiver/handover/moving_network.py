"""Two workers, a relay and callers on loopback sockets, and a store in memory; for tests that use `autojump_clock`.

Loaded by the fixture `moving_network`. Sockets of one machine deliver at once: when nothing is left to read, the clock
leaps to what comes next. So a call of many seconds takes a moment.
"""

import json
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import trio
import trio.testing
from wsproto.connection import Connection, ConnectionType

from dtls.certificate import Certificate
from edge.caller.description import parse_answer
from edge.caller.events import EventReceived
from edge.caller.opus_file import Clip
from edge.caller.progress import CallerOptions, Stage
from edge.caller.results import MediaStatistics
from edge.caller.session import CallerSession
from edge.store.memory import MemoryOwnership
from relay.hop.keys import HopKeys
from relay.sockets import IngressBinding
from relay.tags import FlowTags
from relay.udp import drain, open_udp
from relay.worker import RelayKeys, RelayOptions, RelayWorker
from stun.credentials import CredentialKey, CredentialKeys
from transceiver.backends.choice import Backends
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.call_ids import CallIdKey, CallIdKeys
from transceiver.calls import AnswerIngress, CreatedCall
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import HandOverRefused, Offered, Pulse
from transceiver.handover.sealing import SnapshotKeys
from transceiver.handover.services import HandoverServices
from transceiver.handover.tunnels import TunnelRefused
from transceiver.options import WorkerOptions
from transceiver.websocket.connecting import SocketUnreachable
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits
from transceiver.worker import Worker
from wire.core import Path
from wire.demux import Kind, kind_of

CREDENTIALS = CredentialKeys([CredentialKey(key_id=1, token=b"t" * 64, ice_pwd=b"p" * 32)], 1)
CALL_IDS = CallIdKeys([CallIdKey(key_id=1, token=b"c" * 64)], 1)
HOP = HopKeys.derive({1: b"h" * 32}, 1)
SNAPSHOT_KEYS = SnapshotKeys({1: b"s" * 32}, 1)
STARTED = time.time()
ECHO = Backends(default=BackendSettings(kind=BackendKind.ECHO))


@attrs.define(eq=False)
class Place:
    """A worker that runs until it is killed."""

    worker: Worker
    owner: Owner
    scope: trio.CancelScope
    reports: list[tuple[str, dict[str, object]]]
    is_alive: bool = True

    def kill(self) -> None:
        """End without another datagram, as by SIGKILL."""
        self.is_alive = False
        self.worker._sender = lambda _batch: None
        self.worker._dispatcher.on_ended = None  # nor a word to the store
        self.scope.cancel()

    def names(self) -> list[str]:
        return [name for name, _ in self.reports]


class Neighbours:
    """`Peers` in one process."""

    def __init__(self, places: list[Place], me: Owner) -> None:
        self._places = places
        self._me = me

    def candidates(self) -> Sequence[Owner]:
        return [place.owner for place in self._places if place.is_alive]

    async def feel_pulse(self, suspect: Owner) -> Pulse:
        is_alive = any(place.owner == suspect and place.is_alive for place in self._places)
        return Pulse.ALIVE if is_alive else Pulse.GONE

    async def offer(self, call: Offered) -> Owner:
        for place in self._places:
            if place.owner != self._me and place.is_alive and not place.worker._is_draining:
                return await place.worker.accept_call(call)
        raise HandOverRefused("nobody is there")

    async def withdraw(self, call: Offered, owner: Owner) -> None:
        await self._place(owner).worker.withdraw_call(call, owner)

    async def release(self, call: Offered, owner: Owner, kept: bytes) -> None:
        await self._place(owner).worker.release_call(call, owner, kept)

    @asynccontextmanager
    async def open_tunnel(self, ticket: TunnelTicket, limits: SocketLimits) -> AsyncIterator[WebSocket]:
        place = next(place for place in self._places if place.owner.incarnation == ticket.incarnation)
        ours, theirs = trio.testing.memory_stream_pair()
        socket = WebSocket(ours, Connection(ConnectionType.CLIENT), limits)
        taker = WebSocket(theirs, Connection(ConnectionType.SERVER), SocketLimits())
        is_refused = not place.is_alive

        async def serve() -> None:
            nonlocal is_refused
            try:
                await place.worker.serve_tunnel(ticket.worker, ticket.session, ticket.generation, ticket.token, taker)
            except TunnelRefused:
                is_refused = True
            else:
                await taker.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await trio.sleep(0.01)
            if not is_refused:
                yield socket
                await socket.close()
            nursery.cancel_scope.cancel()
        if is_refused:
            raise SocketUnreachable("refused")

    def _place(self, owner: Owner) -> Place:
        return next(place for place in self._places if place.owner == owner)


@attrs.define(eq=False)
class Client:
    """A caller on a socket of its own."""

    caller: CallerSession
    created: CreatedCall
    server: tuple[str, int]
    packets: int = 0
    heard: float = math.inf
    longest_gap: float = 0.0
    told: list[dict[str, object]] = attrs.field(factory=list)

    async def run(self) -> None:
        with open_udp("127.0.0.1", 0, on_warning=lambda _: None) as sock:
            while self.caller.stage is not Stage.CLOSED:
                now = trio.current_time()
                self.caller.handle_timeout(now)
                if self.caller.media is not None and self.caller.stage is Stage.TALKING:
                    self._send(sock, self.caller.media.audio_to_send(now, now))
                self._send(sock, (data for data, _ in self.caller.datagrams_to_send(now)))
                with trio.move_on_after(0.005):
                    await trio.lowlevel.wait_readable(sock)
                for data, source in drain(sock):
                    self._note(data, trio.current_time())
                    events = self.caller.receive_datagram(data, Path(source), trio.current_time())
                    self.told += [json.loads(event.text) for event in events if isinstance(event, EventReceived)]

    def _send(self, sock, datagrams) -> None:
        for data in datagrams:
            sock.sendto(data, self.server)

    def _note(self, data: bytes, now: float) -> None:
        """Count what is audio; the caller's own statistics begin anew after a leap."""
        if kind_of(data) is Kind.RTP:
            self.packets += 1
            self.longest_gap = max(self.longest_gap, now - self.heard)
            self.heard = now

    def say(self, **event: object) -> None:
        self.caller.events.send(json.dumps(event), trio.current_time())

    def types(self) -> list[object]:
        return [event["type"] for event in self.told]

    @property
    def lost(self) -> int:
        return MediaStatistics.of(self.caller).lost


@attrs.define(eq=False)
class Fleet:
    """The whole of it."""

    nursery: trio.Nursery
    relay: RelayWorker
    store: MemoryOwnership
    certificate: Certificate
    clip: Clip
    places: list[Place] = attrs.field(factory=list)

    async def call(self, place: Place, *, has_events: bool = False) -> Client:
        """Place a call on a worker, and wait until it hears something."""
        client = await self.offer(place, has_events=has_events)
        self.nursery.start_soon(client.run)
        await eventually(lambda: client.caller.media is not None and client.caller.media.heard_at is not None)
        return client

    async def offer(self, place: Place, *, has_events: bool = False) -> Client:
        """Place a call on a worker whose client does nothing yet."""
        caller = CallerSession(
            certificate=self.certificate,
            options=CallerOptions(clip=self.clip, has_events=has_events),
            unix_time=wall_clock(),
            entropy=os.urandom,
            now=trio.current_time(),
        )
        host, port = self.relay.ingress_addresses[1]
        ingress = AnswerIngress(id=1, host=host, port=port, priority=2130706431)
        created = await place.worker.create_call(caller.offer, [ingress], "0wner")
        caller.accept(parse_answer(created.answer), trio.current_time())
        return Client(caller, created, (host, port))


def wall_clock() -> float:
    """The time that hosts would show: it goes as Trio's clock does."""
    return STARTED + trio.current_time()


async def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - the things waited for are plain cores, which know no Trio
            await trio.sleep(0.005)


@asynccontextmanager
async def run_fleet(
    certificate: Certificate,
    clip: Clip,
    backends: Backends = ECHO,
    *,
    keys: Sequence[SnapshotKeys] = (SNAPSHOT_KEYS, SNAPSHOT_KEYS),
    clocks: Sequence[float] = (0.0, 0.0, 0.0),
) -> AsyncIterator[Fleet]:
    """Run some workers and a relay, and cancel them.

    Args:
        certificate: of the callers.
        clip: what they say.
        backends: what answers them.
        keys: of each worker's snapshots; there are as many workers.
        clocks: by how many seconds the wall clock of each is fast.
    """
    store = MemoryOwnership(trio.current_time)
    places: list[Place] = []
    async with trio.open_nursery() as nursery:
        for number, own_keys in enumerate(keys, 1):
            owner = Owner(cluster=3, incarnation=4710 + number, worker=0)
            reports: list[tuple[str, dict[str, object]]] = []
            worker = Worker(
                options=WorkerOptions(hop=("127.0.0.1", 0), cluster=3, backends=backends),
                incarnation=owner.incarnation,
                credential_keys=CREDENTIALS,
                call_id_keys=CALL_IDS,
                hop_keys=HOP,
                report=lambda name, facts, lines=reports: lines.append((name, dict(facts))),
                unix_time=lambda fast=clocks[number - 1]: wall_clock() + fast,
                handover=HandoverServices(store=store, peers=Neighbours(places, owner), keys=own_keys),
            )
            place = Place(worker, owner, trio.CancelScope(), reports)
            await nursery.start(_run, place)
            places.append(place)
        relay = RelayWorker(
            RelayOptions(
                hop=("127.0.0.1", 0),
                ingresses=[IngressBinding(id=1, bind=("127.0.0.1", 0))],
                transceivers=[place.worker.address for place in places],
            ),
            RelayKeys(credentials=CREDENTIALS, hop=HOP, flow_tags=FlowTags([b"f" * 32])),
        )
        nursery.start_soon(relay.run)
        for place in places:
            await eventually(lambda place=place: place.worker.status()["ready"] is True)
        yield Fleet(nursery, relay, store, certificate, clip, places)
        nursery.cancel_scope.cancel()


async def _run(place: Place, *, task_status: trio.TaskStatus[None]) -> None:
    with place.scope:
        await place.worker.run(task_status=task_status)
