"""Whatever a client sends and a caller says, in whatever order: nothing is raised, and every response is done."""

import base64
import os
from collections.abc import Mapping

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from transceiver.agents.options import AgentOptions
from transceiver.agents.parrot import parrot
from transceiver.backends.agent import AgentLink
from transceiver.backends.contract import Speech


def _words(*lines: str) -> list[str]:
    return [word for line in lines for word in line.split()]


KINDS = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "input_audio_buffer.dtmf_event_received",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.delete",
    "conversation.item.truncate",
    "response.create",
    "response.cancel",
    "unheard.of",
)
NAMES = _words(
    "type item item_id id role content text audio transcript call_id name arguments output previous_item_id session",
    "response tool_choice tools instructions output_modalities metadata conversation input audio_end_ms content_index",
    "turn_detection threshold silence_duration_ms prefix_padding_ms create_response interrupt_response format rate",
    "speed voice eagerness event event_id response_id",
)
WORDS = _words(
    "message function_call function_call_output user assistant system input_text input_audio output_audio",
    "item_reference none auto required function root server_vad semantic_vad audio/pcm realtime call_x a b 5",
)

values = st.recursive(
    st.sampled_from([*WORDS, "", "call f {}"])
    | st.integers(-2, 30_000)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.just(base64.b64encode(bytes(4800)).decode()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
events = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=5),
)
user_text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
likely = st.sampled_from(
    [
        {"type": "conversation.item.create", "item": {**user_text, "id": "a"}},
        {"type": "response.create"},
        {"type": "response.cancel"},
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}},
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"interrupt_response": False}}}}},
        {"type": "input_audio_buffer.commit"},
    ]
)
steps = st.lists(events | likely | st.sampled_from(["loud", "quiet", "odd", "settle", "later"]), max_size=25)


class Counting:
    """Counts what is open."""

    def __init__(self) -> None:
        self.created: list[str] = []
        self.done: list[str] = []

    def backend_opened(self) -> None:
        """Nothing to do."""

    def backend_event(self, event: Mapping) -> None:
        if event["type"] == "response.created":
            assert len(self.created) == len(self.done), "one at a time"
            self.created.append(event["response"]["id"])
        if event["type"] == "response.done":
            self.done.append(event["response"]["id"])

    def backend_audio(self, speech: Speech, pcm: bytes) -> None:
        assert speech.response_id == self.created[-1]
        assert speech.response_id not in self.done


async def live_through(chosen: list) -> Counting:
    sink = Counting()
    options = AgentOptions(max_turn=1.0, max_items=5, max_happenings=4, max_lead=0.5)
    link = AgentLink(parrot, entropy=os.urandom, options=options)
    sounds = {"loud": b"\0\x20" * 9600, "quiet": bytes(48_000), "odd": b"\1\1" * 77}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, sink)
        await trio.testing.wait_all_tasks_blocked()
        for step in chosen:
            if step == "settle":
                await trio.testing.wait_all_tasks_blocked()
            elif step == "later":
                await trio.sleep(1)
            elif isinstance(step, str):
                link.send_audio(sounds[step])
            else:
                link.send_event(step)
        link.close()
    return sink


@settings(max_examples=150, deadline=None)
@given(steps)
def test_anything(chosen: list) -> None:
    sink = trio.run(live_through, chosen, clock=trio.testing.MockClock(autojump_threshold=0))
    assert sink.created == sink.done
