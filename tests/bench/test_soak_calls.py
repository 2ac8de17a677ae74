"""Calls of the soak against all tiers in this process: each is noticed, and freed without the garbage collector."""

import gc
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from math import prod

import pytest
import trio

from bench.load import exchanging
from bench.ports import free_port
from bench.soak.attempt import Attempt, Means
from bench.soak.calls import Plan, Tally, call_in_turn
from bench.soak.census import Census
from bench.soak.conversing import Talk
from bench.soak.endings import ENDINGS, Ending
from bench.soak.readings import parse_metrics
from bench.soak.sockets import attend, pass_through
from dtls.options import DtlsOptions
from edge.config.model import (
    Config,
    RelayConfig,
    RelayIngress,
    Role,
    SignalConfig,
    SignalIngress,
    TransceiverConfig,
)
from edge.keys import derive_bundle, new_root
from edge.roles import RunningRoles, run_roles

pytestmark = pytest.mark.e2e  # no process of its own, but calls take the time that they take

KERNELS_CHOICE = ("127.0.0.1", 0)
CONNECT_TIMEOUT = 0.3
SOON = [ending for ending in ENDINGS if ending.name not in {"vanished", "longest call"}]  # those take their seconds
SERVERS = ("transceiver.", "stun.lite.", "edge.http.socket_service.")
SHARED = (
    "dtls.association.DtlsAssociation",
    "sctp.association.SctpAssociation",
    "sctp.dispatch.Dispatch",
    "srtp.session.SrtpSession",
)


@pytest.fixture
async def running(nursery: trio.Nursery) -> RunningRoles:
    """All tiers, with a parrot."""
    media = ("127.0.0.1", free_port())
    config = Config(
        signal=SignalConfig(listen=KERNELS_CHOICE, ingresses=(SignalIngress(id=4, advertise=media),)),
        relay=RelayConfig(hop=KERNELS_CHOICE, ingresses=(RelayIngress(id=4, advertise=media, bind=media),)),
        transceiver=TransceiverConfig(
            hop=KERNELS_CHOICE, control=KERNELS_CHOICE, backend="parrot", connect_timeout=CONNECT_TIMEOUT
        ),
    )
    root = new_root(os.urandom, time.time())
    keys = {role: derive_bundle(root, role) for role in Role}
    started: RunningRoles = await nursery.start(run_roles, config, keys)
    return started


@pytest.fixture
async def means(running: RunningRoles) -> AsyncIterator[Means]:
    """What calls are placed with."""
    async with exchanging() as exchange, Means.of(str(running.url), exchange) as made:
        yield made


@pytest.fixture
async def collector_off() -> AsyncIterator[None]:
    """Only references free what is freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def is_counted(means: Means, names: frozenset[str]) -> bool:
    response = await means.http.request("GET", f"{means.url}/metrics")
    metrics = parse_metrics(response.content.decode())
    return any(metrics.get(f"transceiver_events_total {name}") for name in names)


class Left:
    """Counts what there is more of than when it was made, of classes that servers have for calls."""

    def __init__(self) -> None:
        self._before = self._count()

    @staticmethod
    def _count() -> Counter[str]:
        ours = Census.take(collects=False).ours
        # The exchange looks at a call of ours until the next one comes; servers and callers share these classes.
        callers = ours.get("edge.caller.session.CallerSession", 0)
        counts = Counter({name: count for name, count in ours.items() if name.startswith(SERVERS)})
        counts.update({name: ours.get(name, 0) - callers for name in SHARED})
        return counts

    async def is_nothing(self) -> None:
        """Wait until nothing is left; agents need a moment."""
        with trio.move_on_after(2):
            while self._count() - self._before:  # noqa: ASYNC110 - of objects without events
                await trio.sleep(0.02)
        assert self._count() - self._before == Counter()


def attempt(means: Means, talk: Talk = Talk.SILENT, **changes: object) -> Attempt:
    facts = {"means": means, "talk": talk, "setup": "actpass", "dtls": DtlsOptions(), "placed": lambda _path: None}
    return Attempt(**facts | changes)  # type: ignore[arg-type]  # named as the fields are


@pytest.mark.parametrize("ending", SOON, ids=lambda ending: ending.name)
async def test_each_end_is_noticed_and_frees_everything(collector_off: None, means: Means, ending: Ending) -> None:
    left = Left()
    await ending.live(attempt(means))
    with trio.fail_after(CONNECT_TIMEOUT + 2):
        while not await is_counted(means, ending.counted):  # noqa: ASYNC110 - a number on a page
            await trio.sleep(0.01)
    await left.is_nothing()


async def test_what_was_said_leaves_nothing(collector_off: None, means: Means) -> None:
    left = Left()
    for talk in (Talk.WRITTEN, Talk.INTERRUPTED):
        await ENDINGS[0].live(attempt(means, talk))
    await left.is_nothing()


async def test_sockets_leave_nothing(collector_off: None, means: Means, nursery: trio.Nursery) -> None:
    def attach(path: str) -> None:
        call_id = path.rpartition("/")[2]
        nursery.start_soon(lambda: attend(means.url, call_id, leaves_after=None))

    left = Left()
    await ENDINGS[0].live(attempt(means, Talk.WRITTEN, placed=attach))
    await pass_through(means.url)
    await left.is_nothing()


async def test_calls_are_tallied(means: Means) -> None:
    tally = Tally()
    refused = [number for number in range(100) if Plan.of(number).ending.name == "refused offer"][:3]
    async with trio.open_nursery() as sockets:
        await call_in_turn(means, refused, tally, sockets, at_once=2)
    assert tally.ended == {"refused offer": 3}
    assert not tally.problems
    assert tally.under_way == 0


def test_all_that_differs_between_calls_meets_all_else() -> None:
    kinds = [(ending.name, talk) for ending in ENDINGS for talk in Talk]
    plans = [Plan.of(number) for number in range(prod((len(kinds), 3, 2)))]
    met = {(plan.ending.name, plan.talk, plan.setup, plan.versions) for plan in plans}
    assert len(met) == len(plans)
    with_sidebands = {Plan.of(number).ending.name for number in range(5000) if Plan.of(number).has_sideband}
    assert with_sidebands == {ending.name for ending in ENDINGS}
