"""What clients may send, what they get for the rest, and who sees what."""

import json
from typing import ClassVar

import pytest

from transceiver.realtime.client_events import KNOWN_CLIENT_EVENTS, is_listed
from transceiver.realtime.drops import DropReason
from transceiver.realtime.options import BackendProfile, EventLimits


def nested(depth: int) -> str:
    return '{"type":"session.update","event_id":"e","session":' + '{"a":' * depth + "0" + "}" * depth + "}"


@pytest.mark.parametrize(
    ("text", "code", "param", "event_id"),
    [
        ("", "invalid_json", None, None),
        ("{", "invalid_json", None, None),
        ('{"type": NaN}', "invalid_json", None, None),
        ('{"type": 1e999}', "invalid_json", None, None),
        ('{"type": ' + "1" * 5000 + "}", "invalid_json", None, None),
        ("[]", "invalid_event", None, None),
        ("null", "invalid_event", None, None),
        ('"response.create"', "invalid_event", None, None),
        ('{"event_id": "e"}', "missing_required_parameter", "type", "e"),
        ('{"type": 7, "event_id": "e"}', "missing_required_parameter", "type", "e"),
        ('{"type": "", "event_id": 7}', "missing_required_parameter", "type", None),
        ("[" * 100_000, "event_too_deep", None, None),
        ("[" * 100_000 + "]" * 100_000, "event_too_deep", None, None),
        (nested(500), "event_too_deep", None, "e"),
        ('{"type":"input_audio_buffer.append","event_id":"e","audio":"AA"}', "audio_not_accepted", "type", "e"),
        ('{"type":"session.updated","event_id":"e"}', "unknown_event_type", "type", "e"),
        ('{"type":"response.audio.delta","event_id":"e"}', "unknown_event_type", "type", "e"),
        ('{"type":"input_audio_buffer.push","event_id":"e"}', "unknown_event_type", "type", "e"),
        ('{"type":"Shout it","event_id":"e"}', "unknown_event_type", "type", "e"),
        ('{"type":"error","event_id":"e"}', "unknown_event_type", "type", "e"),
        ('{"type":"session.update","event_id":"e"}', "invalid_type", "session", "e"),
        ('{"type":"session.update","event_id":"e","session":[]}', "invalid_type", "session", "e"),
        ('{"type":"conversation.item.create","event_id":"e","item":"x"}', "invalid_type", "item", "e"),
        ('{"type":"conversation.item.delete","event_id":"e"}', "missing_required_parameter", "item_id", "e"),
        ('{"type":"conversation.item.truncate","item_id":3}', "missing_required_parameter", "item_id", None),
        ('{"type":"response.create","event_id":"e","response":"now"}', "invalid_type", "response", "e"),
    ],
)
def test_bad_input_is_answered_and_goes_nowhere(call, text, code, param, event_id) -> None:
    call.connect()
    call.send(text)
    (event,) = call.client
    assert event["type"] == "error"
    assert event["event_id"]
    error = event["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert (error["param"], error["event_id"]) == (param, event_id)
    assert error["message"]
    assert call.backend == []
    assert call.dropped(DropReason.CLIENT_REFUSED) == 1


def test_an_event_of_ten_megabytes_is_refused_unread(call) -> None:
    call.connect()
    call.send('{"type":"response.create","event_id":"e","x":"' + "x" * 10_000_000 + '"}')
    assert call.errors() == [("event_too_large", None)]
    assert call.backend == []


def test_ten_thousand_events_a_second(call) -> None:
    call.connect()
    for number in range(10_000):
        call.send({"type": "conversation.item.delete", "item_id": "i", "event_id": f"e{number}"})
        call.now += 0.0001
    assert len(call.backend) == pytest.approx(500 + 100, abs=2)
    assert call.errors() == [("rate_limit_exceeded", None)] * len(call.client)
    assert len(call.client) == pytest.approx(20 + 5, abs=2)
    assert call.dropped(DropReason.ERROR_UNTOLD) == 10_000 - len(call.backend) - len(call.client)
    call.now += 60
    call.send({"type": "response.create"})
    assert call.told()[-1] == "response.create"


def test_an_event_of_a_vendors_goes_through(call, make_call) -> None:
    call.connect()
    call.send({"type": "duplex.turn.hint", "weight": 0.5})
    assert call.backend[0]["weight"] == 0.5
    strict = make_call(forwards_unknown=False)
    strict.connect()
    strict.send({"type": "duplex.turn.hint"})
    assert strict.errors() == [("unknown_event_type", None)]


@pytest.mark.parametrize("name", sorted(KNOWN_CLIENT_EVENTS))
def test_every_known_event_has_an_effect_or_an_answer(call, name) -> None:
    call.connect()
    call.say("conversation.item.added", item={"id": "i", "type": "message", "role": "user", "content": []})
    call.respond(100)
    call.play(40)
    call.forget()
    call.send({"type": name, "item_id": "i", "session": {"instructions": "x"}, "item": {"type": "message"}})
    assert call.order


def test_events_from_before_the_channel_is_open_are_dropped(call) -> None:
    call.send({"type": "response.create"})
    call.send({"type": "response.create"}, sideband=7)
    assert call.dropped(DropReason.CLIENT_NOT_OPEN) == 2
    assert call.order == []


def test_what_happened_before_the_channel_opened_is_told_then(make_call) -> None:
    call = make_call(max_backlog=4)
    call.open_backend({})
    call.say("session.updated", session={})
    call.say("response.created", response={"id": "r1"})
    for _ in range(6):
        call.say("response.output_audio_transcript.delta", response_id="r1", item_id="i1", delta="a")
    call.say("response.done", response={"id": "r1"})
    assert call.client == []
    call.open_client()
    assert call.seen()[:2] == ["session.created", "response.created"]
    assert call.seen()[-1] == "response.done"
    assert len(call.client) == 5
    assert call.dropped(DropReason.BACKLOG_FULL) == 4


def test_of_too_much_that_happened_before_what_matters_is_kept(make_call) -> None:
    call = make_call(max_backlog=2)
    call.open_backend({})
    call.say("response.created", response={"id": "r1"})
    call.say("response.done", response={"id": "r1"})
    call.say("response.output_text.delta", response_id="r1", item_id="i1", delta="late")
    call.open_client()
    assert call.seen() == ["session.created", "response.created", "response.done"]


def test_settings_from_before_the_channel_opened_are_in_session_created(call) -> None:
    call.open_backend({})
    call.open_sideband()
    call.say("session.updated", session={})
    call.send({"type": "session.update", "session": {"instructions": "x"}}, sideband=1)
    call.say("session.updated", session={})
    call.open_client()
    assert call.seen() == ["session.created"]
    assert call.client[0]["session"]["instructions"] == "x"


def test_names_that_are_too_long_are_not_remembered(call) -> None:
    call.connect()
    call.send({"type": "no", "event_id": "e" * 10_000})
    assert len(str(call.errors()[0][1])) == 512
    call.forget()
    for name, fields in (
        ("response.created", {"response": {"id": "r" * 10_000}}),
        ("conversation.item.added", {"item": {"id": "i" * 10_000}}),
        ("response.output_text.delta", {"response_id": "r" * 10_000}),
    ):
        call.say(name, **fields)
    call.say("")
    assert call.client == []
    assert call.dropped(DropReason.BACKEND_MALFORMED) == 4


def test_a_closed_channel_is_told_nothing_and_a_new_one_begins_anew(call) -> None:
    call.connect()
    call.bridge.client_closed(call.now)
    call.say("response.created", response={"id": "r1"})
    assert call.client == []
    assert call.dropped(DropReason.CLIENT_GONE) == 1
    call.open_client()
    assert call.seen() == ["session.created"]


def test_errors_name_the_event_that_caused_them_and_go_to_who_sent_it(call) -> None:
    call.connect()
    call.open_sideband(1)
    call.open_sideband(2)
    call.forget()
    for sideband in (None, 1, 2):
        call.send({"type": "response.create", "event_id": "same"}, sideband=sideband)
    ids = [event["event_id"] for event in call.backend]
    assert len(set(ids)) == 3, "each name is used once towards the backend"
    for sent_id in ids:
        call.say("error", error={"type": "invalid_request_error", "message": sent_id, "event_id": sent_id})
    told = [call.client, call.sidebands[1], call.sidebands[2]]
    assert [[event["error"]["event_id"] for event in events] for events in told] == [["same"]] * 3
    call.send({"type": "response.create"})
    call.say("error", error={"message": "x", "event_id": call.backend[-1]["event_id"]})
    assert call.errors()[-1] == (None, None), "an event without a name is not given one afterwards"


def test_an_error_about_nothing_in_particular_goes_to_everybody(call) -> None:
    call.connect()
    call.open_sideband()
    call.forget()
    call.say("error", error={"message": "The session will end soon."})
    call.say("error", message="?")
    call.say("error", error="?")
    assert call.seen() == ["error"] * 3
    assert len(call.sidebands[1]) == 3
    assert all(event["error"]["message"] and event["error"]["type"] for event in call.client)


def test_errors_about_the_bridges_own_events_go_to_nobody(call) -> None:
    call.connect()
    call.respond(500)
    call.play(100)
    call.say("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    call.forget()
    call.bridge.receive_backend_event({"type": "error", "error": {"message": "x", "event_id": "zz"}}, call.now)
    call.collect()
    assert call.seen() == ["error"], "this was not ours"


def test_a_refused_truncation_troubles_no_client(call) -> None:
    call.connect()
    call.respond(500)
    call.play(100)
    call.say("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    truncate = call.backend[-1]
    call.forget()
    call.say("error", error={"message": "too long", "event_id": truncate["event_id"]})
    assert call.client == []
    assert call.dropped(DropReason.BACKEND_ERROR_OURS) == 1


class TestRetrieving:
    ITEM: ClassVar = {
        "id": "u1",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None, "audio": "AAAA"}],
    }
    RETRIEVE: ClassVar = {"type": "conversation.item.retrieve", "item_id": "u1", "event_id": "e"}

    def transcribed(self, call):
        call.connect()
        call.say("conversation.item.added", item=self.ITEM)
        call.say("conversation.item.input_audio_transcription.completed", item_id="u1", transcript="Hi.")
        call.forget()
        return call

    def test_audio_stays_here(self, call) -> None:
        self.transcribed(call).open_sideband()
        call.forget()
        call.send(self.RETRIEVE)
        assert call.told() == ["conversation.item.retrieve"]
        call.say("conversation.item.retrieved", item=self.ITEM)
        assert call.client[0]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
        assert call.sidebands[1][0]["item"]["content"][0]["audio"] == "AAAA"

    def test_a_backend_that_turns_out_unable_is_answered_for(self, call) -> None:
        self.transcribed(call)
        call.send(self.RETRIEVE)
        call.say("error", error={"message": "unknown event", "event_id": call.backend[0]["event_id"]})
        call.send(self.RETRIEVE)
        assert call.told() == ["conversation.item.retrieve"], "it is not asked twice"
        assert call.seen() == ["conversation.item.retrieved"] * 2
        assert call.client[0]["item"]["content"] == [{"type": "input_audio", "transcript": "Hi."}]

    def test_an_item_that_nobody_knows(self, make_call) -> None:

        call = self.transcribed(make_call(profile=BackendProfile(retrieves=False)))
        call.send(self.RETRIEVE | {"item_id": "u2"})
        assert call.errors() == [("item_not_found", "e")]
        call.send(self.RETRIEVE)
        assert call.seen()[1:] == ["conversation.item.retrieved"]
        assert call.backend == []


class TestAllowed:
    def test_lists_name_events_or_families(self) -> None:
        names = frozenset({"response.done", "conversation.*"})
        assert is_listed("response.done", names)
        assert is_listed("conversation.item.added", names)
        assert not is_listed("response.created", names)
        assert not is_listed("conversations", names)
        assert is_listed("anything", None)

    def test_a_client_sends_and_gets_what_it_is_allowed(self, make_call) -> None:
        call = make_call(
            client_events=frozenset({"output_audio_buffer.clear"}), server_events=frozenset({"output_audio_buffer.*"})
        )
        call.open_backend({})
        call.open_client()
        call.open_sideband()
        call.send({"type": "response.create", "event_id": "e"})
        assert call.errors() == [("event_not_allowed", "e")]
        call.send({"type": "response.create"}, sideband=1)
        call.respond(100)
        call.play(40)
        call.send({"type": "output_audio_buffer.clear"})
        assert call.seen() == [
            "session.created",
            "error",
            "output_audio_buffer.started",
            "output_audio_buffer.cleared",
        ]
        seen = [event["type"] for event in call.sidebands[1]]
        assert "response.created" in seen
        assert "conversation.item.added" in seen
        assert call.dropped(DropReason.NOT_ALLOWED) == 3


class TestSidebands:
    def test_each_gets_a_session_created_of_its_own_and_every_event(self, call) -> None:
        call.open_sideband(1)
        call.open_backend({"instructions": "x"})
        call.open_client()
        call.open_sideband(2)
        call.say("session.updated", session={})
        call.say("response.created", response={"id": "r1"})
        for events in (call.client, call.sidebands[1], call.sidebands[2]):
            assert [event["type"] for event in events] == ["session.created", "response.created"]
        assert call.client[0]["event_id"] != call.sidebands[2][0]["event_id"]
        assert call.client[0]["session"]["id"] == call.sidebands[1][0]["session"]["id"]

    def test_what_one_sends_the_others_see_the_effect_of(self, call) -> None:
        call.connect()
        call.open_sideband()
        call.forget()
        call.send({"type": "session.update", "session": {"instructions": "x"}}, sideband=1)
        call.say("session.updated", session={})
        assert call.seen() == ["session.updated"]
        assert [event["type"] for event in call.sidebands[1]] == ["session.updated"]

    def test_audio_comes_from_nobody(self, call) -> None:
        call.connect()
        call.open_sideband()
        call.forget()
        call.send({"type": "input_audio_buffer.append", "audio": "", "event_id": "e"}, sideband=1)
        assert call.sidebands[1][0]["error"]["code"] == "audio_not_accepted"
        assert call.client == []

    def test_one_that_left_is_told_nothing(self, call) -> None:
        call.connect()
        call.open_sideband()
        call.send({"type": "response.create", "event_id": "e"}, sideband=1)
        call.bridge.sideband_closed(1, call.now)
        call.bridge.sideband_closed(9, call.now)
        call.forget()
        call.say("error", error={"message": "x", "event_id": "e"})
        assert call.sidebands == {}
        assert call.client == []

    def test_there_are_only_so_many(self, make_call) -> None:
        call = make_call(max_sidebands=2)
        for number in range(3):
            call.open_sideband(number)
        assert call.closed == [2]
        assert 2 not in call.sidebands

    def test_one_that_floods_leaves_the_others_alone(self, make_call) -> None:
        call = make_call(limits=EventLimits(burst=5, events_per_second=1))
        call.connect()
        call.open_sideband()
        for _ in range(10):
            call.send({"type": "response.create"}, sideband=1)
        call.forget()
        call.send({"type": "response.create"})
        assert call.told() == ["response.create"]


class TestBeta:
    def test_a_client_that_shows_that_it_speaks_beta_is_answered_in_beta(self, call) -> None:
        call.open_backend({})
        call.open_client()
        call.say("session.updated", session={})
        call.forget()
        call.send({"type": "session.update", "session": {"modalities": ["text", "audio"], "voice": "alloy"}})
        session = call.backend[0]["session"]
        assert session["output_modalities"] == ["audio"]
        assert session["audio"]["output"]["voice"] == "alloy"
        call.say("session.updated", session={})
        answer = call.client[0]["session"]
        assert answer["modalities"] == ["text", "audio"]
        assert answer["voice"] == "alloy"
        assert answer["input_audio_format"] == "pcm16"
        assert not {"audio", "type", "output_modalities"} & answer.keys()
        item = {"id": "i1", "type": "message", "role": "assistant", "status": "completed", "content": []}
        call.say("conversation.item.added", item=item)
        call.say("conversation.item.done", item=item)
        call.say("response.output_audio_transcript.delta", item_id="i1", response_id="r1", delta="Hi")
        assert call.seen()[1:] == ["conversation.item.created", "response.audio_transcript.delta"]

    def test_the_others_are_not(self, call) -> None:
        call.connect()
        call.open_sideband()
        call.send({"type": "session.update", "session": {"voice": "alloy"}}, sideband=1)
        call.forget()
        call.say("response.output_text.delta", item_id="i1", response_id="r1", delta="Hi")
        assert call.seen() == ["response.output_text.delta"]
        assert [event["type"] for event in call.sidebands[1]] == ["response.text.delta"]


class TestLength:
    def test_what_a_client_cannot_be_without_is_trimmed(self, make_call) -> None:
        call = make_call(max_client_message=1000)
        call.open_backend({"instructions": "x" * 5000})
        call.open_client()
        call.open_sideband()
        assert call.seen() == ["session.created"]
        assert call.client[0]["session"]["id"]
        assert "instructions" not in call.client[0]["session"]
        assert len(call.sidebands[1][0]["session"]["instructions"]) == 5000
        tool = {"id": "f", "type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}
        long = {
            "id": "i",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "y" * 3000}],
        }
        call.say("response.done", response={"id": "r", "status": "completed", "output": [long, tool]})
        done = call.client[-1]["response"]
        assert done["status"] == "completed"
        assert [item["id"] for item in done["output"]] == ["f"]
        assert call.dropped(DropReason.TRIMMED_FOR_CLIENT) == 2

    def test_the_rest_is_left_out(self, make_call) -> None:
        call = make_call(max_client_message=1000)
        call.connect()
        call.say("response.output_text.done", response_id="r", item_id="i", text="y" * 3000)
        call.say("response.output_text.done", response_id="r", item_id="i", text="\u00fc" * 600)
        call.say("response.output_text.done", response_id="r", item_id="i", text="short")
        assert [event["text"] for event in call.client] == ["short"]
        assert call.dropped(DropReason.UNSENDABLE) == 2

    def test_lone_surrogates_and_what_is_no_json(self, call) -> None:
        call.connect()
        call.open_sideband()
        call.forget()
        call.say("vendor.thing", text="\ud800", umlaut="\u00fc")
        assert call.client[0]["umlaut"] == "\u00fc"
        for output in call.order:
            output.text.encode()
        call.say("vendor.thing", value=float("nan"))
        call.say("vendor.thing", value=object())
        assert len(call.client) == 1
        assert call.dropped(DropReason.UNSENDABLE) == 4


def test_the_state_of_it_all_is_told_in_json_of_bounded_size(call) -> None:
    call.connect()
    for number in range(500):
        call.say(f"vendor.event{number}")
        call.say("vendor." + "x" * 1000)
    call.respond(100)
    call.play(60)
    told = call.bridge.describe()
    text = json.dumps(told)
    assert len(text) < 8000
    assert told["backend"] == "open"
    assert told["is_agent_speaking"]
    assert told["events_from_backend"]["other"] > 400
    assert told["events_from_clients"] == {"session.update": 1}
