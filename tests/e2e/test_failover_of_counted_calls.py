"""A call outlives its transceiver, which is drained, killed, or paused and resumed, in both versions of DTLS.

Every packet is counted: our caller numbers its audio, and sends events over a data channel all the time.
"""

import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .calling import PacedCall, paced_call
from .edge_processes import Edge
from .fleet_processes import listed_fleet
from .nonces import Kind, numbers_of, of_kind, used_twice
from .owners import NAMES, hop_port, owner_and_other, transceiver_calls, wait_for_record
from .sniffing import Sniffer, sniffing

pytestmark = pytest.mark.e2e

BOTH_VERSIONS = pytest.mark.parametrize("call", ["DTLS 1.2", "DTLS 1.3"], indirect=True)
ENOUGH = {Kind.RTP: 40, Kind.RTCP: 3, Kind.DTLS: 5}
"""Packets, or records, that each owner sends in a second at least."""


@pytest.fixture
def fleet(server: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Edge]:
    """A relay, a signal server and two transceivers; the parameter is workers."""
    workers = getattr(request, "param", 1)
    sections = {"transceiver": f"workers = {workers}\n"}
    with listed_fleet(tmp_path, server, NAMES, top='[log]\nformat = "json"\n', sections=sections) as fleet:
        yield fleet


@pytest.fixture
def wire() -> Iterator[Sniffer]:
    """What goes over loopback, from before the call on."""
    with sniffing(None, "lo") as sniffer:
        yield sniffer


@pytest.fixture
def call(fleet: Edge, request: pytest.FixtureRequest) -> Iterator[PacedCall]:
    """A call of which the store has a record; the parameter is its version of DTLS."""
    version = getattr(request, "param", "DTLS 1.3")
    with paced_call(fleet.signal_url, dtls12=version == "DTLS 1.2", has_events=True) as call:
        state = fleet.call_state(call.location)
        assert state is not None
        assert state["dtls"]["version"] == version
        wait_for_record(fleet)
        yield call


@BOTH_VERSIONS
def test_a_drain_costs_at_most_two_frames(fleet: Edge, call: PacedCall) -> None:
    name, other = owner_and_other(fleet)
    call.begin()
    time.sleep(0.3)
    fleet.processes[name].send_signal(signal.SIGTERM)
    assert fleet.processes[name].wait(10) == 0
    time.sleep(0.5)
    counted = call.finish()
    assert len(counted.missing) <= 2
    assert counted.twice == 0
    assert transceiver_calls(fleet, other) == 1
    assert_dtls_goes_on(call)


@BOTH_VERSIONS
def test_a_kill_costs_at_most_a_second(fleet: Edge, call: PacedCall) -> None:
    name, other = owner_and_other(fleet)
    call.begin()
    time.sleep(0.3)
    fleet.processes[name].kill()
    fleet.wait_until("another has it", lambda: transceiver_calls(fleet, other) == 1)
    time.sleep(1.0)
    counted = call.finish()
    print(f"{len(counted.missing)} frames missing, {counted.gap_ms:.0f} ms")
    assert 0 < counted.gap_ms <= 1000
    assert_dtls_goes_on(call)


def assert_dtls_goes_on(call: PacedCall) -> None:
    """No packet is lost any more, and events are acknowledged over the same DTLS association."""
    counted = call.for_a_while(1.5)
    assert counted.missing == []
    assert counted.records >= ENOUGH[Kind.DTLS]


@pytest.mark.parametrize(
    ("call", "kinds"), [("DTLS 1.2", Kind), ("DTLS 1.3", (Kind.RTP, Kind.RTCP))], indirect=["call"]
)
def test_an_owner_that_was_paused_is_fenced(fleet: Edge, wire: Sniffer, call: PacedCall, kinds: Iterable[Kind]) -> None:
    """No number makes a nonce twice; those of DTLS 1.3 are encrypted, so 1.2 shows it for both."""
    name, other = owner_and_other(fleet)
    paused = fleet.processes[name]
    time.sleep(1.0)
    paused.send_signal(signal.SIGSTOP)
    fleet.wait_until("another has it", lambda: transceiver_calls(fleet, other) == 1)
    time.sleep(0.5)  # now the relay knows it, too
    call.begin()
    time.sleep(1.0)
    paused.send_signal(signal.SIGCONT)
    fleet.wait_until("the old owner lets go", lambda: transceiver_calls(fleet, name) == 0)
    time.sleep(1.0)
    assert call.finish().missing == []
    ended = fleet.counted(fleet.servers[name].health, "trio_voice_transceiver_events_total")
    assert ended["ended-fenced"] == 1
    by_owner = [numbers_of(wire, hop_port(fleet, each)) for each in (name, other)]
    for kind in kinds:
        counts = [len(of_kind(numbers, kind)) for numbers in by_owner]
        print(f"{kind.value}: {counts}")
        assert min(counts) >= ENOUGH[kind]
    assert not used_twice(*by_owner)


@pytest.mark.parametrize("fleet", [2], indirect=True)
def test_a_worker_that_is_killed_loses_no_call(fleet: Edge, call: PacedCall) -> None:
    """Whoever is first takes it over: the process that replaces it, its sibling, or another transceiver."""
    name, _ = owner_and_other(fleet)
    lines = [json.loads(line) for line in fleet.log(name).splitlines() if line.startswith("{")]
    pids = [line["pid"] for line in lines if line["event"] == "worker started"]
    assert len(pids) == 2
    for pid in pids:  # one of them has the call
        call.begin()
        os.kill(pid, signal.SIGKILL)
        time.sleep(3.0)
        counted = call.finish()
        print(f"{len(counted.missing)} frames missing, {counted.gap_ms:.0f} ms")
        assert counted.gap_ms <= 1500
        assert call.for_a_while(0.5).missing == []


@pytest.mark.parametrize(("fleet", "call"), [(2, "DTLS 1.2")], indirect=True)
def test_a_worker_that_hangs_alone_loses_no_call_and_is_fenced(fleet: Edge, wire: Sniffer, call: PacedCall) -> None:
    """Its front and its sibling serve all the time, and do not answer for it."""
    name, _ = owner_and_other(fleet)
    url = fleet.servers[name].health
    lines = [json.loads(line) for line in fleet.log(name).splitlines() if line.startswith("{")]
    pids = {line["worker"]: line["pid"] for line in lines if line["event"] == "worker started"}
    calls = {number: fleet.metric(url, "trio_voice_transceiver_worker_calls", worker=str(number)) for number in pids}
    (hung,) = [pids[number] for number, count in calls.items() if count]
    call.begin()
    time.sleep(0.3)
    os.kill(hung, signal.SIGSTOP)
    time.sleep(2.0)
    counted = call.finish()
    print(f"{len(counted.missing)} frames missing, {counted.gap_ms:.0f} ms")
    assert 0 < counted.gap_ms <= 1000
    call.begin()
    time.sleep(0.5)
    os.kill(hung, signal.SIGCONT)
    fleet.wait_until(
        "it lets go", lambda: fleet.counted(url, "trio_voice_transceiver_events_total")["ended-fenced"] == 1
    )
    time.sleep(1.0)
    assert call.finish().missing == []
    by_worker = [numbers_of(wire, hop_port(fleet, each) + number) for each in NAMES for number in pids]
    senders = [numbers for numbers in by_worker if len(of_kind(numbers, Kind.RTP)) >= ENOUGH[Kind.RTP]]
    assert len(senders) == 2
    assert not used_twice(*by_worker)
