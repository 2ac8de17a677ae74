"""A Redis that is full: what it still keeps, what it does not, and what is said of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import pytest
import trio

from edge.config.store import StoreConfig
from edge.store.fullness import Fullness, StoreFull
from edge.store.link import RedisLink
from edge.store.redis import SCRIPTS, RedisOwnership
from transceiver.handover.ownership import RECORD_LIFE, Confirmation, Owner, Ownership, StoreUnavailable

A, B = (Owner(cluster=1, incarnation=number, worker=0) for number in (1, 2))
CONFIRMED, CREATED, MISSING, FENCED, UNKEPT, NO_ROOM = Confirmation
BALLAST = 10_000_000
"""Bytes beside which it does not matter what connections need."""
LARGE = 2_000_000
"""More than an eighth of it."""


def record(session=1, size=2000, *, may_create=True, **fields) -> Ownership:
    given = {"owner": A, "generation": 0, "snapshot": bytes(size), "may_create": may_create}
    return Ownership(session=session, call_id=f"rtc_{session}", **{**given, **fields})


@contextmanager
def full(redis, *, above=0.02) -> Iterator[None]:
    """Have the server's memory be above its limit by this part of it."""
    redis.command("SETRANGE", "ballast", str(BALLAST), "x")
    used = int(redis.command("INFO", "memory").split("used_memory:")[1].split()[0])
    redis.command("CONFIG", "SET", "maxmemory", str(round(used / (1 + above))))
    try:
        yield
    finally:
        redis.command("CONFIG", "SET", "maxmemory", "0")
        redis.command("DEL", "ballast")


@attrs.define
class Reported:
    lines: list = attrs.field(factory=list)

    def __call__(self, name, facts) -> None:
        self.lines.append((name, dict(facts)))

    def names(self) -> list[str]:
        return [name for name, _ in self.lines]


@pytest.fixture
def reported() -> Reported:
    return Reported()


@pytest.fixture
async def link(redis, nursery, reported) -> RedisLink:
    link = RedisLink(StoreConfig(url=redis.url), SCRIPTS, reported)
    await nursery.start(link.run)
    return link


@pytest.fixture
def store(link) -> RedisOwnership:
    return RedisOwnership(link, "test:")


async def test_records_that_are_there_are_replaced_and_no_others_made(redis, link, store):
    assert await store.checkpoint([record(1), record(2)]) == [CREATED, CREATED]
    with full(redis):
        assert await store.checkpoint([record(1, 2500), record(3)]) == [CONFIRMED, NO_ROOM]
        assert not link.problem
        assert await store.find(3) is None
        taken = await store.take(1, generation=0, owner=B, within=20.0)
        assert taken is not None
        assert len(taken.snapshot) == 2500
        assert await store.checkpoint([record(1), taken]) == [FENCED, CONFIRMED]
        assert await store.checkpoint([record(3, may_create=False)]) == [MISSING]
        await store.forget(2, owner=A, generation=0)
        assert await store.find(2) is None
        assert await store.checkpoint([record(2)]) == [FENCED]
    assert await store.checkpoint([record(3)]) == [CREATED]


async def test_far_above_the_limit_a_record_is_replaced_where_it_does_not_grow(redis, store):
    await store.checkpoint([record(1, 2000), record(2, 2000), record(3, 2000)])
    with full(redis, above=1.0):
        grown = [record(1, 2048), record(2, 2049), record(3, 10)]
        assert await store.checkpoint(grown) == [CONFIRMED, UNKEPT, CONFIRMED]
        # What has become smaller has room for no more than that.
        assert await store.checkpoint([record(3, 2000)]) == [UNKEPT]
        taken = [await store.take(number, generation=0, owner=B, within=None) for number in (1, 2, 3)]
    assert [len(each.snapshot) for each in taken] == [2048, 2000, 10]


