"""A fleet in which signal cannot reach a region, or the region cannot reach signal: the rest goes on.

What `docs/operations.md` tells of it is looked up here, in metrics and logs.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest

from .calling import PacedCall, mere_offer, paced_call
from .edge_processes import PROGRAM, Edge, add_server
from .fleet_processes import lists
from .namespaces import run_in, switched

pytestmark = pytest.mark.e2e


def calls(fleet: Edge, name: str) -> int:
    return int(fleet.metric(fleet.servers[name].health, "trio_voice_transceiver_calls"))


HOSTS = {"hub": "10.78.0.1", "north": "10.78.0.2", "south": "10.78.0.3", "client": "10.78.0.4"}
SOUTHERN = "sk-south"
SIGNAL = f"""
listen = "{HOSTS["hub"]}:8080"
api_keys = ["sk-test", "{SOUTHERN}"]
regions = ["north=52/13", "south=-34/18"]
location = "52, 13"
residency = [{{ regions = ["south"], api_keys = ["{SOUTHERN}"] }}]
"""
"""All callers are near the north, so that signal asks there first; those with this key may be in the south only."""


@pytest.fixture
def regions(server: Any, tmp_path: Path) -> Iterator[tuple[Edge, dict[str, str]]]:
    """Signal, and two regions of a relay and a transceiver each; the store's socket is a file, which all reach."""
    subprocess.run([PROGRAM, "keys", "new", str(tmp_path / "keys")], check=True, capture_output=True)
    with switched({host: [f"{address}/24"] for host, address in HOSTS.items()}) as names:
        url = f"http://{HOSTS['hub']}:8080"
        edge = Edge(tmp_path, url, "", "", 3478, key="sk-test", namespace=names["client"], ingresses=2)

        def add(name: str, role: str, host: str, text: str, health: str) -> None:
            shared = f'[log]\nformat = "json"\n[store]\nurl = "{server.url}"\n[node]\nname = "{name}"\n'
            shared += f'region = "{host}"\n' if role != "signal" else ""
            add_server(edge, name, f"{shared}[{role}]\n{text}", health, role=role, namespace=names[host])

        add("signal", "signal", "hub", SIGNAL, url)
        for number, host in enumerate(("north", "south"), 1):
            own = HOSTS[host]
            relay = f'hop = "{own}:7000"\nhttp = "{own}:7090"\ningresses = ["{number}={own}:3478/{own}:3478"]\n'
            add(f"relay-{host}", "relay", host, relay, f"http://{own}:7090")
            # A cluster each: so neither takes calls of the other over when this machine stalls.
            transceiver = f'backend = "echo"\ncluster = {number}\nhop = "{own}:7001"\ncontrol = "{own}:7080"\n'
            add(host, "transceiver", host, transceiver, f"http://{own}:7080")
        edge.start_all()
        try:
            edge.wait_until("all are listed", lambda: lists(server, 5))
            yield edge, names
        finally:
            edge.kill()


def cut(namespace: str, sender: str) -> None:
    """Let nothing arrive in a namespace that an address has sent, as over a broken link."""
    rules = "add table ip cut; add chain ip cut in { type filter hook input priority 0; }; "
    run_in(namespace, "nft", f"{rules}add rule ip cut in ip saddr {sender} drop")


def mend(namespace: str) -> None:
    run_in(namespace, "nft", "delete table ip cut")


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.parametrize("lost", [("hub", "north"), ("north", "hub")], ids=["from the region", "to the region"])
def test_signal_loses_a_region_and_gets_it_back(regions: tuple[Edge, dict[str, str]], lost: tuple[str, str]) -> None:
    """One way between them is broken, whichever; the store hears of the region as ever."""
    edge, names = regions
    there, sender = lost
    southern = attrs.evolve(edge, key=SOUTHERN)

    def place(of: Edge) -> PacedCall:
        return stack.enter_context(paced_call(edge.signal_url, key=of.key, namespace=edge.namespace))

    with ExitStack() as stack:
        in_south, in_north = [place(southern) for _ in range(2)], [place(edge) for _ in range(2)]
        assert (calls(edge, "south"), calls(edge, "north")) == (2, 2)
        for call in in_south + in_north:
            call.begin()
        cut(names[there], HOSTS[sender])
        # At once: two seconds later signal will have seen, by questions of its own, that nobody answers there.
        began = time.monotonic()
        _, location = edge.offer(mere_offer())
        assert time.monotonic() - began > 1.9
        assert f"http://{HOSTS['north']}:7080: no answer within 2 seconds" in edge.log("signal")
        assert calls(edge, "south") == 3
        assert edge.delete(location)[0] == 200
        later = [place(edge) for _ in range(2)]
        assert calls(edge, "south") == 4
        assert all(call.finish(at_least=50).missing == [] for call in in_south + in_north), "media does not pass signal"
        status, body = edge.get(edge.signal_url + in_north[0].location)
        assert (status, "transceiver_unreachable" in body) == (503, True), "it is not told to be over"
        assert southern.call_state(in_south[0].location) is not None
        assert edge.get(f"{edge.signal_url}/readyz")[0] == 200
        mend(names[there])
        edge.wait_until("all are reached", lambda: all(edge.call_state(call.location) for call in in_north + later))
        assert edge.delete(in_north[0].location)[0] == 200
