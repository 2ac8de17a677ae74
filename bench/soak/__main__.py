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
_SETTLED_AFTER, _SETTLED_SECONDS = 0.2, 60.0
"""Share of the calls, and seconds, after which memory has taken its shape: as many calls wait for their end as ever."""

_SETTLED_AT_LAST = 0.5
"""Share of the calls after which it is taken for settled in any case; too early when there are few of them."""

_STEPS = 20
_REST, _LINGER = 90.0, 12.0
"""Seconds within which everything of the last call must be gone: consent and watchdog take 30, idle connections 60.
What is over when nobody calls any more may be looked at once more before it goes: a relay does after 10 s."""


@click.command()
@click.option("--calls", type=click.IntRange(min=100), default=10_000, show_default=True, help="How many.")
@click.option("--at-once", type=click.IntRange(min=1), default=48, show_default=True, help="How many at a time.")
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
        step = max(calls // _STEPS, 1)
        steps = [idle]
        settled: Reading | None = None
        started = trio.current_time()
        async with exchanging() as exchange, trio.open_nursery() as sockets:

            async def call(first: int, last: int) -> None:
                async with Means.of(server.url, exchange) as means:
                    await call_in_turn(means, range(first, last), tally, sockets, at_once=at_once)
                steps.append(await watch.read(last, collects=False))
                settings.say(describe_progress(steps[-1], tally))

            async def rest(placed: int) -> Reading:
                settings.say("waiting for consent to run out, and for connections that nobody needs")
                await watch.rest(idle.metrics, _REST)
                await trio.sleep(_LINGER)
                steps.append(await watch.read(placed, collects=False))
                settings.say(f"at rest: {describe_progress(steps[-1], tally)}")
                return await watch.read(placed, collects=True)

            for first in range(0, calls, step):
                last = min(first + step, calls)
                await call(first, last)
                is_long = trio.current_time() > started + _SETTLED_SECONDS
                if settled is None and last >= calls * (_SETTLED_AFTER if is_long else _SETTLED_AT_LAST):
                    settled = await rest(last)
            assert settled is not None  # half of the calls are over by now
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
