"""An agent and its conversation run together: a server of the Realtime protocol, in its GA shape, for one call.

There is no transport here. Whoever has one hands client events to `receive_event` and gets server events through the
sink. Audio goes as PCM by reference; a transport that carries it inside events may hand over
`input_audio_buffer.append` as it came, and makes `response.output_audio.delta` with `audio_delta`.
"""

import base64
from collections.abc import Mapping, Sequence

import trio

from transceiver.agents.client_events import ClientEvents
from transceiver.agents.contract import Agent
from transceiver.agents.conversation import LiveConversation, Mailbox, describe_failure
from transceiver.agents.dialogue import Dialogue
from transceiver.agents.options import AgentOptions
from transceiver.agents.outlet import Outlet
from transceiver.agents.session import SessionSettings
from transceiver.backends.contract import BackendSink, Speech
from wire.core import Entropy

__all__ = ["AgentFailed", "AgentServer"]


_DEFAULTS = AgentOptions()


class AgentFailed(Exception):  # noqa: N818 - named for what happened
    """The agent ended with an exception, which is the cause of this one."""


class AgentServer:
    """One agent in one conversation.

    Args:
        agent: the function.
        sink: takes server events and speech. Called inline, from `receive_event` and `receive_audio` too.
        entropy: for ids.
        model: the model that the caller asked for.
        rate: sample rate in Hz of the PCM, both ways.
        rates: those that the client may choose instead, before the first audio; none by default.
        options: bounds and times.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        sink: BackendSink,
        entropy: Entropy,
        model: str = "",
        rate: int = 24_000,
        rates: Sequence[int] = (),
        options: AgentOptions = _DEFAULTS,
    ) -> None:
        self._agent = agent
        self._options = options
        self._outlet = outlet = Outlet(sink, entropy)
        self._settings = SessionSettings(
            session_id=outlet.new_id("sess"), model=model, rate=rate, rates=rates or (rate,), max_turn=options.max_turn
        )
        self._mailbox = Mailbox(options.max_happenings)
        self._dialogue = Dialogue(outlet=outlet, listener=self._mailbox, settings=self._settings, options=options)
        self._conversation = LiveConversation(
            dialogue=self._dialogue, mailbox=self._mailbox, outlet=outlet, model=model, options=options
        )
        self._events = ClientEvents(self._dialogue, outlet)
        self._scope = trio.CancelScope()
        self._failure: Exception | None = None
        self._is_closed = False

    @property
    def rate(self) -> int:
        """Sample rate of the PCM in Hz, both ways."""
        return self._settings.rate

    def greet(self) -> None:
        """Send `session.created`, which is the first event."""
        self._outlet.emit("session.created", session=self._settings.describe())

    async def run(self) -> None:
        """Run the agent until it returns, or until `close` was called and it had its time.

        Cancellation cancels the agent.

        Raises:
            AgentFailed: it ended with an exception.
        """
        try:
            with self._scope:
                await self._agent(self._conversation)
        except Exception as error:  # noqa: BLE001 - raised below, with the call's end told first
            self._failure = error
        finally:
            self._is_closed = True
            self._end()
        if self._failure is not None:
            raise AgentFailed(f"{type(self._failure).__name__}: {self._failure}") from self._failure

    def _end(self) -> None:
        if self._failure is None:
            self._dialogue.answers.end("incomplete")
        elif self._failure is not self._conversation.failure:
            self._dialogue.answers.end("failed", describe_failure(self._outlet, self._failure))

    def receive_event(self, event: Mapping[str, object]) -> None:
        """Take a client event in its GA shape; what is wrong with it becomes an `error` event."""
        if not self._is_closed and (pcm := self._events.receive(event)):
            self.receive_audio(pcm)

    def receive_audio(self, pcm: bytes) -> None:
        """Take what the caller said: 16-bit little-endian mono PCM at `rate`, whole samples."""
        if self._is_closed:
            return
        try:
            self._dialogue.receive_audio(pcm)
        except Exception as error:  # noqa: BLE001 - the agent's own function, called by `Conversation.listen`
            self._failure = error
            self._is_closed = True
            self._scope.cancel()

    def close(self) -> None:
        """Tell the agent that the caller has gone; it has some seconds to return."""
        if self._is_closed:
            return
        self._is_closed = True
        self._mailbox.close()
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + self._options.goodbye)

    def describe(self) -> Mapping[str, object]:
        """Tell the conversation's state in JSON types."""
        return {
            "response": self._dialogue.answers.response_id,
            "items": len(self._dialogue.history),
            "items_forgotten": self._dialogue.history.forgotten,
            "happenings_dropped": self._mailbox.dropped,
        }

    def audio_delta(self, speech: Speech, pcm: bytes) -> dict[str, object]:
        """Make an event of speech, for transports that carry audio in events; called from `backend_audio`."""
        return {
            "type": "response.output_audio.delta",
            "event_id": self._outlet.new_id("event"),
            "response_id": speech.response_id,
            "item_id": speech.item_id,
            "output_index": self._dialogue.answers.output_index,
            "content_index": speech.content_index,
            "delta": base64.b64encode(pcm).decode(),
        }
