"""A transceiver that nobody can take a call from is told to go: its client is told why the call ends, and in time."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Playwright

from .conftest import chromium_page
from .edge_processes import Edge
from .fleet_processes import start_fleet

pytestmark = pytest.mark.e2e

CALL = (Path(__file__).parent / "call.js").read_text()
BACKENDS = ("echo", "parrot")
DEADLINE = 2.0
STOPS_WITHIN = 5.0


@pytest.fixture
def lonely(redis_server: ModuleType, tmp_path: Path) -> Iterator[Edge]:
    """A fleet of one transceiver, which has nobody to give its calls to."""
    top = "".join(f'[[backend]]\nuse = "{use}"\nmodels = ["{use}"]\n' for use in BACKENDS)
    with redis_server.redis_server() as server:
        section = {"transceiver": f"drain_deadline = {DEADLINE}\n"}
        fleet = start_fleet(tmp_path, server.url, transceivers=("alone",), top=top, sections=section)
        try:
            yield fleet
        finally:
            fleet.kill()


def stop(fleet: Edge) -> float:
    """Have the transceiver stop; returns the seconds that it took."""
    transceiver, began = fleet.processes["alone"], time.monotonic()
    transceiver.send_signal(signal.SIGTERM)
    assert transceiver.wait(30) == 0, fleet.log("alone")
    return time.monotonic() - began


def assert_says_what_to_do(event: dict[str, Any]) -> None:
    assert event["type"] == "error"
    assert event["error"]["code"] == "server_shutting_down"
    assert "Place the call again." in event["error"]["message"]


@pytest.mark.parametrize("model", BACKENDS)
def test_chromium_is_told_before_its_channel_closes(
    lonely: Edge, playwright: Playwright, tone_wav: Path, model: str
) -> None:
    with chromium_page(playwright, tone_wav, lonely.signal_url) as page:
        page.evaluate(CALL, {"channel": "oai-events", "model": model})
        page.evaluate(
            """() => {
              const { channel } = window.call;
              window.heard = [];
              channel.addEventListener("message", ({ data }) => window.heard.push(data));
              channel.addEventListener("close", () => window.heard.push("closed"));
            }"""
        )
        page.wait_for_function("() => window.call.channel.readyState === 'open'")
        took = stop(lonely)
        page.wait_for_function("() => window.heard.at(-1) === 'closed'")
        heard = page.evaluate("window.heard")
    assert_says_what_to_do(json.loads(heard[-2]))
    assert sum("server_shutting_down" in each for each in heard) == 1
    assert DEADLINE - 0.1 <= took <= DEADLINE + STOPS_WITHIN
