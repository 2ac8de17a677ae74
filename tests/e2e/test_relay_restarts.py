"""The relay of a call is killed, and started again at once: what the call loses is the time of the start.

Counted is the RTP that leaves and comes back at the client's interface, for our own caller and for Chromium. The relay
runs before everything else on this machine, as it does on a host of its own, and has its bytecode, as an installed
program has. Nothing is waited for beyond the start: not for a client's check, of which the next is seconds away.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from .calling import paced_call
from .chromium import CALL, chromium_page
from .edge_processes import Edge
from .sniffing import Sniffer, sniffing
from .travelling import KEY, PUBLIC, Journey, journey

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

MOST_FRAMES = 15
"""300 ms."""
HELLO = b"\x13\x01"
BINDING_REQUEST = b"\x00\x01"


@pytest.fixture(scope="module")
def travelling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with journey(tmp_path_factory.mktemp("journey")) as made:
        made.run_relays_first()
        restart(made.edge)
        made.edge.wait_until("the relay is there", lambda: made.edge.is_ready(made.relay_url("a")))
        yield made


def restart(edge: Edge) -> None:
    process = edge.processes["relay-a"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    edge.start("relay-a")


@pytest.fixture(params=["our caller", "Chromium"])
def call(travelling: Journey, request: pytest.FixtureRequest, playwright: Playwright, tone_wav: Path) -> Iterator[str]:
    origin = travelling.edge.signal_url
    if request.param == "our caller":
        with paced_call(origin, key=KEY, namespace=travelling.client) as call:
            yield call.location
    else:
        with chromium_page(playwright, tone_wav, origin, namespace=travelling.client) as page:
            yield page.evaluate(CALL, {"key": KEY})["location"]


def checks(sniffer: Sniffer) -> int:
    return len([each for each in sniffer.to(*PUBLIC) if each.data[:2] == BINDING_REQUEST])


def test_a_relay_that_is_killed_and_started_again(travelling: Journey, call: str) -> None:
    edge = travelling.edge
    time.sleep(2)
    before = edge.call_state(call)
    assert before is not None
    with sniffing(travelling.client) as sniffer, sniffing(travelling.names["relay-a"]) as hop:
        time.sleep(1)
        had = checks(sniffer)
        while checks(sniffer) == had:  # none of the next two seconds will be the one that brings the call back
            time.sleep(0.01)
        time.sleep(0.2)
        killed = time.monotonic()
        restart(edge)
        time.sleep(4)
    heard = sniffer.heard(PUBLIC)
    start_ms = 1000 * (min(each.at for each in hop.seen if each.at > killed and each.data[:2] == HELLO) - killed)
    print(f"{heard}, of which the start took {start_ms:.0f} ms")
    after = edge.call_state(call)
    assert after is not None
    assert (after["state"], after["client"]) == ("established", before["client"])
    assert heard.sent >= 100
    assert heard.missing <= MOST_FRAMES
