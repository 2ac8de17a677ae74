"""Processes under measurement: started, asked for their CPU time and memory, and stopped.

Wall time says little on a machine whose cores are shared by the load, the servers and whatever else runs. What is
compared is CPU time, user and system together, which the kernel accounts to a process in nanoseconds.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.settings import NotMeasured

__all__ = [
    "MachineClock",
    "cpu_of",
    "family_of",
    "giving_way",
    "memory_of",
    "not_giving_way",
    "spawned",
    "times_of",
]

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_LOOK_INTERVAL = 0.05
_LOG_TAIL = 600
_REPOSITORY = Path(__file__).parent.parent
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

Processes = Mapping[str, subprocess.Popen[bytes]]


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used so far, all its threads together."""
    # What clock_getcpuclockid(3) returns: the number negated, and 2 for "time scheduled".
    return time.clock_gettime((~pid << 3) | 2)


def times_of(pid: int) -> tuple[float, float]:
    """Return the seconds of a process in its own code and in the kernel, in hundredths: for their ratio only."""
    # proc_pid_stat(5): the 14th and 15th field; the second one, a name in parentheses, may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / _TICKS_PER_SECOND, int(fields[12]) / _TICKS_PER_SECOND


def family_of(pid: int) -> tuple[int, ...]:
    """Return a process and those that it has started, and so on."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")  # a child belongs to the thread that has started it
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return (pid, *(member for child in children for member in family_of(child)))


def memory_of(pid: int) -> int:
    """Return how many bytes of a process are in memory (its resident set)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_SIZE


class MachineClock:
    """How busy the processors are that this process may use: tells whether other programs disturbed a measurement.

    Args:
        with_nice: whether programs that give way to all others (nice 1 to 19) count. Beside them there is room.
    """

    def __init__(self, *, with_nice: bool = True) -> None:
        self._with_nice = with_nice
        self._busy, self._at = _machine_busy(with_nice), time.monotonic()

    def cores_used(self) -> float:
        """Return how many of them were busy, on average since this was made."""
        return (_machine_busy(self._with_nice) - self._busy) / (time.monotonic() - self._at)

    def share(self) -> float:
        """Return the share of these processors that was busy, on average since this was made."""
        return self.cores_used() / len(os.sched_getaffinity(0))

    def describe(self) -> str:
        """Say how busy the machine was."""
        return f"{self.cores_used():.1f} of {len(os.sched_getaffinity(0))} processors busy, all programs together"


def _machine_busy(with_nice: bool) -> float:
    # proc_stat(5): user nice system idle iowait irq softirq steal; what the hypervisor took is lost to us as well.
    lines = Path("/proc/stat").read_text().splitlines()
    busy = 0
    for processor in os.sched_getaffinity(0):
        (line,) = (line for line in lines if line.startswith(f"cpu{processor} "))
        user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
        busy += user + nice * with_nice + system + irq + softirq + steal
    return busy / _TICKS_PER_SECOND


@contextmanager
def giving_way() -> Iterator[bool]:
    """Let this thread run only when nobody else wants the processor, until the block ends.

    For what makes load and measures no time. On another machine it would take nothing from the servers; here it would
    make them wait for a processor, and what was measured as their lateness would be its appetite. Processes that are
    started meanwhile are the same, until they call `not_giving_way`.

    Yields:
        Whether it does; coming back takes a privilege, so without it nothing is changed.
    """
    if os.geteuid() != 0:
        yield False
        return
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        yield True
    finally:
        not_giving_way()


def not_giving_way() -> None:
    """Let this thread run as programs usually do, whoever started it."""
    if os.sched_getscheduler(0) == os.SCHED_IDLE:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def spawned(
    commands: Mapping[str, Sequence[str]], logs: Path, is_ready: Callable[[], bool], *, descriptors: Sequence[int] = ()
) -> Iterator[Processes]:
    """Run commands until the block ends.

    Args:
        commands: by a name, which the log file takes.
        logs: folder for what they print.
        is_ready: asked until it is true; may raise OSError for not yet.
        descriptors: of open files that they inherit.

    Raises:
        NotMeasured: one ended, or they did not become ready in time.
    """
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            with (logs / f"{name}.log").open("wb") as log:
                environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
                processes[name] = subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=_REPOSITORY,
                    pass_fds=descriptors,
                )
        _wait_until_ready(processes, logs, is_ready)
        yield processes
    finally:
        _stop(processes)


def _wait_until_ready(processes: Processes, logs: Path, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _look(is_ready):
        ended = [name for name, process in processes.items() if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            guilty = (ended or list(processes))[0]
            said = (logs / f"{guilty}.log").read_text(errors="replace")[-_LOG_TAIL:]
            raise NotMeasured(f"{guilty} did not become ready; the end of its log:\n{said}")
        time.sleep(_LOOK_INTERVAL)


def _look(is_ready: Callable[[], bool]) -> bool:
    try:
        return is_ready()
    except OSError:
        return False


def _stop(processes: Processes) -> None:
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
