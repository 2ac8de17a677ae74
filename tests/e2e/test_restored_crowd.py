"""Calls of a transceiver that was killed are restored on another, one by one: the calls that one has go on undisturbed.

Two hundred of them: `python -m bench --only failover`.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .calling import crowd
from .edge_processes import Edge
from .fleet_processes import listed_fleet

pytestmark = pytest.mark.e2e

MANY, OWN = 40, 8
FRAMES = 10
"""That a call may lose for others, on a machine that has other things to do; nearly always none."""


@pytest.fixture
def fleet(server: Any, tmp_path: Path) -> Iterator[Edge]:
    # alpha is full with the first calls, so beta gets the others.
    with listed_fleet(tmp_path, server, sections={"transceiver": f"max_calls = {MANY}\n"}) as fleet:
        yield fleet


def moves(fleet: Edge, name: str, event: str) -> int:
    return fleet.counted(fleet.servers[name].health, "trio_voice_transceiver_moves_total")[event]


def calls(fleet: Edge, name: str) -> int:
    return int(fleet.metric(fleet.servers[name].health, "trio_voice_transceiver_calls"))


def test_restored_calls_do_not_disturb_those_that_are_there(fleet: Edge) -> None:
    fleet.processes["beta"].send_signal(signal.SIGTERM)
    assert fleet.processes["beta"].wait(20) == 0
    config = fleet.folder / "beta.toml"
    config.write_text(config.read_text().replace("max_calls", "# max_calls"))
    with crowd(fleet.signal_url, MANY) as restored:
        fleet.start("beta")
        fleet.wait_until("beta is back", lambda: fleet.is_ready(fleet.servers["beta"].health), 40)
        with crowd(fleet.signal_url, OWN) as own:
            assert (calls(fleet, "alpha"), calls(fleet, "beta")) == (MANY, OWN)
            fleet.wait_until("there is a record of each", lambda: moves(fleet, "alpha", "checkpoint.created") == MANY)
            own.begin()
            restored.begin()
            fleet.processes["alpha"].kill()
            fleet.wait_until("beta has them", lambda: moves(fleet, "beta", "takeover.taken-over") == MANY)
            time.sleep(1.5)
            beside, back = own.finish(), restored.finish()
            print(f"beside: {beside}")
            print(f"restored: {back}")
            assert beside.lost == back.lost == []
            assert max(beside.missing) <= FRAMES
            assert max(call["gap_ms"] for call in back.calls) <= 3000
