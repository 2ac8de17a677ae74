"""What calls of stock Chromium lose while everything around them is killed, replaced, paused or moved.

Each is done `_TIMES` times, the worst and the median are told. The calls, the hosts of their own and the counting are
those of the end-to-end tests (`tests/e2e/chromium_interruptions.py`), in a process of their own; packets are counted on
both sides of the relay, beside what the browser says of itself.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import attrs
import trio

from bench.processes import MachineClock
from bench.settings import NotMeasured, Settings
from bench.table import Row

__all__ = ["measure", "rows_of"]

_TIMES = 10
_PROGRAM = "tests.e2e.chromium_interruptions"
_REPOSITORY = Path(__file__).parent.parent
_NEEDED = ("chromium", "ip", "nft", "redis-server")
_EVERYTHING = "everything"
_REBOUND = "rebound"

Told = Mapping[str, Sequence[Any]]
"""What the program has said, by what was done."""


@attrs.frozen(kw_only=True)
class _Promise:
    """What an interruption may cost.

    Attributes:
        what: the row.
        done: what the program calls it.
        read: the cost, of what it says.
        unit: of the cost.
        limit: the most that it may be.
        want: what it should be.
    """

    what: str
    done: str
    read: Callable[[Any], float]
    unit: str
    limit: float
    want: float

    def row(self, told: Sequence[Any], notes: tuple[str, ...]) -> Row:
        """Compare."""
        costs = [self.read(each) for each in told]
        worst = max(costs)
        return Row(
            what=f"Chromium: {self.what}",
            ours=f"{worst:.0f}{self.unit} (median {median(costs):.0f})",
            peer=f"{self.limit:g}{self.unit}",
            ratio=worst / self.limit if self.limit else worst,
            must=1.0 if self.limit else 0.0,
            want=self.want / self.limit if self.limit else 0.0,
            notes=(*notes, _of_the_browser(told)),
            details={"each": list(told)},
        )


def _crossing(told: Any) -> float:
    return float(told["up"]["lost"] + told["down"]["lost"])


def _missing(told: Any) -> float:
    return float(told["missing"])


def _silence(told: Any) -> float:
    return float(told["gap_ms"])


def _promise(what: str, done: str, read: Callable[[Any], float], limit: float, want: float, unit: str = "") -> _Promise:
    return _Promise(what=what, done=done, read=read, unit=unit, limit=limit, want=want)


_KILLED, _PAUSED = "transceiver killed", "transceiver paused"
_PROMISES = (
    _promise("relay worker killed, frames lost", "relay worker killed", _crossing, 1, 0),
    _promise("relay killed and started again, frames lost", "relay killed and started again", _crossing, 15, 5),
    _promise("relay replaced as planned, frames lost", "relay replaced", _crossing, 0, 0),
    _promise("moved to another relay of the group, frames lost", "moved to another relay", _missing, 3, 0),
    _promise("transceiver drained, frames lost", "transceiver drained", _missing, 2, 0),
    _promise("transceiver killed, audio back after", _KILLED, _silence, 1000, 500, " ms"),
    _promise("transceiver paused, audio back after", _PAUSED, _silence, 1000, 500, " ms"),
    _promise("transceiver paused and resumed, numbers used twice", _PAUSED, lambda told: told["reused"], 0, 0),
    _promise("Redis started again, frames lost", "Redis started again", _missing, 0, 0),
)


async def measure(settings: Settings) -> list[Row]:
    """Measure it in another process."""
    return await trio.to_thread.run_sync(_measure, settings)


def _measure(settings: Settings) -> list[Row]:
    missing = [program for program in _NEEDED if shutil.which(program) is None]
    if missing:
        raise NotMeasured(f"there is no {', '.join(missing)}; `make bench` installs them from Debian's packages")
    if os.geteuid() != 0:
        raise NotMeasured("network namespaces need root")
    clock = MachineClock()
    told: dict[str, list[Any]] = defaultdict(list)
    for each in _interruptions(settings):
        what = each.pop("what")
        told[what].append(each.get("cost", each))
        settings.say(f"Chromium: {what}: {_describe(told[what][-1])}")
    return rows_of(told, (clock.describe(),))


def rows_of(told: Told, notes: tuple[str, ...]) -> list[Row]:
    """Make the rows of what the program has said.

    Args:
        told: by what was done; nothing may be missing.
        notes: for each row.
    """
    rows = [promise.row(told[promise.done], notes) for promise in _PROMISES]
    replaced = [
        {"drained": drained, "replaced": replaced, "frames": _missing(drained) + _crossing(replaced), **replaced}
        for drained, replaced in zip(told["transceiver drained"], told["relay replaced"], strict=True)
    ]
    both = "transceiver and relay replaced one after the other, frames lost"
    rows.append(_promise(both, "", lambda each: float(each["frames"]), 2, 0).row(replaced, notes))
    return [*rows, *_rows_of_everything(told[_EVERYTHING], notes)]


def _rows_of_everything(passed: Sequence[Any], notes: tuple[str, ...]) -> Iterator[Row]:
    gaps = [max(gap for step, gap in each["gaps_ms"].items() if step != _REBOUND) for each in passed]
    rebinds = [each["rebind"]["gap_ms"] for each in passed]
    for what, found, more in (
        ("everything in one call, longest silence but of the new address", gaps, "each was hung up by its id"),
        (
            "the client's address changes, silence",
            rebinds,
            "until Chromium's next check, of which one comes every 2.5 s",
        ),
    ):
        yield Row(
            what=f"Chromium: {what}",
            ours=f"{max(found):.0f} ms (median {median(found):.0f})",
            notes=(*notes, f"{len(passed)} calls; {more}"),
            details={"each": list(passed)},
        )


def _of_the_browser(told: Sequence[Any]) -> str:
    lost, concealed = (max(each["browser"][name] for each in told) for name in ("lost", "concealed_ms"))
    return (
        f"{len(told)} times, at worst: silence of {max(map(_silence, told)):.0f} ms; by the browser's own count "
        f"{lost:.0f} packets lost, {concealed:.0f} ms concealed"
    )


def _describe(told: Any) -> str:
    if "gaps_ms" in told:
        return f"{max(told['gaps_ms'].values()):.0f} ms silent at most"
    return f"lost {_crossing(told):.0f}, {_missing(told):.0f} numbers missing, {_silence(told):.0f} ms silent"


def _interruptions(settings: Settings) -> Iterator[Any]:
    """Run the program; gives what it says."""
    folder = settings.folder / "chromium-calls"
    folder.mkdir(parents=True)
    problems = folder / "program.log"
    command = [sys.executable, "-m", _PROGRAM, str(folder), str(settings.fewer(_TIMES))]
    with (
        problems.open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=_REPOSITORY) as program,
    ):
        assert program.stdout is not None
        yield from map(json.loads, program.stdout)
        if program.wait() != 0:
            raise NotMeasured(f"the calls of Chromium broke off:\n{problems.read_text()[-1500:]}")
