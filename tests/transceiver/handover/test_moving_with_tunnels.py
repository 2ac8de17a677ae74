"""Calls that move while their backend, a server elsewhere, is in the middle of an answer: it notices nothing."""

import base64
import json
from collections.abc import AsyncIterator

import attrs
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from transceiver.agents.tones import beep
from transceiver.backends.choice import Backends
from transceiver.backends.settings import BackendKind, BackendSettings

RATE = 24_000
WORDS = 30
EACH = 0.1
SOUND = base64.b64encode(beep(RATE, seconds=EACH)).decode()
NAMES = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}


@attrs.define(eq=False)
class Speaker:
    """A Realtime server that answers with numbered words, in real time."""

    nursery: trio.Nursery
    url: str = ""
    connections: int = 0
    open: int = 0
    heard: list[dict[str, object]] = attrs.field(factory=list)
    drops_at: int = WORDS + 1

    async def start(self) -> "Speaker":
        def serve(task_status):
            return serve_websocket(self._talk, "127.0.0.1", 0, None, task_status=task_status)

        server = await self.nursery.start(serve)
        self.url = f"ws://127.0.0.1:{server.port}/v1/realtime"
        return self

    async def _talk(self, request: WebSocketRequest) -> None:
        socket = await request.accept()
        self.connections += 1
        self.open += 1
        try:
            async with trio.open_nursery() as nursery:
                await self.say(socket, type="session.created", session={"type": "realtime"})
                while True:
                    event = json.loads(await socket.get_message())
                    self.heard.append(event)
                    if event["type"] == "session.update":
                        await self.say(socket, type="session.updated", session=event["session"])
                    elif event["type"] == "response.create":
                        nursery.start_soon(self._answer, socket)
        except* ConnectionClosed:
            pass
        finally:
            self.open -= 1

    async def _answer(self, socket) -> None:
        await self.say(socket, type="response.created", response={"id": "resp_1", "status": "in_progress"})
        for number in range(WORDS):
            if number == self.drops_at:
                await socket.aclose(1011)
                return
            await self.say(socket, type="response.output_audio.delta", delta=SOUND, **NAMES)
            await self.say(socket, type="response.output_audio_transcript.delta", delta=f"{number} ", **NAMES)
            await trio.sleep(EACH)
        await self.say(socket, type="response.output_audio.done", **NAMES)
        await self.say(socket, type="response.done", response={"id": "resp_1", "status": "completed", "output": []})

    async def say(self, socket, **event: object) -> None:
        await socket.send_message(json.dumps({"event_id": f"e{id(event)}", **event}))

    def kinds(self) -> set[object]:
        return {event["type"] for event in self.heard}


@pytest.fixture
async def speaker(nursery) -> Speaker:
    return await Speaker(nursery).start()


@pytest.fixture
async def talk(start_fleet, moving_network, speaker) -> AsyncIterator[tuple[object, object]]:
    """A call in the middle of an answer."""
    backends = Backends(default=BackendSettings(kind=BackendKind.REALTIME, target=speaker.url))
    async with start_fleet(backends=backends, keys=[moving_network.SNAPSHOT_KEYS] * 3) as fleet:
        client = await fleet.offer(fleet.places[0], has_events=True)
        fleet.nursery.start_soon(client.run)
        await moving_network.eventually(lambda: "session.created" in client.types())
        client.say(type="session.update", session={"type": "realtime"})
        await moving_network.eventually(lambda: "session.updated" in client.types())
        client.say(type="response.create", event_id="mine")
        await moving_network.eventually(lambda: len(words(client)) > 3)
        await moving_network.eventually(lambda: counts(fleet.places[0]).get("checkpoint.created") == 1)
        yield fleet, client


def words(client) -> list[str]:
    return [event["delta"] for event in client.told if event["type"] == "response.output_audio_transcript.delta"]


def counts(place):
    return place.worker.handover_counts()


def owner(fleet):
    return next(place for place in fleet.places if place.worker.status()["calls"])


def statuses(client) -> list[str]:
    return [event["response"]["status"] for event in client.told if event["type"] == "response.done"]


ALL = [f"{number} " for number in range(WORDS)]


async def test_an_answer_goes_on_through_the_tunnel(talk, speaker, moving_network):
    fleet, client = talk
    first = fleet.places[0]
    await first.worker.start_drain()
    await moving_network.eventually(lambda: len(first.worker._calls) == 0)
    assert len(words(client)) < WORDS - 10, "it moves at once, in the middle"
    await moving_network.eventually(lambda: "output_audio_buffer.stopped" in client.types())
    assert words(client) == ALL
    assert statuses(client) == ["completed"]
    assert speaker.connections == speaker.open == 1
    assert [event for event in speaker.heard if event["type"] == "conversation.item.create"] == []
    of_buffer = [name for name in client.types() if name.startswith("output_audio_buffer.")]
    assert of_buffer == ["output_audio_buffer.started", "output_audio_buffer.stopped"]
    assert client.longest_gap < 0.5
    assert counts(first)["tunnel.taken"] == 1
    assert "error" not in client.types()
