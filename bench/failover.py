"""Audio that is lost while a transceiver is drained, dies or stalls, by a call whose packets are numbered.

Each is done `_TIMES` times in one call, which wanders from one transceiver to the other; the worst is told. What many
calls at once make of it is `crowds`.
"""

import signal
import time
from collections.abc import Callable
from typing import Any

import trio

from bench.crowds import measure_restored, measure_upgrade
from bench.fleet import Fleet, our_fleet
from bench.numbered_call import numbered_call
from bench.processes import MachineClock
from bench.settings import Settings
from bench.table import Row

__all__ = ["measure"]

_TIMES = 10
_NAMES = ("alpha", "beta")
_BEFORE, _AFTER = 0.5, 2.0
_FRAMES_OF_A_DRAIN = 2
_SECONDS_OF_A_DEATH, _WANTED_SECONDS = 1.0, 0.5


async def measure(settings: Settings) -> list[Row]:
    """Measure what each way to lose a transceiver costs a call."""
    return await trio.to_thread.run_sync(_measure, settings)


def _measure(settings: Settings) -> list[Row]:
    clock = MachineClock()
    drained = _in_a_call(settings, "drain", _drain)
    killed = _in_a_call(settings, "kill", _kill)
    paused = _in_a_call(settings, "pause", _pause)
    notes = (
        clock.describe(),
        "worst of all; one call, echoed; everything on the same machine",
    )
    lost = [len(each["missing"]) for each in drained]
    return [
        Row(
            what="transceiver drained, frames lost",
            ours=f"{max(lost)}",
            peer=f"{_FRAMES_OF_A_DRAIN}",
            ratio=max(lost) / _FRAMES_OF_A_DRAIN,
            must=1.0,
            want=0.0,
            notes=notes,
            details={"lost": lost, "gap_ms": [each["gap_ms"] for each in drained]},
        ),
        _gap_row("transceiver killed, audio back after", killed, notes),
        _gap_row("transceiver paused, audio back after", paused, notes),
        *measure_restored(settings),
        *measure_upgrade(settings),
    ]


def _gap_row(what: str, counted: list[Any], notes: tuple[str, ...]) -> Row:
    gaps = [each["gap_ms"] / 1000 for each in counted]
    return Row(
        what=what,
        ours=f"{1000 * max(gaps):.0f} ms",
        peer=f"{1000 * _SECONDS_OF_A_DEATH:.0f} ms",
        ratio=max(gaps) / _SECONDS_OF_A_DEATH,
        must=1.0,
        want=_WANTED_SECONDS / _SECONDS_OF_A_DEATH,
        notes=notes,
        details={"gap_ms": [each["gap_ms"] for each in counted], "lost": [len(each["missing"]) for each in counted]},
    )


def _in_a_call(settings: Settings, name: str, act: Callable[[Fleet, str], Callable[[], None]]) -> list[Any]:
    """Do something to the transceiver of a call over and over; return what the call has counted each time."""
    counted = []
    with our_fleet(settings.folder / f"failover-{name}", _NAMES) as fleet, numbered_call(fleet.url) as order:
        for _ in range(settings.fewer(_TIMES)):
            owner = fleet.owner()
            _wait_for_record(fleet, owner)
            order("begin")
            time.sleep(_BEFORE)
            clean_up = act(fleet, owner)
            time.sleep(_AFTER)
            counted.append(order("finish"))
            settings.say(f"{name}: lost {len(counted[-1]['missing'])}, silent for {counted[-1]['gap_ms']:.0f} ms")
            clean_up()
    return counted


def _wait_for_record(fleet: Fleet, owner: str) -> None:
    """Wait until the store has a record by its present owner, and the other one is linked."""
    moves = "trio_voice_transceiver_moves_total"
    kept = [f'{moves}{{event="checkpoint.{what}"}}' for what in ("created", "confirmed")]
    fleet.wait_for(lambda: any(fleet.metric(owner, name) for name in kept), "a checkpoint")
    fleet.wait_for(lambda: all(map(fleet.is_ready, _NAMES)), "both to be ready")


def _drain(fleet: Fleet, owner: str) -> Callable[[], None]:
    fleet.send(owner, signal.SIGTERM)
    return lambda: fleet.start_again(owner)


def _kill(fleet: Fleet, owner: str) -> Callable[[], None]:
    fleet.send(owner, signal.SIGKILL)
    return lambda: fleet.start_again(owner)


def _pause(fleet: Fleet, owner: str) -> Callable[[], None]:
    fleet.send(owner, signal.SIGSTOP)

    def resume() -> None:
        fleet.send(owner, signal.SIGCONT)
        fleet.wait_for(lambda: not fleet.calls(owner), "the old owner to let go")

    return resume
