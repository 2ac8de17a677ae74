"""What a cluster relay remembers, and for how long."""

import pytest

from relay.flows import TransceiverPlace
from relay.through_paths import LIFE, ThroughPath, ThroughPaths

PLACE = TransceiverPlace(("10.1.0.1", 7001))
RELAY = ("10.0.0.1", 7000)


def path(session: int = 1, *, is_proven: bool = False) -> ThroughPath:
    return ThroughPath(session=session, place=PLACE, relay=RELAY, is_proven=is_proven)


@pytest.fixture
def paths() -> ThroughPaths:
    return ThroughPaths(max_paths=5, now=0.0)


def pass_time(paths: ThroughPaths, start: float, end: float) -> None:
    """Call it as its owner would."""
    now = start
    while (when := paths.next_timeout()) is not None and when <= end:
        now = max(now, when)
        paths.handle_timeout(now)


def test_what_is_used_stays_and_what_is_not_is_forgotten(paths):
    used, unused = path(1), path(2)
    assert paths.add(b"used", used)
    assert paths.add(b"unused", unused)
    for turn in range(1, 8):
        pass_time(paths, (turn - 1) * LIFE, turn * LIFE)
        assert paths.find(b"used") is used
    assert paths.find(b"unused") is None
    assert len(paths) == 1
    assert paths.headers_of(2) == ()
    assert paths.headers_of(1) == (b"used",)


@pytest.mark.parametrize("added", [0.0, LIFE / 2, LIFE - 0.1])
def test_a_path_lives_for_a_life_at_least_and_two_at_most(paths, added):
    pass_time(paths, 0.0, added)
    paths.add(b"path", path())
    # Looking would be a use, so each end has a table of its own.
    pass_time(paths, added, added + LIFE)
    assert len(paths) == 1
    pass_time(paths, added + LIFE, added + 2 * LIFE + 1)
    pass_time(paths, added + 2 * LIFE + 1, added + 3 * LIFE)
    assert len(paths) == 0
    assert paths.next_timeout() is None


def test_new_ones_are_shed_and_old_ones_stay(paths):
    for number in range(5):
        assert paths.add(bytes([number]), path(number))
    assert not paths.add(b"more", path(9))
    assert paths.find(b"more") is None
    assert all(paths.find(bytes([number])) for number in range(5))
    paths.remove(bytes([3]))
    assert paths.add(b"more", path(9))


def test_a_sessions_paths_are_found_in_either_half(paths):
    paths.add(b"first", path(1))
    pass_time(paths, 0.0, LIFE)
    paths.add(b"second", path(1))
    assert paths.headers_of(1) == (b"first", b"second")
    paths.remove(b"first")
    assert paths.headers_of(1) == (b"second",)
    paths.remove(b"first")
    paths.remove(b"second")
    assert paths.headers_of(1) == ()
    assert len(paths) == 0


def test_proven_paths_are_listed_by_how_lately_they_were_used(paths):
    paths.add(b"old", path(1, is_proven=True))
    paths.add(b"unproven", path(2))
    pass_time(paths, 0.0, LIFE)
    paths.add(b"new", path(3, is_proven=True))
    assert paths.proven_headers() == [b"new", b"old"]
    paths.find(b"old")
    assert set(paths.proven_headers()) == {b"new", b"old"}


def test_many_are_forgotten_some_at_a_time():
    paths = ThroughPaths(max_paths=10_000, now=0.0)
    for number in range(5000):
        paths.add(number.to_bytes(4, "big"), path(number))
    paths.handle_timeout(LIFE)
    paths.handle_timeout(2 * LIFE)
    before = len(paths)
    paths.handle_timeout(2 * LIFE)
    assert 0 < before - len(paths) <= 1000
    for _ in range(5):
        paths.handle_timeout(2 * LIFE)
    assert len(paths) == 0
