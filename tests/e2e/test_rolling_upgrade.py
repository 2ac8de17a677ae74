"""All of a fleet is started again, one process after the other, while calls go on: none is lost.

Three transceivers, two relays and two signal nodes. What `trio-voice serve` does on SIGTERM is all that helps; a relay
is also replaced in place, as an upgrade on its host would (`trio-voice reload`). Two hundred calls: `python -m bench
--only failover`.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .calling import Crowd, CrowdCounted, crowd
from .edge_processes import Edge
from .fleet_processes import listed_fleet
from .restarting import reload_relay, stop_successor

pytestmark = pytest.mark.e2e

TRANSCEIVERS = ("alpha", "beta", "gamma")
RELAYS = ("relay", "relay-2")
CALLS = 20
A_SECOND = 50
"""Frames."""
CHECKPOINTS = "trio_voice_transceiver_moves_total"


@pytest.fixture
def fleet(server: Any, tmp_path: Path) -> Iterator[Edge]:
    more = {"more_signals": ["signal-2"], "more_relays": ["relay-2"]}
    with listed_fleet(tmp_path, server, TRANSCEIVERS, top=JSON_LOG, **more) as fleet:
        yield fleet


JSON_LOG = '[log]\nformat = "json"\n'


@pytest.fixture
def calls(fleet: Edge) -> Iterator[Crowd]:
    with crowd(fleet.signal_url, CALLS) as calls:
        fleet.wait_until("the store has a record of each", lambda: total(fleet, "checkpoint.created") >= CALLS)
        yield calls


def total(fleet: Edge, event: str) -> int:
    return sum(fleet.counted(fleet.servers[name].health, CHECKPOINTS)[event] for name in TRANSCEIVERS)


def calls_of(fleet: Edge) -> int:
    return sum(int(fleet.metric(fleet.servers[name].health, "trio_voice_transceiver_calls")) for name in TRANSCEIVERS)


def start_again(fleet: Edge, name: str) -> None:
    """Stop a process as systemd and Kubernetes do, and start it again when it has ended."""
    fleet.processes[name].send_signal(signal.SIGTERM)
    assert fleet.processes[name].wait(40) == 0, fleet.log(name)[-3000:]
    fleet.start(name)
    fleet.wait_until(f"{name} is back", lambda: fleet.is_ready(fleet.servers[name].health), 40)


def upgraded(fleet: Edge, calls: Crowd, name: str, settled: float = 1.5) -> CrowdCounted:
    """Start a process again, and tell what the calls have missed."""
    calls.begin()
    start_again(fleet, name)
    time.sleep(settled)
    counted = calls.finish()
    print(f"{name}: {counted}")
    assert counted.lost == []
    return counted


def test_a_rolling_upgrade_loses_no_call(fleet: Edge, calls: Crowd) -> None:
    paths = [call["path"] for call in calls.finish().calls]
    for name in TRANSCEIVERS:
        assert max(upgraded(fleet, calls, name).missing) <= A_SECOND  # one call on a machine at rest: 2
        assert calls_of(fleet) == CALLS
    for name in ("signal", "signal-2"):
        assert max(upgraded(fleet, calls, name).missing) <= 2
    for name in RELAYS:
        assert max(upgraded(fleet, calls, name).missing) <= 2 * A_SECOND
    successors = []
    try:
        for name in RELAYS:
            calls.begin()
            successors.append(reload_relay(fleet, name))
            time.sleep(1.0)
            counted = calls.finish()
            print(f"{name}, in place: {counted}")
            assert counted.lost == []
            assert max(counted.missing) <= 2
        assert calls_of(fleet) == CALLS
        assert fleet.delete(paths[0])[0] == 200, "any signal node reaches a call that was placed before all of it"
        fleet.wait_until("it has ended", lambda: calls_of(fleet) == CALLS - 1)
    finally:
        for pid in successors:
            stop_successor(fleet, pid)
