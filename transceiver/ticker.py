"""One clock for all calls of a worker.

Calls are spread over several phases of the 20 ms tick, so that a thousand calls do not send in one burst that overflows
a socket. How late each tick came is counted in a histogram: a worker that ticks late has too many calls.
"""

from collections.abc import Awaitable, Callable
from typing import NoReturn

import attrs
import trio

from relay.alarm import Alarm

__all__ = ["PHASES", "TICK_SECONDS", "Lateness", "run_ticker"]

TICK_SECONDS = 0.020
"""Every call is looked at this often: the packet time of voice."""

PHASES = 4
"""Into how many groups calls are spread; a group is looked at every `TICK_SECONDS`, the groups one after another."""

_BUCKETS_PER_MS = 4
_BUCKET_COUNT = 400  # up to 100 ms; later is counted in the last


@attrs.define
class Lateness:
    """How late ticks came, as a histogram of quarter milliseconds.

    Attributes:
        counts: ticks by lateness in steps of 0.25 ms; the last entry holds all of 100 ms and more.
        worst: the latest tick so far, in seconds.
    """

    counts: list[int] = attrs.field(factory=lambda: [0] * _BUCKET_COUNT)
    worst: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one tick."""
        bucket = int(seconds * 1000 * _BUCKETS_PER_MS)
        self.counts[min(max(bucket, 0), _BUCKET_COUNT - 1)] += 1
        self.worst = max(self.worst, seconds)

    def quantile(self, share: float) -> float:
        """Return the lateness in seconds that `share` (0 to 1) of all ticks did not exceed; 0 without ticks."""
        total = sum(self.counts)
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= total * share:
                return (bucket + 1) / _BUCKETS_PER_MS / 1000
        return 0.0


async def _never_rest() -> bool:
    return False


def _never_empty(phase: int) -> bool:  # noqa: ARG001 - as `run_ticker` calls it
    return False


async def run_ticker(
    tick: Callable[[int, float], None],
    lateness: Lateness,
    rest: Callable[[], Awaitable[bool]] = _never_rest,
    is_empty: Callable[[int], bool] = _never_empty,
) -> None:
    """Call `tick(phase, now)` for every phase in turn until cancelled.

    A worker that cannot keep up does not pile up ticks: those whose time has passed by a whole round are left out, and
    the lateness says so. Ticks fall on multiples of their step, which the worker's socket keeps to as well when it is
    busy, so that one wake-up of the process serves both.

    Args:
        tick: looks at the calls of a phase; must not block.
        lateness: where it is counted how late each tick came.
        rest: awaited before each tick; returns at once while there is something to tick for, and otherwise waits a
            while and returns True. That time is not lateness.
        is_empty: tells whether nobody is in a phase; its tick is left out, because waking up costs more than a tick.
            One of a round is not, and the one behind a rest, for there is more to look at than calls.
    """
    with Alarm() as alarm:
        await _tick_by(alarm, tick, lateness, rest, is_empty)


async def _tick_by(
    alarm: Alarm,
    tick: Callable[[int, float], None],
    lateness: Lateness,
    rest: Callable[[], Awaitable[bool]],
    is_empty: Callable[[int], bool],
) -> NoReturn:
    step = TICK_SECONDS / PHASES
    due = _next_multiple(trio.current_time(), step)
    phase = left_out = 0
    while True:
        has_rested = await rest()
        if has_rested:
            due = _next_multiple(trio.current_time(), step)
        phase = (phase + 1) % PHASES
        # Calls that are suspended are in no phase: with nobody else, never go round without waiting.
        if is_empty(phase) and not has_rested and left_out < PHASES - 1:
            left_out += 1
            due += step
            continue
        left_out = 0
        await alarm.sleep_until(due)
        now = trio.current_time()
        lateness.add(now - due)
        tick(phase, now)
        due += step
        if now - due > TICK_SECONDS - step:
            due = now + step


def _next_multiple(now: float, step: float) -> float:
    return (now // step + 1) * step
