"""What is wrong with the configuration: which key, what was found, and what would be right."""

from collections.abc import Iterable
from typing import Self

import attrs

__all__ = ["ConfigError", "Problem", "Text", "UserError", "WrongValue", "describe"]

_LONGEST_QUOTE = 120


class Text(str):
    """A value that is not from the file: text, and where it is from.

    Such a value may stand for a number or, with commas, for a list.

    Attributes:
        origin: its source, for people ("environment variable TRIO_VOICE_RELAY_HOP").
    """

    __slots__ = ("origin",)

    origin: str

    def __new__(cls, value: str, origin: str) -> Self:
        """Mark a value with its source."""
        text = super().__new__(cls, value)
        text.origin = origin
        return text


class WrongValue(ValueError):  # noqa: N818 - what is wrong is the value, not the program
    """A value is not what its key needs.

    Attributes:
        value: what was found.
        wanted: what would be right, to complete "it should be …".
    """

    def __init__(self, value: object, wanted: str) -> None:
        super().__init__(wanted)
        self.value = value
        self.wanted = wanted


@attrs.frozen
class Problem:
    """One thing that is wrong.

    Attributes:
        key: the dotted key ("relay.ingresses[0].advertise").
        found: what is there, in words; never a secret.
        right: a sentence that says what would be right.
    """

    key: str
    found: str
    right: str

    def __str__(self) -> str:
        return f"{self.key}: {self.found}. {self.right}"


class UserError(Exception):
    """Something that the user can mend: told in words by the command line, and never as a traceback.

    Attributes:
        exit_code: of the program.
    """

    exit_code = 1

    def tell(self) -> str:
        """Say what is wrong, and what would be right."""
        return str(self)


class ConfigError(UserError):
    """The configuration cannot be used.

    Attributes:
        problems: everything that is wrong with it; at least one.
    """

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def tell(self) -> str:
        """List everything that is wrong."""
        count = len(self.problems)
        heading = "there is a problem" if count == 1 else f"there are {count} problems"
        return "\n".join([f"{heading} in the configuration.", *(f"  {problem}" for problem in self.problems)])


def describe(value: object, *, is_secret: bool = False) -> str:
    """Tell what was found, short and in the terms of a TOML file.

    Args:
        value: what was found.
        is_secret: whether only its type may be told.
    """
    if is_secret:
        return f"a {_type_name(value)}"
    if isinstance(value, str):
        shown = value if len(value) <= _LONGEST_QUOTE else value[:_LONGEST_QUOTE] + "…"
        origin = f" (from {value.origin})" if isinstance(value, Text) else ""
        return f'"{shown}"{origin}'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return f"a {_type_name(value)}"


def _type_name(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((str, "string"), ((int, float), "number"), (dict, "table"), ((list, tuple), "list")):
        if isinstance(value, kind):
            return name
    return type(value).__name__
