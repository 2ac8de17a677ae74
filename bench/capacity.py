"""How many calls are held: echo calls are added until a packet is lost or the transceiver ticks late.

On a machine with few processors the caller and the servers compete for them, and the caller has as much to do as all of
them. So the number of calls says when this machine was full; what carries over to another is the number of calls that
one CPU-second of the transceiver holds.
"""

import math

import attrs

from bench.load import SPEECH, Stretch, connected, exchanging, watch
from bench.servers import TRANSCEIVER, Server, fetch, our_edge
from bench.settings import Settings
from bench.table import Row
from edge.caller.progress import CallerOptions

__all__ = ["measure"]

_STEP, _MOST = 50, 1500
_SECONDS = 6.0
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
    with our_edge(settings.folder / "capacity") as ours:
        async with exchanging() as exchange, connected(ours, exchange) as load:
            for count in range(_STEP, _MOST + 1, _STEP):
                await load.grow(count, _OPTIONS)
                ticks = _ticks(ours)
                stretch = await watch(load, ours, settings.shorter(_SECONDS))
                step = _Step(stretch=stretch, late_share=_late_share(ticks, _ticks(ours)))
                settings.say(f"capacity: {count} calls: {step.problem or 'held'}; {stretch.loads}")
                if step.problem:
                    break
                held = step
    return [_row(held, step)]


def _ticks(server: Server) -> dict[str, float]:
    """Read the transceiver's ticks so far, by upper bound of their lateness (cumulative, as Prometheus does)."""
    found = {}
    for line in fetch(server.metrics_url).splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith(f"{_TICKS}_bucket"):
            found[name.split('le="')[1].split('"')[0]] = float(value)
    return found


def _late_share(before: dict[str, float], after: dict[str, float]) -> float:
    total = after["+Inf"] - before["+Inf"]
    in_time = after[_LATE] - before[_LATE]
    return (total - in_time) / total if total else math.inf


def _row(held: _Step | None, last: _Step) -> Row:
    notes = [
        f"stopped at {last.stretch.streams} calls: {last.problem or 'as many as were tried'}; {last.stretch.loads}"
    ]
    calls, per_cpu_second = 0, 0.0
    if held is not None:
        calls = held.stretch.streams
        per_cpu_second = 1 / held.stretch.cpu_per_stream(TRANSCEIVER)
        notes.append(f"held {calls} calls: {held.stretch.loads}")
    return Row(
        what="echo calls per CPU-second of the transceiver",
        ours=f"{per_cpu_second:.0f} ({calls} held)",
        notes=tuple(notes),
        details={"held": calls, "calls_per_transceiver_cpu_second": per_cpu_second, "stopped_by": last.problem},
    )
