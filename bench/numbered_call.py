"""A call whose packets are numbered and come back, so that losses are exact: the caller of the end-to-end tests."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.settings import NotMeasured

__all__ = ["numbered_call"]

_CALLER = Path(__file__).parents[1] / "tests" / "e2e" / "paced_caller.py"
_PATIENCE = 30.0


@contextmanager
def numbered_call(url: str) -> Iterator[Callable[[str], Any]]:
    """Place a call whose packets are numbered and come back; gives what orders it about."""
    caller = subprocess.Popen(
        [sys.executable, str(_CALLER), url],
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
