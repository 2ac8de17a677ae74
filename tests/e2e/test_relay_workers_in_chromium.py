"""What a call of Chromium loses while a worker of its relay is killed, or the relay is replaced as planned.

Counted is each RTP packet by itself, on both sides of the relay and in both directions: what left the client and what
of it came to the transceiver, what left the transceiver and what of it came to the client. A relay changes nothing in
them.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright

from .chromium import CALL, chromium_page
from .crossing import UNDER_WAY, Crossed, through_the_relay
from .namespaces import ip
from .restarting import is_running, kill_worker, reload_relay, stop_successor, worker_pids
from .sniffing import sniffing
from .travelling import KEY, Journey, journey

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

RELAY = "relay-a"


def count(travelling: Journey, happening: Callable[[], object]) -> tuple[Crossed, Crossed]:
    """Count around something that happens."""
    with sniffing(travelling.client) as client, sniffing(travelling.names["server"]) as server:
        begin = time.monotonic()
        time.sleep(0.5)
        happening()
        time.sleep(1.5)
        end = time.monotonic()
        time.sleep(UNDER_WAY)
    return through_the_relay(client, server, (begin, end))


@pytest.fixture
def travelling(tmp_path: Path) -> Iterator[Journey]:
    with journey(tmp_path, relay_environment={"TRIO_VOICE_RELAY_WORKERS": "2"}) as made:
        # What a relay sends in segments is to be cut where it leaves, and not seen as one long datagram.
        ip("-n", made.names[RELAY], "link", "set", "eth", "gso_max_segs", "1")
        yield made


@pytest.fixture
def call(travelling: Journey, playwright: Playwright, tone_wav: Path) -> Iterator[Page]:
    with chromium_page(playwright, tone_wav, travelling.edge.signal_url, namespace=travelling.client) as page:
        page.evaluate(CALL, {"key": KEY})
        yield page


@pytest.mark.usefixtures("call")
def test_a_killed_worker_costs_a_call_of_chromium_at_most_a_frame(travelling: Journey) -> None:
    edge = travelling.edge
    time.sleep(2.5)  # a worker that has just started is not replaced at once
    for number in worker_pids(edge, RELAY):  # one of them has the call
        up, down = count(travelling, lambda number=number: kill_worker(edge, number, RELAY))
        print(f"worker {number}: up {up}, down {down}")
        assert min(up.left, down.left) >= 75
        assert up.lost + down.lost <= 1
        assert up.repeated + down.repeated == 0
        time.sleep(1)


@pytest.mark.usefixtures("call")
def test_a_planned_restart_costs_a_call_of_chromium_nothing(travelling: Journey) -> None:
    edge, successors = travelling.edge, list[int]()
    workers = worker_pids(edge, RELAY).values()
    try:
        up, down = count(travelling, lambda: successors.append(reload_relay(edge, RELAY)))
        print(f"up {up}, down {down}")
        assert min(up.left, down.left) >= 75
        assert (up.lost, down.lost) == (0, 0)
        assert up.repeated + down.repeated == 0
        assert not any(is_running(worker) for worker in workers)
    finally:
        for pid in successors:
            stop_successor(edge, pid)
