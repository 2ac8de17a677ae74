"""What an agent is promised: turns, happenings, replies that stop, an end, and that nothing of it is hidden."""

import math

import pytest
import trio

from transceiver.agents.contract import (
    Audio,
    Conversation,
    Digit,
    Interrupted,
    SessionChanged,
    SpeechStarted,
    SpeechStopped,
    Text,
    ToolResult,
    Truncated,
    Turn,
)
from transceiver.agents.conversation import Mailbox
from transceiver.agents.pcm_echo import pcm_echo
from transceiver.agents.server import AgentFailed
from wire.errors import LocalProtocolError

FUNCTION = {"type": "function", "name": "lookup", "parameters": {}}


class Diary:
    """An agent that writes down what happens."""

    def __init__(self) -> None:
        self.entries: list = []
        self.conversation: Conversation | None = None

    async def __call__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        async for happening in conversation:
            self.entries.append(happening)


async def test_everything_that_happens_is_told_in_order(meet, syllables, silence) -> None:
    diary = Diary()
    async with meet(diary, model="m", rate=8000) as client:
        client.hear(silence(0.4, 8000) + syllables(0.4, 8000) + silence(0.6, 8000))
        client.send("input_audio_buffer.dtmf_event_received", event="5")
        client.send("session.update", session={"instructions": "hi"})
        await client.settle()
        told = [entry for entry in diary.entries if not isinstance(entry, Audio)]
        item_id = told[0].item_id
        assert told[:2] == [SpeechStarted(item_id=item_id, at_ms=100), SpeechStopped(item_id=item_id, at_ms=1180)]
        assert isinstance(told[2], Turn)
        assert told[3:] == [Digit(digit="5"), SessionChanged()]
        heard = b"".join(entry.pcm for entry in diary.entries if isinstance(entry, Audio))
        assert heard == silence(0.4, 8000) + syllables(0.4, 8000) + silence(0.6, 8000)
        assert told[2].audio == heard[2 * 800 : 2 * 9440]
        assert told[2].item_ids == (item_id,)
        conversation = diary.conversation
        assert conversation is not None
        assert (conversation.model, conversation.rate, conversation.session["instructions"]) == ("m", 8000, "hi")
        assert [item["id"] for item in conversation.history] == [item_id]


async def test_audio_is_told_to_those_who_look_at_it_only(meet, silence) -> None:
    async def agent(conversation: Conversation) -> None:
        async for _ in conversation.turns():
            pass

    async with meet(agent) as client:
        client.hear(silence(60.0))
        assert client.link.describe()["happenings_dropped"] == 0


async def test_a_turn_tells_how_it_wants_to_be_answered(meet) -> None:
    turns = []

    async def agent(conversation: Conversation) -> None:
        async for turn in conversation.turns():
            turns.append(turn)
            async with conversation.reply() as reply:
                await reply.say(b"\1\0", transcript="yes")

    async with meet(agent) as client:
        client.send("session.update", session={"instructions": "be kind", "tools": [FUNCTION]})
        client.send(
            "conversation.item.create",
            item={"type": "message", "role": "system", "content": [{"type": "input_text", "text": "not a turn's"}]},
        )
        client.write("one")
        await client.settle()
        response = {
            "instructions": "be brief",
            "tools": [],
            "tool_choice": {"type": "function", "name": "f"},
            "output_modalities": ["text"],
            "metadata": {"a": "b"},
        }
        client.write("two", response=response)
        await client.settle()
    one, two = turns
    assert (one.text, one.audio, one.instructions, one.tools) == ("one", b"", "be kind", [FUNCTION])
    assert (one.tool_choice, one.forced_tool, list(one.output_modalities)) == ("auto", None, ["audio"])
    assert (two.text, two.instructions, two.tools, two.forced_tool) == ("two", "be brief", [], "f")
    assert (two.output_modalities, two.metadata) == (["text"], {"a": "b"})
    assert client.speech() == b"\1\0", "there is no sound in a text"
    assert client.last("response.output_text.done")["text"] == "yes"


