"""Calls between two real workers while the store is full: it keeps the records that it has, and makes none."""

from contextlib import asynccontextmanager

import pytest
import trio

from transceiver.handover import ceilings, custody
from transceiver.handover.ownership import Confirmation

RTP_MARGIN = 200
"""Four seconds of audio."""


@asynccontextmanager
async def called(start_fleet, moving_network, *, is_full=False):
    """A fleet with a call on its first worker; the store has a record of it, or no room for one."""
    async with start_fleet() as fleet:
        if is_full:
            fill(fleet.store)
        client = await fleet.call(fleet.places[0])
        written = "checkpoint.no-room" if is_full else "checkpoint.created"
        await moving_network.eventually(lambda: counts(fleet.places[0]).get(written))
        yield fleet, client


def fill(store):
    """Have no room for any snapshot; returns what makes room again."""
    keeps = store.checkpoint

    async def checkpoint(records):
        return [await answer(record) for record in records]

    async def answer(record):
        kept = await store.find(record.session)
        if kept is not None and (kept.owner, kept.generation) == (record.owner, record.generation):
            return Confirmation.UNKEPT
        if kept is None and record.may_create:
            return Confirmation.NO_ROOM
        (said,) = await keeps([record])
        return said

    def make_room():
        store.checkpoint = keeps

    store.checkpoint = checkpoint
    return make_room


def counts(place):
    return place.worker.handover_counts()


async def packets_within(client, seconds):
    before = client.packets
    await trio.sleep(seconds)
    return client.packets - before


@pytest.fixture
def free_soon(monkeypatch):
    """An owner may do without the store long before it has counted up to its ceilings, as ever."""
    monkeypatch.setattr(custody, "FREE_AFTER", 2.0)
    monkeypatch.setattr(custody, "LONGEST_GAP", 0.5)
    monkeypatch.setattr(ceilings, "RTP_MARGIN", RTP_MARGIN)


async def test_a_call_is_drained_whose_record_stays_as_it_was(autojump_clock, start_fleet, moving_network):
    async with called(start_fleet, moving_network) as (fleet, client):
        first, second = fleet.places
        fill(fleet.store)
        await first.worker.start_drain()
        await moving_network.eventually(lambda: len(first.worker._calls) == 0)
        assert await packets_within(client, 2.0) > 80
        assert client.longest_gap < 0.5  # a loaded machine
        assert second.worker.status()["calls"] == 1
        assert counts(first)["checkpoint.unkept"] == 1
        assert counts(second)["checkpoint.unkept"] >= 1
        assert counts(second).get("checkpoint.confirmed", 0) == 0


async def test_a_successor_sends_nothing_until_there_is_room(autojump_clock, start_fleet, moving_network):
    async with called(start_fleet, moving_network) as (fleet, client):
        first, second = fleet.places
        make_room = fill(fleet.store)
        first.kill()
        await moving_network.eventually(lambda: counts(second).get("takeover.taken-over") == 1)
        assert await packets_within(client, 2.0) == 0
        make_room()
        assert await packets_within(client, 3.0) > 50


@pytest.mark.usefixtures("free_soon")
@pytest.mark.parametrize("is_full_from_the_start", [False, True])
async def test_a_call_does_not_fall_silent_at_its_ceilings(
    autojump_clock, start_fleet, moving_network, is_full_from_the_start
):
    async with called(start_fleet, moving_network, is_full=is_full_from_the_start) as (fleet, client):
        if not is_full_from_the_start:
            fill(fleet.store)
        await trio.sleep(2 * RTP_MARGIN / 50)
        assert await packets_within(client, 2.0) > 80


@pytest.mark.usefixtures("free_soon")
async def test_a_call_without_ceilings_is_not_moved(autojump_clock, start_fleet, moving_network):
    async with called(start_fleet, moving_network) as (fleet, client):
        first, second = fleet.places
        fill(fleet.store)
        (call,) = first.worker._calls
        draining = first.worker._handover._draining

        async def hold(call, _until):
            call.session.release_ceilings()  # as a look may while a backend is asked

        draining._tunnels.hold = hold
        assert not await draining.move(call)
        assert counts(first)["drain.not-confirmed"] == 1
        assert second.worker.status()["calls"] == 0
        assert await packets_within(client, 2.0) > 80
