"""The sequence that a stock client sees, with a backend that is there in time and with one that is late."""

import json
from types import SimpleNamespace

import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

SERVER_EVENT: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
CLIENT_EVENT: TypeAdapter[RealtimeClientEvent] = TypeAdapter(RealtimeClientEvent)

USER_ITEM = {
    "id": "u1",
    "type": "message",
    "role": "user",
    "status": "completed",
    "content": [{"type": "input_audio", "transcript": None}],
}
AGENT_ITEM = {"id": "i1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
SAID = AGENT_ITEM | {"status": "completed", "content": [{"type": "output_audio", "transcript": "Hello."}]}
PLACE = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}

TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "output_audio_buffer.started",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_audio.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
    "output_audio_buffer.stopped",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.retrieved",
]


def take_a_turn(call, *, is_terse: bool) -> None:
    """The backend hears the caller and answers; a terse one leaves out all that it may."""
    call.hear(1000)
    call.say("input_audio_buffer.speech_started", event_id="b1", item_id="u1", audio_start_ms=200)
    call.say("input_audio_buffer.speech_stopped", event_id="b2", item_id="u1", audio_end_ms=700)
    call.say("input_audio_buffer.committed", event_id="b3", item_id="u1", previous_item_id=None)
    call.say("conversation.item.added", event_id="b4", item=USER_ITEM, previous_item_id=None)
    call.say("conversation.item.done", event_id="b5", item=USER_ITEM, previous_item_id=None)
    call.say("response.created", event_id="b6", response={"id": "r1", "status": "in_progress", "output": []})
    call.say("response.output_item.added", event_id="b7", response_id="r1", output_index=0, item=AGENT_ITEM)
    call.say("conversation.item.added", event_id="b8", item=AGENT_ITEM, previous_item_id="u1")
    call.say("response.content_part.added", event_id="b9", part={"type": "audio", "transcript": ""}, **PLACE)
    call.speak(200)
    call.play(20)
    call.say("response.output_audio_transcript.delta", event_id="b10", delta="Hello.", **PLACE)
    call.say("response.output_audio_transcript.done", event_id="b11", transcript="Hello.", **PLACE)
    call.say("response.output_audio.done", event_id="b12", **PLACE)
    call.say("response.content_part.done", event_id="b13", part={"type": "audio", "transcript": "Hello."}, **PLACE)
    call.say("response.output_item.done", event_id="b14", response_id="r1", output_index=0, item=SAID)
    if not is_terse:
        call.say("conversation.item.done", event_id="b15", item=SAID, previous_item_id="u1")
    call.say("response.done", event_id="b16", response={"id": "r1", "status": "completed", "output": [SAID]})
    call.play(200)
    call.say(
        "conversation.item.input_audio_transcription.completed",
        event_id="b17",
        item_id="u1",
        content_index=0,
        transcript="Hi.",
        usage={"type": "duration", "seconds": 1},
    )
    call.send({"type": "conversation.item.retrieve", "item_id": "u1"})
    call.say("conversation.item.retrieved", event_id="b18", item=USER_ITEM)


def check_that_all_is_understood(call) -> None:
    for event in call.client:
        SERVER_EVENT.validate_python(event)
        assert event["event_id"], event
    ids = [event["event_id"] for event in call.client]
    assert len(set(ids)) == len(ids)
    for event in call.backend:
        if not isinstance(event, bytes):
            CLIENT_EVENT.validate_python(event)
            json.dumps(event)


@pytest.mark.parametrize("is_terse", [False, True])
def test_a_stock_client_with_a_backend_that_is_there(call, support: SimpleNamespace, is_terse: bool) -> None:
    call.open_backend({"type": "realtime", "id": "sess_b", "model": "their-model", "tracing": None})
    assert call.told() == ["session.update"], "the backend learns our audio format first"
    call.say("session.updated", event_id="b", session={"type": "realtime"})
    call.open_client()
    call.send(support.UPDATE)
    assert call.seen() == ["session.created"]
    call.say("session.updated", event_id="b", session={"type": "realtime"})
    assert call.seen() == ["session.created", "session.updated"]
    call.send({"type": "session.update", "session": {"type": "realtime", "tracing": "auto"}})
    assert call.seen() == ["session.created", "session.updated", "session.updated"]
    assert call.client[-1]["session"]["tracing"] == "auto"
    assert call.told() == ["session.update", "session.update"], "the backend knows no tracing"
    take_a_turn(call, is_terse=is_terse)
    assert call.seen()[3:] == TURN
    assert call.told()[2:].count("pcm") == 25
    check_that_all_is_understood(call)


