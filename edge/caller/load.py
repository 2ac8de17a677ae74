"""Many calls at once: how many does a server hold, and who gives up first?

Calls are added in ten steps. After each step nothing is set up for a moment, and what happens then is judged: a packet
that did not come back is a loss, and this caller's own ticks say whether it kept its own time. A caller that is late
cannot accuse the server; a loss while the caller was in time can only be the server's or the network's.
"""

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import attrs
import trio

from edge.caller.exchange import Exchange
from edge.caller.placing import Call, Caller
from edge.caller.progress import CallerOptions, Stage
from edge.caller.results import MediaStatistics
from edge.caller.signalling import CallFailed
from transceiver.ticker import Lateness

__all__ = ["LATE", "LoadResult", "Saturation", "Window", "judge", "ramp", "steps"]

LATE = 0.005
"""Seconds by which at most one tick in a thousand may be late."""

_BUSY = 0.7
"""Share of a core from which on a process may be late by its own fault."""

_STEPS = 10
_SETTLE = 0.5
_WINDOW = 2.0
_PLACED_AT_ONCE = 4
_LOOKS = 5
_LOOK_INTERVAL = 0.03
_UNSURE = 1
"""By how many packets of a call two counts of what is missing may differ without a loss."""


@attrs.frozen(kw_only=True)
class Window:
    """What happened in a stretch of time without set-ups.

    Attributes:
        calls: how many there were.
        seconds: how long it was.
        sent: packets sent.
        lost: packets that did not come back.
        lateness: by how many seconds the caller's ticks were late, at p99.9.
        cpu: what the caller used of one core, 0 to 1.
        ended: calls that the server ended.
    """

    calls: int
    seconds: float
    sent: int
    lost: int
    lateness: float
    cpu: float
    ended: int = 0


@attrs.frozen(kw_only=True)
class Saturation:
    """Who could not go on.

    Attributes:
        side: "this caller", "this caller's machine", or "server or network".
        why: the evidence, in a sentence.
    """

    side: str
    why: str


@attrs.frozen(kw_only=True)
class LoadResult:
    """How a load test ended.

    Attributes:
        held: the most calls that went without a loss, and with no more late ticks than `LATE` allows.
        reached: the most calls there were.
        stopped_by: what stopped it; None when all calls were held.
        median_setup: seconds from POST to first audio.
    """

    held: int
    reached: int
    stopped_by: Saturation | None
    median_setup: float | None


def judge(window: Window) -> Saturation | None:
    """Say who could not go on in a window; None when all is well."""
    late = f"{window.lateness * 1000:.1f} ms late at p99.9"
    if window.lateness > LATE and window.cpu >= _BUSY:
        return Saturation(
            side="this caller",
            why=f"Its own ticks came {late}, using {window.cpu:.0%} of a core; the server may be able to do more.",
        )
    if window.lateness > LATE:
        return Saturation(
            side="this caller's machine",
            why=f"The caller's ticks came {late}, though it used only {window.cpu:.0%} of a core: other programs take "
            "the processors, the server perhaps among them. Try from another machine.",
        )
    if window.ended:
        return Saturation(side="server or network", why=f"{window.ended} calls ended by themselves.")
    if window.lost:
        return Saturation(
            side="server or network",
            why=f"{window.lost} of {window.sent} packets did not come back, while this caller was in time "
            f"({late}, {window.cpu:.0%} of a core).",
        )
    return None


def steps(count: int) -> Iterator[int]:
    """Yield how many calls there are to be after each step."""
    size = math.ceil(count / _STEPS)
    yield from range(size, count, size)
    yield count


async def ramp(
    caller: Caller,
    exchange: Exchange,
    options: CallerOptions,
    *,
    count: int,
    seconds: float,
    show: Callable[[Window], None],
) -> LoadResult:
    """Add calls up to `count`, and hold them; cancellation hangs up all of them.

    Args:
        caller: places the calls.
        exchange: drives them.
        options: of every call.
        count: how many to reach.
        seconds: how long to hold them all.
        show: told of every window.
    """
    calls: list[Call] = []
    held = 0
    stopped_by: Saturation | None = None
    try:
        for target in steps(count):
            stopped_by = await _add_calls(caller, options, calls, target - len(calls))
            if stopped_by is not None:
                break
            # A collection of everything there is takes longer than a tick may be late.
            gc.collect()
            gc.freeze()
            await trio.sleep(_SETTLE)
            window = await _watch(exchange, calls, seconds if target == count else _WINDOW)
            show(window)
            stopped_by = judge(window)
            if stopped_by is not None:
                break
            held = target
        heard = [call.timeline.first_audio for call in calls]
        times = [time for time in heard if time is not None]
        return LoadResult(
            held=held,
            reached=len(calls),
            stopped_by=stopped_by,
            median_setup=statistics.median(times) if times else None,
        )
    finally:
        await _hang_up(caller, calls)


async def _add_calls(caller: Caller, options: CallerOptions, calls: list[Call], number: int) -> Saturation | None:
    problems: list[str] = []
    limiter = trio.CapacityLimiter(_PLACED_AT_ONCE)

    async def add_one(scope: trio.CancelScope) -> None:
        async with limiter:
            try:
                call = await caller.place(options)
                calls.append(call)
                await caller.connect(call)
                await caller.hear(call)
            except CallFailed as problem:
                problems.append(str(problem))
                scope.cancel()

    async with trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(add_one, nursery.cancel_scope)
    if problems:
        return Saturation(side="server or network", why=f"A call could not be made: {problems[0]}")
    return None


async def _watch(exchange: Exchange, calls: list[Call], seconds: float) -> Window:
    missing_before = await _missing(calls)
    before = [MediaStatistics.of(call.session) for call in calls]
    cpu, started = time.process_time(), trio.current_time()
    exchange.lateness = Lateness()
    await trio.sleep(seconds)
    lateness = exchange.lateness.quantile(0.999)
    elapsed = trio.current_time() - started
    used = time.process_time() - cpu
    after = [MediaStatistics.of(call.session) for call in calls]
    missing_after = await _missing(calls)
    # The server may number anew what it sends, so a loss on the way there need not be a gap on the way back.
    gone = [max(new - old - _UNSURE, 0) for old, new in zip(missing_before, missing_after, strict=True)]
    gaps = [max(new.lost - old.lost, 0) for old, new in zip(before, after, strict=True)]
    return Window(
        calls=len(calls),
        seconds=elapsed,
        sent=sum(new.sent - old.sent for old, new in zip(before, after, strict=True)),
        lost=sum(map(max, gone, gaps)),
        lateness=lateness,
        cpu=used / elapsed,
        ended=sum(call.session.stage is Stage.CLOSED for call in calls),
    )


async def _missing(calls: list[Call]) -> list[int]:
    """Count what each call has sent and not got back: the least of a few looks, since some is just under way."""
    least = [sys.maxsize] * len(calls)
    for _ in range(_LOOKS):
        seen = [MediaStatistics.of(call.session) for call in calls]
        least = [min(known, now.sent - now.received) for known, now in zip(least, seen, strict=True)]
        await trio.sleep(_LOOK_INTERVAL)
    return least


async def _hang_up(caller: Caller, calls: list[Call]) -> None:
    limiter = trio.CapacityLimiter(_PLACED_AT_ONCE)

    async def end_one(call: Call) -> None:
        async with limiter:
            await caller.hang_up(call)

    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(end_one, call)
