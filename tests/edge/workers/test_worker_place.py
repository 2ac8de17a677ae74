"""A worker's place: filled again when its process dies, but not in a hurry; and told what goes on in it."""

import itertools
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

from edge.config.problems import Problem
from edge.start import StartError
from edge.workers.life import SILENCE
from edge.workers.messages import Figures, Refused, Reload, Reloaded, Started, Stop
from edge.workers.place import FIRST_PAUSE, LONGEST_PAUSE, STEADY, Place
from edge.workers.totals import WORKER_DIED

HOP = ("10.0.0.3", 7002)
STARTED = Started(hop=HOP, control=("127.0.0.1", 9))
READY = Figures(calls=2, max_calls=5, relays=1, reason="", counts={"created": 3}, cpu_seconds=1.0, lateness={2: 10})
PROBLEM = Problem("transceiver.hop", "it is taken", "Choose another.")


@pytest.fixture
async def running(nursery, launch, make_start, report):
    """A place whose first worker serves."""
    place = Place(make_start(), report, launch)

    async def serve_first() -> None:
        await trio.testing.wait_all_tasks_blocked()
        await launch.last.say(STARTED)

    nursery.start_soon(serve_first)
    await nursery.start(place.run)
    return place


async def served_again(launch) -> None:
    """Let time pass until there is a new process, and let it serve."""
    with trio.fail_after(LONGEST_PAUSE + 1):
        worker = await launch.next()
    await worker.say(STARTED)


async def test_a_process_is_told_everything_first_and_counts_once_it_serves(
    running, launch, make_start, reports
) -> None:
    assert await launch.last.hear() == make_start()
    assert running.not_ready_reason() == "it has not said anything yet"
    await launch.last.say(READY)
    assert running.not_ready_reason() == ""
    assert running.figures == READY
    assert running.hop == HOP
    assert reports == [("worker-started", {"worker": 0, "pid": 1000, "hop": "10.0.0.3:7002"})]
    assert running.describe() == {
        "worker": 0,
        "pid": 1000,
        "serves": True,
        "calls": 2,
        "max_calls": 5,
        "relays": 1,
        "starts": 1,
        "reason": "",
    }


async def test_a_dead_worker_is_reported_and_replaced_with_the_same_address(
    autojump_clock, running, launch, reports
) -> None:
    await trio.sleep(STEADY)
    await launch.last.say(READY)
    await launch.last.die(-9)
    assert reports[2:] == [
        (
            "worker-died",
            {"worker": 0, "pid": 1000, "how": "killed by SIGKILL", "calls_lost": 2, "next_start_s": 0.0},
        )
    ]
    assert len(launch.born) == 2, "at once, as it had lived long"
    assert running.not_ready_reason() == "it is starting"
    start = await launch.last.hear()
    assert start.settings.transceiver.hop == HOP, "which relays know; not the port 0 of the configuration"
    await launch.last.say(STARTED)
    await launch.last.say(READY)
    assert running.not_ready_reason() == ""
    assert running.starts == 2


async def test_what_the_dead_have_counted_is_kept_and_lost_calls_are_counted(autojump_clock, running, launch) -> None:
    for _ in range(3):
        running.life.call_placed("me")
    await launch.last.say(READY)  # one of the three has ended
    for _ in range(2):
        running.life.call_placed("me")
    await launch.last.die()
    assert running.ended.counts == {"created": 3, WORKER_DIED: 4}
    assert running.ended.cpu_seconds == 1.0
    assert running.ended.lateness.counts[2] == 10
    assert running.figures.counts == {}, "which nobody may count twice"
    await served_again(launch)
    await launch.last.say(READY)
    await launch.last.die()
    assert running.ended.counts == {"created": 6, WORKER_DIED: 6}
    assert running.ended.lateness.counts[2] == 20


async def test_a_call_counts_once_whichever_is_heard_first_its_answer_or_its_worker(
    autojump_clock, running, launch
) -> None:
    life = running.life
    await launch.last.say(Figures(calls=1, counts={"created": 1}, calls_by_owner={"me": 1}))
    life.call_placed("me")
    assert (life.calls, life.calls_by_owner) == (1, {"me": 1})
    life.call_placed("you")
    assert (life.calls, life.calls_by_owner) == (2, {"me": 1, "you": 1})
    await launch.last.say(Figures(calls=2, counts={"created": 2}, calls_by_owner={"me": 1, "you": 1}))
    assert (life.calls, life.calls_by_owner) == (2, {"me": 1, "you": 1})
    await launch.last.say(Figures(calls=1, counts={"created": 2}, calls_by_owner={"you": 1}))
    assert life.calls == 1


