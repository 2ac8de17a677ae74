"""The clock of a worker, on a clock of our own."""

import itertools
from collections import Counter

import pytest
import trio
import trio.testing

from transceiver.ticker import PHASES, TICK_SECONDS, Lateness, run_ticker

Ticks = list[tuple[int, float]]


async def run_for(seconds: float, tick, lateness: Lateness) -> None:
    with trio.move_on_after(seconds):
        await run_ticker(tick, lateness)


async def test_every_phase_has_its_tick_every_20_ms(autojump_clock: trio.testing.MockClock) -> None:
    ticks: Ticks = []
    lateness = Lateness()
    start = trio.current_time()
    await run_for(1.0001, lambda phase, now: ticks.append((phase, now)), lateness)
    assert Counter(phase for phase, _ in ticks) == dict.fromkeys(range(PHASES), 50)
    # The phases take turns, evenly.
    assert [phase for phase, _ in ticks[:5]] == [1, 2, 3, 0, 1]
    assert [now - start for _, now in ticks] == [pytest.approx((n + 1) * TICK_SECONDS / PHASES) for n in range(200)]
    assert sum(lateness.counts) == 200
    assert lateness.worst < 1e-6


async def test_a_busy_moment_is_caught_up_with(autojump_clock: trio.testing.MockClock) -> None:
    """Shorter than a round: no tick is left out, and those that are late come at once."""
    ticks: Ticks = []
    lateness = Lateness()

    def tick(phase: int, now: float) -> None:
        ticks.append((phase, now))
        if len(ticks) == 40:
            autojump_clock.jump(0.012)  # the loop is held up

    start = trio.current_time()
    await run_for(1.0001, tick, lateness)
    assert len(ticks) == 200
    assert [phase for phase, _ in ticks] == [(n + 1) % PHASES for n in range(200)]
    late = [now - start - (n + 1) * 0.005 for n, (_, now) in enumerate(ticks)]
    assert late[40:43] == [pytest.approx(0.007), pytest.approx(0.002), pytest.approx(0, abs=1e-9)]
    assert lateness.worst == pytest.approx(0.007)
    assert lateness.quantile(1.0) == pytest.approx(0.00725, abs=0.0003)
    assert lateness.quantile(0.99) <= 0.00226


async def test_what_is_too_late_is_left_out(autojump_clock: trio.testing.MockClock) -> None:
    """The machine was asleep for a second: no heap of ticks follows, but the lateness is told."""
    ticks: Ticks = []
    lateness = Lateness()

    def tick(phase: int, now: float) -> None:
        ticks.append((phase, now))
        if len(ticks) == 40:
            autojump_clock.jump(1.0)

    await run_for(2.0001, tick, lateness)
    assert lateness.worst == pytest.approx(0.995)
    assert lateness.counts[-1] == 1  # 100 ms and more
    # One late tick, and from there on the old rhythm.
    gaps = [after - before for (_, before), (_, after) in itertools.pairwise(ticks[40:])]
    assert gaps == [pytest.approx(0.005)] * len(gaps)
    assert [phase for phase, _ in ticks] == [(n + 1) % PHASES for n in range(len(ticks))]
    assert len(ticks) == pytest.approx(200 + 1, abs=1)


async def test_ticks_that_take_too_long_starve_nobody(autojump_clock: trio.testing.MockClock) -> None:
    """Each tick takes twice its time: all phases and all other tasks still get their turns."""
    autojump_clock.autojump_threshold = float("inf")  # nobody is ever idle
    ticks: Ticks = []
    lateness = Lateness()
    turns = 0

    def tick(phase: int, now: float) -> None:
        ticks.append((phase, now))
        autojump_clock.jump(0.010)

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        nursery.start_soon(run_ticker, tick, lateness)
        while len(ticks) < 200:
            await trio.lowlevel.checkpoint()
            if not turns % 50:
                autojump_clock.jump(0.001)
        nursery.cancel_scope.cancel()
    assert set(Counter(phase for phase, _ in ticks).values()) <= {50, 51}
    assert turns >= 100
    assert lateness.worst < TICK_SECONDS + 0.011


async def test_a_ticker_rests_while_there_is_nothing_to_do(autojump_clock: trio.testing.MockClock) -> None:
    ticks: Ticks = []
    lateness = Lateness()
    work = trio.Event()

    async def rest() -> bool:
        if work.is_set():
            return False
        await work.wait()
        return True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_ticker, lambda phase, now: ticks.append((phase, now)), lateness, rest)
        await trio.sleep(3.3333)
        assert ticks == []
        work.set()
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert len(ticks) == 200
    assert lateness.worst < 1e-6  # the rest is no lateness
    # Ticks keep to the multiples of their step, whenever they begin.
    assert [now / 0.005 for _, now in ticks] == [pytest.approx(round(now / 0.005)) for _, now in ticks]


async def test_phases_without_calls_are_left_out(autojump_clock: trio.testing.MockClock) -> None:
    ticks: Ticks = []
    lateness = Lateness()

    async def no_rest() -> bool:
        return False

    with trio.move_on_after(1.0001):
        await run_ticker(
            lambda phase, now: ticks.append((phase, now)), lateness, no_rest, lambda phase: phase in (0, 3)
        )
    assert Counter(phase for phase, _ in ticks) == {1: 50, 2: 50}
    # The others keep their places.
    assert [round(now % TICK_SECONDS, 6) for phase, now in ticks if phase == 1] == [0.005] * 50
    assert lateness.worst < 1e-6


async def test_with_nobody_in_any_phase_the_clock_goes_on_and_others_run(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Calls that are being handed over are in no phase; links are looked after all the same."""
    ticks: Ticks = []
    lateness = Lateness()

    async def no_rest() -> bool:
        return False

    is_empty = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            run_ticker, lambda phase, now: ticks.append((phase, now)), lateness, no_rest, lambda _phase: is_empty
        )
        await trio.sleep(1.0001)
        assert len(ticks) == pytest.approx(50, abs=1)
        is_empty = False
        ticks.clear()
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert len(ticks) == pytest.approx(200, abs=4)
    assert lateness.worst < 1e-6


async def test_behind_a_rest_there_is_a_tick_for_nobody_in_particular(autojump_clock: trio.testing.MockClock) -> None:
    ticks: Ticks = []

    async def rest() -> bool:
        await trio.sleep(1)
        return True

    with trio.move_on_after(5.5):
        await run_ticker(lambda phase, now: ticks.append((phase, now)), Lateness(), rest, lambda _phase: True)
    assert len(ticks) == 5


def test_the_quantiles_of_a_histogram() -> None:
    lateness = Lateness()
    assert lateness.quantile(0.5) == 0.0
    for number in range(1000):
        lateness.add(number * 1e-5)  # 0 to 10 ms, evenly
    for share in (0.1, 0.5, 0.9, 0.999):
        assert lateness.quantile(share) == pytest.approx(share / 100, abs=0.00026)
    assert lateness.quantile(1.0) == 0.010
    assert lateness.worst == 999e-5
    lateness.add(3.0)
    assert lateness.quantile(1.0) == 0.1
    assert lateness.worst == 3.0
    lateness.add(-0.001)  # a clock that is read too early counts as on time
    assert lateness.counts[0] == 26
