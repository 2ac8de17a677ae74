"""The replay window against a model that remembers everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.buffer import Reader, Writer
from wire.errors import MalformedError
from wire.replay import ReplayWindow


class Model:
    """All that was committed, and no cleverness."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.committed: set[int] = set()

    def check(self, number: int) -> bool:
        highest = max(self.committed, default=-1)
        return number > highest or (number > highest - self.size and number not in self.committed)


@given(
    st.sampled_from([1, 2, 64, 128]),
    st.lists(st.tuples(st.integers(-150, 150), st.booleans()), max_size=120),
)
def test_like_the_model(size, steps):
    window, model = ReplayWindow(size), Model(size)
    position = 0
    for step, is_authentic in steps:
        number = max(0, position + step)
        assert window.check(number) == model.check(number)
        if is_authentic and model.check(number):
            window.commit(number)
            model.committed.add(number)
            position = max(position, number)
            assert not window.check(number)
        # All of the window, and a little around it.
        highest = window.highest
        for probe in range(max(0, highest - size - 2), highest + 3):
            assert window.check(probe) == model.check(probe), probe
        assert window.seen.bit_length() <= size


def test_checking_moves_nothing():
    window = ReplayWindow(64)
    window.commit(10)
    before = (window.highest, window.seen)
    assert window.check(2**48 - 1)
    assert (window.highest, window.seen) == before
    assert window.check(9)


@pytest.mark.parametrize("size", [64, 128])
def test_the_edges(size):
    window = ReplayWindow(size)
    window.commit(0)
    window.commit(size - 1)
    assert not window.check(0)
    assert window.check(1)
    window.commit(size)
    assert not window.check(0)  # too old to tell
    assert window.check(1)
    window.commit(size + 1)
    assert not window.check(1)
    assert window.check(2)


@pytest.mark.parametrize("jump", [127, 128, 129, 10**9, 2**63])
def test_a_jump_leaves_no_bits_behind(jump):
    window = ReplayWindow(128)
    for number in range(10):
        window.commit(number)
    window.commit(9 + jump)
    assert window.check(8 + jump)
    assert not window.check(9 + jump)
    assert window.check(9) is False  # seen, or too old
    assert window.seen.bit_length() <= 128


@given(numbers=st.lists(st.integers(0, 400), max_size=40))
def test_a_window_goes_on_elsewhere(numbers: list[int]) -> None:
    window = ReplayWindow(size=64)
    for number in numbers:
        window.commit(number)
    writer = Writer()
    window.serialize(writer)
    data = writer.finish()
    reader = Reader(data)
    assert ReplayWindow.parse(reader) == window
    reader.finish("window")
    for size in range(len(data)):
        with pytest.raises(MalformedError):
            ReplayWindow.parse(Reader(data[:size]))
