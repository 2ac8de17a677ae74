"""With `transceiver.failover = false`, keys stay in one process: none of a call in the store, and no take-over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .calling import paced_call
from .edge_processes import Edge
from .fleet_processes import MEMBERS, listed_fleet
from .owners import NAMES, owner_and_other, transceiver_calls

pytestmark = pytest.mark.e2e

ANNOUNCED = {MEMBERS, f"{MEMBERS}:heard"}
"""All keys of a fleet of which nobody has put a call into the store."""
SUSPECTED = "trio_voice_relay_transceivers_suspected_total"


@pytest.fixture(params=[1, 2], ids=["a worker", "several workers"])
def fleet(server: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Edge]:
    """A relay, a signal server and two transceivers."""
    section = f"failover = false\nworkers = {request.param}\n"
    with listed_fleet(tmp_path, server, NAMES, sections={"transceiver": section}) as fleet:
        yield fleet


def test_a_call_is_not_in_the_store_and_nobody_takes_it_over(fleet: Edge, server: Any) -> None:
    with paced_call(fleet.signal_url) as call:
        assert call.for_a_while(3.0).missing == []  # others' first records are made within a second
        fleet.wait_until("its transceiver tells of it", lambda: any(transceiver_calls(fleet, name) for name in NAMES))
        owner, other = owner_and_other(fleet)
        assert {*server.command("KEYS", "*").split()} == ANNOUNCED
        # Each process's connection, and ours: workers have no way to the store.
        assert len(server.command("CLIENT", "LIST").splitlines()) == len(fleet.processes) + 1
        fleet.processes[owner].kill()
        relay = fleet.servers["relay"].health
        fleet.wait_until("the relay holds it for dead", lambda: fleet.metric(relay, SUSPECTED) >= 1)
        call.begin()
        counted = call.finish(at_least=100)  # with failover, silence ends within half a second
        assert len(counted.missing) == counted.sent
        assert transceiver_calls(fleet, other) == 0
        assert {*server.command("KEYS", "*").split()} == ANNOUNCED
