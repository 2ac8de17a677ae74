"""When the sessions of a dead worker are taken: at once, also by who has not reached the store yet."""

import pytest
import trio

from edge.store.memory import MemoryOwnership
from transceiver.handover.custody import TAKE_WITHIN
from transceiver.handover.ownership import Owner, Ownership, StoreUnavailable
from transceiver.handover.takeover import Takeover

DEAD, ME = (Owner(cluster=3, incarnation=number, worker=0) for number in (1, 2))
SESSIONS = range(20)


class LateStore(MemoryOwnership):
    """A store that is not reached before a time."""

    def __init__(self, reached: float) -> None:
        super().__init__(trio.current_time)
        self.reached = reached
        self.questions = 0

    async def sessions_of(self, owner):
        self.questions += 1
        if trio.current_time() < self.reached:
            raise StoreUnavailable("not reached yet")
        return await super().sessions_of(owner)


class Alone:
    """`Peers` of who is the only one left."""

    def candidates(self):
        return [ME]

    async def is_alive(self, _suspect):
        return False


class Restoring:
    """`Arrivals` that note what they are given."""

    def __init__(self):
        self.restored = {}

    def restore(self, session_id, _sealed, *, generation, age):
        self.restored[session_id] = trio.current_time()
        return session_id


async def _settled(_call):
    return True


@pytest.fixture
async def following(nursery):
    """Begin to follow a worker that has died."""

    async def begin(store):
        for session in SESSIONS:
            record = Ownership(
                session=session, call_id=str(session), owner=DEAD, generation=0, snapshot=b"", may_create=True
            )
            await store.checkpoint([record])
        arrivals = Restoring()
        takeover = Takeover(
            store=store, peers=Alone(), owner=ME, arrivals=arrivals, settle=_settled, report=lambda *_: None
        )
        nursery.start_soon(takeover.run)
        await trio.sleep(0.001)
        return takeover, arrivals.restored

    return begin


async def test_they_are_taken_at_once(autojump_clock, following):
    takeover, restored = await following(LateStore(0))
    began = trio.current_time()
    takeover.suspect(DEAD, began)
    await trio.sleep(1)
    assert set(restored) == set(SESSIONS)
    assert max(restored.values()) - began < 0.05


async def test_who_has_not_reached_the_store_takes_them_as_soon_as_it_has(autojump_clock, following):
    began = trio.current_time()
    store = LateStore(began + 0.47)
    takeover, restored = await following(store)
    while trio.current_time() < began + 0.8:  # relays say it again and again
        takeover.suspect(DEAD, trio.current_time())
        await trio.sleep(0.25)
    assert set(restored) == set(SESSIONS)
    assert max(restored.values()) - store.reached < 0.1
    assert takeover.counts["suspected"] == 1


async def test_a_store_that_stays_away_is_not_asked_for_ever(autojump_clock, following):
    store = LateStore(float("inf"))
    takeover, restored = await following(store)
    takeover.suspect(DEAD, trio.current_time())
    await trio.sleep(TAKE_WITHIN + 1)
    asked = store.questions
    await trio.sleep(10)
    assert (store.questions, restored) == (asked, {})
    takeover.suspect(DEAD, trio.current_time())
    await trio.sleep(1)
    assert store.questions > asked


@pytest.mark.parametrize(("store_takes", "hop_takes"), [(0.1, 0.15), (0.3, 0.02), (0.3, 0.15)])
async def test_the_store_and_the_relays_are_waited_for_at_the_same_time(
    start_stepped, stepped_fleet, autojump_clock, monkeypatch, store_takes, hop_takes
):
    async with start_stepped() as fleet:
        await fleet.call()
        first, second = fleet.places
        first.worker._sender = lambda _batch: None
        write = MemoryOwnership.checkpoint

        async def slowly(self, records):
            await trio.sleep(store_takes)
            return await write(self, records)

        async def is_dead(_suspect):
            return False

        monkeypatch.setattr(MemoryOwnership, "checkpoint", slowly)
        monkeypatch.setattr(stepped_fleet, "HOP_DELAY", hop_takes)
        monkeypatch.setattr(fleet.peers[1], "is_alive", is_dead)
        began = trio.current_time()
        second.worker._handover._takeover.suspect(first.owner, began)
        await trio.sleep_until(began + 0.05)
        (call,) = second.worker._calls
        await trio.sleep_until(began + 0.28)  # the slower of the two takes 0.3 s
        assert call.is_held
        await trio.sleep_until(began + 0.4)
        assert not call.is_held
