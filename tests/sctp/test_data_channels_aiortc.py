"""Data channels with aiortc at the other end, in a lossy network, on a clock that only jumps."""

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived
from sctp.channels import DataChannels
from wire.core import Closed, Event


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
    """What aiortc takes for a DTLS transport, with us at the other end of it."""

    state = "connected"

    def __init__(self, ours: Any, role: str, seed: int, loss: float) -> None:
        self._role = role
        self.ours = ours
        self.events: list[Event] = []
        self._random = random.Random(seed)
        self._loss = loss
        self._receiver: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def _register_data_receiver(self, receiver: Any) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, _receiver: Any) -> None:
        self._receiver = None

    async def _send_data(self, data: bytes) -> None:
        if self._random.random() >= self._loss:
            self._loop.call_later(0.02, self._arrive, data)

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
            if self._random.random() >= self._loss:
                self._loop.call_later(0.02, self._deliver, packet)
        if self._timer is not None:
            self._timer.cancel()
        when = self.ours.next_timeout()
        self._timer = None if when is None else self._loop.call_at(when, self._time_is_up)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], bool], limit: float = 120) -> None:
        self.flush()
        end = self._loop.time() + limit
        while not condition():
            assert self._loop.time() < end, "did not happen"
            await asyncio.sleep(0.01)
            self.flush()


@pytest.fixture
def call(channel_network: ModuleType) -> Callable[..., None]:
    """Runs a scene with a wire and an aiortc that is connected."""

    def run(scene: Callable[[Wire, RTCSctpTransport], Awaitable[None]], *, is_client: bool, loss: float) -> None:
        async def play() -> None:
            ours = (channel_network.client if is_client else channel_network.server)(max_message_size=65536)
            wire = Wire(ours, "server" if is_client else "client", seed=1, loss=loss)
            theirs = RTCSctpTransport(wire)
            await theirs.start(RTCSctpCapabilities(maxMessageSize=65536), 5000)
            await wire.until(lambda: theirs.state == "connected" and bool(wire.events))
            await scene(wire, theirs)
            # aiortc says once that it ends, and never again.
            wire._loss = 0
            await theirs.stop()
            await wire.until(lambda: bool(wire.of(Closed)))
            if wire._timer is not None:
                wire._timer.cancel()

        loop = JumpingLoop()
        try:
            loop.run_until_complete(play())
        finally:
            loop.close()

    return run


@pytest.mark.parametrize("loss", [0, 0.1], ids=["fair", "lossy"])
@pytest.mark.parametrize("is_client", [True, False], ids=["DTLS client", "DTLS server"])
def test_a_conversation(call: Callable[..., None], is_client: bool, loss: float) -> None:
    large = random.Random(2).randbytes(60_000)
    sent = ["text", b"bytes", "", b"", "é" * 3000, large]

    async def scene(wire: Wire, theirs: RTCSctpTransport) -> None:
        heard: list[str | bytes] = []
        channels: list[RTCDataChannel] = []

        def take(channel: RTCDataChannel) -> None:
            channels.append(channel)
            channel.on("message", heard.append)

        theirs.on("datachannel", take)
        loop = asyncio.get_running_loop()
        # Ours, with the first message right behind the DATA_CHANNEL_OPEN.
        channel_id = wire.ours.open("oai-events", protocol="json", now=loop.time())
        assert channel_id == (0 if is_client else 1)
        for message in sent:
            wire.ours.send(channel_id, message, now=loop.time())
        await wire.until(lambda: len(heard) == len(sent))
        assert heard == sent
        assert (channels[0].id, channels[0].label, channels[0].protocol) == (channel_id, "oai-events", "json")
        await wire.until(lambda: bool(wire.of(ChannelOpened)))
        assert [event.is_ours for event in wire.of(ChannelOpened)] == [True]
        for message in sent:
            channels[0].send(message)
        await wire.until(lambda: len(wire.of(MessageReceived)) == len(sent))
        assert [event.message for event in wire.of(MessageReceived)] == sent

        # Theirs.
        wire.events.clear()
        channel = RTCDataChannel(theirs, RTCDataChannelParameters(label="theirs", ordered=False, maxRetransmits=7))
        await wire.until(lambda: channel.readyState == "open")
        opened = wire.of(ChannelOpened)[0].channel
        assert (opened.id, opened.label, opened.ordered, opened.max_retransmits) == (channel.id, "theirs", False, 7)
        assert channel.id == (1 if is_client else 0)

        # Either side closes one of them, and the identifier is used again.
        wire.ours.close_channel(channel_id, now=loop.time())
        await wire.until(lambda: channels[0].readyState == "closed")
        channel.close()
        await wire.until(lambda: {event.channel_id for event in wire.of(ChannelClosed)} == {0, 1})
        await wire.until(lambda: channel.readyState == "closed")
        assert wire.ours.open("again", now=loop.time()) == channel_id
        await wire.until(lambda: len(channels) == 2)
        assert not wire.ours.drops.keys() - {"duplicate-tsn", "old-sack", "unexpected-chunk", "reconfiguration"}

    call(scene, is_client=is_client, loss=loss)


@pytest.mark.parametrize("loss", [0, 0.1], ids=["fair", "lossy"])
@pytest.mark.parametrize("is_client", [True, False], ids=["DTLS client", "DTLS server"])
def test_we_go_on_from_an_older_snapshot(
    call: Callable[..., None], channel_network: ModuleType, is_client: bool, loss: float
) -> None:
    """aiortc answers our INIT, and goes on with its own numbers."""

    async def scene(wire: Wire, theirs: RTCSctpTransport) -> None:
        heard: list[str | bytes] = []
        channels: list[RTCDataChannel] = []

        def take(channel: RTCDataChannel) -> None:
            channels.append(channel)
            channel.on("message", heard.append)

        theirs.on("datachannel", take)
        loop = asyncio.get_running_loop()
        channel_id = wire.ours.open("oai-events", now=loop.time())
        data = b""
        for number in range(40):
            if number == 20:
                data = wire.ours.snapshot(loop.time())
            wire.ours.send(channel_id, f"{number}", now=loop.time())
            await wire.until(lambda: len(heard) > number)  # noqa: B023 - asked at once
            channels[0].send(f"to {number}")
            await wire.until(lambda: len(wire.of(MessageReceived)) > number)  # noqa: B023
        wire.ours = DataChannels.restore(data, entropy=channel_network.entropy(9), now=loop.time(), is_restart=True)
        wire.events.clear()
        heard.clear()
        for number in range(60):
            wire.ours.send(channel_id, f"after {number}", now=loop.time())
        await wire.until(lambda: len(heard) == 60)
        assert heard == [f"after {number}" for number in range(60)]
        for number in range(60):
            channels[0].send(f"to after {number}")
        await wire.until(lambda: "to after 59" in [event.message for event in wire.of(MessageReceived)])
        told = [event.message for event in wire.of(MessageReceived)]
        assert told == [f"to after {number}" for number in range(60 - len(told), 60)]
        assert len(told) == 60 or loss
        assert channels[0].readyState == "open"

    call(scene, is_client=is_client, loss=loss)
