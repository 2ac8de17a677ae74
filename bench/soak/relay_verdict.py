"""Whether anything leaks in a relay that has forwarded for minutes."""

from collections.abc import Iterator, Mapping

import attrs

from bench.soak.census import Census

__all__ = ["RelayBounds", "RelaySoak", "describe_relay", "judge_relay"]

_MEBIBYTE = 1 << 20


@attrs.frozen(kw_only=True)
class RelayBounds:
    """What may be left, or get lost.

    Attributes:
        spare: tasks and descriptors more than before the first call.
        instances: of a class, likewise; a relay remembers the last 60 PINGs of each link.
        resident: bytes by which memory may grow between settled and final: what the C library keeps varies.
        blocks: pieces of memory likewise.
        lost: share of the datagrams.
    """

    spare: int = 4
    instances: int = 64
    resident: int = _MEBIBYTE
    blocks: int = 4000
    lost: float = 0.001


@attrs.define(kw_only=True)
class RelaySoak:
    """What was seen.

    Attributes:
        idle: the relay before the first call.
        settled: with all calls, after a part of the time.
        final: with as many calls, at the end.
        forgotten: when all calls were forgotten.
        sent: datagrams.
        passed: those that came through.
        flows: that the relay still had when all should have been forgotten.
        drops: what it dropped, by reason.
    """

    idle: Census
    settled: Census
    final: Census
    forgotten: Census
    sent: int
    passed: int
    flows: float
    drops: Mapping[str, float] = attrs.field(factory=dict)


def judge_relay(soak: RelaySoak, bounds: RelayBounds) -> list[str]:
    """Name everything that is wrong."""
    return list(_culprits(soak, bounds))


def _culprits(soak: RelaySoak, bounds: RelayBounds) -> Iterator[str]:
    grown = soak.final.resident - soak.settled.resident
    if grown > bounds.resident:
        yield f"resident memory grew by {grown / _MEBIBYTE:.1f} MB; {bounds.resident / _MEBIBYTE:.1f} may be"
    blocks = soak.final.blocks - soak.settled.blocks
    if blocks > bounds.blocks:
        yield f"{blocks} pieces of memory came and stayed; {bounds.blocks} may"
    if soak.flows:
        yield f"{soak.flows:.0f} flows are left of calls that have ended"
    for kind, count in soak.forgotten.ours.items():
        more = count - soak.idle.ours.get(kind, 0)
        if more > bounds.instances:
            yield f"{more} {kind} more than before the first call"
    for what, before, after in (
        ("tasks", soak.idle.tasks, soak.forgotten.tasks),
        ("file descriptors", soak.idle.descriptors, soak.forgotten.descriptors),
    ):
        if after > before + bounds.spare:
            yield f"{after} {what}, and {before} before the first call"
    lost = 1 - soak.passed / max(soak.sent, 1)
    if lost > bounds.lost:
        yield f"{lost:.2%} of the datagrams were lost at half of what it can; {bounds.lost:.2%} may be"


def describe_relay(soak: RelaySoak) -> str:
    """Tell what was seen, in words."""
    stages = {"idle": soak.idle, "settled": soak.settled, "final": soak.final, "all forgotten": soak.forgotten}
    lines = [f"{soak.passed} of {soak.sent} datagrams came through."]
    lines += [
        f"  {name}: {census.resident / _MEBIBYTE:.1f} MB, {census.blocks} pieces of memory, "
        f"{sum(census.ours.values())} objects of ours, {census.tasks} tasks, {census.descriptors} file descriptors"
        for name, census in stages.items()
    ]
    lines.append(
        "Dropped, with the flood that told what it can: "
        + ", ".join(f"{reason} {count:.0f}" for reason, count in sorted(soak.drops.items()))
    )
    return "\n".join(lines)