async def test_all_that_grows_together_stays_within_an_eighth(redis, store):
    await store.checkpoint([record(number) for number in range(8)])
    with full(redis):
        answers = await store.checkpoint([record(number, 100_000) for number in range(8)])
        assert set(answers) == {CONFIRMED, UNKEPT}
        assert answers == sorted(answers, key=(CONFIRMED, UNKEPT).index), "the first ones take what there is"
        assert await store.checkpoint([record(0, LARGE)]) == [UNKEPT]


async def test_a_record_that_is_not_replaced_is_as_old_as_it_was_and_stays(redis, aging_redis):
    store = aging_redis.store
    await store.checkpoint([record()])
    for _ in range(3):
        aging_redis.age(RECORD_LIFE / 2)
        with full(redis):
            assert await store.checkpoint([record(size=LARGE)]) == [UNKEPT]
    assert await store.sessions_of(A) == [(1, 0)]
    assert await store.take(1, generation=0, owner=B, within=RECORD_LIFE) is None
    taken = await store.take(1, generation=0, owner=B, within=None)
    assert taken.age >= 1.5 * RECORD_LIFE


async def test_a_record_of_a_generation_before_is_replaced_within_an_eighth(redis, store):
    await store.checkpoint([record(1), record(2)])
    with full(redis):
        later = [record(1, LARGE, owner=B, generation=1), record(2, owner=B, generation=1)]
        assert await store.checkpoint(later) == [NO_ROOM, CREATED]
        assert await store.sessions_of(A) == [(1, 0)]
        assert await store.sessions_of(B) == [(2, 1)]


async def test_it_is_said_once_when_it_begins_and_once_when_it_is_over(redis, link, store, reported, monkeypatch):
    monkeypatch.setattr("edge.store.fullness._ROOM_FOR", 0.5)
    monkeypatch.setattr("edge.store.link._PULSE", 0.1)
    with full(redis):
        for _ in range(5):
            await store.checkpoint([record()])
        assert link.is_full
        await trio.sleep(0.8)  # its pulse is felt, and it is full still
        assert reported.names() == ["store-reached", "store-full"]
        facts = dict(reported.lines)["store-full"]
        assert redis.url.removeprefix("unix://") in facts["problem"]
        assert "maxmemory" in facts["to_do"]
    with trio.fail_after(5):
        while link.is_full:  # noqa: ASYNC110 - a link has no event for it, as nobody else waits
            await trio.sleep(0.05)
    assert reported.names() == ["store-reached", "store-full", "store-has-room-again"]


async def test_what_was_said_of_it_counts_for_one_connection(redis, link, store, reported):
    with full(redis):
        await store.checkpoint([record()])
    redis.command("SCRIPT", "FLUSH")
    with pytest.raises(StoreUnavailable, match="script"):
        await store.find(1)
    with trio.fail_after(5):
        while reported.names().count("store-reached") < 2:  # noqa: ASYNC110 - as above
            await trio.sleep(0.05)
    assert not link.is_full


async def test_who_is_refused_nothing_says_nothing(redis, link, store, reported):
    with full(redis):
        assert await store.find(1) is None
    assert reported.names() == ["store-reached"]
    assert not link.is_full


def test_there_is_room_again_when_nothing_was_refused_for_some_seconds(reported):
    fullness = Fullness("redis", reported)
    fullness.accepted(0.0)
    fullness.refused(StoreFull("no memory"), 1.0)
    fullness.accepted(5.9)
    fullness.refused(StoreFull("no memory"), 6.0)
    fullness.accepted(10.9)
    assert fullness.is_full
    fullness.accepted(11.0)
    assert not fullness.is_full
    assert reported.names() == ["store-full", "store-has-room-again"]
    fullness.refused(StoreFull("no memory"), 20.0)
    fullness.forget()
    assert not fullness.is_full
    fullness.accepted(30.0)
    assert reported.names() == ["store-full", "store-has-room-again", "store-full"]
