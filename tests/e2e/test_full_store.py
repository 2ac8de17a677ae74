"""A Redis that is full: what `docs/operations.md` says of calls, of new ones, and of those that move meanwhile."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from .calling import paced_call
from .edge_processes import Edge
from .fleet_processes import listed_fleet, lists
from .owners import NAMES, owner_and_other, transceiver_calls, wait_for_record

pytestmark = pytest.mark.e2e


@pytest.fixture
def fleet(server: Any, tmp_path: Path) -> Iterator[Edge]:
    """A relay, a signal server and two transceivers."""
    with listed_fleet(tmp_path, server, NAMES) as fleet:
        yield fleet


@contextmanager
def full(server: Any) -> Iterator[None]:
    """Have it hold a little more than it may: a fiftieth."""
    server.command("SETRANGE", "ballast", "10000000", "x")  # beside which it does not matter what connections need
    used = int(server.command("INFO", "memory").split("used_memory:")[1].split()[0])
    server.command("CONFIG", "SET", "maxmemory", str(round(used / 1.02)))
    yield
    server.command("CONFIG", "SET", "maxmemory", "0")


def moves(fleet: Edge, *names: str) -> Counter[str]:
    """What became of checkpoints and calls, of some transceivers together."""
    counted = (fleet.counted(fleet.servers[name].health, "trio_voice_transceiver_moves_total") for name in names)
    return sum(counted, Counter())


def fullness(fleet: Edge, name: str) -> int:
    """Whether a transceiver says that the store has refused it something."""
    return int(fleet.metric(fleet.servers[name].health, "trio_voice_store_full"))


def test_calls_go_on_and_new_ones_are_placed_without_a_record(fleet: Edge, server: Any) -> None:
    with paced_call(fleet.signal_url) as call, ExitStack() as stack:
        wait_for_record(fleet)
        with full(server):
            before = moves(fleet, *NAMES)
            call.begin()
            another = stack.enter_context(paced_call(fleet.signal_url))
            another.begin()
            counted = call.finish(at_least=600)  # 12 s: a checkpoint is due every 10
            assert len(counted.missing) <= 2
            assert len(another.finish(at_least=500).missing) <= 2
            amid = moves(fleet, *NAMES)
            assert amid["checkpoint.no-room"] >= before["checkpoint.no-room"] + 5
            assert amid["checkpoint.confirmed"] > before["checkpoint.confirmed"]
            assert amid["checkpoint.created"] == before["checkpoint.created"] == 1
            assert amid["checkpoint.unanswered"] == before["checkpoint.unanswered"]
            assert lists(server, 4)
            logs = {name: fleet.log(name) for name in fleet.processes}
            assert all(logs[name].count("store full") == 1 for name in NAMES if fullness(fleet, name))
            assert sum(log.count("store full") for log in logs.values()) == sum(fullness(fleet, name) for name in NAMES)
            assert any(fullness(fleet, name) for name in NAMES)
        call.begin()
        fleet.wait_until("the new call has a record", lambda: moves(fleet, *NAMES)["checkpoint.created"] == 2)
        assert len(call.finish().missing) <= 2
        fleet.wait_until("it is over", lambda: not any(fullness(fleet, name) for name in NAMES))
        logs = {name: fleet.log(name) for name in fleet.processes}
        assert all(log.count("store has room again") == log.count("store full") for log in logs.values())


def test_a_drain_moves_a_call_that_has_a_record(fleet: Edge, server: Any) -> None:
    with paced_call(fleet.signal_url) as call:
        wait_for_record(fleet)
        owner, other = owner_and_other(fleet)
        with full(server):
            call.begin()
            fleet.processes[owner].send_signal(signal.SIGTERM)
            assert fleet.processes[owner].wait(15) == 0
            assert transceiver_calls(fleet, other) == 1
            assert len(call.finish(at_least=100).missing) <= 2


def test_a_drain_waits_for_room_for_one_that_has_none(fleet: Edge, server: Any) -> None:
    with full(server), paced_call(fleet.signal_url) as call:
        fleet.wait_until("it was to be written", lambda: moves(fleet, *NAMES)["checkpoint.no-room"] >= 1)
        owner, other = owner_and_other(fleet)
        call.begin()
        fleet.processes[owner].send_signal(signal.SIGTERM)
        fleet.wait_until("it has tried", lambda: moves(fleet, owner)["drain.not-confirmed"] >= 1)
        assert (transceiver_calls(fleet, owner), transceiver_calls(fleet, other)) == (1, 0)
        server.command("CONFIG", "SET", "maxmemory", "0")
        assert fleet.processes[owner].wait(15) == 0
        assert transceiver_calls(fleet, other) == 1
        assert len(call.finish(at_least=100).missing) <= 2


def test_a_call_of_a_dead_transceiver_goes_on(fleet: Edge, server: Any) -> None:
    with paced_call(fleet.signal_url) as call:
        wait_for_record(fleet)
        owner, other = owner_and_other(fleet)
        with full(server):
            fleet.processes[owner].kill()
            fleet.wait_until("another takes it", lambda: moves(fleet, other)["takeover.taken-over"] == 1)
            assert transceiver_calls(fleet, other) == 1
            assert len(call.for_a_while(2.0).missing) <= 2


def test_a_worker_of_several_says_it_for_itself(server: Any, tmp_path: Path) -> None:
    sections = {"transceiver": "workers = 2\n"}
    with listed_fleet(tmp_path, server, ("alpha",), sections=sections) as fleet, full(server):
        url, full_of = fleet.servers["alpha"].health, "trio_voice_transceiver_worker_store_full"

        def refused() -> list[float]:
            return [fleet.metric(url, full_of, worker=str(number)) for number in range(2)]

        assert refused() == [0, 0]
        with paced_call(fleet.signal_url):
            fleet.wait_until("one of them was refused", lambda: sorted(refused()) == [0, 1])
            assert fleet.log("alpha").count("store full") == 1
