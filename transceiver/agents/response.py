"""One answer of the assistant's, with its events in the protocol's order.

    response.created
      response.output_item.added · conversation.item.added             for each message or function call
        response.content_part.added                                    a message's only part
        response.output_audio_transcript.delta · (audio) …             or response.output_text.delta
        response.output_audio_transcript.done · output_audio.done
        response.content_part.done
        response.function_call_arguments.delta · .done                 a function call's
      response.output_item.done · conversation.item.done
    response.done

Every response that was created is done at some time, whatever happens: clients wait for it before they ask again.
"""

import json
from collections.abc import Callable, Mapping, Sequence

import attrs

from transceiver.agents.history import Entry, History
from transceiver.agents.outlet import JsonObject, Outlet
from transceiver.backends.contract import Speech
from wire.errors import LocalProtocolError

__all__ = ["Response", "Wishes"]

_NO_TOKENS: JsonObject = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 0, "audio_tokens": 0},
}
"""What an agent uses that counts no tokens; clients add these up and want to find them."""


@attrs.frozen(kw_only=True)
class Wishes:
    """How a response is wanted: what the session says, and on top of it what the request says.

    Attributes:
        instructions: see `Turn`, as for the following four.
        tools: …
        tool_choice: …
        output_modalities: …
        metadata: …
        is_apart: whether its items stay out of the conversation (`"conversation": "none"`).
    """

    instructions: str
    tools: Sequence[Mapping[str, object]]
    tool_choice: object
    output_modalities: Sequence[str]
    metadata: Mapping[str, object] | None = None
    is_apart: bool = False


@attrs.define(eq=False)
class _Message:
    """The message that is being said."""

    entry: Entry
    index: int
    speech: Speech
    words: list[str] = attrs.field(factory=list)


