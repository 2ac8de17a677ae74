"""Many calls that count every packet, in one process: the headless caller, on standard input's orders.

    python paced_callers.py URL COUNT [--frame MS]

says {"connected": …} when audio flows both ways in all of them, and then obeys lines of its standard input:

    begin     from here on packets count
    finish    tells of the packets sent since, call by call, after having waited for those that may still come back
    stop      hangs up, and ends

Each packet carries a number, and the server echoes it. `late` is how late this process itself was, in seconds, and
`behind` how many packets of a call were under way at the end: what is counted while it could not keep up says little.
"""

import argparse
import json
import sys

import trio
from paced_caller import Journal, Numbered

from edge.caller.exchange import Exchange
from edge.caller.opus_file import Clip
from edge.caller.placing import Call, Caller
from edge.caller.progress import CallerOptions
from edge.caller.signalling import CallFailed, SignalClient
from transceiver.ticker import Lateness

_AT_ONCE = 4
_TRIES, _AGAIN = 4, 1.0
_LATE = 2.0


class _Numbers:
    """A call, what it has sent and what came back."""

    def __init__(self, samples: int) -> None:
        self.packets = Numbered((b"",))
        self.journal = Journal(self.packets)
        self._first = self._last = 0
        self._silent, self._behind = 0.0, 0
        self.options = CallerOptions(clip=Clip(packets=self.packets, samples=(samples,)), recording=self.journal)
        self.call: Call | None = None

    async def place(self, caller: Caller) -> None:
        """Place the call, and wait until it hears something; one that is refused tries again, as clients do."""
        for attempt in range(_TRIES):
            try:
                self.call = await caller.place(self.options)
                await caller.connect(self.call)
                await caller.hear(self.call)
            except CallFailed:
                if attempt == _TRIES - 1:
                    raise
                if self.call is not None:
                    await caller.hang_up(self.call)
                    self.call = None
                await trio.sleep(_AGAIN)
            else:
                return

    def begin(self) -> None:
        self._first = self.packets.sent
        self.journal.begin()

    def end(self) -> None:
        self._last = self.packets.sent
        self._silent = self.journal.silent()
        self._behind = self.packets.sent - 1 - max(self.journal.times, default=0)
        self.journal.gap = max(self.journal.gap, self._silent)

    def missing(self) -> int:
        return sum(number not in self.journal.times for number in range(self._first, self._last))

    def told(self) -> dict[str, object]:
        session = self.call.session
        return {
            "path": self.call.path,
            "sent": self._last - self._first,
            "missing": self.missing(),
            "twice": self.journal.twice,
            "gap_ms": round(1000 * self.journal.gap, 1),
            "silent_ms": round(1000 * self._silent, 1),
            "behind": self._behind,
            "stage": session.stage.value,
        }


async def _main(words: argparse.Namespace) -> None:
    exchange, signal = Exchange(), SignalClient(words.url)
    calls = [_Numbers(48 * words.frame) for _ in range(words.count)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange.run)
        caller = Caller(signal, exchange)
        limiter = trio.CapacityLimiter(_AT_ONCE)

        async def place(each: _Numbers) -> None:
            async with limiter:
                await each.place(caller)

        async with trio.open_nursery() as placing:
            for each in calls:
                placing.start_soon(place, each)
        _say({"connected": len(calls)})
        await _obey(calls, exchange)
        async with trio.open_nursery() as ending:
            for each in calls:
                ending.start_soon(caller.hang_up, each.call)
        await signal.aclose()
        nursery.cancel_scope.cancel()


async def _obey(calls: list[_Numbers], exchange: Exchange) -> None:
    while True:
        order = (await trio.to_thread.run_sync(sys.stdin.readline)).strip()
        if order == "begin":
            exchange.lateness = Lateness()
            for each in calls:
                each.begin()
            _say({"begun": len(calls)})
        elif order == "finish":
            for each in calls:
                each.end()
            with trio.move_on_after(_LATE):
                while any(each.missing() for each in calls):  # noqa: ASYNC110 - rare, and a test
                    await trio.sleep(0.1)
            _say({"calls": [each.told() for each in calls], "late": exchange.lateness.quantile(0.99)})
        else:
            return


def _say(facts: dict[str, object]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--frame", type=int, default=20, help="milliseconds of audio in a packet")
    trio.run(_main, parser.parse_args())
