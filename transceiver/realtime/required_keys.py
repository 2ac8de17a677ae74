"""Putting into server events what stock clients cannot be without.

The stock client checks each event against a schema. An event that lacks a required key is not refused but demoted to
one that the client's library ignores: a missing `event_id` and no tool is called. And a user's `input_audio` part
without a `transcript` makes it throw. Many servers leave out what the schema wants, or write null where it wants
nothing, so each event is completed here with what says the least.

Source: the schemas of `@openai/agents-realtime` 0.20 (`openaiRealtimeEvents`, `items`); types of the `openai` package.
"""

from collections.abc import Callable, Mapping

from transceiver.realtime.fields import Event, integer_at, list_at, mapping_at, text_at

__all__ = ["complete"]

_PLACE: dict[str, object] = {"response_id": "", "item_id": "", "output_index": 0, "content_index": 0}
_CALL: dict[str, object] = {"response_id": "", "item_id": "", "output_index": 0, "call_id": ""}

_REQUIRED: dict[str, dict[str, object]] = {
    "input_audio_buffer.committed": {"item_id": ""},
    "conversation.item.deleted": {"item_id": ""},
    "conversation.item.truncated": {"item_id": "", "content_index": 0, "audio_end_ms": 0},
    "conversation.item.input_audio_transcription.delta": {"item_id": "", "content_index": 0, "delta": ""},
    "conversation.item.input_audio_transcription.completed": {"item_id": "", "content_index": 0, "transcript": ""},
    "conversation.item.input_audio_transcription.failed": {"item_id": "", "content_index": 0, "error": {}},
    "response.output_item.added": {"response_id": "", "output_index": 0},
    "response.output_item.done": {"response_id": "", "output_index": 0},
    "response.content_part.added": _PLACE,
    "response.content_part.done": _PLACE,
    "response.output_text.delta": _PLACE | {"delta": ""},
    "response.output_text.done": _PLACE | {"text": ""},
    "response.output_audio.done": _PLACE,
    "response.output_audio_transcript.delta": _PLACE | {"delta": ""},
    "response.output_audio_transcript.done": _PLACE | {"transcript": ""},
    "response.function_call_arguments.delta": _CALL | {"delta": ""},
    "response.function_call_arguments.done": _CALL | {"name": "", "arguments": ""},
    "rate_limits.updated": {"rate_limits": []},
}
"""Fields by event, each with what stands for "not said". A field of another JSON type counts as missing."""

_STATUSES = ("completed", "incomplete", "in_progress")
_RESPONSE_STATUSES = (*_STATUSES, "failed", "cancelled")
_NULLABLE_IN_ITEM = ("output", "approval_request_id", "approve", "reason", "error")
_NULLABLE_IN_PART = ("audio", "text", "transcript")
_PART_KINDS = ("text", "audio", "input_text", "input_audio", "output_text", "output_audio")
_ROLES = ("user", "assistant", "system")


def complete(event: Event, fresh: Callable[[str], str], heard_ms: int) -> dict[str, object]:
    """Return an event with all that its type requires; what is there stays as it is.

    Args:
        event: a server event in the GA shape.
        fresh: makes an identifier of a kind.
        heard_ms: how many milliseconds of audio the backend was sent, for one that does not say when speech began.
    """
    name = text_at(event, "type")
    completed = dict(event)
    if not text_at(event, "event_id"):
        completed["event_id"] = fresh("event")
    required = _REQUIRED.get(name, {})
    completed |= {key: default for key, default in required.items() if not _is_alike(event.get(key), default)}
    if "item" in event or name in _WITH_ITEM:
        completed["item"] = _item(mapping_at(event, "item"), is_done=not name.endswith(".added"), fresh=fresh)
    if name in _SPEECH:
        _speech(completed, _SPEECH[name], fresh, heard_ms)
    elif name in ("response.created", "response.done"):
        completed["response"] = _response(mapping_at(event, "response"), is_done=name == "response.done", fresh=fresh)
    elif name in _SHAPES:
        _SHAPES[name](completed)
    return completed


def _is_alike(value: object, default: object) -> bool:
    if isinstance(default, int):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, type(default))


_WITH_ITEM = (
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "response.output_item.added",
    "response.output_item.done",
)


