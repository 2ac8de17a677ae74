"""A worker's number, whose process is replaced when it dies."""

from collections.abc import Mapping, Sequence

import attrs
import trio

from edge.children.launch import Launch
from edge.config.problems import Problem
from edge.config.values import format_address
from edge.reports import Report
from edge.start import StartError
from edge.workers.life import Life
from edge.workers.messages import Figures, Start, Started, WorkerSettings
from edge.workers.totals import Ended
from wire.core import Address

__all__ = ["FIRST_PAUSE", "LONGEST_PAUSE", "STEADY", "Place"]

STEADY = 10.0
"""A worker that lived for so many seconds is replaced at once; one that did not, after a pause."""
FIRST_PAUSE = 0.5
"""The first pause, in seconds; it doubles with each short life, up to `LONGEST_PAUSE`."""
LONGEST_PAUSE = 30.0


class Place:
    """Keeps a worker of a given number running.

    Args:
        start: the first order of every process in it.
        report: takes what happened, for the log.
        launch: starts a process.

    Attributes:
        number: the worker's.
        hop: where relays reach it; port 0 becomes the kernel's choice with the first start, and then stays.
        life: the process; None while there is none.
        ended: the figures of those that were here before.
        starts: how many processes have served here.
    """

    def __init__(self, start: Start, report: Report, launch: Launch) -> None:
        self.number = start.number
        self.hop: Address = start.settings.transceiver.hop
        self.life: Life | None = None
        self.ended = Ended()
        self.starts = 0
        self._start = start
        self._report = report
        self._launch = launch
        self._stopping = trio.Event()
        self._finished: trio.Event | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped. Started with `nursery.start`, it returns when the first process serves.

        Raises:
            StartError: the first process cannot serve; what happens to later ones is only reported.
        """
        self._finished = trio.Event()
        pause = FIRST_PAUSE
        try:
            while not self._stopping.is_set():
                began = trio.current_time()
                how, life = await self._live(task_status)
                if self._stopping.is_set():
                    break
                if not self.starts:
                    raise StartError(life.problems or [self._silent_death(how)])
                if trio.current_time() - began >= STEADY:
                    pause = FIRST_PAUSE
                    self._report_death(how, life, pause=0.0)
                    continue
                self._report_death(how, life, pause=pause)
                with trio.move_on_after(pause):
                    await self._stopping.wait()
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._finished.set()

    async def _live(self, task_status: trio.TaskStatus[None]) -> tuple[str, Life]:
        """Run one process to its end."""
        life = Life(
            self._start,
            launch=self._launch,
            on_started=lambda started: self._started(started, life, task_status),
            on_silence=lambda: self._report("worker-silent", {"worker": self.number, "pid": life.pid}),
        )
        self.life = life
        try:
            return await life.run(), life
        finally:
            self.life = None
            self.ended.add(life.figures, lost=0 if self._stopping.is_set() else life.calls)

    def _started(self, started: Started, life: Life, task_status: trio.TaskStatus[None]) -> None:
        self.starts += 1
        self.hop = started.hop
        self._start = attrs.evolve(self._start, settings=self._at_home(self._start.settings))
        facts = {"worker": self.number, "pid": life.pid, "hop": format_address(started.hop)}
        self._report("worker-started", facts)
        if self.starts == 1:
            task_status.started()

    async def reload(self, settings: WorkerSettings) -> Sequence[Problem]:
        """Use other settings, now and for later processes; returns what of them could not be used."""
        settings = self._at_home(settings)
        self._start = attrs.evolve(self._start, settings=settings)
        return () if self.life is None else await self.life.reload(settings)

    async def stop(self) -> None:
        """Let the process say goodbye, and start no other; returns when there is none."""
        self._stopping.set()
        if self.life is not None:
            await self.life.stop()
        if self._finished is not None:
            await self._finished.wait()

    def not_ready_reason(self) -> str:
        """Tell why it takes no calls now; empty when it does."""
        return "it has died and is being replaced" if self.life is None else self.life.not_ready_reason()

    @property
    def figures(self) -> Figures:
        """What its process said last; nothing while there is none."""
        return Figures(reason="it has died and is being replaced") if self.life is None else self.life.figures

    def describe(self) -> Mapping[str, object]:
        """Tell its state in JSON types."""
        return {
            "worker": self.number,
            "pid": None if self.life is None else self.life.pid,
            "serves": self.life is not None and self.life.client is not None,
            "calls": 0 if self.life is None else self.life.calls,
            "max_calls": self.figures.max_calls,
            "relays": self.figures.relays,
            "starts": self.starts,
            "reason": self.not_ready_reason(),
        }

    def _at_home(self, settings: WorkerSettings) -> WorkerSettings:
        """Keep the address that relays and tokens know."""
        return attrs.evolve(settings, transceiver=attrs.evolve(settings.transceiver, hop=self.hop))

    def _silent_death(self, how: str) -> Problem:
        found = f"worker {self.number} ended while it started: {how}"
        return Problem("transceiver.workers", found, "What it said itself is above.")

    def _report_death(self, how: str, life: Life, *, pause: float) -> None:
        facts: dict[str, object] = {"worker": self.number, "pid": life.pid, "how": how, "calls_lost": life.calls}
        if life.problems:
            facts["problems"] = [str(problem) for problem in life.problems]
        self._report("worker-died", facts | {"next_start_s": pause})
