"""`python -m bench.soak`: calls that end in every way, minutes of a busy relay, an hour of a busy fleet."""

import json
import resource
import signal
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
from bench.soak.relay import soak_relay
from bench.soak.relay_verdict import RelayBounds, describe_relay, judge_relay
from bench.soak.report import describe_progress, describe_result
from bench.soak.takeovers import describe_takeovers, judge_takeovers, soak_takeovers
from bench.soak.verdict import Bounds, Readings, judge
from edge.caller.exchange import Exchange

_RESULTS = Path(__file__).parent.parent / "results"
_SETTLED_AFTER, _SETTLED_SECONDS = 0.2, 60.0
"""Share of the calls, and seconds, after which memory has taken its shape: as many calls wait for their end as ever."""

_SETTLED_AT_LAST = 0.5
"""Share of the calls after which it is taken for settled in any case; too early when there are few of them."""

_STEPS = 20
_REST, _LINGER = 90.0, 12.0
"""Seconds within which everything of the last call must be gone: consent and watchdog take 30, idle connections 60.
What is over when nobody calls any more may be looked at once more before it goes: a relay does after 10 s."""


_RELAY_MINUTES, _FLEET_MINUTES = 10.0, 60.0


@click.command()
@click.option("--only", type=click.Choice(["calls", "relay", "takeovers"]), help="Leave the others out.")
@click.option("--calls", type=click.IntRange(min=100), default=10_000, show_default=True, help="How many.")
@click.option("--at-once", type=click.IntRange(min=1), default=48, show_default=True, help="How many at a time.")
@click.option(
    "--minutes",
    type=click.FloatRange(0.5, 240),
    help=f"How long the relay forwards ({_RELAY_MINUTES:g}), and the fleet is kept busy ({_FLEET_MINUTES:g}).",
)
def main(only: str | None, calls: int, at_once: int, minutes: float | None) -> None:
    """Place calls, end them in every way there is, and tell what is left of them: nothing, it should be.

    Then have the relay forward at half of what it can, and see whether its memory stays flat. Then keep the machine
    busy to 90 % under a fleet with calls, and see that nobody is taken for dead who lives.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started ends with it, as on Ctrl-C
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    culprits: list[str] = []
    with tempfile.TemporaryDirectory(prefix="trio-voice-soak-") as folder:
        settings = Settings(folder=Path(folder))
        try:
            if only in {None, "calls"}:
                culprits += trio.run(_soak, settings, calls, at_once)
            if only in {None, "relay"}:
                culprits += trio.run(_soak_relay, settings, minutes or _RELAY_MINUTES)
            if only in {None, "takeovers"}:
                culprits += _soak_takeovers(settings, minutes or _FLEET_MINUTES)
        except* NotMeasured as group:
            culprits.append(str(group.exceptions[0]))
    for culprit in culprits:
        print(f"LEAK OR FAULT: {culprit}")
    sys.exit(1 if culprits else 0)


async def _soak(settings: Settings, calls: int, at_once: int) -> list[str]:
    censuses = settings.folder / "censuses"
    censuses.mkdir()
    program = (sys.executable, "-m", "bench.soak.server", str(censuses))
    with our_edge(settings.folder / "edge", backend="parrot", program=program) as server:
        watch = Watch(server, censuses)
        async with exchanging() as exchange, trio.open_nursery() as sockets:
            soak = _Soak(settings, watch, await watch.read(0, collects=True), calls, at_once)
            readings = await soak.run(server.url, exchange, sockets)
            sockets.cancel_scope.cancel()
    tally = soak.tally
    culprits = judge(readings, tally.ended, tally.problems, Bounds())
    print(f"\n{describe_result(readings, tally)}\n")
    print(f"Written to {_save(readings, soak.steps, tally, culprits)}")
    return culprits


async def _soak_relay(settings: Settings, minutes: float) -> list[str]:
    soak = await soak_relay(settings, minutes)
    print(f"\n{describe_relay(soak)}\n")
    return [f"relay: {culprit}" for culprit in judge_relay(soak, RelayBounds())]


def _soak_takeovers(settings: Settings, minutes: float) -> list[str]:
    soak = soak_takeovers(settings, minutes)
    print(f"\n{describe_takeovers(soak)}\n")
    return [f"take-overs: {culprit}" for culprit in judge_takeovers(soak)]


class _Soak:
    """The calls, and the readings between them.

    Args:
        settings: says how far it is.
        watch: reads from the servers.
        idle: what they said before the first call.
        calls: how many there will be.
        at_once: how many at a time.

    Attributes:
        steps: all readings, in order.
        tally: what became of the calls.
    """

    def __init__(self, settings: Settings, watch: Watch, idle: Reading, calls: int, at_once: int) -> None:
        self._settings = settings
        self._watch = watch
        self._idle = idle
        self._calls = calls
        self._at_once = at_once
        self._placed = 0
        self._settled_at = trio.current_time() + _SETTLED_SECONDS
        self.tally = Tally()
        self.steps: list[Reading] = []
        self._note("idle: ", idle)

    async def run(self, url: str, exchange: Exchange, sockets: trio.Nursery) -> Readings:
        """Place all calls; at rest after the first part of them and after the last, see what is left."""
        async with Means.of(url, exchange) as means:
            while not self._is_settled:
                await self._call_some(means, sockets)
        settled = await self._rest()
        async with Means.of(url, exchange) as means:
            while self._placed < self._calls:
                await self._call_some(means, sockets)
        return Readings(idle=self._idle, settled=settled, final=await self._rest())

    @property
    def _is_settled(self) -> bool:
        share = _SETTLED_AFTER if trio.current_time() > self._settled_at else _SETTLED_AT_LAST
        return self._placed >= self._calls * share

    async def _call_some(self, means: Means, sockets: trio.Nursery) -> None:
        begin, self._placed = self._placed, min(self._placed + max(self._calls // _STEPS, 1), self._calls)
        await call_in_turn(means, range(begin, self._placed), self.tally, sockets, at_once=self._at_once)
        self._note("", await self._watch.read(self._placed, collects=False))

    async def _rest(self) -> Reading:
        self._settings.say("waiting for consent to run out, and for connections that nobody needs")
        await self._watch.rest(self._idle.metrics, _REST)
        await trio.sleep(_LINGER)
        self._note("at rest: ", await self._watch.read(self._placed, collects=False))
        return await self._watch.read(self._placed, collects=True)

    def _note(self, prefix: str, reading: Reading) -> None:
        self.steps.append(reading)
        self._settings.say(prefix + describe_progress(reading, self.tally))


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
