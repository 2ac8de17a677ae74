"""Chromium calls over TCP while the relay's processes die: its connection ends with the process that had it.

It connects anew within 20 ms, once. So the call goes on as long as somebody holds the listening socket: the supervisor
of several workers, or the successor of a planned restart.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from .edge_processes import Edge
from .restarting import kill_worker, reload_relay, start_edge_with_workers, stop_successor, worker_pids

pytestmark = pytest.mark.e2e

CALL = (Path(__file__).parent / "call.js").read_text()
INBOUND = """window.call.pc.getStats().then(
    all => [...all.values()].find(each => each.type === 'inbound-rtp').packetsReceived)"""
SECONDS = 15.0


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    started = start_edge_with_workers(tmp_path, 2, tcp=True)
    yield started
    started.kill()


@pytest.fixture
def page(chromium: Browser, edge: Edge) -> Iterator[Page]:
    context = chromium.new_context(permissions=["microphone"])
    page = context.new_page()
    page.goto(edge.signal_url)
    page.evaluate(CALL, {"protocol": "tcp"})
    yield page
    context.close()


def packets_received(page: Page) -> int:
    return int(page.evaluate(INBOUND))


def wait_for_audio(edge: Edge, page: Page) -> None:
    received = packets_received(page)
    edge.wait_until("audio comes", lambda: packets_received(page) > received + 100, SECONDS)


def test_workers_that_are_killed(edge: Edge, page: Page) -> None:
    wait_for_audio(edge, page)
    for number in worker_pids(edge):  # one of them has the connection, and perhaps the other one has it then
        kill_worker(edge, number)
        wait_for_audio(edge, page)
    assert edge.metric(edge.relay_url, "trio_voice_relay_connections") == 1


def test_a_planned_restart(edge: Edge, page: Page) -> None:
    wait_for_audio(edge, page)
    pid = reload_relay(edge)
    try:
        wait_for_audio(edge, page)
    finally:
        stop_successor(edge, pid)
