"""What clients may ask of an agent's server, and what they are told when they may not."""

import base64

import pytest
import trio

from transceiver.agents.contract import Conversation
from transceiver.agents.parrot import parrot


async def deaf(conversation: Conversation) -> None:
    """Takes turns and answers none."""
    async for _ in conversation.turns():
        pass


def message(text: str, **fields: object) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}


async def test_session_created_comes_first_and_updates_change_only_what_they_name(meet) -> None:
    async with meet(deaf, model="gpt-realtime", rate=16_000) as client:
        assert client.opened == 1
        assert client.kinds() == ["session.created"]
        created = client.last("session.created")["session"]
        assert created["model"] == "gpt-realtime"
        assert created["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 16_000}
        # As the stock client sends it, with a model that is not ours.
        client.send(
            "session.update",
            session={
                "type": "realtime",
                "model": "gpt-realtime-2.1",
                "instructions": "be brief",
                "output_modalities": ["audio"],
                "tools": [{"type": "function", "name": "f", "parameters": {}}],
                "tool_choice": "auto",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 16_000},
                        "noise_reduction": None,
                        "transcription": {"model": "gpt-4o-mini-transcribe"},
                        "turn_detection": {"type": "semantic_vad"},
                    },
                    "output": {"format": {"type": "audio/pcm", "rate": 16_000}, "voice": "marin", "speed": 1.1},
                },
            },
        )
        session = client.last("session.updated")["session"]
        assert session["model"] == "gpt-realtime"
        assert session["instructions"] == "be brief"
        assert session["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
        assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}
        assert session["audio"]["output"]["voice"] == "marin"
        # The second update of the stock client; and the beta client leaves the type out.
        for patch in ({"type": "realtime", "tracing": "auto"}, {"instructions": ""}):
            client.send("session.update", session=patch)
        session = client.last("session.updated")["session"]
        assert (session["tracing"], session["instructions"]) == ("auto", "")
        assert session["tools"][0]["name"] == "f"
        client.send("session.update", session={"audio": {"input": {"turn_detection": None}}})
        assert client.last("session.updated")["session"]["audio"]["input"]["turn_detection"] is None
        assert created["audio"]["input"]["turn_detection"]["type"] == "server_vad", "what was sent does not change"
        assert client.of("error") == []


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"type": "transcription"}, "session.type"),
        ({"instructions": 3}, "session.instructions"),
        ({"tools": {}}, "session.tools"),
        ({"output_modalities": ["audio", "text"]}, "session.output_modalities"),
        ({"output_modalities": "audio"}, "session.output_modalities"),
        ({"tool_choice": "always"}, "session.tool_choice"),
        ({"tool_choice": 3}, "session.tool_choice"),
        ({"tool_choice": {"type": "function"}}, "session.tool_choice.name"),
        ({"audio": []}, "session.audio"),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "session.audio.input.format.type"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}}, "session.audio.input.format.rate"),
        ({"audio": {"output": {"speed": 9}}}, "session.audio.output.speed"),
        ({"audio": {"input": {"turn_detection": {"type": "ears"}}}}, "session.audio.input.turn_detection.type"),
        ({"audio": {"input": {"turn_detection": {"threshold": 2}}}}, "session.audio.input.turn_detection.threshold"),
        (
            {"audio": {"input": {"turn_detection": {"create_response": 1}}}},
            "session.audio.input.turn_detection.create_response",
        ),
        (
            {"audio": {"input": {"turn_detection": {"silence_duration_ms": 1e9}}}},
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
    ],
)
async def test_a_wrong_session_changes_nothing(meet, session: dict, param: str) -> None:
    async with meet(deaf) as client:
        client.send("session.update", session={"voice": "x", **session, "instructions": session.get("instructions")})
        assert client.of("session.updated") == []
        assert client.last("error")["error"]["param"] == param
        client.send("session.update", session={})
        assert client.last("session.updated")["session"] == client.last("session.created")["session"]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"type": 3}, "invalid_type"),
        ({"type": "x" * 1000}, "invalid_value"),
        ({"type": "output_audio_buffer.clear"}, "invalid_value"),
        ({"type": "session.update"}, "missing_required_parameter"),
        ({"type": "session.update", "session": "x"}, "invalid_type"),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_value"),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "invalid_value"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty"),
        ({"type": "input_audio_buffer.dtmf_event_received", "event": "E"}, "invalid_value"),
        ({"type": "conversation.item.create"}, "missing_required_parameter"),
        ({"type": "conversation.item.create", "item": {}}, "missing_required_parameter"),
        ({"type": "conversation.item.create", "item": {"type": "thought"}}, "invalid_value"),
        ({"type": "conversation.item.create", "item": {"type": "message"}}, "missing_required_parameter"),
        ({"type": "conversation.item.create", "item": message("x", role="owl")}, "invalid_value"),
        ({"type": "conversation.item.create", "item": message("x", content=[1])}, "invalid_type"),
        ({"type": "conversation.item.create", "item": message("x", content=[{}])}, "missing_required_parameter"),
        ({"type": "conversation.item.create", "item": message("x", id="x" * 65)}, "string_above_max_length"),
        (
            {"type": "conversation.item.create", "item": message("x"), "previous_item_id": "none"},
            "item_create_invalid_previous_item_id",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "x", "output": ""},
            },
            "item_create_invalid_tool_call_id",
        ),
        ({"type": "conversation.item.retrieve", "item_id": "none"}, "item_retrieve_invalid_item_id"),
        ({"type": "conversation.item.retrieve"}, "missing_required_parameter"),
        ({"type": "conversation.item.delete", "item_id": "none"}, "item_delete_invalid_item_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "none", "content_index": 0, "audio_end_ms": 0},
            "item_truncate_invalid_item_id",
        ),
        ({"type": "conversation.item.truncate", "item_id": "x", "content_index": True}, "invalid_type"),
        ({"type": "response.create", "response": 3}, "invalid_type"),
        ({"type": "response.create", "response": {"conversation": "other"}}, "invalid_value"),
        ({"type": "response.create", "response": {"input": [3]}}, "invalid_type"),
        ({"type": "response.create", "response": {"tool_choice": []}}, "invalid_type"),
        ({"type": "response.cancel"}, "response_cancel_not_active"),
    ],
)
async def test_a_wrong_event_is_answered_with_its_id_and_the_session_goes_on(meet, event: dict, code: str) -> None:
    async with meet(parrot) as client:
        client.forget()
        client.link.send_event({**event, "event_id": "mine"})
        error = client.last("error")["error"]
        assert client.kinds() == ["error"]
        assert (error["type"], error["code"], error["event_id"]) == ("invalid_request_error", code, "mine")
        assert error["message"]
        client.link.send_event({**event, "event_id": 7})
        assert client.last("error")["error"]["event_id"] is None
        client.write("hello")
        await client.settle()
        assert client.last("response.done")["response"]["status"] == "completed"


