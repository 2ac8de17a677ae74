"""Many calls at once: those of a dead transceiver restored beside others, and a fleet that is started again under them.

The callers count every packet, from one process that shares the machine with the fleet; they send packets of 60 ms,
with which it keeps up. How late it was is in the notes: on a machine that is too small for all of it, packets are lost
that no server has lost.
"""

import signal
import time
from collections.abc import Sequence

from bench.fleet import Fleet, our_fleet
from bench.numbered_call import Counted, numbered_calls
from bench.processes import MachineClock
from bench.settings import Settings
from bench.table import Row

__all__ = ["measure_restored", "measure_upgrade"]

_CALLS, _OWN = 200, 20
_QUICK_CALLS = 40
_FRAME_MS = 60
_MOST_FRAMES, _WANTED_FRAMES = 2, 0
"""Packets that a call may lose because others are restored beside it: a tenth of a second."""
_ALL_BACK, _WANTED_BACK = 5.0, 1.0
"""Seconds until the last call of a dead transceiver is heard again."""
_SETTLED, _AFTER_DEATH = 2.0, 8.0
"""Seconds until a call is as ever, and that are watched behind a death."""
_TRANSCEIVERS = ("alpha", "beta", "gamma")


def measure_restored(settings: Settings) -> list[Row]:
    """Kill a transceiver with many calls, and see how those of the one that takes them get on."""
    many = _QUICK_CALLS if settings.is_quick else _CALLS
    clock = MachineClock()
    limit = f"max_calls = {many}\n"  # alpha is full with the first calls, so beta gets the others
    with our_fleet(settings.folder / "restored", ("alpha", "beta"), transceiver_keys=limit) as fleet:
        fleet.send("beta", signal.SIGTERM)
        config = fleet.folder / "beta.toml"
        config.write_text(config.read_text().replace(limit, ""))
        with numbered_calls(fleet.url, many, frame_ms=_FRAME_MS) as restored:
            fleet.start_again("beta")
            with numbered_calls(fleet.url, _OWN) as own:
                fleet.wait_for(lambda: (fleet.calls("alpha"), fleet.calls("beta")) == (many, _OWN), "calls")
                fleet.wait_for(lambda: _moves(fleet, ("alpha",), "checkpoint.created") >= many, "records")
                time.sleep(_SETTLED)
                own.begin()
                restored.begin()
                fleet.send("alpha", signal.SIGKILL)
                time.sleep(_AFTER_DEATH)
                beside, back = own.finish(), restored.finish()
                taken = _moves(fleet, ("beta",), "takeover.taken-over")
                settings.say(f"restored {taken}: {back}; beside them: {beside}")
    notes = (
        clock.describe(),
        f"{taken} calls restored beside {_OWN}; callers {1000 * beside.late:.0f} ms late at p99",
        f"of the restored ones {back.missing} packets lost, {back.lost} calls not back",
        f"longest silence of the others {1000 * beside.gap:.0f} ms",
    )
    gap = float("inf") if back.lost else back.gap
    return [
        Row(
            what=f"{many} calls restored, packets that a call beside them loses",
            ours=f"{beside.most_missing}",
            peer=f"{_MOST_FRAMES}",
            ratio=beside.most_missing / _MOST_FRAMES,
            must=1.0,
            want=_WANTED_FRAMES / _MOST_FRAMES,
            notes=notes,
        ),
        Row(
            what=f"{many} calls restored, the last one back after",
            ours=f"{1000 * gap:.0f} ms",
            peer=f"{1000 * _ALL_BACK:.0f} ms",
            ratio=gap / _ALL_BACK,
            must=1.0,
            want=_WANTED_BACK / _ALL_BACK,
            notes=notes,
        ),
    ]


def measure_upgrade(settings: Settings) -> list[Row]:
    """Start every process of a fleet again, one after the other, under many calls."""
    many = _QUICK_CALLS if settings.is_quick else _CALLS
    clock = MachineClock()
    counted: dict[str, Counted] = {}
    with (
        our_fleet(settings.folder / "upgrade", _TRANSCEIVERS, relays=2, signals=2) as fleet,
        numbered_calls(fleet.url, many, frame_ms=_FRAME_MS) as calls,
    ):
        fleet.wait_for(lambda: _moves(fleet, _TRANSCEIVERS, "checkpoint.created") >= many, "records")
        for name in (*_TRANSCEIVERS, "signal", "signal-2", "relay", "relay-2"):
            time.sleep(_SETTLED)
            calls.begin()
            fleet.send(name, signal.SIGTERM)
            fleet.start_again(name)
            time.sleep(_SETTLED)
            counted[name] = calls.finish()
            settings.say(f"upgrade: {name}: {counted[name]}")
        left = sum(fleet.calls(name) for name in _TRANSCEIVERS)
    lost = max(many - left, *(each.lost for each in counted.values()))
    return [
        Row(
            what=f"rolling upgrade under {many} calls, calls lost",
            ours=f"{lost}",
            peer="0",
            ratio=float(lost),
            must=0.0,
            want=0.0,
            notes=(
                clock.describe(),
                "three transceivers, two signal nodes, two relays, each told to stop and started again",
                *(
                    f"{name}: {each.missing} of {each.sent} packets lost, {each.most_missing} of one call, longest "
                    f"silence {1000 * each.gap:.0f} ms, callers {1000 * each.late:.0f} ms late, {each.behind} behind"
                    for name, each in counted.items()
                ),
            ),
        )
    ]


def _moves(fleet: Fleet, names: Sequence[str], event: str) -> int:
    return int(sum(fleet.metric(name, f'trio_voice_transceiver_moves_total{{event="{event}"}}') for name in names))
