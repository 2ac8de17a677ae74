"""What every store of members promises, over each of them; and what Redis's does beyond that."""

import attrs
import pytest

from edge.registry.member import LATE, LEASE
from edge.registry.redis import RedisMembers


async def test_members_are_listed_as_they_described_themselves(aging, transceiver, relay):
    assert await aging.store.members() == []
    await aging.store.announce(transceiver)
    await aging.store.announce(relay)
    await aging.store.announce(attrs.evolve(relay, calls=5))
    heard = await aging.store.members()
    assert {each.member.id: each.member for each in heard} == {
        transceiver.id: transceiver,
        relay.id: attrs.evolve(relay, calls=5),
    }
    assert len(heard) == 2
    assert all(each.age < 1 and not each.is_late for each in heard)


async def test_what_a_relay_has_measured_is_listed(aging, measuring_relay):
    await aging.store.announce(measuring_relay)
    assert [each.member for each in await aging.store.members()] == [measuring_relay]


async def test_heartbeats_grow_old_and_are_forgotten_when_the_lease_ends(aging, transceiver, relay):
    await aging.store.announce(transceiver)
    aging.age(LATE + 0.5)
    (heard,) = await aging.store.members()
    assert heard.age == pytest.approx(LATE + 0.5, abs=0.4)
    assert heard.is_late
    await aging.store.announce(relay)
    aging.age(LEASE - LATE)
    assert [each.member.id for each in await aging.store.members()] == [relay.id]
    await aging.store.announce(transceiver)
    assert len(await aging.store.members()) == 2


async def test_who_leaves_is_not_listed_any_more(aging, transceiver, relay):
    await aging.store.announce(transceiver)
    await aging.store.announce(relay)
    await aging.store.withdraw(transceiver)
    assert [each.member.id for each in await aging.store.members()] == [relay.id]
    await aging.store.withdraw(transceiver)


async def test_processes_of_one_node_are_members_of_their_own(aging, transceiver):
    await aging.store.announce(transceiver)
    await aging.store.announce(attrs.evolve(transceiver, incarnation=1))
    await aging.store.announce(attrs.evolve(transceiver, cluster=4))
    assert len(await aging.store.members()) == 3


async def test_other_versions_say_more_or_less(redis, link):
    store = RedisMembers(link, "test:")
    said = {
        "transceiver.0.1": '{"kind": "transceiver", "name": "newer", "incarnation": 1, "mood": "good"}',
        "conference.0.2": '{"kind": "conference", "name": "of a kind that we do not know", "incarnation": 2}',
        "transceiver.0.3": "nonsense",
    }
    for name, text in said.items():
        redis.command("HSET", "test:members", name, text)
        redis.command("EVAL", "redis.call('ZADD', KEYS[1], redis.call('TIME')[1] * 1000, ARGV[1])", "1",
                      "test:members:heard", name)  # fmt: skip
    assert [each.member.name for each in await store.members()] == ["newer"]


async def test_nothing_stays_of_a_fleet_that_is_gone(redis, link, transceiver, relay):
    store = RedisMembers(link, "test:")
    await store.announce(transceiver)
    for key in ("test:members", "test:members:heard"):
        assert 0 < int(redis.command("PTTL", key)) <= 2 * LEASE * 1000
    redis.command("ZADD", "test:members:heard", "1", transceiver.id)
    await store.announce(relay)
    assert redis.command("HKEYS", "test:members") == relay.id


async def test_a_full_store_lists_members_as_ever(redis, link, transceiver):
    store = RedisMembers(link, "test:")
    redis.command("CONFIG", "SET", "maxmemory", "1")
    try:
        await store.announce(transceiver)
        assert len(await store.members()) == 1
    finally:
        redis.command("CONFIG", "SET", "maxmemory", "0")
