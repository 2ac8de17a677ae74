"""What a Python function needs to know to be the agent of a call.

An agent is an async function that takes a `Conversation`. It is called once for each call, runs on Trio, and hangs up
by returning. The shortest one that makes sense:

    async def agent(conversation: Conversation) -> None:
        async for turn in conversation.turns():
            async with conversation.reply() as reply:
                await reply.say(turn.audio, transcript="That is what you said.")

`turns()` gives the caller's turns, each when it wants an answer: the end of speech was noticed, or a client asked for a
response. What should stop when the caller interrupts, stands inside `reply()`: the thinking as well as the speaking. An
interruption cancels that block and nothing else, and the next turn follows.

Agents that want to know more than turns iterate over the conversation itself, and get each `Happening`: every piece of
audio, the beginning and end of speech, texts, results of tools. Agents that find turns themselves, with a model for
example, call `listen`.

Audio is 16-bit little-endian mono PCM at `Conversation.rate`, everywhere.

When the caller has gone, iteration ends; an agent that does not return then is cancelled after some seconds. An
exception that leaves the agent ends the call with an error that clients see, and is logged.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

__all__ = [
    "Agent",
    "Audio",
    "Conversation",
    "Digit",
    "Happening",
    "Interrupted",
    "Reply",
    "SessionChanged",
    "SpeechStarted",
    "SpeechStopped",
    "Text",
    "ToolResult",
    "Truncated",
    "Turn",
]


@attrs.frozen(kw_only=True)
class Audio:
    """A piece of what the caller's microphone heard, speech or not; usually 20 ms.

    Attributes:
        pcm: the samples.
    """

    pcm: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class SpeechStarted:
    """The caller has begun to speak.

    Attributes:
        item_id: the conversation item that it will become.
        at_ms: where it begins in the audio heard so far, in milliseconds.
    """

    item_id: str
    at_ms: int


@attrs.frozen(kw_only=True)
class SpeechStopped:
    """The caller has stopped speaking.

    Attributes:
        item_id: the conversation item that it became.
        at_ms: where it ends in the audio heard so far, in milliseconds.
    """

    item_id: str
    at_ms: int


@attrs.frozen(kw_only=True)
class Text:
    """A client has added a message in writing.

    Attributes:
        item_id: the conversation item.
        text: what it says.
        role: "user", "system" or "assistant".
    """

    item_id: str
    text: str
    role: str = "user"


@attrs.frozen(kw_only=True)
class ToolResult:
    """A client has called the tool that a reply asked for.

    Attributes:
        call_id: as `Reply.call_tool` returned it.
        name: the tool.
        output: what it gave, often JSON.
    """

    call_id: str
    name: str
    output: str


@attrs.frozen(kw_only=True)
class Turn:
    """The caller waits for an answer.

    Attributes:
        response_id: the response that the answer will be.
        audio: what the caller said since the last turn, with the pauses before and after; empty when nothing.
        text: what the caller wrote since the last turn, one message a line.
        tool_results: what came of the tools that were called.
        item_ids: the conversation items of the spoken part.
        instructions: how to answer, those of the session unless this request has its own.
        tools: what may be called, as the client describes it: `{"type": "function", "name": …, "parameters": …}`.
        tool_choice: "auto", "none", "required", or the one that must be called: `{"type": "function", "name": …}`.
        output_modalities: `["audio"]` or `["text"]`.
        metadata: what the client attached to its request.
    """

    response_id: str
    audio: bytes = attrs.field(default=b"", repr=False)
    text: str = ""
    tool_results: Sequence[ToolResult] = ()
    item_ids: Sequence[str] = ()
    instructions: str = ""
    tools: Sequence[Mapping[str, object]] = ()
    tool_choice: object = "auto"
    output_modalities: Sequence[str] = ("audio",)
    metadata: Mapping[str, object] | None = None

    @property
    def forced_tool(self) -> str | None:
        """Name of the tool that must be called; None when the agent may choose."""
        if isinstance(self.tool_choice, Mapping) and self.tool_choice.get("type") == "function":
            return str(self.tool_choice["name"])
        return None


@attrs.frozen(kw_only=True)
class Interrupted:
    """A reply was cut off before it was complete.

    Attributes:
        response_id: the response.
        reason: "turn_detected" when the caller began to speak, "client_cancelled" when a client asked for it.
    """

    response_id: str
    reason: str


@attrs.frozen(kw_only=True)
class Truncated:
    """The caller has heard only a part of what was said; the rest was dropped before it was played.

    Attributes:
        item_id: the conversation item, as `Reply.item_id` named it.
        heard_ms: how much of it was heard.
    """

    item_id: str
    heard_ms: int


@attrs.frozen(kw_only=True)
class Digit:
    """The caller has pressed a key.

    Attributes:
        digit: "0" to "9", "*", "#" or "A" to "D".
    """

    digit: str


@attrs.frozen(kw_only=True)
class SessionChanged:
    """A client has changed `Conversation.session`."""


Happening = (
    Audio | SpeechStarted | SpeechStopped | Text | ToolResult | Turn | Interrupted | Truncated | Digit | SessionChanged
)


class Reply(Protocol):
    """One answer. Everything in it is cancelled when the caller interrupts.

    Attributes:
        response_id: the response that it is.
    """

    response_id: str

    @property
    def is_interrupted(self) -> bool:
        """Whether it was cut off; to be asked after the block."""

    @property
    def item_id(self) -> str | None:
        """The conversation item of what was said last; None before."""

    async def say(self, pcm: bytes = b"", *, transcript: str = "") -> None:
        """Say something, after what was said before.

        Speech may come much faster than it is played; `say` waits when it is far ahead. Where the client wants text
        only, the transcript is written and the sound left out.

        Args:
            pcm: samples at `Conversation.rate`; may be empty.
            transcript: the words of it.

        Raises:
            LocalProtocolError: `pcm` ends within a sample.
        """

    def say_now(self, pcm: bytes) -> None:
        """Say something without waiting, from a callback of `Conversation.listen`; nothing when the reply is over."""

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> str:
        """Ask the client to call a tool; its result is in a later turn's `tool_results`.

        Args:
            name: one of the tools in `Turn.tools`.
            arguments: JSON-able.

        Returns:
            The id of the call, which `ToolResult.call_id` will be.
        """


class Conversation(Protocol):
    """A caller, as an agent sees one.

    Attributes:
        model: the model that the caller asked for; agents may serve several.
    """

    model: str

    @property
    def rate(self) -> int:
        """Sample rate of all audio in Hz: 8000, 16000, 24000 or 48000."""

    @property
    def session(self) -> Mapping[str, object]:
        """The effective session configuration in the protocol's GA shape: instructions, tools, voice."""

    @property
    def history(self) -> Sequence[Mapping[str, object]]:
        """The conversation's items so far, in the protocol's GA shape, without audio."""

    def turns(self) -> AsyncIterator[Turn]:
        """Wait for the caller's turns, until the caller hangs up. A turn may be left without a reply."""

    def __aiter__(self) -> AsyncIterator[Happening]:
        """Wait for all that happens, until the caller hangs up.

        An agent that is busy does not hold up the call: what it has not looked at for long is dropped, oldest first.
        """

    def reply(self) -> AbstractAsyncContextManager[Reply]:
        """Answer the last turn, or begin to speak unasked. One at a time.

        The block is cancelled, and left without an exception, when the caller interrupts it.

        Raises:
            LocalProtocolError: another reply is still open.
        """

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hand each piece of audio to a function, at once and without a task, and find no turns any more.

        For agents that are quick and look at every frame. `hear` must not block and is called by whoever moves the
        packets of all calls. From now on the agent says what a turn is, with `speech_started` and `speech_stopped`;
        the audio of such turns is the agent's own to keep.
        """

    def speech_started(self) -> None:
        """Say that the caller has begun to speak, for agents that `listen`; interrupts a reply."""

    def speech_stopped(self) -> None:
        """Say that the caller has stopped speaking, for agents that `listen`; a turn follows."""

    def transcribe(self, turn: Turn, text: str) -> None:
        """Say which words were in the audio of a turn, for clients that show them."""


Agent = Callable[[Conversation], Awaitable[None]]
"""What an agent is."""
