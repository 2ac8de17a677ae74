"""What Redis is asked: scripts in Lua, each of which is one atomic step."""

import attrs

__all__ = ["Argument", "Script"]

Argument = bytes | str | int
"""What a script is given: it sees all of these as strings."""


@attrs.frozen
class Script:
    """One atomic step in Redis.

    Attributes:
        source: in Lua. A first line "#!lua flags=allow-oom" lets it write although Redis is full.
    """

    source: str
