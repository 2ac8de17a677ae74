"""Two signal nodes, two transceivers, Redis, and certificates between them: any node acts on any call."""

import signal
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from types import ModuleType

import pytest
import trio

from edge.caller.exchange import Exchange
from edge.caller.opus_file import read_clip
from edge.caller.placing import Call, Caller
from edge.caller.progress import CallerOptions
from edge.caller.results import MediaStatistics
from edge.caller.signalling import CallFailed, SignalClient

from .edge_processes import PROGRAM, Edge
from .fleet_processes import start_fleet

pytestmark = pytest.mark.e2e

CLIP = read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())


def issue(folder: Path) -> None:
    subprocess.run([PROGRAM, "keys", "ca", str(folder)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def fleet(redis_server: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("control")
    certificates = folder / "certificates"
    issue(certificates)
    pairs = {
        "transceiver": ("tls_certificate", "tls_key", "tls_client_ca"),
        "signal": ("control_certificate", "control_key", "control_ca"),
    }
    sections = {
        role: "".join(
            f'{key} = "{certificates}/{name}"\n'
            for key, name in zip(keys, (f"{role}.crt", f"{role}.key", "ca.crt"), strict=True)
        )
        for role, keys in pairs.items()
    }
    with redis_server.redis_server() as server:
        fleet = start_fleet(folder, server.url, more_signals=("second",), sections=sections)
        try:
            yield fleet
        except BaseException:
            fleet.kill()
            raise
        fleet.stop()


async def place(url: str, exchange: Exchange) -> tuple[Caller, Call]:
    caller = Caller(SignalClient(url), exchange)
    call = await caller.place(CallerOptions(clip=CLIP))
    await caller.connect(call)
    await caller.hear(call)
    return caller, call


def test_the_other_signal_node_restarts_looks_at_and_ends_a_call(fleet: Edge) -> None:
    second = fleet.servers["second"].health

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            exchange = Exchange()
            nursery.start_soon(exchange.run)
            _, call = await place(fleet.signal_url, exchange)
            other = Caller(SignalClient(second), exchange)
            await other.restart_ice(call)
            await hear_more(other, call)
            assert MediaStatistics.of(call.session).lost == 0
            status, _ = await trio.to_thread.run_sync(fleet.get, second + call.path)
            assert status == 200
            await SignalClient(second).end(call.path)
            with pytest.raises(CallFailed, match="the server ended the call"):
                await other.ended(call)
            await is_not_found(fleet.signal_url, call.path)
            nursery.cancel_scope.cancel()

    trio.run(run)


def test_certificates_are_renewed_while_a_call_goes_on(fleet: Edge) -> None:
    issue(fleet.folder / "certificates")
    names = [name for name in fleet.processes if name != "relay"]
    before = {name: fleet.log(name).count("reloaded") for name in names}

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            exchange = Exchange()
            nursery.start_soon(exchange.run)
            caller, call = await place(fleet.signal_url, exchange)
            for name in names:
                fleet.processes[name].send_signal(signal.SIGHUP)
            for name in names:
                await trio.to_thread.run_sync(
                    fleet.wait_until,
                    f"{name} reloads",
                    lambda name=name: fleet.log(name).count("reloaded") > before[name],
                )
            _, another = await place(fleet.servers["second"].health, exchange)
            assert MediaStatistics.of(call.session).lost == 0
            await caller.hang_up(another)
            await caller.hang_up(call)
            nursery.cancel_scope.cancel()

    trio.run(run)


def test_a_certificate_of_another_authority_is_told_by_both_ends(fleet: Edge) -> None:
    strangers = fleet.folder / "strangers"
    issue(strangers)
    own = fleet.folder / "certificates"
    for name in ("signal.crt", "signal.key"):
        (own / name).write_bytes((strangers / name).read_bytes())
    try:
        fleet.processes["second"].send_signal(signal.SIGHUP)
        url = fleet.servers["second"].health
        reason = "may not accept our certificate"
        fleet.wait_until("the second one cannot command", lambda: reason in fleet.get(f"{url}/readyz")[1])
        fleet.wait_until(
            "a transceiver says so", lambda: "unable to get local issuer certificate" in fleet.log("alpha")
        )
        assert fleet.is_ready(fleet.signal_url)
    finally:
        issue(own)
        fleet.processes["second"].send_signal(signal.SIGHUP)
    fleet.wait_until("it is back", lambda: fleet.is_ready(url))


def test_a_call_that_was_drained_to_another_transceiver_keeps_its_id(fleet: Edge) -> None:
    """It moves twice; each time another signal node finds it and restarts its ICE, and one ends it at last."""
    second = fleet.servers["second"].health

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            exchange = Exchange()
            nursery.start_soon(exchange.run)
            _, call = await place(fleet.signal_url, exchange)
            for url in (second, fleet.signal_url):
                owner = next(name for name in ("alpha", "beta") if calls_of(fleet, name))
                fleet.processes[owner].send_signal(signal.SIGTERM)
                code = await trio.to_thread.run_sync(fleet.processes[owner].wait, 30)
                assert code == 0
                caller = Caller(SignalClient(url), exchange)
                assert (await trio.to_thread.run_sync(fleet.get, url + call.path))[0] == 200
                await caller.restart_ice(call)
                await hear_more(caller, call)
                fleet.start(owner)
                await trio.to_thread.run_sync(
                    fleet.wait_until,
                    f"{owner} is back",
                    lambda owner=owner: fleet.is_ready(fleet.servers[owner].health),
                    30,
                )
            assert MediaStatistics.of(call.session).lost <= 4
            await SignalClient(second).end(call.path)
            await is_not_found(fleet.signal_url, call.path)
            nursery.cancel_scope.cancel()

    trio.run(run)


async def hear_more(caller: Caller, call: Call) -> None:
    """Wait until a second of audio has come, while the call goes on."""
    before = MediaStatistics.of(call.session).received
    with trio.fail_after(30):
        while MediaStatistics.of(call.session).received < before + 50:
            with trio.move_on_after(0.2) as scope:
                await caller.ended(call)
            assert scope.cancelled_caught, "the call has ended"


async def is_not_found(url: str, path: str) -> None:
    """Wait for that to be said; while signal has not heard of a transceiver that was started again, it may be 503."""
    said = ""
    with trio.fail_after(10):
        while "call_id_not_found" not in said:
            with pytest.raises(CallFailed) as failure:
                await SignalClient(url).end(path)
            said = str(failure.value)
            assert "call_id_not_found" in said or "transceiver_unreachable" in said
            await trio.sleep(0.1)


def calls_of(fleet: Edge, name: str) -> float:
    return fleet.metric(fleet.servers[name].health, "trio_voice_transceiver_calls")


def ask(fleet: Edge, *words: str, config: str) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, *words, "--config", fleet.folder / config]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def configure_operator(fleet: Edge) -> str:
    """Write what people have who only command, as docs/operations.md tells them; the certificate is made for it."""
    own = fleet.folder / "certificates"
    command = [PROGRAM, "keys", "certificate", own, "operator", "--name", "laptop"]
    subprocess.run(command, check=True, capture_output=True)
    store = (fleet.folder / "signal.toml").read_text().split("[store]")[1].split("[node]")[0]
    (fleet.folder / "operator.toml").write_text(f"""
keys = "{fleet.folder}/keys/signal.keys"
[store]{store}[signal]
control_certificate = "{own}/laptop.crt"
control_key = "{own}/laptop.key"
control_ca = "{own}/ca.crt"
""")
    return "operator.toml"


def test_an_operator_drains_a_transceiver_with_a_certificate_of_his_own(fleet: Edge) -> None:
    config = configure_operator(fleet)
    listing = ask(fleet, "fleet", config=config)
    assert listing.returncode == 0, listing.stderr
    names = {line.split()[0] for line in listing.stdout.splitlines()[1:]}
    assert names == {"signal", "second", "relay", "alpha", "beta"}
    drained = ask(fleet, "drain", "alpha", config=config)
    assert (drained.returncode, drained.stderr) == (0, "")
    assert drained.stdout.startswith("alpha drains: it had ")
    fleet.wait_until("all are told", lambda: "draining" in line_of("alpha", ask(fleet, "fleet", config=config).stdout))
    fleet.processes["alpha"].send_signal(signal.SIGTERM)
    assert fleet.processes["alpha"].wait(30) == 0
    fleet.start("alpha")
    fleet.wait_until("alpha is back", lambda: fleet.is_ready(fleet.servers["alpha"].health), 30)


def line_of(node: str, listing: str) -> str:
    return next((line for line in listing.splitlines() if line.startswith(f"{node} ")), "")


def test_who_may_not_command_is_told_what_is_needed(fleet: Edge) -> None:
    text = (fleet.folder / "signal.toml").read_text()
    bare = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("control_"))
    (fleet.folder / "bare.toml").write_text(bare)
    for config in ("bare.toml", "beta.toml"):
        refused = ask(fleet, "drain", "alpha", config=config)
        assert refused.returncode == 1
        assert "signal.control_certificate" in refused.stderr
        assert ask(fleet, "fleet", config=config).returncode == 0, "the store is asked, and wants no certificate"
