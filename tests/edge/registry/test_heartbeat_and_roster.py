"""Members say that they live, and are known for as long as that is sensible, on a clock that is stepped."""

import attrs
import pytest
import trio

from edge.config.model import Role
from edge.registry.heartbeat import Heartbeat
from edge.registry.member import LEASE
from edge.registry.memory import MemoryMembers
from edge.registry.roster import Roster
from transceiver.handover.ownership import StoreUnavailable


class Members(MemoryMembers):
    """A store that can be away, and lose its data."""

    is_away = False
    beats = 0

    def __init__(self) -> None:
        super().__init__(trio.current_time)

    async def announce(self, member) -> None:
        self._check()
        self.beats += 1
        await super().announce(member)

    async def members(self):
        self._check()
        return await super().members()

    async def withdraw(self, member) -> None:
        self._check()
        await super().withdraw(member)

    def lose_all(self) -> None:
        self._heard.clear()

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnavailable("it is away")


@pytest.fixture
def store() -> Members:
    return Members()


@pytest.fixture
async def roster(store, nursery) -> Roster:
    roster = Roster(store)
    await nursery.start(roster.run)
    return roster


def names(roster) -> list[str]:
    return sorted(heard.member.name for heard in roster.members())


async def test_a_heart_beats_every_second_and_stops_with_a_farewell(autojump_clock, store, transceiver):
    states = [transceiver]
    async with trio.open_nursery() as nursery:
        await nursery.start(Heartbeat(store, lambda: states[-1]).run)
        assert store.beats == 1
        states.append(attrs.evolve(transceiver, calls=9))
        await trio.sleep(3.5)
        assert store.beats == 4
        (heard,) = await store.members()
        assert heard.member.calls == 9
        nursery.cancel_scope.cancel()
    assert await store.members() == []


async def test_what_has_changed_can_be_told_at_once(autojump_clock, store, nursery, transceiver):
    heartbeat = Heartbeat(store, lambda: transceiver)
    await nursery.start(heartbeat.run)
    await trio.sleep(0.1)
    heartbeat.hurry()
    await trio.sleep(0.1)
    assert store.beats == 2


async def test_a_heart_goes_on_beating_while_the_store_is_away(autojump_clock, store, nursery, transceiver):
    store.is_away = True
    await nursery.start(Heartbeat(store, lambda: transceiver).run)
    await trio.sleep(10.5)
    store.is_away = False
    await trio.sleep(1)
    assert store.beats == 1


async def test_a_late_loop_says_by_how_much(autojump_clock, store, nursery, transceiver):
    await nursery.start(Heartbeat(store, lambda: transceiver).run)
    await trio.sleep(0.5)
    autojump_clock.jump(3.0)
    await trio.sleep(0.1)
    (heard,) = await store.members()
    assert heard.member.lateness == pytest.approx(2.5, abs=0.01)


async def test_members_come_and_go(autojump_clock, store, roster, nursery, transceiver, relay):
    scope = trio.CancelScope()

    async def live() -> None:
        with scope:
            await Heartbeat(store, lambda: transceiver).run()

    nursery.start_soon(live)
    await nursery.start(Heartbeat(store, lambda: relay).run)
    await trio.sleep(1.5)
    assert names(roster) == ["node ü", "relay"]
    assert [heard.member.name for heard in roster.members(Role.RELAY)] == ["relay"]
    assert roster.find(3, 0xFFFFFFFF) == attrs.evolve(transceiver, lateness=0.0)
    assert roster.find(3, 1) is None
    assert roster.find(0, 5) is None  # a relay is no transceiver
    scope.cancel()
    await trio.sleep(LEASE + 2)
    assert names(roster) == ["relay"]


async def test_who_stalls_is_late_and_then_gone(autojump_clock, store, roster, transceiver):
    await store.announce(transceiver)
    await trio.sleep(1.5)
    assert [heard.is_late for heard in roster.members()] == [False]
    await trio.sleep(2.0)
    assert [heard.is_late for heard in roster.members()] == [True]
    await trio.sleep(2 * LEASE)
    assert names(roster) == []


async def test_while_the_store_is_away_the_last_view_stands(autojump_clock, store, roster, transceiver):
    await store.announce(transceiver)
    await trio.sleep(1.5)
    store.is_away = True
    await trio.sleep(100)
    assert names(roster) == ["node ü"]
    assert not roster.members()[0].is_late
    assert roster.problem == "it is away"


async def test_a_store_that_has_lost_its_data_takes_nobody_away(autojump_clock, store, roster, nursery, transceiver):
    await nursery.start(Heartbeat(store, lambda: transceiver).run)
    await trio.sleep(1.5)
    store.is_away = True
    await trio.sleep(100)
    store.lose_all()
    store.is_away = False
    for _ in range(30):
        await trio.sleep(0.1)
        assert names(roster) == ["node ü"]
    assert roster.problem == ""


async def test_the_dead_are_missed_when_the_store_has_answered_without_them_for_a_lease(
    autojump_clock, store, roster, transceiver
):
    await store.announce(transceiver)
    await trio.sleep(1.5)
    store.lose_all()
    await trio.sleep(LEASE - 1)
    assert names(roster) == ["node ü"]
    store.is_away = True  # what is not answered does not count
    await trio.sleep(10)
    store.is_away = False
    await trio.sleep(LEASE - 1)
    assert names(roster) == ["node ü"]
    await trio.sleep(3)
    assert names(roster) == []


async def test_a_process_that_was_started_again_takes_the_place_of_the_one_before(
    autojump_clock, store, roster, transceiver
):
    await store.announce(transceiver)
    await trio.sleep(1.5)
    again = attrs.evolve(transceiver, incarnation=7, name="again")
    await store.announce(again)
    await roster.read()
    assert names(roster) == ["again"]
    await roster.read()
    assert names(roster) == ["again"]


async def test_two_on_one_machine_are_two(autojump_clock, store, roster, transceiver):
    await store.announce(transceiver)
    other = attrs.evolve(
        transceiver, incarnation=7, name="other", control="http://10.0.0.3:7081", hop=(("10.0.0.3", 7003),)
    )
    await store.announce(other)
    await roster.read()
    assert names(roster) == ["node ü", "other"]


async def test_who_waits_hears_of_every_reading(autojump_clock, store, roster):
    with trio.fail_after(1.5):
        await roster.wait_read()
    store.is_away = True
    with trio.fail_after(1.5):
        await roster.wait_read()
