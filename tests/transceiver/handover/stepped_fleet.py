"""Two workers, a relay and callers without sockets, on a clock that is stepped: nothing depends on the machine.

Loaded by the fixture `stepped_fleet`. Every datagram on the hop takes `HOP_DELAY`, each way.
"""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import ModuleType

import attrs
import trio

from dtls.certificate import Certificate
from edge.caller.description import parse_answer
from edge.caller.opus_file import Clip
from edge.caller.progress import CallerOptions, Stage
from edge.caller.session import CallerSession
from edge.store.memory import MemoryOwnership
from relay.forwarder import Forwarder
from relay.tags import FlowTags
from transceiver.calls import AnswerIngress
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import HandOverRefused, Offered, Pulse
from transceiver.handover.services import HandoverServices
from transceiver.options import WorkerOptions
from transceiver.ticker import PHASES
from transceiver.worker import Worker
from wire.core import Address, Path

STEP = 0.005
HOP_DELAY = 0.01
UNIX = 1_800_000_000.0
RELAY: Address = ("10.0.0.1", 4000)
SERVER: Address = ("192.0.2.1", 3478)


@attrs.define(eq=False)
class Place:
    """A worker."""

    worker: Worker
    owner: Owner
    address: Address
    reports: list[tuple[str, dict[str, object]]] = attrs.field(factory=list)
    taken: list[bytes] = attrs.field(factory=list)  # what reached it by the hop

    def names(self) -> list[str]:
        return [name for name, _ in self.reports]


@attrs.define(eq=False, slots=False)
class SlowPeers:
    """`Peers` in one process, that take their time.

    Attributes:
        offering, releasing: seconds until the other end has heard, and again until its answer is here.
        loses: how many of the words `release` do not arrive.
        refuses: whether no call is taken.
    """

    places: list[Place]
    me: Owner
    offering: float = 0.0
    releasing: float = 0.0
    loses: int = 0
    refuses: bool = False
    released: list[bytes] = attrs.field(factory=list)

    def candidates(self) -> Sequence[Owner]:
        return [place.owner for place in self.places]

    async def feel_pulse(self, suspect: Owner) -> Pulse:
        return Pulse.ALIVE

    async def offer(self, call: Offered) -> Owner:
        await trio.sleep(self.offering)
        other = next(place for place in self.places if place.owner != self.me)
        if self.refuses:
            raise HandOverRefused("not now")
        owner = await other.worker.accept_call(call)
        await trio.sleep(self.offering)
        return owner

    async def withdraw(self, call: Offered, owner: Owner) -> None:
        await self._place(owner).worker.withdraw_call(call, owner)

    async def release(self, call: Offered, owner: Owner, kept: bytes) -> None:
        await trio.sleep(self.releasing)
        if self.loses:
            self.loses -= 1
        else:
            self.released.append(kept)
            await self._place(owner).worker.release_call(call, owner, kept)
        await trio.sleep(self.releasing)

    def _place(self, owner: Owner) -> Place:
        return next(place for place in self.places if place.owner == owner)


@attrs.define(eq=False)
class Client:
    """A caller, and what it has sent and heard of audio."""

    caller: CallerSession
    address: Address = ("198.51.100.7", 50000)


