"""A backend that goes away: the call lives, everybody is told, and a new one learns what was said."""

import pytest

from transceiver.calls import CallWishes
from transceiver.realtime.drops import DropReason
from transceiver.realtime.states import BACKEND_TRANSITIONS, BackendState, BackendTrigger

USER = {
    "id": "u1",
    "type": "message",
    "role": "user",
    "status": "completed",
    "content": [{"type": "input_audio", "transcript": None}],
}
AGENT = {"id": "i1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
CALL = {"id": "f1", "type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}", "status": "completed"}
RESULT = {"id": "f2", "type": "function_call_output", "call_id": "c1", "output": "noon"}


def converse(call) -> None:
    """A turn of the caller's, a tool, and an answer that is interrupted in the middle."""
    call.connect()
    call.say("conversation.item.added", item=USER)
    call.say("conversation.item.done", item=USER)
    call.say("conversation.item.input_audio_transcription.completed", item_id="u1", transcript="What time is it?")
    for item in (CALL, RESULT, {**CALL, "id": "f3", "call_id": "c2"}):
        call.say("conversation.item.added", item=item)
    call.say("response.created", response={"id": "r1"})
    call.say("conversation.item.added", item=AGENT)
    for words in ("It is noon", " and hot."):
        call.say("response.output_audio_transcript.delta", response_id="r1", item_id="i1", delta=words)
    call.speak(1000)
    call.bridge.set_playout_delay(0)
    call.play(500)
    call.say("input_audio_buffer.speech_started", item_id="u2", audio_start_ms=0)
    call.say("response.output_audio_transcript.done", response_id="r1", item_id="i1", transcript="It is noon and hot.")
    said = AGENT | {"status": "incomplete", "content": [{"type": "output_audio", "transcript": "It is noon and hot."}]}
    call.say("response.output_item.done", response_id="r1", item=said)
    call.say("conversation.item.done", item=said)
    call.say("response.done", response={"id": "r1", "status": "cancelled"})
    call.say("conversation.item.added", item={**USER, "id": "u2"})
    call.forget()


def test_a_backend_that_dies_is_told_of_and_the_call_lives(call) -> None:
    call.connect()
    call.open_sideband()
    call.respond(400)
    call.play(40)
    call.forget()
    call.lose_backend()
    assert call.seen() == ["response.done", "error"]
    done, error = call.client
    assert done["response"]["status"] == "failed"
    assert done["response"]["id"] == "r1"
    assert (error["error"]["type"], error["error"]["code"]) == ("server_error", "backend_disconnected")
    assert [event["type"] for event in call.sidebands[1]] == ["response.done", "error"]
    assert "10.0.0.7" not in str(call.client)
    assert call.bridge.describe()["last_loss"] == "10.0.0.7 refused"
    call.play(400)
    assert call.seen()[2:] == ["output_audio_buffer.stopped"], "what it had said is heard to the end"
    call.forget()
    call.speak(100)
    call.say("response.created", response={"id": "r2"})
    assert call.dropped(DropReason.BACKEND_NOT_OPEN) == 2
    assert call.client == []


@pytest.mark.parametrize("will_retry", [False, True])
def test_events_without_a_backend_are_refused(call, will_retry: bool) -> None:
    call.connect()
    call.lose_backend(will_retry=will_retry)
    call.forget()
    call.send({"type": "response.create", "event_id": "e"})
    assert call.errors() == [("backend_disconnected", "e")]
    call.send({"type": "output_audio_buffer.clear"})
    assert len(call.client) == 1
    assert call.backend == []


def test_settings_are_answered_without_a_backend(call, support) -> None:
    call.connect()
    call.lose_backend(will_retry=True)
    call.forget()
    call.send(support.UPDATE)
    assert call.seen() == ["session.updated"], "a new backend will be told"
    call.open_backend({})
    assert call.backend[0]["session"]["instructions"] == "Be brief."
    call.lose_backend()
    call.forget()
    call.send({**support.UPDATE, "event_id": "e"})
    assert call.seen() == ["session.updated", "error"]
    assert call.errors() == [("backend_disconnected", "e")]
    assert call.bridge.next_timeout() is None


def test_a_backend_that_was_never_reached(call, support) -> None:
    call.open_client()
    call.send(support.UPDATE)
    call.send({"type": "response.create", "event_id": "e"})
    call.lose_backend(will_retry=True)
    assert call.seen() == ["session.created"], "the first connection is tried again, and clients wait on"
    call.lose_backend()
    assert call.seen() == ["session.created", "session.updated", "error", "error"]
    assert call.errors() == [("backend_disconnected", None), ("backend_disconnected", "e")]
    call.lose_backend()
    call.open_backend()
    assert len(call.client) == 4
    assert call.backend == []


ITEM = {"type": "conversation.item.create", "item": {"type": "message"}, "event_id": "mine"}


def test_what_is_said_while_the_backend_is_replaced_waits_for_the_next(call, support) -> None:
    call.connect()
    said = [{"type": "input_text", "text": "Hello."}]
    call.say("conversation.item.added", item={"id": "u1", "type": "message", "role": "user", "content": said})
    call.forget()
    call.bridge.hold_clients()
    call.send(ITEM)
    assert call.backend == []
    assert not call.bridge.is_between_turns
    call.bridge.backend_replaced(call.now)
    call.send(support.UPDATE)
    call.send({"type": "response.create"})
    assert call.client == call.backend == []
    call.open_backend({})
    names = ["session.update", "conversation.item.create"]
    assert call.told() == [*names, "conversation.item.create", "session.update", "response.create"]
    assert (call.backend[1]["item"]["id"], call.backend[2]["item"]) == ("u1", {"type": "message"})
    assert call.client == []
    for _ in range(2):  # that of the configuration that was, and that of the update
        call.say("session.updated", session={"type": "realtime"})
    assert call.seen() == ["session.updated"]
    call.send({"type": "response.cancel"})
    assert call.told()[-1] == "response.cancel"


def test_a_backend_that_is_not_replaced_after_all_is_told_what_waited(call) -> None:
    call.connect()
    call.bridge.hold_clients()
    call.send(ITEM)
    call.send({"type": "response.create"})
    call.bridge.release_clients(call.now)
    call.collect()
    assert call.told() == ["conversation.item.create", "response.create"]


@pytest.mark.parametrize("will_retry", [False, True])
def test_a_backend_that_is_not_there_after_a_replacement(call, support, will_retry: bool) -> None:
    call.connect()
    call.bridge.backend_replaced(call.now)
    call.send(ITEM)
    call.send(support.UPDATE)
    call.lose_backend(will_retry=will_retry)
    assert ("backend_disconnected", "mine") in call.errors()
    assert call.seen().count("session.updated") == 1
    call.forget()
    call.send(ITEM)
    assert call.errors() == [("backend_disconnected", "mine")], "it does not wait any more"


def test_who_comes_later_is_told(call) -> None:
    call.lose_backend()
    call.open_client()
    assert call.seen() == ["session.created", "error", "error"]
    call.open_sideband()
    assert [event["type"] for event in call.sidebands[1]] == ["session.created", "error"]


def test_what_waits_for_the_backend_is_applied_in_order(call, support) -> None:
    call.open_client()
    call.open_sideband()
    call.send(support.UPDATE)
    call.send({"type": "conversation.item.create", "item": {"type": "message"}})
    call.send({"type": "session.update", "session": {"instructions": "x"}}, sideband=1)
    call.send({"type": "response.create"})
    call.open_backend()
    assert call.told() == [
        "session.update",
        "session.update",
        "conversation.item.create",
        "session.update",
        "response.create",
    ]


def test_only_so_much_waits(make_call) -> None:
    call = make_call(max_held_events=3)
    call.open_client()
    for number in range(5):
        call.send({"type": "response.create", "event_id": f"e{number}"})
    assert call.errors() == [("too_many_events", "e3"), ("too_many_events", "e4")]
    call.open_backend()
    assert call.told() == ["session.update"] + ["response.create"] * 3


def test_a_new_backend_is_told_settings_and_history_and_nobody_hears_the_echo(call) -> None:
    converse(call)
    call.lose_backend(will_retry=True)
    assert call.seen() == ["error"]
    call.open_backend()
    assert call.told() == ["session.update"] + ["conversation.item.create"] * 4
    assert call.backend[0]["session"]["instructions"] == "Be brief."
    user, tool, result, agent = [event["item"] for event in call.backend[1:]]
    assert user["content"] == [{"type": "input_text", "text": "What time is it?"}]
    assert (tool["id"], tool["name"], result["output"]) == ("f1", "now", "noon")
    assert agent["content"] == [{"type": "output_text", "text": "It is noo"}], "no more than was heard of it"
    call.forget()
    call.say("session.created", session={})
    call.say("session.updated", session={})
    for event in (user, tool, result, agent):
        call.say("conversation.item.added", item=event)
        call.say("conversation.item.done", item=event)
    assert call.client == []
    assert call.dropped(DropReason.REPLAY_ECHO) == 8
    call.say("conversation.item.added", item={**USER, "id": "u3"})
    assert call.seen() == ["conversation.item.added"]
    assert call.bridge.describe()["reconnections"] == 1
    call.hear(40)
    assert call.told() == ["pcm"]


def test_history_is_bounded(make_call) -> None:
    call = make_call(max_items=3, max_item_length=10)
    call.connect()
    for number in range(10):
        part = {"type": "input_text", "text": "x" * 100}
        call.say("conversation.item.added", item={**USER, "id": f"u{number}", "content": [part] * 40})
    call.lose_backend(will_retry=True)
    call.forget()
    call.open_backend()
    items = [event["item"] for event in call.backend[1:]]
    assert [item["id"] for item in items] == ["u7", "u8", "u9"]
    assert len(items[0]["content"][0]["text"]) == 16 * 11 - 1
    assert call.bridge.describe()["items"] == 3


def test_deleted_items_are_not_told(call) -> None:
    converse(call)
    call.say("conversation.item.deleted", item_id="u1")
    call.lose_backend(will_retry=True)
    call.forget()
    call.open_backend()
    assert [event["item"]["id"] for event in call.backend[1:]] == ["f1", "f2", "i1"]


def test_locked_settings_are_told_again(make_call) -> None:
    call = make_call(wishes=CallWishes(session={"instructions": "Secret."}, is_locked=True))
    call.open_backend()
    call.open_client()
    call.lose_backend(will_retry=True)
    call.forget()
    call.open_backend()
    assert call.backend[0]["session"]["instructions"] == "Secret."


def test_an_answer_of_the_old_backend_does_not_count_for_the_new(call, support) -> None:
    call.open_backend({})
    call.open_client()
    call.send(support.UPDATE)
    call.lose_backend(will_retry=True)
    assert call.seen() == ["session.created", "session.updated", "error"]
    call.open_backend({})
    call.say("session.updated", session={})
    assert len(call.client) == 3


def test_names_of_events_begin_anew_with_a_new_backend(call) -> None:
    call.connect()
    call.send({"type": "response.create", "event_id": "e"})
    call.lose_backend(will_retry=True)
    call.open_backend({})
    call.send({"type": "response.create", "event_id": "e"})
    assert call.backend[-1]["event_id"] == "e"


def test_every_cell_of_the_table_is_a_state_and_lost_is_for_good() -> None:
    assert set(BACKEND_TRANSITIONS) == set(BackendState)
    assert BACKEND_TRANSITIONS[BackendState.LOST] == {}
    assert BackendTrigger.LOST_FOR_NOW not in BACKEND_TRANSITIONS[BackendState.CONNECTING]
