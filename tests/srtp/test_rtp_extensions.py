"""Header extensions in both forms, parsed and read in place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtp.extensions import (
    ONE_BYTE,
    TWO_BYTE,
    NumberReader,
    audio_level,
    iterate_extensions,
    pack_audio_level,
    pack_extensions,
    pack_sequence_number,
    read_extension,
)
from srtp.rtp import RtpPacket, pack_packet
from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError

# The examples of RFC 8285 §4.2 and §4.3, with values filled in.
ONE_BYTE_EXAMPLE = bytes.fromhex("10 aa 21 bbbb 00 00 33 cccccccc")
TWO_BYTE_EXAMPLE = bytes.fromhex("01 00 02 01 bb 00 03 04 cccccccc")


def packet_with(profile: int, body: bytes, csrcs: tuple[int, ...] = ()) -> bytes:
    writer = Writer()
    RtpPacket(
        payload_type=0,
        sequence_number=0,
        timestamp=0,
        ssrc=0,
        csrcs=csrcs,
        extension_profile=profile,
        extension=body + bytes(-len(body) % 4),
        payload=b"voice",
    ).serialize(writer)
    return writer.finish()


def test_examples_of_the_rfc() -> None:
    assert list(iterate_extensions(ONE_BYTE, ONE_BYTE_EXAMPLE)) == [(1, b"\xaa"), (2, b"\xbb" * 2), (3, b"\xcc" * 4)]
    expected = [(1, b""), (2, b"\xbb"), (3, b"\xcc" * 4)]
    assert list(iterate_extensions(TWO_BYTE, TWO_BYTE_EXAMPLE)) == expected
    assert list(iterate_extensions(TWO_BYTE | 0xF, TWO_BYTE_EXAMPLE)) == expected
    assert list(iterate_extensions(0x1234, TWO_BYTE_EXAMPLE)) == []


@pytest.mark.parametrize("reserved", ["f0", "f3", "01"])
def test_reserved_elements_end_it(reserved: str) -> None:
    body = bytes.fromhex("10 aa" + reserved + "20 bb")
    assert list(iterate_extensions(ONE_BYTE, body)) == [(1, b"\xaa")]
    packet = packet_with(ONE_BYTE, body)
    assert read_extension(packet, 1) == b"\xaa"
    assert read_extension(packet, 2) is None
    assert read_extension(packet, 15) is None
    assert read_extension(packet, 0) is None


def test_elements_that_do_not_end() -> None:
    assert list(iterate_extensions(ONE_BYTE, bytes.fromhex("10 aa 2f bb"))) == [(1, b"\xaa")]
    assert list(iterate_extensions(TWO_BYTE, bytes.fromhex("01 00 02"))) == [(1, b"")]
    assert list(iterate_extensions(TWO_BYTE, bytes.fromhex("01 00 02 02 bb"))) == [(1, b"")]
    # What follows the extension is payload, and no part of it.
    assert read_extension(packet_with(ONE_BYTE, bytes.fromhex("10 aa 2f bb")), 2) is None


one_byte_elements = st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=6)
any_elements = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=6)


@given(one_byte_elements | any_elements)
def test_round_trip(elements: list[tuple[int, bytes]]) -> None:
    extension = pack_extensions(elements)
    packet = RtpPacket.parse(Reader(pack_packet(0, 0, 0, 0, b"voice", extension=extension)))
    assert packet.payload == b"voice"
    if not elements:
        assert packet.extension_profile is None
        return
    fits = all(identifier < 15 and 1 <= len(data) <= 16 for identifier, data in elements)
    assert packet.extension_profile == (ONE_BYTE if fits else TWO_BYTE)
    assert list(iterate_extensions(packet.extension_profile, packet.extension)) == elements


@given(
    st.sampled_from([ONE_BYTE, TWO_BYTE, 0x100A, 0x5555]),
    st.binary(max_size=40),
    st.integers(1, 255),
    st.lists(st.just(0xFFFFFFFF), max_size=3).map(tuple),
)
def test_reading_in_place_agrees(profile: int, body: bytes, identifier: int, csrcs: tuple[int, ...]) -> None:
    body += bytes(-len(body) % 4)
    elements = iterate_extensions(profile, body)
    expected = next((data for found, data in elements if found == identifier), None)
    assert read_extension(packet_with(profile, body, csrcs), identifier) == expected


@given(st.binary(max_size=80).map(lambda tail: b"\x91" + tail), st.integers(0, 255))
def test_noise_gives_none_or_bytes_of_the_packet(data: bytes, identifier: int) -> None:
    assert (read_extension(data, identifier) or b"") in data


def test_an_extension_that_does_not_end() -> None:
    whole = packet_with(ONE_BYTE, bytes.fromhex("10 aa 00 00"))[:20]
    assert read_extension(whole, 1) == b"\xaa"
    assert read_extension(whole[:15] + b"\2" + whole[16:], 1) is None


def test_a_packet_without_extension() -> None:
    assert read_extension(pack_packet(0, 0, 0, 0, ONE_BYTE_EXAMPLE), 1) is None


@pytest.mark.parametrize("wrong", [(0, b"a"), (256, b"a"), (1, bytes(256))])
def test_elements_that_do_not_exist(wrong: tuple[int, bytes]) -> None:
    with pytest.raises(LocalProtocolError):
        pack_extensions([wrong])


def test_audio_level() -> None:
    assert pack_audio_level(True, 30) == b"\x9e"
    assert pack_audio_level(False, 1000) == b"\x7f"
    assert pack_audio_level(False, -1) == b"\x00"
    assert audio_level(b"\x9e") == (True, 30)
    assert audio_level(b"\x7f") == (False, 127)
    assert audio_level(b"") is None


def test_sequence_number() -> None:
    packet = pack_packet(0, 0, 0, 0, b"", extension=pack_extensions([(1, b"\x80"), (3, pack_sequence_number(0x1FFFE))]))
    assert read_extension(packet, 3) == b"\xff\xfe"


layouts = st.lists(
    st.tuples(
        st.sampled_from([ONE_BYTE, TWO_BYTE, 0xBEDF]),
        st.lists(
            st.sampled_from([b"\x10\xaa", b"\x31\xbb\xcc", b"\x30\xdd", b"\x00", b"\x52\x31\x00\x31", b"\xf0\x31\x01"])
        ),
        st.sampled_from([(), (7,)]),
        st.integers(0, 4),
    ),
    max_size=12,
)


def number_in(packet: bytes, identifier: int) -> int | None:
    data = read_extension(packet, identifier)
    return None if data is None or len(data) != 2 else int.from_bytes(data, "big")


@given(layouts, st.integers(0, 15))
def test_one_packet_after_another_is_read_alike(packets: list, identifier: int) -> None:
    """A layout that is remembered changes nothing, whatever comes next: fuzzed, cut off, laid out otherwise."""
    reader = NumberReader(identifier, 2)
    for profile, elements, csrcs, missing in packets:
        body = b"".join(elements)
        whole = packet_with(profile, body + bytes(-len(body) % 4), csrcs)
        for data in (whole, whole[: len(whole) - missing], bytes([whole[0] & 0xEF]) + whole[1:], whole):
            assert reader.read(data) == number_in(data, identifier)


@given(
    st.lists(st.binary(max_size=40).map(lambda tail: b"\x90" + bytes(11) + b"\xbe\xde\0\2" + tail)), st.integers(1, 14)
)
def test_noise_is_read_alike(packets: list[bytes], identifier: int) -> None:
    reader = NumberReader(identifier, 2)
    for data in packets:
        for packet in (data, data, data[:-1], data[:20] + bytes(8)):
            assert reader.read(packet) == number_in(packet, identifier)


def test_what_is_laid_out_alike_is_not_walked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = [
        pack_packet(0, 0, 0, 0, b"voice", extension=pack_extensions([(1, b"\x80"), (3, pack_sequence_number(each))]))
        for each in range(5)
    ]
    reader = NumberReader(3, 2)
    assert reader.read(packets[0]) == 0
    monkeypatch.setattr("srtp.extensions.read_extension", None)
    assert [reader.read(packet) for packet in packets] == list(range(5))
