"""RTP packets: the codec's laws, and that the quick readers agree with the record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtp.rtp import RtpPacket, header_size, pack_packet, read_header
from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)


@st.composite
def packets(draw: st.DrawFn) -> RtpPacket:
    has_extension = draw(st.booleans())
    return RtpPacket(
        payload_type=draw(st.integers(0, 127)),
        sequence_number=draw(U16),
        timestamp=draw(U32),
        ssrc=draw(U32),
        marker=draw(st.booleans()),
        csrcs=tuple(draw(st.lists(U32, max_size=15))),
        extension_profile=draw(U16) if has_extension else None,
        extension=bytes(4 * draw(st.integers(0, 4))) if has_extension else b"",
        payload=draw(st.binary(max_size=40)),
        padding_size=draw(st.integers(0, 255)),
    )


def serialized(packet: RtpPacket) -> bytes:
    writer = Writer()
    packet.serialize(writer)
    return writer.finish()


def test_known_bytes() -> None:
    packet = RtpPacket(
        payload_type=111,
        sequence_number=0x1234,
        timestamp=0xDEADBEEF,
        ssrc=0xCAFEBABE,
        marker=True,
        csrcs=(1,),
        extension_profile=0xBEDE,
        extension=b"\x10\xff\0\0",
        payload=b"opus",
        padding_size=3,
    )
    expected = "b1ef1234 deadbeef cafebabe 00000001 bede0001 10ff0000 6f707573 000003"
    assert serialized(packet).hex() == expected.replace(" ", "")


@given(packets())
def test_round_trip(packet: RtpPacket) -> None:
    data = serialized(packet)
    assert RtpPacket.parse(Reader(data)) == packet
    start = header_size(data)
    assert read_header(data) == (
        packet.payload_type | packet.marker << 7,
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
        start,
        start + len(packet.payload),
    )
    assert data[start : start + len(packet.payload)] == packet.payload


@given(st.binary(max_size=60).map(lambda tail: b"\xb1" + tail) | st.binary(max_size=60))
def test_all_readers_refuse_the_same(data: bytes) -> None:
    try:
        packet = RtpPacket.parse(Reader(data))
    except MalformedError:
        assert read_header(data) is None
    else:
        assert serialized(packet)[:12] == data[:12]
        found = read_header(data)
        assert found is not None
        assert data[found[4] : found[5]] == packet.payload
        assert header_size(data) == found[4]


@given(packets())
def test_a_header_that_is_cut_is_refused(packet: RtpPacket) -> None:
    data = serialized(packet)
    for size in range(header_size(data)):
        assert read_header(data[:size]) is None
        with pytest.raises(MalformedError):
            RtpPacket.parse(Reader(data[:size]))
        with pytest.raises(MalformedError):
            header_size(data[:size])


@pytest.mark.parametrize("first", [0x00, 0x40, 0xC0])
def test_other_versions_are_refused(first: int) -> None:
    data = bytes([first]) + bytes(15)
    assert read_header(data) is None
    with pytest.raises(MalformedError):
        header_size(data)
    with pytest.raises(MalformedError):
        RtpPacket.parse(Reader(data))


@pytest.mark.parametrize("padding", [0, 5])
def test_padding_larger_than_the_payload_or_none(padding: int) -> None:
    data = b"\xa0" + bytes(11) + b"abc" + bytes([padding])
    assert read_header(data) is None
    with pytest.raises(MalformedError, match="padding"):
        RtpPacket.parse(Reader(data))
    # All of the payload may be padding.
    assert RtpPacket.parse(Reader(data[:-1] + b"\4")).payload == b""


def test_packing() -> None:
    data = pack_packet(111, 1, 2, 3, b"voice", marker=True, extension=b"\xbe\xde\0\1\x10\x80\0\0")
    packet = RtpPacket.parse(Reader(data))
    assert packet == RtpPacket(
        payload_type=111,
        sequence_number=1,
        timestamp=2,
        ssrc=3,
        marker=True,
        extension_profile=0xBEDE,
        extension=b"\x10\x80\0\0",
        payload=b"voice",
    )
    assert serialized(packet) == data
    for wrong in [(256, 1, 1, 1), (1, 1 << 16, 1, 1), (1, 1, 1 << 32, 1), (1, 1, 1, -1)]:
        with pytest.raises(LocalProtocolError):
            pack_packet(*wrong, b"")


@pytest.mark.parametrize(
    "wrong",
    [
        {"payload_type": 128},
        {"csrcs": (1,) * 16},
        {"padding_size": 256},
        {"extension": b"1234"},
        {"extension_profile": 1, "extension": b"123"},
        {"sequence_number": 1 << 16},
    ],
    ids=str,
)
def test_fields_out_of_range(wrong: dict[str, object]) -> None:
    fields = {"payload_type": 0, "sequence_number": 0, "timestamp": 0, "ssrc": 0} | wrong
    with pytest.raises(LocalProtocolError):
        serialized(RtpPacket(**fields))
