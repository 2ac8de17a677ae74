"""A fleet in which a node of each tier has keys of its own: it says so, gets nothing, and harms none.

What `docs/operations.md` tells of it is looked up here, in metrics and answers.
"""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import attrs
import pytest

from bench.ports import free_port

from .calling import mere_offer, paced_call
from .edge_processes import PROGRAM, Edge, add_server
from .fleet_processes import lists, start_fleet
from .owners import NAMES, transceiver_calls

pytestmark = pytest.mark.e2e

MOVES, DROPS = "trio_voice_transceiver_moves_total", "trio_voice_transceiver_drops_total"
FLOWS = "trio_voice_relay_flows"
NO_TRANSCEIVER = "no transceiver has answered yet"
NO_RELAY = "no relay has said hello yet"
WRONG_BEARER = "401 invalid_control_key"


@pytest.fixture(scope="module")
def server(redis_server: ModuleType) -> Iterator[Any]:
    with redis_server.redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def fleet(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Three foreigners are in it, which find the others by the store."""
    folder = tmp_path_factory.mktemp("fleet")
    fleet = start_fleet(folder, server.url)
    try:
        relay, media = free_port(), free_port()
        control, listen = free_port(), free_port()
        add_foreigner(
            fleet,
            "relay",
            relay,
            {
                "hop": '"127.0.0.1:0"',
                "http": f'"127.0.0.1:{relay}"',
                "ingresses": f'["9=127.0.0.1:{media}/127.0.0.1:{media}"]',
                "reload_socket": f'"{folder}/foreign-relay.sock"',
            },
        )
        add_foreigner(
            fleet, "transceiver", control, {"hop": '"127.0.0.1:0"', "control": f'"127.0.0.1:{control}"'}, like="beta"
        )
        add_foreigner(fleet, "signal", listen, {"listen": f'"127.0.0.1:{listen}"'})
        fleet.wait_until("all are listed", lambda: lists(server, 7))
        yield fleet
    finally:
        fleet.kill()


def add_foreigner(fleet: Edge, role: str, port: int, own: Mapping[str, str], *, like: str = "") -> None:
    """Start a process that is configured as one of ours, but for its keys and what there can be only once."""
    name, changes = f"foreign-{role}", {"name": f'"foreign-{role}"', **own}
    subprocess.run([PROGRAM, "keys", "new", str(fleet.folder / name)], check=True, capture_output=True)
    lines = (fleet.folder / f"{like or role}.toml").read_text().splitlines()[1:]  # the first has the keys
    lines = [f"{key} = {changes[key]}" if (key := line.split(" =")[0]) in changes else line for line in lines]
    add_server(fleet, name, "\n".join(lines), f"http://127.0.0.1:{port}", role=role)
    path = fleet.folder / f"{name}.toml"
    path.write_text(path.read_text().replace("/keys/", f"/{name}/"))
    fleet.start(name)


def assert_not_ready(fleet: Edge, role: str, reason: str) -> None:
    """It says so itself, and to whom signal tells of the fleet."""
    status, body = fleet.get(f"{fleet.servers[f'foreign-{role}'].health}/readyz")
    assert (status, reason in body) == (503, True)
    listed = subprocess.run([PROGRAM, "fleet", "--url", fleet.signal_url], capture_output=True, text=True, check=True)
    (line,) = (line for line in listed.stdout.splitlines() if line.startswith(f"foreign-{role}"))
    assert reason in line.partition(" not ready: ")[2]


def no_hop(fleet: Edge, name: str) -> int:
    """How many packets of the hop a transceiver has dropped as not authentic."""
    return fleet.counted(fleet.servers[name].health, DROPS)["hop.hop-not-authentic"]


def test_a_relay_is_not_offered(fleet: Edge) -> None:
    foreign = fleet.servers["foreign-relay"].health
    fleet.wait_until("transceivers have heard of it", lambda: all(no_hop(fleet, name) for name in NAMES))
    fleet.wait_until("signal knows both relays", lambda: len(fleet.fleet_state()["ingresses"]) == 2)
    assert_not_ready(fleet, "relay", NO_TRANSCEIVER)
    for _ in range(4):  # and yet an answer names two relays where there are as many
        answer, location = fleet.offer(mere_offer())
        (candidate,) = (line for line in answer.splitlines() if line.startswith("a=candidate:"))
        assert f" 127.0.0.1 {fleet.media_port} " in candidate
        assert fleet.delete(location)[0] == 200
    with paced_call(fleet.signal_url) as call:
        assert call.for_a_while(1.0).missing == []
        assert [fleet.metric(url, FLOWS) for url in (fleet.relay_url, foreign)] == [1, 0]


def test_a_signal_node_is_obeyed_by_nobody(fleet: Edge) -> None:
    foreign = fleet.servers["foreign-signal"].health
    with paced_call(fleet.signal_url) as call:
        fleet.wait_until("it has asked", lambda: WRONG_BEARER in fleet.get(f"{foreign}/readyz")[1])
        assert_not_ready(fleet, "signal", WRONG_BEARER)
        through_it = attrs.evolve(fleet, signal_url=foreign)
        with pytest.raises(AssertionError, match="no_transceiver_available"):
            through_it.offer(mere_offer())
        assert through_it.delete(call.location)[0] == 404
        assert call.for_a_while(1.0).missing == []


def test_a_transceiver_gets_no_call_and_takes_none_over(fleet: Edge) -> None:
    foreign = "foreign-transceiver"
    fleet.wait_until("relays have spoken to it", lambda: no_hop(fleet, foreign))
    with ExitStack() as stack:
        placed = [stack.enter_context(paced_call(fleet.signal_url)) for _ in range(4)]
        staying, leaving = sorted(NAMES, key=lambda name: transceiver_calls(fleet, name))
        assert transceiver_calls(fleet, staying) + transceiver_calls(fleet, leaving) == 4

        def records() -> int:
            return sum(fleet.counted(fleet.servers[name].health, MOVES)["checkpoint.created"] for name in NAMES)

        fleet.wait_until("the store has a record of each", lambda: records() >= 4)
        fleet.processes[leaving].send_signal(signal.SIGTERM)
        assert fleet.processes[leaving].wait(20) == 0
        assert (transceiver_calls(fleet, staying), transceiver_calls(fleet, foreign)) == (4, 0)
        assert all(call.for_a_while(0.3).missing == [] for call in placed)
    assert_not_ready(fleet, "transceiver", NO_RELAY)