async def test_a_reply_of_several_parts(meet) -> None:
    async def agent(conversation: Conversation) -> None:
        async for _ in conversation.turns():
            async with conversation.reply() as reply:
                assert reply.item_id is None
                await reply.say(b"\1\0" * 480, transcript="Let me ")
                await reply.say(transcript="see.")
                first = reply.item_id
                await reply.call_tool("lookup", {"x": 1})
                await reply.call_tool("lookup", {"x": 2})
                await reply.say(b"\2\0" * 480, transcript="Moment.")
                assert reply.item_id not in {None, first}
            assert not reply.is_interrupted

    async with meet(agent) as client:
        client.write("go")
        await client.settle()
        output = client.last("response.done")["response"]["output"]
        assert [item["type"] for item in output] == ["message", "function_call", "function_call", "message"]
        assert output[0]["content"] == [{"type": "output_audio", "transcript": "Let me see."}]
        assert [event["output_index"] for event in client.of("response.output_item.done")] == [0, 1, 2, 3]
        assert [item["arguments"] for item in output[1:3]] == ['{"x": 1}', '{"x": 2}']


async def test_results_of_tools_come_back_with_their_names(meet) -> None:
    turns = []

    async def agent(conversation: Conversation) -> None:
        async for turn in conversation.turns():
            turns.append(turn)
            async with conversation.reply() as reply:
                if not turn.tool_results:
                    call_ids.append(await reply.call_tool("a", {}))
                    call_ids.append(await reply.call_tool("b", {}))

    call_ids: list[str] = []
    async with meet(agent) as client:
        client.write("go")
        await client.settle()
        for call_id, output in zip(call_ids, ("1", "2"), strict=True):
            item = {"type": "function_call_output", "call_id": call_id, "output": output}
            client.send("conversation.item.create", item=item)
        client.send("response.create")
        await client.settle()
    assert turns[1].tool_results == (
        ToolResult(call_id=call_ids[0], name="a", output="1"),
        ToolResult(call_id=call_ids[1], name="b", output="2"),
    )


async def test_an_interruption_cancels_the_thinking_too_and_nothing_else(meet, syllables) -> None:
    story = []

    async def agent(conversation: Conversation) -> None:
        async for turn in conversation.turns():
            async with conversation.reply() as reply:
                story.append(f"think about {turn.text}")
                await trio.sleep_forever()
            story.append(f"interrupted: {reply.is_interrupted}")

    async with meet(agent) as client:
        client.write("life")
        await client.settle()
        client.hear(syllables(0.08))
        assert client.last("response.done")["response"]["status_details"]["reason"] == "turn_detected"
        await client.settle()
    assert story == ["think about life", "interrupted: True"]


async def test_what_is_said_after_an_interruption_is_not_heard(meet, syllables) -> None:
    async def agent(conversation: Conversation) -> None:
        async for _ in conversation.turns():
            async with conversation.reply() as reply:
                await reply.say(b"\1\0" * 100)
                with trio.CancelScope(shield=True):  # takes its time to notice
                    await interrupted.wait()
                    reply.say_now(b"\2\0" * 100)

    interrupted = trio.Event()
    async with meet(agent) as client:
        client.write("go")
        await client.settle()
        client.hear(syllables(0.08))
        interrupted.set()
        await client.settle()
        assert client.speech() == b"\1\0" * 100
        assert client.kinds()[-1] == "response.done"


async def test_who_answers_too_late_is_interrupted_at_once(meet, syllables, silence, autojump_clock) -> None:
    replies = []

    async def agent(conversation: Conversation) -> None:
        async for turn in conversation.turns():
            await trio.sleep(1)  # outside of the reply: not cancelled
            async with conversation.reply() as reply:
                await reply.say(b"\1\0" * 100, transcript=turn.text)
                replies.append("said")
            replies.append((turn.text, reply.is_interrupted))

    async with meet(agent) as client:
        client.write("first")
        await client.settle()
        client.hear(syllables(0.3) + silence(0.6))
        await trio.sleep(3)
        assert replies == [("first", True), "said", ("", False)]
        statuses = [event["response"]["status"] for event in client.of("response.done")]
        assert statuses == ["cancelled", "completed"]


