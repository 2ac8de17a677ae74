"""Workers of a relay that are no processes, and what a supervisor tells them."""

import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

from edge.children.channel import Channel, ChannelClosed
from edge.children.passing import PassingStream
from edge.config.model import LogConfig, RelayConfig, RelayIngress, Role
from edge.keys import Bundle, derive_bundle, new_root
from edge.relay_workers.messages import ORDERS, WORDS, Idle, Order, Prepared, RelaySettings, Word
from relay.places import HopPeers
from relay.sockets import IngressBinding, RelaySockets, open_sockets

HERE = ("127.0.0.1", 0)


@attrs.define(eq=False)
class FakeProcess:
    """A process that a test ends."""

    pid: int
    channel: Channel
    returncode: int | None = None
    ended: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self) -> int:
        await self.ended.wait()
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        self.end(-9)
        self.channel._stream._socket.close()

    def end(self, code: int) -> None:
        if self.returncode is None:
            self.returncode = code
            self.ended.set()


@attrs.define(eq=False)
class FakeWorker:
    """The worker's end of a channel, in the hands of a test."""

    process: FakeProcess
    stream: PassingStream
    channel: Channel
    born: float

    async def hear(self) -> Order:
        """Take the next order; fails when there is none soon."""
        with trio.fail_after(10):
            return ORDERS.read(await self.channel.receive())

    async def say(self, word: Word) -> None:
        await self.channel.send(WORDS.write(word))
        await trio.testing.wait_all_tasks_blocked(0.005)

    async def become_a_worker(self) -> Order:
        """Do what a process does until it waits for Go; returns its `Start`."""
        await self.say(Idle())
        order = await self.hear()
        await self.say(Prepared())
        return order

    async def die(self, code: int = -9) -> None:
        """End as a process does: its end of the channel with it."""
        self.process.end(code)
        await self.channel.aclose()
        await trio.testing.wait_all_tasks_blocked(0.005)

    async def is_let_go(self) -> bool:
        """Whether the supervisor has closed its end."""
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
        self._pids = itertools.count(1000)
        self._birth = trio.Event()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[tuple[FakeProcess, Channel]]:
        ours, theirs = map(PassingStream, socket.socketpair())
        process = FakeProcess(next(self._pids), Channel(theirs))
        self.born.append(FakeWorker(process, theirs, process.channel, trio.current_time()))
        self._birth.set()
        channel = Channel(ours)
        try:
            yield process, channel
        finally:
            await channel.aclose()
            process.end(0)

    async def wait_for(self, count: int) -> FakeWorker:
        """Wait until so many were born; returns the last of them."""
        with trio.fail_after(60):
            while len(self.born) < count:
                self._birth = trio.Event()
                await self._birth.wait()
        return self.born[count - 1]


@pytest.fixture
def launch() -> FakeLaunch:
    return FakeLaunch()


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return derive_bundle(new_root(lambda size: bytes(range(size)), 1_800_000_000.0), Role.RELAY)


@pytest.fixture
def settings(bundle: Bundle) -> RelaySettings:
    ingress = RelayIngress(id=5, advertise=("127.0.0.1", 3478), bind=HERE)
    return RelaySettings(
        relay=RelayConfig(hop=HERE, ingresses=(ingress,), workers=2),
        peers=HopPeers(transceivers=(("127.0.0.1", 7001),)),
        log=LogConfig(level="error"),
        keys=bundle,
    )


@pytest.fixture
def make_sockets():
    """Open what a worker needs; closed after the test."""
    opened: list[RelaySockets] = []

    def make() -> RelaySockets:
        opened.append(open_sockets(HERE, [IngressBinding(id=5, bind=HERE)], on_warning=lambda _: None))
        return opened[-1]

    yield make
    for sockets in opened:
        sockets.close()


@pytest.fixture
def reports() -> list[tuple[str, dict[str, object]]]:
    """What was reported, by name and facts."""
    return []


@pytest.fixture
def report(reports) -> Callable[..., None]:
    return lambda name, facts: reports.append((name, dict(facts)))
