"""A container file as its stages and steps; what it does not know is an error, so that nothing of one goes untested."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import attrs

__all__ = ["Instruction", "Stage", "parse", "read_ignored_names", "substitute"]

_KNOWN = {"RUN", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT", "CMD", "LABEL", "EXPOSE", "STOPSIGNAL"}


@attrs.frozen
class Instruction:
    """A step: `COPY`, and what stands behind it in one line."""

    name: str
    text: str

    def words(self) -> list[str]:
        """Split it as a shell would; a JSON list stands for itself."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)

    def copies_a_folder(self, context: Path) -> bool:
        """Whether it copies a folder out of the context, as source code comes."""
        return self.name == "COPY" and any((context / word).is_dir() for word in self.words()[:-1])


@attrs.define
class Stage:
    """What stands between one FROM and the next.

    Attributes:
        base: an image, or the name of an earlier stage.
        name: by which later stages know it; empty for none.
        instructions: its steps.
    """

    base: str
    name: str
    instructions: list[Instruction] = attrs.field(factory=list)


def parse(text: str) -> list[Stage]:
    """Read a container file.

    Raises:
        ValueError: it has a step that is unknown here.
    """
    stages: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in _lines(text):
        name, _, rest = line.partition(" ")
        rest = rest.strip()
        if name == "ARG" and not stages:
            key, _, default = rest.partition("=")
            arguments[key] = default
        elif name == "FROM":
            base, _, alias = substitute(rest, arguments).partition(" AS ")
            stages.append(Stage(base=base, name=alias))
        elif name in _KNOWN and stages:
            stages[-1].instructions.append(Instruction(name, rest))
        else:
            raise ValueError(f"{line!r} is not known here")
    return stages


def _lines(text: str) -> list[str]:
    """Join what a backslash continues; comments are lines of their own, also in between."""
    lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line for line in re.sub(r"\s*\\\n", " ", "\n".join(lines)).splitlines() if line]


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Put values where `$NAME` or `${NAME}` stands.

    Raises:
        KeyError: there is no such value.
    """
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: values[found[1] or found[2]], text)


def read_ignored_names(path: Path) -> set[str]:
    """Read which names a build never copies, wherever they stand."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line.removeprefix("**/") for line in lines if line.startswith("**/")}
