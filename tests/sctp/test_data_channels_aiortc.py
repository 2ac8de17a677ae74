"""Data channels with aiortc at the other end, in fair and in bad weather, on a clock that only jumps."""

import asyncio
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpTransport

from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived
from sctp.channels import DataChannels

FAIR: dict[str, float] = {}
BAD = {"loss": 0.1, "repetition": 0.05, "jitter": 0.06}


@pytest.fixture
def call(aiortc_network: ModuleType, channel_network: ModuleType) -> Callable[..., None]:
    """Plays a scene with a wire and an aiortc that is connected."""

    def play(scene: Any, *, is_client: bool, weather: dict[str, float], seed: int = 1) -> None:
        ours = (channel_network.client if is_client else channel_network.server)()
        aiortc_network.play(scene, ours, is_client=is_client, weather=aiortc_network.Weather(**weather), seed=seed)

    return play


@pytest.mark.parametrize("weather", [FAIR, BAD], ids=["fair", "bad"])
@pytest.mark.parametrize("is_client", [True, False], ids=["DTLS client", "DTLS server"])
def test_a_conversation(call: Callable[..., None], is_client: bool, weather: dict[str, float]) -> None:
    large = random.Random(2).randbytes(262_144)
    sent = ["text", b"bytes", "", b"", "é" * 3000, large]

    async def scene(wire: Any, theirs: RTCSctpTransport) -> None:
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

    call(scene, is_client=is_client, weather=weather)


@pytest.mark.parametrize("weather", [FAIR, BAD], ids=["fair", "bad"])
@pytest.mark.parametrize("is_client", [True, False], ids=["DTLS client", "DTLS server"])
def test_we_go_on_from_an_older_snapshot(
    call: Callable[..., None], channel_network: ModuleType, is_client: bool, weather: dict[str, float]
) -> None:
    """aiortc answers our INIT, and goes on with its own numbers."""

    async def scene(wire: Any, theirs: RTCSctpTransport) -> None:
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
        assert len(told) == 60 or weather
        assert channels[0].readyState == "open"

    call(scene, is_client=is_client, weather=weather)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("is_client", [True, False], ids=["DTLS client", "DTLS server"])
def test_large_messages_both_ways_at_once(call: Callable[..., None], is_client: bool, seed: int) -> None:
    """256 KB each, as much as either takes, where the weather has done all that it can."""
    source = random.Random(seed)
    sent = [[source.randbytes(262_144) for _ in range(2)] for _ in range(2)]

    async def scene(wire: Any, theirs: RTCSctpTransport) -> None:
        heard: list[bytes] = []
        channels: list[RTCDataChannel] = []

        def take(channel: RTCDataChannel) -> None:
            channels.append(channel)
            channel.on("message", heard.append)

        theirs.on("datachannel", take)
        now = asyncio.get_running_loop().time
        channel_id = wire.ours.open("bulk", now=now())
        await wire.until(lambda: bool(channels))
        for ours, others in zip(*sent, strict=True):
            wire.ours.send(channel_id, ours, now=now())
            channels[0].send(others)
        await wire.until(lambda: len(heard) == len(wire.of(MessageReceived)) == 2)
        assert heard == sent[0]
        assert [event.message for event in wire.of(MessageReceived)] == sent[1]
        assert min(wire.lost, wire.repeated, wire.overtaken) > 20
        assert wire.ours.drops["duplicate-tsn"] > 0

    call(scene, is_client=is_client, weather=BAD, seed=seed)


@pytest.mark.parametrize("weather", [FAIR, BAD], ids=["fair", "bad"])
@pytest.mark.parametrize("is_client", [True, False], ids=["DTLS client", "DTLS server"])
def test_a_thousand_channels_opened_and_closed(
    call: Callable[..., None], is_client: bool, weather: dict[str, float]
) -> None:
    """In ten waves, half from either side, so that identifiers are used again; each closed by either side."""
    source = random.Random(7)

    async def scene(wire: Any, theirs: RTCSctpTransport) -> None:
        now = asyncio.get_running_loop().time
        at_theirs: dict[int, RTCDataChannel] = {}
        heard: list[tuple[int, str]] = []

        def follow(channel: RTCDataChannel) -> None:
            channel.on("message", lambda message: heard.append((channel.id, message)))

        def take(channel: RTCDataChannel) -> None:
            at_theirs[channel.id] = channel
            follow(channel)

        theirs.on("datachannel", take)
        used: set[int] = set()
        for wave in range(10):
            ours = [wire.ours.open(f"{wave}", now=now()) for _ in range(50)]
            for channel_id in ours:
                wire.ours.send(channel_id, f"to {wave}", now=now())
            opened = [RTCDataChannel(theirs, RTCDataChannelParameters(label=f"{wave}")) for _ in range(50)]
            await wire.until(lambda: len(wire.of(ChannelOpened)) == 100 and len(at_theirs) == 50)  # noqa: B023
            await wire.until(lambda: all(channel.readyState == "open" for channel in opened))  # noqa: B023
            at_theirs |= {channel.id: channel for channel in opened}
            for channel in opened:
                channel.send(f"from {wave}")
            await wire.until(lambda: len(heard) == len(wire.of(MessageReceived)) == 50)
            assert sorted(heard) == [(channel_id, f"to {wave}") for channel_id in sorted(ours)]
            told = sorted((event.channel_id, event.message) for event in wire.of(MessageReceived))
            assert told == [(channel.id, f"from {wave}") for channel in sorted(opened, key=lambda each: each.id)]
            used |= set(at_theirs)
            assert set(at_theirs) == set(wire.ours.channels)
            for channel_id, channel in at_theirs.items():
                if source.random() < 0.5:
                    channel.close()
                else:
                    wire.ours.close_channel(channel_id, now=now())
            await wire.until(lambda: len(wire.of(ChannelClosed)) == 100)
            await wire.until(lambda: all(channel.readyState == "closed" for channel in at_theirs.values()))  # noqa: B023
            assert not wire.ours.channels
            wire.events.clear()
            heard.clear()
            at_theirs.clear()
        assert len(used) < 200

    call(scene, is_client=is_client, weather=weather)
