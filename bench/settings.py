"""What every measurement is told."""

import time
from pathlib import Path

import attrs

__all__ = ["NotMeasured", "Settings"]

_started = time.monotonic()


class NotMeasured(Exception):  # noqa: N818 - named for what came of it
    """A measurement could not be made; the text says why."""


@attrs.frozen(kw_only=True)
class Settings:
    """How to measure.

    Attributes:
        folder: for configuration and logs of the servers; it goes away at the end.
        is_quick: fewer rounds and shorter ones: to see that everything works, not to be quoted.
    """

    folder: Path
    is_quick: bool = False

    def fewer(self, rounds: int) -> int:
        """Return how many rounds to make of those that a careful measurement makes."""
        return 1 if self.is_quick else rounds

    def shorter(self, seconds: float) -> float:
        """Return how long to watch where a careful measurement watches for `seconds`."""
        return min(seconds, 2.0) if self.is_quick else seconds

    def say(self, text: str) -> None:
        """Print a line of progress."""
        print(f"[{time.monotonic() - _started:5.0f} s] {text}", flush=True)
