"""The relay on IPv6 alone, and on several addresses of both families at once."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright

from .calling import paced_call
from .conftest import PROGRAM, TONE_HZ, Edge, chromium_page
from .edge_processes import add_server, start_edge
from .namespaces import switched

pytestmark = pytest.mark.e2e

CALL = (Path(__file__).parent / "call.js").read_text()
KEY = "sk-test"
SERVER, RELAY, CLIENT = "fd00:78::1", "fd00:78::5", "fd00:78::2"
CONFIGURATION = {
    "signal": f"""
[signal]
listen = "[{SERVER}]:8080"
api_keys = ["{KEY}"]
transceivers = ["http://[{SERVER}]:7080"]
ingresses = ["1=[{RELAY}]:3478"]
""",
    "relay": f"""
[relay]
hop = "[{RELAY}]:7000"
http = "[{RELAY}]:7090"
transceivers = ["[{SERVER}]:7001"]
ingresses = ["1=[{RELAY}]:3478/[{RELAY}]:3478"]
""",
    "transceiver": f"""
[transceiver]
backend = "echo"
hop = "[{SERVER}]:7001"
control = "[{SERVER}]:7080"
""",
}
SEVERAL = ("127.0.0.1", "::1", "127.0.0.2")
LOOPBACK_FLAG = "--allow-loopback-in-peer-connection"
"""Chromium leaves ::1 out, unless it is told not to."""


@pytest.fixture
def ipv6_network(tmp_path: Path) -> Iterator[tuple[Edge, str]]:
    """An edge on hosts that have no other addresses than those of IPv6, and the client's namespace."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    subprocess.run([PROGRAM, "keys", "new", str(tmp_path / "keys")], check=True, capture_output=True)
    hosts = {"server": SERVER, "relay": RELAY, "client": CLIENT}
    with switched({host: [f"{address}/64"] for host, address in hosts.items()}) as names:
        urls = {
            "signal": f"http://[{SERVER}]:8080",
            "relay": f"http://[{RELAY}]:7090",
            "transceiver": f"http://[{SERVER}]:7080",
        }
        edge = Edge(tmp_path, *urls.values(), 3478, key=KEY, namespace=names["server"])
        for role, text in CONFIGURATION.items():
            add_server(edge, role, text, urls[role], namespace=names["relay" if role == "relay" else "server"])
        edge.start_all()
        try:
            yield edge, names["client"]
        finally:
            edge.kill()


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Edge]:
    edge = start_edge(tmp_path, hosts=SEVERAL)
    yield edge
    edge.stop()


def talk(page: Page) -> tuple[dict[str, Any], dict[str, Any]]:
    """Call until the tone comes back; returns what the answer was, and the browser's statistics."""
    made = page.evaluate(CALL, {"key": KEY})
    page.wait_for_function(
        "tone => { const peak = window.call.peakHz(); return Math.abs(peak.hz - tone) < 15 && peak.db > -50; }",
        arg=TONE_HZ,
    )
    return made, page.evaluate("window.call.stats()")


def test_chromium_over_ipv6_alone_between_hosts(
    ipv6_network: tuple[Edge, str], playwright: Playwright, tone_wav: Path
) -> None:
    edge, client = ipv6_network
    with chromium_page(playwright, tone_wav, edge.signal_url, namespace=client) as page:
        made, stats = talk(page)
        assert (stats["remote"]["address"], stats["remote"]["port"]) == (RELAY, 3478)
        assert stats["inbound-rtp"]["packetsLost"] == 0
        state = edge.call_state(made["location"])
        assert state is not None
        # The transceiver knows the client's true address, across the hop.
        assert state["client"] == f"[{CLIENT}]:{stats['local']['port']}"
        assert [source["lost"] for source in state["media"]["sources"]] == [0]


def test_chromium_over_ipv6_alone_on_loopback(playwright: Playwright, tone_wav: Path, tmp_path: Path) -> None:
    edge = start_edge(tmp_path, hosts=["::1"])
    with chromium_page(playwright, tone_wav, edge.signal_url, LOOPBACK_FLAG) as page:
        made, stats = talk(page)
        assert (stats["remote"]["address"], stats["remote"]["port"]) == ("::1", edge.media_port)
        state = edge.call_state(made["location"])
        assert state is not None
        # Whichever of this machine's addresses Chromium sends from, it is of IPv6.
        assert state["client"].startswith("[")
        assert state["client"].endswith(f"]:{stats['local']['port']}")
    edge.stop()


def test_several_ingresses_of_both_families_at_once(several: Edge, playwright: Playwright, tone_wav: Path) -> None:
    """A call on each of them at the same time, and Chromium, which may choose."""
    with ExitStack() as stack:
        calls = [stack.enter_context(paced_call(several.signal_url, server=host)) for host in SEVERAL]
        page = stack.enter_context(chromium_page(playwright, tone_wav, several.signal_url, LOOPBACK_FLAG))
        for call in calls:
            call.begin()
        made, stats = talk(page)
        candidates = [line for line in made["answer"].splitlines() if line.startswith("a=candidate:")]
        assert [line.split()[4] for line in candidates if " UDP " in line.upper()] == list(SEVERAL)
        assert stats["remote"]["address"] in SEVERAL
        for number, (host, call) in enumerate(zip(SEVERAL, calls, strict=True), 1):
            assert call.server == (host, several.media_port)
            counted = call.finish(at_least=20)
            assert counted.missing == []
            state = several.call_state(call.location)
            assert state is not None
            assert state["ingress"] == number
