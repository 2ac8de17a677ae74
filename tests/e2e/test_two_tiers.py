"""Two tiers of relays, and all of them processes: a global one with the public port, and one of the cluster."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port

from .calling import paced_call
from .edge_processes import PROGRAM, Edge, add_server

pytestmark = pytest.mark.e2e

RECOVERY_SECONDS = 1.5
"""From when a relay has started: the next HELLO of a global one may be a second away. How long Python takes to start
is up to a machine that is shared."""


def start_two_tiers(folder: Path, *, sealed: bool) -> Edge:
    subprocess.run([PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    http, global_http, inner_http, control = (free_port() for _ in range(4))
    media, global_hop, inner_hop, transceiver_hop = (free_port() for _ in range(4))
    edge = Edge(
        folder,
        f"http://127.0.0.1:{http}",
        f"http://127.0.0.1:{global_http}",
        f"http://127.0.0.1:{control}",
        media,
    )
    add_server(
        edge,
        "signal",
        f'[signal]\nlisten = "127.0.0.1:{http}"\ntransceivers = ["http://127.0.0.1:{control}"]\n'
        f'ingresses = ["1=127.0.0.1:{media}"]\n',
        edge.signal_url,
    )
    add_server(
        edge,
        "global",
        f'[relay]\nhop = "127.0.0.1:{global_hop}"\nhttp = "127.0.0.1:{global_http}"\n'
        f'ingresses = ["1=127.0.0.1:{media}/127.0.0.1:{media}"]\ncluster_relays = ["3=localhost:{inner_hop}"]\n'
        f"hop_sealed = {str(sealed).lower()}\n",
        edge.relay_url,
        role="relay",
    )
    add_server(
        edge,
        "inner",
        f'[relay]\nhop = "127.0.0.1:{inner_hop}"\nhttp = "127.0.0.1:{inner_http}"\ncluster = 3\n'
        f'transceivers = ["127.0.0.1:{transceiver_hop}"]\n',
        f"http://127.0.0.1:{inner_http}",
        role="relay",
    )
    add_server(
        edge,
        "transceiver",
        f'[transceiver]\nbackend = "echo"\ncluster = 3\nhop = "127.0.0.1:{transceiver_hop}"\n'
        f'control = "127.0.0.1:{control}"\n',
        edge.control_url,
    )
    edge.start_all()
    return edge


@pytest.fixture(params=[False, True], ids=["plain", "sealed"])
def two_tiers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Edge]:
    edge = start_two_tiers(tmp_path, sealed=request.param)
    try:
        yield edge
    except BaseException:
        edge.kill()
        raise
    edge.stop()


def test_a_call_crosses_two_tiers_and_survives_each_of_them(two_tiers: Edge) -> None:
    with paced_call(two_tiers.signal_url) as call:
        counted = call.for_a_while(2.0)
        assert counted.missing == []
        state = two_tiers.call_state(call.location)
        assert state is not None
        assert state["client"] == f"127.0.0.1:{call.port}"  # the true one, behind two relays
        for tier in ("inner", "global"):
            process = two_tiers.processes[tier]
            call.begin()
            process.send_signal(signal.SIGKILL)
            process.wait()
            two_tiers.start(tier)
            health = two_tiers.servers[tier].health
            two_tiers.wait_until(f"{tier} is back", lambda url=health: two_tiers.is_ready(url), 60.0)
            time.sleep(RECOVERY_SECONDS)
            after = call.finish()
            print(f"{tier} killed: {len(after.missing)} of {after.sent} packets, {after.gap_ms:.0f} ms")
            assert after.closed == counted.closed, json.dumps(after.drops)
            two_tiers.wait_until("nothing is missing any more", lambda: call.for_a_while(1.0).missing == [], 5.0)
