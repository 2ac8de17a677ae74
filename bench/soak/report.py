"""The soak in words: a line of progress, and the result."""

from collections.abc import Iterator

from bench.servers import EDGE
from bench.soak.calls import Tally
from bench.soak.census import Census
from bench.soak.readings import Reading
from bench.soak.verdict import Readings, bytes_per_call

__all__ = ["describe_progress", "describe_result"]

_MEBIBYTE = 1 << 20


def describe_progress(reading: Reading, tally: Tally) -> str:
    """Tell in a line how far it is, and what each process has."""
    problems = sum(tally.problems.values())
    metrics = reading.metrics
    return (
        f"{reading.calls} calls{f', {problems} not as planned' if problems else ''}; "
        f"{metrics['transceiver_calls']:.0f} going on, {metrics['relay_flows']:.0f} flows; "
        + "; ".join(f"{name} {_describe(reading.censuses[name])}" for name in EDGE)
    )


def _describe(census: Census) -> str:
    return (
        f"{census.resident / _MEBIBYTE:.1f} MB, {sum(census.ours.values())} objects, {census.tasks} tasks, "
        f"{census.descriptors} fds"
    )


def describe_result(readings: Readings, tally: Tally) -> str:
    """Tell what became of the calls, and what is left of them."""
    return "\n".join(_lines(readings, tally))


def _lines(readings: Readings, tally: Tally) -> Iterator[str]:
    yield f"{sum(tally.ended.values())} calls went as planned, with {tally.sockets} WebSockets beside them:"
    yield from (f"  {count:6} {name}" for name, count in tally.ended.most_common())
    yield from (f"  {count:6} NOT AS PLANNED: {what}" for what, count in tally.problems.most_common())
    yield "What the transceiver made of them:"
    events = readings.final.counted("transceiver_events_total")
    yield "  " + ", ".join(f"{name} {count:.0f}" for name, count in sorted(events.items()))
    yield "What was dropped:"
    for name in ("transceiver_drops_total", "relay_drops_total"):
        drops = readings.final.counted(name)
        yield f"  {name}: " + (", ".join(f"{reason} {count:.0f}" for reason, count in sorted(drops.items())) or "-")
    yield f"At rest, idle / after {readings.settled.calls} calls / after {readings.final.calls} calls:"
    grown = bytes_per_call(readings)
    for name in EDGE:
        idle, settled, final = (each.censuses[name] for each in (readings.idle, readings.settled, readings.final))
        yield (
            f"  {name}: {' / '.join(f'{each.resident / _MEBIBYTE:.1f}' for each in (idle, settled, final))} MB "
            f"({grown[name]:+.0f} bytes a call), "
            f"{idle.blocks} / {settled.blocks} / {final.blocks} pieces of memory, "
            f"{sum(idle.ours.values())} / {sum(settled.ours.values())} / {sum(final.ours.values())} objects of ours, "
            f"{idle.tasks} / {settled.tasks} / {final.tasks} tasks, "
            f"{idle.descriptors} / {settled.descriptors} / {final.descriptors} file descriptors"
        )
