"""What calls of stock Chromium lose while everything around them is killed, replaced, paused or moved.

Each is done `_TIMES` times, with an echo and with a backend in another process; what is told of it stands in
`chromium_rows`. The calls, the hosts of their own and the counting are those of the end-to-end tests
(`tests/e2e/chromium_interruptions.py`), in a process of their own. Packets are counted on both sides of the relay,
beside what the browser says of itself, and events are numbered on both ways.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio

from bench.chromium_rows import crossing, missing, rows_of, silence
from bench.processes import MachineClock
from bench.settings import NotMeasured, Settings
from bench.table import Row

__all__ = ["measure"]

_TIMES = 10
_PROGRAM = "tests.e2e.chromium_interruptions"
_REPOSITORY = Path(__file__).parent.parent
_NEEDED = ("chromium", "ip", "nft", "redis-server")


async def measure(settings: Settings) -> list[Row]:
    """Measure it in another process."""
    return await trio.to_thread.run_sync(_measure, settings)


def _measure(settings: Settings) -> list[Row]:
    absent = [program for program in _NEEDED if shutil.which(program) is None]
    if absent:
        raise NotMeasured(f"there is no {', '.join(absent)}; `make bench` installs them from Debian's packages")
    if os.geteuid() != 0:
        raise NotMeasured("network namespaces need root")
    clock = MachineClock()
    told: dict[str, list[Any]] = defaultdict(list)
    for each in _interruptions(settings):
        what = each.pop("what")
        told[what].append({**each.pop("cost", {}), **each})
        settings.say(f"Chromium: {what}: {_describe(told[what][-1])}")
    return rows_of(told, (clock.describe(),))


def _describe(told: Any) -> str:
    if "echo" in told:
        silences = (max(told[kind]["gaps_ms"].values()) for kind in ("echo", "realtime"))
        return " and ".join(f"{each:.0f} ms" for each in silences) + " silent at most"
    text = f"lost {crossing(told):.0f}, {missing(told):.0f} numbers missing, {silence(told):.0f} ms silent"
    if conversed := told.get("conversed"):
        text += f", {told['unheard']} frames unheard, {conversed['events']['up']['lost']} events lost on the way up"
    return text


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
