"""Laws of the two dialects, over events as the `openai` package types them and over arbitrary JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.beta.realtime import session_update_event as beta_session_update
from openai.types.realtime import RealtimeServerEvent, realtime_session_create_request
from pydantic import TypeAdapter

from transceiver.realtime.dialect import speaks_beta, to_beta, to_ga
from transceiver.realtime.fields import Event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)

FORMATS = st.sampled_from([{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}])


def some(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """Objects with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


OUTPUT = some(format=FORMATS, voice=st.sampled_from(["marin", "alloy"]), speed=st.floats(0.25, 1.5))
INPUT = some(
    format=FORMATS,
    transcription=st.none() | st.just({"model": "whisper-1"}),
    noise_reduction=st.none() | st.just({"type": "near_field"}),
    turn_detection=st.none() | st.just({"type": "server_vad", "threshold": 0.5}),
)
AUDIO = some(input=INPUT.filter(bool), output=OUTPUT.filter(bool)).filter(bool)
MODALITIES = st.sampled_from([["audio"], ["text"]])
SESSION = some(
    instructions=st.text(max_size=8),
    model=st.just("m"),
    tools=st.just([{"type": "function", "name": "f"}]),
    tool_choice=st.just("auto"),
    output_modalities=MODALITIES,
    max_output_tokens=st.just("inf") | st.integers(1, 4096),
    audio=AUDIO,
    vendor_field=JSON,
).map(lambda session: {"type": "realtime"} | session)
PARTS = st.lists(
    st.sampled_from([{"type": "output_text", "text": "a"}, {"type": "output_audio", "transcript": "b"}]), max_size=2
)
ASSISTANT = st.builds(
    lambda content, status: {
        "id": "i",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    },
    PARTS,
    st.sampled_from(["completed", "in_progress", "incomplete"]),
)
USER = st.just(
    {
        "id": "u",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_audio", "transcript": None}, {"type": "input_text", "text": "hi"}],
    }
)
CALL = st.just({"id": "c", "type": "function_call", "status": "in_progress", "name": "f", "arguments": "{}"})
ITEM = ASSISTANT | USER | CALL
RESPONSE = some(
    id=st.just("r"),
    instructions=st.text(max_size=4),
    output_modalities=MODALITIES,
    max_output_tokens=st.integers(1, 9),
    audio=st.just({"output": {"voice": "marin", "format": {"type": "audio/pcmu"}}}),
    output=st.lists(ITEM, max_size=2),
    input=st.lists(ITEM, max_size=2),
)


def named(names: list[str], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({"type": st.sampled_from(names), "event_id": st.just("e"), **fields})


GA_EVENT = st.one_of(
    named(["session.update", "session.created", "session.updated"], session=SESSION),
    named(["response.create", "response.created", "response.done"], response=RESPONSE),
    named(
        ["conversation.item.create", "conversation.item.retrieved", "response.output_item.added"],
        item=ITEM,
        previous_item_id=st.none() | st.just("p"),
    ),
    named(
        [
            "response.output_audio.done",
            "response.output_audio_transcript.delta",
            "response.output_audio_transcript.done",
            "response.output_text.delta",
            "response.output_text.done",
            "input_audio_buffer.speech_started",
            "output_audio_buffer.clear",
            "vendor.thing",
        ],
        delta=st.text(max_size=3),
    ),
    named(["response.content_part.added"], part=st.just({"type": "audio", "transcript": ""})),
)


@given(GA_EVENT)
def test_to_beta_and_back_is_identity(event: Event) -> None:
    (beta,) = to_beta(event)
    assert to_ga(beta) == (event,)


@given(GA_EVENT)
def test_a_ga_event_stays_as_it_is(event: Event) -> None:
    assert to_ga(event) == (event,)


@given(ITEM)
def test_an_item_added_and_done_comes_back_as_far_as_beta_can_tell(item: Event) -> None:
    added = {"type": "conversation.item.added", "event_id": "e", "previous_item_id": None, "item": item}
    done = added | {"type": "conversation.item.done", "event_id": "e_done"}
    assert to_beta(done) == ()
    (created,) = to_beta(added)
    assert created["type"] == "conversation.item.created"
    expected = (added,) if item["status"] == "in_progress" else (added, done)
    assert to_ga(created) == expected


@given(JSON, JSON, st.sampled_from(["session", "response", "item", "part"]))
def test_arbitrary_json_is_translated_without_complaint(inner: object, name: object, key: str) -> None:
    event = {"type": name, key: inner}
    before = json.dumps(event)
    for result in (*to_ga(event), *to_beta(event)):
        speaks_beta(result)
        json.dumps(result)
    assert json.dumps(event) == before, "the event was changed in place"


@given(st.dictionaries(st.sampled_from(["audio", "content", "modalities", "turn_detection", "voice", "output"]), JSON))
def test_fields_of_any_kind_are_translated_without_complaint(inner: dict[str, object]) -> None:
    for key in ("session", "response", "item"):
        event = {"type": "session.update", key: inner}
        (ga,) = to_ga(event)
        assert to_ga(ga) == (ga,)
        to_beta(event)


BETA_SESSION = {
    "modalities": ["text", "audio"],
    "instructions": "Be brief.",
    "voice": "alloy",
    "input_audio_format": "pcm16",
    "output_audio_format": "g711_ulaw",
    "input_audio_transcription": {"model": "whisper-1"},
    "input_audio_noise_reduction": None,
    "turn_detection": {"type": "server_vad"},
    "max_response_output_tokens": 100,
    "speed": 1.5,
    "temperature": 0.8,
}
GA_SESSION = {
    "type": "realtime",
    "instructions": "Be brief.",
    "output_modalities": ["audio"],
    "max_output_tokens": 100,
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "whisper-1"},
            "noise_reduction": None,
            "turn_detection": {"type": "server_vad"},
        },
        "output": {"voice": "alloy", "format": {"type": "audio/pcmu"}, "speed": 1.5},
    },
}


