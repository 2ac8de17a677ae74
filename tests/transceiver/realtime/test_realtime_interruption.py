"""Who is heard, and how the agent is cut off."""

import pytest

from transceiver.audio.speech_queue import Heard
from transceiver.backends.contract import Speech
from transceiver.realtime.drops import DropReason
from transceiver.realtime.options import BackendProfile
from transceiver.realtime.outputs import ToBackend, ToClient

SPEECH_STARTED = {"item_id": "u2", "audio_start_ms": 10}


def barge_in(call) -> None:
    call.say("input_audio_buffer.speech_started", **SPEECH_STARTED)


def test_the_caller_cuts_the_agent_off(call) -> None:
    call.connect()
    call.bridge.set_playout_delay(0.08)
    call.respond(2000)
    call.play(500)
    call.forget()
    barge_in(call)
    assert call.queue.take(480) is None, "silence from the next frame on"
    assert call.seen() == ["input_audio_buffer.speech_started", "output_audio_buffer.cleared"]
    assert call.client[1]["response_id"] == "r1"
    (truncate,) = call.backend
    assert truncate["type"] == "conversation.item.truncate"
    assert (truncate["item_id"], truncate["content_index"], truncate["audio_end_ms"]) == ("i1", 0, 420)
    kinds = [type(output) for output in call.order]
    assert kinds == [ToClient, ToClient, ToBackend]
    call.speak(100)
    assert not call.queue.has_speech, "late speech of the response is dropped"
    assert call.dropped(DropReason.SPEECH_CANCELLED) == 1
    call.finish(status="cancelled", reason="turn_detected")
    call.say("conversation.item.truncated", item_id="i1", content_index=0, audio_end_ms=420)
    assert call.seen()[2:] == ["response.output_audio.done", "response.done", "conversation.item.truncated"]
    call.play(100)
    assert "output_audio_buffer.stopped" not in call.seen()
    assert call.bridge.describe()["interruptions"] == 1
    call.respond(100, "r2", "i2")
    call.play(40)
    assert call.seen()[-1] == "output_audio_buffer.started", "the next response is heard"


@pytest.mark.parametrize(
    ("delay", "played", "received", "expected"),
    [(0.1, 60, 2000, 0), (0.1, 1000, 1000, 900), (0.0, 140, 110, 110), (0.0, 500, 2000, 500), (-1.0, 40, 100, 40)],
)
def test_no_more_is_truncated_to_than_was_heard_and_received(call, delay, played, received, expected) -> None:
    call.connect()
    call.bridge.set_playout_delay(delay)
    call.respond(received)
    call.play(played)
    barge_in(call)
    assert [event["audio_end_ms"] for event in call.backend] == [expected]


def test_silence_that_fills_up_a_frame_was_not_received(call, monkeypatch) -> None:
    call.connect()
    call.bridge.set_playout_delay(0)
    call.respond(110)
    call.play(40)
    heard = Heard(speech=Speech("r1", "i1"), sent_ms=120, received_ms=110)
    monkeypatch.setattr(type(call.queue), "flush", lambda queue: heard)
    barge_in(call)
    assert call.backend[0]["audio_end_ms"] == 110


def test_what_began_just_now_began_before_it_was_cut_off(call) -> None:
    call.connect()
    call.respond(500)
    call.queue.take(480)
    barge_in(call)
    assert call.seen()[-3:] == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.started",
        "output_audio_buffer.cleared",
    ]


def test_silence_between_two_deltas_can_be_interrupted_too(call) -> None:
    call.connect()
    call.respond(100)
    call.play(300)
    assert not call.queue.has_speech
    barge_in(call)
    assert call.seen()[-1] == "output_audio_buffer.cleared"
    assert call.backend[-1]["audio_end_ms"] == 0


def test_speech_that_nobody_plays_is_not_interrupted(call) -> None:
    call.connect()
    call.respond(100)
    call.play(40)
    call.finish()
    call.play(100)
    assert call.seen()[-1] == "output_audio_buffer.stopped"
    call.forget()
    barge_in(call)
    assert call.seen() == ["input_audio_buffer.speech_started"]
    assert call.backend == []


def test_who_does_not_want_to_be_interrupted_is_not(call) -> None:
    call.connect()
    detection = {"type": "server_vad", "interrupt_response": False}
    call.send({"type": "session.update", "session": {"audio": {"input": {"turn_detection": detection}}}})
    call.say("session.updated", session={})
    call.respond(500)
    call.play(40)
    barge_in(call)
    assert call.queue.has_speech
    assert call.seen()[-1] == "input_audio_buffer.speech_started"


