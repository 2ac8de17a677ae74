"""Processes that know of each other by Redis alone: it goes away and comes back, members come, stall and go."""

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .calling import PACKETS_A_SECOND, PacedCall, paced_call
from .edge_processes import PROGRAM, Edge
from .fleet_processes import lists, start_fleet
from .restarting import reload_relay, stop_successor

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(redis_server: ModuleType) -> Iterator[Any]:
    with redis_server.redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def way(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signal's own way to the store, a link that can be taken away."""
    way = tmp_path_factory.mktemp("way") / "redis.sock"
    way.symlink_to(server.url.removeprefix("unix://"))
    return way


@pytest.fixture(scope="module")
def fleet(server: Any, way: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    fleet = start_fleet(
        tmp_path_factory.mktemp("fleet"),
        server.url,
        environment=lambda name: {"TRIO_VOICE_STORE_URL": f"unix://{way}"} if name == "signal" else {},
    )
    try:
        fleet.wait_until("both transceivers are ready", lambda: calls(fleet).keys() >= {"alpha", "beta"})
        yield fleet
    except BaseException:
        fleet.kill()
        raise
    fleet.stop()


def calls(fleet: Edge) -> Counter[str]:
    """How many calls each transceiver has, by its own metrics."""
    found = Counter()
    for name in ("alpha", "beta"):
        url = fleet.servers[name].health
        if fleet.is_ready(url):
            found[name] = int(fleet.metric(url, "trio_voice_transceiver_calls"))
    return found


def ready(fleet: Edge) -> dict[str, bool]:
    """Who takes calls, as far as signal knows."""
    known = {each["name"]: each["ready"] for each in fleet.fleet_state()["transceivers"]}
    return {name: known.get(fleet.servers[name].health, False) for name in ("alpha", "beta")}


def run(*words: str) -> str:
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def slow(process: subprocess.Popen[bytes], held: float, free: float) -> Iterator[None]:
    """Hold a process up again and again for some seconds, and let it run in between; it always comes to its answers."""
    over = threading.Event()

    def hold_up() -> None:
        while not over.is_set():
            process.send_signal(signal.SIGSTOP)
            time.sleep(held)
            process.send_signal(signal.SIGCONT)
            over.wait(free)

    thread = threading.Thread(target=hold_up)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def assert_flows(call: PacedCall) -> None:
    counted = call.for_a_while(1.0)
    assert len(counted.missing) <= 2, json.dumps(counted.drops)


def test_calls_are_placed_on_who_is_in_the_registry(fleet: Edge) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            assert_flows(stack.enter_context(paced_call(fleet.signal_url)))
        # Not two each for sure: who seemed to come back just now gets fewer at first.
        assert calls(fleet).total() == 4
        assert min(calls(fleet).values()) >= 1


def test_the_fleet_is_listed_by_the_store_and_by_signal(fleet: Edge) -> None:
    # A member tells of its calls once a second: the one of the test before may still be among them.
    fleet.wait_until("nobody calls", lambda: run("fleet", "--url", fleet.signal_url).count(" 0/2000 calls ") == 2)
    by_store = run("fleet", "--config", str(fleet.folder / "signal.toml"))
    by_signal = run("fleet", "--url", fleet.signal_url)
    for listed in (by_store, by_signal):
        lines = {line.split()[0]: line for line in listed.splitlines()}
        assert list(lines) == ["NODE", "signal", "relay", "alpha", "beta"]
        assert all(line.endswith("ready") and " here " in line for name, line in lines.items() if name != "NODE")
        assert listed.count(" 0/2000 calls ") == 2
    with paced_call(fleet.signal_url):
        fleet.wait_until("it is counted", lambda: "1/2000 calls" in run("fleet", "--url", fleet.signal_url))


def test_what_a_relay_measures_of_transceivers_is_listed(fleet: Edge) -> None:
    def measured() -> dict[str, tuple[float | None, float | None]]:
        listing = json.loads(run("fleet", "--url", fleet.signal_url, "--json"))
        return {each["name"]: (each["hop_loss"], each["hop_round_trip_ms"]) for each in listing["members"]}

    # Of fewer than thirty PINGs nobody tells.
    fleet.wait_until("all is measured", lambda: all(measured()[name][0] is not None for name in ("alpha", "beta")), 60)
    told = measured()
    assert told.pop("signal") == (None, None)
    assert set(told) == {"relay", "alpha", "beta"}
    assert all(loss is not None and loss < 0.5 for loss, _ in told.values())
    assert all(0 < (milliseconds or 0) < 1000 for _, milliseconds in told.values())
    table = run("fleet", "--config", str(fleet.folder / "signal.toml"))
    assert table.count("% lost, ") == 3


def test_redis_goes_away_during_a_call_and_comes_back(fleet: Edge, server: Any) -> None:
    with paced_call(fleet.signal_url) as call:
        call.begin()
        server.stop()
        fleet.wait_until("signal misses Redis", lambda: "store away" in fleet.log("signal"))
        with paced_call(fleet.signal_url) as another:  # members are known, and answer for themselves
            assert_flows(another)
        assert len(call.finish().missing) <= 2
        before = fleet.log("relay").count("store reached")
        server.start()
        fleet.wait_until("the relay is back", lambda: fleet.log("relay").count("store reached") > before)
        fleet.wait_until("all are listed again", lambda: lists(server, 4))
        assert_flows(call)
        with paced_call(fleet.signal_url) as another:
            assert_flows(another)


def test_signal_alone_loses_the_store_and_gets_it_back(fleet: Edge, server: Any, way: Path) -> None:
    def away() -> int:
        return fleet.log("signal").count("store away")

    before = away()
    target = way.readlink()
    way.unlink()
    server.command("CLIENT", "KILL", "TYPE", "normal")  # the others are there again at once
    try:
        fleet.wait_until("signal misses the store", lambda: away() > before)
        fleet.wait_until("the others forget signal", lambda: lists(server, 3))
        assert ready(fleet) == {"alpha": True, "beta": True}, "signal forgets nobody who answers"
        with ExitStack() as stack:
            for _ in range(4):
                assert_flows(stack.enter_context(paced_call(fleet.signal_url)))
            assert min(calls(fleet).values()) >= 1
    finally:
        way.symlink_to(target)
    fleet.wait_until("all are listed again", lambda: lists(server, 4))


def test_a_member_that_is_paused_is_not_chosen(fleet: Edge) -> None:
    paused = fleet.processes["alpha"]
    paused.send_signal(signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            for _ in range(3):
                assert_flows(stack.enter_context(paced_call(fleet.signal_url)))
            assert int(fleet.metric(fleet.servers["beta"].health, "trio_voice_transceiver_calls")) == 3
    finally:
        paused.send_signal(signal.SIGCONT)
    fleet.wait_until("it is back", lambda: fleet.is_ready(fleet.servers["alpha"].health))


def test_who_drains_gets_no_call(fleet: Edge) -> None:
    assert "alpha drains" in run("drain", "alpha", "--config", str(fleet.folder / "signal.toml"))
    fleet.wait_until("signal sees it", lambda: ready(fleet) == {"alpha": False, "beta": True})
    with ExitStack() as stack:
        for _ in range(2):
            assert_flows(stack.enter_context(paced_call(fleet.signal_url)))
        assert int(fleet.metric(fleet.servers["beta"].health, "trio_voice_transceiver_calls")) == 2


def test_members_join_and_leave_at_run_time(fleet: Edge, server: Any) -> None:
    leaving = fleet.processes["alpha"]
    leaving.send_signal(signal.SIGTERM)
    assert leaving.wait(40) == 0  # it waits for who was to call it when it was paused
    assert lists(server, 3)  # it has said so
    with paced_call(fleet.signal_url) as call:
        assert_flows(call)
    fleet.start("alpha")
    fleet.wait_until("it is back", lambda: fleet.is_ready(fleet.servers["alpha"].health), 30)
    with ExitStack() as stack:
        for _ in range(2):
            assert_flows(stack.enter_context(paced_call(fleet.signal_url)))
        fleet.wait_until("both have one", lambda: calls(fleet) == {"alpha": 1, "beta": 1})


def test_a_slow_member_gets_no_call_and_costs_the_others_nothing(fleet: Edge) -> None:
    """It answers all that it is asked, but late: its heartbeats, signal's questions and relays' PINGs wait for it."""
    fleet.wait_until("nobody calls", lambda: not calls(fleet).total())
    beta = fleet.servers["beta"].health

    def created() -> int:
        return fleet.counted(beta, "trio_voice_transceiver_events_total")["created"]

    def is_known() -> bool:
        (known,) = (each for each in fleet.fleet_state()["transceivers"] if each["name"] == beta)
        return known["health_ms"] > 0

    with ExitStack() as stack:
        placed: list[PacedCall] = []
        while not calls(fleet)["alpha"]:
            placed.append(stack.enter_context(paced_call(fleet.signal_url)))
        with slow(fleet.processes["beta"], held=3.0, free=0.15):
            fleet.wait_until("signal knows", is_known, 60)
            before = created()
            mine = placed[-1]
            mine.begin()
            placed += [stack.enter_context(paced_call(fleet.signal_url)) for _ in range(4)]
            assert len(mine.finish(at_least=3 * PACKETS_A_SECOND).missing) <= 2
            for call in placed[-4:]:
                assert_flows(call)
            assert (created(), calls(fleet)["alpha"] >= 5) == (before, True)
    fleet.wait_until("it is well", lambda: ready(fleet)["beta"])


def test_a_relay_that_is_replaced_knows_its_transceivers_before_it_takes_over(fleet: Edge) -> None:
    with paced_call(fleet.signal_url) as call:
        call.begin()
        successor = reload_relay(fleet)
        counted = call.finish()
        print(f"replaced: {len(counted.missing)} of {counted.sent} packets")
        assert len(counted.missing) <= 2
        assert_flows(call)
        fleet.wait_until("the old one has left", lambda: run("fleet", "--url", fleet.signal_url).count(" relay ") == 1)
    stop_successor(fleet, successor)
    before = fleet.log("relay").count("Ready.")
    fleet.start("relay")
    fleet.wait_until("a relay is back", lambda: fleet.log("relay").count("Ready.") > before, 60)
