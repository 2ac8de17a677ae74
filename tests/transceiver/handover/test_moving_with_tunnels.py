"""Calls that move while their backend, a server elsewhere, is in the middle of an answer: it notices nothing."""

import base64
import json
import math
from collections.abc import AsyncIterator, Callable

import attrs
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from transceiver.agents.tones import beep
from transceiver.backends.choice import Backends
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.handover import tunnels
from transceiver.realtime import bridge

RATE = 24_000
WORDS = 30
EACH = 0.1
ROUND_TRIP = 0.1
SOUND = base64.b64encode(beep(RATE, seconds=EACH)).decode()
NAMES = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}


@attrs.define(eq=False)
class Speaker:
    """A Realtime server that answers with numbered words, as fast as they are spoken."""

    nursery: trio.Nursery
    url: str = ""
    connections: int = 0
    open: int = 0
    heard: list[dict[str, object]] = attrs.field(factory=list)
    heard_last: list[dict[str, object]] = attrs.field(factory=list)  # by the newest connection
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
        self.heard_last = heard = list[dict[str, object]]()
        try:
            async with trio.open_nursery() as nursery:
                await self.say(socket, type="session.created", session={"type": "realtime"})
                added, to_add = trio.open_memory_channel[tuple[float, object]](math.inf)
                nursery.start_soon(self._add, socket, to_add)
                while True:
                    event = json.loads(await socket.get_message())
                    self.heard.append(event)
                    heard.append(event)
                    if event["type"] == "session.update":
                        await self.say(socket, type="session.updated", session=event["session"])
                    elif event["type"] == "response.create":
                        nursery.start_soon(self._answer, socket)
                    elif event["type"] == "conversation.item.create":
                        item = {"id": f"u{len(self.heard)}", **event["item"]}
                        await added.send((trio.current_time() + ROUND_TRIP, item))
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

    async def _add(self, socket, items) -> None:
        async for due, item in items:
            await trio.sleep_until(due)
            for name in ("added", "done"):
                await self.say(socket, type=f"conversation.item.{name}", item=item)

    async def say(self, socket, **event: object) -> None:
        await socket.send_message(json.dumps({"event_id": f"e{id(event)}", **event}))

    def kinds(self) -> set[object]:
        return {event["type"] for event in self.heard}


