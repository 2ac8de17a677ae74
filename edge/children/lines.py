"""Records as lines, one JSON object each, told apart by their names.

Both ends are the same program. Still what is read becomes records of plain values and nothing else: one of the two
takes bytes from everybody, and the other has secrets to keep.
"""

import json
from functools import cached_property
from typing import Any

import attrs
import cattrs
from cattrs.preconf.json import JsonConverter, make_converter
from cattrs.strategies import configure_tagged_union

__all__ = ["BadLine", "Lines"]


class BadLine(ValueError):  # noqa: N818 - named for what came
    """A line is no message of its direction; what it says is not repeated, as it may hold keys."""


@attrs.frozen
class Lines:
    """How the records of one direction are written and read.

    Attributes:
        union: the records, as `One | Other`.
    """

    union: Any  # to cattrs a union is a type like others, to its annotations it is none

    def write(self, message: object) -> bytes:
        """Write a record of the union, as one line."""
        text: str = self._converter.dumps(message, unstructure_as=self.union)
        return text.encode() + b"\n"

    def read(self, line: bytes) -> Any:
        """Read a line.

        Raises:
            BadLine: it is no record of the union.
        """
        try:
            return self._converter.structure(dict(json.loads(line)), self.union)
        except (ValueError, KeyError, TypeError, RecursionError, cattrs.BaseValidationError) as error:
            raise BadLine(f"not what should be said: {type(error).__name__}") from None

    @cached_property
    def _converter(self) -> JsonConverter:
        converter = make_converter(forbid_extra_keys=True)
        configure_tagged_union(self.union, converter, tag_name="say")
        return converter
