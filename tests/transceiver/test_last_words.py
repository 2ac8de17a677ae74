"""What clients are told before their calls end with their transceiver, and that it comes before the end does."""

import itertools
import sys
from types import ModuleType
from typing import Any

import pytest
import trio

from edge.caller.events import EventsOpened
from edge.caller.progress import Stage
from edge.caller.session import CallerSession
from relay.hop.bundles import parts_of
from relay.hop.header import parse_header
from transceiver.backends.choice import Backends
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.last_words import PATIENCE

ECHO = Backends(default=BackendSettings(kind=BackendKind.ECHO))
AGENT = Backends(
    default=BackendSettings(kind=BackendKind.AGENT, target="quiet_agent:quiet", name="quiet", models=("*",))
)


@pytest.fixture(autouse=True)
def quiet_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def quiet(conversation: object) -> None:
        await trio.sleep_forever()

    module = ModuleType("quiet_agent")
    module.quiet = quiet
    monkeypatch.setitem(sys.modules, module.__name__, module)


async def call_with_events(running: Any, worker_network: ModuleType) -> CallerSession:
    _, caller = await running.call(has_events=True)
    heard = next(iter(running.relay.told.values()))
    await worker_network.eventually(lambda: any(isinstance(event, EventsOpened) for event in heard))
    return caller


def assert_says_what_to_do(event: dict[str, object]) -> None:
    assert event["type"] == "error"
    assert str(event["event_id"]).startswith("event_")
    error = event["error"]
    assert (error["type"], error["code"]) == ("server_error", "server_shutting_down")
    assert error["message"].endswith("Place the call again.")
    assert error["param"] is None
    assert error["event_id"] is None


@pytest.mark.parametrize("backends", [ECHO, AGENT], ids=["echo", "agent"])
async def test_a_client_is_told_once_before_its_call_ends(
    autojump_clock, start, worker_network, backends: Backends
) -> None:
    async with start(backends=backends) as running:
        caller = await call_with_events(running, worker_network)
        await running.worker.stop()
        await worker_network.eventually(lambda: caller.stage is Stage.CLOSED)
        assert_says_what_to_do(running.told()[-1])
        assert [event["type"] for event in running.told()].count("error") == 1
        assert running.worker.counts["ended-shutdown"] == 1


async def test_a_datagram_that_is_lost_does_not_take_the_event_with_it(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        await call_with_events(running, worker_network)
        relay, lost = running.relay, []
        take = relay.take

        def lose_the_first(data: bytes, source: object) -> None:
            header = parse_header(data)
            is_dtls = header is not None and 20 <= data[header.size] <= 63
            if is_dtls and not lost:
                lost.append(data)
            else:
                take(data, source)

        relay.take = lose_the_first
        await running.worker.stop()
        assert lost
        await worker_network.eventually(lambda: bool(running.told()))
        assert_says_what_to_do(running.told()[-1])


async def test_a_client_that_is_away_holds_up_nobody(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        await call_with_events(running, worker_network)
        running.relay.callers.clear()
        begun = trio.current_time()
        await running.worker.stop()
        assert trio.current_time() - begun == pytest.approx(PATIENCE, abs=0.3)
        assert running.worker.counts["ended-shutdown"] == 1


async def test_a_client_without_a_channel_for_events_is_told_nothing_and_not_waited_for(autojump_clock, start) -> None:
    async with start() as running:
        await running.call()
        begun = trio.current_time()
        await running.worker.stop()
        assert trio.current_time() - begun < PATIENCE
        assert running.told() == []
        assert running.worker.counts["ended-shutdown"] == 1


async def test_a_call_that_is_held_is_told_nothing(autojump_clock, start, worker_network) -> None:
    async with start() as running:
        await call_with_events(running, worker_network)
        (call,) = running.worker._calls
        running.worker._dispatcher.suspend(call, trio.current_time())
        await running.worker.stop()
        assert call.session.data.is_acknowledged  # there was nothing
        await trio.sleep(0.05)
        assert running.told() == []


async def test_a_worker_that_is_cancelled_says_it_in_the_flight_of_the_end(
    autojump_clock, start, worker_network
) -> None:
    async with start() as running:
        caller = await call_with_events(running, worker_network)
        sent: list[bytes] = []
        running.worker._sender = lambda batch: sent.extend(data for data, _ in batch)
        running.worker._end_all()
        relayed = itertools.chain.from_iterable(parts_of(data) or [data] for data in sent)
        for data in relayed:
            running.relay.take(data, running.relay.transceiver)
        assert_says_what_to_do(running.told()[-1])
        assert caller.stage is Stage.CLOSED
