"""How many calls are held: echo calls are added until a packet is lost or the transceiver ticks late.

On a machine with few processors the caller and the servers compete for them, and the caller has as much to do as all of
them. So the number of calls says when this machine was full; what carries over to another is the number of calls that
one CPU-second of the transceiver holds.
"""

import math
from collections.abc import Mapping

import attrs

from bench.load import SPEECH, Load, connected, exchanging
from bench.servers import TRANSCEIVER, Server, fetch, our_edge
from bench.settings import Settings
from bench.stretch import Stretch, watch
from bench.table import Row
from edge.caller.progress import CallerOptions
from edge.caller.signalling import CallFailed

__all__ = ["late_share", "measure"]

_STEP, _MOST = 50, 1500
_SECONDS = 6.0
_ATTEMPTS = 2
"""A step that fails is watched again: what disturbs once from elsewhere is no limit."""
_LATE = "0.005"
"""Seconds by which at most one of the transceiver's ticks in a thousand may be late: a bound of its histogram."""

_LATE_SHARE = 0.001
_TICKS = "trio_voice_transceiver_tick_lateness_seconds"
_OPTIONS = CallerOptions(clip=SPEECH)


@attrs.frozen(kw_only=True)
class _Step:
    """What happened at a number of calls.

    Attributes:
        stretch: the audio.
        late_share: share of the transceiver's ticks that came later than they may.
    """

    stretch: Stretch
    late_share: float

    @property
    def problem(self) -> str:
        """Say why the calls were not held; empty if they were."""
        if self.stretch.lost:
            return f"{self.stretch.lost} of {self.stretch.sent} packets were lost"
        if self.late_share > _LATE_SHARE:
            return f"{self.late_share:.1%} of the transceiver's ticks were later than {float(_LATE) * 1000:g} ms"
        return ""


async def measure(settings: Settings) -> list[Row]:
    """Add calls, a step at a time."""
    held: _Step | None = None
    last: _Step | None = None
    stopped_by = f"{_MOST} calls are the most that is tried"
    with our_edge(settings.folder / "capacity") as ours:
        async with exchanging() as exchange, connected(ours, exchange) as load:
            for count in range(_STEP, _MOST + 1, _STEP):
                try:
                    await load.grow(count, _OPTIONS)
                except CallFailed as problem:
                    stopped_by = f"at {count} calls one could not be made: {problem}"
                    break
                last = await _watch_step(load, ours, settings)
                if last.problem:
                    stopped_by = f"at {count} calls: {last.problem}; {last.stretch.loads}"
                    break
                held = last
    return [_row(held, last, stopped_by)]


async def _watch_step(load: Load, server: Server, settings: Settings) -> _Step:
    for _ in range(_ATTEMPTS):
        ticks = _ticks(server)
        stretch = await watch(load, server, settings.shorter(_SECONDS))
        step = _Step(stretch=stretch, late_share=late_share(ticks, _ticks(server)))
        settings.say(f"capacity: {stretch.streams} calls: {step.problem or 'held'}; {stretch.loads}")
        if not step.problem:
            break
    return step


def _ticks(server: Server) -> dict[str, float]:
    """Read the transceiver's ticks so far, by upper bound of their lateness (cumulative, as Prometheus does)."""
    found = {}
    for line in fetch(server.metrics_url).splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith(f"{_TICKS}_bucket"):
            found[name.split('le="')[1].split('"')[0]] = float(value)
    return found


def late_share(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the share of ticks between two readings of the histogram that came later than they may."""
    total = after["+Inf"] - before["+Inf"]
    in_time = after[_LATE] - before[_LATE]
    return (total - in_time) / total if total else math.inf


def _row(held: _Step | None, last: _Step | None, stopped_by: str) -> Row:
    calls = held.stretch.streams if held is not None else 0
    counted = held or last
    per_cpu_second = 1 / counted.stretch.cpu_per_stream(TRANSCEIVER) if counted is not None else 0.0
    return Row(
        what="echo calls held per CPU-second of the transceiver",
        ours=f"{per_cpu_second:.0f} ({calls or 'none'} held)",
        notes=(*([f"{calls} held: {held.stretch.loads}"] if held is not None else []), f"stopped {stopped_by}"),
        details={"held": calls, "calls_per_transceiver_cpu_second": per_cpu_second, "stopped_by": stopped_by},
    )
