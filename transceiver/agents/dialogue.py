"""The rules of a conversation between one client and one agent: what was said, written, forgotten.

No task, no clock. Clients come in through `client_events` and `receive_audio`, the agent through `conversation`; events
and speech go out through the `Outlet`, and what the agent should know through the `Listener`. What is asked of the
agent is kept in `answers`.
"""

from collections.abc import Callable, Mapping
from typing import cast

from transceiver.agents.answers import Answers, Listener
from transceiver.agents.contract import (
    Audio,
    Digit,
    SessionChanged,
    SpeechStarted,
    SpeechStopped,
    Text,
    ToolResult,
    Truncated,
)
from transceiver.agents.history import Entry, History, text_of
from transceiver.agents.input_audio import InputAudio
from transceiver.agents.options import AgentOptions
from transceiver.agents.outlet import JsonObject, Outlet
from transceiver.agents.requests import RequestRefused
from transceiver.agents.session import SessionSettings
from transceiver.agents.turns import SpeechBegan

__all__ = ["Dialogue"]

_LEAST_COMMIT_MS = 100  # the protocol's own minimum


class Dialogue:
    """One conversation.

    Args:
        outlet: takes events and speech.
        listener: takes what the agent should know.
        settings: the session's configuration.
        options: what to hold at most.

    Attributes:
        settings: as given.
        history: the conversation's items.
        answers: the responses.
    """

    def __init__(self, *, outlet: Outlet, listener: Listener, settings: SessionSettings, options: AgentOptions) -> None:
        self.settings = settings
        self.history = History(options.max_items, outlet.new_id("conv"))
        self._outlet = outlet
        self._listener = listener
        self._options = options
        self._hear: Callable[[bytes], None] | None = None
        self._input = self._new_input()
        self._speech_item: str | None = None  # of the turn that is being spoken
        self.answers = Answers(
            outlet=outlet,
            listener=listener,
            settings=settings,
            history=self.history,
            max_bytes=2 * round(options.max_turn * settings.rate),
        )

    # What is heard

    def receive_audio(self, pcm: bytes) -> None:
        """Take what the caller said: 16-bit PCM at the session's rate, whole samples."""
        if self._hear is not None:
            self._input.skip(len(pcm) // 2)
            self._hear(pcm)
            return
        if self._listener.wants_audio:
            self._listener.tell(Audio(pcm=pcm))
        changes = self._input.receive(pcm)
        for change in changes:
            if isinstance(change, SpeechBegan):
                self._begin_speech(change.sample)
            else:
                self._end_speech(change.sample)
        if changes:
            self._input.forget()

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hand all audio to the agent, and find no turns."""
        self._hear = hear
        self._input.detect(None)
        self._input.clear()

    def speech_started(self) -> None:
        """The agent says that a turn has begun."""
        if self._speech_item is None:
            self._begin_speech(self._input.position)

    def speech_stopped(self) -> None:
        """The agent says that a turn has ended."""
        if self._speech_item is not None:
            self._end_speech(self._input.position)

    def _begin_speech(self, sample: int) -> None:
        self._input.skip_to(sample)
        item_id = self._speech_item = self._outlet.new_id("item")
        at_ms = self._milliseconds(sample)
        self._outlet.emit("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=item_id)
        self._listener.tell(SpeechStarted(item_id=item_id, at_ms=at_ms))
        if self.settings.interrupts_response:
            self.answers.cancel("turn_detected")

    def _end_speech(self, sample: int) -> None:
        item_id = self._speech_item or self._outlet.new_id("item")
        self._outlet.emit("input_audio_buffer.speech_stopped", audio_end_ms=self._milliseconds(sample), item_id=item_id)
        self._commit(self._input.take(sample), item_id)
        self._listener.tell(SpeechStopped(item_id=item_id, at_ms=self._milliseconds(sample)))
        if self.settings.creates_response:
            self.answers.ask_when_free()

    def receive_digit(self, digit: str) -> None:
        """Take a key that the caller pressed."""
        self._listener.tell(Digit(digit=digit))

    def commit(self) -> None:
        """Make an item of what was heard: push to talk.

        Raises:
            RequestRefused: there is too little.
        """
        held = self._milliseconds(self._input.held_samples)
        if held < _LEAST_COMMIT_MS and self._hear is None:
            message = (
                f"Error committing input audio buffer: buffer too small. Expected at least {_LEAST_COMMIT_MS}ms of "
                f"audio, but buffer only has {held}ms of audio."
            )
            raise RequestRefused("input_audio_buffer_commit_empty", message)
        self._commit(self._input.take(), self._speech_item or self._outlet.new_id("item"))

    def clear(self) -> None:
        """Forget what was heard and not committed."""
        self._input.clear()
        self._speech_item = None
        self._outlet.emit("input_audio_buffer.cleared")

    def _commit(self, pcm: bytes, item_id: str) -> None:
        self._speech_item = None
        content: JsonObject = {"type": "input_audio", "transcript": None}
        item: JsonObject = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [content],
        }
        self._outlet.emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=self.history.last_id)
        self._add(Entry(item=item))
        self.answers.unanswered.add_audio(pcm, item_id)

    def _milliseconds(self, samples: int) -> int:
        return samples * 1000 // self._input.rate

    def _new_input(self) -> InputAudio:
        rate = self.settings.rate
        turns = None if self._hear is not None else self.settings.turns
        return InputAudio(rate=rate, turns=turns, max_samples=round(self._options.max_turn * rate))

    # What a client does to the conversation

    def update_session(self, patch: Mapping[str, object]) -> None:
        """Change the configuration.

        Raises:
            RequestRefused: it is wrong; nothing has changed.
        """
        rate, turns = self.settings.rate, self.settings.turns
        self.settings.update(patch, is_rate_fixed=self._input.position > 0)
        if self.settings.rate != rate:
            self._input = self._new_input()
        elif self.settings.turns != turns and self._hear is None:
            self._input.detect(self.settings.turns)
            self._speech_item = None
        self._outlet.emit("session.updated", session=self.settings.describe())
        self._listener.tell(SessionChanged())

    def add_item(self, item: JsonObject, after: str | None, audio: bytes) -> None:
        """Add an item of a client's, and tell the agent.

        Args:
            item: checked, complete, without audio.
            after: see `History.add`.
            audio: speech that came with it.

        Raises:
            RequestRefused: it does not fit into the conversation.
        """
        name: str | None = ""
        if item["type"] == "function_call_output":
            call_id = cast("str", item["call_id"])
            if (name := self.history.function_of(call_id)) is None:
                message = f"Tool call ID '{call_id}' not found in conversation."
                raise RequestRefused("item_create_invalid_tool_call_id", message, "item.call_id")
        self._add(Entry(item=item), after)
        if name:
            result = ToolResult(call_id=cast("str", item["call_id"]), name=name, output=cast("str", item["output"]))
            self.answers.unanswered.add_result(result)
            self._listener.tell(result)
        elif item["type"] == "message":
            self._add_message(item, audio)

    def _add_message(self, item: JsonObject, audio: bytes) -> None:
        item_id, role = cast("str", item["id"]), cast("str", item["role"])
        text = text_of(item)
        if role == "user" and audio:
            self.answers.unanswered.add_audio(audio, item_id)
        if text:
            if role == "user":
                self.answers.unanswered.add_text(text)
            self._listener.tell(Text(item_id=item_id, text=text, role=role))

    def _add(self, entry: Entry, after: str | None = None) -> None:
        previous = self.history.add(entry, after)
        for kind in ("added", "done"):
            self._outlet.emit(f"conversation.item.{kind}", previous_item_id=previous, item=entry.item)

    def delete_item(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            RequestRefused: there is none.
        """
        self.history.remove(item_id)
        self._outlet.emit("conversation.item.deleted", item_id=item_id)

    def retrieve_item(self, item_id: str) -> None:
        """Show an item.

        Raises:
            RequestRefused: there is none.
        """
        entry = self.history.find(item_id, "item_retrieve_invalid_item_id")
        self._outlet.emit("conversation.item.retrieved", item=entry.item)

    def truncate_item(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Shorten what was said to what was heard.

        Raises:
            RequestRefused: there is no such speech, or less of it.
        """
        self.history.truncate(item_id, content_index, audio_end_ms)
        self._outlet.emit(
            "conversation.item.truncated", item_id=item_id, content_index=content_index, audio_end_ms=audio_end_ms
        )
        self._listener.tell(Truncated(item_id=item_id, heard_ms=audio_end_ms))

    def transcribe(self, item_id: str, text: str, seconds: float) -> None:
        """Say which words were in the audio of an item; nothing when the item is gone."""
        for entry in self.history:
            if entry.item_id == item_id:
                entry.item = {**entry.item, "content": [{"type": "input_audio", "transcript": text}]}
                self._outlet.emit(
                    "conversation.item.input_audio_transcription.completed",
                    item_id=item_id,
                    content_index=0,
                    transcript=text,
                    usage={"type": "duration", "seconds": seconds},
                )
