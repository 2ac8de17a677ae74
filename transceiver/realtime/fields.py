"""Reading what somebody else wrote: JSON values whose shape nobody promises.

Each function takes any JSON value and gives the wanted kind or an empty one, so that the rest of the package can follow
a path into an event without asking at every step.
"""

from collections.abc import Mapping, Sequence

__all__ = ["Event", "integer_at", "list_at", "mapping_at", "text_at"]

Event = Mapping[str, object]
"""An event of the Realtime protocol, or an object inside one; never changed in place."""

_NOTHING: Event = {}


def mapping_at(holder: Event, key: str) -> Event:
    """Return the object under `key`; an empty one when there is none."""
    value = holder.get(key)
    return value if isinstance(value, Mapping) else _NOTHING


def list_at(holder: Event, key: str) -> Sequence[object]:
    """Return the array under `key`; an empty one when there is none."""
    value = holder.get(key)
    return value if isinstance(value, list | tuple) else ()


def text_at(holder: Event, key: str) -> str:
    """Return the string under `key`; an empty one when there is none."""
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def integer_at(holder: Event, key: str) -> int | None:
    """Return the whole number under `key`, None when there is none; `true` is no number."""
    value = holder.get(key)
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None
