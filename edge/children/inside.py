"""What a child does first: it takes the channel, and leaves signals to its parent."""

import os
import signal
import socket
from pathlib import Path

__all__ = ["leave_signals_to_the_parent", "resident_bytes", "take_standard_input"]


def take_standard_input() -> socket.socket:
    """Take the channel away from where agents, and what they start, could read from it or keep it open.

    Raises:
        OSError: the standard input is no socket; nobody's parent has started us.
    """
    taken = socket.socket(fileno=os.dup(0))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return taken


def leave_signals_to_the_parent() -> None:
    """Do nothing on the signals that whole groups of processes get: the parent gets them too, and tells us."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            # A handler, as what an agent starts would inherit "ignored".
            signal.signal(getattr(signal, name), lambda _number, _frame: None)


def resident_bytes() -> int:
    """Tell how much memory this process has; 0 where that cannot be told."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0  # not Linux
    return pages * os.sysconf("SC_PAGESIZE")
