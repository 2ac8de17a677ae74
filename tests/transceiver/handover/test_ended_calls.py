"""The records of calls that have ended are marked once each, and none is left out, whoever does it."""

from types import SimpleNamespace

import attrs
import pytest
import trio

from transceiver.handover import checkpointing
from transceiver.handover.checkpointing import Checkpointer
from transceiver.handover.ownership import StoreUnavailable


@attrs.define
class SlowStore:
    """Takes a moment to mark a record; at first it is away, perhaps."""

    marked: list[int] = attrs.field(factory=list)
    absences: int = 0

    async def forget(self, session: int, **_: object) -> None:
        await trio.sleep(0.1)
        if self.absences:
            self.absences -= 1
            raise StoreUnavailable("away")
        self.marked.append(session)


@attrs.define
class Ending:
    """Ends calls, as a dispatcher does."""

    on_ended: object = None

    def end(self, session: int) -> None:
        self.on_ended(SimpleNamespace(custody=object(), session_id=session, generation=1))


@pytest.fixture
def store():
    return SlowStore()


@pytest.fixture
def ending():
    return Ending()


@pytest.fixture
def checkpointer(store, ending):
    return Checkpointer(store=store, calls=(), dispatcher=ending, owner=None, seal=None)


async def test_a_worker_that_stops_while_records_are_being_marked(autojump_clock, checkpointer, store, ending, nursery):
    nursery.start_soon(checkpointer.run)
    for session in (1, 2, 3):
        ending.end(session)
    await trio.sleep(0.05)  # in the middle of the first
    await checkpointer.finish()
    assert sorted({*store.marked}) == [1, 2, 3]
    ending.end(4)
    await trio.sleep(1)
    assert 4 in store.marked


async def test_calls_that_end_while_there_is_no_room_to_remember_more(
    autojump_clock, monkeypatch, store, ending, nursery
):
    monkeypatch.setattr(checkpointing, "_MAX_ENDED", 2)
    checkpointer = Checkpointer(store=store, calls=(), dispatcher=ending, owner=None, seal=None)
    nursery.start_soon(checkpointer.run)
    ending.end(1)
    await trio.sleep(0.05)
    for session in (2, 3):
        ending.end(session)  # the first is forgotten, while its record is being marked
    await trio.sleep(1)
    assert store.marked == [1, 2, 3]


async def test_a_store_that_is_away_for_a_moment(autojump_clock, checkpointer, store, ending, nursery):
    store.absences = 1
    nursery.start_soon(checkpointer.run)
    ending.end(1)
    await trio.sleep(2)
    assert store.marked == [1]
