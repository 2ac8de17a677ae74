"""Two shapes of one protocol: GA, and the beta that many servers and older clients still speak.

We think in the GA shape. `to_ga` takes an event of either shape, of either direction (clients and servers share no
event name), and changes nothing in one that is GA already: so it may be applied to everything that comes in, also from
the servers that mix the two. `to_beta` is for sending to somebody who is known to speak beta; `speaks_beta` tells.

Neither function remembers anything. Two things of GA have no place in a beta event and are lost on the way there:
session fields that came later (`truncation`, `prompt`, ...), and `conversation.item.done`, which in beta is part of
`conversation.item.created`. On the way back an item that is still being made gives `conversation.item.added` only; its
`done` is due later, and the bridge sends it (`transceiver.realtime.items`).

Source: the migration table of the Realtime guide, beta to GA; types of the `openai` Python package, `types.realtime`
and `types.beta.realtime`.
"""

from collections.abc import Callable, Mapping

from transceiver.realtime.fields import Event, mapping_at, text_at

__all__ = ["speaks_beta", "to_beta", "to_ga"]

_Translation = Callable[[Event], Event]

_GA_TO_BETA_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
_BETA_TO_GA_NAMES = {beta: ga for ga, beta in _GA_TO_BETA_NAMES.items()}

# Where a flat field of a beta session lives in a GA session.
_AUDIO_FIELDS = {
    "input_audio_format": ("input", "format"),
    "input_audio_transcription": ("input", "transcription"),
    "input_audio_noise_reduction": ("input", "noise_reduction"),
    "turn_detection": ("input", "turn_detection"),
    "output_audio_format": ("output", "format"),
    "voice": ("output", "voice"),
    "speed": ("output", "speed"),
}
_BETA_AUDIO_FIELDS = {place: name for name, place in _AUDIO_FIELDS.items()}
_BETA_ONLY = frozenset({*_AUDIO_FIELDS, "modalities", "max_response_output_tokens", "temperature"})
_GA_ONLY = frozenset({"truncation", "prompt", "include", "reasoning", "parallel_tool_calls"})

_FORMATS: dict[str, Event] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_BETA_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


def to_ga(event: Event) -> tuple[Event, ...]:
    """Give an event in the GA shape.

    Args:
        event: an event of a client or of a server, of either shape; not changed. What cannot be understood is kept.

    Returns:
        Mostly one event. A beta `conversation.item.created` for a finished item becomes two: `added` and `done`, whose
        `event_id` is that of the first with `_done` behind it.
    """
    changed = _with_inner(event, _session_to_ga, _response_to_ga, _item_to_ga)
    name = text_at(event, "type")
    changed["type"] = _BETA_TO_GA_NAMES.get(name, event.get("type"))
    if name != "conversation.item.created" or _is_in_the_making(mapping_at(changed, "item")):
        return (changed,)
    done = changed | {"type": "conversation.item.done"}
    if event_id := text_at(event, "event_id"):
        done["event_id"] = f"{event_id}_done"
    return changed, done


def to_beta(event: Event) -> tuple[Event, ...]:
    """Give an event of the GA shape in the beta shape.

    Args:
        event: an event of a client or of a server; not changed. What cannot be understood is kept.

    Returns:
        One event, or none: beta has no `conversation.item.done`.
    """
    name = text_at(event, "type")
    if name == "conversation.item.done":
        return ()
    changed = _with_inner(event, _session_to_beta, _response_to_beta, _item_to_beta)
    changed["type"] = _GA_TO_BETA_NAMES.get(name, event.get("type"))
    return (changed,)


def speaks_beta(event: Event) -> bool:
    """Whether an event shows that its sender speaks beta: it names a session in the flat shape.

    True for a `session.created`, `session.updated` or `session.update` without `session.type` that has a field which
    only beta has. A session with neither tells nothing.
    """
    session = mapping_at(event, "session")
    return (
        text_at(event, "type").startswith("session.") and "type" not in session and not _BETA_ONLY.isdisjoint(session)
    )


# An event's `session`, `response` and `item`, and the items inside a response, are all that differs besides names.


