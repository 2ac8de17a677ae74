"""How a process ended, in words."""

import signal

__all__ = ["describe_ending"]


def describe_ending(code: int | None) -> str:
    """Say what an exit code means.

    Args:
        code: as `Process.returncode` has it; negative for a signal.
    """
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
