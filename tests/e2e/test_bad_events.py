"""Whatever a page sends over the channel for events has a defined answer, and the call's audio does not suffer."""

import json
import time

import pytest

from .conftest import Talk
from .sound import Envelope, match_pieces

pytestmark = pytest.mark.e2e

RATE = 24000
STALL = 3.0  # seconds that the browser's audio may stand still, on a machine that is busy with something else
LONGEST = 262_144  # bytes in one message, as our answer says
FLOOD = """async count => {
  const began = Date.now();
  for (let sent = 0; sent < count; sent++) {
    say({type: "session.update", event_id: `flood_${sent}`, session: {type: "realtime", instructions: "Flood."}});
    if (sent % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return Date.now() - began;
}"""


def test_bad_events_beside_good_audio(talk: Talk) -> None:
    model = "recorder-agent-bad-events"
    talk.call_plainly(model)
    talk.wait("session.created")
    talk.say({"type": "session.update", "session": {"type": "realtime"}})
    talk.wait("session.updated")
    talk.voice.edge.wait_until("audio arrives", lambda: len(talk.voice.recording_of(model)) > 10)

    deep = {"type": "session.update", "session": {"tools": json.loads("[" * 100 + "]" * 100)}}
    for text, code in (
        ("", "invalid_json"),
        ("{not JSON", "invalid_json"),
        ('{"type": NaN}', "invalid_json"),
        ("[]", "invalid_event"),
        ('"session.update"', "invalid_event"),
        ("{}", "missing_required_parameter"),
        ('{"type": "session.destroy"}', "unknown_event_type"),
        ('{"type": "session.update", "session": 7}', "invalid_type"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "audio_not_accepted"),
        (json.dumps(deep), "event_too_deep"),
    ):
        last = talk.events[-1]
        talk.page.evaluate("text => call.channel.send(text)", text)
        talk.wait("error", after=last, error={"code": code})
    last = talk.events[-1]
    talk.page.evaluate("call.channel.send(new Uint8Array([0, 255, 254]))")
    talk.wait("error", after=last, error={"code": "invalid_json"})

    # The longest that fits is read; what is longer does not leave the browser, and the channel stays.
    last = talk.events[-1]
    update = {"type": "session.update", "session": {"type": "realtime", "instructions": ""}}
    update["session"]["instructions"] = "x" * (LONGEST - len(json.dumps(update, separators=(",", ":"))))
    talk.say(update)
    talk.wait("session.updated", after=last)
    too_long = """bytes => { try { call.channel.send("x".repeat(bytes)); } catch (error) { return error.name; } }"""
    assert talk.page.evaluate(too_long, LONGEST + 1) == "TypeError"
    assert talk.page.evaluate(too_long, 10_000_000) == "TypeError"

    began = time.time()
    flood(talk)
    talk.page.wait_for_timeout(5000)  # of audio behind it
    microphone = talk.heard("microphone")
    recording = Envelope.of_pieces(talk.voice.recording_of(model), RATE)
    said = microphone.since(began).until(recording.start + recording.seconds - STALL)
    found = match_pieces(said, recording, earliest=-STALL, latest=STALL)
    print(found)
    assert found.correlation > 0.9
    state = talk.voice.call_state(talk.call_id)
    assert state["media"]["sources"][0]["lost"] == 0


def flood(talk: Talk) -> None:
    """Send far too much; what is too much is dropped, a few errors say so, and afterwards all is well."""
    last = talk.events[-1]
    milliseconds = talk.page.evaluate(FLOOD, 10_000)
    talk.wait("error", after=last, error={"code": "rate_limit_exceeded"})
    talk.page.wait_for_function("() => call.channel.bufferedAmount === 0")

    def is_answered() -> bool:
        before = talk.events[-1]
        talk.say({"type": "session.update", "session": {"type": "realtime", "instructions": "Peace."}})
        refused_or_done = [{"type": "error"}, {"type": "session.updated", "session": {"instructions": "Peace."}}]
        waits = "([wanted, from]) => Promise.any(wanted.map((event) => conversation.wait(event, from, 15)))"
        answer = talk.page.evaluate(waits, [refused_or_done, before.index + 1])
        return bool(answer["event"]["type"] == "session.updated")

    talk.voice.edge.wait_until("events are read again", is_answered)
    told = [logged.event for logged in talk.events[last.index + 1 :] if logged.event["type"] == "error"]
    print(f"10,000 events in {milliseconds} ms: {len(told)} errors")
    assert {error["error"]["code"] for error in told} == {"rate_limit_exceeded"}
    assert len(told) < 200
