"""Audio that is lost while a relay dies or is replaced, by a call whose packets are numbered and come back.

Each is done `_TIMES` times in one call, and the worst is told: a mean would hide the one that somebody hears. The
caller is that of the end-to-end tests (`tests/e2e/paced_caller.py`); what it misses is lost on either way.

A relay that is started again runs before everything else on this machine, where we may say so (as root): as on a host
of its own. Else what other programs do would be counted as its start.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from bench.numbered_call import numbered_call
from bench.processes import MachineClock
from bench.servers import PROGRAM, RELAY, our_edge
from bench.settings import NotMeasured, Settings
from bench.table import Row

__all__ = ["measure"]

_TIMES = 10
_FRAME = 0.02
_CALLER = Path(__file__).parents[1] / "tests" / "e2e" / "paced_caller.py"
_BEFORE, _AFTER = 0.3, 2.5
"""Seconds of a call that are watched around a death; the next spare is there by then."""
_PATIENCE = 30.0
_FIRST = ("chrt", "--fifo", "1") if os.geteuid() == 0 and shutil.which("chrt") else ()


@attrs.define
class _Relay:
    """The relay of an edge: the process that is it now.

    Attributes:
        folder: of its configuration and log.
        process: started by us, or by the bench; None when its predecessor has started it.
        pid: its number.
    """

    folder: Path
    pid: int
    process: subprocess.Popen[bytes] | None

    def kill_worker(self) -> None:
        """Kill the worker that has the call: of two, one after the other has it."""
        os.kill(self._workers()[self._turn()], signal.SIGKILL)

    def restart(self) -> None:
        """Kill it with all its workers, and start it again at once."""
        for pid in (self.pid, *self._workers().values()):
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        command = [*_FIRST, *PROGRAM, "serve", "--role", RELAY, "--config", str(self.folder / "relay.toml")]
        with (self.folder / "relay.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.pid = self.process.pid

    def reload(self) -> None:
        """Have it replaced as planned."""
        command = [*PROGRAM, "reload", "--config", str(self.folder / "relay.toml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        told = re.search(r"process (\d+) now", done.stdout)
        if told is None:
            raise NotMeasured(f"the relay was not replaced: {done.stderr.strip()}")
        self.pid, self.process = int(told[1]), None

    def stop(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def _workers(self) -> dict[int, int]:
        lines = [line for line in (self.folder / "relay.log").read_text().splitlines() if line.startswith("{")]
        started = [line for line in map(json.loads, lines) if line["event"] == "worker started"]
        return {line["worker"]: line["pid"] for line in started}

    def _turn(self) -> int:
        self._turns += 1
        return self._turns % 2

    _turns: int = 0


async def measure(settings: Settings) -> list[Row]:
    """Measure what each way to lose a relay costs a call."""
    return await trio.to_thread.run_sync(_measure, settings)


def _measure(settings: Settings) -> list[Row]:
    times = settings.fewer(_TIMES)
    clock = MachineClock()
    killed = _losses(settings, "workers", 2, 2 * times, _Relay.kill_worker)
    restarted = [
        *_losses(settings, "restart", 1, times, _Relay.restart),
        *_losses(settings, "restart-workers", 2, times, _Relay.restart),
    ]
    reloaded = [
        *_losses(settings, "reload", 1, times, _Relay.reload),
        *_losses(settings, "reload-workers", 2, times, _Relay.reload),
    ]
    notes = (f"{clock.describe()}", "worst of all; packets of 20 ms that did not come back, on either way")
    return [
        _row("relay worker killed, frames lost", killed, 1, want=0.0, notes=notes),
        _row("relay killed and started again, frames lost", restarted, round(0.3 / _FRAME), want=1 / 3, notes=notes),
        _row("relay replaced as planned, frames lost", reloaded, 0, want=0.0, notes=notes),
    ]


def _row(what: str, lost: list[int], limit: int, *, want: float, notes: tuple[str, ...]) -> Row:
    worst = max(lost)
    return Row(
        what=what,
        ours=f"{worst}",
        peer=f"{limit}",
        ratio=worst / limit if limit else float(worst),
        must=1.0 if limit else 0.0,
        want=want,
        notes=notes,
        details={"lost": lost},
    )


def _losses(settings: Settings, name: str, workers: int, times: int, act: Callable[[_Relay], None]) -> list[int]:
    """Do something to a relay over and over; return how many frames each time cost."""
    lost = []
    folder = settings.folder / f"restarts-{name}"
    more = f'workers = {workers}\nreload_socket = "{folder}/reload.sock"\n'
    with our_edge(folder, relay_keys=more, log_format="json") as server:
        relay = _Relay(folder, server.processes[RELAY].pid, server.processes[RELAY])
        try:
            with numbered_call(server.url) as order:
                for _ in range(times):
                    order("begin")
                    time.sleep(_BEFORE)
                    act(relay)
                    time.sleep(_AFTER)
                    lost.append(len(order("finish")["missing"]))
                    settings.say(f"{name}: lost {lost[-1]}")
        finally:
            relay.stop()
    return lost
