"""Session configurations as callers send them: checked, brought into the GA shape, and merged.

What a configuration may hold is the backend's business. Here it is only made sure that it is one, and of a sane size.
"""

from collections.abc import Mapping

from edge.signal import errors
from edge.signal.bodies import size_of
from transceiver.realtime.dialect import to_ga

__all__ = ["MAX_SESSION_BYTES", "check_model", "check_session", "merge_sessions"]

MAX_SESSION_BYTES = 49_152
"""As JSON. Instructions and tools of a large agent have some 20 KB."""

_TYPES = ("realtime", "transcription")
_MAX_MODEL = 200
_NESTED = frozenset({"audio", "input", "output"})
"""Objects that only group settings (`audio.input.transcription`); any other is a setting, and is replaced whole."""


def check_session(value: object, param: str = "session") -> dict[str, object]:
    """Take a session configuration.

    Args:
        value: what was sent; None for none.
        param: how the field is called in a refusal.

    Returns:
        The configuration in the GA shape, also if it was sent in the beta's; empty when there is none.

    Raises:
        RequestRefused: it is no object, too large, of a type that is unknown, or names its model by anything but text.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.invalid_request(f"{param} is not a JSON object.", param=param)
    if (size := size_of(value)) > MAX_SESSION_BYTES:
        raise errors.invalid_request(
            f"{param} has {size} bytes, and may have {MAX_SESSION_BYTES}.", code="session_too_large", param=param
        )
    kind = value.get("type", _TYPES[0])
    if kind not in _TYPES:
        raise errors.invalid_request(f"{param}.type is one of {', '.join(_TYPES)}.", param=f"{param}.type")
    check_model(value.get("model"), f"{param}.model")
    return _in_ga_shape(value) if value else {}


def check_model(value: object, param: str = "model") -> str | None:
    """Take the name of a model; None and "" are none.

    Raises:
        RequestRefused: it is no text, or longer than any name.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _MAX_MODEL or not value.isprintable():
        raise errors.invalid_request(f"{param} is no name of a model.", param=param)
    return value


def merge_sessions(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Lay one configuration over another, as a `session.update` would."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        if name in _NESTED and isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[name] = merge_sessions(below, value)
        else:
            merged[name] = value
    return merged


def _in_ga_shape(session: Mapping[str, object]) -> dict[str, object]:
    # The two shapes are told apart inside of events.
    (event,) = to_ga({"type": "session.update", "session": session})
    translated = event["session"]
    assert isinstance(translated, dict)  # noqa: S101 - an object stays one
    return translated
