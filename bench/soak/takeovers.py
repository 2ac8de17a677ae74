"""A fleet on a machine that is busy to 90 %, for an hour: nobody is taken for dead who lives.

Two transceivers with calls, a relay, signal and Redis share the processors with programs of the same priority that
burn what is left of 90 %. A relay may suspect somebody, and a probe find that he lives: this is what probes are for,
and costs nothing. Whoever is taken over, or fenced, was taken for dead by mistake. In the end one of the two is
killed, and has to be missed: patience alone would pass the rest.
"""

import signal
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from bench.fleet import Fleet, our_fleet
from bench.numbered_call import NumberedCalls, numbered_calls
from bench.processes import MachineClock
from bench.settings import Settings
from bench.soak.burning import burning
from bench.soak.readings import parse_metrics

__all__ = ["TakeoverSoak", "describe_takeovers", "judge_takeovers", "soak_takeovers"]

_NAMES = ("alpha", "beta")
_CALLS = 20
_BUSY, _BUSY_ENOUGH = 0.9, 0.85
_STRETCH = 30.0
_AFTER_DEATH = 4.0
_MOST_SILENT = 2.0
"""Seconds that a call may be silent behind a death, on this machine; at rest it is one."""


@attrs.frozen(kw_only=True)
class TakeoverSoak:
    """What became of it.

    Attributes:
        seconds: how long it was.
        busy: share of the processors that it may use, on average.
        suspected: how often the relay suspected somebody.
        probed: how often a transceiver probed another for that.
        alive: how often that one answered.
        taken_over: calls.
        fenced: calls.
        lost: calls that ended.
        sent: packets of all calls.
        missing: those that did not come back.
        worst_gap: longest silence of a call, in seconds.
        killed_gap: the same behind the death of a transceiver; infinite when a call did not come back.
    """

    seconds: float
    busy: float
    suspected: int
    probed: int
    alive: int
    taken_over: int
    fenced: int
    lost: int
    sent: int
    missing: int
    worst_gap: float
    killed_gap: float


def soak_takeovers(settings: Settings, minutes: float) -> TakeoverSoak:
    """Run it.

    Args:
        settings: where to, and who is told how it goes.
        minutes: how long.

    Raises:
        NotMeasured: something ended, or there is no Redis.
    """
    folder: Path = settings.folder / "takeovers"
    with our_fleet(folder, _NAMES) as fleet, numbered_calls(fleet.url, _CALLS) as calls:
        fleet.wait_for(lambda: sum(map(fleet.calls, _NAMES)) == _CALLS, "all calls")
        fleet.wait_for(lambda: _moves(fleet, "checkpoint.created") >= _CALLS, "a record of each")
        with burning(_BUSY):
            return _soak(settings, fleet, calls, 60 * minutes)


def _soak(settings: Settings, fleet: Fleet, calls: NumberedCalls, seconds: float) -> TakeoverSoak:
    time.sleep(2.0)  # it burns by now
    before = _counts(fleet)
    machine, began = MachineClock(with_nice=False), time.monotonic()
    sent = missing = lost = 0
    gap = 0.0
    while (passed := time.monotonic() - began) < seconds:
        calls.begin()
        time.sleep(min(_STRETCH, max(seconds - passed, 1.0)))
        counted = calls.finish()
        sent, missing, lost = sent + counted.sent, missing + counted.missing, counted.lost
        gap = max(gap, counted.gap)
        now = _since(before, _counts(fleet))
        frames = f"{missing} of {sent} frames lost, longest gap {gap:.2f} s"
        settings.say(
            f"take-overs: {now['suspected']} suspicions, {now['alive']} of {now['probed']} probes answered, "
            f"{now['taken_over']} taken over; {machine.share():.0%} busy; {frames}"
        )
    after, busy, passed = _counts(fleet), machine.share(), time.monotonic() - began
    calls.begin()
    victim = max(_NAMES, key=fleet.calls)
    fleet.send(victim, signal.SIGKILL)
    time.sleep(_AFTER_DEATH)
    killed = calls.finish()
    return TakeoverSoak(
        seconds=passed,
        busy=busy,
        lost=lost,
        sent=sent,
        missing=missing,
        worst_gap=gap,
        killed_gap=float("inf") if killed.lost else killed.gap,
        **_since(before, after),
    )


def _since(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after}


def _counts(fleet: Fleet) -> Mapping[str, int]:
    relay = parse_metrics(fleet.pages("relay"))
    events = sum(fleet.metric(name, 'trio_voice_transceiver_events_total{event="ended-fenced"}') for name in _NAMES)
    return {
        "suspected": int(relay.get("relay_transceivers_suspected_total", 0)),
        "probed": _moves(fleet, "takeover.suspected"),
        "alive": _moves(fleet, "takeover.suspected-alive"),
        "taken_over": _moves(fleet, "takeover.taken-over"),
        "fenced": int(events),
    }


def _moves(fleet: Fleet, event: str) -> int:
    return int(sum(fleet.metric(name, f'trio_voice_transceiver_moves_total{{event="{event}"}}') for name in _NAMES))


def describe_takeovers(soak: TakeoverSoak) -> str:
    """Tell of it in words."""
    return (
        f"{soak.seconds / 60:.1f} minutes with {soak.busy:.0%} of all processors busy, {_CALLS} calls on two "
        f"transceivers: {soak.suspected} suspicions, {soak.probed} probes, {soak.alive} of them answered, "
        f"{soak.taken_over} calls taken over, {soak.fenced} fenced, {soak.lost} lost; {soak.missing} of {soak.sent} "
        f"frames lost, longest gap {soak.worst_gap:.2f} s. Behind a kill, all calls were back after "
        f"{soak.killed_gap:.2f} s."
    )


def judge_takeovers(soak: TakeoverSoak) -> list[str]:
    """Name what is wrong; nothing when all is well."""
    culprits = []
    if soak.taken_over or soak.fenced:
        culprits.append(f"{soak.taken_over} calls were taken over and {soak.fenced} fenced, though nobody was dead")
    if soak.lost:
        culprits.append(f"{soak.lost} calls were lost")
    if soak.busy < _BUSY_ENOUGH:
        culprits.append(f"the machine was busy to {soak.busy:.0%} only, so this says little")
    if soak.killed_gap > _MOST_SILENT:
        culprits.append(f"behind a kill the last call was back after {soak.killed_gap:.2f} s")
    return culprits