async def test_a_turn_that_goes_on_before_it_was_looked_at_becomes_one(
    meet, syllables, silence, autojump_clock
) -> None:
    turns = []

    async def agent(conversation: Conversation) -> None:
        async for turn in conversation.turns():
            turns.append(turn)
            await trio.sleep(10)

    async with meet(agent) as client:
        client.write("busy now")
        await client.settle()
        client.hear(syllables(0.4) + silence(0.6))  # cancels the one that the agent has in hand
        client.hear(syllables(0.4) + silence(0.6))  # and this the one that it has not seen
        assert len(client.of("response.created")) == 3
        await trio.sleep(11)
    assert [len(turn.item_ids) for turn in turns] == [0, 2]
    assert len(turns[1].audio) == round(2 * 24_000 * (0.28 + 0.5 + 0.22 + 0.28 + 0.5)), "both, and the pause between"


async def test_speech_runs_ahead_of_its_playing_and_not_for_ever(meet, quick, autojump_clock) -> None:
    said = []

    async def agent(conversation: Conversation) -> None:
        async with conversation.reply() as reply:
            for number in range(6):
                await reply.say(b"\1\0" * 24_000)
                said.append((number, trio.current_time()))
        await trio.sleep_forever()

    start = trio.current_time()
    async with meet(agent, options=quick) as client:
        await trio.sleep(6)
        assert client.last("response.done")["response"]["status"] == "completed"
    for number, when in said:
        assert math.isclose(when - start, max(0, number - 1), abs_tol=0.01), "a second of speech, a second ahead"


async def test_writing_waits_for_nothing(meet, quick, autojump_clock) -> None:
    async def agent(conversation: Conversation) -> None:
        async for _ in conversation.turns():
            async with conversation.reply() as reply:
                await reply.say(b"\1\0" * 24_000 * 60, transcript="a long story")

    async with meet(agent, options=quick) as client:
        begin = trio.current_time()
        client.write("tell me", response={"output_modalities": ["text"]})
        await client.settle()
        assert client.last("response.done")["response"]["status"] == "completed"
        assert trio.current_time() == begin


async def test_half_a_sample_is_a_mistake_that_is_told(meet) -> None:
    async def agent(conversation: Conversation) -> None:
        async with conversation.reply() as reply:
            await reply.say(b"\1\0\1")

    async with meet(agent) as client:
        await client.ended.wait()
        assert "no whole number of 16-bit samples" in str(client.lost)
        assert client.speech() == b""


async def test_after_an_interruption_speech_may_run_ahead_again(
    meet, quick, syllables, silence, autojump_clock
) -> None:
    async def agent(conversation: Conversation) -> None:
        async for turn in conversation.turns():
            async with conversation.reply() as reply:
                await reply.say(b"\1\0" * 24_000 * (2 if turn.text else 1))

    async with meet(agent, options=quick) as client:
        client.write("long")
        await trio.sleep(1.5)
        assert client.last("response.done")["response"]["status"] == "completed"
        item_id = client.last("response.output_item.done")["item"]["id"]
        client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=10)
        begin = trio.current_time()
        client.hear(syllables(0.3) + silence(0.6))
        await client.settle()
        assert len(client.of("response.done")) == 2, "at once"
        assert trio.current_time() == begin


async def test_speaking_unasked(meet) -> None:
    async def agent(conversation: Conversation) -> None:
        async with conversation.reply() as reply:
            await reply.say(b"\1\0" * 100, transcript="Hello!")
        async for turn in conversation.turns():
            async with conversation.reply() as reply:
                await reply.say(b"\2\0", transcript=f"You wrote {turn.text}.")

    async with meet(agent) as client:
        assert client.last("response.done")["response"]["output"][0]["content"][0]["transcript"] == "Hello!"
        client.write("x")
        await client.settle()
        assert client.last("response.output_audio_transcript.done")["transcript"] == "You wrote x."