def test_the_table_of_session_fields() -> None:
    assert to_ga({"type": "session.update", "session": BETA_SESSION}) == (
        {"type": "session.update", "session": GA_SESSION},
    )
    without_temperature = {key: value for key, value in BETA_SESSION.items() if key != "temperature"}
    assert to_beta({"type": "session.update", "session": GA_SESSION}) == (
        {"type": "session.update", "session": without_temperature},
    )


def test_both_sides_of_the_table_are_fields_that_the_openai_package_knows() -> None:
    assert BETA_SESSION.keys() <= beta_session_update.Session.model_fields.keys()
    assert GA_SESSION.keys() <= realtime_session_create_request.RealtimeSessionCreateRequest.model_fields.keys()


def test_what_came_after_beta_is_not_sent_to_it() -> None:
    session = {"type": "realtime", "truncation": "auto", "prompt": {"id": "p"}, "reasoning": {"effort": "low"}}
    assert to_beta({"type": "session.update", "session": session}) == ({"type": "session.update", "session": {}},)


def test_a_ga_field_wins_over_the_flat_one() -> None:
    session = {"voice": "alloy", "audio": {"output": {"voice": "marin"}, "input": {"turn_detection": None}}}
    (event,) = to_ga({"type": "session.update", "session": session})
    assert event["session"] == {
        "type": "realtime",
        "audio": {"output": {"voice": "marin"}, "input": {"turn_detection": None}},
    }


def test_parts_of_the_user_are_named_as_input() -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "text", "text": "hi"}, "noise"]}
    (event,) = to_ga({"type": "conversation.item.create", "item": item})
    assert event["item"] == item | {"content": [{"type": "input_text", "text": "hi"}, "noise"]}


def test_finished_beta_items_are_events_that_the_openai_package_reads() -> None:
    item = {
        "id": "item_1",
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "audio", "transcript": "Hello"}],
    }
    created = {"type": "conversation.item.created", "event_id": "e", "previous_item_id": None, "item": item}
    events = to_ga(created)
    adapter: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
    assert [adapter.validate_python(event).type for event in events] == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert [event["event_id"] for event in events] == ["e", "e_done"]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "session.created", "session": {"modalities": ["text"]}}, True),
        ({"type": "session.update", "session": {"turn_detection": None}}, True),
        ({"type": "session.update", "session": {"type": "realtime", "voice": "alloy"}}, False),
        ({"type": "session.update", "session": {"tools": []}}, False),
        ({"type": "session.update", "session": "?"}, False),
        ({"type": "response.create", "response": {"modalities": ["text"]}}, False),
    ],
)
def test_who_speaks_beta(event: Event, expected: bool) -> None:
    assert speaks_beta(event) is expected
