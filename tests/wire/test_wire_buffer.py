"""Reader and Writer: what is written is read, nothing beyond the end, and errors say where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

WIDTHS = {"u8": 1, "u16": 2, "u24": 3, "u32": 4, "u48": 6, "u64": 8}
each_width = pytest.mark.parametrize(("name", "size"), WIDTHS.items(), ids=WIDTHS)

fields = st.one_of(
    *(st.tuples(st.just(name), st.integers(0, 2 ** (8 * size) - 1)) for name, size in WIDTHS.items()),
    st.tuples(st.just("octets"), st.binary(max_size=40)),
    st.tuples(st.sampled_from(["vector1", "vector2", "vector3"]), st.binary(max_size=40)),
)


def write(structure) -> bytes:
    writer = Writer()
    for kind, value in structure:
        if kind == "octets":
            writer.octets(value)
        elif kind.startswith("vector"):
            writer.vector(int(kind[-1]), value)
        else:
            getattr(writer, kind)(value)
    return writer.finish()


def read(structure, data: bytes) -> list:
    reader = Reader(data)
    values = []
    for kind, value in structure:
        if kind == "octets":
            values.append(reader.octets(len(value), "field"))
        elif kind.startswith("vector"):
            values.append(reader.vector(int(kind[-1]), "field").rest())
        else:
            values.append(getattr(reader, kind)("field"))
    reader.finish("structure")
    return values


@given(st.lists(fields, max_size=12))
def test_what_is_written_is_read(structure):
    data = write(structure)
    assert read(structure, data) == [value for _, value in structure]


@given(st.lists(fields, max_size=8))
def test_no_strict_prefix_and_no_trailing_byte(structure):
    data = write(structure)
    for end in range(len(data)):
        with pytest.raises(MalformedError):
            read(structure, data[:end])
    with pytest.raises(MalformedError):
        read(structure, data + b"\0")


@each_width
def test_numbers_are_big_endian(name, size):
    data = bytes(range(1, size + 1))
    assert getattr(Reader(data), name)("field") == int.from_bytes(data, "big")
    assert getattr(Writer(), name)(int.from_bytes(data, "big")).finish() == data


@each_width
def test_an_error_names_the_field_and_its_offset(name, size):
    reader = Reader(bytes(3 + size - 1))
    reader.skip(3, "before")
    with pytest.raises(MalformedError) as caught:
        getattr(reader, name)("cwnd")
    assert (caught.value.field, caught.value.offset) == ("cwnd", 3)
    assert str(caught.value) == f"cwnd at byte 3: needs {size} bytes, {size - 1} are left"


@each_width
def test_a_number_that_does_not_fit_is_our_own_mistake(name, size):
    for value in (2 ** (8 * size), -1):
        with pytest.raises(LocalProtocolError, match="tag"):
            getattr(Writer(), name)(value, "tag")


def test_a_failed_read_consumes_nothing():
    reader = Reader(b"\1\2\3")
    with pytest.raises(MalformedError):
        reader.u32("big")
    assert (len(reader), reader.offset) == (3, 0)
    assert reader.u24("fits") == 0x010203


def test_nested_readers_count_from_the_outermost_buffer():
    reader = Reader(b"\xff\0\2ab!", base=100)
    reader.u8("type")
    inner = reader.vector(2, "list")
    assert inner.offset == 103
    assert len(inner) == 2
    inner.u8("first")
    with pytest.raises(MalformedError) as caught:
        inner.u16("second")
    assert caught.value.offset == 104
    # The outer reader has stepped over it, and the inner one cannot see behind its end.
    assert reader.u8("next") == ord("!")
    reader.finish("outer")


def test_sub_is_bounded_by_its_parent():
    with pytest.raises(MalformedError, match="body at byte 0: needs 5 bytes, 4 are left"):
        Reader(b"abcd").sub(5, "body")


@pytest.mark.parametrize(("length", "good"), [(1, False), (2, True), (4, True), (5, False)])
def test_vectors_have_bounds(length, good):
    reader = Reader(bytes([9, length]) + bytes(length))
    reader.u8("type")
    if good:
        assert len(reader.vector(1, "cookie", minimum=2, maximum=4)) == length
    else:
        with pytest.raises(MalformedError, match=r"cookie at byte 1: length \d is out of range"):
            reader.vector(1, "cookie", minimum=2, maximum=4)


def test_finish_says_how_much_is_left():
    reader = Reader(b"abc")
    reader.u8("a")
    with pytest.raises(MalformedError, match="hello at byte 1: 2 trailing bytes"):
        reader.finish("hello")


def test_octets_are_a_copy():
    data = bytearray(b"abcd")
    reader = Reader(data)
    taken = reader.octets(2, "field")
    data[0] = 0
    assert taken == b"ab"
    assert isinstance(taken, bytes)


def test_start_and_end_bound_the_reader():
    reader = Reader(b"abcdef", start=2, end=4)
    assert reader.rest() == b"cd"
    with pytest.raises(MalformedError):
        reader.u8("beyond")


@given(st.binary(max_size=20), st.sampled_from([1, 2, 4, 8]))
def test_padding_fills_up_to_the_multiple(data, multiple):
    written = Writer().octets(data).pad(multiple).finish()
    assert written[: len(data)] == data
    assert len(written) % multiple == 0
    assert len(written) - len(data) < multiple
    assert not any(written[len(data) :])


def test_a_vector_too_long_for_its_length_field():
    with pytest.raises(LocalProtocolError, match="session_id"):
        Writer().vector(1, bytes(256), "session_id")


def test_writer_counts():
    assert len(Writer().u16(1).octets(b"abc")) == 5
