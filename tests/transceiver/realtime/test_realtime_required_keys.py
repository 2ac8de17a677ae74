"""What stock clients cannot be without is put in place, and what is there is left as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from transceiver.realtime.required_keys import complete

SERVER_EVENT: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
PLACE = {"response_id": "r", "item_id": "i", "output_index": 1, "content_index": 2}
COUNTS = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def completed(name: str, **fields: object) -> dict[str, object]:
    return complete({"type": name, **fields}, lambda kind: f"{kind}_new", 1234)


def item(**fields: object) -> dict[str, object]:
    return completed("conversation.item.added", item=fields)["item"]


def test_every_event_has_a_name() -> None:
    assert completed("vendor.thing")["event_id"] == "event_new"
    assert completed("vendor.thing", event_id=7)["event_id"] == "event_new"
    assert completed("vendor.thing", event_id="mine", x=1) == {"type": "vendor.thing", "event_id": "mine", "x": 1}


def test_items_of_messages() -> None:
    assert item(id="i", type="message", role="assistant") == {
        "id": "i",
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    user = item(role="user", content=[{"type": "input_audio"}, {"type": "text", "text": None}, "noise", {}])
    assert user["id"] == "item_new"
    assert user["status"] == "completed"
    assert user["content"] == [
        {"type": "input_audio", "transcript": None},
        {"type": "input_text", "text": ""},
        {"type": "input_audio", "transcript": None},
    ]
    agent = item(id="i", type="message", role="assistant", content=[{"type": "text", "text": "a"}, {"type": "audio"}])
    assert [part["type"] for part in agent["content"]] == ["output_text", "output_audio"]
    confused = item(id="i", type="message", role="user", content=[{"type": "output_text", "text": "a"}])
    assert confused["content"] == [{"type": "input_text", "text": "a"}]
    picture = item(id="i", type="message", role="user", content=[{"type": "input_image", "image_url": "x"}])
    assert picture["content"] == [{"type": "input_image", "image_url": "x"}]


def test_what_may_be_null_stays_and_what_may_not_goes() -> None:
    function = item(id="f", type="function_call", role=None, content=None, output=None, call_id=None, status="done")
    assert function == {
        "id": "f",
        "type": "function_call",
        "output": None,
        "status": "in_progress",
        "name": "",
        "arguments": "",
        "call_id": "",
    }


@pytest.mark.parametrize("name", ["conversation.item.done", "response.output_item.done"])
def test_what_is_done_is_completed(name: str) -> None:
    assert completed(name, item={"id": "f", "type": "function_call"})["item"]["status"] == "completed"
    assert completed(name, item={"id": "f", "status": "incomplete"})["item"]["status"] == "incomplete"


def test_speech() -> None:
    started = completed("input_audio_buffer.speech_started")
    assert (started["item_id"], started["audio_start_ms"]) == ("item_new", 1234)
    stopped = completed("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=5)
    assert (stopped["item_id"], stopped["audio_end_ms"]) == ("u", 5)


def test_responses() -> None:
    created = completed("response.created")["response"]
    assert created == {"id": "resp_new", "object": "realtime.response", "status": "in_progress", "output": []}
    done = completed(
        "response.done",
        response={
            "id": "r",
            "status": "finished",
            "usage": {"input_tokens": None},
            "metadata": None,
            "output": [7, {}],
        },
    )["response"]
    assert (done["status"], done["output"]) == ("completed", [{"id": "item_new", "status": "completed"}])
    assert not {"usage", "metadata"} & done.keys()
    assert completed("response.done", response={"usage": COUNTS})["response"]["usage"] == COUNTS


def test_parts_are_named_as_only_these_two_events_name_them() -> None:
    for kind, expected in (("output_audio", "audio"), ("output_text", "text"), ("text", "text"), ("audio", "audio")):
        part = completed("response.content_part.added", part={"type": kind, "audio": None}, **PLACE)["part"]
        assert part["type"] == expected
        assert "audio" not in part
    assert completed("response.content_part.done", part={"type": "audio", "transcript": "x"}, **PLACE)["part"] == {
        "type": "audio",
        "transcript": "x",
    }


@pytest.mark.parametrize(
    ("usage", "is_kept"),
    [
        ({"type": "duration", "seconds": 1.5}, True),
        ({"type": "duration"}, False),
        ({"type": "tokens", **COUNTS, "input_token_details": {"text_tokens": 0, "audio_tokens": 1}}, True),
        ({"type": "tokens", **COUNTS}, False),
        (None, False),
        ("much", False),
    ],
)
def test_usage_of_a_transcription_is_whole_or_not_there(usage: object, is_kept: bool) -> None:
    event = completed("conversation.item.input_audio_transcription.completed", item_id="u", usage=usage)
    assert ("usage" in event) is is_kept
    assert (event["content_index"], event["transcript"]) == (0, "")


def test_rate_limits_are_those_that_clients_know() -> None:
    limits = [{"name": "tokens", "remaining": 1}, {"name": "minutes"}, 7]
    assert completed("rate_limits.updated", rate_limits=limits)["rate_limits"] == limits[:1]
    assert completed("rate_limits.updated")["rate_limits"] == []


def test_errors_say_something() -> None:
    error = completed("error", error={"code": 4, "event_id": "e"})["error"]
    assert error == {
        "type": "server_error",
        "message": "The backend reported an error.",
        "code": None,
        "param": None,
        "event_id": "e",
    }


NAMES = [
    "session.created",
    "session.updated",
    "error",
    "rate_limits.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.deleted",
    "conversation.item.truncated",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
    "response.created",
    "response.done",
    "response.output_item.added",
    "response.output_item.done",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
]
JUNK = st.none() | st.booleans() | st.integers(-9, 9) | st.just("x") | st.just([]) | st.just({}) | st.just([{}, 1])
KEYS = st.sampled_from(
    [
        "event_id",
        "item_id",
        "response_id",
        "item",
        "response",
        "part",
        "session",
        "error",
        "content_index",
        "output_index",
        "delta",
        "text",
        "transcript",
        "usage",
        "rate_limits",
        "audio_start_ms",
        "audio_end_ms",
        "previous_item_id",
        "call_id",
        "arguments",
    ]
)
HOLDER = st.dictionaries(
    st.sampled_from(["id", "type", "role", "status", "content", "output", "name", "call_id", "arguments", "usage"]),
    JUNK,
)


@given(st.sampled_from(NAMES), st.dictionaries(KEYS, JUNK | HOLDER))
def test_whatever_is_completed_once_is_complete(name: str, fields: dict[str, object]) -> None:
    event = complete({**fields, "type": name}, lambda kind: f"{kind}_new", 0)
    assert complete(event, lambda kind: f"{kind}_other", 1) == event
    json.dumps(event)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_of_which_all_is_missing_becomes_one_that_the_openai_package_reads(name: str) -> None:
    event = completed(
        name, session={"type": "realtime"}, item={"type": "message"}, usage={"type": "duration", "seconds": 1}
    )
    assert SERVER_EVENT.validate_python(event).type == name
