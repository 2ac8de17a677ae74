"""A client of one agent: speaks to it, writes to it, and writes down what it hears.

Every event is checked as stock clients check it: against the models of the official Python client, and against what
the official JavaScript client's schemas demand beyond those.
"""

import itertools
import math
import random
import re
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache

import pytest
import trio
import trio.testing
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from transceiver.agents.options import AgentOptions
from transceiver.backends.agent import AgentLink
from transceiver.backends.contract import BackendUnavailable, Speech

RATE = 24_000
_ADAPTER = TypeAdapter(RealtimeServerEvent)
_CONTENT_TYPES = {"input_text", "input_audio", "item_reference", "output_text", "audio", "output_audio"}
_STATUSES = {"completed", "incomplete", "in_progress"}


@cache
def tone_of(seconds: float, rate: int = RATE, hertz: float = 220.0, amplitude: int = 6000) -> bytes:
    count = round(seconds * rate)
    return struct.pack(
        f"<{count}h", *(round(amplitude * math.sin(2 * math.pi * hertz * index / rate)) for index in range(count))
    )


@cache
def syllables_of(seconds: float, rate: int = RATE, amplitude: int = 6000) -> bytes:
    """Something with the rhythm of speech: no pause is long enough to end a turn."""
    one = tone_of(0.28, rate, amplitude=amplitude) + silence_of(0.12, rate)
    return (one * math.ceil(seconds / 0.4))[: 2 * round(seconds * rate)]


@cache
def noise_of(seconds: float, rate: int = RATE, amplitude: int = 200, seed: int = 1) -> bytes:
    rng = random.Random(seed)
    count = round(seconds * rate)
    return struct.pack(f"<{count}h", *(rng.randint(-amplitude, amplitude) for _ in range(count)))


def silence_of(seconds: float, rate: int = RATE) -> bytes:
    return bytes(2 * round(seconds * rate))


@pytest.fixture
def tone() -> Callable[..., bytes]:
    return tone_of


@pytest.fixture
def syllables() -> Callable[..., bytes]:
    return syllables_of


@pytest.fixture
def noise() -> Callable[..., bytes]:
    return noise_of


@pytest.fixture
def silence() -> Callable[..., bytes]:
    return silence_of


def check_event(event: Mapping) -> None:
    """What clients demand of each event (specs/clients.md §1.8)."""
    assert isinstance(event["event_id"], str)
    _ADAPTER.validate_python(_at_24_khz(event))
    items = [event["item"]] if "item" in event else []
    if "response" in event:
        assert event["response"]["status"] in _STATUSES | {"failed", "cancelled"}
        items += event["response"]["output"]
    for item in items:
        assert item["status"] in _STATUSES
        if item["type"] == "message":
            for part in item["content"]:
                assert part["type"] in _CONTENT_TYPES
                assert part["type"] != "input_audio" or "transcript" in part
    if event["type"].startswith("response.content_part."):
        assert event["part"]["type"] in {"text", "audio"}


def _at_24_khz(event: Mapping) -> Mapping:
    """OpenAI itself knows no other rate, and so does its client's model."""
    if "session" not in event:
        return event
    audio = {name: {**side, "format": {"type": "audio/pcm", "rate": RATE}} for name, side in _audio(event).items()}
    return {**event, "session": {**event["session"], "audio": audio}}


def _audio(event: Mapping) -> Mapping:
    audio = event["session"]["audio"]
    assert audio["input"]["format"] == audio["output"]["format"]
    return audio


class Client:
    """The far side of an `AgentLink`.

    Attributes:
        events: what came, in order; speech as `(Speech, pcm)`.
        lost: why the link ended, if not well.
    """

    def __init__(self, link: AgentLink) -> None:
        self.link = link
        self.events: list = []
        self.opened = 0
        self.lost: BackendUnavailable | None = None
        self.ended = trio.Event()

    def backend_opened(self) -> None:
        self.opened += 1

    def backend_event(self, event: Mapping) -> None:
        check_event(event)
        self.events.append(event)

    def backend_audio(self, speech: Speech, pcm: bytes) -> None:
        assert pcm
        assert len(pcm) % 2 == 0
        self.events.append((speech, pcm))

    async def run(self) -> None:
        try:
            await self.link.run(self)
        except BackendUnavailable as error:
            self.lost = error
        self.ended.set()

    def send(self, kind: str, **fields: object) -> None:
        self.link.send_event({"type": kind, **fields})

    def hear(self, pcm: bytes) -> None:
        """Speak, in pieces as a ticker makes them."""
        size = 2 * self.link.input_rate // 50
        for offset in range(0, len(pcm), size):
            self.link.send_audio(pcm[offset : offset + size])

    def write(self, text: str, **fields: object) -> None:
        content = [{"type": "input_text", "text": text}]
        self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        self.send("response.create", **fields)

    async def settle(self) -> None:
        await trio.testing.wait_all_tasks_blocked()

    def kinds(self) -> list[str]:
        return ["(audio)" if isinstance(event, tuple) else event["type"] for event in self.events]

    def of(self, kind: str) -> list[Mapping]:
        return [event for event in self.events if not isinstance(event, tuple) and event["type"] == kind]

    def last(self, kind: str) -> Mapping:
        return self.of(kind)[-1]

    def speech(self) -> bytes:
        return b"".join(event[1] for event in self.events if isinstance(event, tuple))

    def forget(self) -> None:
        self.events.clear()

    def story(self) -> list[str]:
        """What came, a line each: ids are numbered as they appear, and those of events left out."""
        names: dict[str, str] = {}
        numbers: dict[str, int] = {}

        def named(match: re.Match) -> str:
            prefix = match[1]
            if match[0] not in names:
                numbers[prefix] = numbers.get(prefix, 0) + 1
                names[match[0]] = f"{prefix}{numbers[prefix]}"
            return names[match[0]]

        lines = []
        for event in self.events:
            if isinstance(event, tuple):
                line = f"(audio) item={event[0].item_id} response={event[0].response_id} bytes={len(event[1])}"
            else:
                line = " ".join([event["type"], *_told({**event, "type": None})])
            lines.append(re.sub(r"\b([a-z]+)_[0-9a-f]{20}\b", named, line))
        return lines


_LEFT_OUT = {"event_id", "object", "conversation_id", "metadata", "usage", "output_modalities", "status_details"}


def _told(event: Mapping) -> list[str]:
    told = []
    for key, value in event.items():
        if key in _LEFT_OUT or value is None:
            continue
        if isinstance(value, dict):
            value = "{" + " ".join(_told(value)) + "}"
        elif isinstance(value, list):
            value = "[" + ", ".join("{" + " ".join(_told(part)) + "}" for part in value) + "]"
        told.append(str(value) if key == "type" else f"{key}={value}")
    return told


@pytest.fixture
def meet() -> Callable:
    """Start an agent and give its client; ends both."""

    @asynccontextmanager
    async def start(agent: Callable, **arguments: object) -> AsyncIterator[Client]:
        numbers = itertools.count(1)
        link = AgentLink(agent, entropy=lambda size: next(numbers).to_bytes(size, "big"), **arguments)  # type: ignore[arg-type]
        client = Client(link)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.run)
            await trio.testing.wait_all_tasks_blocked()
            yield client
            nursery.cancel_scope.cancel()

    return start


@pytest.fixture
def quick() -> AgentOptions:
    return AgentOptions(max_turn=2.0, max_items=4, max_happenings=8, max_lead=1.0, goodbye=3.0)