@pytest.fixture
async def speaker(nursery) -> Speaker:
    return await Speaker(nursery).start()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait; answers take three seconds."""
    with trio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - the things waited for are plain cores, which know no Trio
            await trio.sleep(0.005)


@pytest.fixture
async def talk(start_fleet, moving_network, speaker) -> AsyncIterator[tuple[object, object]]:
    """A call in the middle of an answer."""
    backends = Backends(default=BackendSettings(kind=BackendKind.REALTIME, target=speaker.url, reconnect=3))
    async with start_fleet(backends=backends, keys=[moving_network.SNAPSHOT_KEYS] * 3) as fleet:
        client = await fleet.offer(fleet.places[0], has_events=True)
        fleet.nursery.start_soon(client.run)
        await eventually(lambda: "session.created" in client.types())
        client.say(type="session.update", session={"type": "realtime"})
        await eventually(lambda: "session.updated" in client.types())
        client.say(type="response.create", event_id="mine")
        await eventually(lambda: len(words(client)) > 3)
        await eventually(lambda: counts(fleet.places[0]).get("checkpoint.created") == 1)
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


async def test_an_answer_goes_on_through_the_tunnel(autojump_clock, talk, speaker):
    fleet, client = talk
    first = fleet.places[0]
    await first.worker.start_drain()
    await eventually(lambda: len(first.worker._calls) == 0)
    assert len(words(client)) < WORDS - 10, "it moves at once, in the middle"
    await eventually(lambda: "output_audio_buffer.stopped" in client.types())
    assert words(client) == ALL
    assert statuses(client) == ["completed"]
    assert speaker.connections == speaker.open == 1
    assert [event for event in speaker.heard if event["type"] == "conversation.item.create"] == []
    of_buffer = [name for name in client.types() if name.startswith("output_audio_buffer.")]
    assert of_buffer == ["output_audio_buffer.started", "output_audio_buffer.stopped"]
    assert client.longest_gap < 0.5
    assert counts(first)["tunnel.taken"] == 1
    assert "error" not in client.types()


async def test_what_the_caller_says_and_writes_goes_on(autojump_clock, talk, speaker):
    fleet, client = talk
    await fleet.places[0].worker.start_drain()
    await eventually(lambda: counts(fleet.places[0]).get("tunnel.taken") == 1)
    appended = [event["audio"] for event in speaker.heard if event["type"] == "input_audio_buffer.append"]
    client.say(type="response.cancel", response_id="resp_0")
    await eventually(lambda: "response.cancel" in speaker.kinds())
    await eventually(
        lambda: len([e for e in speaker.heard if e["type"] == "input_audio_buffer.append"]) > len(appended) + 5
    )
    # 40 ms each, whole, wherever the call was cut: what was not yet sent has moved.
    sizes = {len(base64.b64decode(e["audio"])) for e in speaker.heard if e["type"] == "input_audio_buffer.append"}
    assert sizes == {RATE * 40 // 1000 * 2}


async def test_a_call_that_moves_twice_goes_through_both(autojump_clock, talk, speaker):
    fleet, client = talk
    first = fleet.places[0]
    await first.worker.start_drain()
    await eventually(lambda: counts(first).get("tunnel.taken") == 1)
    second = owner(fleet)
    assert second is not first
    await more_words(client)
    await second.worker.start_drain()
    await eventually(lambda: counts(second).get("tunnel.taken") == 1)
    third = owner(fleet)
    assert third not in (first, second)
    await eventually(lambda: "output_audio_buffer.stopped" in client.types())
    assert words(client) == ALL
    assert statuses(client) == ["completed"]
    assert speaker.connections == 1
    # The first process dies: the second has nothing to pass on any more, and says so.
    first.kill()
    await eventually(lambda: speaker.connections == 2)
    assert third.worker.status()["calls"] == 1
    assert "error" not in client.types()


async def more_words(client, count: int = 3) -> None:
    before = len(words(client))
    await eventually(lambda: len(words(client)) > before + count)


async def test_the_old_process_dies(autojump_clock, talk, speaker):
    fleet, client = talk
    first = fleet.places[0]
    await first.worker.start_drain()
    await eventually(lambda: counts(first).get("tunnel.taken") == 1)
    await more_words(client)
    first.kill()
    await eventually(lambda: speaker.connections == 2)
    await eventually(lambda: "response.done" in client.types())
    assert statuses(client) == ["failed"]
    assert "error" not in client.types()
    client.say(type="response.create")
    await eventually(lambda: statuses(client) == ["failed", "completed"])


async def test_the_backend_is_lost_in_the_tunnel(autojump_clock, talk, speaker):
    fleet, client = talk
    speaker.drops_at = 20
    await fleet.places[0].worker.start_drain()
    await eventually(lambda: speaker.connections == 2)
    assert counts(fleet.places[0])["tunnel.ended-backend-lost"] == 1
    await eventually(lambda: statuses(client) == ["failed"])
    (error,) = [event["error"] for event in client.told if event["type"] == "error"]
    assert error["code"] == "backend_disconnected"


async def test_the_time_on_the_ticket_is_up_in_a_pause(autojump_clock, talk, speaker, monkeypatch):
    fleet, client = talk
    monkeypatch.setattr(tunnels, "_SHORTEST", 0.1)
    first = fleet.places[0]
    first.worker.options = attrs.evolve(first.worker.options, drain_deadline=10.0)
    with trio.fail_after(10.0):
        await first.worker.drain()
    assert words(client) == ALL, "it has waited for the end of the turn"
    assert counts(first)["tunnel.ended-taker-left"] == 1
    await eventually(lambda: speaker.connections == 2)
    assert statuses(client) == ["completed"]
    assert speaker.open == 1


async def test_the_time_on_the_ticket_is_up_in_an_answer(autojump_clock, talk, speaker, monkeypatch):
    fleet, client = talk
    monkeypatch.setattr(tunnels, "_SHORTEST", 0.1)
    first = fleet.places[0]
    first.worker.options = attrs.evolve(first.worker.options, drain_deadline=3.2)
    with trio.fail_after(3.2):
        await first.worker.drain()
    assert len(words(client)) < WORDS
    await eventually(lambda: speaker.connections == 2)
    await eventually(lambda: statuses(client) == ["failed"])
    assert "error" not in client.types()


async def test_nothing_is_lost_that_is_said_when_the_time_is_up(autojump_clock, talk, speaker, monkeypatch):
    fleet, client = talk
    monkeypatch.setattr(tunnels, "_SHORTEST", 0.1)
    first = fleet.places[0]
    await eventually(lambda: statuses(client) == ["completed"])
    first.worker.options = attrs.evolve(first.worker.options, drain_deadline=3.2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first.worker.drain)
        for number in range(100):
            content = [{"type": "input_text", "text": str(number)}]
            client.say(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
            await trio.sleep(0.03)
    await eventually(lambda: numbers(speaker.heard_last)[-1:] == [99])
    assert speaker.connections == 2
    assert numbers(speaker.heard_last) == list(range(100)), "it knows all, by itself or by having been told"
    live = [event for event in speaker.heard if not str(event.get("item", {}).get("id", "")).startswith("u")]
    assert numbers(live) == list(range(100))
    assert "error" not in client.types()
    await eventually(lambda: client.types().count("conversation.item.added") >= 100)
    assert client.types().count("conversation.item.added") == 100, "each is answered once"


def numbers(events) -> list[int]:
    created = [event["item"] for event in events if event["type"] == "conversation.item.create"]
    return [int(item["content"][0]["text"]) for item in created if item["role"] == "user"]


async def test_a_drain_that_leaves_no_time_for_a_tunnel_waits_for_the_end_of_the_answer(autojump_clock, talk, speaker):
    fleet, client = talk
    first = fleet.places[0]
    first.worker.options = attrs.evolve(first.worker.options, drain_deadline=5.9)
    await first.worker.start_drain()
    await eventually(lambda: len(first.worker._calls) == 0)
    await eventually(lambda: "output_audio_buffer.stopped" in client.types())
    assert words(client) == ALL
    assert statuses(client) == ["completed"]
    await eventually(lambda: speaker.connections == 2)


async def test_a_target_that_knows_no_tunnels(autojump_clock, talk, speaker, monkeypatch):
    fleet, client = talk
    monkeypatch.setattr(tunnels, "_TAKEN_WITHIN", 0.5)
    recall = bridge.recall
    monkeypatch.setattr(bridge, "recall", lambda *a, takes_tunnels: recall(*a, takes_tunnels=False))
    first = fleet.places[0]
    await first.worker.start_drain()
    await eventually(lambda: speaker.connections == 2)
    await eventually(lambda: statuses(client) == ["failed"])
    await eventually(lambda: counts(first).get("tunnel.ended-not-taken") == 1)
    await eventually(lambda: speaker.open == 1)


async def test_the_last_owners_word_does_not_come(autojump_clock, talk, speaker):
    """The relays lead the client here; by that the call is known to be ours, and its tunnel is taken."""
    fleet, client = talk
    first = fleet.places[0]
    first.worker._handover._draining._peers.release = say_nothing
    await first.worker.start_drain()
    await eventually(lambda: counts(first).get("tunnel.taken") == 1)
    await eventually(lambda: "output_audio_buffer.stopped" in client.types())
    assert words(client) == ALL
    assert speaker.connections == 1


async def say_nothing(*_args: object) -> None:
    return


async def test_a_tunnel_that_is_refused(autojump_clock, talk, speaker):
    fleet, client = talk
    first = fleet.places[0]
    first.worker._handover.tunnels.serve = refuse
    await first.worker.start_drain()
    await eventually(lambda: speaker.connections == 2)
    await eventually(lambda: statuses(client) == ["failed"])
    client.say(type="response.create")
    await eventually(lambda: "completed" in statuses(client))


async def refuse(*_args: object) -> None:
    raise tunnels.TunnelRefused


async def test_a_call_that_nobody_takes_goes_on_here(autojump_clock, talk, speaker):
    fleet, client = talk
    first = fleet.places[0]
    for place in fleet.places[1:]:
        place.is_alive = False
    await first.worker.start_drain()
    await eventually(lambda: counts(first).get("drain.refused", 0) >= 2)
    await eventually(lambda: "output_audio_buffer.stopped" in client.types())
    assert words(client) == ALL
    assert speaker.connections == 1
    assert "tunnel.opened" not in counts(first)
