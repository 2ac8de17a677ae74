"""What a call says and hears in events: shown as they come, and begun with a message in writing."""

import json
from collections.abc import Callable

import trio

from edge.caller.events import EventReceived, EventsClosed, EventsOpened
from edge.caller.session import CallerSession
from wire.core import Event
from wire.errors import LocalProtocolError

__all__ = ["Conversing"]

_LONGEST_WORDS = 200


class Conversing:
    """The events of one call.

    Args:
        session: the call.
        flush: sends what the session has to say.
        text: what to write to the agent once it listens; None for nothing.
        show: takes a line for the terminal.
    """

    def __init__(
        self, session: CallerSession, flush: Callable[[float], None], text: str | None, show: Callable[[str], None]
    ) -> None:
        self._session = session
        self._flush = flush
        self._text = text
        self._show = show
        self._started = trio.current_time()

    def see(self, event: Event) -> None:
        """Take what the call's session reports."""
        match event:
            case EventsOpened():
                self._begin()
            case EventReceived():
                self._tell("◀", _describe(event.text))
            case EventsClosed():
                self._tell("!", f"no more events: {event.reason}")
            case _:
                pass

    def _begin(self) -> None:
        self._send({"type": "session.update", "session": {"type": "realtime"}})
        if self._text is not None:
            content = [{"type": "input_text", "text": self._text}]
            item = {"type": "message", "role": "user", "content": content}
            self._send({"type": "conversation.item.create", "item": item})
            self._send({"type": "response.create"})
        self._flush(trio.current_time())

    def _send(self, event: dict[str, object]) -> None:
        if self._session.events is None:
            return
        try:
            self._session.events.send(json.dumps(event), trio.current_time())
        except LocalProtocolError as problem:
            self._tell("!", f"{event['type']} could not be sent: {problem}")
        else:
            self._tell("▶", str(event["type"]))

    def _tell(self, sign: str, words: str) -> None:
        self._show(f"{trio.current_time() - self._started:7.3f} s {sign} {words}")


def _describe(text: str) -> str:
    """Name an event, with what it says in words."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return f"not JSON: {text[:_LONGEST_WORDS]!r}"
    if not isinstance(event, dict):
        return f"not an object: {text[:_LONGEST_WORDS]!r}"
    error = event.get("error")
    words = next(
        (
            value
            for value in (
                event.get("transcript"),
                event.get("text"),
                error.get("message") if isinstance(error, dict) else None,
                f"{event.get('name')}({event.get('arguments')})" if "arguments" in event else None,
            )
            if isinstance(value, str) and value
        ),
        "",
    )
    return f"{event.get('type')}  {words[:_LONGEST_WORDS]}".rstrip()