@attrs.define(eq=False)
class SteppedFleet:
    """The whole of it."""

    relay: Forwarder
    places: list[Place]
    peers: list[SlowPeers]
    certificate: Certificate
    clip: Clip
    clients: list[Client] = attrs.field(factory=list)
    on_wire: list[tuple[float, bytes, Address, Address]] = attrs.field(factory=list)  # due, data, from, to

    async def call(self, *, has_events: bool = False) -> Client:
        """Place a call on the first worker, and let it run until the store knows it."""
        caller = CallerSession(
            certificate=self.certificate,
            options=CallerOptions(clip=self.clip, has_events=has_events),
            unix_time=UNIX,
            entropy=random.Random(11).randbytes,
            now=trio.current_time(),
        )
        ingress = AnswerIngress(id=1, host=SERVER[0], port=SERVER[1], priority=2130706431)
        created = await self.places[0].worker.create_call(caller.offer, [ingress], "0wner")
        caller.accept(parse_answer(created.answer), trio.current_time())
        client = Client(caller)
        self.clients.append(client)
        await trio.sleep(2)
        assert caller.stage is Stage.TALKING
        assert self.places[0].worker.handover_counts()["checkpoint.created"] == 1
        return client

    async def run(self) -> None:
        """Step everything."""
        phase = 0
        while True:
            await trio.sleep(STEP)
            now = trio.current_time()
            phase = (phase + 1) % PHASES
            for client in self.clients:
                self._step(client, now)
            self.relay.handle_timeout(now)
            for place in self.places:
                place.worker._dispatcher.tick(phase, now)
            self._deliver(now)

    def _step(self, client: Client, now: float) -> None:
        caller = client.caller
        caller.handle_timeout(now)
        if caller.media is not None and caller.stage is Stage.TALKING:
            for data in caller.media.audio_to_send(now, now):
                self.relay.receive_from_client(data, client.address, 1, now, UNIX + now)
        for data, _ in caller.datagrams_to_send(now):
            self.relay.receive_from_client(data, client.address, 1, now, UNIX + now)

    def _deliver(self, now: float) -> None:
        self.on_wire += [(now + HOP_DELAY, data, RELAY, target) for data, target in self.relay.to_transceivers]
        self.relay.to_transceivers.clear()
        due = [each for each in self.on_wire if each[0] <= now]
        self.on_wire = [each for each in self.on_wire if each[0] > now]
        for _, data, source, target in due:
            if target == RELAY:
                self.relay.receive_from_hop(data, source, now)
                continue
            for place in self.places:
                if place.address == target:
                    place.taken.append(data)
                    place.worker._dispatcher.receive_datagrams([(data, source)], now)
        for place in self.places:
            place.worker._dispatcher.flush(now)
        for client in self.clients:
            for data, address in self.relay.to_clients[1]:
                if address == client.address:
                    client.caller.receive_datagram(data, Path(SERVER), now)
        self.relay.to_clients[1].clear()


@asynccontextmanager
async def run_stepped(
    certificate: Certificate, clip: Clip, keys: ModuleType, *, is_sealed: bool = False
) -> AsyncIterator[SteppedFleet]:
    """Run two workers and a relay, and cancel them.

    Args:
        certificate: of the callers.
        clip: what they say.
        keys: the module `moving_network`.
        is_sealed: whether the workers want everything on the hop sealed.
    """
    store = MemoryOwnership(trio.current_time)
    places: list[Place] = []
    peers = []
    addresses = [("10.0.1.1", 5000), ("10.0.1.2", 5000)]
    fleet = SteppedFleet(
        Forwarder(
            credentials=keys.CREDENTIALS,
            hop_keys=keys.HOP,
            flow_tags=FlowTags([b"f" * 32]),
            ingresses=[1],
            transceivers=addresses,
            entropy=random.Random(1).randbytes,
            now=trio.current_time(),
        ),
        places,
        peers,
        certificate,
        clip,
    )
    async with trio.open_nursery() as nursery:
        for number, address in enumerate(addresses, 1):
            owner = Owner(cluster=3, incarnation=4710 + number, worker=0)
            peers.append(SlowPeers(places, owner))
            reports: list[tuple[str, dict[str, object]]] = []
            worker = Worker(
                options=WorkerOptions(hop=address, cluster=3, backends=keys.ECHO, hop_sealed=is_sealed),
                incarnation=owner.incarnation,
                credential_keys=keys.CREDENTIALS,
                call_id_keys=keys.CALL_IDS,
                hop_keys=keys.HOP,
                report=lambda name, facts, lines=reports: lines.append((name, dict(facts))),
                entropy=random.Random(number).randbytes,
                unix_time=lambda: UNIX + trio.current_time(),
                handover=HandoverServices(store=store, peers=peers[-1], keys=keys.SNAPSHOT_KEYS),
            )
            place = Place(worker, owner, address, reports)
            worker._sender = lambda batch, address=address: fleet.on_wire.extend(
                (trio.current_time() + HOP_DELAY, data, address, relay) for data, relay in batch
            )
            worker._legs.nursery = nursery
            nursery.start_soon(worker._handover.run)
            places.append(place)
        nursery.start_soon(fleet.run)
        await trio.sleep(1)
        assert all(place.worker.status()["ready"] for place in places)
        yield fleet
        nursery.cancel_scope.cancel()
