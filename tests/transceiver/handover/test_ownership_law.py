"""The invariant of docs/failover.md, over random histories: no index is ever used by two owners of a session.

The owners keep to `Custody`, the store is the real one of a process, and around them everything goes wrong that may:
processes are paused for seconds or minutes, cannot reach the store, are not answered by it, are taken for dead without
being so; the store is emptied, or full; the client falls silent. What the model leaves out is one thing: relays that
disagree.
"""

import random
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

import attrs
import pytest

from edge.store.memory import MemoryOwnership
from transceiver.handover import custody
from transceiver.handover.custody import TAKE_WITHIN, Custody, Verdict
from transceiver.handover.ownership import Confirmation, Owner, Ownership

SESSION = 7
MARGIN = 4096
STEP = 0.5
Result = TypeVar("Result")


def result_of(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


@attrs.define(eq=False)
class Process:
    """One owner, or what thinks that it is."""

    owner: Owner
    custody: Custody
    index: int
    ceiling: int | None = None
    heard: float = 0.0
    paused_until: float = 0.0
    cut_off_until: float = 0.0
    unanswered_until: float = 0.0
    is_away: bool = False
    has_ended: bool = False


class World:
    """A session, its owners past and present, the store, and the relays."""

    def __init__(
        self, seed: int, *, leap: int = MARGIN, believes_to_hear: bool = False, believes_to_be_kept: bool = False
    ) -> None:
        self.random = random.Random(seed)
        self.leap = leap
        self.believes_to_hear = believes_to_hear
        self.believes_to_be_kept = believes_to_be_kept
        self.now = 100.0
        self.store = MemoryOwnership(lambda: self.now)
        self.users: dict[int, Owner] = {}
        self.clashes: list[int] = []
        self.moves = self.releases = self.blocked = 0
        first = Process(self.new_owner(), Custody(0, self.now), index=1, heard=self.now)
        self.processes = [first]
        self.led_to = first
        self.is_silent_until = 0.0
        self.is_full_until = 0.0
        self.refusals = 0

    def new_owner(self) -> Owner:
        return Owner(cluster=1, incarnation=self.random.getrandbits(32), worker=0)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            self.go_wrong()
            for process in self.processes:
                if self.now >= process.paused_until and not process.has_ended:
                    self.turn(process)

    def go_wrong(self) -> None:
        chance, present = self.random.random, self.random.choice(self.processes)
        if chance() < 0.01:
            present.paused_until = self.now + self.random.choice([2, 9, 12, 30, 90])
        if chance() < 0.01:
            present.cut_off_until = self.now + self.random.choice([3, 25, 60, 150])
        if chance() < 0.01:
            present.unanswered_until = self.now + self.random.choice([3, 25, 60, 150])
        if chance() < 0.003:
            self.store = MemoryOwnership(lambda: self.now)
        if chance() < 0.005:
            self.is_silent_until = self.now + self.random.choice([5, 15, 45])
        if chance() < 0.01:
            self.is_full_until = self.now + self.random.choice([5, 30, 120])
        if chance() < 0.02:
            self.take_over()

    def take_over(self) -> None:
        """Somebody takes the owner for dead, rightly or not."""
        record = result_of(self.store.find(SESSION))
        if record is None:
            return
        owner = self.new_owner()
        taken = result_of(self.store.take(SESSION, generation=record.generation, owner=owner, within=TAKE_WITHIN))
        if taken is None:
            return
        start = int(taken.snapshot) + self.leap
        custody = Custody(taken.generation, self.now, is_known=True)
        successor = Process(owner, custody, index=start, ceiling=start - 1, heard=self.now)
        self.processes.append(successor)
        self.led_to = successor  # acknowledged, before it sends
        self.moves += 1

    def turn(self, process: Process) -> None:
        if self.believes_to_hear or (process is self.led_to and self.now >= self.is_silent_until):
            process.heard = self.now
        mine = process.custody
        if mine.look(process.heard, self.now) is Verdict.RELEASE:
            process.ceiling = None
            self.releases += 1
        if process.is_away and self.now >= max(process.cut_off_until, process.unanswered_until):
            process.is_away = False
        if mine.is_due(self.now) and not process.is_away:
            self.checkpoint(process)
        for _ in range(self.random.choice([0, 25, 50])):
            if process.has_ended or (process.ceiling is not None and process.index > process.ceiling):
                self.blocked += 1
                break
            if self.users.setdefault(process.index, process.owner) is not process.owner:
                self.clashes.append(process.index)
            process.index += 1

    def checkpoint(self, process: Process) -> None:
        custody, snapshot = process.custody, process.index
        ceiling = snapshot + MARGIN - 1
        if custody.begin(self.now) is Verdict.RAISE:
            process.ceiling = ceiling
        record = Ownership(
            session=SESSION,
            call_id="rtc_7",
            owner=process.owner,
            generation=custody.generation,
            snapshot=str(snapshot).encode(),
            may_create=custody.may_create(self.now),
        )
        answer = None
        if self.now >= process.cut_off_until:
            answer = self.answer(record)
        if answer is None or self.now < process.unanswered_until:
            process.is_away = True
            custody.unanswered(self.now)
            return
        if self.believes_to_be_kept and answer is Confirmation.UNKEPT:
            answer = Confirmation.CONFIRMED
        if answer in (Confirmation.UNKEPT, Confirmation.NO_ROOM):
            custody.refused(answer, self.now, self.now)
            self.refusals += 1
            return
        verdict = custody.answered(answer, self.now)
        if verdict is Verdict.RAISE:
            process.ceiling = ceiling
        process.has_ended = verdict is Verdict.FENCE

    def answer(self, record: Ownership) -> Confirmation:
        """What the store says; while it is full it keeps a snapshot now and then."""
        kept = result_of(self.store.find(SESSION))
        if self.now < self.is_full_until:
            if kept is not None and (kept.owner, kept.generation) == (record.owner, record.generation):
                if self.random.random() < 0.8:
                    return Confirmation.UNKEPT
            elif (kept is None or kept.generation < record.generation) and record.may_create:
                return Confirmation.NO_ROOM
        (answer,) = result_of(self.store.checkpoint([record]))
        return answer


@cache
def history(seed: int) -> World:
    """What came of the rules as they are."""
    world = World(seed)
    world.run(400)
    return world


@pytest.mark.parametrize("seed", range(60))
def test_no_index_is_used_by_two_owners(seed):
    assert not history(seed).clashes


def test_the_histories_are_not_harmless():
    worlds = [history(seed) for seed in range(40)]
    assert sum(world.moves for world in worlds) > 100
    assert sum(world.releases for world in worlds) > 5
    assert sum(world.blocked for world in worlds) > 100
    assert sum(world.refusals for world in worlds) > 100


def has_clash(worlds: int, **options: int) -> bool:
    """Whether in one of some histories an index was used twice."""
    for seed in range(worlds):
        world = World(seed, **options)
        world.run(400)
        if world.clashes:
            return True
    return False


def test_a_leap_that_is_too_short_is_found():
    assert has_clash(40, leap=MARGIN // 2)


def test_a_wait_that_is_too_short_is_found(monkeypatch):
    monkeypatch.setattr(custody, "FREE_AFTER", 5.0)
    assert has_clash(60)


def test_not_minding_whether_the_client_is_heard_is_found():
    assert has_clash(60, believes_to_hear=True)


def test_taking_a_refusal_for_a_confirmation_is_found():
    assert has_clash(60, believes_to_be_kept=True)
