"""What a relay that starts again does before its program is loaded, since it has calls waiting.

Goal: as little as possible is lost. What comes to a bound socket waits there; what comes before is lost, and nobody
sends it again. Configuration is there after less than half of the start. So the sockets are bound then, the rest of the
program is loaded, and the first workers are made of it by copying (`edge.children.forking`), all before there is an
event loop.

Whoever was killed may have left workers that end a moment later, and hold the addresses until then. So an address that
is taken is tried again for `_PATIENCE` seconds before that is a problem.

A relay that shares its process with other tiers has no calls when it starts, as they go with their transceiver; and one
that takes the place of another program is given its sockets.
"""

import ctypes.util
import errno
import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import attrs

from edge.config.model import Config, RelayConfig
from edge.start import StartError
from edge.tiers.relay_binding import bind_relay

if TYPE_CHECKING:
    from edge.children.forking import ForkedChild
    from relay.sockets import RelaySockets

__all__ = ["NO_HEAD_START", "HeadStart", "take_head_start"]


@attrs.frozen(kw_only=True, eq=False)
class HeadStart:
    """What was made already.

    Attributes:
        sockets: those of each worker; none where the relay is to open them.
        warnings: what there was to say about them.
        workers: processes for the first workers; none where they are to be started.
    """

    sockets: "Sequence[RelaySockets]" = ()
    warnings: Sequence[str] = ()
    workers: "Sequence[ForkedChild]" = ()


NO_HEAD_START = HeadStart()

_PATIENCE = 1.0
_PAUSE = 0.01


@contextmanager
def take_head_start(config: Config, *, is_successor: bool) -> Iterator[HeadStart]:
    """Bind sockets, load Trio and make workers, as far as that is wanted; the sockets are closed after the block.

    Args:
        config: what is about to run.
        is_successor: whether it takes the place of another program.

    Raises:
        StartError: an address cannot be bound.
    """
    is_alone = config.signal is None and config.transceiver is None
    if config.relay is None or not is_alone or is_successor:
        _load_trio()
        yield HeadStart(workers=_first_workers(config))
        return
    latest = time.monotonic() + _PATIENCE
    bound = _bind(config.relay, is_last=False)
    _load_trio()
    while bound is None:
        time.sleep(_PAUSE)
        bound = _bind(config.relay, is_last=time.monotonic() > latest)
    with ExitStack() as stack:
        for each in bound.sockets:
            stack.callback(each.close)
        yield attrs.evolve(bound, workers=_first_workers(config))


def _bind(config: RelayConfig, *, is_last: bool) -> HeadStart | None:
    """Bind a relay's sockets; returns None if one of the addresses is taken and may soon be free.

    Raises:
        StartError: an address cannot be bound.
    """
    warnings: list[str] = []
    try:
        return HeadStart(sockets=bind_relay(config, on_warning=warnings.append), warnings=warnings)
    except StartError as error:
        is_taken = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
        if is_last or not is_taken:
            raise
        return None


def _load_trio() -> None:
    """Load Trio without the process that it starts for it: it asks `ldconfig` where the library of threads is.

    That may take as long as a tenth of a relay's start. The name is glibc's; where it is wrong, Trio's threads have no
    names, as where `ldconfig` does not know it.
    """
    find_library = ctypes.util.find_library
    ctypes.util.find_library = lambda name: f"lib{name}.so.0"
    try:
        importlib.import_module("trio")
    finally:
        ctypes.util.find_library = find_library


def _first_workers(config: Config) -> "Sequence[ForkedChild]":
    """Make the workers of a relay that has several: from here on there would be more to copy than what is loaded."""
    if config.relay is None or config.relay.workers == 1:
        return ()
    from edge.children.forking import can_fork, fork_children
    from edge.relay_workers.command import main

    return fork_children(config.relay.workers, main) if can_fork() else ()