class Response:
    """An answer, from `response.created` to `response.done`.

    Args:
        outlet: takes the events and the speech.
        history: takes the items.
        wishes: how it is wanted.
        rate: sample rate of the speech in Hz.

    Attributes:
        response_id: its name.
        item_id: the item of what was said last; None before.
        is_text: whether it is written, without sound.
        is_done: whether it is.
        is_cancelled: whether it was cut off.
        cancel: called when it is cut off; set by whoever speaks.
    """

    def __init__(self, *, outlet: Outlet, history: History, wishes: Wishes, rate: int) -> None:
        self.response_id = outlet.new_id("resp")
        self.item_id: str | None = None
        self.is_done = False
        self.is_cancelled = False
        self.cancel: Callable[[], None] | None = None
        self._outlet = outlet
        self._history = history
        self._wishes = wishes
        self._rate = rate
        self.is_text = "text" in wishes.output_modalities
        self._output: list[JsonObject] = []
        self._message: _Message | None = None
        outlet.emit("response.created", response=self._describe("in_progress", None))

    @property
    def output_index(self) -> int:
        """Number of the newest item within the response."""
        return max(len(self._output) - 1, 0)

    def say(self, pcm: bytes, transcript: str) -> None:
        """Go on with the message, beginning one if none is open. Nothing happens when the response is done.

        Raises:
            LocalProtocolError: `pcm` ends within a sample.
        """
        if len(pcm) % 2:
            raise LocalProtocolError(f"speech of {len(pcm)} bytes, which is no whole number of 16-bit samples")
        if self.is_done:
            return
        message = self._message or self._begin_message()
        if transcript:
            message.words.append(transcript)
            kind = "output_text" if self.is_text else "output_audio_transcript"
            self._outlet.emit(f"response.{kind}.delta", **self._place(message), delta=transcript)
        if pcm and not self.is_text:
            message.entry.audio_samples += len(pcm) // 2
            self._outlet.speak(message.speech, pcm)

    def call_tool(self, name: str, arguments: Mapping[str, object]) -> str:
        """Ask for the call of a function, and return the call's id."""
        call_id = self._outlet.new_id("call")
        if self.is_done:
            return call_id
        self._end_message("completed")
        item: JsonObject = {
            "id": self._outlet.new_id("item"),
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "call_id": call_id,
            "name": name,
            "arguments": "",
        }
        entry = Entry(item=item)
        index = self._begin_item(entry)
        text = json.dumps(arguments)
        place = {"response_id": self.response_id, "item_id": item["id"], "output_index": index, "call_id": call_id}
        self._outlet.emit("response.function_call_arguments.delta", **place, delta=text)
        self._outlet.emit("response.function_call_arguments.done", **place, name=name, arguments=text)
        self._end_item(entry, index, {"status": "completed", "arguments": text})
        return call_id

    def finish(self, status: str, details: JsonObject | None = None) -> None:
        """Close what is open, and be done.

        Args:
            status: "completed", "cancelled", "failed" or "incomplete".
            details: why, as `status_details` has it.
        """
        if self.is_done:
            return
        self._end_message("completed" if status == "completed" else "incomplete")
        self.is_done = True
        self.is_cancelled = status == "cancelled"
        self._outlet.emit("response.done", response=self._describe(status, details))
        if self.cancel is not None and self.is_cancelled:
            self.cancel()

    def _begin_message(self) -> _Message:
        self.item_id = item_id = self._outlet.new_id("item")
        item: JsonObject = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        entry = Entry(item=item, rate=self._rate)
        index = self._begin_item(entry)
        message = _Message(entry=entry, index=index, speech=Speech(self.response_id, item_id))
        self._message = message
        # What is heard may be truncated before it is all said; so the part is there from the beginning.
        entry.item = {**item, "content": [self._content("")]}
        self._outlet.emit("response.content_part.added", **self._place(message), part=self._part(""))
        return message

    def _end_message(self, status: str) -> None:
        message = self._message
        if message is None:
            return
        self._message = None
        text = "".join(message.words)
        place = self._place(message)
        if self.is_text:
            self._outlet.emit("response.output_text.done", **place, text=text)
        else:
            self._outlet.emit("response.output_audio_transcript.done", **place, transcript=text)
            self._outlet.emit("response.output_audio.done", **place)
        self._outlet.emit("response.content_part.done", **place, part=self._part(text))
        self._end_item(message.entry, message.index, {"status": status, "content": [self._content(text)]})

    def _begin_item(self, entry: Entry) -> int:
        index = len(self._output)
        self._output.append(entry.item)
        place = {"response_id": self.response_id, "output_index": index}
        self._outlet.emit("response.output_item.added", **place, item=entry.item)
        if not self._wishes.is_apart:
            previous = self._history.add(entry)
            self._outlet.emit("conversation.item.added", previous_item_id=previous, item=entry.item)
        return index

    def _end_item(self, entry: Entry, index: int, changes: JsonObject) -> None:
        entry.item = self._output[index] = {**entry.item, **changes}
        place = {"response_id": self.response_id, "output_index": index}
        self._outlet.emit("response.output_item.done", **place, item=entry.item)
        if not self._wishes.is_apart:
            previous = self._history.before(entry)
            self._outlet.emit("conversation.item.done", previous_item_id=previous, item=entry.item)

    def _place(self, message: _Message) -> JsonObject:
        return {
            "response_id": self.response_id,
            "item_id": message.speech.item_id,
            "output_index": message.index,
            "content_index": message.speech.content_index,
        }

    def _part(self, text: str) -> JsonObject:
        return {"type": "text", "text": text} if self.is_text else {"type": "audio", "transcript": text}

    def _content(self, text: str) -> JsonObject:
        return {"type": "output_text", "text": text} if self.is_text else {"type": "output_audio", "transcript": text}

    def _describe(self, status: str, details: JsonObject | None) -> JsonObject:
        return {
            "id": self.response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": list(self._output),
            "output_modalities": list(self._wishes.output_modalities),
            "conversation_id": None if self._wishes.is_apart else self._history.conversation_id,
            "metadata": self._wishes.metadata,
            "usage": None if status == "in_progress" else _NO_TOKENS,
        }
