"""One node of a fleet is not as the others: its clock is wrong by a minute, or it lacks the key of snapshots."""

import pytest
import trio

from edge.caller.progress import Stage
from transceiver.handover.ownership import LAST_GENERATION
from transceiver.handover.sealing import SnapshotKeys

WRONG = SnapshotKeys({1: b"w" * 32}, 1)


async def started(fleet, moving_network):
    """A call on the first worker, of which the store has a record."""
    client = await fleet.call(fleet.places[0])
    await moving_network.eventually(lambda: counts(fleet.places[0]).get("checkpoint.created") == 1)
    await moving_network.eventually(lambda: client.packets > 20)
    return client


def counts(place):
    return place.worker.handover_counts()


async def goes_on(client, moving_network):
    before = client.packets
    await moving_network.eventually(lambda: client.packets > before + 50)
    assert client.caller.stage is Stage.TALKING


@pytest.mark.parametrize("clocks", [(60.0, 0.0), (0.0, 60.0), (30.0, -30.0)])
async def test_calls_move_between_hosts_whose_clocks_are_a_minute_apart(
    autojump_clock, start_fleet, moving_network, clocks
):
    """Placed at a relay that has yet another time, drained to the second, and taken over by the third."""
    keys = [moving_network.SNAPSHOT_KEYS] * 3
    async with start_fleet(clocks=(*clocks, clocks[0]), keys=keys) as fleet:
        first, second, third = fleet.places
        client = await started(fleet, moving_network)
        third.is_alive = False  # so it is not offered the call
        await first.worker.start_drain()
        await moving_network.eventually(lambda: second.worker.status()["calls"] == 1)
        await goes_on(client, moving_network)
        third.is_alive = True
        first.kill()
        second.kill()
        await moving_network.eventually(lambda: third.worker.status()["calls"] == 1)
        await goes_on(client, moving_network)
        assert client.longest_gap < 3.0
        assert counts(third)["takeover.taken-over"] == 1


async def test_a_call_is_not_moved_to_who_has_not_its_key(autojump_clock, start_fleet, moving_network):
    async with start_fleet(keys=(moving_network.SNAPSHOT_KEYS, WRONG)) as fleet:
        first, _ = fleet.places
        client = await started(fleet, moving_network)
        await first.worker.start_drain()
        await moving_network.eventually(lambda: counts(first).get("drain.refused", 0) >= 1)
        await goes_on(client, moving_network)
        assert first.worker.status()["calls"] == 1
        name, facts = next(each for each in first.reports if each[0] == "not-moved")
        assert "another snapshot key" in facts["reason"], name


async def test_who_has_not_the_key_leaves_a_dead_ones_call_to_others(autojump_clock, start_fleet, moving_network):
    right = moving_network.SNAPSHOT_KEYS
    async with start_fleet(keys=(right, WRONG, right)) as fleet:
        first, wrong, third = fleet.places
        client = await started(fleet, moving_network)
        third.worker._handover._takeover.suspect = lambda *_: None  # the other one is first
        wrong.worker._handover._takeover._peers.candidates = lambda: [wrong.owner]
        first.kill()
        await moving_network.eventually(lambda: counts(wrong).get("takeover.not-restored", 0) >= 1)
        del third.worker._handover._takeover.suspect
        third.worker._handover._takeover.suspect(first.owner, trio.current_time())
        await moving_network.eventually(lambda: third.worker.status()["calls"] == 1)
        await goes_on(client, moving_network)
        assert counts(third)["takeover.taken-over"] == 1
        assert "not-restored" in wrong.names()


@pytest.fixture
async def worn(start_fleet, moving_network):
    """A call that has moved as often as the hop header can count."""
    async with start_fleet() as fleet:
        client = await fleet.offer(fleet.places[0], has_events=True)
        (call,) = fleet.places[0].worker._calls
        call.generation = LAST_GENERATION
        fleet.nursery.start_soon(client.run)
        await moving_network.eventually(lambda: counts(fleet.places[0]).get("checkpoint.created") == 1)
        yield fleet, client


async def test_a_call_that_cannot_move_any_more_stays_until_the_drain_is_over(autojump_clock, worn, moving_network):
    fleet, client = worn
    first, second = fleet.places
    with trio.move_on_after(1.5):
        await first.worker.drain()
    await goes_on(client, moving_network)
    assert counts(first)["drain.worn-out"] >= 1
    assert counts(first).get("drain.moved", 0) == counts(first).get("drain.refused", 0) == 0
    assert any("65535 times" in str(facts.get("reason")) for name, facts in first.reports if name == "not-moved")
    await first.worker.stop()
    await moving_network.eventually(lambda: client.caller.stage is Stage.CLOSED)
    assert client.caller.media.reports.said_goodbye
    assert second.worker.status()["calls"] == 0


async def test_nobody_takes_over_a_call_that_cannot_move_any_more(autojump_clock, worn, moving_network):
    fleet, _ = worn
    first, second = fleet.places
    first.kill()
    await moving_network.eventually(lambda: counts(second).get("takeover.not-taken", 0) >= 1)
    assert second.worker.status()["calls"] == 0
    assert "crashed" not in second.names()
