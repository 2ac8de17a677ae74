"""What every store of ownership promises, over each of them."""

import attrs
import pytest
import trio

from transceiver.handover.ownership import LAST_GENERATION, RECORD_LIFE, Confirmation, Owner, Ownership

A, B, C = (Owner(cluster=3, incarnation=number, worker=number % 4) for number in (0xFFFFFFFF, 2, 3))
SESSION = 0xFFFFFFFFFFFFFFFF  # beyond what Lua's numbers hold exactly
CONFIRMED, CREATED, MISSING, FENCED, UNKEPT, NO_ROOM = Confirmation


def record(session=SESSION, owner=A, generation=0, snapshot=b"\x00\xff\r\n snapshot", *, may_create=True) -> Ownership:
    return Ownership(
        session=session,
        call_id=f"rtc_{session}",
        owner=owner,
        generation=generation,
        snapshot=snapshot,
        may_create=may_create,
    )


async def test_a_session_is_created_once_and_confirmed_from_then_on(store):
    assert await store.checkpoint([record()]) == [CREATED]
    assert await store.checkpoint([record()]) == [CONFIRMED]
    assert await store.find(SESSION) == record(snapshot=b"")
    assert await store.find(SESSION - 1) is None


async def test_a_confirmation_is_true_where_the_checkpoint_was_kept():
    assert CONFIRMED
    assert CREATED
    assert not MISSING
    assert not FENCED


async def test_a_record_is_made_only_by_who_may(store):
    assert await store.checkpoint([record(may_create=False)]) == [MISSING]
    assert await store.find(SESSION) is None
    assert await store.checkpoint([record()]) == [CREATED]
    assert await store.checkpoint([record(may_create=False)]) == [CONFIRMED]
    assert await store.checkpoint([record(owner=B, generation=1, may_create=False)]) == [MISSING]
    assert await store.find(SESSION) == record(snapshot=b"")


async def test_nobody_else_checkpoints_a_session(store):
    await store.checkpoint([record()])
    for other in (record(owner=B), record(owner=attrs.evolve(A, worker=0)), record(owner=attrs.evolve(A, cluster=4))):
        assert await store.checkpoint([other]) == [FENCED]
    assert await store.find(SESSION) == record(snapshot=b"")


async def test_many_sessions_are_checkpointed_each_for_itself(store):
    await store.checkpoint([record(1), record(2, owner=B)])
    assert await store.checkpoint([record(1), record(2), record(3)]) == [CONFIRMED, FENCED, CREATED]
    assert await store.checkpoint([]) == []


async def test_who_takes_a_session_gets_the_last_snapshot_and_the_next_generation(store):
    await store.checkpoint([record(snapshot=b"old")])
    await store.checkpoint([record(snapshot=b"new")])
    taken = await store.take(SESSION, generation=0, owner=B, within=20.0)
    assert taken == record(owner=B, generation=1, snapshot=b"new")
    assert await store.find(SESSION) == attrs.evolve(taken, snapshot=b"")
    assert await store.checkpoint([record()]) == [FENCED]
    assert await store.checkpoint([attrs.evolve(taken, snapshot=b"newer")]) == [CONFIRMED]


async def test_who_takes_a_session_learns_how_old_its_snapshot_is(aging):
    await aging.store.checkpoint([record()])
    aging.age(7.0)
    taken = await aging.store.take(SESSION, generation=0, owner=B, within=20.0)
    assert taken.age == pytest.approx(7.0, abs=1.0)


async def test_only_one_takes_a_session(store):
    await store.checkpoint([record()])
    results = []

    async def take(owner: Owner) -> None:
        results.append(await store.take(SESSION, generation=0, owner=owner, within=None))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, B)
        nursery.start_soon(take, C)
    assert len([result for result in results if result is not None]) == 1


async def test_a_session_whose_last_checkpoint_is_too_old_is_taken_only_by_consent(aging):
    store = aging.store
    await store.checkpoint([record()])
    aging.age(21.0)
    assert await store.take(SESSION, generation=0, owner=B, within=20.0) is None
    assert await store.take(SESSION, generation=0, owner=B, within=22.0)
    # The snapshot has not become younger by that, so the next one may not be led to believe it has.
    assert await store.take(SESSION, generation=1, owner=C, within=20.0) is None
    assert await store.take(SESSION, generation=1, owner=C, within=None)


