"""A relay's crew: every place filled, at once from the spare, with the sockets that were there before."""

import socket

import attrs
import pytest
import trio
import trio.testing

from edge.relay_workers.crew import Crew, Place
from edge.relay_workers.member import SILENCE
from edge.relay_workers.messages import Adopt, Done, Figures, Go, Idle, Prepared, Reload, Start, Stop, Stopped
from relay.places import HopPeers

LONG = 600.0


@pytest.fixture
def crew(settings, make_sockets, report, launch) -> Crew:
    places = [Place(number=number, core=None, sockets=make_sockets()) for number in range(2)]
    return Crew(settings, places, report, launch)


@pytest.fixture
async def running(nursery, crew, launch):
    """A crew whose two workers forward."""
    nursery.start_soon(crew.run)
    for count in (1, 2):
        await (await launch.wait_for(count)).become_a_worker()
    await crew.go()
    for worker in launch.born:
        assert await worker.hear() == Go()
    return crew


async def test_workers_are_told_everything_and_read_nothing_before_all_are_prepared(
    nursery, crew, launch, settings
) -> None:
    started = trio.Event()

    async def run() -> None:
        await nursery.start(crew.run)
        started.set()

    nursery.start_soon(run)
    first = await launch.wait_for(1)
    second = await launch.wait_for(2)
    number = (await first.become_a_worker()).number
    assert not started.is_set()
    order = await second.become_a_worker()
    assert order == Start(settings=settings, number=1 - number, core=None, ingresses=(5,), listeners=())
    await started.wait()
    for worker in (first, second):
        assert len(worker.stream.arrived) == 2, "a socket of the hop, and one of the ingress"
    taken = socket.socket(fileno=second.stream.arrived[0])
    assert taken.getsockname() == crew.places[order.number].sockets.hop.getsockname()
    taken.detach()
    await crew.go()
    assert await first.hear() == Go()
    nursery.cancel_scope.cancel()


async def test_a_dead_worker_is_replaced_by_the_spare_without_a_pause(autojump_clock, running, launch, reports) -> None:
    spare = await launch.wait_for(3)
    first = launch.born[0]
    place = next(place for place in running.places if place.member.pid == first.process.pid)
    await first.say(Figures(traffic={"up_datagrams": 7}, flows=3, drops={"no-flow": 1}))
    before = trio.current_time()
    await first.die()
    order = await spare.hear()
    assert order.number == place.number
    assert trio.current_time() == before
    taken = socket.socket(fileno=spare.stream.arrived[1])
    assert taken.getsockname() == place.sockets.ingresses[5].getsockname()
    taken.detach()
    for word in (Idle(), Prepared()):
        await spare.say(word)
    assert await spare.hear() == Go()
    assert place.starts == 2
    assert place.figures.flows == 0
    assert (place.total.traffic, place.total.drops) == ({"up_datagrams": 7}, {"no-flow": 1}), "counters never go down"
    died = dict(reports)["worker-died"]
    assert (died["how"], died["next_start_s"]) == ("killed by SIGKILL", 0.0)
    await launch.wait_for(4)  # the next spare


async def test_a_spare_that_dies_is_replaced(autojump_clock, running, launch) -> None:
    await (await launch.wait_for(3)).die()
    await launch.wait_for(4)
    assert all(place.starts == 1 for place in running.places)


async def test_a_worker_that_dies_over_and_over_is_not_replaced_in_a_hurry(
    autojump_clock, running, launch, reports
) -> None:
    dying = launch.born[0]
    for count in range(3, 8):
        await dying.die()
        dying = await launch.wait_for(count)
        await dying.become_a_worker()
        await dying.hear()
        await trio.sleep(1)
    pauses = [facts["next_start_s"] for name, facts in reports if name == "worker-died"]
    assert pauses[:4] == [0.0, 0.1, 0.2, 0.4]


async def test_a_worker_that_says_nothing_is_killed_and_replaced(autojump_clock, running, launch, reports) -> None:
    async with trio.open_nursery() as talking:

        async def talk(worker) -> None:
            while True:
                await worker.channel.send(b'{"say": "Figures"}\n')
                await trio.sleep(0.5)

        for worker in launch.born:
            talking.start_soon(talk, worker)
        await trio.sleep(LONG)
        assert not reports or "worker-silent" not in dict(reports), "who speaks is let live"
        talking.cancel_scope.cancel()
    silent, spare = launch.born[0], launch.born[2]
    before = trio.current_time()
    await spare.hear()
    assert SILENCE - 0.5 <= trio.current_time() - before <= SILENCE + 0.5
    assert silent.process.returncode == -9 or launch.born[1].process.returncode == -9
    assert "worker-silent" in dict(reports)


async def test_a_reload_reaches_all_and_those_that_come_later(
    autojump_clock, nursery, running, launch, settings
) -> None:
    other = attrs.evolve(settings, peers=HopPeers(transceivers=(("127.0.0.1", 7002),)))
    answers = []

    async def reload() -> None:
        answers.append(await running.reload(other))

    nursery.start_soon(reload)
    for worker in launch.born[:2]:
        assert await worker.hear() == Reload(settings=other)
    await launch.born[0].say(Done())
    await trio.sleep(10)
    (silent,) = answers
    assert len(silent) == 1, "the other one has not answered"
    spare = await launch.wait_for(3)
    await launch.born[0].die()
    assert (await spare.hear()).settings == other


async def test_connections_that_somebody_else_accepted_go_to_the_workers_in_turn(running, launch) -> None:
    ends = [socket.socketpair() for _ in range(2)]
    for ours, _ in ends:
        running.adopt(ours, 7)
    for worker in launch.born[:2]:
        assert await worker.hear() == Adopt(ingress=7)
        passed = socket.socket(fileno=worker.stream.arrived[-1])
        passed.send(b"from the worker")
        passed.detach()
    assert [theirs.recv(100) for _, theirs in ends] == [b"from the worker"] * 2
    await trio.testing.wait_all_tasks_blocked(0.005)
    assert [ours.fileno() for ours, _ in ends] == [-1, -1]
    for _, theirs in ends:
        theirs.close()


async def test_a_stop_waits_for_what_has_been_taken(nursery, running, launch) -> None:
    stopped = trio.Event()

    async def stop() -> None:
        await running.stop()
        stopped.set()

    nursery.start_soon(stop)
    for worker in launch.born[:2]:
        assert await worker.hear() == Stop()
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert not stopped.is_set()
    for worker in launch.born[:2]:
        await worker.say(Figures(traffic={"up_datagrams": 5}))
        await worker.say(Stopped())
    await stopped.wait()
    assert [place.total.traffic for place in running.places] == [{"up_datagrams": 5}] * 2
    for worker in launch.born:
        assert await worker.is_let_go()


async def test_a_worker_that_cannot_start_ends_it_all(nursery, crew, launch) -> None:
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        async with trio.open_nursery() as starting:
            starting.start_soon(crew.run)
            await (await launch.wait_for(1)).die(3)