async def test_a_question_that_comes_while_the_agent_greets_is_answered_after(meet, autojump_clock) -> None:
    async def agent(conversation: Conversation) -> None:
        await trio.sleep(1)
        async with conversation.reply() as reply:
            await reply.say(transcript="Hello!")
        async for turn in conversation.turns():
            async with conversation.reply() as reply:
                await reply.say(transcript=f"You wrote {turn.text}.")

    async with meet(agent) as client:
        client.write("x")
        await trio.sleep(2)
        said = [event["transcript"] for event in client.of("response.output_audio_transcript.done")]
        assert said == ["Hello!", "You wrote x."]
        assert len(client.of("response.done")) == len(client.of("response.created")) == 2


async def test_one_reply_at_a_time(meet) -> None:
    async def agent(conversation: Conversation) -> None:
        async with conversation.reply(), conversation.reply():
            pass

    async with meet(agent) as client:
        await client.ended.wait()
        assert client.lost is not None
        assert "LocalProtocolError: a reply began inside of another" in str(client.lost)
        assert isinstance(client.lost.__cause__, AgentFailed)
        assert isinstance(client.lost.__cause__.__cause__, LocalProtocolError)


async def test_listening_frame_by_frame(meet, tone, silence) -> None:
    """An agent with a turn detector of its own: whatever is loud is speech, at once."""

    async def agent(conversation: Conversation) -> None:
        def hear(pcm: bytes) -> None:
            if any(pcm) != state["speaking"]:
                state["speaking"] = any(pcm)
                (conversation.speech_started if any(pcm) else conversation.speech_stopped)()

        state = {"speaking": False}
        conversation.listen(hear)
        async for turn in conversation.turns():
            turns.append(turn)
            conversation.transcribe(turn, "beep")
            async with conversation.reply():
                await trio.sleep_forever()

    turns: list[Turn] = []
    async with meet(agent) as client:
        client.hear(silence(1.0) + tone(0.02) + silence(0.02))
        await client.settle()
        assert client.last("input_audio_buffer.speech_started")["audio_start_ms"] == 1020
        assert client.last("input_audio_buffer.speech_stopped")["audio_end_ms"] == 1040
        (turn,) = turns
        assert turn.audio == b"", "it has the audio itself"
        transcribed = client.last("conversation.item.input_audio_transcription.completed")
        assert (transcribed["item_id"], transcribed["transcript"]) == (turn.item_ids[0], "beep")
        client.send("conversation.item.retrieve", item_id=turn.item_ids[0])
        assert client.last("conversation.item.retrieved")["item"]["content"][0]["transcript"] == "beep"
        client.hear(tone(0.02))
        assert client.last("response.done")["response"]["status_details"]["reason"] == "turn_detected"


async def test_the_pcm_echo_gives_back_what_it_gets_and_is_never_interrupted(meet, syllables) -> None:
    async with meet(pcm_echo) as client:
        client.hear(syllables(3.0))
        assert client.speech() == syllables(3.0)
        assert client.of("input_audio_buffer.speech_started") == []
        assert len(client.of("response.created")) == 1
        assert client.of("response.done") == []


async def test_a_failing_agent_is_told_to_the_client_and_to_the_operator(meet) -> None:
    async def agent(conversation: Conversation) -> None:
        async for _ in conversation.turns():
            async with conversation.reply() as reply:
                await reply.say(b"\1\0", transcript="I am")
                raise ValueError("secret of the operator")

    async with meet(agent) as client:
        client.write("go")
        await client.ended.wait()
        done = client.last("response.done")["response"]
        assert done["status"] == "failed"
        assert done["status_details"]["error"]["code"] == "agent_failed"
        assert done["output"][0]["status"] == "incomplete"
        (error,) = client.of("error")
        assert (error["error"]["type"], error["error"]["code"]) == ("server_error", "agent_failed")
        assert "ValueError" in error["error"]["message"]
        assert "secret" not in str(client.events)
        assert str(client.lost) == "the agent has failed: ValueError: secret of the operator"
        client.write("anyone?")  # nobody is there any more, and nothing breaks
        client.link.send_audio(bytes(960))
        client.link.close()


