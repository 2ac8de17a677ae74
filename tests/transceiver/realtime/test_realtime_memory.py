"""A call moves: the bridge of another process goes on with what the old one remembers, and a backend of its own."""

import json
import random

import pytest

from transceiver.backends.contract import Speech
from transceiver.realtime.memory import MAX_EXACT_MEMORY, MAX_MEMORY
from transceiver.realtime.moved_playback import MAX_MOVED_SPEECH
from transceiver.realtime.options import BackendProfile

USER = {"id": "u1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
TOOL = {"id": "f1", "type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}
RESULT = {"id": "f2", "type": "function_call_output", "call_id": "c1", "output": "noon"}


@pytest.fixture
def move(make_call):
    """Make the bridge of another process."""

    def move(call, *, is_exact=False, **options):
        moved = make_call(memory=call.bridge.memory(is_exact=is_exact), seed=1000, **options)
        moved.collect()
        return moved

    return move


def add(call, item):
    call.say("conversation.item.added", item=item)
    call.say("conversation.item.done", item=item)


def test_an_idle_client_notices_nothing(call, move):
    call.connect()
    moved = move(call)
    assert moved.client == []
    moved.open_backend()
    assert moved.client == []
    told = moved.backend[0]
    assert told["type"] == "session.update"
    assert told["session"]["instructions"] == "Be brief."
    assert moved.bridge.describe()["reconnections"] == 1


ITEM_1 = {"id": "u1", "type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": None}]}


@pytest.mark.parametrize(
    "what",
    [
        {"name": "conversation.item.added", "item": {"id": "u9", "type": "message", "role": "user", "content": []}},
        {"name": "conversation.item.deleted", "item_id": "u1"},
        {
            "name": "conversation.item.input_audio_transcription.completed",
            "item_id": "u1",
            "content_index": 0,
            "transcript": "Hello.",
        },
    ],
)
def test_a_successor_should_know_of_it_however_much_is_remembered(make_call, what):
    call = make_call(max_items=3)
    call.connect()
    for number in (3, 2, 1):
        add(call, {**ITEM_1, "id": f"u{number}"})
    before = call.bridge.progress()
    assert call.bridge.progress() == before
    call.say(**what)
    assert call.bridge.progress() != before


def test_what_is_said_before_the_new_backend_is_there_waits_for_it(call, move):
    call.connect()
    moved = move(call)
    moved.send({"type": "conversation.item.create", "item": {"type": "message"}})
    moved.send({"type": "response.create"})
    assert moved.client == moved.backend == []
    moved.open_backend()
    assert moved.told() == ["session.update", "conversation.item.create", "response.create"]
    assert moved.client == []


def test_the_new_backend_is_told_what_was_said(call, move):
    call.connect()
    for item in (USER, TOOL, RESULT):
        add(call, item)
    moved = move(call)
    moved.open_backend()
    assert moved.told() == ["session.update", *["conversation.item.create"] * 3]
    assert [event["item"]["id"] for event in moved.backend[1:]] == ["u1", "f1", "f2"]
    assert moved.backend[1]["item"]["content"] == [{"type": "input_text", "text": "Hello."}]


def test_a_conversation_goes_on(call, move):
    call.connect()
    add(call, USER)
    moved = move(call)
    moved.open_backend()
    moved.say("session.updated", session={"type": "realtime"})
    moved.forget()
    moved.hear(200)
    assert "pcm" in moved.told(), "the caller is heard without being configured again"
    moved.respond(400, "r2", "i2")
    moved.play(500)
    moved.finish("r2")
    moved.play(100)
    names = moved.seen()
    assert names[0] == "response.created"
    assert "output_audio_buffer.started" in names
    assert names[-1] == "output_audio_buffer.stopped"


def test_a_response_that_was_heard_is_ended(call, move):
    call.connect()
    call.respond(1000)
    call.play(100)
    assert "output_audio_buffer.started" in call.seen()
    moved = move(call)
    assert moved.seen() == ["output_audio_buffer.cleared", "response.done"]
    assert moved.client[0]["response_id"] == moved.client[1]["response"]["id"] == "r1"
    assert moved.client[1]["response"]["status"] == "failed"


