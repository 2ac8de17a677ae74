"""Sleeping by a timer of the kernel's: in time, again and again, cancelled, and under a clock of our own."""

import math
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from relay.alarm import Alarm

STEP = 0.004


async def test_it_wakes_at_each_time_and_not_before() -> None:
    with Alarm() as alarm:
        due = trio.current_time()
        for _ in range(5):
            due += STEP
            await alarm.sleep_until(due)
            assert trio.current_time() >= due
        # What is set anew does not go off for the time before.
        with trio.move_on_after(STEP):
            await alarm.sleep_until(due + 60)
        due = trio.current_time() + STEP
        await alarm.sleep_until(due)
        assert trio.current_time() >= due


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such timer")
async def test_trio_is_not_asked_to_wake_it() -> None:
    async with trio.open_nursery() as nursery:
        with Alarm() as alarm:
            nursery.start_soon(alarm.sleep_until, trio.current_time() + 60)
            await trio.testing.wait_all_tasks_blocked()
            assert trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf
            nursery.cancel_scope.cancel()


async def test_a_time_that_has_passed_is_a_checkpoint() -> None:
    with Alarm() as alarm:
        for ago in (0.0, 1.0, 1e6):
            await alarm.sleep_until(trio.current_time() - ago)
        with trio.CancelScope() as scope:
            scope.cancel()
            await alarm.sleep_until(trio.current_time() - 1)
        assert scope.cancelled_caught


async def test_under_a_clock_of_our_own_it_sleeps_by_that(autojump_clock: MockClock) -> None:
    with Alarm() as alarm:
        due = trio.current_time() + 3600
        await alarm.sleep_until(due)
        assert trio.current_time() == due


async def test_closed_it_keeps_nothing_open() -> None:
    before = _open_files()
    with Alarm() as alarm:
        await alarm.sleep_until(trio.current_time() + 0.001)
    alarm.close()
    assert _open_files() == before


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))
