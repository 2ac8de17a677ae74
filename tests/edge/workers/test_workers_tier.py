"""The whole tier with workers that are tasks of this process: real sockets, a real relay, real calls."""

import itertools
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

import attrs
import httpcore
import pytest
import trio
import trio.testing

import edge.tiers.transceiver
import edge.workers.command
from edge.caller.exchange import Exchange
from edge.caller.opus_file import read_clip
from edge.caller.placing import Caller
from edge.caller.progress import CallerOptions
from edge.caller.signalling import SignalClient
from edge.children.channel import Channel
from edge.config.model import (
    BackendConfig,
    Config,
    LogConfig,
    RelayConfig,
    RelayIngress,
    Role,
    SignalConfig,
    SignalIngress,
    TransceiverConfig,
)
from edge.keys import Root, derive_bundle, new_root, rotate
from edge.metrics import Metrics
from edge.roles import RunningRoles, run_roles
from edge.start import StartError
from edge.tiers.keyring import call_id_keys
from edge.tiers.tier import Surroundings
from edge.workers.command import run_worker
from edge.workers.messages import ORDERS
from edge.workers.tier import WorkersTier

NOW = 1_800_000_000.0
ROOT = new_root(lambda size: bytes(range(size)), NOW)
KERNELS_CHOICE = ("127.0.0.1", 0)


def keyring(root: Root = ROOT):
    return {role: derive_bundle(root, role) for role in Role}


@attrs.define(eq=False)
class TaskProcess:
    """A worker in a task of this process; killing it is cancelling it."""

    pid: int
    returncode: int | None = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ended: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, sock: socket.socket) -> None:
        with self.scope:
            self.returncode = await run_worker(sock)
        if self.returncode is None:
            self.returncode = -9
        sock.close()
        self.ended.set()

    async def wait(self) -> int:
        await self.ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def kill(self) -> None:
        self.scope.cancel()
        await self.ended.wait()


