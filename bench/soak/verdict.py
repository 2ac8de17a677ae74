"""Whether anything leaks: three readings compared, and each culprit named.

    idle      before the first call
    settled   after the first calls, when nobody called: caches are filled, memory has taken its shape
    final     after the last call, when nobody called

A leak is what there is more of the more calls there were. Objects of our own classes must be where they were when the
process was idle, whatever the number of calls. Memory never gets back there, since the C library keeps what it may
need again; so it is compared between `settled` and `final`, and bounded by the call.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import attrs

from bench.soak.endings import ENDINGS
from bench.soak.readings import GAUGES, Reading

__all__ = ["Bounds", "Readings", "bytes_per_call", "judge"]

_NAMED = 12
"""Classes that are named for each process; a call that stays has some eighty with it."""


@attrs.frozen(kw_only=True)
class Bounds:
    """What is not a leak.

    Attributes:
        spare: how many instances of one of our classes, tasks or descriptors there may be more than in an idle process:
            a connection between two of our processes may be open or not.
        others_spare: how many instances of a type that is not ours there may be more than when memory had settled:
            caches grow to their end, and a relay keeps what was asked in the last five seconds that somebody called.
        others_per_call: how many of them may be left by a call.
        blocks_spare: how many pieces of memory there may be more in any case, as of types that are not ours.
        blocks_per_call: pieces of memory that may be left by a call; one leaked object has at least one.
        bytes_spare: by how much resident memory may grow in any case: what malloc does not give back varies.
        bytes_per_call: by how much it may grow with a call. A leaked session would be some 60,000, a record of one a
            few hundred.
        failed: share of calls that may go otherwise than planned, on a machine that does other things too.
    """

    spare: int = 4
    others_spare: int = 400
    others_per_call: float = 0.05
    blocks_spare: int = 2000
    blocks_per_call: float = 0.5
    bytes_spare: int = 2 << 20
    bytes_per_call: float = 512.0
    failed: float = 0.01


@attrs.frozen(kw_only=True)
class Readings:
    """What the verdict is made of; see the top of the file."""

    idle: Reading
    settled: Reading
    final: Reading

    @property
    def calls(self) -> int:
        """How many there were between the last two."""
        return self.final.calls - self.settled.calls


def bytes_per_call(readings: Readings) -> dict[str, float]:
    """Tell by how much the resident memory of each process grew with a call."""
    before, after = readings.settled.censuses, readings.final.censuses
    return {name: (after[name].resident - before[name].resident) / readings.calls for name in after}


def judge(readings: Readings, ended: Mapping[str, int], problems: Mapping[str, int], bounds: Bounds) -> list[str]:
    """Name everything that is not as it must be.

    Args:
        readings: see there.
        ended: how many calls ended as planned, by the name of their ending.
        problems: how many did not, by what went wrong.
        bounds: what is no leak.
    """
    return [
        *_too_many_objects(readings, bounds),
        *_too_much_memory(readings, bounds),
        *_open_gauges(readings),
        *_unnoticed(readings, ended, bounds),
        *_failed(ended, problems, bounds),
    ]


def _too_many_objects(readings: Readings, bounds: Bounds) -> Iterator[str]:
    for name, after in readings.final.censuses.items():
        idle, settled = readings.idle.censuses[name], readings.settled.censuses[name]
        culprits = _grown(idle.ours, after.ours, bounds.spare)
        for kind, more in culprits[:_NAMED]:
            yield f"{name}: {more} {kind} more than in an idle process"
        if len(culprits) > _NAMED:
            yield f"{name}: and so for {len(culprits) - _NAMED} further classes, which they have brought along"
        spare = max(bounds.others_spare, bounds.others_per_call * readings.calls)
        for kind, more in _grown(settled.others, after.others, spare):
            yield f"{name}: {more} {kind} more after {readings.calls} calls, {more / readings.calls:.2f} a call"
        for what, before, now in (
            ("tasks", idle.tasks, after.tasks),
            ("file descriptors", idle.descriptors, after.descriptors),
        ):
            if now > before + bounds.spare:
                yield f"{name}: {now} {what}, and {before} in an idle process"


def _grown(before: Mapping[str, int], after: Mapping[str, int], spare: float) -> list[tuple[str, int]]:
    """Give the kinds of which there are too many more, those that grew most first."""
    more = Counter({kind: count - before.get(kind, 0) for kind, count in after.items()})
    return [(kind, grown) for kind, grown in more.most_common() if grown > spare]


def _too_much_memory(readings: Readings, bounds: Bounds) -> Iterator[str]:
    for name, after in readings.final.censuses.items():
        blocks = (after.blocks - readings.settled.censuses[name].blocks) / readings.calls
        if blocks > max(bounds.blocks_per_call, bounds.blocks_spare / readings.calls):
            yield f"{name}: {blocks:.2f} pieces of memory are left by a call; {bounds.blocks_per_call:g} may be"
    for name, grown in bytes_per_call(readings).items():
        if grown > max(bounds.bytes_per_call, bounds.bytes_spare / readings.calls):
            yield f"{name}: resident memory grew by {grown:.0f} bytes a call; {bounds.bytes_per_call:.0f} may be"


def _open_gauges(readings: Readings) -> Iterator[str]:
    for name in GAUGES:
        before, now = readings.idle.metrics[name], readings.final.metrics[name]
        if now > before:
            yield f"{name} is {now:g} though nobody calls; before the first call it was {before:g}"


def _unnoticed(readings: Readings, ended: Mapping[str, int], bounds: Bounds) -> Iterator[str]:
    """Compare how calls ended with what the transceiver says of it."""
    counts = readings.final.counted("transceiver_events_total")
    if failed := counts.get("internal-error"):
        yield f"transceiver: {failed:g} internal errors; its log has them"
    # Endings may share a reason: those that do are counted together.
    reasons: dict[frozenset[str], int] = {}
    for ending in ENDINGS:
        together = [known for known in reasons if known & ending.counted]
        merged = ending.counted.union(*together)
        reasons[merged] = sum(reasons.pop(known) for known in together) + ended.get(ending.name, 0)
    for names, planned in reasons.items():
        noticed = sum(counts.get(name, 0.0) for name in names)
        if noticed < planned * (1 - bounds.failed):
            yield f"transceiver: {planned} calls ended as {' or '.join(sorted(names))}, and {noticed:g} were noticed"


def _failed(ended: Mapping[str, int], problems: Mapping[str, int], bounds: Bounds) -> Iterator[str]:
    failed = sum(problems.values())
    if failed > bounds.failed * (sum(ended.values()) + failed):
        often = ", ".join(f"{what} ({count})" for what, count in Counter(problems).most_common(3))
        yield f"{failed} calls did not go as planned, most often: {often}"
