"""Calls whose packets are numbered and come back, so that losses are exact: the callers of the end-to-end tests."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from bench.settings import NotMeasured

__all__ = ["Counted", "NumberedCalls", "numbered_call", "numbered_calls"]

_CALLERS = Path(__file__).parents[1] / "tests" / "e2e"
_PATIENCE = 60.0
_SILENT_MS = 1000.0


@contextmanager
def numbered_call(url: str) -> Iterator[Callable[[str], Any]]:
    """Place a call whose packets are numbered and come back; gives what orders it about."""
    with _ordered(_CALLERS / "paced_caller.py", url) as order:
        yield order


@attrs.frozen(kw_only=True)
class Counted:
    """A stretch of many calls.

    Attributes:
        sent: packets of all.
        missing: those that did not come back.
        most_missing: of one call.
        gap: the longest silence of one, in seconds.
        lost: calls that have ended, or have heard nothing for a second.
        late: how late the callers themselves were, in seconds, 99 times of 100.
        behind: most packets of a call that were under way at the end; many when the callers cannot keep up.
    """

    sent: int
    missing: int
    most_missing: int
    gap: float
    lost: int
    late: float
    behind: int


@attrs.frozen
class NumberedCalls:
    """Calls that count."""

    _order: Callable[[str], Any]

    def begin(self) -> None:
        """From here on packets count."""
        self._order("begin")

    def finish(self) -> Counted:
        """Tell of the packets since; waits for the last ones."""
        told = self._order("finish")
        calls = told["calls"]
        return Counted(
            sent=sum(call["sent"] for call in calls),
            missing=sum(call["missing"] for call in calls),
            most_missing=max(call["missing"] for call in calls),
            gap=max(call["gap_ms"] for call in calls) / 1000,
            lost=sum(call["stage"] != "talking" or call["silent_ms"] > _SILENT_MS for call in calls),
            late=told["late"],
            behind=max(call["behind"] for call in calls),
        )


@contextmanager
def numbered_calls(url: str, count: int, *, frame_ms: int = 20) -> Iterator[NumberedCalls]:
    """Place many such calls, from one process.

    Args:
        url: of signal.
        count: how many.
        frame_ms: milliseconds of audio in a packet; one process keeps up with 200 calls when they are 60.
    """
    with _ordered(_CALLERS / "paced_callers.py", url, str(count), "--frame", str(frame_ms)) as order:
        yield NumberedCalls(order)


@contextmanager
def _ordered(program: Path, *arguments: str) -> Iterator[Callable[[str], Any]]:
    caller = subprocess.Popen(
        [sys.executable, str(program), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def order(word: str) -> Any:
        assert caller.stdin is not None
        assert caller.stdout is not None
        if word:
            caller.stdin.write(f"{word}\n")
            caller.stdin.flush()
        if not (line := caller.stdout.readline()):
            raise NotMeasured("the caller has ended")
        return json.loads(line)

    try:
        order("")  # it is connected
        yield order
        caller.communicate("stop\n", timeout=_PATIENCE)
    finally:
        caller.kill()
        caller.wait()
