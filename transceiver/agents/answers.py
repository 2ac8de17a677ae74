"""Asking the agent for answers, one at a time, and cutting them off.

A response opens when a turn wants an answer, and the agent may then take its time: whoever waits for `response.done`
gets it, whether the agent answers, moves on, fails or is interrupted. A turn that is interrupted before the agent has
looked at it is taken back, and goes on in the next one: "I want …" "… a pizza".
"""

from typing import Protocol

from transceiver.agents.contract import Happening, Interrupted, ToolResult, Turn
from transceiver.agents.history import History
from transceiver.agents.outlet import JsonObject, Outlet
from transceiver.agents.requests import RequestRefused
from transceiver.agents.response import Response, Wishes
from transceiver.agents.session import SessionSettings
from wire.errors import LocalProtocolError

__all__ = ["Answers", "Listener", "Unanswered"]

_MAX_PIECES = 64


class Listener(Protocol):
    """Where a dialogue tells the agent; neither call blocks.

    Attributes:
        wants_audio: whether the agent looks at each piece of audio.
    """

    wants_audio: bool

    def tell(self, happening: Happening) -> None:
        """Tell what happened."""

    def withdraw(self, response_id: str) -> bool:
        """Take back the turn with this response, if the agent has not looked at it yet, and say whether that was so."""


class Unanswered:
    """What the caller said, wrote and sent since the last turn; the newest, when it is more than a turn may hold.

    Args:
        max_bytes: how much audio is kept.

    Attributes:
        audio: speech, a piece for each item.
        item_ids: those items.
        texts: what was written.
        results: what came of tools.
    """

    def __init__(self, max_bytes: int) -> None:
        # Lists, as most calls hold nothing here for most of the time: an empty deque takes 760 bytes, a list 56.
        self.audio: list[bytes] = []
        self.item_ids: list[str] = []
        self.texts: list[str] = []
        self.results: list[ToolResult] = []
        self._max_bytes = max_bytes

    def add_audio(self, pcm: bytes, item_id: str) -> None:
        """Take speech, the part of an item."""
        self.audio.append(pcm)
        self.item_ids.append(item_id)
        while len(self.audio) > _MAX_PIECES or (len(self.audio) > 1 and sum(map(len, self.audio)) > self._max_bytes):
            del self.audio[0], self.item_ids[0]

    def add_text(self, text: str) -> None:
        """Take what was written."""
        self.texts.append(text)
        del self.texts[:-_MAX_PIECES]

    def add_result(self, result: ToolResult) -> None:
        """Take what came of a tool."""
        self.results.append(result)
        del self.results[:-_MAX_PIECES]

    def extend(self, later: "Unanswered") -> None:
        """Take all of another, which came later."""
        for pcm, item_id in zip(later.audio, later.item_ids, strict=True):
            self.add_audio(pcm, item_id)
        for text in later.texts:
            self.add_text(text)
        for result in later.results:
            self.add_result(result)

    def turn(self, response_id: str, wishes: Wishes) -> Turn:
        """Make a turn of it."""
        return Turn(
            response_id=response_id,
            audio=b"".join(self.audio),
            text="\n".join(self.texts),
            tool_results=tuple(self.results),
            item_ids=tuple(self.item_ids),
            instructions=wishes.instructions,
            tools=wishes.tools,
            tool_choice=wishes.tool_choice,
            output_modalities=wishes.output_modalities,
            metadata=wishes.metadata,
        )


