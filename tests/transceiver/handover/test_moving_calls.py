"""Calls that move between two real workers behind a real relay, on loopback: drained, taken over, fenced."""

import trio

from edge.caller.progress import Stage
from transceiver.handover import checkpointing, custody


async def test_a_drained_call_goes_on_elsewhere_without_a_gap(start_fleet, moving_network):
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await fleet.call(first)
        await moving_network.eventually(lambda: first.worker.handover_counts().get("checkpoint.created") == 1)
        await moving_network.eventually(lambda: client.received > 20)
        first.worker.start_drain()
        await moving_network.eventually(lambda: len(first.worker._calls) == 0)
        before = client.received
        await moving_network.eventually(lambda: client.received > before + 25)
        assert second.worker.status()["calls"] == 1
        assert "call-moved" in first.names()
        statistics = client.statistics
        assert statistics.lost <= 2
        assert second.worker.handover_counts()["checkpoint.confirmed"] >= 1
        record = await fleet.store.find(first.worker._intake.call_id_keys.open(client.created.call_id).session)
        assert (record.owner, record.generation) == (second.owner, 1)
        assert (await second.worker.describe_call(client.created.call_id))["state"] == "established"


async def test_an_owner_that_was_overtaken_ends_without_a_word(start_fleet, moving_network, monkeypatch):
    monkeypatch.setattr(custody, "CHECKPOINT_INTERVAL", 0.5)
    monkeypatch.setattr(checkpointing, "_SCAN", 0.1)
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await fleet.call(first)
        await moving_network.eventually(lambda: first.worker.handover_counts().get("checkpoint.created") == 1)
        second.worker._handover._takeover._peers.is_alive = _says_dead
        second.worker._handover._takeover.suspect(first.owner, trio.current_time())
        await moving_network.eventually(lambda: second.worker.status()["calls"] == 1)
        await moving_network.eventually(lambda: first.worker.status()["calls"] == 0)
        assert first.worker.counts["ended-fenced"] == 1
        before = client.received
        await moving_network.eventually(lambda: client.received > before + 50)
        assert client.caller.stage is Stage.TALKING


async def _says_dead(_suspect):
    return False
