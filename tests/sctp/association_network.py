"""Two associations and a bad network between them, on a virtual clock."""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator

import attrs

from sctp.association import SctpAssociation
from sctp.chunks.chunk import Chunk
from sctp.events import Connected, MessageReceived
from sctp.options import SctpOptions
from sctp.packet import Packet, parse_packet, serialize_packet
from wire.core import Closed, Event

START = 1000.0


@attrs.frozen(kw_only=True)
class Weather:
    """What a network does to datagrams; chances between 0 and 1, delays in seconds."""

    loss: float = 0.0
    repeat: float = 0.0
    corrupt: float = 0.0
    delay: tuple[float, float] = (0.01, 0.01)


def chunks_of(data: bytes) -> tuple[Chunk, ...]:
    return parse_packet(data).chunks


@attrs.define
class Network:
    """Carries datagrams between association 0 and association 1.

    Attributes:
        ends: the associations.
        events: what each end reported.
        sent: every datagram handed to the network: (time, sender, bytes).
        filter: whether a datagram is let through at all.
    """

    ends: list[SctpAssociation]
    seed: int = 0
    weather: Weather = attrs.field(factory=Weather)
    filter: Callable[[int, bytes], bool] = lambda _sender, _data: True
    now: float = START
    sent: list[tuple[float, int, bytes]] = attrs.field(factory=list)
    events: tuple[list[Event], list[Event]] = attrs.field(factory=lambda: ([], []))
    _queue: list[tuple[float, int, int, bytes]] = attrs.field(factory=list)
    _random: random.Random = attrs.field(init=False)
    _counter: int = 0

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def collect(self) -> None:
        """Take what both ends send."""
        for sender, end in enumerate(self.ends):
            for data in end.datagrams_to_send(self.now):
                self.sent.append((self.now, sender, data))
                if not self.filter(sender, data) or self._random.random() < self.weather.loss:
                    continue
                for _ in range(2 if self._random.random() < self.weather.repeat else 1):
                    arriving = data
                    if self._random.random() < self.weather.corrupt:
                        damaged = bytearray(data)
                        damaged[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
                        arriving = bytes(damaged)
                    self._counter += 1
                    arrival = self.now + self._random.uniform(*self.weather.delay)
                    heapq.heappush(self._queue, (arrival, self._counter, 1 - sender, arriving))

    def run(self, seconds: float = 60.0, until: Callable[[], bool] = lambda: False) -> "Network":
        """Let time pass until nothing is under way and no timer is set, or for that many seconds."""
        end = self.now + seconds
        while not until():
            self.collect()
            timeouts = [when for association in self.ends if (when := association.next_timeout()) is not None]
            when = min([*(item[0] for item in self._queue[:1]), *timeouts], default=None)
            if when is None or when > end:
                self.now = end
                break
            self.now = max(self.now, when)
            if self._queue and self._queue[0][0] <= self.now:
                _, _, receiver, data = heapq.heappop(self._queue)
                self.events[receiver].extend(self.ends[receiver].receive_datagram(data, self.now))
            else:
                for number, association in enumerate(self.ends):
                    timeout = association.next_timeout()
                    if timeout is not None and timeout <= self.now:
                        self.events[number].extend(association.handle_timeout(self.now))
        return self

    def connect(self, *callers: int) -> "Network":
        """Let ends begin (end 0 if none is named) and run until both are connected."""
        for caller in callers or (0,):
            self.ends[caller].connect(self.now)
        self.run(60, until=lambda: all(any(isinstance(e, Connected) for e in events) for events in self.events))
        self.collect()
        assert all(end.state.value == "established" for end in self.ends), [end.state for end in self.ends]
        return self

    def messages(self, end: int) -> list[MessageReceived]:
        return [event for event in self.events[end] if isinstance(event, MessageReceived)]

    def closed(self, end: int) -> Closed | None:
        return next((event for event in self.events[end] if isinstance(event, Closed)), None)

    def chunks(self, sender: int, since: float = 0.0) -> Iterator[Chunk]:
        """All chunks that an end has sent."""
        for when, who, data in self.sent:
            if who == sender and when >= since:
                yield from chunks_of(data)

    def kinds(self, sender: int, since: float = 0.0) -> list[str]:
        return [type(chunk).__name__ for chunk in self.chunks(sender, since)]

    # Writing packets by hand -----------------------------------------------------------------------------------------

    def forge(
        self, receiver: int, *chunks: Chunk, tag: int | None = None, ports: tuple[int, int] = (5000, 5000)
    ) -> bytes:
        """Write a packet as the receiver's peer would."""
        tag = self.ends[receiver]._block.local_tag if tag is None else tag
        return serialize_packet(
            Packet(source_port=ports[0], destination_port=ports[1], verification_tag=tag, chunks=chunks)
        )

    def inject(
        self, receiver: int, *chunks: Chunk, tag: int | None = None, ports: tuple[int, int] = (5000, 5000)
    ) -> None:
        """Hand a forged packet to an end."""
        data = self.forge(receiver, *chunks, tag=tag, ports=ports)
        self.events[receiver].extend(self.ends[receiver].receive_datagram(data, self.now))

    def replies(self, end: int) -> list[Chunk]:
        """The chunks that an end wants to send now; they are not delivered."""
        return [chunk for data in self.ends[end].datagrams_to_send(self.now) for chunk in chunks_of(data)]


def make(
    *,
    seed: int = 1,
    weather: Weather | None = None,
    options: SctpOptions | Iterable[SctpOptions] | None = None,
) -> Network:
    pair = [options or SctpOptions()] * 2 if options is None or isinstance(options, SctpOptions) else list(options)
    ends = [
        SctpAssociation(options=item, entropy=random.Random(f"{number} {seed}").randbytes, now=START)
        for number, item in enumerate(pair)
    ]
    return Network(ends, seed=seed, weather=weather or Weather())
