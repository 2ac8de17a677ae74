"""Events that were numbered on both ways are compared as docs/failover.md promises them."""

from typing import Any

import pytest

from tests.e2e.numbered_events import Events, Got, Told, Way, compare_events

DIED = 10.0
EVERY = 0.1
SAID = {number: number * EVERY for number in range(200)}


def got(connection: int, numbers: Any, *, is_replayed: bool = False) -> list[Got]:
    return [Got(connection, number, is_replayed) for number in numbers]


def told(connection: int, numbers: Any, at: float = 5.0) -> list[Told]:
    return [Told(at, connection, number) for number in numbers]


def compare(came: list[Got], heard: list[Told], says: dict[int, int]) -> Events:
    """Compare with all that was said, and so many events of each connection."""
    every = [(connection, number) for connection, count in says.items() for number in range(count)]
    return compare_events(said=SAID, got=came, says=every, told=heard, at=DIED)


def test_all_came() -> None:
    events = compare(got(3, SAID), told(3, range(7)), {3: 7})
    assert (events.up, events.down) == (
        Way(sent=200, lost=0, repeated=0, disordered=0),
        Way(sent=7, lost=0, repeated=0, disordered=0),
    )
    assert (events.wrong, events.broken) == (0, 0)


def test_a_new_connection_that_was_told_all_before() -> None:
    came = got(3, range(150)) + got(4, range(20, 150), is_replayed=True) + got(4, range(150, 200))
    events = compare_events(
        said={number: at for number, at in SAID.items() if number >= 20}, got=came, says=[], told=[], at=DIED
    )
    assert (events.wrong, events.broken) == (0, 0)


def test_what_is_said_at_a_death_may_be_lost() -> None:
    came = got(3, range(100)) + got(4, range(90), is_replayed=True) + got(4, range(110, 200))
    events = compare(came, told(3, range(8)) + told(4, range(9), at=10.9), {3: 10, 4: 9})
    assert (events.up.lost, events.down.lost, events.wrong) == (20, 2, 22)
    assert events.oldest_lost_ms == pytest.approx(1000.0)
    assert events.broken == 0


def test_how_long_before_it_was_said_is_told() -> None:
    missing = [number for number in SAID if 7.95 < SAID[number] < DIED]
    came = got(3, range(100)) + got(4, set(SAID) - set(missing))
    assert compare(came, told(4, range(9), at=10.9), {4: 9}).oldest_lost_ms == pytest.approx(2000.0)


def test_what_is_said_after_it_may_not() -> None:
    came = got(3, range(100)) + got(4, range(90), is_replayed=True) + got(4, range(115, 200))
    events = compare(came, told(4, range(9), at=11.05), {4: 9})
    assert (events.lost_behind, events.broken) == (4, 4)


@pytest.mark.parametrize(
    ("came", "heard"),
    [
        (got(3, [*range(5), 6, 5, *range(7, 200)]), told(3, range(7))),
        (got(3, SAID), told(3, [0, 1, 1, 2, 3, 4, 5, 6])),
        (got(3, SAID), told(3, [0, 1, 2, 4, 3, 5, 6])),
        (got(3, SAID), told(3, [0, 1, 2, 4, 5, 6])),
        (got(3, SAID), told(3, range(6))),
    ],
    ids=["out of order", "twice", "out of order down", "a hole", "the last of the newest"],
)
def test_what_nothing_excuses(came: list[Got], heard: list[Told]) -> None:
    assert compare(came, heard, {3: 7}).broken == 1


def test_what_is_said_twice_to_backends_is_counted() -> None:
    came = got(3, range(100)) + got(4, range(98), is_replayed=True) + got(4, range(98, 200))
    events = compare(came, told(4, range(9)), {4: 9})
    assert (events.up.repeated, events.broken) == (2, 0)
