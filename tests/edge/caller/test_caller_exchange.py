"""The caller's ticker, on a clock of our own."""

from collections.abc import Iterable

import trio
from trio.testing import MockClock

from edge.caller.exchange import Exchange
from edge.caller.wires import UdpWire


class Metronome:
    """A line that counts its ticks, and holds the whole program up once."""

    def __init__(self, clock: MockClock) -> None:
        self.clock = clock
        self.phase = 0
        self.ticks: list[float] = []
        self.wire = UdpWire(is_ipv6=False)

    def open(self, hosts: Iterable[str], renewed: object) -> list[UdpWire]:
        return [self.wire]

    def wires(self) -> list[UdpWire]:
        return [self.wire]

    def close(self) -> None:
        self.wire.close()

    def flush(self, now: float) -> None:
        pass

    def tick(self, due: float, now: float) -> None:
        self.ticks.append(now)
        if len(self.ticks) == 10:
            self.clock.jump(1.0)


async def test_what_was_missed_is_not_made_up_for_in_a_burst(autojump_clock: MockClock) -> None:
    exchange = Exchange()
    line = Metronome(autojump_clock)
    exchange.add(line, [])
    with trio.move_on_after(2.0):
        await exchange.run()
    assert 45 <= len(line.ticks) <= 55  # fifty a second, and none for the second that was lost
    late = [after for before, after in zip(line.ticks, line.ticks[1:], strict=False) if after - before < 0.015]
    assert len(late) <= 1
