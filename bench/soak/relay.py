"""The relay at half of what it can, for minutes: calls come and go, strangers make noise, and memory stays flat.

What it can is measured first, as `python -m bench --only relay` does: on this machine, beside the load that it takes.
Then datagrams of an Opus mix go both ways at half of that. After each stretch a part of the calls ends without a word,
others take their place, and requests come that must be refused. Compared are a reading after a part of the time and
one at the end, with as many calls; and one after the last call was forgotten with one before the first.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from bench.relay.calls import Calls, calls_on_our_relay
from bench.relay.load import Load, Passed, compile_programs
from bench.relay.new_flows import send_refused
from bench.relay.sides import Clients
from bench.relay.sizes import OPUS_MIX
from bench.servers import fetch
from bench.settings import Settings
from bench.soak.census import Census, ask
from bench.soak.readings import parse_metrics
from bench.soak.relay_verdict import RelaySoak
from relay.udp import open_udp

__all__ = ["soak_relay"]

_CALLS, _LEAVING = 2_000, 0.02
"""How many calls there are at a time, and which part of them ends after each stretch."""
_HOSTS = 1 << 16
"""Enough for all that ever call within an hour."""
_STRANGERS = 200
_REMEMBERED = 5_000
"""More addresses than a relay keeps the spelling of (`relay.sockaddr`), and they are seen before anything is compared:
else its cache is what grows, for minutes, as calls come and go."""
_STRETCH, _MEASURED = 5.0, 2.0
"""Seconds."""
_SHARE = 0.5
_SETTLED_AFTER, _SETTLED_SECONDS, _SETTLED_AT_LAST = 0.2, 90.0, 0.5
"""Share of the time, and seconds, after which as many calls wait to be forgotten as ever; and when time is short."""
_FORGETTING = 60.0
"""Seconds within which a relay forgets a call that nobody speaks of: it takes 30."""
_MEBIBYTE = 1 << 20


@contextmanager
def _calls(folder: Path, censuses: Path, settings: Settings) -> Iterator[Calls]:
    with open_udp("0.0.0.0", 0, on_warning=settings.say) as sock:  # noqa: S104 - all of 127/8
        program = (sys.executable, "-m", "bench.soak.server", str(censuses))
        with calls_on_our_relay(folder, Clients.many(sock, _HOSTS), program=program) as calls:
            yield calls


async def soak_relay(settings: Settings, minutes: float) -> RelaySoak:
    """Run it.

    Args:
        settings: where to, and who is told how it goes.
        minutes: how long datagrams go.

    Raises:
        NotMeasured: the relay ended, or does not forward.
    """
    programs = settings.folder / "relay-soak"
    censuses = programs / "censuses"
    censuses.mkdir(parents=True)
    compile_programs(programs)
    with _calls(programs / "relay", censuses, settings) as calls:
        return await _Soak(settings, programs, censuses, calls).run(60 * minutes)


class _Soak:
    """A relay, and the calls on it."""

    def __init__(self, settings: Settings, programs: Path, censuses: Path, calls: Calls) -> None:
        self._settings = settings
        self._programs = programs
        self._censuses = censuses
        self._calls = calls
        self._sizes = OPUS_MIX.write(programs)
        self._first = 1
        self._sent = self._passed = 0

    async def run(self, seconds: float) -> RelaySoak:
        idle = await self._read(collects=True)
        await trio.to_thread.run_sync(self._calls.set_up, range(1, _CALLS + 1))
        await trio.to_thread.run_sync(send_refused, self._programs, self._calls, _REMEMBERED)
        rate = await self._measure() * _SHARE
        self._say(f"{_CALLS} calls, {rate:.0f} datagrams a second for {seconds:.0f} s")
        settles = max(seconds * _SETTLED_AFTER, min(_SETTLED_SECONDS, seconds * _SETTLED_AT_LAST))
        began, settled = time.monotonic(), None
        while (passed := time.monotonic() - began) < seconds:
            if settled is None and passed >= settles:
                settled = await self._read(collects=True)
            await self._stretch(min(_STRETCH, max(seconds - passed, 1.0)), rate)
            await trio.to_thread.run_sync(self._change)
            self._tell(await self._read(collects=False))
        final = await self._read(collects=True)
        self._say("waiting until all calls are forgotten")
        with trio.move_on_after(_FORGETTING):
            while self._flows():  # noqa: ASYNC110 - of another process
                await trio.sleep(1)
        return RelaySoak(
            idle=idle,
            settled=settled or final,
            final=final,
            forgotten=await self._read(collects=True),
            sent=self._sent,
            passed=self._passed,
            flows=self._flows(),
            drops=self._calls.drops(),
        )

    async def _measure(self) -> float:
        """Return how many datagrams a second go through, of a flood."""
        side = self._calls.as_side()
        rates: list[float] = []
        for load in (side.up, side.down):
            passed = await trio.to_thread.run_sync(load.run, self._programs, (), self._sizes, _MEASURED)
            rates.append(passed.passed / _MEASURED)
        return sum(rates) / len(rates)

    async def _stretch(self, seconds: float, rate: float) -> None:
        """Send both ways at once."""
        side = self._calls.as_side()
        async with trio.open_nursery() as nursery:
            for load in (side.up, side.down):
                nursery.start_soon(self._send, load, seconds, rate / 2)

    async def _send(self, load: Load, seconds: float, rate: float) -> None:
        def run() -> Passed:
            return load.run(self._programs, (), self._sizes, seconds, rate=rate)

        told = await trio.to_thread.run_sync(run)
        self._sent += told.sent
        self._passed += told.passed

    def _change(self) -> None:
        """Let some calls end without a word, and others come; strangers ask for what they must not have."""
        calls, leaving = self._calls, round(_CALLS * _LEAVING)
        for session in range(self._first, self._first + leaving):
            del calls.up_headers[session], calls.hops[session]
        self._first += leaving
        calls.set_up(range(self._first + _CALLS - leaving, self._first + _CALLS))
        calls.refresh()
        send_refused(self._programs, calls, _STRANGERS)

    async def _read(self, *, collects: bool) -> Census:
        return await ask(self._calls.relay.process, self._censuses, collects=collects)

    def _flows(self) -> float:
        return parse_metrics(fetch(f"{self._calls.relay.http}/metrics"))["relay_flows"]

    def _tell(self, census: Census) -> None:
        self._say(
            f"{self._passed} datagrams, {max(self._sent - self._passed, 0)} lost, {self._flows():.0f} flows; "
            f"{census.resident / _MEBIBYTE:.1f} MB, {census.blocks} pieces of memory"
        )

    def _say(self, text: str) -> None:
        self._settings.say(f"relay: {text}")
