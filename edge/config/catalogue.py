"""Every key with its variable, type, default and explanation, read from the model and its docstrings."""

import inspect
import re
import types
import typing
from collections.abc import Iterator
from functools import cache

import attrs

from edge.config.model import Config
from geo.regions import Place

__all__ = ["ENVIRONMENT_PREFIX", "Key", "all_keys", "explanations", "item_record_of", "record_of"]

ENVIRONMENT_PREFIX = "TRIO_VOICE_"


@attrs.frozen(kw_only=True)
class Key:
    """A key that can be set.

    Attributes:
        path: its parts: ("signal", "limits", "max_connections").
        type: its type in the model.
        default: its default, None where it has none.
        explanation: what it is for, one paragraph.
    """

    path: tuple[str, ...]
    type: object
    default: object
    explanation: str

    @property
    def dotted(self) -> str:
        """The key as messages name it."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + "_".join(self.path).upper()


def record_of(type_: object) -> type[attrs.AttrsInstance] | None:
    """Tell which record a type holds: `SignalConfig | None` holds `SignalConfig`; None for anything else.

    A place is a single value here, though it is a record.
    """
    if isinstance(type_, types.UnionType):
        members = [member for member in typing.get_args(type_) if member is not types.NoneType]
        return record_of(members[0]) if len(members) == 1 else None
    return type_ if isinstance(type_, type) and attrs.has(type_) and type_ is not Place else None


def item_record_of(type_: object) -> type[attrs.AttrsInstance] | None:
    """Tell which record a list holds: `tuple[RelayIngress, ...]` holds `RelayIngress`; None for anything else."""
    return record_of(typing.get_args(type_)[0]) if typing.get_origin(type_) is tuple else None


def explanations(record: type) -> dict[str, str]:
    """Read the "Attributes" section of a record's docstring: a paragraph for each attribute."""
    _, _, section = (inspect.getdoc(record) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if begin := re.fullmatch(r" {4}(\w+): (.*)", line):
            name, found[name] = begin[1], begin[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


@cache
def all_keys() -> tuple[Key, ...]:
    """List every key, in the model's order. A list of records is one key."""
    return tuple(_keys_of(Config, ()))


def _keys_of(record: type[attrs.AttrsInstance], prefix: tuple[str, ...]) -> Iterator[Key]:
    explained = explanations(record)
    for attribute in attrs.fields(record):
        path = (*prefix, attribute.name)
        section = record_of(attribute.type)
        if section is not None:
            yield from _keys_of(section, path)
        else:
            default = None if attribute.default is attrs.NOTHING else attribute.default
            yield Key(path=path, type=attribute.type, default=default, explanation=explained[attribute.name])
