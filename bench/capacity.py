"""How many calls are held: calls are added until a packet is lost or the transceiver ticks late.

The caller runs on the same machine and has as much to do as all servers together. It gives way to them, since a tick
that came late because the caller had the processor says nothing about the transceiver; but all have to fit. So the
number of calls says when this machine was full; what carries over to another is the number of calls that one CPU-second
of the transceiver holds.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import attrs

from bench.load import SPEECH, Load, connected, exchanging
from bench.processes import giving_way
from bench.servers import TRANSCEIVER, Server, our_edge
from bench.settings import Settings
from bench.stretch import Stretch, watch
from bench.table import Row
from bench.ticks import late_share, lateness_quantile, read_ticks
from bench.voices import COMPLEXITY, PCM_ECHO
from edge.caller.progress import CallerOptions
from edge.caller.signalling import CallFailed

__all__ = ["measure", "measure_voices"]

_ATTEMPTS = 2
"""A step that fails is watched again: what disturbs once from elsewhere is no limit."""

_LATE = 0.005
"""Seconds by which at most one of the transceiver's ticks in a thousand may be late: a bound of its histogram."""

_LATE_SHARE = 0.001
_OPTIONS = CallerOptions(clip=SPEECH)


@attrs.frozen(kw_only=True)
class _Search:
    """What is added, and how fast.

    Attributes:
        name: for files and lines of progress.
        what: kind of calls, for people.
        serve: runs the edge in a folder.
        step: calls that are added at a time.
        most: calls at which the search ends.
        seconds: how long each step is watched.
        notes: what else is to be known.
    """

    name: str
    what: str
    serve: Callable[[Path], AbstractContextManager[Server]]
    step: int
    most: int
    seconds: float
    notes: tuple[str, ...] = ()


_ECHO = _Search(name="capacity", what="echo calls", serve=our_edge, step=50, most=1500, seconds=6.0)
_VOICES = _Search(
    name="voice-capacity",
    what="calls bridged to PCM",
    serve=lambda folder: our_edge(folder, backend=PCM_ECHO),
    step=16,
    most=240,
    seconds=5.0,
    notes=(f"Opus of complexity {COMPLEXITY}, decoded and encoded between packets by the one thread that moves them",),
)


@attrs.frozen(kw_only=True)
class _Step:
    """What happened at a number of calls.

    Attributes:
        stretch: the audio.
        late_share: share of the transceiver's ticks that came later than they may.
        p99: lateness of its ticks in seconds.
    """

    stretch: Stretch
    late_share: float
    p99: float

    @property
    def problem(self) -> str:
        """Say why the calls were not held; empty if they were."""
        if self.stretch.lost:
            return f"{self.stretch.lost} of {self.stretch.sent} packets were lost"
        if self.late_share > _LATE_SHARE:
            return f"{self.late_share:.1%} of the transceiver's ticks were later than {_LATE * 1000:g} ms"
        return ""

    def describe(self) -> str:
        """Say how busy everybody was, and how late the transceiver."""
        return f"its ticks {self.p99 * 1000:.1f} ms late at p99; {self.stretch.loads}"


async def measure(settings: Settings) -> list[Row]:
    """Add calls that are echoed, a step at a time."""
    return [await _search(_ECHO, settings)]


async def measure_voices(settings: Settings) -> list[Row]:
    """Add calls that are bridged to PCM, a step at a time."""
    return [await _search(_VOICES, settings)]


async def _search(search: _Search, settings: Settings) -> Row:
    held: _Step | None = None
    last: _Step | None = None
    stopped_by = f"{search.most} calls are the most that is tried"
    with search.serve(settings.folder / search.name) as ours, giving_way() as gives_way:
        async with exchanging() as exchange, connected(ours, exchange) as load:
            for count in range(search.step, search.most + 1, search.step):
                try:
                    await load.grow(count, _OPTIONS)
                except CallFailed as problem:
                    stopped_by = f"at {count} calls one could not be made: {problem}"
                    break
                last = await _watch_step(search, load, ours, settings)
                if last.problem:
                    stopped_by = f"at {count} calls: {last.problem}; {last.describe()}"
                    break
                held = last
    return _row(search, held, last, stopped_by, gives_way)


async def _watch_step(search: _Search, load: Load, server: Server, settings: Settings) -> _Step:
    for _ in range(_ATTEMPTS):
        before = read_ticks(server)
        stretch = await watch(load, server, settings.shorter(search.seconds))
        after = read_ticks(server)
        step = _Step(
            stretch=stretch,
            late_share=late_share(before, after, _LATE),
            p99=lateness_quantile(before, after, 0.99),
        )
        settings.say(f"{search.name}: {stretch.streams} calls: {step.problem or 'held'}; {step.describe()}")
        if not step.problem:
            break
    return step


def _row(search: _Search, held: _Step | None, last: _Step | None, stopped_by: str, gives_way: bool) -> Row:
    calls = held.stretch.streams if held is not None else 0
    counted = held or last
    per_cpu_second = 1 / counted.stretch.cpu_per_stream(TRANSCEIVER) if counted is not None else 0.0
    return Row(
        what=f"{search.what} held per CPU-second of the transceiver",
        ours=f"{per_cpu_second:.0f} ({calls or 'none'} held)",
        notes=(
            *search.notes,
            "the caller gives way to the servers" if gives_way else "the caller competes with the servers (not root)",
            *([f"{calls} held: {held.describe()}"] if held is not None else []),
            f"stopped {stopped_by}",
        ),
        details={
            "held": calls,
            "calls_per_transceiver_cpu_second": per_cpu_second,
            "tick_lateness_p99": None if held is None else held.p99,
            "stopped_by": stopped_by,
        },
    )
