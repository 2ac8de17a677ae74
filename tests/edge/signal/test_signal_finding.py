"""Any signal node finds any call, wherever it lives by now."""

import pytest
import trio

from edge.signal.handler import SignalHandler
from transceiver.calls import CallMoved
from transceiver.handover.ownership import Owner, Ownership, StoreUnavailable

FRAGMENT = {"content_type": "application/trickle-ice-sdpfrag"}


class FakeOwnership:
    """Knows who has which session, unless it is away."""

    def __init__(self) -> None:
        self.owners: dict[int, Owner] = {}
        self.is_away = False
        self.asked = 0

    async def find(self, session: int) -> Ownership | None:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("no answer within 1 s")
        owner = self.owners.get(session)
        return None if owner is None else Ownership(session=session, call_id="", owner=owner, generation=2)

    def move(self, session: int, incarnation: int) -> None:
        self.owners[session] = Owner(cluster=3, incarnation=incarnation, worker=0)


@pytest.fixture
async def fleet(empty_edge):
    """Three transceivers, a call on the first of them, and a store."""
    for number, name in enumerate(("one", "two", "three"), start=1):
        empty_edge.add_transceiver(name, number, max_calls=1000 if number == 1 else 10, calls=0)
    empty_edge.ownership = FakeOwnership()
    edge = await empty_edge.start()
    edge.path = dict((await edge.call()).headers)["Location"]
    edge.call_id = edge.path.rpartition("/")[2]
    edge.session = edge.call_ids.open(edge.call_id).session
    assert edge.call_id in edge.transceivers["one"].calls
    return edge


def move(edge, name: str) -> None:
    """Let another transceiver have the call, and the first forget it."""
    edge.transceivers[name].calls[edge.call_id] = edge.transceivers["one"].calls.pop(edge.call_id)


async def statuses(edge) -> list[int]:
    """Change, look at and end the call."""
    return [
        (await edge.ask("PATCH", edge.path, b"", **FRAGMENT)).status,
        (await edge.ask("GET", edge.path)).status,
        (await edge.ask("DELETE", edge.path)).status,
    ]


async def test_another_signal_node_reaches_a_call(fleet):
    other = SignalHandler(fleet.config, fleet=fleet.fleet, call_ids=fleet.call_ids)
    fleet.handler = other
    assert await statuses(fleet) == [204, 200, 200]
    assert fleet.ownership.asked == 0
    assert not fleet.transceivers["one"].calls.get(fleet.call_id)


async def test_a_call_that_was_handed_over_is_found_by_what_its_old_owner_says(fleet):
    move(fleet, "two")
    fleet.transceivers["one"].moved[fleet.call_id] = CallMoved(3, 2)
    assert await statuses(fleet) == [204, 200, 200]
    assert fleet.ownership.asked == 0


async def test_a_call_that_was_handed_over_twice(fleet):
    move(fleet, "three")
    fleet.transceivers["one"].moved[fleet.call_id] = CallMoved(3, 2)
    fleet.transceivers["two"].moved[fleet.call_id] = CallMoved(3, 3)
    assert await statuses(fleet) == [204, 200, 200]


async def test_a_call_whose_old_owner_has_forgotten_it_is_found_in_the_store(fleet):
    move(fleet, "two")
    fleet.ownership.move(fleet.session, 2)
    assert await statuses(fleet) == [204, 200, 200]


@pytest.mark.parametrize("is_noticed", [True, False])
async def test_a_call_whose_old_owner_is_dead_is_found_in_the_store(fleet, is_noticed):
    move(fleet, "two")
    fleet.ownership.move(fleet.session, 2)
    fleet.disconnect("one")
    if is_noticed:
        await fleet.poll()
    assert await statuses(fleet) == [204, 200, 200]


async def test_a_call_whose_owner_started_anew_is_found_in_the_store(fleet):
    move(fleet, "two")
    fleet.ownership.move(fleet.session, 2)
    fleet.transceivers["one"].state["incarnation"] = 99
    await fleet.poll()
    assert await statuses(fleet) == [204, 200, 200]


async def test_a_call_that_has_ended_is_not_found(fleet, read_failure):
    del fleet.transceivers["one"].calls[fleet.call_id]
    assert read_failure(await fleet.ask("GET", fleet.path)).code == "call_id_not_found"
    fleet.ownership.move(fleet.session, 1)  # its record may stay a while
    assert read_failure(await fleet.ask("GET", fleet.path)).code == "call_id_not_found"


async def test_without_the_store_a_call_that_is_not_there_may_still_be_elsewhere(fleet, read_failure):
    del fleet.transceivers["one"].calls[fleet.call_id]
    fleet.ownership.is_away = True
    failure = read_failure(await fleet.ask("GET", fleet.path))
    assert (failure.status, failure.code) == (503, "transceiver_unreachable")
    assert "retry-after" in failure.headers


async def test_a_call_that_nobody_has_taken_over_yet_is_worth_another_try(fleet, read_failure, autojump_clock):
    fleet.ownership.move(fleet.session, 1)
    fleet.disconnect("one")
    began = trio.current_time()
    failure = read_failure(await fleet.ask("DELETE", fleet.path))
    assert (failure.status, failure.code) == (503, "transceiver_unreachable")
    assert 0.9 < trio.current_time() - began < 1.5


async def test_who_hangs_up_right_behind_a_death_waits_for_the_successor(fleet, autojump_clock, nursery):
    fleet.ownership.move(fleet.session, 1)
    fleet.disconnect("one")

    async def take_over() -> None:
        await trio.sleep(0.4)
        move(fleet, "two")
        fleet.ownership.move(fleet.session, 2)

    nursery.start_soon(take_over)
    began = trio.current_time()
    assert (await fleet.ask("DELETE", fleet.path)).status == 200
    assert 0.4 <= trio.current_time() - began < 0.6
    assert not fleet.transceivers["two"].calls


async def test_owners_that_name_each_other_are_not_followed_for_ever(fleet, read_failure):
    fleet.transceivers["one"].moved[fleet.call_id] = CallMoved(3, 2)
    fleet.transceivers["two"].moved[fleet.call_id] = CallMoved(3, 1)
    fleet.ownership.move(fleet.session, 1)
    assert read_failure(await fleet.ask("GET", fleet.path)).status == 404
    assert sum(len(each.asked) for each in fleet.transceivers.values()) == 2


async def test_somebody_elses_call_stays_so_when_it_has_moved(empty_edge, read_failure):
    for number, name in enumerate(("one", "two"), start=1):
        empty_edge.add_transceiver(name, number)
    edge = await empty_edge.start(api_keys=("mine", "yours"))
    response = await edge.call(authorization="Bearer mine")
    path = dict(response.headers)["Location"]
    call_id = path.rpartition("/")[2]
    old, new = sorted(edge.transceivers.values(), key=lambda calls: call_id not in calls.calls)
    new.calls[call_id] = old.calls.pop(call_id)
    old.moved[call_id] = CallMoved(3, new.state["incarnation"])
    failure = read_failure(await edge.ask("DELETE", path, authorization="Bearer yours"))
    assert (failure.status, failure.code) == (403, "not_owner")