class TaskLaunch:
    """Starts them in a nursery of the test."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.log_configs: list[LogConfig] = []
        self.said: list[tuple[str, dict[str, object]]] = []
        self.processes: list[TaskProcess] = []
        self._nursery = nursery
        self._pids = itertools.count(5000)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[tuple[TaskProcess, Channel]]:
        ours, theirs = socket.socketpair()
        process = TaskProcess(next(self._pids))
        self.processes.append(process)
        self._nursery.start_soon(process.run, theirs)
        channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        try:
            yield process, channel
        finally:
            with trio.CancelScope(shield=True):
                await channel.aclose()
                await process.ended.wait()


@pytest.fixture
async def tasks(nursery, monkeypatch: pytest.MonkeyPatch) -> TaskLaunch:
    """Let workers be tasks, whatever makes a `WorkersTier`."""
    launch = TaskLaunch(nursery)

    class WorkersInTasks(WorkersTier):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, launch=launch)

    monkeypatch.setattr(edge.workers.tier, "WorkersTier", WorkersInTasks)
    monkeypatch.setattr(edge.workers.command, "configure_logs", launch.log_configs.append)
    monkeypatch.setattr(
        edge.workers.command, "reporter", lambda _log: lambda name, facts: launch.said.append((name, dict(facts)))
    )
    monkeypatch.setattr(edge.workers.command, "spare_the_collector", lambda: None)
    return launch


@pytest.fixture
def config() -> Config:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(KERNELS_CHOICE)
        media = probe.getsockname()
    return Config(
        signal=SignalConfig(listen=KERNELS_CHOICE, ingresses=(SignalIngress(id=4, advertise=media),)),
        relay=RelayConfig(hop=KERNELS_CHOICE, ingresses=(RelayIngress(id=4, advertise=media, bind=media),)),
        transceiver=TransceiverConfig(hop=KERNELS_CHOICE, control=KERNELS_CHOICE, workers=2, backend="echo"),
    )


@pytest.fixture
async def call(nursery: trio.Nursery):
    """Place a call and wait until the echo is heard."""
    exchange = Exchange()
    nursery.start_soon(exchange.run)
    clip = read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())

    async def place(running: RunningRoles):
        caller = Caller(SignalClient(running.url, None), exchange)
        placed = await caller.place(CallerOptions(clip=clip))
        await caller.connect(placed)
        await caller.hear(placed)
        return caller, placed

    return place


async def eventually(condition) -> None:
    with trio.fail_after(4):
        while not condition():  # noqa: ASYNC110 - what other tasks of this process will bring about
            await trio.sleep(0.01)


def metric(running: RunningRoles, name: str) -> float:
    page = running.tiers[Role.RELAY]._surroundings.metrics.render().decode()
    found = re.search(rf"^trio_voice_{re.escape(name)} (.*)$", page, re.MULTILINE)
    return float(found[1]) if found else 0.0


def worker_of(placed, root: Root = ROOT) -> int:
    call_id = placed.path.rpartition("/")[2]
    route = call_id_keys(derive_bundle(root, Role.TRANSCEIVER)).open(call_id)
    assert route is not None
    return route.worker


async def test_calls_land_on_both_workers_and_a_stop_says_goodbye_to_all(nursery, tasks, config, call) -> None:
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    tier = running.tiers[Role.TRANSCEIVER]
    assert len({port for _, port in tier.hop_addresses}) == 2
    assert "2 workers" in tier.describe()
    await eventually(lambda: metric(running, "transceiver_max_calls") == 2000)
    calls = [await call(running) for _ in range(4)]
    assert sorted(worker_of(placed) for _, placed in calls) == [0, 0, 1, 1]
    assert metric(running, "transceiver_calls") == 4
    caller, placed = calls.pop()
    await caller.hang_up(placed)
    await eventually(lambda: metric(running, "relay_flows") == 3)
    await eventually(lambda: metric(running, "transceiver_calls") == 3)
    # What workers have counted comes with their next report.
    await eventually(lambda: metric(running, 'transceiver_events_total{event="created"}') == 4)
    assert metric(running, 'transceiver_worker_starts_total{worker="1"}') == 1
    with trio.fail_after(3):
        await running.stop()
    for caller, placed in calls:
        with trio.fail_after(1), pytest.raises(Exception, match=r"clos|end|hung"):
            await caller.ended(placed)
    assert [process.returncode for process in tasks.processes] == [0, 0]


async def test_a_worker_that_dies_takes_its_own_calls_and_takes_new_ones_later(nursery, tasks, config, call) -> None:
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    addresses = running.tiers[Role.TRANSCEIVER].hop_addresses
    calls = {worker_of(placed): (caller, placed) for caller, placed in [await call(running) for _ in range(2)]}
    await eventually(lambda: metric(running, 'transceiver_events_total{event="created"}') == 2)
    front = running.tiers[Role.TRANSCEIVER]._front
    victim = next(process for process in tasks.processes if process.pid == front.status()["each_worker"][0]["pid"])
    await victim.kill()
    await eventually(lambda: metric(running, 'transceiver_worker_starts_total{worker="0"}') == 2)
    await eventually(lambda: not any(each["reason"] for each in front.status()["each_worker"]))
    assert running.tiers[Role.TRANSCEIVER].hop_addresses == addresses
    assert metric(running, 'transceiver_events_total{event="ended-worker-died"}') == 1
    assert metric(running, 'transceiver_events_total{event="created"}') == 2, "not less than before"
    fresh = [await call(running) for _ in range(2)]
    assert 0 in {worker_of(placed) for _, placed in fresh}
    survivor, placed = calls[1]
    await survivor.hang_up(placed)
    for caller, placed in fresh:
        await caller.hang_up(placed)
    await running.stop()


async def test_a_reload_reaches_the_workers(nursery, tasks, config, call) -> None:
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    bounded = attrs.evolve(config, transceiver=attrs.evolve(config.transceiver, max_calls=6))
    taught = rotate(ROOT, NOW)
    minting = rotate(taught, NOW)
    async with httpcore.AsyncConnectionPool() as pool:
        # With the last step the first generation ends, and with it the bearer that the front began with.
        for root in (taught, minting, rotate(minting, NOW)):
            await running.reload(running.complete(bounded), keyring(root))
            caller, fresh = await call(running)
            assert (await pool.request("GET", running.url + fresh.path)).status == 200
            await caller.hang_up(fresh)
    assert fresh.answer.ice_ufrag[:2] == "1C", "the second character is the key id: the new key mints"
    await eventually(lambda: metric(running, "transceiver_max_calls") == 6)
    assert [config.level for config in tasks.log_configs] == ["info"] * 8, "at the start, and with each reload"
    quiet = attrs.evolve(bounded, log=LogConfig(level="warning"))
    await running.reload(running.complete(quiet), keyring(root))
    assert [config.level for config in tasks.log_configs[8:]] == ["warning"] * 2
    owl = attrs.evolve(bounded, backend=(BackendConfig(use="agent:no_such_module:agent"),))
    with pytest.raises(StartError, match="no_such_module"):
        await running.reload(running.complete(owl), keyring(root))
    await running.stop()


async def test_every_line_names_its_worker_and_what_is_true_of_all_is_said_once(
    nursery, tasks, config, call, monkeypatch
) -> None:
    monkeypatch.setattr(
        edge.tiers.transceiver.Worker,
        "status",
        _warning_of_its_socket(edge.tiers.transceiver.Worker.status),
    )
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    for caller, placed in [await call(running) for _ in range(2)]:
        await caller.hang_up(placed)
    await eventually(lambda: len([name for name, _ in tasks.said if name == "call-ended"]) == 2)
    for name in ("hop-link", "call-created", "call-ended"):
        assert {facts["worker"] for said, facts in tasks.said if said == name} == {0, 1}
    assert {facts["worker"] for said, facts in tasks.said if said == "socket-warning"} == {0}
    await running.stop()


def _warning_of_its_socket(status):
    def warn_too(self):
        self._report("socket-warning", {"warning": "a small buffer"})
        return status(self)

    return warn_too


@pytest.mark.parametrize(("port", "announced"), [(0, 1), (7001, 2)])
async def test_consecutive_ports_are_announced_and_others_are_not(config, launch, report, port, announced) -> None:
    fixed = attrs.evolve(config, transceiver=attrs.evolve(config.transceiver, hop=("127.0.0.1", port)))
    around = Surroundings(metrics=Metrics(), report=report)
    tier = WorkersTier(fixed, keyring()[Role.TRANSCEIVER], around, launch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tier.run)
        await trio.testing.wait_all_tasks_blocked(0.01)
        orders = sorted([await worker.hear() for worker in launch.born], key=lambda order: order.number)
        nursery.cancel_scope.cancel()
    assert [(order.number, order.announced) for order in orders] == [(0, announced), (1, announced)]
    assert len({order.incarnation for order in orders}) == 1
    assert [order.settings.transceiver.hop[1] for order in orders] == [port, port + 1 if port else 0]


async def test_a_port_that_is_taken_is_named_and_nothing_is_left(nursery, tasks, config) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(KERNELS_CHOICE)
        host, port = taken.getsockname()
        # The first worker has the port before, if that is free; either way one of the two is in use.
        broken = attrs.evolve(config, transceiver=attrs.evolve(config.transceiver, hop=(host, port - 1)))
        with pytest.raises(BaseExceptionGroup) as caught:
            async with trio.open_nursery() as roles:
                await roles.start(run_roles, broken, keyring())
    assert caught.group_contains(StartError, match=rf"transceiver.hop: 127.0.0.1:({port}|{port - 1}) is in use")
    assert all(process.ended.is_set() for process in tasks.processes)


async def test_one_control_api_serves_health_status_and_metrics(nursery, tasks, config) -> None:
    running: RunningRoles = await nursery.start(run_roles, config, keyring())
    host, port = running.tiers[Role.TRANSCEIVER].control_address
    async with httpcore.AsyncConnectionPool() as pool:
        for page in ("healthz", "readyz", "metrics"):
            assert (await pool.request("GET", f"http://{host}:{port}/{page}")).status == 200
        assert (await pool.request("GET", f"http://{host}:{port}/control/v1/status")).status == 401
    await running.stop()


async def test_a_worker_whose_front_vanishes_says_goodbye_by_itself(nursery, tasks, bundle, make_start) -> None:
    ours, theirs = socket.socketpair()
    process = TaskProcess(1)
    nursery.start_soon(process.run, theirs)
    channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    await channel.send(ORDERS.write(make_start()))
    with trio.fail_after(3):
        assert b"Started" in await channel.receive()
        await channel.aclose()
        assert await process.wait() == 0


@pytest.mark.parametrize("first", [b'{"say": "Stop"}\n', b"hello\n", b""])
async def test_a_worker_that_is_told_anything_else_first_does_not_start(nursery, tasks, first) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        process = TaskProcess(1)
        nursery.start_soon(process.run, theirs)
        ours.send(first) if first else ours.shutdown(socket.SHUT_WR)
        with trio.fail_after(1):
            assert await process.wait() == 1
