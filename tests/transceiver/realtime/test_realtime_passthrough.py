"""A client's socket passed through to a backend: events and audio both ways, bounds, and every kind of end."""

import base64
import json

import pytest
import trio
import trio.testing

from transceiver.backends.contract import BackendUnavailable, Speech
from transceiver.calls import CallWishes, SocketClosed
from transceiver.realtime.beta_socket import BetaSocket
from transceiver.realtime.options import BackendProfile
from transceiver.realtime.passthrough import ClientTooSlow, PassThroughOptions, pass_through

SPEECH = Speech("resp_1", "item_1", 0)


class Client:
    """The client's end of a socket."""

    def __init__(self) -> None:
        self._to_us, self._from_client = trio.open_memory_channel[str](100)
        self.received: list[dict[str, object]] = []
        self.can_read = trio.Event()
        self.can_read.set()

    def say(self, event: object) -> None:
        self._to_us.send_nowait(event if isinstance(event, str) else json.dumps(event))

    def leave(self) -> None:
        self._to_us.close()

    async def receive(self) -> str:
        try:
            return await self._from_client.receive()
        except trio.EndOfChannel:
            raise SocketClosed from None

    async def send(self, text: str) -> None:
        await self.can_read.wait()
        await trio.lowlevel.checkpoint()
        self.received.append(json.loads(text))

    @property
    def types(self) -> list[object]:
        return [event["type"] for event in self.received]

    @property
    def errors(self) -> list[tuple[object, object, object]]:
        errors = [event["error"] for event in self.received if event["type"] == "error"]
        return [(error["code"], error["param"], error["event_id"]) for error in errors]


class Link:
    """A backend that says what a test wants."""

    input_rate = output_rate = 24000

    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []
        self.audio = bytearray()
        self.is_closed = False
        self.sink = None
        self.failure: Exception | None = None
        self._end = trio.Event()

    async def run(self, sink) -> None:
        self.sink = sink
        sink.backend_opened()
        sink.backend_event({"type": "session.created", "event_id": "e1", "session": {"instructions": "secret"}})
        await self._end.wait()
        if self.failure is not None:
            raise self.failure

    def send_event(self, event) -> None:
        self.events.append(dict(event))

    def send_audio(self, pcm: bytes) -> None:
        self.audio += pcm

    def end(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self._end.set()

    def close(self) -> None:
        self.is_closed = True
        self._end.set()


class Passage:
    """A client, a backend, and what is between them."""

    def __init__(self, nursery) -> None:
        self._nursery = nursery
        self.client = Client()
        self.link = Link()
        self.outcome: object = "running"

    async def start(self, wishes: CallWishes = CallWishes(), socket=None, **options: object) -> "Passage":  # noqa: B008 - frozen
        async def run() -> None:
            try:
                await pass_through(
                    socket or self.client,
                    self.link,
                    wishes,
                    entropy=bytes,
                    options=PassThroughOptions(**options),
                )
            except (BackendUnavailable, ClientTooSlow) as error:
                self.outcome = type(error)
            else:
                self.outcome = None

        self._nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        return self

    async def say(self, *events: object) -> None:
        for event in events:
            self.client.say(event)
        await trio.testing.wait_all_tasks_blocked()


@pytest.fixture
async def passage(nursery) -> Passage:
    return Passage(nursery)


def append(pcm: bytes | str, **fields: object) -> dict[str, object]:
    audio = pcm if isinstance(pcm, str) else base64.b64encode(pcm).decode()
    return {"type": "input_audio_buffer.append", "audio": audio} | fields


async def test_events_go_both_ways_in_order(passage):
    await passage.start()
    item = {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}}
    await passage.say(item, {"type": "response.create"})
    assert passage.link.events == [item, {"type": "response.create"}]
    passage.link.sink.backend_event({"type": "response.done", "event_id": "e2", "response": {"status": "completed"}})
    await trio.testing.wait_all_tasks_blocked()
    assert passage.client.types == ["session.created", "response.done"]


