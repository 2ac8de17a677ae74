"""A release and the one before it in one fleet, on the way up and on the way back: no call is lost.

The former one is not a stub of its formats but its own program, in processes of its own (`former_release`).
"""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .calling import CrowdCounted, crowd, paced_call
from .edge_processes import PROGRAM, Edge
from .fleet_processes import start_fleet
from .former_release import Release, install, installed_on, own_release
from .restarting import reload_relay, stop_successor

pytestmark = pytest.mark.e2e

OWN = own_release()
TRANSCEIVERS, SIGNALS, RELAYS = ("alpha", "beta"), ("signal", "signal-2"), ("relay", "relay-2")
EVERYBODY = TRANSCEIVERS + SIGNALS + RELAYS
CALLS = 8
A_SECOND = 50
"""Frames."""


@pytest.fixture
def fleet(server: Any, former: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """Two of each tier, all of the former release."""
    monkeypatch.chdir(tmp_path)  # where there is no program to be found by standing beside it
    for name in EVERYBODY:
        install(former, tmp_path, name)
    fleet = start_fleet(
        tmp_path,
        server.url,
        TRANSCEIVERS,
        more_signals=SIGNALS[1:],
        more_relays=RELAYS[1:],
        top='[log]\nformat = "json"\n',
        environment=partial(installed_on, tmp_path),
    )
    try:
        fleet.wait_until("all are known", lambda: len(versions(fleet)) == len(EVERYBODY))
        yield fleet
    finally:
        fleet.kill()


def versions(fleet: Edge) -> dict[str, str]:
    """What each member says of itself."""
    command = [PROGRAM, "fleet", "--config", fleet.folder / "signal.toml", "--json"]
    listing = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {member["name"]: member["version"] for member in listing["members"]}


def stop(fleet: Edge, name: str) -> None:
    """Stop a process, as systemd and Kubernetes do."""
    fleet.processes[name].send_signal(signal.SIGTERM)
    assert fleet.processes[name].wait(40) == 0, fleet.log(name)[-3000:]


def start_as(fleet: Edge, release: Release, name: str) -> None:
    """Start a process that has ended as one of another release."""
    install(release, fleet.folder, name)
    fleet.start(name)
    fleet.wait_until(f"{name} is back", lambda: fleet.is_ready(fleet.servers[name].health), 60)
    is_of(fleet, release, name)


def is_of(fleet: Edge, release: Release, name: str) -> None:
    fleet.wait_until(f"{name} is {release.version}", lambda: versions(fleet).get(name) == release.version)


def calls_of(fleet: Edge, *names: str) -> int:
    return sum(int(fleet.metric(fleet.servers[name].health, "trio_voice_transceiver_calls")) for name in names)


def created(fleet: Edge, *names: str) -> int:
    moves = "trio_voice_transceiver_moves_total"
    return sum(fleet.counted(fleet.servers[name].health, moves)["checkpoint.created"] for name in names)


def goes_on(fleet: Edge, counted: CrowdCounted, what: str) -> None:
    """See that a step has cost no call, and none much of its audio; and that there can be others."""
    print(f"{what}: {counted}")
    assert counted.lost == []
    assert max(counted.missing) <= A_SECOND  # one call on a machine at rest: 2
    assert calls_of(fleet, *TRANSCEIVERS) == CALLS
    with paced_call(fleet.signal_url) as another:
        assert another.for_a_while(0.5).missing == []


@pytest.mark.parametrize("tiers", [(TRANSCEIVERS, RELAYS), (RELAYS, TRANSCEIVERS)], ids=["relays-last", "relays-first"])
def test_a_fleet_is_upgraded_and_rolled_back(fleet: Edge, former: Release, tiers: tuple[tuple[str, ...], ...]) -> None:
    """Each node alone, so that every tier meets the others' former and later selves, and its own."""
    assert set(versions(fleet).values()) == {former.version} != {OWN.version}
    relays: dict[str, int] = {}
    with crowd(fleet.signal_url, CALLS) as calls, ExitStack() as stack:
        stack.callback(lambda: [stop_successor(fleet, pid) for pid in relays.values()])
        fleet.wait_until("there are records", lambda: created(fleet, *TRANSCEIVERS) >= CALLS)
        for release in (OWN, former):
            for name in [name for tier in (*tiers, SIGNALS) for name in tier]:
                calls.begin()
                if name in RELAYS:
                    install(release, fleet.folder, name)
                    relays[name] = reload_relay(fleet, name)
                    is_of(fleet, release, name)
                else:
                    stop(fleet, name)
                    start_as(fleet, release, name)
                time.sleep(1.5)
                goes_on(fleet, calls.finish(), f"{name} is {release.version}")
            assert set(versions(fleet).values()) == {release.version}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
@pytest.mark.parametrize("is_upgrade", [True, False], ids=["upgrade", "rollback"])
def test_a_call_moves_between_releases(fleet: Edge, former: Release, number: signal.Signals, is_upgrade: bool) -> None:
    """Its old transceiver is of one release and its new one of the other; of the relays there is one of each."""
    owner, other = TRANSCEIVERS
    install(OWN, fleet.folder, RELAYS[0])
    relay = reload_relay(fleet, RELAYS[0])
    if not is_upgrade:
        stop(fleet, owner)
        start_as(fleet, OWN, owner)
    fleet.wait_until("signal knows both", lambda: fleet.ready_transceivers() == 2)
    stop(fleet, other)
    fleet.wait_until("signal knows who is left", lambda: fleet.ready_transceivers() == 1)
    try:
        with paced_call(fleet.signal_url) as call:
            start_as(fleet, OWN if is_upgrade else former, other)
            fleet.wait_until("the store has a record", lambda: created(fleet, owner))
            assert calls_of(fleet, owner) == 1
            time.sleep(1.0)
            call.begin()
            time.sleep(0.3)
            fleet.processes[owner].send_signal(number)
            fleet.wait_until("the other one has it", lambda: calls_of(fleet, other) == 1)
            assert fleet.processes[owner].wait(10) == (0 if number == signal.SIGTERM else -number)
            time.sleep(0.5)
            counted = call.finish()
            print(f"{len(counted.missing)} frames missing, {counted.gap_ms:.0f} ms")
            assert counted.twice == 0
            if number == signal.SIGTERM:
                assert len(counted.missing) <= 2
            else:
                assert counted.gap_ms <= 1000
            assert call.for_a_while(0.5).missing == []
            fleet.wait_until("signal finds it by its id", lambda: fleet.delete(call.location)[0] == 200)
            fleet.wait_until("it has ended", lambda: calls_of(fleet, other) == 0)
    finally:
        stop_successor(fleet, relay)