async def test_a_checkpoint_makes_a_record_young_again(aging):
    store = aging.store
    await store.checkpoint([record()])
    aging.age(21.0)
    await store.checkpoint([record()])
    assert await store.take(SESSION, generation=0, owner=B, within=20.0)


@pytest.mark.parametrize("generation", [1, 7])
async def test_a_generation_that_is_not_there_is_not_taken(store, generation):
    assert await store.take(SESSION, generation=0, owner=B, within=None) is None
    await store.checkpoint([record()])
    assert await store.take(SESSION, generation=generation, owner=B, within=None) is None


async def test_a_session_that_has_moved_as_often_as_can_be_counted_stays(store):
    await store.checkpoint([record(generation=LAST_GENERATION - 1)])
    last = await store.take(SESSION, generation=LAST_GENERATION - 1, owner=B, within=None)
    assert last.generation == LAST_GENERATION == 0xFFFF
    for within in (None, 20.0):
        assert await store.take(SESSION, generation=LAST_GENERATION, owner=C, within=within) is None
    assert await store.checkpoint([record(owner=B, generation=LAST_GENERATION)]) == [CONFIRMED]
    await store.forget(SESSION, owner=B, generation=LAST_GENERATION)
    assert await store.find(SESSION) is None


async def test_an_ended_call_is_neither_found_nor_taken_nor_brought_back(store):
    await store.checkpoint([record()])
    await store.forget(SESSION, owner=A, generation=0)
    assert await store.find(SESSION) is None
    assert await store.sessions_of(A) == []
    assert await store.take(SESSION, generation=0, owner=B, within=None) is None
    assert await store.checkpoint([record()]) == [FENCED]


async def test_who_was_overtaken_hears_it_also_when_the_call_has_ended_since(aging):
    store = aging.store
    await store.checkpoint([record()])
    await store.take(SESSION, generation=0, owner=B, within=20.0)
    aging.age(RECORD_LIFE - 1)
    await store.forget(SESSION, owner=B, generation=1)
    aging.age(RECORD_LIFE - 1)
    assert await store.checkpoint([record()]) == [FENCED]


async def test_only_the_owner_ends_a_call(store):
    await store.checkpoint([record()])
    await store.take(SESSION, generation=0, owner=B, within=None)
    await store.forget(SESSION, owner=A, generation=0)
    await store.forget(SESSION, owner=B, generation=0)
    await store.forget(SESSION, owner=A, generation=1)
    assert await store.checkpoint([record(owner=B, generation=1)]) == [CONFIRMED]
    await store.forget(SESSION - 1, owner=A, generation=0)


async def test_after_a_loss_of_all_data_owners_come_back_and_the_highest_generation_wins(store):
    assert await store.checkpoint([record(owner=A, generation=3)]) == [CREATED]
    assert await store.checkpoint([record(owner=B, generation=4)]) == [CREATED]
    assert await store.checkpoint([record(owner=A, generation=3)]) == [FENCED]
    assert await store.sessions_of(A) == []
    await store.forget(SESSION, owner=B, generation=4)
    assert await store.checkpoint([record(owner=C, generation=5)]) == [CREATED]
    assert await store.sessions_of(C) == [(SESSION, 5)]


async def test_the_sessions_of_an_owner_follow_what_happens_to_them(store):
    await store.checkpoint([record(1), record(2), record(3), record(4, owner=B)])
    await store.take(2, generation=0, owner=B, within=None)
    await store.forget(3, owner=A, generation=0)
    assert sorted(await store.sessions_of(A)) == [(1, 0)]
    assert sorted(await store.sessions_of(B)) == [(2, 1), (4, 0)]
    assert await store.sessions_of(C) == []


async def test_records_of_the_dead_expire(aging):
    store = aging.store
    await store.checkpoint([record(1), record(2)])
    aging.age(RECORD_LIFE - 1)
    await store.checkpoint([record(1)])
    aging.age(2.0)
    assert await store.sessions_of(A) == [(1, 0)]
    assert await store.find(2) is None
    assert await store.take(2, generation=0, owner=B, within=None) is None
    assert await store.checkpoint([record(2)]) == [CREATED]


async def test_a_take_over_keeps_a_record_alive(aging):
    store = aging.store
    await store.checkpoint([record()])
    aging.age(RECORD_LIFE - 1)
    await store.take(SESSION, generation=0, owner=B, within=None)
    aging.age(2.0)
    assert await store.sessions_of(B) == [(SESSION, 1)]
