"""Calls go on while a worker of their relay dies, or the relay is replaced.

Every packet is numbered, and comes back: losses are exact.
`missing` counts both ways, and no STUN is waited for: the caller checks its path every few seconds only.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .calling import paced_call
from .edge_processes import Edge
from .restarting import (
    is_running,
    kill_worker,
    reload_relay,
    start_edge_with_workers,
    stop_successor,
    worker_pids,
)

pytestmark = pytest.mark.e2e


@pytest.fixture
def edge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Edge]:
    """Three tiers; the relay with as many workers as the parameter says."""
    started = start_edge_with_workers(tmp_path, request.param)
    yield started
    if started.processes["relay"].poll() is None:
        started.stop()
    else:
        started.kill()


@pytest.mark.parametrize("edge", [2], indirect=True)
def test_a_worker_that_is_killed_costs_at_most_a_frame(edge: Edge) -> None:
    edge.wait_until("there is a spare", lambda: len(_children(edge)) == 3)
    with paced_call(edge.signal_url) as call:
        for number in worker_pids(edge):  # one of them has the call
            call.begin()
            time.sleep(0.2)
            kill_worker(edge, number)
            edge.wait_until("there is a spare again", lambda: len(_children(edge)) == 3)
            counted = call.finish()
            assert len(counted.missing) <= 1
            assert counted.twice == 0
    assert edge.metric(edge.relay_url, "trio_voice_relay_worker_starts_total") == 4


@pytest.mark.parametrize("edge", [1, 2], indirect=True)
def test_a_planned_restart_costs_nothing(edge: Edge) -> None:
    workers = worker_pids(edge).values()
    with paced_call(edge.signal_url) as call:
        call.begin()
        time.sleep(0.2)
        pid = reload_relay(edge)
        try:
            time.sleep(0.5)
            counted = call.finish()
            assert counted.missing == []
            assert counted.twice == 0
            edge.wait_until("its pages are there", lambda: edge.is_ready(edge.relay_url))
            assert edge.metric(edge.relay_url, "trio_voice_relay_flows") == 1, "each worker knows it"
            assert edge.metric(edge.relay_url, "trio_voice_relay_drops_total") == 0
            assert not any(is_running(worker) for worker in workers)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
    stop_successor(edge, pid)


@pytest.mark.parametrize("edge", [1], indirect=True)
def test_a_successor_that_cannot_start_changes_nothing(edge: Edge) -> None:
    path = edge.folder / "relay.toml"
    path.write_text(path.read_text().replace("[relay]", "[relay]\nmax_flows = 0"))
    with paced_call(edge.signal_url) as call:
        call.begin()
        with pytest.raises(AssertionError, match=r"relay\.max_flows: found 0"):
            reload_relay(edge)
        time.sleep(0.5)
        assert call.finish().missing == []
    assert edge.processes["relay"].poll() is None


def _children(edge: Edge) -> list[str]:
    tasks = Path(f"/proc/{edge.processes['relay'].pid}/task").glob("*/children")  # each thread has its own
    return [pid for task in tasks for pid in task.read_text().split()]