def _with_inner(event: Event, session: _Translation, response: _Translation, item: _Translation) -> dict[str, object]:
    changed = dict(event)
    for key, translate in (("session", session), ("response", response), ("item", item)):
        inner = event.get(key)
        if isinstance(inner, Mapping):
            changed[key] = translate(inner)
    return changed


def _session_to_ga(session: Event) -> Event:
    return {"type": "realtime"} | _settings_to_ga(session)


def _session_to_beta(session: Event) -> Event:
    changed = _settings_to_beta(session)
    changed.pop("type", None)
    return {key: value for key, value in changed.items() if key not in _GA_ONLY}


def _response_to_ga(response: Event) -> Event:
    return _with_items(_settings_to_ga(response), _item_to_ga)


def _response_to_beta(response: Event) -> Event:
    changed = _with_items(_settings_to_beta(response), _item_to_beta)
    return {key: value for key, value in changed.items() if key not in _GA_ONLY}


def _with_items(response: dict[str, object], translate: _Translation) -> dict[str, object]:
    for key in ("input", "output"):
        items = response.get(key)
        if isinstance(items, list | tuple):
            response[key] = [translate(item) if isinstance(item, Mapping) else item for item in items]
    return response


# What a session says of modalities, audio and length, a response may say too, in the same words.


def _settings_to_ga(settings: Event) -> dict[str, object]:
    changed = {key: value for key, value in settings.items() if key not in _BETA_ONLY}
    if "modalities" in settings:
        changed.setdefault("output_modalities", _modalities_to_ga(settings["modalities"]))
    if "max_response_output_tokens" in settings:
        changed.setdefault("max_output_tokens", settings["max_response_output_tokens"])
    flat = [(place, name) for name, place in _AUDIO_FIELDS.items() if name in settings]
    if flat:
        audio = dict(mapping_at(settings, "audio"))
        for (side, field), name in flat:
            value = settings[name]
            if field == "format" and isinstance(value, str):
                value = {"type": "audio/pcm"} if value == "pcm" else _FORMATS.get(value, value)
            audio[side] = {field: value} | dict(mapping_at(audio, side))
        changed["audio"] = audio
    return changed


def _settings_to_beta(settings: Event) -> dict[str, object]:
    changed = {key: value for key, value in settings.items() if key not in ("audio", "output_modalities")}
    if "output_modalities" in settings:
        changed["modalities"] = _modalities_to_beta(settings["output_modalities"])
    if "max_output_tokens" in settings:
        changed["max_response_output_tokens"] = changed.pop("max_output_tokens")
    audio = mapping_at(settings, "audio")
    for (side, field), name in _BETA_AUDIO_FIELDS.items():
        part = mapping_at(audio, side)
        if field in part:
            value = part[field]
            if field == "format" and isinstance(value, Mapping):
                value = _BETA_FORMATS.get(text_at(value, "type"), value)
            changed[name] = value
    return changed


def _modalities_to_ga(modalities: object) -> object:
    # Beta says ["text", "audio"] for speech with its transcript; GA calls that ["audio"], and knows no other pair.
    return ["audio"] if isinstance(modalities, list | tuple) and "audio" in modalities else modalities


def _modalities_to_beta(modalities: object) -> object:
    return ["text", "audio"] if isinstance(modalities, list | tuple) and "audio" in modalities else modalities


def _item_to_ga(item: Event) -> Event:
    side = "output" if item.get("role") == "assistant" else "input"
    return _with_part_types(item, {"text": f"{side}_text", "audio": f"{side}_audio"})


def _item_to_beta(item: Event) -> Event:
    return _with_part_types(item, {"output_text": "text", "output_audio": "audio"})


def _with_part_types(item: Event, names: Mapping[str, str]) -> Event:
    content = item.get("content")
    if not isinstance(content, list | tuple):
        return item
    return dict(item) | {
        "content": [
            dict(part) | {"type": names.get(text_at(part, "type"), part.get("type"))}
            if isinstance(part, Mapping)
            else part
            for part in content
        ]
    }


def _is_in_the_making(item: Event) -> bool:
    # What the user said is whole when it becomes an item; what the model makes is not.
    return item.get("status") == "in_progress" and item.get("role") != "user"