def test_a_response_that_was_made_but_not_heard_yet_is_ended(call, move):
    call.connect()
    call.say("response.created", response={"id": "r1", "status": "in_progress"})
    assert move(call).seen() == ["response.done"]


def test_the_result_of_a_tool_is_taken_by_the_new_backend(call, move):
    call.connect()
    add(call, TOOL)
    moved = move(call)
    moved.open_backend()
    assert moved.told() == ["session.update"]  # the call alone says nothing to it
    moved.forget()
    moved.send({"type": "conversation.item.create", "item": {k: v for k, v in RESULT.items() if k != "id"}})
    assert moved.told()[-1] == "conversation.item.create"


def test_an_update_without_an_answer_is_answered(call, move, support):
    call.open_backend({"type": "realtime"})
    call.open_client()
    call.send(support.UPDATE)
    call.forget()
    moved = move(call)
    assert moved.seen() == ["session.updated"]
    assert moved.client[0]["session"]["instructions"] == "Be brief."
    moved.open_backend()
    assert moved.backend[0]["session"]["instructions"] == "Be brief."


def test_the_session_keeps_its_name(call, move):
    call.open_backend({"type": "realtime"})
    call.open_client()
    name = call.client[0]["session"]["id"]
    moved = move(call)
    moved.open_backend()
    moved.say("session.updated", session={"type": "realtime"})
    moved.say("session.updated", session={"type": "realtime"})
    assert {event["session"]["id"] for event in moved.client} == {name}


def test_a_call_whose_client_has_not_come_yet_is_as_new(call, move):
    moved = move(call)
    moved.open_client()
    assert moved.seen() == ["session.created"]
    moved.open_backend()
    assert moved.bridge.describe()["reconnections"] == 0


def test_memory_has_an_end_and_keeps_the_newest(make_call):
    call = make_call(max_items=10_000, max_item_length=20_000)
    call.connect()
    for number in range(100):
        add(call, {**USER, "id": f"u{number}", "content": [{"type": "input_text", "text": "x" * 10_000}]})
    memory = call.bridge.memory()
    assert len(memory) <= MAX_MEMORY
    items = [record["item"]["id"] for record in json.loads(memory)["items"]]
    assert items == [f"u{number}" for number in range(100 - len(items), 100)]
    assert len(items) > 20


@pytest.mark.parametrize(
    "memory",
    [
        b"nonsense",
        b"[]",
        b"{}",
        b'{"version": 2, "later": {"than": "us"}}',
        b'{"items": [7, {}, {"item": {"id": 7}}, {"item": {"id": "a"}, "flags": "x", "words": {"-1": 1, "0": "w"}}]}',
        b'{"updates": [7], "responses": [7, "r"], "heard": {}, "wanted": [], "session_id": 5}',
    ],
)
def test_a_memory_of_anything_makes_a_bridge(make_call, memory):
    call = make_call(memory=memory)
    call.open_client()
    call.open_backend({"type": "realtime"})
    assert "session.created" in call.seen()


# -- an exact move, in the middle of speech

HEARD = "output_audio_buffer."


def of_buffer(call):
    return [name.removeprefix(HEARD) for name in call.seen() if name.startswith(HEARD)]


def played(call, frames=10_000):
    """What is left to be heard, without the waiting for a frame to be whole."""
    pieces = [call.queue.take(480) or b"" for _ in range(frames) if call.queue.has_speech]
    call.bridge.speech_progressed(call.now)
    call.collect()
    return b"".join(pieces)


def test_an_answer_that_is_being_heard_is_heard_to_its_end(call, move):
    call.connect()
    call.respond(1000)
    call.finish()
    call.play(400)
    assert of_buffer(call) == ["started"]
    for _ in range(3):
        moved = move(call, is_exact=True)
        assert moved.client == []
        moved.play(100)
        call, before = moved, call
        assert before.queue.waiting_seconds > call.queue.waiting_seconds
    assert of_buffer(call) == []
    call.play(320)
    assert of_buffer(call) == ["stopped"]
    assert call.queue.playing is None


