"""`python -m bench`: make the measurements and print the table."""

import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
import trio

from bench import (
    bridged_cpu,
    capacity,
    chromium_calls,
    data_channels,
    echo_cpu,
    failover,
    first_audio,
    memory,
    relay,
    restarts,
    setup_cpu,
    voice_delay,
)
from bench.settings import NotMeasured, Settings
from bench.table import Row, render, save
from edge.caller.signalling import CallFailed

_RESULTS = Path(__file__).parent / "results"

_MEASUREMENTS: dict[str, Callable[[Settings], Awaitable[list[Row]]]] = {
    "setup": setup_cpu.measure,
    "echo": echo_cpu.measure,
    "relay": relay.measure,
    "restarts": restarts.measure,
    "failover": failover.measure,
    "chromium": chromium_calls.measure,
    "bridged": bridged_cpu.measure,
    "memory": memory.measure,
    "first-audio": first_audio.measure,
    "voice-delay": voice_delay.measure,
    "data": data_channels.measure,
    "capacity": capacity.measure,
    "voice-capacity": capacity.measure_voices,
}


@click.command()
@click.option("--only", "names", multiple=True, type=click.Choice(list(_MEASUREMENTS)), help="Leave the others out.")
@click.option("--quick", is_flag=True, help="Few and short rounds: to see that it works, not to be quoted.")
def main(names: tuple[str, ...], quick: bool) -> None:
    """Compare the edge with aiortc, with a bare loop, and with what it must reach."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started ends with it, as on Ctrl-C
    _allow_many_sockets()
    rows: list[Row] = []
    problems: dict[str, str] = {}
    started, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="trio-voice-bench-") as folder:
        settings = Settings(folder=Path(folder), is_quick=quick)
        _keep_bytecode(settings.folder)
        for name in names or _MEASUREMENTS:
            settings.say(f"{name}: starting the servers (load of the machine before: {os.getloadavg()[0]:.1f})")
            try:
                rows += trio.run(_MEASUREMENTS[name], settings)
            except* (CallFailed, NotMeasured) as group:
                problems[name] = str(group.exceptions[0])
                settings.say(f"{name}: not measured: {problems[name]}")
    seconds = round(time.monotonic() - started)
    path = save(rows, _RESULTS, seconds=seconds, load_before=round(load, 1), quick=quick, problems=problems)
    print(f"\n{render(rows)}\n")
    for name in problems:
        print(f"NOT MEASURED: {name} (see above)")
    print(f"Written to {path}")
    sys.exit(1 if problems else 0)


def _allow_many_sockets() -> None:
    """A call is a socket here; take as many as the system lets us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _keep_bytecode(folder: Path) -> None:
    """Let what is started keep its bytecode, as pip has written that of an installed program; a start takes it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")


if __name__ == "__main__":
    main()
