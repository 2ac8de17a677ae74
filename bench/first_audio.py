"""From the POST to the first audio at stock Chromium, in round trips, over a line with a long one.

Everything between the browser and the edge, HTTP and UDP, is delayed by half of the round trip each way (`delay`). The
page was loaded over the same line, so its HTTP connection is warm and of the same origin. A round trip is what a
fetch of a small resource takes over that line, measured by the same page.

The first audio is what unmutes the browser's track. It need not be an echo, which can only come a round trip after the
browser's own first packet.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import trio
from playwright.sync_api import Error, sync_playwright

from bench.browser import MICROPHONE_FLAGS, OFFLINE_FLAGS
from bench.ports import free_port
from bench.processes import MachineClock, spawned
from bench.servers import our_edge
from bench.settings import NotMeasured, Settings
from bench.table import Row

__all__ = ["measure"]

_ONE_WAY = 0.1
_RUNS = 9
_QUICK_RUNS = 3
_CALL = (Path(__file__).parent / "first_audio.js").read_text()


async def measure(settings: Settings) -> list[Row]:
    """Measure in a thread: Playwright's plain interface has an event loop of its own."""
    return await trio.to_thread.run_sync(_measure, settings)


def _measure(settings: Settings) -> list[Row]:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise NotMeasured("the system's Chromium is missing; `make bench` installs it from Debian's packages")
    http, media = free_port(), free_port()
    folder = settings.folder / "first-audio"
    runs = []
    machine = MachineClock()
    with (
        our_edge(folder, advertised_port=media) as ours,
        _long_line(folder, f"tcp:{http}:{ours.url.rpartition(':')[2]}", f"udp:{media}:{ours.media_port}"),
        sync_playwright() as playwright,
    ):
        try:
            browser = playwright.chromium.launch(executable_path=chromium, args=[*OFFLINE_FLAGS, *MICROPHONE_FLAGS])
            version = browser.version
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{http}/")
            for number in range(_QUICK_RUNS if settings.is_quick else _RUNS):
                runs.append(page.evaluate(_CALL))
                settings.say(f"first audio: run {number + 1}: {_describe(runs[-1])}")
            browser.close()
        except Error as error:
            raise NotMeasured(f"Chromium: {error.message}") from error
    ratios = [run["firstAudio"] / run["roundTrip"] for run in runs]
    return [
        Row(
            what="POST to first audio, over a round trip",
            ours=f"{median([run['firstAudio'] for run in runs]):.0f} ms",
            peer=f"{median([run['roundTrip'] for run in runs]):.0f} ms",
            ratio=median(ratios),
            must=3.2,
            want=3.0,
            notes=(
                f"Chromium {version}, {len(runs)} calls, {_ONE_WAY * 1000:.0f} ms each way; {machine.describe()}",
                f"medians in round trips: {_describe_medians(runs)}",
            ),
            details={"runs": runs},
        )
    ]


@contextmanager
def _long_line(folder: Path, *lines: str) -> Iterator[None]:
    log = folder / "delay.log"
    command = [sys.executable, "-m", "bench.delay", str(_ONE_WAY), *lines]
    with spawned({"delay": command}, folder, lambda: "ready" in log.read_text()):
        yield


_STEPS = ("answer", "iceConnected", "dtlsConnected", "firstAudio")


def _describe(run: dict[str, float]) -> str:
    return f"{run['firstAudio']:.0f} ms at a round trip of {run['roundTrip']:.0f} ms"


def _describe_medians(runs: list[dict[str, float]]) -> str:
    return ", ".join(f"{step} {median([run[step] / run['roundTrip'] for run in runs]):.2f}" for step in _STEPS)