def test_the_very_samples_are_heard(call, move):
    call.connect()
    call.respond(0)
    pcm = bytes(range(256)) * 301 + b"x"  # half a sample at the end
    call.bridge.receive_backend_audio(Speech("r1", "i1"), pcm)
    call.finish()
    first = b"".join(call.queue.take(480) for _ in range(7))
    moved = move(call, is_exact=True)
    assert (first + played(moved)).rstrip(b"\0") == pcm[:-1].rstrip(b"\0")
    # And here, should the call stay.
    assert (first + played(call)).rstrip(b"\0") == pcm[:-1].rstrip(b"\0")


def test_what_the_ticker_has_not_told_yet_is_told(call, move):
    call.connect()
    call.respond(40)
    call.finish()
    call.queue.take(480)
    moved = move(call, is_exact=True)
    moved.play(20)
    moved.play(20)
    assert of_buffer(moved) == ["started", "stopped"]


def test_an_answer_that_is_not_finished_ends_with_what_there_is(call, move):
    call.connect()
    call.respond(300)
    call.play(100)
    moved = move(call, is_exact=True)
    assert moved.seen() == ["response.done"]
    assert moved.client[0]["response"]["status"] == "failed"
    moved.play(220)
    assert of_buffer(moved) == ["stopped"]


def test_an_answer_is_interrupted_where_it_was_heard(call, move):
    call.connect()
    call.respond(1000)
    call.finish()
    call.play(400)
    moved = move(call, is_exact=True)
    moved.open_backend({"type": "realtime"})
    moved.play(200)
    moved.forget()
    moved.say("input_audio_buffer.speech_started", item_id="u9", audio_start_ms=0)
    assert of_buffer(moved) == ["cleared"]
    (cut,) = [event for event in moved.backend if event["type"] == "conversation.item.truncate"]
    assert cut["item_id"] == "i1"
    assert 400 < cut["audio_end_ms"] <= 600


def test_two_answers_wait(call, move):
    call.connect()
    for number in (1, 2):
        call.respond(100, f"r{number}", f"i{number}")
        call.finish(f"r{number}")
    call.play(40)
    moved = move(call, is_exact=True)
    moved.play(300)
    assert [(event["type"].removeprefix(HEARD), event["response_id"]) for event in moved.client] == [
        ("stopped", "r1"),
        ("started", "r2"),
        ("stopped", "r2"),
    ]


def test_too_much_speech_is_cut(call, move):
    call.connect()
    call.respond(1000 * MAX_MOVED_SPEECH // 48_000 + 100)
    call.finish()
    call.play(20)
    assert len(call.bridge.memory(is_exact=True)) < MAX_MEMORY
    assert move(call, is_exact=True).seen() == ["output_audio_buffer.cleared"]
    call.play(200)
    assert MAX_MEMORY < len(call.bridge.memory(is_exact=True)) <= MAX_EXACT_MEMORY
    assert move(call, is_exact=True).seen() == []


def test_speech_of_another_rate_is_cut(call, move):
    call.connect()
    call.respond(500)
    call.finish()
    call.play(20)
    moved = move(call, is_exact=True, profile=BackendProfile(output_rate=8000))
    assert moved.seen() == ["output_audio_buffer.cleared"]


def test_a_checkpoint_has_no_speech(call):
    call.connect()
    call.respond(5000)
    assert len(call.bridge.memory()) < 2000


def test_speech_of_anything_is_cut_or_played(call, make_call):
    """A snapshot is authentic; but a later version may write something else."""
    call.connect()
    call.respond(200)
    call.finish()
    call.respond(200, "r2", "i2")
    call.play(60)
    memory = json.loads(call.bridge.memory(is_exact=True))
    rng = random.Random(5)
    whole = 0
    for _ in range(400):
        changed = json.loads(json.dumps(memory))
        spoil(changed["playback"], rng)
        moved = make_call(memory=json.dumps(changed).encode(), seed=1000)
        moved.collect()
        whole += "output_audio_buffer.cleared" not in moved.seen()
        moved.play(800)
        assert moved.queue.waiting_seconds == 0
    assert 0 < whole < 300


def spoil(value, rng):
    """Put something else somewhere."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = rng.choice(keys)
    if isinstance(value[key], dict | list) and value[key] and rng.random() < 0.9:
        spoil(value[key], rng)
    else:
        value[key] = rng.choice([None, -1, 1, 2**70, 1.5, "", "x", "A" * 300, [], {}, [[]], True])
