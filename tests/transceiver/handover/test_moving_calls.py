"""Calls that move between two real workers behind a real relay, on loopback: drained, taken over, fenced."""

import pytest
import trio

from edge.caller.progress import Stage
from transceiver.agents import parrot
from transceiver.agents.tones import beep
from transceiver.backends.choice import Backends
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.handover import checkpointing, custody, draining
from transceiver.handover.peers import Pulse

PARROT = Backends(default=BackendSettings(kind=BackendKind.AGENT, target="transceiver.agents.parrot:parrot"))


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


async def test_a_drained_call_goes_on_elsewhere_without_a_gap(autojump_clock, start_fleet, moving_network):
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


async def test_a_killed_workers_call_goes_on_within_a_second(autojump_clock, start_fleet, moving_network):
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


async def test_an_owner_that_was_overtaken_ends_without_a_word(
    autojump_clock, start_fleet, moving_network, monkeypatch
):
    monkeypatch.setattr(custody, "CHECKPOINT_INTERVAL", 0.5)
    monkeypatch.setattr(checkpointing, "_SCAN", 0.1)
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await started(fleet, moving_network)
        second.worker._handover._takeover._peers.feel_pulse = _says_gone
        second.worker._handover._takeover.suspect(first.owner, trio.current_time())
        await moving_network.eventually(lambda: second.worker.status()["calls"] == 1)
        await moving_network.eventually(lambda: first.worker.status()["calls"] == 0)
        assert first.worker.counts["ended-fenced"] == 1
        await more(client, 50, moving_network)
        assert client.caller.stage is Stage.TALKING


async def _says_gone(_suspect):
    return Pulse.GONE


async def test_a_drain_does_not_wait_for_who_never_came(autojump_clock, start_fleet, moving_network, monkeypatch):
    monkeypatch.setattr(draining, "_CONNECTING", 0.2)
    monkeypatch.setattr(draining, "_RETRY", 0.1)
    async with start_fleet() as fleet:
        first, _ = fleet.places
        await fleet.offer(first)
        with trio.fail_after(5):
            await first.worker.drain()
        assert first.worker.status()["calls"] == 1


async def test_a_drain_waits_for_who_is_about_to_come(autojump_clock, start_fleet, moving_network, monkeypatch):
    monkeypatch.setattr(draining, "_RETRY", 0.1)
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await fleet.offer(first)
        await first.worker.start_drain()
        fleet.nursery.start_soon(client.run)
        await moving_network.eventually(lambda: second.worker.status()["calls"] == 1)
        await more(client, 20, moving_network)


@pytest.fixture
async def talk(start_fleet, moving_network, monkeypatch):
    """A call whose agent has begun to answer, which takes three seconds."""
    monkeypatch.setattr(parrot, "beep", lambda rate: beep(rate, seconds=3.0))
    async with start_fleet(backends=PARROT) as fleet:
        client = await fleet.offer(fleet.places[0], has_events=True)
        fleet.nursery.start_soon(client.run)
        await moving_network.eventually(lambda: "session.created" in client.types())
        turns = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        client.say(type="session.update", session=turns)
        words = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
        client.say(type="conversation.item.create", item=words)
        client.say(type="response.create")
        await moving_network.eventually(lambda: "output_audio_buffer.started" in client.types())
        await moving_network.eventually(lambda: counts(fleet.places[0]).get("checkpoint.created") == 1)
        yield fleet, client


async def test_an_answer_is_heard_to_its_end_across_a_drain(autojump_clock, talk, moving_network):
    fleet, client = talk
    first, second = fleet.places
    await first.worker.start_drain()
    await moving_network.eventually(lambda: len(first.worker._calls) == 0)
    assert "output_audio_buffer.stopped" not in client.types(), "it was moved in the middle"
    before = client.packets
    await moving_network.eventually(lambda: "output_audio_buffer.stopped" in client.types())
    assert client.packets - before > 40
    of_buffer = [name for name in client.types() if name.startswith("output_audio_buffer.")]
    assert of_buffer == ["output_audio_buffer.started", "output_audio_buffer.stopped"]
    statuses = [event["response"]["status"] for event in client.told if event["type"] == "response.done"]
    assert statuses == ["completed"]
    assert second.worker.status()["calls"] == 1
    assert client.longest_gap < 1.0


async def test_a_drain_does_not_wait_for_ever_for_the_end_of_a_turn(autojump_clock, talk, moving_network, monkeypatch):
    fleet, _ = talk
    first, second = fleet.places
    (call,) = first.worker._calls
    call.leg.is_quiet = lambda _now: False
    with trio.move_on_after(2.0) as deadline:
        began = trio.current_time()
        await first.worker.drain()
    assert not deadline.cancelled_caught
    assert 0.9 < trio.current_time() - began < 1.9
    await moving_network.eventually(lambda: second.worker.status()["calls"] == 1)


async def test_who_is_draining_takes_nothing_over(autojump_clock, start_fleet, moving_network):
    async with start_fleet() as fleet:
        first, second = fleet.places
        client = await started(fleet, moving_network)
        await second.worker.drain()
        first.kill()
        await trio.sleep(1.0)
        assert second.worker.status()["calls"] == 0
        assert counts(second).get("takeover.suspected", 0) == 0
        assert client.packets > 20
