"""A region that is near on the map and far by its route: the first call shows it, and the next one goes elsewhere.

One signal server, one relay and two transceivers, each a process of its own; between the client and the relay's address
in the near region lies a slow path.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port

from .edge_processes import PROGRAM, Edge, add_server
from .slow_path import slow_path

pytestmark = pytest.mark.e2e

SLOW = 0.1
"""Seconds each way: 200 ms, where the map says 10."""


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    subprocess.run([PROGRAM, "keys", "new", tmp_path / "keys"], check=True, capture_output=True)
    http, relay_http, near, far = (free_port() for _ in range(4))
    media, other, hop, near_hop, far_hop = (free_port() for _ in range(5))
    edge = Edge(tmp_path, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{relay_http}", "", media)
    with slow_path(media, SLOW) as slow:
        signal = f"""
[signal]
listen = "127.0.0.1:{http}"
transceivers = ["http://127.0.0.1:{near}@near", "http://127.0.0.1:{far}@far"]
ingresses = ["1=127.0.0.1:{slow}@near", "2=127.0.0.1:{other}@far"]
ingress_count = 1
regions = ["near=50/8", "far=40/-3"]
region = "near"
"""
        relay = f"""
[relay]
hop = "127.0.0.1:{hop}"
http = "127.0.0.1:{relay_http}"
transceivers = ["127.0.0.1:{near_hop}", "127.0.0.1:{far_hop}"]
ingresses = ["1=127.0.0.1:{media}/127.0.0.1:{media}", "2=127.0.0.1:{other}/127.0.0.1:{other}"]
"""
        add_server(edge, "signal", signal, edge.signal_url)
        add_server(edge, "relay", relay, edge.relay_url)
        for name, control, own_hop in (("near", near, near_hop), ("far", far, far_hop)):
            text = f"""
[transceiver]
backend = "echo"
hop = "127.0.0.1:{own_hop}"
control = "127.0.0.1:{control}"
"""
            add_server(edge, name, text, f"http://127.0.0.1:{control}", role="transceiver")
        edge.start_all()
        yield edge
        edge.stop()


def test_a_call_tells_how_slow_its_region_is_and_the_next_one_goes_elsewhere(edge: Edge) -> None:
    call = subprocess.Popen([PROGRAM, "call", edge.signal_url, "--seconds", "60"], stdout=subprocess.DEVNULL)
    try:
        caller = edge.wait_until("the call's round trip is known to signal", lambda: measured(edge), 50)
        assert (caller["region"], caller["calls"]) == ("near", 1)
        assert caller["round_trip_ms"] > 195
    finally:
        call.terminate()
        call.wait(timeout=10)

    explained = explain(edge)
    assert [each["region"] for each in explained["transceivers"]] == ["far", "near"]
    assert ", measured " in explained["transceivers"][1]["why"]
    assert "Nearer than http" in explained["transceivers"][1]["why"]

    subprocess.run([PROGRAM, "call", edge.signal_url, "--seconds", "0.5"], check=True, stdout=subprocess.DEVNULL)
    edge.wait_until("the next call is in the other region", lambda: edge.fleet_state()["callers"][0]["region"] == "far")
    reason = "the region near, which took the request"
    edge.wait_until("the reason is in the record of the ended call", lambda: reason in edge.log("near"))


def measured(edge: Edge) -> dict | None:
    callers = edge.fleet_state()["callers"]
    return callers[0] if callers and callers[0]["round_trip_ms"] is not None else None


def explain(edge: Edge) -> dict:
    command = [PROGRAM, "where", "127.0.0.1", "--url", edge.signal_url, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
