"""Ports for servers that will be started in a moment, each given once: the benches' and the tests'.

A port that the kernel chose, and that was closed again, may be anybody's a moment later: it chooses from the same range
for every outgoing connection. So these come from below that range, one after the other, whoever asks on this machine.
"""

import fcntl
import os
import socket
import tempfile
from pathlib import Path

__all__ = ["free_port", "hop_port"]

_WORKERS = 4
"""As many as a relay or a transceiver of ours ever has: their hop ports follow each other."""

_FIRST, _END = 10_000, 32_000
"""Where the kernel does not choose, unless it was told to: `net.ipv4.ip_local_port_range` begins at 32768."""
_FILE = f"trio-voice-ports-{os.getuid()}"


def free_port(count: int = 1) -> int:
    """Give a port that nobody uses, for TCP or UDP, on any address; the first, if there are to be several in a row."""
    with (Path(tempfile.gettempdir()) / _FILE).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        told = file.read()
        first = int(told) if told.isdecimal() else _FIRST
        for _ in range(_FIRST, _END):
            if not _FIRST <= first <= _END - count:
                first = _FIRST
            if all(map(_is_free, range(first, first + count))):
                break
            first += 1
        file.truncate(0)
        file.write(str(first + count))
    return first


def hop_port() -> int:
    """Give the first hop port of a relay or a transceiver; nobody is given those of its further workers."""
    return free_port(_WORKERS)


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True
