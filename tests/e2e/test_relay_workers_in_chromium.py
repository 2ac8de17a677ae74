"""What a call of Chromium loses while a worker of its relay is killed, or the relay is replaced as planned.

Counted is each RTP packet by itself, on both sides of the relay and in both directions: what left the client and what
of it came to the transceiver, what left the transceiver and what of it came to the client. A relay changes nothing in
them.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from playwright.sync_api import Page, Playwright

from relay.hop.header import DOWN, IPV4_HEADER_SIZE, UP

from .conftest import chromium_page
from .namespaces import ip
from .restarting import is_running, kill_worker, reload_relay, stop_successor, worker_pids
from .sniffing import Sniffer, is_rtp, sniffing
from .travelling import KEY, PUBLIC, Journey, journey

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

CALL = (Path(__file__).parent / "call.js").read_text()
RELAY = "relay-a"
Stretch = tuple[float, float]
UNDER_WAY = 0.5
"""Seconds in which what has left must have come."""


@attrs.frozen
class Crossed:
    """One direction: packets that left, and how many of them never came, or came more than once."""

    left: int
    lost: int
    repeated: int

    @staticmethod
    def compare(left: list[tuple[float, bytes]], came: list[bytes], stretch: Stretch) -> "Crossed":
        counts = Counter(came)
        counted = [data for at, data in left if stretch[0] <= at <= stretch[1]]
        return Crossed(
            len(counted), sum(counts[data] == 0 for data in counted), sum(counts[data] > 1 for data in counted)
        )


def through_the_relay(client: Sniffer, server: Sniffer, stretch: Stretch) -> tuple[Crossed, Crossed]:
    """Compare the two sides of the relay, up and down, for all that left in a stretch of time."""

    def on_the_hop(direction: int) -> list[tuple[float, bytes]]:
        found = [
            (each.at, each.data[IPV4_HEADER_SIZE:]) for each in server.seen if each.data[:1] == bytes((direction,))
        ]
        return [(at, data) for at, data in found if is_rtp(data)]

    left = [(each.at, each.data) for each in client.seen if each.target == PUBLIC and is_rtp(each.data)]
    came = [each.data for each in client.seen if each.source == PUBLIC]
    up = Crossed.compare(left, [data for _, data in on_the_hop(UP)], stretch)
    return up, Crossed.compare(on_the_hop(DOWN), came, stretch)


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
    with journey(tmp_path) as made:
        edge = made.edge
        # What a relay sends in segments is to be cut where it leaves, and not seen as one long datagram.
        ip("-n", made.names[RELAY], "link", "set", "eth", "gso_max_segs", "1")
        variables = {
            "TRIO_VOICE_RELAY_WORKERS": "2",
            "TRIO_VOICE_RELAY_RELOAD_SOCKET": str(tmp_path / "reload.sock"),
            "TRIO_VOICE_LOG_FORMAT": "json",
        }
        edge.processes[RELAY].send_signal(signal.SIGTERM)
        assert edge.processes[RELAY].wait(10) == 0
        edge.servers[RELAY] = attrs.evolve(edge.servers[RELAY], environment=variables)
        edge.start(RELAY)
        edge.wait_until("the relay is ready", lambda: edge.is_ready(made.relay_url("a")))
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