def _item(item: Event, *, is_done: bool, fresh: Callable[[str], str]) -> Event:
    completed = {key: value for key, value in item.items() if value is not None or key in _NULLABLE_IN_ITEM}
    if not text_at(item, "id"):
        completed["id"] = fresh("item")
    kind = text_at(item, "type") or ("message" if "role" in item else "")
    if kind:
        completed["type"] = kind
    if item.get("status") not in _STATUSES:
        # Without it a stock client never calls the tool.
        completed["status"] = "completed" if is_done or item.get("role") in ("user", "system") else "in_progress"
    if kind == "message":
        role = item.get("role") if item.get("role") in _ROLES else "assistant"
        completed["role"] = role
        parts = list_at(item, "content")
        completed["content"] = [_part(part, str(role)) for part in parts if isinstance(part, Mapping)]
    elif kind == "function_call":
        for key in ("name", "arguments", "call_id"):
            completed[key] = text_at(item, key)
    return completed


def _part(part: Event, role: str) -> Event:
    completed = {key: value for key, value in part.items() if value is not None or key in _NULLABLE_IN_PART}
    kind = text_at(part, "type")
    side = "output" if role == "assistant" else "input"
    if kind in _PART_KINDS:
        # Who speaks decides the name; of what does not fit, a stock client throws.
        kind = "input_text" if role == "system" else f"{side}_{kind.rpartition('_')[2]}"
    elif not kind:
        kind = f"{side}_text" if "text" in part else f"{side}_audio"
    completed["type"] = kind
    if kind.endswith("_text"):
        completed["text"] = text_at(part, "text")
    elif kind == "input_audio" and not isinstance(part.get("transcript"), str):
        completed["transcript"] = None
    return completed


_SPEECH = {
    "input_audio_buffer.speech_started": "audio_start_ms",
    "input_audio_buffer.speech_stopped": "audio_end_ms",
}


def _speech(event: dict[str, object], time_key: str, fresh: Callable[[str], str], heard_ms: int) -> None:
    event["item_id"] = text_at(event, "item_id") or fresh("item")
    if integer_at(event, time_key) is None:
        event[time_key] = heard_ms


def _response(response: Event, *, is_done: bool, fresh: Callable[[str], str]) -> Event:
    completed = {key: value for key, value in response.items() if value is not None}
    completed["id"] = text_at(response, "id") or fresh("resp")
    completed["object"] = "realtime.response"
    if response.get("status") not in _RESPONSE_STATUSES:
        completed["status"] = "completed" if is_done else "in_progress"
    items = list_at(response, "output")
    completed["output"] = [_item(item, is_done=is_done, fresh=fresh) for item in items if isinstance(item, Mapping)]
    if not _is_usage(mapping_at(response, "usage")):
        completed.pop("usage", None)
    return completed


def _is_usage(usage: Event) -> bool:
    return bool(usage) and all(integer_at(usage, key) is not None for key in ("input_tokens", "output_tokens"))


def _content_part(event: dict[str, object]) -> None:
    # Here, and only here, GA still says "text" and "audio".
    part = {key: value for key, value in mapping_at(event, "part").items() if value is not None}
    part["type"] = "text" if text_at(part, "type").endswith("text") else "audio"
    if part["type"] == "audio" and event["type"] == "response.content_part.added":
        part.setdefault("transcript", "")
    event["part"] = part


def _transcription(event: dict[str, object]) -> None:
    usage = mapping_at(event, "usage")
    if usage.get("type") == "duration":
        is_whole = isinstance(usage.get("seconds"), int | float)
    else:
        details = mapping_at(usage, "input_token_details")
        is_whole = usage.get("type") == "tokens" and all(
            integer_at(holder, key) is not None
            for holder, key in (
                (usage, "total_tokens"),
                (usage, "input_tokens"),
                (usage, "output_tokens"),
                (details, "text_tokens"),
                (details, "audio_tokens"),
            )
        )
    if not is_whole:
        event.pop("usage", None)


def _rate_limits(event: dict[str, object]) -> None:
    event["rate_limits"] = [
        limit
        for limit in list_at(event, "rate_limits")
        if isinstance(limit, Mapping) and limit.get("name") in ("requests", "tokens")
    ]


def _error(event: dict[str, object]) -> None:
    error = dict(mapping_at(event, "error"))
    error["type"] = text_at(error, "type") or "server_error"
    error["message"] = text_at(error, "message") or text_at(event, "message") or "The backend reported an error."
    for key in ("code", "param", "event_id"):
        error[key] = text_at(error, key) or None
    event["error"] = error


def _session(event: dict[str, object]) -> None:
    event["session"] = mapping_at(event, "session")


_SHAPES: dict[str, Callable[[dict[str, object]], None]] = {
    "session.created": _session,
    "session.updated": _session,
    "response.content_part.added": _content_part,
    "response.content_part.done": _content_part,
    "conversation.item.input_audio_transcription.completed": _transcription,
    "rate_limits.updated": _rate_limits,
    "error": _error,
}
