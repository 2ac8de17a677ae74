"""What a client may say: from a text to an event, within limits.

A client is not to be trusted: it can be any page of the Internet. Whatever its text is, the result is an event or a
`Refusal` with which it is answered. Nothing is read of a text that is too long, and nothing of a text that comes too
often (`rate_limit`).
"""

import json
import math
import re

import attrs

from transceiver.realtime.fields import Event, text_at
from transceiver.realtime.options import EventLimits

__all__ = ["AUDIO_REFUSED", "KNOWN_CLIENT_EVENTS", "Refusal", "is_listed", "parse_client_event"]


@attrs.frozen
class Refusal:
    """Why a client's event is not applied; the client gets it as an `error` event.

    Attributes:
        code: a stable word for programs.
        message: a sentence for the developer of the client.
        param: the field that is wrong, None for the whole event.
        event_id: the client's name for its event, None when it has none.
        type: the kind of error.
    """

    code: str
    message: str
    param: str | None = None
    event_id: str | None = None
    type: str = "invalid_request_error"


KNOWN_CLIENT_EVENTS = frozenset(
    {
        "session.update",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "conversation.item.delete",
        "response.create",
        "response.cancel",
        "output_audio_buffer.clear",
    }
)
"""Client events of the GA protocol, audio excepted."""

_OBJECTS = {"session.update": "session", "conversation.item.create": "item"}
_NAMED_ITEM = ("conversation.item.retrieve", "conversation.item.truncate", "conversation.item.delete")

# A type that nobody here knows may be a vendor's. It must look like a type, and what begins like a known one is
# rather a mistake, a server event, or audio by another name.
_UNKNOWN_TYPE = re.compile(r"[a-z][a-z0-9_]{0,31}(?:\.[a-z][a-z0-9_]{0,31}){1,4}")
_KNOWN_FAMILIES = frozenset(
    {"session", "input_audio_buffer", "output_audio_buffer", "conversation", "response", "transcription_session"}
)

_MAX_EVENT_ID = 512  # as OpenAI bounds it

AUDIO_REFUSED = "input_audio_buffer.append"
"""Audio comes as RTP; in an event it would be heard twice."""


def parse_client_event(text: str, limits: EventLimits, *, forwards_unknown: bool) -> Event | Refusal:
    """Read one event of a client's.

    Args:
        text: what came on the channel.
        limits: how long and how deep it may be.
        forwards_unknown: whether a type that nobody knows is let through.

    Returns:
        The event, with a type and with the fields that its type cannot be without; in the shape that it came in.
    """
    if len(text) > limits.max_length:
        return Refusal("event_too_large", f"An event may have {limits.max_length} characters.")
    try:
        event = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        return _too_deep(limits)
    except ValueError:
        return Refusal("invalid_json", "The event is not JSON.")
    if not isinstance(event, dict):
        return Refusal("invalid_event", "An event is a JSON object.")
    event_id = text_at(event, "event_id")[:_MAX_EVENT_ID] or None
    refusal = _check(event, limits, forwards_unknown=forwards_unknown)
    return attrs.evolve(refusal, event_id=event_id) if refusal else event


def is_listed(name: str, names: frozenset[str] | None) -> bool:
    """Whether a type is in a list of names, in which "response.*" stands for all that begin so; None lists all."""
    if names is None or name in names:
        return True
    return any(listed.endswith(".*") and name.startswith(listed[:-1]) for listed in names)


def _check(event: Event, limits: EventLimits, *, forwards_unknown: bool) -> Refusal | None:
    if _depth_exceeds(event, limits.max_depth):
        return _too_deep(limits)
    name = text_at(event, "type")
    if not name:
        return Refusal("missing_required_parameter", "An event has a type.", "type")
    if name == AUDIO_REFUSED:
        return Refusal("audio_not_accepted", "Audio of this call comes over WebRTC, not in events.", "type")
    if name not in KNOWN_CLIENT_EVENTS and not (forwards_unknown and _may_be_foreign(name)):
        return Refusal("unknown_event_type", f"There is no client event {name[:64]!r}.", "type")
    holder = _OBJECTS.get(name)
    if holder and not isinstance(event.get(holder), dict):
        return Refusal("invalid_type", f"{name} has an object {holder!r}.", holder)
    if name in _NAMED_ITEM and not text_at(event, "item_id"):
        return Refusal("missing_required_parameter", f"{name} has an item_id.", "item_id")
    if name == "response.create" and not isinstance(event.get("response"), dict | None):
        return Refusal("invalid_type", "response is an object.", "response")
    return None


def _may_be_foreign(name: str) -> bool:
    return _UNKNOWN_TYPE.fullmatch(name) is not None and name.partition(".")[0] not in _KNOWN_FAMILIES


def _too_deep(limits: EventLimits) -> Refusal:
    return Refusal("event_too_deep", f"Arrays and objects lie in each other at most {limits.max_depth} deep.")


def _depth_exceeds(event: Event, limit: int) -> bool:
    # Level by level, so that the depth of the text does not become the depth of our stack.
    level: list[object] = [event]
    for _ in range(limit):
        level = [
            inner
            for holder in level
            for inner in (holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _refuse_constant(name: str) -> object:
    raise ValueError(name)  # RFC 8259 §6: NaN and Infinity are no numbers


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)  # could not be written again
    return number
