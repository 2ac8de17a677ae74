"""When the sessions of a dead worker are taken: at once, also by who has not reached the store yet."""

import pytest
import trio

from edge.store.memory import MemoryOwnership
from transceiver.handover.custody import TAKE_WITHIN
from transceiver.handover.ownership import Owner, Ownership, StoreUnavailable
from transceiver.handover.peers import Pulse
from transceiver.handover.takeover import Takeover

DEAD, ME, SECOND, THIRD = (Owner(cluster=3, incarnation=number, worker=0) for number in range(1, 5))
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


class Others:
    """`Peers` of which a test says who they are, and how they are."""

    def __init__(self, *others):
        self.known = [ME, *others]
        self.pulse = Pulse.GONE
        self.takes = 0.0
        self.are_slow = set()

    def candidates(self):
        return self.known

    async def feel_pulse(self, suspect):
        await trio.sleep(0.5 if suspect in self.are_slow else self.takes)
        return self.pulse


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

    async def begin(store, peers=None):
        for session in SESSIONS:
            record = Ownership(
                session=session, call_id=str(session), owner=DEAD, generation=0, snapshot=b"", may_create=True
            )
            await store.checkpoint([record])
        arrivals = Restoring()
        takeover = Takeover(
            store=store, peers=peers or Others(), owner=ME, arrivals=arrivals, settle=_settled, report=lambda *_: None
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
    while trio.current_time() < store.reached:  # relays say it again and again
        takeover.suspect(DEAD, trio.current_time())
        await trio.sleep(0.1)
    await trio.sleep(0.1)
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


async def test_nobody_waits_for_the_turn_of_one_that_is_suspected_too(autojump_clock, following):
    """A host dies with several transceivers: each is suspected, and none takes what another has had."""
    peers = Others(DEAD, SECOND, THIRD)
    peers.are_slow = {SECOND, THIRD}
    takeover, restored = await following(LateStore(0), peers)
    began = trio.current_time()
    for suspect in (SECOND, THIRD, DEAD):
        takeover.suspect(suspect, began)
    await trio.sleep(1)
    assert set(restored) == set(SESSIONS)
    assert max(restored.values()) - began < 0.05


async def test_one_that_is_dead_unknown_to_all_costs_a_tenth_of_a_second(autojump_clock, following):
    takeover, restored = await following(LateStore(0), Others(DEAD, SECOND))
    began = trio.current_time()
    takeover.suspect(DEAD, began)
    await trio.sleep(1)
    assert set(restored) == set(SESSIONS)
    late = [when for when in restored.values() if when - began > 0.05]
    assert late
    assert max(late) - began < 0.15


async def test_what_the_store_has_refused_is_not_asked_for_again_and_again(autojump_clock, following):
    class Refusing(LateStore):
        asked = 0

        async def take(self, *_, **__):
            self.asked += 1

    store = Refusing(0)
    takeover, restored = await following(store)
    takeover.suspect(DEAD, trio.current_time())
    await trio.sleep(1)
    assert (store.asked, restored) == (len(SESSIONS), {})


SILENT_FOR = 0.1


def say(takeover, times):
    """When relays say it, in seconds from now; a function to be started."""

    async def speak():
        began = trio.current_time()
        for when in times:
            await trio.sleep_until(began + when)
            takeover.suspect(DEAD, trio.current_time())

    return speak


@pytest.mark.parametrize(
    ("times", "taken_after"),
    [
        ([0, 0.1, 0.2], 0.1),
        ([0, 0.11], 0.11),
        ([0, 0.03, 0.2], 0.2),
        ([0, 1.1], 1.1),
        ([0], None),
        ([0, 0.03], None),
        ([0, 0.03, 0.05], None),
    ],
)
async def test_silence_counts_when_a_relay_says_it_again(autojump_clock, nursery, following, times, taken_after):
    peers = Others()
    peers.pulse, peers.takes = Pulse.SILENT, SILENT_FOR
    takeover, restored = await following(LateStore(0), peers)
    began = trio.current_time()
    nursery.start_soon(say(takeover, times))
    await trio.sleep(3)
    if taken_after is None:
        assert restored == {}
        assert takeover.counts["suspected-alive"] == 1
    else:
        assert min(restored.values()) - began == pytest.approx(taken_after, abs=0.01)
        assert set(restored) == set(SESSIONS)


async def test_a_word_of_long_ago_confirms_nothing(autojump_clock, nursery, following):
    """It was heard again by its relay while we were waiting for its answer."""
    peers = Others()
    peers.pulse, peers.takes = Pulse.SILENT, 0.5
    takeover, restored = await following(LateStore(0), peers)
    nursery.start_soon(say(takeover, [0, 0.1, 0.2]))
    await trio.sleep(3)
    assert restored == {}
    assert takeover.counts["suspected-alive"] == 1


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

        async def is_gone(_suspect):
            return Pulse.GONE

        monkeypatch.setattr(MemoryOwnership, "checkpoint", slowly)
        monkeypatch.setattr(stepped_fleet, "HOP_DELAY", hop_takes)
        monkeypatch.setattr(fleet.peers[1], "feel_pulse", is_gone)
        began = trio.current_time()
        second.worker._handover._takeover.suspect(first.owner, began)
        await trio.sleep_until(began + 0.05)
        (call,) = second.worker._calls
        await trio.sleep_until(began + 0.28)  # the slower of the two takes 0.3 s
        assert call.is_held
        await trio.sleep_until(began + 0.4)
        assert not call.is_held
