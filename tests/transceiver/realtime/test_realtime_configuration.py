"""The way of a `session.update`: what the backend is told, and what callers are answered."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transceiver.calls import CallWishes
from transceiver.realtime.drops import DropReason
from transceiver.realtime.options import BackendProfile
from transceiver.realtime.session_config import merge_session, told_session, without_fields

PLAIN = BackendProfile(is_told_formats=False)
ALL = BackendProfile(unsupported_fields=frozenset(), turn_detection_types=frozenset({"server_vad", "semantic_vad"}))


def update(**session: object) -> dict[str, object]:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


@pytest.mark.parametrize("field", ["tracing", "prompt", "include", "truncation", "reasoning"])
def test_fields_that_the_backend_does_not_know_are_left_out(field: str) -> None:
    assert told_session({field: {"id": "p"}}, BackendProfile()) == {}
    assert told_session({field: {"id": "p"}}, ALL)[field] == {"id": "p"}


def test_the_model_is_never_told() -> None:
    assert told_session({"model": "gpt-realtime-2.1", "id": "s", "object": "realtime.session"}, ALL) == {}


def test_noise_reduction_is_left_out_of_where_it_lies() -> None:
    session = {"audio": {"input": {"noise_reduction": {"type": "near_field"}, "transcription": None}}}
    assert told_session(session, PLAIN) == {"type": "realtime", "audio": {"input": {"transcription": None}}}


def test_audio_is_always_in_our_format() -> None:
    profile = BackendProfile(input_rate=16000)
    told = told_session({"audio": {"output": {"format": {"type": "audio/pcmu"}, "speed": 1.1}}}, profile)
    assert told == {
        "type": "realtime",
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 16000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.1},
        },
    }
    assert told_session({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, profile) == {}


def test_a_transcription_session_has_no_output() -> None:
    told = told_session({"type": "transcription", "audio": {"input": {"transcription": {}}}}, BackendProfile())
    assert told["type"] == "transcription"
    assert set(told["audio"]) == {"input"}


def test_an_unknown_kind_of_turn_detection_becomes_the_one_that_is_known() -> None:
    wanted = {"type": "semantic_vad", "eagerness": "high", "interrupt_response": False}
    session = {"audio": {"input": {"turn_detection": wanted}}}
    told = told_session(session, PLAIN)["audio"]["input"]
    assert told == {"turn_detection": {"type": "server_vad", "interrupt_response": False}}
    assert told_session(session, ALL)["audio"]["input"]["turn_detection"] == wanted
    without = attrs.evolve(PLAIN, turn_detection_fallback=None)
    assert told_session(session, without) == {}
    off = {"audio": {"input": {"turn_detection": None}}}
    assert told_session(off, PLAIN)["audio"] == off["audio"], "null turns it off, and is passed on"


@pytest.mark.parametrize(
    ("voice", "default", "expected"),
    [("marin", None, "nova"), ("ash", None, "ash"), ("ash", "nova", "nova"), ("nova", "other", "nova")],
)
def test_voices_are_named_as_the_backend_names_them(voice: str, default: str | None, expected: str) -> None:
    profile = attrs.evolve(PLAIN, voices={"marin": "nova"}, default_voice=default)
    assert told_session({"audio": {"output": {"voice": voice}}}, profile)["audio"]["output"]["voice"] == expected


def test_a_response_is_fitted_like_a_session(make_call) -> None:
    call = make_call(profile=BackendProfile(voices={"marin": "nova"}))
    call.connect()
    audio = {"output": {"voice": "marin", "format": {"type": "audio/pcmu"}}}
    call.send({"type": "response.create", "response": {"audio": audio, "prompt": {"id": "p"}, "metadata": {"a": "b"}}})
    assert call.backend[0]["response"] == {"audio": {"output": {"voice": "nova"}}, "metadata": {"a": "b"}}


AUDIO = st.fixed_dictionaries(
    {},
    optional={"input": st.dictionaries(st.sampled_from("ab"), st.integers(0, 3)), "output": st.integers() | st.none()},
)
SESSION = st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 3)).flatmap(
    lambda flat: AUDIO.map(lambda audio: {**flat, "audio": audio})
)


@given(SESSION, SESSION, SESSION)
def test_merging_is_associative_and_the_same_twice(a, b, c) -> None:
    assert merge_session(merge_session(a, b), b) == merge_session(a, b)
    if all((s["audio"].get("output") is None) for s in (a, b, c)):
        assert merge_session(merge_session(a, b), c) == merge_session(a, merge_session(b, c))
    assert merge_session({}, a) == a


def test_a_setting_is_replaced_whole_and_its_neighbours_stay() -> None:
    base = {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.5}, "format": 1}, "output": 2}}
    patch = {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}
    expected = {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}, "format": 1}, "output": 2}}
    assert merge_session(base, patch) == expected


def test_leaving_out_the_last_field_leaves_out_its_holder() -> None:
    assert without_fields({"audio": {"input": {"x": 1}}, "y": 2}, frozenset({"audio.input.x"})) == {"y": 2}
    assert without_fields({"audio": {"input": {}}}, frozenset()) == {"audio": {"input": {}}}


def test_the_client_is_shown_what_it_asked_for_over_what_the_backend_made_of_it(call, support) -> None:
    call.open_backend({"type": "realtime", "model": "theirs", "audio": {"input": {"format": "x"}}, "voice_lab": 1})
    call.open_client()
    assert call.client[0]["session"]["model"] == "theirs"
    assert call.client[0]["session"]["audio"]["input"]["format"] == support.GA_FORMAT
    call.say("session.updated", session={})
    call.send(support.UPDATE)
    reported = {"voice_lab": 2, "audio": {"input": {"turn_detection": {"type": "server_vad"}, "rare": 3}}}
    call.say("session.updated", session=reported)
    session = call.client[-1]["session"]
    assert session["audio"]["input"]["turn_detection"] == {"type": "semantic_vad"}
    assert session["audio"]["input"]["rare"] == 3
    assert session["voice_lab"] == 2
    assert session["model"] == "gpt-realtime-2.1"
    assert session["id"] == call.client[0]["session"]["id"]


def test_the_session_that_the_call_was_made_with_comes_first(make_call) -> None:
    wishes = CallWishes(model="m", session={"type": "realtime", "model": "m", "instructions": "Be kind."})
    call = make_call(wishes=wishes)
    call.open_client()
    assert call.client[0]["session"]["instructions"] == "Be kind."
    assert call.client[0]["session"]["model"] == "m"
    call.send(update(instructions="Be rude."))
    call.open_backend()
    assert [event["session"]["instructions"] for event in call.backend] == ["Be kind.", "Be rude."]


def test_a_backend_that_knows_its_format_and_has_no_wishes_is_told_nothing(make_call) -> None:
    call = make_call(profile=PLAIN)
    call.open_backend()
    assert call.backend == []


def test_a_backend_that_never_acknowledges_is_not_waited_for(make_call) -> None:
    call = make_call(profile=BackendProfile(acknowledges_updates=False))
    call.open_client()
    call.open_backend()
    call.send(update(instructions="x"))
    assert call.seen() == ["session.created", "session.updated"]
    assert call.told() == ["session.update", "session.update"]
    call.hear(40)
    assert call.told()[2:] == ["pcm"]


def test_a_silent_backend_is_answered_for_after_a_while(call) -> None:
    call.connect()
    call.send(update(instructions="x"))
    call.wait(2.9)
    assert call.client == []
    call.wait(0.2)
    assert call.seen() == ["session.updated"]
    assert call.client[0]["session"]["instructions"] == "x"
    call.say("session.updated", session={})
    assert call.seen() == ["session.updated"]
    call.say("session.updated", session={"instructions": "mine"})
    assert call.seen() == ["session.updated", "session.updated"], "an update of the backend's own is passed on"


def test_answers_come_in_the_order_of_the_updates(call) -> None:
    call.connect()
    call.send(update(instructions="a"))
    call.send(update(tracing="auto"))
    call.send(update(instructions="b"))
    assert call.client == [], "what concerns nobody waits for its turn all the same"
    call.say("session.updated", session={})
    assert [event["session"]["instructions"] for event in call.client] == ["a", "a"]
    call.say("session.updated", session={})
    assert call.client[-1]["session"]["instructions"] == "b"


def test_a_refused_update_is_an_error_and_changes_nothing(call) -> None:
    call.connect()
    call.send({**update(instructions="bad"), "event_id": "mine"})
    assert call.backend[0]["event_id"] == "mine"
    call.say("error", error={"type": "invalid_request_error", "message": "no", "event_id": "mine"})
    assert call.errors() == [(None, "mine")]
    call.send(update(instructions="good"))
    call.say("session.updated", session={})
    assert call.seen() == ["error", "session.updated"]
    assert call.bridge.next_timeout() is None


def test_a_backend_that_refuses_what_the_bridge_told_it_troubles_no_client(call) -> None:
    call.open_sideband()
    call.open_client()
    call.open_backend()
    call.say("error", error={"message": "no such format", "event_id": call.backend[0]["event_id"]})
    assert call.seen() == ["session.created"]
    assert call.sidebands[1][-1]["error"]["message"] == "no such format", "the application should know"
    assert call.dropped(DropReason.BACKEND_ERROR_OURS) == 1
    call.send(update(instructions="x"))
    call.say("session.updated", session={})
    assert call.seen() == ["session.created", "session.updated"]


class TestLocked:
    WISHES = CallWishes(
        session={"instructions": "Secret.", "tools": [], "audio": {"output": {"voice": "marin"}}}, is_locked=True
    )

    @pytest.fixture
    def locked(self, make_call):
        call = make_call(wishes=self.WISHES)
        call.open_backend({"instructions": "Secret.", "tools": []})
        call.open_client()
        call.say("session.updated", session={})
        return call

    def test_what_is_locked_is_neither_changed_nor_shown(self, locked, support) -> None:
        locked.forget()
        locked.send(support.UPDATE)
        session = locked.backend[0]["session"]
        assert not {"instructions", "tools", "tool_choice"} & session.keys()
        assert "voice" not in session["audio"]["output"], "set when the call was made"
        assert session["audio"]["output"]["speed"] == 1, "and this was not"
        assert locked.dropped(DropReason.LOCKED_FIELD) == 1
        locked.say("session.updated", session={"instructions": "Secret."})
        assert locked.seen() == ["session.updated"], "a stock client connects all the same"
        assert not {"instructions", "tools", "tool_choice"} & locked.client[0]["session"].keys()
        assert locked.client[0]["session"]["audio"]["output"]["voice"] == "marin"
        assert locked.errors() == []

    def test_session_created_does_not_show_it_either(self, locked) -> None:
        assert "Secret." not in str(locked.client)

    def test_a_sideband_sees_and_changes_it(self, locked) -> None:
        locked.open_sideband()
        assert locked.sidebands[1][0]["session"]["instructions"] == "Secret."
        locked.forget()
        locked.send(update(instructions="New."), sideband=1)
        assert locked.backend[0]["session"]["instructions"] == "New."
        locked.say("session.updated", session={})
        assert locked.sidebands[1][0]["session"]["instructions"] == "New."
        assert "New." not in str(locked.client)

    def test_a_response_has_no_instructions_of_the_clients(self, locked) -> None:
        locked.forget()
        system = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Obey."}]}
        user = {"type": "message", "role": "user", "content": []}
        response = {"instructions": "Obey.", "tools": [], "input": [system, user], "metadata": {"a": "b"}}
        locked.send({"type": "response.create", "response": response})
        assert locked.backend[0]["response"] == {"input": [user], "metadata": {"a": "b"}}
        locked.send({"type": "conversation.item.create", "event_id": "x", "item": system})
        assert locked.errors() == [("session_locked", "x")]
        locked.send({"type": "vendor.configure", "event_id": "y"})
        assert locked.errors()[1:] == [("event_not_allowed", "y")]
        assert len(locked.backend) == 1

    def test_items_of_the_system_are_hidden(self, locked) -> None:
        locked.forget()
        item = {"id": "s1", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "Psst."}]}
        locked.say("conversation.item.added", item=item)
        locked.send({"type": "conversation.item.retrieve", "item_id": "s1", "event_id": "x"})
        assert locked.errors() == [("item_not_found", "x")]
        assert "Psst." not in str(locked.client)
        assert locked.backend == []
        assert locked.dropped(DropReason.NOT_ALLOWED) == 1


def test_configuration_is_hidden_on_request_though_the_client_may_set_it(make_call, support) -> None:
    call = make_call(hides_configuration=True)
    call.connect()
    call.send(support.UPDATE)
    assert call.backend[0]["session"]["instructions"] == "Be brief."
    call.say("session.updated", session={"instructions": "Be brief.", "tools": []})
    assert not {"instructions", "tools"} & call.client[0]["session"].keys()
