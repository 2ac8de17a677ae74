"""Two cores in a network that loses, repeats, delays and reorders, on a clock of its own."""

import contextlib
import heapq
import itertools
import random
from collections.abc import Callable

from sctp.channels import DataChannels
from sctp.checksum import checksum_of
from wire.core import Core, Event
from wire.errors import LocalProtocolError


class Network:
    """Carries packets between two cores.

    Args:
        ends: the two; anything that keeps the contract of `wire.core.Core`.
        seed: of the weather.
        loss: share of packets that are lost.
        duplication: share that come twice.
        jitter: seconds that a packet may be late, which reorders.
    """

    def __init__(self, *ends: Core, seed: int = 1, loss: float = 0, duplication: float = 0, jitter: float = 0) -> None:
        self.ends = ends
        self.now = 0.0
        self.events: tuple[list[Event], list[Event]] = ([], [])
        self.packets = 0
        self.largest = 0
        self._random = random.Random(seed)
        self._loss, self._duplication, self._jitter = loss, duplication, jitter
        self.rewrite: Callable[[int, bytes], bytes | None] = lambda _sender, packet: packet
        """May change a packet on its way, or stop it (None)."""
        self._way: list[tuple[float, int, int, bytes]] = []
        self._order = itertools.count()

    def flush(self) -> None:
        for index, end in enumerate(self.ends):
            for packet in end.datagrams_to_send(self.now):
                self.packets += 1
                self.largest = max(self.largest, len(packet))
                packet = self.rewrite(index, packet)
                if packet is None:
                    continue
                copies = 0 if self._random.random() < self._loss else 1
                if self._random.random() < self._duplication:
                    copies += 1
                for _ in range(copies):
                    arrival = self.now + 0.02 + self._random.random() * self._jitter
                    heapq.heappush(self._way, (arrival, next(self._order), 1 - index, packet))

    def step(self) -> bool:
        """Go on to the next thing that happens; False when nothing will."""
        self.flush()
        candidates = [when for end in self.ends if (when := end.next_timeout()) is not None]
        if self._way:
            candidates.append(self._way[0][0])
        if not candidates:
            return False
        self.now = max(self.now, min(candidates))
        while self._way and self._way[0][0] <= self.now:
            _, _, index, packet = heapq.heappop(self._way)
            self.events[index].extend(self.ends[index].receive_datagram(packet, self.now))
        for index, end in enumerate(self.ends):
            when = end.next_timeout()
            if when is not None and when <= self.now:
                self.events[index].extend(end.handle_timeout(self.now))
        return True

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        for _ in range(1_000_000):
            candidates = [when for core in self.ends if (when := core.next_timeout()) is not None]
            self.flush()
            if self._way:
                candidates.append(self._way[0][0])
            if not candidates or min(candidates) > end:
                self.now = end
                return
            self.step()
        raise AssertionError("time does not pass")

    def run_until(self, condition: Callable[[], bool], limit: float = 600) -> None:
        """Let time pass until something is so."""
        end = self.now + limit
        while not condition():
            assert self.step(), f"nothing happens any more at {self.now}"
            assert self.now < end, f"did not happen within {limit} s"

    def take(self, index: int) -> list[Event]:
        """Return what an end has reported since."""
        taken = list(self.events[index])
        self.events[index].clear()
        return taken


def entropy(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def client(**rest: object) -> DataChannels:
    """The DTLS client, whose identifiers are even."""
    given = {"entropy": entropy(1), "now": 0.0, "max_message_size": 262144} | rest
    return DataChannels(is_dtls_client=True, **given)


def server(**rest: object) -> DataChannels:
    """The DTLS server, whose identifiers are odd."""
    given = {"entropy": entropy(2), "now": 0.0, "max_message_size": 262144} | rest
    return DataChannels(is_dtls_client=False, **given)


def sealed(data: bytes) -> bytes:
    """Give a packet the checksum that belongs to it."""
    return data[:8] + checksum_of(data) + data[12:]


def do_something(source: random.Random, end: DataChannels, now: float) -> None:
    """Open, say or close anything; what our own rules forbid is not done."""
    with contextlib.suppress(LocalProtocolError):
        channels = list(end.channels)
        match source.randrange(4) if channels else 0:
            case 0:
                end.open("label", ordered=source.random() < 0.5, max_retransmits=source.choice([None, 0, 2]), now=now)
            case 1 | 2:
                message = source.choice(["text", "", b"", source.randbytes(source.choice([1, 2000, 9000]))])
                end.send(source.choice(channels), message, now=now)
            case 3:
                end.close_channel(source.choice(channels), now=now)
