"""Workers that are no processes: what the front starts, and both ends of what it says to them."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

from edge.children.channel import Channel, ChannelClosed
from edge.config.model import Config, LogConfig, Role, TransceiverConfig
from edge.keys import Bundle, derive_bundle, new_root
from edge.workers.messages import ORDERS, WORDS, Order, Start, Word
from edge.workers.tier import settings_of

HERE = ("127.0.0.1", 0)


@attrs.define(eq=False)
class FakeProcess:
    """A process that a test ends."""

    pid: int
    returncode: int | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self) -> int:
        await self.ended.wait()
        assert self.returncode is not None
        return self.returncode

    def end(self, code: int) -> None:
        if self.returncode is None:
            self.returncode = code
            self.ended.set()


@attrs.define(eq=False)
class FakeWorker:
    """The worker's end of a channel, in the hands of a test."""

    process: FakeProcess
    channel: Channel
    born: float

    async def hear(self) -> Order:
        """Take the next order; fails when there is none soon."""
        with trio.fail_after(1):
            return ORDERS.read(await self.channel.receive())

    async def say(self, word: Word) -> None:
        await self.channel.send(WORDS.write(word))
        await trio.testing.wait_all_tasks_blocked()

    async def die(self, code: int = -9) -> None:
        """End as a process does: its end of the channel with it."""
        self.process.end(code)
        await self.channel.aclose()
        await trio.testing.wait_all_tasks_blocked()

    async def is_let_go(self) -> bool:
        """Whether the front has closed its end."""
        with trio.move_on_after(1):
            try:
                while True:
                    await self.channel.receive()
            except ChannelClosed:
                return True
        return False


class FakeLaunch:
    """Starts fake workers, and keeps them in the order of their births."""

    def __init__(self) -> None:
        self.born: list[FakeWorker] = []
        self.failure: OSError | None = None
        self._pids = itertools.count(1000)
        self._birth = trio.Event()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[tuple[FakeProcess, Channel]]:
        if self.failure is not None:
            raise self.failure
        ours, theirs = trio.testing.memory_stream_pair()
        process = FakeProcess(next(self._pids))
        self.born.append(FakeWorker(process, Channel(theirs), trio.current_time()))
        self._birth.set()
        self._birth = trio.Event()
        channel = Channel(ours)
        try:
            yield process, channel
        finally:
            await channel.aclose()
            process.end(0)

    async def next(self) -> FakeWorker:
        """Wait for the next birth."""
        await self._birth.wait()
        return self.last

    @property
    def last(self) -> FakeWorker:
        return self.born[-1]


@pytest.fixture
def launch() -> FakeLaunch:
    return FakeLaunch()


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return derive_bundle(new_root(lambda size: bytes(range(size)), 1_800_000_000.0), Role.TRANSCEIVER)


@pytest.fixture
def make_start(bundle: Bundle) -> Callable[..., Start]:
    """Make the first order of a worker."""

    def make(number: int = 0, workers: int = 2, hop=HERE, **section: object) -> Start:
        transceiver = TransceiverConfig(hop=hop, control=HERE, workers=workers, **section)
        config = Config(transceiver=transceiver, log=LogConfig(level="error"))
        return Start(
            settings=settings_of(config, bundle, number),
            number=number,
            announced=workers if hop[1] else 1,
            incarnation=77,
        )

    return make


@pytest.fixture
def reports() -> list[tuple[str, dict[str, object]]]:
    """What was reported, by name and facts."""
    return []


@pytest.fixture
def report(reports):
    return lambda name, facts: reports.append((name, dict(facts)))
