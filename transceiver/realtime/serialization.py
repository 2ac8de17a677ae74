"""From a server event to the text on a channel, within what the other end takes.

A message longer than the peer's `a=max-message-size` must not be sent, and would cost the whole channel. So events that
a client cannot be without are trimmed to what it needs of them, and others are left out.
"""

import json
from collections.abc import Iterator, Mapping

from transceiver.realtime.fields import Event, list_at, mapping_at, text_at

__all__ = ["serialize_event", "serialize_within", "without_audio"]


def serialize_event(event: Event) -> str | None:
    """Write an event as JSON; None when it is none (a backend in this process may say anything)."""
    try:
        text = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # a surrogate without its other half; escaped it can be sent
        return json.dumps(event, allow_nan=False, separators=(",", ":"))
    return text


def serialize_within(event: Event, limit: int) -> tuple[str | None, bool]:
    """Write an event as JSON of at most `limit` bytes.

    Returns:
        The text, None when there is no way to make it fit; and whether something was left out of it.
    """
    text = serialize_event(event)
    if text is None or _fits(text, limit):
        return text, False
    for shorter in _trimmed(event):
        text = serialize_event(shorter)
        if text is not None and _fits(text, limit):
            return text, True
    return None, False


def without_audio(event: Event) -> Event:
    """Return an event without the audio that items may carry (`conversation.item.retrieved` does); mostly as it is."""
    if _has_audio(part := mapping_at(event, "part")):
        return {**event, "part": _silent(part)}
    if list_at(item := mapping_at(event, "item"), "content"):
        return {**event, "item": _silent_item(item)}
    if items := list_at(response := mapping_at(event, "response"), "output"):
        return {**event, "response": {**response, "output": [_silent_item(item) for item in items]}}
    return event


def _silent_item(item: object) -> object:
    if not isinstance(item, Mapping) or not any(_has_audio(part) for part in list_at(item, "content")):
        return item
    return {**item, "content": [_silent(part) for part in list_at(item, "content")]}


def _silent(part: object) -> object:
    return {key: value for key, value in part.items() if key != "audio"} if isinstance(part, Mapping) else part


def _has_audio(part: object) -> bool:
    return isinstance(part, Mapping) and "audio" in part


def _fits(text: str, limit: int) -> bool:
    return len(text) <= limit and (text.isascii() or len(text.encode()) <= limit)


_OF_RESPONSE = ("id", "object", "status", "status_details", "usage", "conversation_id")


def _trimmed(event: Event) -> Iterator[Event]:
    name = text_at(event, "type")
    if name in ("session.created", "session.updated"):
        session = dict(mapping_at(event, "session"))
        for field in ("tools", "instructions", "prompt"):
            session.pop(field, None)
            yield {**event, "session": session}
    elif name in ("response.created", "response.done"):
        # Each item of the output has had an event of its own.
        response = mapping_at(event, "response")
        calls = [item for item in list_at(response, "output") if _is_call(item)]
        brief = {key: response[key] for key in _OF_RESPONSE if key in response}
        yield {**event, "response": {**brief, "output": calls}}
        yield {**event, "response": {**brief, "output": []}}


def _is_call(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == "function_call"
