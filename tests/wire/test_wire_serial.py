"""Numbers that wrap: RFC 1982's comparison, and unwrapping against counting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.serial import Unwrapper, serial_distance, serial_is_newer

bits = st.sampled_from([8, 16, 24, 32, 48])


def test_the_examples_of_rfc_1982():
    # RFC 1982 §5.1, in a space of two bits: 1 > 0, 2 > 1, 3 > 2, 0 > 3; 0 and 2 cannot be compared.
    assert [serial_is_newer(newer, older, 2) for newer, older in ((1, 0), (2, 1), (3, 2), (0, 3))] == [True] * 4
    assert serial_distance(2, 0, 2) == serial_distance(0, 2, 2) == -2
    # RFC 1982 §5.2, in eight bits.
    for newer, older in (
        (1, 0),
        (44, 0),
        (100, 0),
        (100, 44),
        (200, 100),
        (255, 200),
        (0, 255),
        (100, 255),
        (0, 200),
        (44, 200),
    ):
        assert serial_is_newer(newer, older, 8)
        assert not serial_is_newer(older, newer, 8)


@given(bits, st.data())
def test_distance_undoes_addition(width, data):
    older = data.draw(st.integers(0, 2**width - 1))
    ahead = data.draw(st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1))
    assert serial_distance((older + ahead) % 2**width, older, width) == ahead


def test_half_the_space_counts_as_behind():
    assert serial_distance(0x8000, 0, 16) == -0x8000
    assert not serial_is_newer(0x8000, 0, 16)
    assert serial_is_newer(0x7FFF, 0, 16)


@given(bits, st.integers(0, 2**50), st.lists(st.integers(-100, 126), max_size=50))
def test_unwrapping_follows_a_counter(width, start, steps):
    """Numbers that jump ahead by less than half the space, or come late, are what they were before they wrapped."""
    unwrapper = Unwrapper(width)
    offset = start - start % 2**width  # the unwrapper starts with the first number as it is
    highest = start
    assert unwrapper.unwrap(start % 2**width) == start - offset
    for step in steps:
        number = highest + step
        if number < 0:
            continue
        assert unwrapper.peek(number % 2**width) == number - offset
        assert unwrapper.unwrap(number % 2**width) == number - offset
        highest = max(highest, number)
        assert unwrapper.last == highest - offset


def test_the_turn_of_sixteen_bits():
    unwrapper = Unwrapper(16)
    assert [unwrapper.unwrap(n) for n in (65534, 65535, 0, 1, 65535, 2)] == [65534, 65535, 65536, 65537, 65535, 65538]


def test_before_the_first_number_lies_the_negative():
    unwrapper = Unwrapper(16)
    assert unwrapper.unwrap(0) == 0
    assert unwrapper.unwrap(65535) == -1
    assert unwrapper.last == 0


def test_peek_remembers_nothing():
    unwrapper = Unwrapper(16)
    assert unwrapper.peek(7) == 7
    assert unwrapper.last is None
    unwrapper.unwrap(65535)
    assert unwrapper.peek(0) == 65536
    assert unwrapper.last == 65535


@pytest.mark.parametrize("width", [16, 32])
def test_many_turns(width):
    unwrapper = Unwrapper(width)
    stride = 2 ** (width - 1) - 1
    for turn in range(100):
        assert unwrapper.unwrap(turn * stride % 2**width) == turn * stride
