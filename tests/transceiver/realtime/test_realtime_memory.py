"""A call moves: the bridge of another process goes on with what the old one remembers, and a backend of its own."""

import json

import pytest

from transceiver.realtime.memory import MAX_MEMORY

USER = {"id": "u1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
TOOL = {"id": "f1", "type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}
RESULT = {"id": "f2", "type": "function_call_output", "call_id": "c1", "output": "noon"}


@pytest.fixture
def move(make_call):
    """Make the bridge of another process."""

    def move(call, **options):
        moved = make_call(memory=call.bridge.memory(), seed=1000, **options)
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
