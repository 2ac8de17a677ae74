"""What is inside a process: its objects by type, tasks, file descriptors, memory."""

import ctypes
import functools
import gc
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import attrs
import cattrs
import trio

from bench.processes import memory_of
from bench.settings import NotMeasured

__all__ = ["COLLECTED", "UNTOUCHED", "Census", "ask", "file_of"]

UNTOUCHED, COLLECTED = signal.SIGUSR1, signal.SIGUSR2
"""Signals that ask a process for a census: as it is, or of what is left without garbage and free memory."""

_OURS = frozenset({"wire", "stun", "dtls", "srtp", "sctp", "relay", "transceiver", "geo", "edge"})
_BOUNDED = frozenset(
    {"transceiver.round_trips.LossSample", "transceiver.round_trips.RoundTripSample", "relay.hop.health._Sent"}
)
"""What is kept on purpose, of ended calls and of the last minute, in a list that has an end; counted among `others`."""
_CACHE = type(functools.lru_cache(lambda: None))
_PATIENCE = 30.0
_LOOK_INTERVAL = 0.02


@attrs.frozen(kw_only=True)
class Census:
    """One process at one moment.

    The interpreter counts what may be part of a cycle: every object that can refer to others. Strings, numbers and
    what C libraries hold for themselves show in `blocks` and `resident` only.

    Attributes:
        ours: instances of the classes of our packages, by the class's name.
        others: instances of all other types.
        tasks: of Trio.
        descriptors: open file descriptors.
        blocks: pieces of memory that the interpreter has given out: objects and all that they own.
        resident: bytes of the process that are in memory.
    """

    ours: Mapping[str, int]
    others: Mapping[str, int]
    tasks: int
    descriptors: int
    blocks: int
    resident: int

    @classmethod
    def take(cls, *, collects: bool) -> Self:
        """Take it of this process, in its Trio thread.

        Args:
            collects: whether garbage is collected first, bounded caches are emptied, and the system is given back what
                nobody uses.
        """
        if collects:
            _empty_bounded_caches()
            gc.collect()
            _give_back()
        blocks = sys.getallocatedblocks()
        types = Counter(map(type, gc.get_objects()))
        ours: Counter[str] = Counter()
        others: Counter[str] = Counter()
        for kind, count in types.items():
            name = f"{kind.__module__}.{kind.__qualname__}"
            is_ours = name.partition(".")[0] in _OURS and name not in _BOUNDED
            (ours if is_ours else others)[name] += count
        return cls(
            ours=ours,
            others=others,
            tasks=trio.lowlevel.current_statistics().tasks_living,
            descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1,  # one is open for the listing
            blocks=blocks,
            resident=memory_of(os.getpid()),
        )

    def to_json(self) -> str:
        """Write it down."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        return cattrs.structure(json.loads(text), cls)


def _empty_bounded_caches() -> None:
    """Forget what is kept for speed: how much that is follows from how many calls there were, up to a bound."""
    # Looked for in modules, since the interpreter does not list what was frozen (`edge.collector`).
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _OURS:
            for found in list(vars(module).values()):
                if type(found) is _CACHE and found.cache_parameters()["maxsize"] is not None:
                    found.cache_clear()


def _give_back() -> None:
    """Have the C library give free memory back, which it would keep for the next time that as many calls come."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # GNU's
    if trim is not None:
        trim(0)


def file_of(folder: Path, pid: int | None = None) -> Path:
    """Name the file that a process writes its census to; by default this one."""
    return folder / f"{os.getpid() if pid is None else pid}.json"


async def ask(process: subprocess.Popen[bytes], folder: Path, *, collects: bool) -> Census:
    """Have a server take its census.

    Args:
        process: runs `bench.soak.server`.
        folder: as it was told.
        collects: see `Census.take`.

    Raises:
        NotMeasured: it does not answer.
    """
    file = file_of(folder, process.pid)
    file.unlink(missing_ok=True)
    process.send_signal(COLLECTED if collects else UNTOUCHED)
    with trio.move_on_after(_PATIENCE):
        while not file.exists():
            if process.poll() is not None:
                break
            await trio.sleep(_LOOK_INTERVAL)
    if not file.exists():
        raise NotMeasured(f"process {process.pid} has ended, or is too busy to take a census")
    return Census.from_json(file.read_text())
