"""How a transceiver finds out who of the others is dead, and whom it waits for."""

import time
from functools import partial

import attrs
import pytest
import trio

from edge.config.model import Role
from edge.control import peers as module
from edge.control.moving_client import MovingClient
from edge.control.peers import FleetPeers
from edge.control.server import ControlHandler
from edge.http.messages import Response
from edge.registry.member import LATE, Heard, Member
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import Pulse

KEY = "5f" * 32
CLUSTER, ME, OTHER, THIRD = 3, 1, 77, 88


def owner(incarnation, worker=0):
    return Owner(cluster=CLUSTER, incarnation=incarnation, worker=worker)


def member(incarnation, **more):
    return Member(
        kind=Role.TRANSCEIVER,
        name=str(incarnation),
        incarnation=incarnation,
        cluster=CLUSTER,
        control=f"http://host-{incarnation}:7080",
        **more,
    )


class Slow:
    """A transceiver that takes its time to answer."""

    def __init__(self, handler, seconds):
        self.handler, self.seconds = handler, seconds

    async def handle(self, request) -> Response:
        await trio.sleep(self.seconds)
        return await self.handler.handle(request)

    def refuse(self, request, response):
        return self.handler.refuse(request, response)


@attrs.define(eq=False)
class Fleet:
    """The others, as the registry knows them, and those that answer."""

    network: object
    make_calls: object
    heard: list[Heard]
    peers: FleetPeers

    def answers(self, incarnation, *, host=None, after=0.0, **state):
        calls = self.make_calls()
        calls.state |= {"incarnation": incarnation, **state}
        self.network.add(f"host-{host or incarnation}", Slow(ControlHandler(calls, [KEY]), after))

    def dies(self, incarnation):
        del self.network.servers[f"host-{incarnation}"]

    async def takes(self, suspect, expected):
        began = trio.current_time()
        assert await self.peers.feel_pulse(suspect) is expected
        return trio.current_time() - began


@pytest.fixture
async def fleet(network, make_calls):
    heard = [Heard(member(each), 0.5) for each in (ME, OTHER, THIRD)]
    peers = FleetPeers(
        members=lambda: heard,
        make_client=lambda url: MovingClient(url, KEY, connect=network.connect),
        cluster=CLUSTER,
        incarnation=ME,
    )
    return Fleet(network, make_calls, heard, peers)


async def test_who_answers_lives_and_who_refuses_is_gone(fleet, autojump_clock):
    fleet.answers(OTHER)
    assert await fleet.takes(owner(OTHER), Pulse.ALIVE) < 0.01
    assert await fleet.takes(owner(THIRD), Pulse.GONE) < 0.01
    assert await fleet.takes(owner(4711), Pulse.GONE) < 0.01, "its lease has run out"


async def test_who_is_in_the_place_of_another_has_not_its_calls(fleet, autojump_clock):
    fleet.answers(4711, host=OTHER)
    await fleet.takes(owner(OTHER), Pulse.GONE)


async def test_who_has_just_begun_and_knows_nobody_leaves_it_to_the_relays(fleet, autojump_clock):
    fleet.heard.clear()
    await fleet.takes(owner(OTHER), Pulse.SILENT)


async def test_silence_takes_a_tenth_of_a_second(fleet, autojump_clock):
    fleet.answers(OTHER, after=10.0)
    assert await fleet.takes(owner(OTHER), Pulse.SILENT) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(("lateness", "patience"), [(0.01, 0.14), (0.05, 0.3), (9.0, 0.5), (-1.0, 0.1)])
async def test_one_whose_loop_was_late_is_waited_for(fleet, lateness, patience, autojump_clock):
    fleet.answers(OTHER, after=10.0)
    fleet.heard[1] = Heard(member(OTHER, lateness=lateness), 0.5)
    assert await fleet.takes(owner(OTHER), Pulse.SILENT) == pytest.approx(patience, abs=0.03)