def test_the_backend_decides_where_the_client_said_nothing(call) -> None:
    call.open_backend({"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}})
    call.open_client()
    call.respond(500)
    call.play(40)
    barge_in(call)
    assert call.queue.has_speech


def test_a_backend_that_does_not_cancel_is_asked_to(make_call) -> None:
    call = make_call(profile=BackendProfile(cancels_on_speech=False))
    call.connect()
    call.respond(500)
    call.play(40)
    call.forget()
    barge_in(call)
    assert call.told() == ["conversation.item.truncate", "response.cancel"]
    assert call.backend[1]["response_id"] == "r1"


def test_a_response_without_speech_yet_is_cancelled_too(make_call) -> None:
    call = make_call(profile=BackendProfile(cancels_on_speech=False))
    call.connect()
    call.say("response.created", response={"id": "r1"})
    call.forget()
    barge_in(call)
    assert call.told() == ["response.cancel"]
    call.speak(100)
    assert not call.queue.has_speech


def test_a_backend_that_cannot_truncate_is_not_asked_to(make_call) -> None:
    call = make_call(profile=BackendProfile(truncates=False))
    call.connect()
    call.respond(500)
    call.play(200)
    call.forget()
    barge_in(call)
    assert call.told() == []
    assert call.seen() == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    assert call.client[2]["audio_end_ms"] == 100
    call.send({"type": "conversation.item.truncate", "item_id": "i1", "content_index": 0, "audio_end_ms": 50})
    assert call.told() == []
    assert call.seen()[-1] == "conversation.item.truncated"


def test_a_backend_may_say_first_that_it_cancelled(call) -> None:
    call.connect()
    call.respond(500)
    call.play(200)
    call.forget()
    call.say("response.done", response={"id": "r1", "status": "cancelled"})
    assert call.seen() == ["response.done", "output_audio_buffer.cleared"]
    assert call.told() == ["conversation.item.truncate"]
    barge_in(call)
    assert call.seen()[2:] == ["input_audio_buffer.speech_started"]
    assert call.bridge.describe()["interruptions"] == 1


def test_items_behind_the_one_that_was_cut_off_were_not_heard_at_all(call) -> None:
    call.connect()
    call.respond(300)
    call.speak(300, item="i2")
    call.speak(300, item="i3")
    call.play(400)
    call.forget()
    barge_in(call)
    assert [(event["item_id"], event["audio_end_ms"]) for event in call.backend] == [("i2", 0), ("i3", 0)]


def test_the_client_clears(call) -> None:
    call.connect()
    call.respond(2000)
    call.play(400)
    call.forget()
    call.send({"type": "response.cancel"})
    call.send({"type": "output_audio_buffer.clear"})
    assert call.told() == ["response.cancel", "conversation.item.truncate"], "the clearing itself is ours"
    assert call.seen() == ["output_audio_buffer.cleared"]
    assert not call.queue.has_speech
    call.finish(status="cancelled", reason="client_cancelled")
    assert call.seen()[1:] == ["response.output_audio.done", "response.done"]
    assert call.bridge.describe()["clears"] == 1


def test_clearing_silence_says_nothing(call) -> None:
    call.connect()
    call.send({"type": "output_audio_buffer.clear"})
    assert call.client == []
    assert call.backend == []


@pytest.mark.parametrize("cancel", [{}, {"response_id": "r1"}])
def test_what_the_client_cancels_is_played_as_far_as_it_came_and_no_farther(call, cancel) -> None:
    call.connect()
    call.respond(200)
    call.play(40)
    call.send({"type": "response.cancel", **cancel})
    call.speak(200)
    call.say("response.output_audio_transcript.delta", response_id="r1", item_id="i1", delta="more")
    assert call.dropped(DropReason.SPEECH_CANCELLED) == 2
    assert "response.output_audio_transcript.delta" not in call.seen()
    call.finish(status="cancelled", reason="client_cancelled")
    assert call.queue.has_speech, "cancelling does not clear"
    call.play(200)
    assert call.seen()[-2:] == ["response.done", "output_audio_buffer.stopped"]


def test_cancelling_another_response_leaves_this_one(call) -> None:
    call.connect()
    call.respond(200)
    call.send({"type": "response.cancel", "response_id": "r0"})
    call.speak(200)
    assert call.dropped(DropReason.SPEECH_CANCELLED) == 0


def test_stopped_waits_for_the_last_frame_and_for_the_end_of_the_response(call) -> None:
    call.connect()
    call.respond(100)
    call.say("response.output_audio.done", response_id="r1", item_id="i1")
    call.play(200)
    assert "output_audio_buffer.stopped" not in call.seen()
    call.speak(100, item="i2")
    call.play(60)
    assert call.seen().count("output_audio_buffer.started") == 1, "it is still the same response"
    call.say("response.done", response={"id": "r1"})
    assert call.seen()[-1] == "response.done"
    call.play(200)
    assert call.seen()[-1] == "output_audio_buffer.stopped"
    assert call.client[-1]["response_id"] == "r1"


def test_a_response_that_never_ends_is_over_when_the_next_is_heard(call) -> None:
    call.connect()
    call.respond(100)
    call.say("response.output_audio.done", response_id="r1")
    call.play(200)
    call.respond(100, "r2", "i2")
    call.play(40)
    assert call.seen()[-2:] == ["output_audio_buffer.stopped", "output_audio_buffer.started"]
    assert [event["response_id"] for event in call.client[-2:]] == ["r1", "r2"]


def test_a_response_of_text_has_no_audio_buffer(call) -> None:
    call.connect()
    call.say("response.created", response={"id": "r1"})
    call.say("response.done", response={"id": "r1"})
    call.play(100)
    assert call.seen() == ["response.created", "response.done"]


def test_speech_after_the_end_and_too_much_speech_are_dropped(make_call) -> None:
    call = make_call(max_seconds=1.0)
    call.connect()
    call.respond(900)
    call.speak(60_000)
    assert call.dropped(DropReason.SPEECH_OVERFLOW) == 1
    call.finish()
    call.speak(20)
    assert call.dropped(DropReason.SPEECH_AFTER_DONE) == 1
    call.play(1000)
    assert call.seen()[-1] == "output_audio_buffer.stopped"


def test_the_backends_own_words_about_buffers_and_audio_are_not_passed_on(call) -> None:
    call.connect()
    call.open_sideband()
    call.forget()
    call.say("output_audio_buffer.started", response_id="r1")
    call.say("response.output_audio.delta", response_id="r1", delta="AAAA")
    assert call.client == []
    assert call.sidebands == {}
    assert call.dropped(DropReason.BACKEND_AUDIO_EVENT) == 2


def test_many_responses_are_forgotten(call) -> None:
    call.connect()
    for number in range(100):
        call.say("response.created", response={"id": f"r{number}"})
    assert call.bridge.describe()["responses_in_progress"] == 32
