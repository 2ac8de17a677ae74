"""The contract on top of the dialogue: an agent waits, replies and is interrupted, on Trio."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from transceiver.agents.contract import Happening, Interrupted, Truncated, Turn
from transceiver.agents.dialogue import Dialogue
from transceiver.agents.options import AgentOptions
from transceiver.agents.outlet import Outlet
from transceiver.agents.response import Response

__all__ = ["LiveConversation", "LiveReply", "Mailbox", "describe_failure"]

_PIECE_BYTES = 48_000
"""Speech goes out in pieces: a second at 24 kHz."""


class Mailbox:
    """What an agent has not looked at yet. Never blocks who tells.

    Args:
        limit: how much may wait; then the oldest goes, but never a turn, since somebody waits for its answer.

    Attributes:
        wants_audio: whether the agent looks at audio.
        waiting: what waits, the oldest first.
        dropped: how much was dropped.
        was_cut: whether speech was cut off since somebody last set this to false.
    """

    def __init__(self, limit: int) -> None:
        self.waiting: deque[Happening] = deque()
        self.was_cut = False
        self.wants_audio = False
        self.dropped = 0
        self._limit = limit
        self._changed = trio.Event()
        self._is_closed = False

    def tell(self, happening: Happening) -> None:
        """See `Listener.tell`."""
        if isinstance(happening, Interrupted | Truncated):
            self.was_cut = True
        waiting = self.waiting
        waiting.append(happening)
        if len(waiting) > self._limit:
            # There is one turn at most that waits, as only one response is open.
            oldest = waiting.popleft()
            if isinstance(oldest, Turn):
                waiting.popleft()
                waiting.appendleft(oldest)
            self.dropped += 1
        self._changed.set()

    def withdraw(self, response_id: str) -> bool:
        """See `Listener.withdraw`."""
        for happening in self.waiting:
            if isinstance(happening, Turn) and happening.response_id == response_id:
                self.waiting.remove(happening)
                return True
        return False

    def close(self) -> None:
        """Tell nothing any more; what waits is still taken."""
        self._is_closed = True
        self._changed.set()

    async def take(self) -> Happening:
        """Wait for the next happening.

        Raises:
            StopAsyncIteration: there will be none.
        """
        if self.waiting:  # who waits passes a checkpoint anyway
            await trio.lowlevel.checkpoint()
        while not self.waiting:
            if self._is_closed:
                raise StopAsyncIteration
            self._changed = trio.Event()
            await self._changed.wait()
        return self.waiting.popleft()


class LiveReply:
    """A `Reply`.

    Args:
        response: what it speaks in.
        pace: tells when this much more speech, in bytes, may be said.
    """

    def __init__(self, response: Response, pace: Callable[[int], float]) -> None:
        self.response_id = response.response_id
        self._response = response
        self._pace = pace

    @property
    def is_interrupted(self) -> bool:
        """See `Reply.is_interrupted`."""
        return self._response.is_cancelled

    @property
    def item_id(self) -> str | None:
        """See `Reply.item_id`."""
        return self._response.item_id

    async def say(self, pcm: bytes = b"", *, transcript: str = "") -> None:
        """See `Reply.say`."""
        await trio.lowlevel.checkpoint()
        self._response.say(b"", transcript)
        for offset in range(0, len(pcm), _PIECE_BYTES):
            piece = pcm[offset : offset + _PIECE_BYTES]
            if not self._response.is_text:
                await trio.sleep_until(self._pace(len(piece)))
            self._response.say(piece, "")

    def say_now(self, pcm: bytes) -> None:
        """See `Reply.say_now`."""
        self._response.say(pcm, "")

    async def call_tool(self, name: str, arguments: Mapping[str, object]) -> str:
        """See `Reply.call_tool`."""
        await trio.lowlevel.checkpoint()
        return self._response.call_tool(name, arguments)


class LiveConversation:
    """A `Conversation`.

    Args:
        dialogue: its rules.
        mailbox: where the dialogue tells.
        outlet: takes the error of a reply that failed.
        model: the model that the caller asked for.
        options: how far speech may run ahead.

    Attributes:
        model: as given.
        failure: the exception that a reply failed with last, which clients were told of.
    """

    def __init__(
        self, *, dialogue: Dialogue, mailbox: Mailbox, outlet: Outlet, model: str, options: AgentOptions
    ) -> None:
        self.model = model
        self.failure: Exception | None = None
        self._dialogue = dialogue
        self._mailbox = mailbox
        self._outlet = outlet
        self._max_lead = options.max_lead
        self._played = 0.0  # when all that was said will have been played, if nothing interrupts it
        self._turn_id: str | None = None  # response of the turn that the agent has in hand

    @property
    def rate(self) -> int:
        """See `Conversation.rate`."""
        return self._dialogue.settings.rate

    @property
    def session(self) -> Mapping[str, object]:
        """See `Conversation.session`."""
        return self._dialogue.settings.describe()

    @property
    def history(self) -> Sequence[Mapping[str, object]]:
        """See `Conversation.history`."""
        return [entry.item for entry in self._dialogue.history]

    async def turns(self) -> AsyncIterator[Turn]:
        """See `Conversation.turns`."""
        while True:
            try:
                happening = await self._next()
            except StopAsyncIteration:
                return
            if isinstance(happening, Turn):
                yield happening

    def __aiter__(self) -> AsyncIterator[Happening]:
        """See `Conversation.__aiter__`."""
        self._mailbox.wants_audio = True
        return self

    async def __anext__(self) -> Happening:
        """Wait for what happens next."""
        return await self._next()

    async def _next(self) -> Happening:
        if self._turn_id is not None:
            self._dialogue.answers.pass_over(self._turn_id)
            self._turn_id = None
        happening = await self._mailbox.take()
        if isinstance(happening, Turn):
            self._turn_id = happening.response_id
        return happening

    @asynccontextmanager
    async def reply(self) -> AsyncIterator[LiveReply]:
        """See `Conversation.reply`."""
        turn_id, self._turn_id = self._turn_id, None
        answers = self._dialogue.answers
        response = answers.begin_reply(turn_id)
        with trio.CancelScope() as scope:
            if response.is_cancelled:
                scope.cancel()
            response.cancel = scope.cancel
            try:
                yield LiveReply(response, self._pace)
            except Exception as error:
                self.failure = error
                answers.end_reply(response, "failed", describe_failure(self._outlet, error))
                raise
            except BaseException:
                # Cancelled: by an interruption, which has told the client already, or with the whole conversation.
                answers.end_reply(response, "incomplete")
                raise
            answers.end_reply(response)

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """See `Conversation.listen`."""
        self._dialogue.listen(hear)

    def speech_started(self) -> None:
        """See `Conversation.speech_started`."""
        self._dialogue.speech_started()

    def speech_stopped(self) -> None:
        """See `Conversation.speech_stopped`."""
        self._dialogue.speech_stopped()

    def transcribe(self, turn: Turn, text: str) -> None:
        """See `Conversation.transcribe`."""
        if turn.item_ids:
            self._dialogue.transcribe(turn.item_ids[-1], text, len(turn.audio) / 2 / self.rate)

    def _pace(self, size: int) -> float:
        now = trio.current_time()
        if self._mailbox.was_cut:
            self._mailbox.was_cut = False
            self._played = now
        begins = max(self._played, now)
        self._played = begins + size / 2 / self.rate
        return begins - self._max_lead


def describe_failure(outlet: Outlet, error: Exception) -> dict[str, object]:
    """Tell clients that the agent has failed; of its exception only the type, as the text may hold secrets.

    Returns:
        The `status_details` of the response that failed.
    """
    message = f"The agent has failed: {type(error).__name__}."
    outlet.error("agent_failed", message, kind="server_error")
    return {"type": "failed", "error": {"type": "server_error", "code": "agent_failed", "message": message}}
