"""`python -m bench.soak`: place ten thousand calls, end them in every way, and see what is left."""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import attrs
import click
import trio

from bench.load import exchanging
from bench.servers import our_edge
from bench.settings import NotMeasured, Settings
from bench.soak.attempt import Means
from bench.soak.calls import Tally, call_in_turn
from bench.soak.readings import Reading, Watch
from bench.soak.report import describe_progress, describe_result
from bench.soak.verdict import Bounds, Readings, judge

_RESULTS = Path(__file__).parent.parent / "results"
_SETTLED_AFTER = 0.2
"""Share of the calls after which memory has taken its shape."""

_STEPS = 20
_REST = 90.0
"""Seconds within which everything of the last call must be gone: consent and watchdog take 30, idle connections 60."""


@click.command()
@click.option("--calls", type=click.IntRange(min=100), default=10_000, show_default=True, help="How many.")
@click.option("--at-once", type=click.IntRange(min=1), default=32, show_default=True, help="How many at a time.")
def main(calls: int, at_once: int) -> None:
    """Place calls, end them in every way there is, and tell what is left of them: nothing, it should be."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="trio-voice-soak-") as folder:
        try:
            culprits = trio.run(_soak, Settings(folder=Path(folder)), calls, at_once)
        except* NotMeasured as group:
            culprits = [str(group.exceptions[0])]
    for culprit in culprits:
        print(f"LEAK OR FAULT: {culprit}")
    sys.exit(1 if culprits else 0)


async def _soak(settings: Settings, calls: int, at_once: int) -> list[str]:
    censuses = settings.folder / "censuses"
    censuses.mkdir()
    program = (sys.executable, "-m", "bench.soak.server", str(censuses))
    with our_edge(settings.folder / "edge", backend="parrot", program=program) as server:
        watch, tally = Watch(server, censuses), Tally()
        idle = await watch.read(0, collects=True)
        settings.say(f"idle: {describe_progress(idle, tally)}")
        settled_after = round(calls * _SETTLED_AFTER)
        steps = [idle]
        async with exchanging() as exchange, trio.open_nursery() as sockets:

            async def call(first: int, last: int) -> None:
                step = max(calls // _STEPS, 1)
                async with Means.of(server.url, exchange) as means:
                    for begin in range(first, last, step):
                        end = min(begin + step, last)
                        await call_in_turn(means, range(begin, end), tally, sockets, at_once=at_once)
                        steps.append(await watch.read(end, collects=False))
                        settings.say(describe_progress(steps[-1], tally))

            async def rest(placed: int) -> Reading:
                settings.say("waiting for consent to run out, and for connections that nobody needs")
                await watch.rest(idle.metrics, _REST)
                steps.append(await watch.read(placed, collects=False))
                settings.say(f"at rest: {describe_progress(steps[-1], tally)}")
                return await watch.read(placed, collects=True)

            await call(0, settled_after)
            settled = await rest(settled_after)
            await call(settled_after, calls)
            readings = Readings(idle=idle, settled=settled, final=await rest(calls))
            sockets.cancel_scope.cancel()
        culprits = judge(readings, tally.ended, tally.problems, Bounds())
        print(f"\n{describe_result(readings, tally)}\n")
        print(f"Written to {_save(readings, steps, tally, culprits)}")
        return culprits


def _save(readings: Readings, steps: list[Reading], tally: Tally, culprits: list[str]) -> Path:
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / time.strftime("soak-%Y%m%d-%H%M%S.json")
    document: Mapping[str, object] = {
        "culprits": culprits,
        "tally": attrs.asdict(tally),
        "readings": attrs.asdict(readings),
        "steps": [attrs.asdict(step) for step in steps],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


if __name__ == "__main__":
    main()