async def test_items_are_created_where_the_client_wants_them_shown_and_deleted(meet) -> None:
    async with meet(deaf) as client:
        for item_id, after in (("b", None), ("a", "root"), ("c", "b"), ("d", None), ("x", "a")):
            client.send("conversation.item.create", item=message(item_id, id=item_id), previous_item_id=after)
        added = [(event["item"]["id"], event["previous_item_id"]) for event in client.of("conversation.item.added")]
        assert added == [("b", None), ("a", None), ("c", "b"), ("d", "c"), ("x", "a")]
        client.send("conversation.item.delete", item_id="x")
        assert client.last("conversation.item.deleted")["item_id"] == "x"
        client.send("conversation.item.retrieve", item_id="a")
        assert client.last("conversation.item.retrieved")["item"]["content"] == [{"type": "input_text", "text": "a"}]
        client.send("conversation.item.create", item=message("again", id="a"))
        assert client.last("error")["error"]["code"] == "item_create_duplicate_item_id"


async def test_a_conversation_forgets_its_beginning(meet, quick) -> None:
    async with meet(deaf, options=quick) as client:
        for number in range(6):
            client.send("conversation.item.create", item=message("x", id=f"item{number}"))
        for number in (1, 2):
            client.send("conversation.item.retrieve", item_id=f"item{number}")
        assert client.last("error")["error"]["code"] == "item_retrieve_invalid_item_id"
        assert client.last("conversation.item.retrieved")["item"]["id"] == "item2"


async def test_the_names_of_the_older_shape_are_taken_and_not_shown(meet) -> None:
    async with meet(deaf) as client:
        parts = [{"type": "text", "text": "hi"}, {"type": "audio", "transcript": "ho", "audio": "AAAA"}]
        client.send("conversation.item.create", item=message("", role="assistant", content=parts))
        content = client.last("conversation.item.added")["item"]["content"]
        assert content == [{"type": "output_text", "text": "hi"}, {"type": "output_audio", "transcript": "ho"}]