async def test_audio_becomes_pcm_and_speech_becomes_events(passage):
    await passage.start()
    pcm = bytes(range(256)) * 600
    await passage.say(append(pcm))
    assert bytes(passage.link.audio) == pcm
    sink = passage.link.sink
    sink.backend_event({"type": "response.output_item.added", "output_index": 2, "item": {"id": "item_1"}})
    sink.backend_audio(SPEECH, pcm)
    await trio.testing.wait_all_tasks_blocked()
    deltas = passage.client.received[2:]
    assert len(deltas) == 4  # of at most a second
    assert b"".join(base64.b64decode(delta.pop("delta")) for delta in deltas) == pcm
    assert len({delta.pop("event_id") for delta in deltas}) == 4
    assert deltas[0] == {
        "type": "response.output_audio.delta",
        "response_id": "resp_1",
        "item_id": "item_1",
        "output_index": 2,
        "content_index": 0,
    }


async def test_fifteen_mebibytes_in_one_event_are_taken_in_turns(passage, nursery):
    await passage.start()
    turns = []

    async def count() -> None:
        while len(passage.link.audio) < 15 * 1_048_576:
            turns.append(len(passage.link.audio))
            await trio.lowlevel.checkpoint()

    nursery.start_soon(count)
    await passage.say(append(bytes(15 * 1_048_576)))
    assert len(passage.link.audio) == 15 * 1_048_576
    assert len(turns) > 100


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (append("not base64", event_id="mine"), ("invalid_audio", "audio", "mine")),
        (append("AAA"), ("invalid_audio", "audio", None)),
        (append(b"123"), ("invalid_audio", "audio", None)),
        (append(b""), ("invalid_audio", "audio", None)),
        (append("", audio=7), ("invalid_audio", "audio", None)),
        ("garbage", ("invalid_json", None, None)),
        ("[1]", ("invalid_event", None, None)),
        ('{"type": "input_audio_buffer.append"', ("invalid_json", None, None)),
        ({"type": "response.nonsense", "event_id": "mine"}, ("unknown_event_type", "type", "mine")),
        ({"type": "session.update", "event_id": "mine"}, ("invalid_type", "session", "mine")),
        (
            {"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}},
            ("unsupported_audio_format", "session.audio.input.format", None),
        ),
        (
            {"type": "session.update", "session": {"output_audio_format": "g711_ulaw"}},
            ("unsupported_audio_format", "session.audio.output.format", None),
        ),
        (
            {"type": "session.update", "session": {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8}}}}},
            ("unsupported_audio_format", "session.audio.output.format", None),
        ),
    ],
)
async def test_what_a_client_does_wrong_is_answered_and_the_connection_goes_on(passage, event, error):
    await passage.start()
    await passage.say(event, {"type": "response.create"})
    assert passage.client.errors == [error]
    assert passage.link.events == [{"type": "response.create"}]


async def test_half_a_sample_is_told_and_the_others_are_heard(passage):
    await passage.start()
    await passage.say(append(b"abc"))
    assert passage.link.audio == b"ab"


async def test_the_session_of_the_request_is_told_first(passage):
    await passage.start(CallWishes(session={"instructions": "Be kind.", "model": "m", "tracing": "auto"}))
    formats = {side: {"format": {"type": "audio/pcm", "rate": 24000}} for side in ("input", "output")}
    session = {"type": "realtime", "audio": formats, "instructions": "Be kind."}
    assert passage.link.events == [{"type": "session.update", "session": session}]


async def test_updates_are_rewritten_for_the_backend(passage):
    profile = BackendProfile(voices={"ash": "Chelsie"})
    passage.link.input_rate = 16000
    await passage.start(profile=profile)
    update = {
        "model": "gpt",
        "audio": {"output": {"voice": "ash"}, "input": {"turn_detection": {"type": "semantic_vad"}}},
    }
    await passage.say(
        {"type": "session.update", "event_id": "mine", "session": update},
        {"type": "response.create", "response": {"audio": {"output": {"voice": "ash"}}}},
    )
    told, asked = passage.link.events
    assert told["event_id"] == "mine"
    assert "model" not in told["session"]
    assert told["session"]["audio"] == {
        "input": {"format": {"type": "audio/pcm", "rate": 16000}, "turn_detection": {"type": "server_vad"}},
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "Chelsie"},
    }
    assert asked["response"] == {"audio": {"output": {"voice": "Chelsie"}}}


async def test_an_update_of_nothing_is_sent_so_that_it_is_answered(passage):
    await passage.start()
    await passage.say({"type": "session.update", "session": {"tracing": "auto"}})
    assert passage.link.events == [{"type": "session.update", "session": {"type": "realtime"}}]


