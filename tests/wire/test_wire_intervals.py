"""Reassembly against a model of one cell a byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import LocalProtocolError
from wire.intervals import IntervalBuffer


@st.composite
def pieces(draw):
    length = draw(st.integers(0, 60))
    fragments = []
    for _ in range(draw(st.integers(0, 25))):
        offset = draw(st.integers(0, length))
        size = draw(st.integers(0, length - offset))
        fragments.append((offset, bytes([draw(st.integers(0, 255))]) * size))
    return length, fragments


@given(pieces())
def test_like_the_model(case):
    length, fragments = case
    buffer = IntervalBuffer(length)
    cells: list[int | None] = [None] * length
    for offset, fragment in fragments:
        brought = False
        for position, byte in enumerate(fragment, offset):
            if cells[position] is None:  # what was received first stays
                cells[position] = byte
                brought = True
        assert buffer.add(offset, fragment) is brought
        assert buffer.is_complete is (None not in cells)
        pieces_filled = sum(
            cell is not None and (position == 0 or cells[position - 1] is None) for position, cell in enumerate(cells)
        )
        assert buffer.gap_count == pieces_filled
    if None in cells:
        with pytest.raises(LocalProtocolError, match="not complete"):
            buffer.take()
    else:
        assert buffer.take() == bytes(cells)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_any_cut_in_any_order(message, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(message)))) | {len(message)})
    fragments = [(start, message[start:end]) for start, end in zip([0, *cuts], cuts, strict=False)]
    buffer = IntervalBuffer(len(message))
    for count, (offset, fragment) in enumerate(data.draw(st.permutations(fragments)), 1):
        assert buffer.add(offset, fragment)
        assert buffer.is_complete is (count == len(fragments))
        assert not buffer.add(offset, fragment)
    assert buffer.take() == message


def test_later_bytes_do_not_change_earlier_ones():
    buffer = IntervalBuffer(6)
    buffer.add(2, b"cd")
    assert buffer.add(0, b"XXXXXX")
    assert buffer.take() == b"XXcdXX"


def test_an_empty_message_is_complete():
    buffer = IntervalBuffer(0)
    assert buffer.is_complete
    assert not buffer.add(0, b"")
    assert buffer.take() == b""


@pytest.mark.parametrize(("offset", "fragment"), [(0, b"12345"), (4, b"1"), (-1, b"12"), (5, b"")])
def test_beyond_the_message_is_the_callers_mistake(offset, fragment):
    buffer = IntervalBuffer(4)
    with pytest.raises(LocalProtocolError):
        buffer.add(offset, fragment)
    assert buffer.gap_count == 0


def test_fragments_that_never_complete_cost_no_more_than_the_message():
    buffer = IntervalBuffer(1000)
    for _ in range(3):
        for offset in range(0, 1000, 2):
            buffer.add(offset, b"x")
    assert buffer.gap_count == 500
    assert not buffer.is_complete