async def test_one_that_dies_at_once_is_replaced_ever_more_slowly(autojump_clock, running, launch) -> None:
    for _ in range(9):
        await launch.last.die(1)
        await served_again(launch)
    births = [worker.born for worker in launch.born]
    pauses = [round(later - earlier, 2) for earlier, later in itertools.pairwise(births)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    await trio.sleep(STEADY)
    await launch.last.die(1)
    assert len(launch.born) == 11, "that one was steady"
    await launch.last.die(1)
    died = trio.current_time()
    await served_again(launch)
    assert launch.last.born - died == FIRST_PAUSE


async def test_a_later_one_that_refuses_to_start_is_reported_with_its_problems(
    autojump_clock, running, launch, reports
) -> None:
    await launch.last.die()
    await trio.sleep(FIRST_PAUSE + 0.1)
    await launch.last.say(Refused(problems=(PROBLEM,)))
    await launch.last.die(1)
    name, facts = reports[-1]
    assert (name, facts["how"], facts["problems"]) == ("worker-died", "exit code 1", [str(PROBLEM)])
    assert facts["next_start_s"] == 1.0


async def test_the_first_one_must_start(autojump_clock, launch, make_start, report) -> None:
    async def first(act) -> StartError:
        place = Place(make_start(number=1), report, launch)

        async def play() -> None:
            await trio.testing.wait_all_tasks_blocked()
            await act()

        with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 - the nursery is what raises
            async with trio.open_nursery() as nursery:
                nursery.start_soon(play)
                await nursery.start(place.run)
        return caught.value.exceptions[0]

    async def refuse() -> None:
        await launch.last.say(Refused(problems=(PROBLEM,)))
        await launch.last.die(1)

    error = await first(refuse)
    assert isinstance(error, StartError)
    assert error.problems == (PROBLEM,)
    error = await first(lambda: launch.last.die(3))
    assert str(error).startswith("transceiver.workers: worker 1 ended while it started: exit code 3. ")
    launch.failure = OSError(12, "Cannot allocate memory")

    async def nothing() -> None:
        pass

    assert "could not be started: [Errno 12] Cannot allocate memory" in str(await first(nothing))


async def test_a_worker_that_says_nothing_gets_no_calls_until_it_speaks(
    autojump_clock, running, launch, reports
) -> None:
    await launch.last.say(READY)
    await trio.sleep(SILENCE - 0.1)
    assert running.not_ready_reason() == ""
    await trio.sleep(3 * SILENCE)
    assert running.not_ready_reason() == "it has said nothing for 5 seconds"
    assert reports[1:] == [("worker-silent", {"worker": 0, "pid": 1000})], "once"
    await launch.last.say(READY)
    assert running.not_ready_reason() == ""
    assert len(launch.born) == 1


async def test_a_worker_that_talks_nonsense_is_replaced(autojump_clock, running, launch, reports) -> None:
    first = launch.last
    await first.channel.send(b'{"say": "Hello"}\n')
    await trio.testing.wait_all_tasks_blocked()
    assert await first.is_let_go()
    assert reports[-1][1]["how"].startswith("it spoke nonsense")
    await served_again(launch)
    assert len(launch.born) == 2


async def test_an_ended_process_is_replaced_even_if_somebody_holds_its_channel_open(
    autojump_clock, running, launch, reports
) -> None:
    launch.last.process.end(-11)
    await trio.sleep(FIRST_PAUSE + 1)
    assert reports[1][1]["how"] == "killed by SIGSEGV"
    assert len(launch.born) == 2


async def test_other_settings_are_for_the_present_worker_and_later_ones(
    autojump_clock, nursery, running, launch, make_start
) -> None:
    await launch.last.hear()
    settings = make_start(max_calls=500, hop=("0.0.0.0", 9)).settings  # noqa: S104 - not bound
    problems = []

    async def reload() -> None:
        problems.append(await running.reload(settings))

    nursery.start_soon(reload)
    order = await launch.last.hear()
    expected = attrs.evolve(settings, transceiver=attrs.evolve(settings.transceiver, hop=HOP))
    assert order == Reload(settings=expected), "at the address that it has"
    assert not problems, "until it has said that it has them"
    await launch.last.say(Reloaded(problems=(PROBLEM,)))
    assert problems == [(PROBLEM,)]
    await launch.last.die()
    assert await running.reload(settings) == (), "there is nobody to tell"
    await served_again(launch)
    assert (await launch.last.hear()).settings == expected


async def test_a_worker_that_does_not_take_a_reload_is_named(autojump_clock, running, launch, make_start) -> None:
    (problem,) = await running.reload(make_start().settings)
    assert str(problem).startswith("transceiver.workers: worker 0 gave no answer within 3 seconds.")


async def test_a_stop_lets_it_say_goodbye_and_starts_no_other(
    autojump_clock, nursery, running, launch, reports
) -> None:
    await launch.last.hear()
    await launch.last.say(READY)
    stopped = trio.Event()

    async def stop() -> None:
        await running.stop()
        stopped.set()

    nursery.start_soon(stop)
    assert await launch.last.hear() == Stop()
    assert not stopped.is_set(), "as it is still busy saying goodbye"
    await launch.last.die(0)
    assert stopped.is_set()
    assert len(launch.born) == 1
    assert [name for name, _ in reports] == ["worker-started"]
    assert running.ended.counts == {"created": 3}, "no call was lost"


async def test_a_stop_between_two_lives_is_at_once(autojump_clock, running, launch) -> None:
    await launch.last.die()
    with trio.fail_after(FIRST_PAUSE / 2):
        await running.stop()
    await trio.sleep(60)
    assert len(launch.born) == 1


async def test_a_cancelled_place_lets_go_of_its_process(autojump_clock, launch, make_start, report) -> None:
    place = Place(make_start(), report, launch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await launch.last.is_let_go()
    assert place.life is None


async def test_a_stop_while_a_dead_worker_is_being_replaced_waits_for_nobody(
    autojump_clock, launch, make_start, report
) -> None:
    """The process is being started: there is nobody yet who could be told."""
    is_starting, may_start = trio.Event(), trio.Event()

    @asynccontextmanager
    async def launch_slowly():
        if launch.born:
            is_starting.set()
            await may_start.wait()
        async with launch() as child:
            yield child

    place = Place(make_start(), report, launch_slowly)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.run)
            await (await launch.next()).say(STARTED)
            await trio.testing.wait_all_tasks_blocked()
            await launch.last.die()
            await is_starting.wait()
            nursery.start_soon(place.stop)
            await trio.testing.wait_all_tasks_blocked()
            may_start.set()
    assert place.life is None
    assert await launch.last.is_let_go()
