"""Nothing that anybody says raises, and nothing grows without bound."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transceiver.realtime.outputs import ToBackend, ToClient, ToSideband

NAMES = [
    "session.update",
    "session.updated",
    "session.created",
    "error",
    "response.create",
    "response.cancel",
    "response.created",
    "response.done",
    "response.output_audio.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "conversation.item.create",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieve",
    "conversation.item.retrieved",
    "conversation.item.truncate",
    "conversation.item.deleted",
    "conversation.item.created",
    "output_audio_buffer.clear",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "input_audio_buffer.append",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "rate_limits.updated",
    "vendor.thing",
    "ping",
]
KEYS = [
    "event_id",
    "item_id",
    "response_id",
    "item",
    "response",
    "session",
    "error",
    "audio",
    "input",
    "output",
    "id",
    "role",
    "content",
    "part",
    "status",
    "usage",
    "content_index",
    "audio_end_ms",
    "transcript",
    "delta",
    "turn_detection",
    "type",
    "tools",
    "instructions",
    "voice",
    "modalities",
    "call_id",
]
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["r1", "i1", "message", "user", "assistant", "function_call", "audio", "text", "\ud800", ""])
)
JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)
EVENT = st.builds(
    lambda name, fields: {**fields, "type": name}, st.sampled_from(NAMES), st.dictionaries(st.sampled_from(KEYS), JSON)
)
STEP = st.one_of(
    st.tuples(st.just("client"), EVENT | JSON),
    st.tuples(st.just("sideband"), EVENT),
    st.tuples(st.just("backend"), EVENT),
    st.tuples(st.just("backend"), EVENT),
    st.tuples(st.sampled_from(["speak", "play", "hear", "wait", "lose", "retry", "open", "close"]), st.none()),
)


def step(call, kind: str, value: object) -> None:
    match kind:
        case "client":
            call.send(value)
        case "sideband":
            call.send(value, sideband=1)
        case "backend":
            call.bridge.receive_backend_event(value, call.now)
        case "speak":
            call.speak(60)
        case "play":
            call.play(80)
        case "hear":
            call.hear(60)
        case "wait":
            call.wait(1.0)
        case "lose":
            call.lose_backend()
        case "retry":
            call.lose_backend(will_retry=True)
        case "open":
            call.open_backend()
        case "close":
            call.bridge.client_closed(call.now)
            call.open_client()
    call.collect()


def check(call) -> None:
    """What goes out is sound: JSON that can be encoded, and to the client no audio."""
    for output in call.order:
        if isinstance(output, ToClient | ToSideband):
            output.text.encode()
            event = json.loads(output.text)
            assert event["event_id"]
            assert "audio.delta" not in event["type"]
        elif isinstance(output, ToBackend):
            json.dumps(output.event)
            assert output.event["type"] != "output_audio_buffer.clear"
    json.dumps(call.bridge.describe())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(STEP, max_size=15))
def test_whatever_anybody_says(make_call, steps) -> None:
    call = make_call()
    call.connect()
    call.open_sideband()
    for kind, value in steps:
        step(call, kind, value)
    check(call)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(STEP, max_size=15))
def test_whatever_anybody_says_before_anything_is_open(make_call, steps) -> None:
    call = make_call(hides_configuration=True, max_client_message=600)
    for kind, value in steps:
        step(call, kind, value)
    check(call)


@pytest.mark.parametrize("seed", range(3))
def test_texts_that_are_nearly_json(call, seed: int) -> None:
    call.connect()
    rng = random.Random(seed)
    good = json.dumps({"type": "session.update", "event_id": "e", "session": {"audio": {"input": {"x": [1, "a"]}}}})
    for _ in range(300):
        text = list(good)
        for _ in range(rng.randrange(1, 4)):
            text[rng.randrange(len(text))] = rng.choice('{}[]",:0ea\\\x00\ud800')
        call.send("".join(text))
        call.now += 1
    check(call)


def test_a_long_call_takes_no_more_memory_than_a_short_one(call) -> None:
    call.connect()
    sizes = []
    for number in range(600):
        call.say("conversation.item.added", item={"id": f"u{number}", "type": "message", "role": "user", "content": []})
        call.respond(40, f"r{number}", f"i{number}")
        call.play(60)
        call.finish(f"r{number}")
        call.send({"type": "conversation.item.retrieve", "item_id": f"u{number}"})
        call.play(20)
        call.forget()
        if number % 300 == 299:
            parts = call.bridge._parts
            backend = call.bridge._backend
            sizes.append(
                (
                    len(parts.items),
                    len(parts.playback._responses),
                    len(backend._correlation._sent),
                    len(parts.updates),
                    len(parts.outputs),
                )
            )
    assert sizes[0][:2] == sizes[1][:2] == (200, 32)
    assert sizes[1][2] == 512
    assert sizes[1][3:] == (0, 0)