async def test_one_that_has_answered_lately_is_slow_and_gets_more_time(fleet, autojump_clock):
    fleet.answers(OTHER, after=0.05)
    await fleet.takes(owner(OTHER), Pulse.ALIVE)
    fleet.answers(OTHER, after=0.2)
    await fleet.peers.aclose()
    fleet.peers._clients.clear()
    assert await fleet.takes(owner(OTHER), Pulse.ALIVE) == pytest.approx(0.2, abs=0.03)
    await trio.sleep(module._SLOW_FOR + 1)
    await fleet.takes(owner(OTHER), Pulse.SILENT)


async def test_one_that_was_paused_and_is_back_is_not_slow(fleet, autojump_clock):
    fleet.answers(OTHER, after=10.0)
    await fleet.takes(owner(OTHER), Pulse.SILENT)
    fleet.answers(OTHER)
    await fleet.takes(owner(OTHER), Pulse.ALIVE)
    assert owner(OTHER) in fleet.peers.candidates()
    fleet.answers(OTHER, after=10.0)
    fleet.peers._clients.clear()
    assert await fleet.takes(owner(OTHER), Pulse.SILENT) == pytest.approx(0.1, abs=0.03)


async def test_only_the_time_counts_in_which_our_own_loop_turns(network, make_calls):
    """On the real clock: we stand still ourselves, and the answer is there when we go on."""
    calls = make_calls()
    calls.state |= {"incarnation": OTHER}
    network.add(f"host-{OTHER}", Slow(ControlHandler(calls, [KEY]), 0.05))
    peers = FleetPeers(
        members=lambda: [Heard(member(OTHER), 0.5)],
        make_client=lambda url: MovingClient(url, KEY, connect=network.connect),
        cluster=CLUSTER,
        incarnation=ME,
    )
    async with trio.open_nursery() as nursery:

        async def stand_still():
            await trio.sleep(0.03)
            time.sleep(0.3)  # noqa: ASYNC251 - that is the point

        nursery.start_soon(stand_still)
        assert await peers.feel_pulse(owner(OTHER)) is Pulse.ALIVE


async def test_all_workers_of_a_dead_process_are_no_candidates(fleet, autojump_clock):
    fleet.heard[1] = Heard(member(OTHER, workers=3), 0.5)
    everybody = [owner(ME), *(owner(OTHER, number) for number in range(3)), owner(THIRD)]
    assert list(fleet.peers.candidates()) == everybody
    await fleet.takes(owner(OTHER, 1), Pulse.GONE)
    assert list(fleet.peers.candidates()) == [owner(ME), owner(THIRD)]
    fleet.heard.clear()
    await trio.sleep(module._DEAD_FOR + 1)
    fleet.peers.candidates()
    assert fleet.peers._dead == {}, "it is not remembered for ever"


async def test_the_siblings_of_a_dead_worker_that_serve_are_candidates(fleet, autojump_clock):
    fleet.heard[1] = Heard(member(OTHER, workers=3), 0.5)
    states = [{"serves": True}, {"serves": False}, {"serves": False}]
    fleet.answers(OTHER, each_worker=states)
    await fleet.takes(owner(OTHER, 1), Pulse.GONE)
    assert list(fleet.peers.candidates()) == [owner(ME), owner(OTHER, 0), owner(THIRD)]
    states[1]["serves"] = True
    await fleet.takes(owner(OTHER, 1), Pulse.ALIVE)
    assert list(fleet.peers.candidates()) == [owner(ME), owner(OTHER, 0), owner(OTHER, 1), owner(THIRD)]


@pytest.mark.parametrize(
    "change",
    [
        partial(attrs.evolve, is_ready=False),
        partial(attrs.evolve, is_draining=True),
        lambda each: Heard(each, LATE + 0.1),
    ],
)
async def test_who_would_not_come_is_not_waited_for(fleet, change, autojump_clock):
    changed = change(member(OTHER))
    fleet.heard[1] = changed if isinstance(changed, Heard) else Heard(changed, 0.5)
    assert list(fleet.peers.candidates()) == [owner(ME), owner(THIRD)]
