"""A worker that stands still answers no question about itself, though the front and its siblings serve."""

from functools import partial

import attrs
import pytest
import trio
import trio.testing

import edge.workers.life
from edge.config.model import Role
from edge.control.moving_client import MovingClient
from edge.control.peers import FleetPeers
from edge.control.server import ControlHandler
from edge.registry.member import Heard, Member
from edge.tiers.keyring import call_id_keys, control_bearers
from edge.workers.front import Front
from edge.workers.messages import Started
from edge.workers.place import Place
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import Pulse

KEY = "5f" * 32
CLUSTER, INCARNATION, ASKER = 3, 77, 1


class Loop:
    """A worker's control API, whose loop may stand still."""

    def __init__(self, handler: ControlHandler) -> None:
        self.handler = handler
        self.pause = 0.0
        self.asked = 0

    async def handle(self, request):
        self.asked += 1
        await trio.sleep(self.pause)
        return await self.handler.handle(request)

    def refuse(self, request, response):
        return self.handler.refuse(request, response)


@attrs.define(eq=False)
class Two:
    """A transceiver with two workers, and somebody of another process who asks how they are."""

    workers: list[Loop]
    places: list[Place]
    peers: FleetPeers

    async def pulse(self, worker: int) -> tuple[Pulse, float]:
        began = trio.current_time()
        suspect = Owner(cluster=CLUSTER, incarnation=INCARNATION, worker=worker)
        return await self.peers.feel_pulse(suspect), trio.current_time() - began


@pytest.fixture
async def two(nursery, launch, network, bundle, make_calls, make_start, monkeypatch) -> Two:
    monkeypatch.setattr(edge.workers.life, "MovingClient", partial(MovingClient, connect=network.connect))
    workers = [Loop(ControlHandler(make_calls(), control_bearers(bundle))) for _ in range(2)]
    for number, loop in enumerate(workers):
        network.add(f"10.1.0.{number}", loop)
    places = [Place(make_start(number, 2), lambda name, facts: None, launch) for number in range(2)]
    front = Front(places, call_id_keys=call_id_keys(bundle), cluster=CLUSTER, incarnation=INCARNATION)
    network.add("front", ControlHandler(front, [KEY], movable=front))
    for place in places:
        nursery.start_soon(place.run)
    await trio.testing.wait_all_tasks_blocked()
    for worker in launch.born:
        number = (await worker.hear()).number
        await worker.say(Started(hop=("10.1.0.0", 7000 + number), control=(f"10.1.0.{number}", 9000)))
    await trio.testing.wait_all_tasks_blocked()
    member = Member(
        kind=Role.TRANSCEIVER,
        name="two",
        incarnation=INCARNATION,
        cluster=CLUSTER,
        control="http://front:7080",
        workers=2,
    )
    peers = FleetPeers(
        members=lambda: [Heard(member, 0.5)],
        make_client=lambda url: MovingClient(url, KEY, connect=network.connect),
        cluster=CLUSTER,
        incarnation=ASKER,
    )
    return Two(workers, places, peers)


async def test_one_that_stands_still_is_silent_and_its_sibling_lives(two: Two, autojump_clock) -> None:
    two.workers[1].pause = 60.0
    pulse, seconds = await two.pulse(1)
    assert (pulse, seconds) == (Pulse.SILENT, pytest.approx(0.1, abs=0.03))
    pulse, seconds = await two.pulse(0)
    assert (pulse, seconds) == (Pulse.ALIVE, pytest.approx(0.0, abs=0.01))


async def test_one_that_serves_lives_and_is_asked_itself(two: Two, autojump_clock) -> None:
    for worker in (0, 1):
        assert (await two.pulse(worker))[0] is Pulse.ALIVE
    assert [loop.asked for loop in two.workers] == [1, 1]


async def test_one_that_is_only_slow_lives_and_gets_more_time_then(two: Two, autojump_clock) -> None:
    two.workers[1].pause = 0.07
    assert (await two.pulse(1))[0] is Pulse.ALIVE
    two.workers[1].pause = 0.25
    assert (await two.pulse(1))[0] is Pulse.ALIVE


async def test_one_that_goes_on_lives_again(two: Two, autojump_clock) -> None:
    two.workers[1].pause = 60.0
    assert (await two.pulse(1))[0] is Pulse.SILENT
    two.workers[1].pause = 0.0
    assert (await two.pulse(1))[0] is Pulse.ALIVE


async def test_one_that_has_died_is_gone_at_once_and_nobody_is_asked(two: Two, launch, autojump_clock) -> None:
    await launch.born[1].die()
    (number,) = [place.number for place in two.places if place.life is None]
    pulse, seconds = await two.pulse(number)
    assert (pulse, seconds) == (Pulse.GONE, pytest.approx(0.0, abs=0.01))
    assert [loop.asked for loop in two.workers] == [0, 0]


async def test_a_number_that_no_worker_has_is_nobodys(two: Two, autojump_clock) -> None:
    pulse, seconds = await two.pulse(2)
    assert (pulse, seconds) == (Pulse.GONE, pytest.approx(0.0, abs=0.01))
    assert [loop.asked for loop in two.workers] == [0, 0]


@pytest.mark.parametrize("number", ["", "-1", "1e3", "%D9%A1", "12345678901234567890"])
async def test_what_is_no_number_is_not_waited_for(two: Two, network, number: str, autojump_clock) -> None:
    for loop in two.workers:
        loop.pause = 60.0
    client = MovingClient("http://front:7080", KEY, connect=network.connect)
    began = trio.current_time()
    assert (await client.status(number))["workers"] == 2
    assert trio.current_time() - began < 0.01
