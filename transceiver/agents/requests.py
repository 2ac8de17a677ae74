"""Reading what a client sent, field by field, and saying what is wrong with it in the protocol's words."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import attrs

__all__ = ["RequestRefused", "field", "number_in", "object_in", "optional", "text_in"]

_Value = TypeVar("_Value")

_NAMES: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
}


@attrs.frozen
class RequestRefused(Exception):  # noqa: N818 - named for what happened, like an HTTP reason
    """A client event cannot be obeyed; it becomes an `error` event, and the session goes on.

    Attributes:
        code: a stable word for programs.
        message: a sentence for the client's developer.
        param: the field that is to blame, dotted; None for the event as a whole.
    """

    code: str
    message: str
    param: str | None = None


def optional(source: Mapping[str, object], name: str, kind: type[_Value], path: str) -> _Value | None:
    """Take a field that may be missing or null.

    Raises:
        RequestRefused: it is of another type.
    """
    value = source.get(name)
    if value is None:
        return None
    # In JSON there is one kind of number, and a boolean is none.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RequestRefused("invalid_type", f"Invalid type for '{path}': expected {_NAMES[kind]}.", path)
    return value


def field(source: Mapping[str, object], name: str, kind: type[_Value], path: str) -> _Value:
    """Take a field that must be there.

    Raises:
        RequestRefused: it is missing or of another type.
    """
    value = optional(source, name, kind, path)
    if value is None:
        raise RequestRefused("missing_required_parameter", f"Missing required parameter: '{path}'.", path)
    return value


def text_in(source: Mapping[str, object], name: str, allowed: Sequence[str], path: str) -> str | None:
    """Take a word out of a list of words; None when the field is missing.

    Raises:
        RequestRefused: it is another one.
    """
    value = optional(source, name, str, path)
    if value is not None and value not in allowed:
        words = ", ".join(f"'{word}'" for word in allowed)
        raise RequestRefused("invalid_value", f"Invalid value for '{path}'. Supported values are: {words}.", path)
    return value


def number_in(source: Mapping[str, object], name: str, lowest: float, highest: float, path: str) -> float | None:
    """Take a number out of a range; None when the field is missing.

    Raises:
        RequestRefused: it is outside, or no number.
    """
    value = optional(source, name, float, path)
    if value is not None and not lowest <= value <= highest:
        message = f"Invalid value for '{path}': expected a number between {lowest:g} and {highest:g}."
        raise RequestRefused("invalid_value", message, path)
    return value


def object_in(source: Mapping[str, object], name: str, path: str) -> Mapping[str, object]:
    """Take an object; an empty one when the field is missing or null.

    Raises:
        RequestRefused: it is no object.
    """
    found: Mapping[str, object] = optional(source, name, dict, path) or {}
    return found