def test_a_stock_client_with_a_late_backend(call, support: SimpleNamespace) -> None:
    call.open_client()
    call.send(support.UPDATE)
    call.send({"type": "session.update", "session": {"type": "realtime", "tracing": "auto"}})
    call.hear(200)
    assert call.seen() == ["session.created"]
    assert call.backend == []
    call.wait(1.0)
    call.open_backend({"type": "realtime"})
    assert call.told() == ["session.update", "session.update"]
    assert call.backend[1]["session"]["instructions"] == "Be brief."
    call.hear(40)
    assert call.told() == ["session.update", "session.update"], "no audio before the configuration was answered"
    call.say("session.updated", event_id="b", session={"type": "realtime"})
    assert call.seen() == ["session.created"], "that was the answer to ours"
    call.say("session.updated", event_id="b", session={"type": "realtime"})
    assert call.seen() == ["session.created", "session.updated", "session.updated"]
    take_a_turn(call, is_terse=False)
    assert call.seen()[3:] == TURN
    check_that_all_is_understood(call)


def test_a_backend_that_comes_too_late_to_be_waited_for(call, support: SimpleNamespace) -> None:
    call.open_client()
    call.send(support.UPDATE)
    call.wait(2.9)
    assert call.seen() == ["session.created"]
    call.wait(0.2)
    assert call.seen() == ["session.created", "session.updated"]
    assert call.client[1]["session"]["instructions"] == "Be brief."
    assert call.bridge.next_timeout() is None
    call.open_backend({"type": "realtime"})
    assert call.backend[1]["session"]["instructions"] == "Be brief.", "it is told all the same"
    call.say("session.updated", event_id="b", session={})
    call.say("session.updated", event_id="b", session={})
    assert call.seen() == ["session.created", "session.updated"], "one answer for one update"
    take_a_turn(call, is_terse=False)
    assert call.seen()[2:] == TURN


def test_the_console_configures_in_beta_and_looks_for_session_created_first(call) -> None:
    call.open_backend()
    call.open_client()
    assert call.seen() == ["session.created"]
    call.send({"type": "session.update", "event_id": "x", "session": {"tools": [{"type": "function", "name": "f"}]}})
    call.say("session.updated", session={})
    call.say("session.updated", session={})
    assert call.seen() == ["session.created", "session.updated"]
    assert call.backend[1]["session"]["type"] == "realtime"
    call.say("response.output_audio_transcript.delta", delta="Hi", **PLACE)
    assert call.seen()[-1] == "response.output_audio_transcript.delta", "nothing in it showed that it speaks beta"


def test_a_tool_is_called_and_answered(call) -> None:
    call.connect()
    done = {"id": "f1", "type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}
    call.say("response.created", response={"id": "r1"})
    call.say("response.output_item.added", response_id="r1", output_index=0, item=done | {"status": "in_progress"})
    call.say("response.output_item.done", response_id="r1", output_index=0, item=done)
    assert call.client[-1]["item"]["status"] == "completed", "a stock client calls no tool otherwise"
    call.say("response.done", response={"id": "r1", "status": "completed", "output": [done]})
    output = {"type": "function_call_output", "call_id": "c1", "output": "noon"}
    call.send({"type": "conversation.item.create", "item": output})
    call.send({"type": "response.create", "event_id": "agents_js_response_create_1"})
    assert call.told() == ["conversation.item.create", "response.create"]
    assert call.backend[0]["item"] == output
    error = {"type": "invalid_request_error", "message": "no", "event_id": call.backend[1]["event_id"]}
    call.say("error", error=error)
    assert call.errors() == [(None, "agents_js_response_create_1")]
    check_that_all_is_understood(call)