@pytest.mark.parametrize("when", ["before", "between", "listening"])
async def test_an_agent_that_fails_elsewhere(meet, when: str) -> None:
    async def agent(conversation: Conversation) -> None:
        if when == "before":
            raise RuntimeError
        if when == "listening":
            conversation.listen(lambda pcm: {}["x"])
        async for _ in conversation.turns():
            raise RuntimeError

    async with meet(agent) as client:
        if when == "listening":
            client.link.send_audio(bytes(960))
        client.write("go")
        await client.ended.wait()
        assert [event["error"]["code"] for event in client.of("error")] == ["agent_failed"]
        assert len(client.of("response.created")) == len(client.of("response.done"))
        assert "KeyError" in str(client.lost) if when == "listening" else "RuntimeError" in str(client.lost)


async def test_an_agent_may_catch_what_failed_and_go_on(meet) -> None:
    async def agent(conversation: Conversation) -> None:
        async for turn in conversation.turns():
            try:
                async with conversation.reply() as reply:
                    await reply.say(transcript=str(1 // len(turn.text)))
            except ZeroDivisionError:
                continue

    async with meet(agent) as client:
        client.write("")
        await client.settle()
        client.write("x")
        await client.settle()
        assert [event["response"]["status"] for event in client.of("response.done")] == ["failed", "completed"]
        assert not client.ended.is_set()


async def test_returning_hangs_up(meet) -> None:
    async def agent(conversation: Conversation) -> None:
        async for _ in conversation.turns():
            return

    async with meet(agent) as client:
        client.write("goodbye")
        await client.ended.wait()
        assert client.lost is None
        assert client.last("response.done")["response"]["status"] == "incomplete"


async def test_iteration_ends_when_the_caller_has_gone(meet) -> None:
    ended = []

    async def agent(conversation: Conversation) -> None:
        async for _ in conversation:
            pass
        ended.append("goodbye")

    async with meet(agent) as client:
        client.link.close()
        client.link.close()
        await client.ended.wait()
        assert ended == ["goodbye"]
        assert client.lost is None


async def test_an_agent_that_does_not_come_to_an_end_is_cancelled(meet, quick, autojump_clock) -> None:
    async with meet(pcm_echo, options=quick) as client:
        begin = trio.current_time()
        client.link.close()
        await client.ended.wait()
        assert math.isclose(trio.current_time() - begin, 3.0)
        assert client.lost is None


def test_a_mailbox_drops_the_oldest_but_never_a_turn() -> None:
    mailbox = Mailbox(3)
    turn = Turn(response_id="r")
    for happening in (turn, *(Digit(digit=digit) for digit in "12345")):
        mailbox.tell(happening)
    assert mailbox.dropped == 3
    assert list(mailbox.waiting) == [turn, Digit(digit="4"), Digit(digit="5")]
    assert mailbox.withdraw("r")
    assert not mailbox.withdraw("r")


async def test_interruptions_and_truncations_are_told(meet, syllables) -> None:
    diary = Diary()

    async def agent(conversation: Conversation) -> None:
        async with conversation.reply() as reply:
            await reply.say(b"\1\0" * 4800)
            await trio.sleep_forever()
        await diary(conversation)

    async with meet(agent) as client:
        await client.settle()
        client.hear(syllables(0.08))
        done = client.last("response.done")["response"]
        item_id = done["output"][0]["id"]
        client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=120)
        client.send(
            "conversation.item.create",
            item={"type": "message", "role": "system", "content": [{"type": "input_text", "text": "be quick"}]},
        )
        await client.settle()
        assert diary.entries[1:4] == [
            Interrupted(response_id=done["id"], reason="turn_detected"),
            Truncated(item_id=item_id, heard_ms=120),
            Text(item_id=client.last("conversation.item.added")["item"]["id"], text="be quick", role="system"),
        ]
