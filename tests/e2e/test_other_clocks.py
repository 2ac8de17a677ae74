"""Processes whose clocks are a minute apart: calls are placed, moved and taken over as ever."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .calling import PacedCall, paced_call
from .edge_processes import Edge
from .fleet_processes import start_fleet

pytestmark = pytest.mark.e2e

MOVES = "trio_voice_transceiver_moves_total"
ANOTHER_CLOCK = """
import os, time
_told = time.time
time.time = lambda: _told() + float(os.environ["CLOCK_AHEAD"])
"""
"""Python runs a `sitecustomize` before the program: it asks no other clock of the wall, and the monotonic one stays."""


def clocks(folder: Path, ahead: Mapping[str, float]) -> Callable[[str], Mapping[str, str]]:
    """Give the variables with which a process has another clock.

    Args:
        folder: for a file.
        ahead: by how many seconds, by name; the others have the machine's.
    """
    (folder / "sitecustomize.py").write_text(ANOTHER_CLOCK)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return lambda name: {"PYTHONPATH": path, "CLOCK_AHEAD": str(ahead[name])} if name in ahead else {}


@pytest.fixture(params=[60, -60], ids=["relay and beta ahead", "relay and beta behind"])
def fleet(server: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Edge]:
    """Tokens of alpha are a minute old, or of the next minute, where the relay reads them; so are snapshots at beta."""
    of = clocks(tmp_path, {"relay": request.param, "beta": request.param})
    command = [sys.executable, "-c", "import time; print(time.time())"]
    told = float(subprocess.run(command, env={**os.environ, **of("beta")}, check=True, capture_output=True).stdout)
    assert abs(told - time.time() - request.param) < 10
    fleet = start_fleet(tmp_path, server.url, environment=of)
    try:
        yield fleet
    finally:
        fleet.kill()


def calls(fleet: Edge, name: str) -> int:
    return int(fleet.metric(fleet.servers[name].health, "trio_voice_transceiver_calls"))


def moves(fleet: Edge, name: str, event: str) -> int:
    return fleet.counted(fleet.servers[name].health, MOVES)[event]


def test_calls_are_placed_drained_and_taken_over_with_clocks_a_minute_apart(fleet: Edge) -> None:
    with ExitStack() as stack:
        placed: list[PacedCall] = []
        while len(placed) < 8 and not (calls(fleet, "alpha") and calls(fleet, "beta")):
            placed.append(stack.enter_context(paced_call(fleet.signal_url)))
        assert all(len(call.for_a_while(0.5).missing) <= 2 for call in placed)

        # From alpha, whose clock is right, to beta.
        taken = calls(fleet, "alpha")
        assert taken
        fleet.processes["alpha"].send_signal(signal.SIGTERM)
        assert fleet.processes["alpha"].wait(40) == 0
        assert calls(fleet, "beta") == len(placed), fleet.log("alpha")[-2000:]
        assert all(len(call.for_a_while(0.5).missing) <= 2 for call in placed)

        # And back, from the dead.
        fleet.start("alpha")
        fleet.wait_until("it is back", lambda: fleet.is_ready(fleet.servers["alpha"].health))
        fleet.wait_until("records are there", lambda: moves(fleet, "beta", "checkpoint.confirmed") >= len(placed))
        fleet.processes["beta"].kill()
        fleet.processes["beta"].wait()
        fleet.wait_until("alpha has all", lambda: moves(fleet, "alpha", "takeover.taken-over") == len(placed))
        assert all(len(call.for_a_while(0.5).missing) <= 2 for call in placed)
        assert all(fleet.call_state(call.location) for call in placed)