async def test_a_session_shares_nothing_with_another_or_with_what_was_sent(meet) -> None:
    async with meet(deaf) as client:
        client.send("session.update", session={"audio": {"input": {"turn_detection": {"threshold": 0.9}}}})
        shown = [client.last(f"session.{kind}")["session"] for kind in ("created", "updated")]
        assert [session["audio"]["input"]["turn_detection"]["threshold"] for session in shown] == [0.5, 0.9]
    async with meet(deaf) as client:
        session = client.last("session.created")["session"]
        assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.5


async def test_clearing_forgets_the_turn_that_is_being_spoken(meet, syllables, silence) -> None:
    async with meet(parrot) as client:
        client.hear(syllables(0.4))
        begun = client.last("input_audio_buffer.speech_started")["item_id"]
        client.send("input_audio_buffer.clear")
        assert client.kinds()[-1] == "input_audio_buffer.cleared"
        client.hear(silence(0.6))
        assert client.of("input_audio_buffer.speech_stopped") == []
        client.send("input_audio_buffer.commit")
        assert client.last("input_audio_buffer.committed")["item_id"] != begun


async def test_push_to_talk(meet, tone, silence) -> None:
    async with meet(parrot) as client:
        client.send("session.update", session={"audio": {"input": {"turn_detection": None}}})
        client.hear(tone(0.5))
        client.send("input_audio_buffer.clear")
        client.hear(tone(1.0))
        client.forget()
        client.send("input_audio_buffer.commit")
        assert client.kinds() == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
        await client.settle()
        assert client.speech() == b"", "nobody has asked yet"
        client.send("response.create")
        await client.settle()
        assert client.speech() == tone(1.0)
        client.send("input_audio_buffer.commit")
        assert "only has 0ms" in client.last("error")["error"]["message"]


async def test_push_to_talk_keeps_the_newest(meet, quick, tone, silence) -> None:
    async with meet(parrot, options=quick) as client:
        client.send("session.update", session={"audio": {"input": {"turn_detection": None}}})
        client.hear(silence(5.0) + tone(0.5))
        client.send("input_audio_buffer.commit")
        client.send("response.create")
        await client.settle()
        assert client.speech().endswith(tone(0.5))
        client.hear(tone(5.0))
        client.send("input_audio_buffer.commit")
        client.send("response.create")
        await client.settle()
        assert client.of("error") == []


async def test_a_response_waits_until_it_is_asked_for_where_the_client_wants_that(meet, syllables, silence) -> None:
    async with meet(parrot) as client:
        client.send("session.update", session={"audio": {"input": {"turn_detection": {"create_response": False}}}})
        client.hear(syllables(0.4) + silence(0.6) + syllables(0.4) + silence(0.6))
        await client.settle()
        assert len(client.of("input_audio_buffer.committed")) == 2
        assert client.of("response.created") == []
        client.send("response.create")
        await client.settle()
        assert len(client.speech()) > 2 * 24_000 * 1.3, "both"
        assert client.last("response.done")["response"]["status"] == "completed"


async def test_nothing_is_interrupted_where_the_client_wants_that(meet, syllables, silence, autojump_clock) -> None:
    async with meet(parrot) as client:
        detection = {"type": "server_vad", "interrupt_response": False}
        client.send("session.update", session={"audio": {"input": {"turn_detection": detection}}})
        client.hear(syllables(20.0) + silence(0.6))
        await client.settle()
        client.hear(syllables(0.4) + silence(0.6))
        assert len(client.of("input_audio_buffer.speech_stopped")) == 2
        assert len(client.of("response.created")) == 1, "one at a time"
        await trio.sleep(20)
        assert [event["response"]["status"] for event in client.of("response.done")] == ["completed"] * 2
        kinds = client.kinds()
        second = len(kinds) - 1 - kinds[::-1].index("response.created")
        assert kinds[second - 1] == "response.done", "the second turn is answered after the first"


async def test_a_client_that_cancels_is_not_answered_a_turn_that_waited(meet, syllables, silence) -> None:
    async with meet(parrot) as client:
        detection = {"type": "server_vad", "interrupt_response": False}
        client.send("session.update", session={"audio": {"input": {"turn_detection": detection}}})
        client.hear(syllables(20.0) + silence(0.6))
        await client.settle()
        client.hear(syllables(0.4) + silence(0.6))
        client.send("response.cancel")
        await client.settle()
        client.send("response.create")
        await client.settle()
        assert len(client.of("response.created")) == 2
        assert client.last("response.done")["response"]["status"] == "completed"


