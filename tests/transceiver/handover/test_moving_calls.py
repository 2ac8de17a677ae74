"""Calls that move between two real workers behind a real relay, on loopback: drained, taken over, fenced."""

import trio

from edge.caller.progress import Stage
from transceiver.handover import checkpointing, custody, draining


async def started(fleet, moving_network):
    """A call on the first worker, of which the store has a record."""
    client = await fleet.call(fleet.places[0])
    await moving_network.eventually(lambda: counts(fleet.places[0]).get("checkpoint.created") == 1)
    await moving_network.eventually(lambda: client.packets > 20)
    return client


def counts(place):
    return place.worker.handover_counts()


async def more(client, count, moving_network):
    """Wait for more audio."""
    before = client.packets
    await moving_network.eventually(lambda: client.packets > before + count)


async def record_of(fleet, client):
    route = fleet.places[0].worker._intake.call_id_keys.open(client.created.call_id)
    return await fleet.store.find(route.session)


async def test_a_drained_call_goes_on_elsewhere_without_a_gap(start_fleet, moving_network):
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await started(fleet, moving_network)
        await first.worker.start_drain()
        await moving_network.eventually(lambda: len(first.worker._calls) == 0)
        await more(client, 50, moving_network)
        assert second.worker.status()["calls"] == 1
        assert "call-moved" in first.names()
        assert client.lost <= 2
        assert client.longest_gap < 0.5  # a loaded machine; tests/e2e counts frames
        assert counts(second)["checkpoint.confirmed"] >= 1
        record = await record_of(fleet, client)
        assert (record.owner, record.generation) == (second.owner, 1)
        assert (await second.worker.describe_call(client.created.call_id))["state"] == "established"


async def test_a_killed_workers_call_goes_on_within_a_second(start_fleet, moving_network):
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await started(fleet, moving_network)
        first.kill()
        await moving_network.eventually(lambda: second.worker.status()["calls"] == 1)
        await more(client, 50, moving_network)
        assert client.longest_gap < 2.0  # as above
        assert counts(second)["takeover.taken-over"] == 1
        record = await record_of(fleet, client)
        assert (record.owner, record.generation) == (second.owner, 1)


async def test_an_owner_that_was_overtaken_ends_without_a_word(start_fleet, moving_network, monkeypatch):
    monkeypatch.setattr(custody, "CHECKPOINT_INTERVAL", 0.5)
    monkeypatch.setattr(checkpointing, "_SCAN", 0.1)
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await started(fleet, moving_network)
        second.worker._handover._takeover._peers.is_alive = _says_dead
        second.worker._handover._takeover.suspect(first.owner, trio.current_time())
        await moving_network.eventually(lambda: second.worker.status()["calls"] == 1)
        await moving_network.eventually(lambda: first.worker.status()["calls"] == 0)
        assert first.worker.counts["ended-fenced"] == 1
        await more(client, 50, moving_network)
        assert client.caller.stage is Stage.TALKING


async def _says_dead(_suspect):
    return False


async def test_a_drain_does_not_wait_for_who_never_came(start_fleet, moving_network, monkeypatch):
    monkeypatch.setattr(draining, "_CONNECTING", 0.2)
    monkeypatch.setattr(draining, "_RETRY", 0.1)
    async with start_fleet() as fleet:
        first, _ = fleet.places
        await fleet.offer(first)
        with trio.fail_after(5):
            await first.worker.drain()
        assert first.worker.status()["calls"] == 1


async def test_a_drain_waits_for_who_is_about_to_come(start_fleet, moving_network, monkeypatch):
    monkeypatch.setattr(draining, "_RETRY", 0.1)
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await fleet.offer(first)
        await first.worker.start_drain()
        fleet.nursery.start_soon(client.run)
        await moving_network.eventually(lambda: second.worker.status()["calls"] == 1)
        await more(client, 20, moving_network)
