"""JSON that strangers send, read once and bounded.

What comes out of here can be written again, by us and by whoever we pass it on to: no depth that another reader gives
up at, no numbers that JSON does not have, no half of a surrogate pair.
"""

import json

from edge.signal import errors

__all__ = ["read_json_object", "size_of"]

_MAX_DEPTH = 64
"""Levels of nesting. Tools with their JSON schemas, the deepest that is sent, have about ten."""


def read_json_object(data: bytes | str, name: str) -> dict[str, object]:
    """Read a JSON object.

    Args:
        data: the text.
        name: what it is called in a refusal: "the body", or the name of a field.

    Raises:
        RequestRefused: it is something else, or cannot be passed on.
    """
    param = None if " " in name else name
    try:
        value = json.loads(data)
        size_of(value)
    except (ValueError, RecursionError) as error:
        # The message of the parser tells a position; that of a codec would quote the text.
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "it holds what JSON cannot say"
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else reason
        raise errors.invalid_request(f"{name} is not JSON: {reason}.", param=param) from error
    if not isinstance(value, dict):
        raise errors.invalid_request(f"{name} is not a JSON object.", param=param)
    if _is_deeper(value, _MAX_DEPTH):
        raise errors.invalid_request(f"{name} is nested deeper than {_MAX_DEPTH} levels.", param=param)
    return value


def size_of(value: object) -> int:
    """Tell how many bytes a value takes as JSON.

    Raises:
        ValueError: it cannot be written: a text is not Unicode, or a number is none.
    """
    # RFC 8259 §6: "Numeric values that cannot be represented in the grammar below (such as Infinity and NaN) are not
    # permitted." Python reads them all the same, and 1e999 as Infinity.
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode())


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if not levels:
        return True
    return any(_is_deeper(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))