class Answers:
    """The responses of one conversation.

    Args:
        outlet: takes events and speech.
        listener: takes the turns.
        settings: the session's configuration.
        history: the conversation's items.
        max_bytes: audio that one turn may hold.

    Attributes:
        unanswered: what the next turn will hold.
    """

    def __init__(
        self, *, outlet: Outlet, listener: Listener, settings: SessionSettings, history: History, max_bytes: int
    ) -> None:
        self.unanswered = Unanswered(max_bytes)
        self._outlet = outlet
        self._listener = listener
        self._settings = settings
        self._history = history
        self._max_bytes = max_bytes
        self._response: Response | None = None  # the one that is open
        self._spoken: Response | None = None  # the one that the agent is in; it may have been cancelled
        self._offered: dict[str, tuple[Response, Unanswered]] = {}  # turns that the agent has not answered
        self._wants_response = False  # a turn ended while another answer was open

    @property
    def response_id(self) -> str | None:
        """The response that is open."""
        return self._response.response_id if self._response is not None else None

    @property
    def output_index(self) -> int:
        """Number of the item that is being said, within the open response."""
        return self._response.output_index if self._response is not None else 0

    def wishes(self, **changes: object) -> Wishes:
        """Tell how an answer is wanted: as the session says, but for `changes`."""
        names = ("instructions", "tools", "tool_choice", "output_modalities")
        session = {name: self._settings.read(name) for name in names}
        return Wishes(**(session | changes))  # type: ignore[arg-type]  # checked when they came in

    # What clients and turns ask for

    def ask(self, wishes: Wishes, instead: Unanswered | None = None) -> None:
        """Open a response, and ask the agent for it.

        Args:
            wishes: how it is wanted.
            instead: what to answer, if not what was said.

        Raises:
            RequestRefused: another one is open.
        """
        if self._response is not None:
            message = (
                f"Conversation already has an active response in progress: {self._response.response_id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise RequestRefused("conversation_already_has_active_response", message)
        content = instead
        if content is None:
            content, self.unanswered = self.unanswered, Unanswered(self._max_bytes)
        response = self._open(wishes)
        self._offered[response.response_id] = (response, content)
        self._listener.tell(content.turn(response.response_id, wishes))

    def ask_when_free(self) -> None:
        """Ask for an answer to what was said, now or after the one that is open."""
        if self._response is None:
            self.ask(self.wishes())
        else:
            self._wants_response = True

    def cancel(self, reason: str) -> bool:
        """Cut the open response off.

        Args:
            reason: "turn_detected" or "client_cancelled".

        Returns:
            Whether there was one.
        """
        response = self._response
        self._wants_response = False
        if response is None:
            return False
        self._response = None
        response.finish("cancelled", {"type": "cancelled", "reason": reason})
        if self._listener.withdraw(response.response_id):
            self._take_back(response)
        else:
            self._listener.tell(Interrupted(response_id=response.response_id, reason=reason))
        return True

    # What the agent does

    def begin_reply(self, response_id: str | None) -> Response:
        """Let the agent answer.

        Args:
            response_id: that of the turn it answers; None to begin unasked.

        Returns:
            The response, which may have been cancelled already.

        Raises:
            LocalProtocolError: the agent is in another reply.
        """
        if self._spoken is not None:
            raise LocalProtocolError("a reply began inside of another")
        response = self._offered.pop(response_id)[0] if response_id in self._offered else self._response
        if response is None:
            response = self._open(self.wishes())
        elif self._listener.withdraw(response.response_id):
            # A turn has come that the agent has not seen: it says what it wanted to say, and is asked again.
            self._take_back(response)
            self._wants_response = True
        self._spoken = response
        return response

    def end_reply(self, response: Response, status: str = "completed", details: JsonObject | None = None) -> None:
        """Take note that the agent has said all it wanted, or has failed."""
        self._spoken = None
        self._finish(response, status, details)

    def pass_over(self, response_id: str) -> None:
        """Take note that the agent leaves a turn without an answer."""
        if response_id in self._offered:
            self._finish(self._offered.pop(response_id)[0], "completed", None)

    def end(self, status: str, details: JsonObject | None = None) -> None:
        """Close what is open, since the agent has come to an end."""
        self._wants_response = False
        if self._response is not None:
            self._finish(self._response, status, details)

    def _open(self, wishes: Wishes) -> Response:
        self._response = Response(outlet=self._outlet, history=self._history, wishes=wishes, rate=self._settings.rate)
        return self._response

    def _finish(self, response: Response, status: str, details: JsonObject | None) -> None:
        response.finish(status, details)
        if self._response is response:
            self._response = None
            if self._wants_response:
                self._wants_response = False
                self.ask(self.wishes())

    def _take_back(self, response: Response) -> None:
        _, content = self._offered.pop(response.response_id)
        content.extend(self.unanswered)
        self.unanswered = content