async def test_a_client_cancels(meet, syllables, silence) -> None:
    async with meet(parrot) as client:
        client.hear(syllables(20.0) + silence(0.6))
        await client.settle()
        response_id = client.last("response.created")["response"]["id"]
        client.send("response.cancel", response_id="another", event_id="e1")
        assert client.last("error")["error"]["code"] == "response_cancel_not_active"
        client.send("response.cancel", response_id=response_id)
        done = client.last("response.done")["response"]
        assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert done["output"][0]["status"] == "incomplete"
        speech = client.speech()
        await client.settle()
        assert client.speech() == speech, "it is silent at once"
        client.write("go on")
        await client.settle()
        assert client.last("response.done")["response"]["status"] == "completed"


async def test_one_response_at_a_time(meet, syllables, silence) -> None:
    async with meet(parrot) as client:
        client.hear(syllables(20.0) + silence(0.6))
        await client.settle()
        client.send("response.create", event_id="agents_js_response_create_2")
        error = client.last("error")["error"]
        assert error["code"] == "conversation_already_has_active_response"
        assert error["event_id"] == "agents_js_response_create_2"


async def test_a_turn_without_an_answer_is_done_when_the_agent_moves_on(meet) -> None:
    async with meet(deaf) as client:
        client.write("anyone?")
        await client.settle()
        assert client.last("response.done")["response"]["status"] == "completed"
        assert client.last("response.done")["response"]["output"] == []


async def test_truncation_is_bounded_by_what_was_said(meet, tone, silence) -> None:
    async with meet(parrot) as client:
        client.write("hello")
        await client.settle()
        item_id = client.last("response.output_item.done")["item"]["id"]
        user_id = client.of("conversation.item.added")[0]["item"]["id"]
        wrong = [(item_id, 0, 151), (item_id, 1, 10), (item_id, 0, -1), (user_id, 0, 0)]
        for number, (name, index, end) in enumerate(wrong, 1):
            client.send("conversation.item.truncate", item_id=name, content_index=index, audio_end_ms=end)
            assert len(client.of("error")) == number
        client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=150)
        client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100)
        client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=101)
        assert "100ms is already shorter than 101ms" in client.last("error")["error"]["message"]
        assert [event["audio_end_ms"] for event in client.of("conversation.item.truncated")] == [150, 100]
        client.send("conversation.item.retrieve", item_id=item_id)
        assert client.last("conversation.item.retrieved")["item"]["content"][0]["transcript"] is None


async def test_a_response_apart_from_the_conversation(meet) -> None:
    async with meet(parrot) as client:
        client.write("kept for later")
        await client.settle()
        client.forget()
        response = {
            "conversation": "none",
            "output_modalities": ["text"],
            "metadata": {"topic": "x"},
            "input": [message("only this")],
        }
        client.send("response.create", response=response)
        await client.settle()
        assert client.of("conversation.item.added") == []
        done = client.last("response.done")["response"]
        assert done["output"][0]["content"][0]["text"] == "only this"
        assert (done["conversation_id"], done["metadata"]) == (None, {"topic": "x"})


async def test_a_response_to_referenced_items(meet) -> None:
    async with meet(parrot) as client:
        client.send("conversation.item.create", item=message("first", id="one"))
        client.send("conversation.item.create", item=message("second", id="two"))
        given = [{"type": "item_reference", "id": "two"}]
        client.send("response.create", response={"input": given, "output_modalities": ["text"]})
        await client.settle()
        assert client.last("response.output_text.done")["text"] == "second"
        client.send("response.create", response={"input": [{"type": "item_reference", "id": "three"}]})
        assert client.last("error")["error"]["code"] == "item_not_found"


async def test_audio_inside_events(meet, tone, silence) -> None:
    async with meet(parrot) as client:
        pcm = silence(0.5) + tone(0.6) + silence(0.6)
        client.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())
        await client.settle()
        assert client.last("input_audio_buffer.speech_started")["audio_start_ms"] == 200
        assert tone(0.6) in client.speech()
        client.forget()
        part = {"type": "input_audio", "audio": base64.b64encode(tone(0.4)).decode()}
        client.send("conversation.item.create", item=message("", content=[part]))
        assert "audio" not in client.last("conversation.item.added")["item"]["content"][0]
        client.send("response.create")
        await client.settle()
        assert client.speech() == tone(0.4)


async def test_thousands_of_wrong_events_leave_nothing_behind(meet) -> None:
    async with meet(parrot) as client:
        for number in range(2000):
            client.send("conversation.item.retrieve", item_id=f"item{number}")
        assert len(client.of("error")) == 2000
        client.write("still there?")
        await client.settle()
        assert client.last("response.done")["response"]["status"] == "completed"
