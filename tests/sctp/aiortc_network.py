"""Our data channels with aiortc's at the other end: a wire between them, on a clock that only jumps.

The weather is the one of `channel_network`: it loses, repeats, delays and reorders, by a seed.
"""

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from sctp.channels import DataChannels
from wire.core import Closed, Event

_MAX_MESSAGE_SIZE = 262_144


@attrs.frozen(kw_only=True)
class Weather:
    """What becomes of packets.

    Attributes:
        loss: share of packets that are lost.
        repetition: share that come twice.
        jitter: seconds that a packet may be late, which reorders.
    """

    loss: float = 0.0
    repetition: float = 0.0
    jitter: float = 0.0


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once whenever there is nothing to do."""

    def __init__(self) -> None:
        self.now = 0.0
        jumping = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> Any:
                jumping.now += max(timeout or 0, 0)
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


class Wire:
    """What aiortc takes for a DTLS transport, with us at the other end of it.

    Attributes:
        ours: our end; may be put in the place of another.
        events: what ours has told.
        weather: from now on.
        lost, repeated, overtaken: packets that met it.
    """

    state = "connected"

    def __init__(self, ours: DataChannels, role: str, seed: int, weather: Weather) -> None:
        self._role = role  # which aiortc reads
        self.ours = ours
        self.events: list[Event] = []
        self.weather = weather
        self.lost, self.repeated, self.overtaken = 0, 0, 0
        self._random = random.Random(seed)
        self._latest = {self._arrive: 0.0, self._deliver: 0.0}
        self._receiver: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def _register_data_receiver(self, receiver: Any) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, _receiver: Any) -> None:
        self._receiver = None

    async def _send_data(self, data: bytes) -> None:
        self._carry(self._arrive, data)

    def _carry(self, arrive: Callable[[bytes], None], data: bytes) -> None:
        copies = int(self._random.random() >= self.weather.loss) + int(self._random.random() < self.weather.repetition)
        self.lost += copies == 0
        self.repeated += copies == 2
        for _ in range(copies):
            when = self._loop.time() + 0.02 + self._random.random() * self.weather.jitter
            self.overtaken += when < self._latest[arrive]
            self._latest[arrive] = max(when, self._latest[arrive])
            self._loop.call_at(when, arrive, data)

    def _arrive(self, data: bytes) -> None:
        self.events.extend(self.ours.receive_datagram(data, self._loop.time()))
        self.flush()

    def _time_is_up(self) -> None:
        self.events.extend(self.ours.handle_timeout(self._loop.time()))
        self.flush()

    def _deliver(self, data: bytes) -> None:
        if self._receiver is not None:
            task = self._loop.create_task(self._receiver._handle_data(data))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def flush(self) -> None:
        now = self._loop.time()
        for packet in self.ours.datagrams_to_send(now):
            self._carry(self._deliver, packet)
        if self._timer is not None:
            self._timer.cancel()
        when = self.ours.next_timeout()
        self._timer = None if when is None else self._loop.call_at(when, self._time_is_up)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], bool], limit: float = 120) -> None:
        """Let time pass until something is so."""
        self.flush()
        end = self._loop.time() + limit
        while not condition():
            assert self._loop.time() < end, "did not happen"
            await asyncio.sleep(0.01)
            self.flush()

    def stop(self) -> None:
        """Forget our timer."""
        if self._timer is not None:
            self._timer.cancel()


Scene = Callable[[Wire, RTCSctpTransport], Awaitable[None]]


def play(scene: Scene, ours: DataChannels, *, is_client: bool, weather: Weather, seed: int = 1) -> None:
    """Play a scene with a wire between us and an aiortc that is connected, and end both.

    Args:
        scene: what happens.
        ours: our end, at the time 0.
        is_client: whether ours is the DTLS client.
        weather: between the two.
        seed: of the weather.
    """

    async def run() -> None:
        wire = Wire(ours, "server" if is_client else "client", seed=seed, weather=weather)
        theirs = RTCSctpTransport(wire)
        await theirs.start(RTCSctpCapabilities(maxMessageSize=_MAX_MESSAGE_SIZE), 5000)
        await wire.until(lambda: theirs.state == "connected" and bool(wire.events))
        await scene(wire, theirs)
        # aiortc says once that it ends, and never again.
        wire.weather = Weather()
        await theirs.stop()
        await wire.until(lambda: bool(wire.of(Closed)))
        wire.stop()

    loop = JumpingLoop()
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
