"""The stock client from npm talks with an agent, with nothing changed in it but the URL.

Each test runs twice: the agent is in the transceiver, or behind a WebSocket, in a process of its own.
"""

from collections.abc import Iterator

import pytest

from .conftest import Talk
from .sound import match

pytestmark = pytest.mark.e2e

TURNS = 3  # at most: a machine that is busy with something else lets the browser's audio stall now and then
ORDER = (
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
)
WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": [],
        "additionalProperties": False,
    },
    "answer": "sunny",
}


@pytest.fixture(params=["agent", "remote"])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def caller(talk: Talk) -> Iterator[Talk]:
    """One whose application has not seen a single error."""
    yield talk
    assert talk.errors() == []


def test_connect_resolves_and_close_frees_everything(caller: Talk, place: str) -> None:
    voice = caller.voice
    calls, flows = voice.calls(), voice.flows()
    made = caller.call_with_agents(f"parrot-{place}")
    assert made["callId"] == caller.call_id != ""
    assert made["connectMs"] < 4000  # after 5 s it resolves without `session.updated`
    updated = caller.wait("session.updated")
    session = updated.event["session"]
    assert session["instructions"] == "Say back what you hear."
    assert next(name for name in caller.names() if name != "connection") == "session.created"
    # The client asks for traces once it has seen the session, and has that acknowledged, too.
    caller.wait("session.updated", after=updated)
    assert (voice.calls(), voice.flows()) == (calls + 1, flows + 1)

    caller.hang_up()
    assert caller.events[-1].event == {"type": "connection", "state": "disconnected"}
    assert voice.end_of(caller.call_id) in {"client-hung-up", "close-notify"}
    voice.wait_until_free(calls, flows)


def test_what_is_said_is_answered_when_the_microphone_is_muted(caller: Talk, place: str) -> None:
    caller.call_with_agents(f"parrot-{place}", talking=False)
    for _ in range(TURNS):
        before = caller.events[-1]
        caller.speak_for(2.5)  # by the client's own mute()
        stopped = caller.wait("input_audio_buffer.speech_stopped", after=before)
        started = caller.wait("output_audio_buffer.started", after=before)
        began = caller.wait_for_sound(since=started)
        stopped_playing = caller.wait("output_audio_buffer.stopped", after=before)
        caller.wait_for_silence()
        names = caller.names()[before.index + 1 :]
        assert tuple(sorted(ORDER, key=names.index)) == ORDER
        done = caller.wait("response.done", after=before, response={"status": "completed"})
        assert done.index < stopped_playing.index

        said = caller.heard("microphone").since(before.at)
        found = match(said, caller.heard().since(started.at - 0.1), earliest=0.5, latest=6.0)
        print(f"answer after {began - stopped.at:.3f} s; {found}")
        assert found.seconds > 2
        assert abs(found.gain) < 2
        if found.correlation > 0.9:
            return
    pytest.fail(f"the answer is not what was said: {found}")


def test_barge_in(caller: Talk, place: str) -> None:
    caller.call_with_agents(f"storyteller-{place}", talking=False)
    caller.speak_for(0.5)
    caller.wait_for_sound(since=caller.wait("output_audio_buffer.started"), lasting=0.2)
    before = caller.events[-1]
    caller.speak()
    started = caller.wait("input_audio_buffer.speech_started", after=before)
    cleared = caller.wait("output_audio_buffer.cleared", after=before)
    silent = caller.wait_for_silence(since=started)
    done = caller.wait("response.done", after=before)
    truncated = caller.wait("conversation.item.truncated", after=before)
    print(f"cleared after {cleared.at - started.at:.3f} s, silent after {silent - started.at:.3f} s, {truncated.event}")
    assert cleared.at - started.at <= 0.06
    assert silent - started.at < 0.3
    response = done.event["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"]["reason"] == "turn_detected"
    assert truncated.event["audio_end_ms"] < 5000  # of some that the agent was ahead


def test_an_answer_that_is_made_already_is_cut_off_too(caller: Talk, place: str) -> None:
    caller.call_with_agents(f"parrot-{place}", talking=False)
    caller.speak_for(2.5)
    caller.wait_for_sound(since=caller.wait("output_audio_buffer.started"), lasting=0.2)
    done = caller.wait("response.done", response={"status": "completed"})
    caller.speak()
    started = caller.wait("input_audio_buffer.speech_started", after=done)
    cleared = caller.wait("output_audio_buffer.cleared", after=done)
    silent = caller.wait_for_silence(since=started)
    print(f"cleared after {cleared.at - started.at:.3f} s, silent after {silent - started.at:.3f} s")
    assert cleared.at - started.at <= 0.06
    assert silent - started.at < 0.3


def test_interrupt(caller: Talk, place: str) -> None:
    caller.call_with_agents(f"storyteller-{place}", talking=False)
    caller.page.evaluate("call.session.sendMessage('Tell me a story.')")
    caller.wait_for_sound(since=caller.wait("output_audio_buffer.started"), lasting=0.2)
    before = caller.events[-1]
    caller.page.evaluate("call.session.interrupt()")
    cleared = caller.wait("output_audio_buffer.cleared", after=before)
    silent = caller.wait_for_silence(since=cleared)
    done = caller.wait("response.done", after=before)
    print(f"silent after {silent - cleared.at:.3f} s")
    assert silent - cleared.at < 0.3
    response = done.event["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"]["reason"] == "client_cancelled"


def test_a_tool_is_called_and_its_result_told(caller: Talk, place: str) -> None:
    caller.call_with_agents(f"parrot-{place}", talking=False, tools=[WEATHER])
    asked = caller.events[-1]
    caller.page.evaluate("""call.session.sendMessage('call weather {"city": "Dublin"}')""")
    told = caller.wait("response.output_audio_transcript.done", transcript="weather says: sunny")
    caller.wait("output_audio_buffer.started")
    # The answer is a beep of 150 ms, the first sound of the call. All of it arrives (a jitter buffer may stretch or
    # shorten it by some 10 ms), but what a page hears of it may be interrupted.
    caller.wait_for_sound(since=asked, lasting=0.12, broken=True)
    assert caller.page.evaluate("call.called") == [{"name": "weather", "input": {"city": "Dublin"}}]

    caller.wait("response.done", after=told)
    choice = {"type": "function", "name": "weather"}
    caller.page.evaluate(
        "choice => call.session.transport.sendEvent({type: 'response.create', response: {tool_choice: choice}})", choice
    )
    caller.wait("response.output_audio_transcript.done", after=told, transcript="weather says: sunny")
    assert caller.page.evaluate("call.called.at(-1)") == {"name": "weather", "input": {}}