async def test_a_locked_session_stays_as_it_is_and_is_not_shown(passage):
    await passage.start(CallWishes(session={"instructions": "Be kind."}, is_locked=True))
    await passage.say(
        {"type": "session.update", "session": {"instructions": "Be rude.", "output_modalities": ["text"]}},
        {"type": "response.create", "response": {"instructions": "Be rude."}},
    )
    _, update, create = passage.link.events
    assert "instructions" not in update["session"]
    assert update["session"]["output_modalities"] == ["text"]
    assert create["response"] == {}
    assert "instructions" not in passage.client.received[0]["session"]


async def test_a_beta_client_is_translated_both_ways(passage):
    await passage.start(socket=BetaSocket(passage.client))
    await passage.say({"type": "session.update", "session": {"voice": "ash"}}, append(b"ab"), "garbage")
    assert passage.link.events[0]["session"]["audio"]["output"]["voice"] == "ash"
    assert passage.link.audio == b"ab"
    passage.link.sink.backend_audio(SPEECH, b"cd")
    passage.link.sink.backend_event({"type": "conversation.item.done", "item": {"id": "x", "type": "message"}})
    await trio.testing.wait_all_tasks_blocked()
    assert passage.client.types == ["session.created", "error", "response.audio.delta"]


async def test_a_client_that_leaves_closes_the_link(passage):
    await passage.start()
    passage.client.leave()
    await trio.testing.wait_all_tasks_blocked()
    assert passage.link.is_closed
    assert passage.outcome is None


async def test_a_backend_that_ends_is_heard_to_its_last_word(passage):
    await passage.start()
    passage.client.can_read = trio.Event()
    passage.link.sink.backend_event({"type": "response.done", "response": {}})
    passage.link.end()
    await trio.testing.wait_all_tasks_blocked()
    assert passage.outcome == "running"
    passage.client.can_read.set()
    await trio.testing.wait_all_tasks_blocked()
    assert passage.client.types[-1] == "response.done"
    assert passage.outcome is None


async def test_a_backend_that_is_lost_is_told_without_why(passage):
    await passage.start()
    passage.link.end(BackendUnavailable("wss://internal refused with 401"))
    await trio.testing.wait_all_tasks_blocked()
    assert passage.client.errors == [("backend_disconnected", None, None)]
    assert "internal" not in json.dumps(passage.client.received)
    assert passage.outcome is BackendUnavailable


async def test_a_client_that_does_not_read_is_given_up(passage):
    await passage.start(queue_bytes=100_000)
    passage.client.can_read = trio.Event()
    for _ in range(11):
        passage.link.sink.backend_audio(SPEECH, bytes(10_000))
    await trio.testing.wait_all_tasks_blocked()
    assert passage.outcome is ClientTooSlow
    assert passage.link.is_closed


async def test_a_client_is_held_back_while_the_backend_has_no_room(passage):
    room = trio.Event()
    passage.link.wait_for_room = room.wait
    await passage.start()
    await passage.say(append(b"ab"), append(b"cd"))
    assert passage.link.audio == b"ab"
    room.set()
    await trio.testing.wait_all_tasks_blocked()
    assert passage.link.audio == b"abcd"


async def test_a_client_that_reads_at_once_does_not_hold_up_others(passage, nursery):
    async def keep(text: str) -> None:  # as a socket that finds room in the kernel: no other task has a turn
        passage.client.received.append(json.loads(text))

    passage.client.send = keep
    await passage.start()
    turns = []

    async def count() -> None:
        while len(passage.client.received) < 200:
            turns.append(len(passage.client.received))
            await trio.lowlevel.checkpoint()

    nursery.start_soon(count)
    for _ in range(200):
        passage.link.sink.backend_event({"type": "response.done", "response": {}})
    await trio.testing.wait_all_tasks_blocked()
    assert len(set(turns)) > 50


async def test_the_longest_duration_ends_it(autojump_clock, passage):
    await passage.start(CallWishes(max_call=60))
    begin = trio.current_time()
    await trio.sleep(61)
    assert passage.outcome is None
    assert passage.client.errors == [("session_expired", None, None)]
    assert passage.link.is_closed
    assert trio.current_time() - begin < 62
