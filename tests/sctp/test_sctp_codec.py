"""Packets byte by byte: the checksum, what Chrome sends, what is cut, and what is unknown."""

import base64

import pytest

from sctp.checksum import checksum_of, crc32c
from sctp.chunks.abort import Abort
from sctp.chunks.chunk import serialize_chunk
from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.data import Data
from sctp.chunks.heartbeat import Heartbeat
from sctp.chunks.init import Init
from sctp.chunks.sack import Sack
from sctp.chunks.unknown import UnknownChunk
from sctp.packet import Packet, parse_packet, serialize_packet
from sctp.parameters.forward_tsn_supported import ForwardTsnSupported
from sctp.parameters.parameter import serialize_parameter
from sctp.parameters.supported_extensions import SupportedExtensions
from sctp.parameters.unknown import UnknownParameter
from sctp.unrecognized import UnrecognizedAction, sift
from wire.errors import MalformedError


def sealed(data: bytes) -> bytes:
    return data[:8] + checksum_of(data) + data[12:]


def in_packet(chunks: str, tag: int = 0) -> bytes:
    """Put a common header in front of chunks, given in hex."""
    return sealed(bytes.fromhex("13881388") + tag.to_bytes(4, "big") + bytes(4) + bytes.fromhex(chunks))


class TestChecksum:
    @pytest.mark.parametrize(
        ("data", "crc"),
        [
            (bytes(32), "aa36918a"),
            (b"\xff" * 32, "43aba862"),
            (bytes(range(32)), "4e79dd46"),
            (bytes(range(31, -1, -1)), "5cdb3f11"),
            (
                bytes.fromhex(
                    "01c00000 00000000 00000000 00000000 14000000 00000400"
                    "00000014 00000018 28000000 00000000 02000000 00000000"
                ),
                "563a96d9",
            ),
        ],
        ids=["zeros", "ones", "rising", "falling", "iSCSI read"],
    )
    def test_rfc3720_b4(self, data: bytes, crc: str) -> None:
        assert crc32c(data).to_bytes(4, "little").hex() == crc

    def test_by_long_division(self) -> None:
        """RFC 9260 appendix A, bit by bit."""
        packet = in_packet("0a000008 c0ffee00")
        register = 0xFFFF_FFFF
        for byte in packet[:8] + bytes(4) + packet[12:]:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
        assert (register ^ 0xFFFF_FFFF).to_bytes(4, "little") == packet[8:12]

    def test_every_bit_is_covered(self) -> None:
        packet = in_packet("0b000004", tag=7)
        assert parse_packet(packet).chunks == (CookieAck(),)
        for bit in range(8 * len(packet)):
            damaged = bytearray(packet)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(MalformedError, match="Checksum"):
                parse_packet(bytes(damaged))

    def test_a_checksum_of_zero_is_no_way_around_it(self) -> None:
        packet = in_packet("0b000004", tag=7)
        with pytest.raises(MalformedError, match="Checksum"):
            parse_packet(packet[:8] + bytes(4) + packet[12:])


class TestChrome:
    # The chunk that Chromium 156 puts into `a=sctp-init`, without padding; on the wire it is 44 bytes with its header.
    CHUNK = base64.b64decode("AQAAHlWd1w4AUAAA/////548rIfAAAAEgAgABoLA")

    def test_init(self) -> None:
        data = in_packet(self.CHUNK.hex() + "0000")
        assert len(data) == 44
        packet = parse_packet(data)
        assert packet == Packet(
            source_port=5000,
            destination_port=5000,
            verification_tag=0,
            chunks=(
                Init(
                    initiate_tag=0x559DD70E,
                    a_rwnd=5 << 20,
                    outbound_streams=65535,
                    inbound_streams=65535,
                    initial_tsn=0x9E3CAC87,
                    parameters=(ForwardTsnSupported(), SupportedExtensions(chunk_types=(130, 192))),
                ),
            ),
        )
        assert serialize_packet(packet) == data


def test_a_data_chunk_bit_by_bit() -> None:
    data = Data(
        is_immediate=True,
        is_end=False,
        tsn=0x01020304,
        stream_id=5,
        stream_sequence_number=6,
        ppid=51,
        user_data=b"abc",
    )
    assert serialize_chunk(data).hex(" ", 4) == "000a0013 01020304 00050006 00000033 61626300"
    (parsed,) = parse_packet(in_packet("00f50011 00000001 00020003 00000035 78ffffff")).chunks
    assert parsed == Data(
        is_unordered=True,
        is_beginning=False,
        tsn=1,
        stream_id=2,
        stream_sequence_number=3,
        ppid=53,
        user_data=b"x",
    )


def test_a_sack_as_in_the_rfc() -> None:
    """RFC 9260 §3.3.4: 10 to 12, 14, 15 and 17 have arrived."""
    sack = Sack(cumulative_tsn_ack=12, a_rwnd=4660, gap_ack_blocks=((2, 3), (5, 5)))
    assert serialize_chunk(sack).hex(" ", 4) == "03000018 0000000c 00001234 00020000 00020003 00050005"


