"""Backends that do the wrong thing behind a call that is going on: the client is told, the call lives."""

import time
from collections.abc import Callable

import pytest

from .conftest import Talk

pytestmark = pytest.mark.e2e

LOST = {"type": "server_error", "code": "backend_disconnected"}


def assert_call_lives(talk: Talk) -> None:
    """The call goes on in both directions, and the client is answered."""

    def packets() -> tuple[int, int]:
        state = talk.voice.call_state(talk.call_id)
        assert state["state"] == "established"
        return state["media"]["packets_in"], state["media"]["packets_out"]

    before = packets()
    talk.voice.edge.wait_until(
        "audio goes on both ways", lambda: all(now > then for now, then in zip(packets(), before, strict=True))
    )
    last = talk.events[-1]
    talk.say({"type": "session.update", "event_id": "mine", "session": {"type": "realtime", "instructions": "New."}})
    assert talk.wait("session.updated", after=last).event["session"]["instructions"] == "New."


def test_backends_that_never_answer(open_talk: Callable[[], Talk]) -> None:
    began = time.monotonic()
    reasons = {
        "gone": "could not be reached",
        "refuses": "refused with 403: Not with this key.",
        "hangs": "could not be reached",
        "silent": "said nothing",
        "babbles": "no Realtime event",
    }
    talks = {model: open_talk() for model in reasons}
    for model, talk in talks.items():
        talk.call_plainly(model)
    for model, talk in talks.items():
        created = talk.wait("session.created")
        assert created.event["session"]["type"] == "realtime"
        talk.wait("error", error=LOST)
        assert reasons[model] in talk.voice.logged("backend lost", talk.call_id)["reason"]
        print(f"{model}: lost after {time.monotonic() - began:.1f} s")
    for talk in talks.values():
        # Who asks for an answer is told, and not left waiting.
        talk.say({"type": "response.create", "event_id": "question"})
        talk.wait("error", error={**LOST, "event_id": "question"})
        assert_call_lives(talk)
        assert set(talk.names()) <= {"channel.open", "connection", "session.created", "session.updated", "error"}


def test_a_backend_dies_mid_word(talk: Talk) -> None:
    talk.call_plainly("obedient", talking=False)
    talk.wait("session.created")
    talk.write("die")
    talk.wait("error", error=LOST)
    talk.wait("response.done", response={"status": "failed"})
    # What came of it is still heard; a reset takes away what was on its way.
    started = talk.wait("output_audio_buffer.started")
    talk.wait_for_sound(since=started)
    stopped = talk.wait("output_audio_buffer.stopped")
    assert 0.3 < stopped.at - started.at < 2.3
    assert_call_lives(talk)
    assert talk.voice.logged("backend lost", talk.call_id)["will_retry"] is False


def test_a_backend_comes_back_and_is_told_what_it_missed(talk: Talk) -> None:
    talk.call_plainly("reconnecting", talking=False)
    talk.wait("session.created")
    talk.say({"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}})
    talk.wait("session.updated")
    talk.write("remember this")
    talk.wait("conversation.item.added")
    first = talk.voice.heard_by("reconnecting")
    talk.write("die")
    lost = talk.wait("error", error=LOST)
    wait_until = talk.voice.edge.wait_until
    wait_until("the backend is called again", lambda: talk.voice.heard_by("reconnecting") is not first)
    second = talk.voice.heard_by("reconnecting")
    wait_until("it is told the conversation", lambda: len(second.of_type("conversation.item.create")) > 1)
    assert second.of_type("session.update")[0]["session"]["instructions"] == "Be brief."
    told = [event["item"]["content"][0]["text"] for event in second.of_type("conversation.item.create")]
    assert told[:2] == ["remember this", "die"]
    again = talk.events[-1]
    talk.write("speak 1")
    talk.wait("response.done", after=lost, response={"status": "completed"})
    talk.wait_for_sound(since=talk.wait("output_audio_buffer.started", after=again))


def test_nonsense_between_events_is_passed_over(talk: Talk) -> None:
    talk.call_plainly("obedient", talking=False)
    talk.wait("session.created")
    talk.write("babble")
    talk.wait("response.done", response={"status": "completed"})
    talk.wait_for_sound(since=talk.wait("output_audio_buffer.started"))
    talk.wait("output_audio_buffer.stopped")
    assert talk.errors() == []


def test_a_backend_that_answers_in_the_beta_shape(talk: Talk) -> None:
    talk.call_plainly("beta", talking=False)
    talk.wait("session.created")
    talk.say({"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}})
    talk.wait("session.updated", session={"type": "realtime", "instructions": "Be brief."})
    talk.write("speak 1")
    talk.wait("conversation.item.added")
    talk.wait("response.output_audio_transcript.delta")
    talk.wait("response.done", response={"status": "completed"})
    talk.wait_for_sound(since=talk.wait("output_audio_buffer.started"))
    talk.wait("output_audio_buffer.stopped")
    assert talk.errors() == []
    assert not any("response.audio" in name for name in talk.names())

    told = talk.voice.heard_by("beta").of_type("session.update")[-1]["session"]
    assert told["instructions"] == "Be brief."
    assert told["input_audio_format"] == "pcm16"
    assert "type" not in told
    assert "audio" not in told


def test_a_minute_of_speech_at_once_is_played_in_its_time_and_cut_off_at_once(talk: Talk) -> None:
    talk.call_plainly("obedient", talking=False)
    talk.wait("session.created")
    talk.write("speak 60")
    started = talk.wait("output_audio_buffer.started")
    done = talk.wait("response.done", response={"status": "completed"})
    assert done.at - started.at < 5  # all of it is here
    talk.page.wait_for_timeout(3000)
    talk.wait_for_sound()
    before = talk.events[-1]
    talk.write("hear")
    heard = talk.wait("input_audio_buffer.speech_started", after=before)
    cleared = talk.wait("output_audio_buffer.cleared", after=before)
    silent = talk.wait_for_silence(since=heard)
    print(f"received within {done.at - started.at:.2f} s, silent after {silent - heard.at:.3f} s")
    assert cleared.at - heard.at <= 0.06
    assert silent - heard.at < 0.3

    backend = talk.voice.heard_by("obedient")
    talk.voice.edge.wait_until("the backend is told", lambda: backend.of_type("conversation.item.truncate"))
    heard_ms = backend.of_type("conversation.item.truncate")[0]["audio_end_ms"]
    assert heard_ms == pytest.approx((heard.at - started.at) * 1000, abs=400)
    assert "output_audio_buffer.stopped" not in talk.names()
    talk.write("speak 1")
    talk.wait("output_audio_buffer.stopped")