class TestPartial:
    """RFC 9260 §6.10: a partial chunk is dropped, and what is in front of it is not."""

    WHOLE = "0b000004"

    @pytest.mark.parametrize(
        ("behind", "field", "offset"),
        [
            ("00", "Chunk Flags", 17),
            ("0003", "Chunk Length", 18),
            ("000300", "Chunk Length", 18),
            ("00030014 00000001", "Chunk Value", 20),
            ("00030011 00000001 00020003 00000035 78", "Chunk Padding", 33),
            ("00030003", "Chunk Length", 18),
            ("00000000", "Chunk Length", 18),
        ],
    )
    def test_behind_a_whole_one(self, behind: str, field: str, offset: int) -> None:
        packet = parse_packet(in_packet(self.WHOLE + behind))
        assert packet.chunks == (CookieAck(),)
        assert packet.partial is not None
        assert (packet.partial.field, packet.partial.offset) == (field, offset)

    def test_first(self) -> None:
        with pytest.raises(MalformedError, match="Chunk Value at byte 16"):
            parse_packet(in_packet("00030014 00000001"))

    def test_none_at_all(self) -> None:
        with pytest.raises(MalformedError, match="Chunk Type at byte 12"):
            parse_packet(in_packet(""))

    @pytest.mark.parametrize(
        ("chunk", "field"),
        [
            ("0003000c 00000001 00020003", "Payload Protocol Identifier"),
            ("03000010 00000001 00001234 00010000", "Gap Ack Block Start"),
            ("03000010 00000001 00001234 0000ffff", "Duplicate TSN"),
            ("03000014 00000001 00001234 00000000 00000000", "SACK"),
            ("07000004", "Cumulative TSN Ack"),
            ("0b000008 00000000", "COOKIE ACK"),
            ("c000000a 00000001 00010000", "Stream Sequence"),
            ("0100000c 00000001 00100000", "Number of Outbound Streams"),
            ("82000008 00100003", "parameter length"),
            ("82000008 00100008", "parameter value"),
            ("8200000c 00100008 00000001", "result"),
            ("04000004", "Heartbeat Information"),
            ("0400000c 00070008 00000001", "Heartbeat Information"),
            ("09000010 0002000c ffffffff 00070000", "missing parameter type"),
        ],
    )
    def test_a_whole_chunk_that_makes_no_sense(self, chunk: str, field: str) -> None:
        """It says nothing that could be relied on, so its packet says nothing."""
        with pytest.raises(MalformedError) as caught:
            parse_packet(in_packet(self.WHOLE + chunk))
        assert caught.value.field == field
        assert caught.value.offset >= 16


class TestUnknown:
    """RFC 9260 §3.2 and §3.2.1: the two highest bits of a type say what is done when it is not known."""

    @pytest.mark.parametrize(
        ("bits", "action", "is_stop", "is_reported"),
        [
            (0b00, UnrecognizedAction.STOP, True, False),
            (0b01, UnrecognizedAction.STOP_AND_REPORT, True, True),
            (0b10, UnrecognizedAction.SKIP, False, False),
            (0b11, UnrecognizedAction.SKIP_AND_REPORT, False, True),
        ],
    )
    def test_high_bits(self, bits: int, action: UnrecognizedAction, is_stop: bool, is_reported: bool) -> None:
        unknown = UnknownChunk(type=bits << 6 | 0x3E)
        parameter = UnknownParameter(type=bits << 14 | 0x3FFF)
        assert unknown.action is parameter.action is action
        assert (action.is_stop, action.is_reported) == (is_stop, is_reported)
        before, behind = CookieAck(), Abort()
        known, reported = sift((before, unknown, behind), UnknownChunk)
        assert known == ((before,) if is_stop else (before, behind))
        assert reported == ((unknown,) if is_reported else ())
        first, last = ForwardTsnSupported(), SupportedExtensions(chunk_types=())
        assert sift((first, parameter, last), UnknownParameter) == (
            (first,) if is_stop else (first, last),
            (parameter,) if is_reported else (),
        )

    def test_bytes_are_kept(self) -> None:
        data = in_packet("0b000004 fe5a0007 01020300 c000000c 00000001 00020003")
        packet = parse_packet(data)
        assert packet.chunks[1] == UnknownChunk(type=0xFE, flags=0x5A, value=b"\1\2\3")
        assert serialize_packet(packet) == data

    def test_handing_them_back(self) -> None:
        assert serialize_chunk(UnknownChunk(type=0xFE, flags=0x5A, value=b"\1\2\3")).hex() == "fe5a000701020300"
        assert serialize_parameter(UnknownParameter(type=0xC0FE, value=b"\1")).hex() == "c0fe000501"


def test_what_only_its_maker_understands_is_kept() -> None:
    echo, heartbeat = CookieEcho(cookie=bytes(range(7))), Heartbeat(info=bytes(range(5)))
    packet = Packet(source_port=1, destination_port=2, verification_tag=3, chunks=(echo, heartbeat))
    assert parse_packet(serialize_packet(packet)) == packet
