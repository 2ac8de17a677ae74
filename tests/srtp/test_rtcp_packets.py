"""RTCP packets byte by byte, the example of RFC 3550 §6.4.1, and aiortc's codec as a foreign one."""

import pytest
from aiortc import rtp as aiortc_rtp

from srtp.rtcp.compound import parse_compound, serialize_compound
from srtp.rtcp.goodbye import Goodbye
from srtp.rtcp.ntp import (
    compact_seconds,
    middle_bits,
    ntp_timestamp,
    round_trip_time,
    seconds_compact,
    unix_seconds,
)
from srtp.rtcp.receiver_report import ReceiverReport
from srtp.rtcp.report_block import ReportBlock
from srtp.rtcp.sender_report import SenderReport
from srtp.rtcp.source_description import SourceDescription
from srtp.rtcp.transport_feedback import MAX_STATUSES, TransportFeedback
from srtp.rtcp.unknown import UnknownPacket
from wire.errors import LocalProtocolError, MalformedError

BLOCK = ReportBlock(
    ssrc=0x11223344,
    fraction_lost=0x55,
    cumulative_lost=-2,
    extended_highest_sequence_number=0x00010002,
    jitter=3,
    last_sender_report=0xB7052000,
    delay_since_last_sender_report=0x00054000,
)
BLOCK_HEX = "11223344 55fffffe 00010002 00000003 b7052000 00054000"

SENDER_REPORT = SenderReport(
    ssrc=0xCAFEBABE,
    ntp_timestamp=0xB44DB70520000000,
    rtp_timestamp=960,
    packet_count=7,
    octet_count=560,
    report_blocks=(BLOCK,),
)

KNOWN = [
    (SENDER_REPORT, "81c8000c cafebabe b44db705 20000000 000003c0 00000007 00000230" + BLOCK_HEX),
    (
        ReceiverReport(ssrc=1, report_blocks=(BLOCK, BLOCK), extension=b"more"),
        "82c9000e 00000001" + BLOCK_HEX + BLOCK_HEX + "6d6f7265",
    ),
    (SourceDescription.of_cname(2, "ab"), "81ca0003 00000002 01026162 00000000"),
    (SourceDescription.of_cname(2, "abc"), "81ca0003 00000002 01036162 63000000"),
    (SourceDescription(chunks=()), "80ca0000"),
    (Goodbye(ssrcs=(1, 2)), "82cb0002 00000001 00000002"),
    (Goodbye(ssrcs=(1,), reason=b"done"), "81cb0003 00000001 04646f6e 65000000"),
    (UnknownPacket(packet_type=207, count=0, body=bytes(4)), "80cf0001 00000000"),
    # A run of one status for each packet, then deltas of one byte.
    (
        TransportFeedback(
            sender_ssrc=1,
            media_ssrc=2,
            base_sequence_number=0xFFFE,
            reference_time=-1,
            feedback_packet_count=9,
            deltas=(4, 80, 80),
        ),
        "8fcd0006 00000001 00000002 fffe0003 ffffff09 2003 045050 000000",
    ),
    # One-bit statuses for 14 packets, then a run to the end.
    (
        TransportFeedback(
            sender_ssrc=1,
            media_ssrc=2,
            base_sequence_number=5,
            reference_time=0x010203,
            feedback_packet_count=0,
            deltas=(1, None) * 7 + (None, None),
        ),
        "8fcd0007 00000001 00000002 00050010 01020300 aaaa 0002 01010101010101 00",
    ),
    # Two-bit statuses as soon as a delta takes two bytes.
    (
        TransportFeedback(
            sender_ssrc=1,
            media_ssrc=2,
            base_sequence_number=5,
            reference_time=0,
            feedback_packet_count=0,
            deltas=(1, -1, None, 256),
        ),
        "8fcd0006 00000001 00000002 00050004 00000000 d880 01ffff0100 00",
    ),
]


@pytest.mark.parametrize(("packet", "expected"), KNOWN, ids=lambda value: type(value).__name__)
def test_known_bytes(packet: object, expected: str) -> None:
    data = bytes.fromhex(expected)
    assert serialize_compound([packet]).hex() == data.hex()
    assert parse_compound(data) == (packet,)


def test_a_compound_as_chrome_sends_it() -> None:
    packets = (SENDER_REPORT, SourceDescription.of_cname(SENDER_REPORT.ssrc, "c"), Goodbye(ssrcs=(0xCAFEBABE,)))
    assert parse_compound(serialize_compound(packets)) == packets


class TestForeignCodec:
    def test_reports(self) -> None:
        report, names, goodbye = aiortc_rtp.RtcpPacket.parse(
            serialize_compound([SENDER_REPORT, SourceDescription.of_cname(5, "name"), Goodbye(ssrcs=(5,))])
        )
        assert report.ssrc == SENDER_REPORT.ssrc
        assert report.sender_info.ntp_timestamp == SENDER_REPORT.ntp_timestamp
        assert report.sender_info.rtp_timestamp == 960
        assert (report.sender_info.packet_count, report.sender_info.octet_count) == (7, 560)
        (block,) = report.reports
        assert (block.ssrc, block.fraction_lost, block.packets_lost) == (0x11223344, 0x55, -2)
        assert (block.highest_sequence, block.jitter) == (0x00010002, 3)
        assert (block.lsr, block.dlsr) == (0xB7052000, 0x00054000)
        assert names.chunks[0].items == [(1, b"name")]
        assert goodbye.sources == [5]
        assert bytes(report) + bytes(names) + bytes(goodbye) == serialize_compound(
            [SENDER_REPORT, SourceDescription.of_cname(5, "name"), Goodbye(ssrcs=(5,))]
        )

    def test_their_names(self) -> None:
        # One source, as WebRTC has it, named by a UUID as aiortc does; it does not align more chunks than one.
        theirs = aiortc_rtp.RtcpSdesPacket(chunks=[aiortc_rtp.RtcpSourceInfo(ssrc=7, items=[(1, b"x" * 36)])])
        assert parse_compound(bytes(theirs)) == (SourceDescription.of_cname(7, "x" * 36),)

    def test_their_feedback_is_unknown_and_kept(self) -> None:
        data = bytes(aiortc_rtp.RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=2, lost=[5]))
        (packet,) = parse_compound(data)
        assert isinstance(packet, UnknownPacket)
        assert serialize_compound([packet]) == data


class TestTransportFeedback:
    def parse(self, tail: str) -> TransportFeedback:
        body = bytes.fromhex("00000001 00000002" + tail)
        body += bytes(-len(body) % 4)
        (packet,) = parse_compound(b"\x8f\xcd" + (len(body) // 4).to_bytes(2, "big") + body)
        assert isinstance(packet, TransportFeedback)
        return packet

    def test_arrivals(self) -> None:
        feedback = self.parse("ffff0003 00000200 e200 0004 0008")
        assert feedback.deltas == (4, None, 8)
        assert feedback.reference_time == 2
        assert list(feedback.arrivals()) == [
            (0xFFFF, pytest.approx(0.129)),
            (0, None),
            (1, pytest.approx(0.131)),
        ]

    def test_times_add_up(self) -> None:
        feedback = TransportFeedback(
            sender_ssrc=1,
            media_ssrc=2,
            base_sequence_number=0xFFFF,
            reference_time=2,
            feedback_packet_count=0,
            deltas=(4, None, -8, 4000),
        )
        assert list(feedback.arrivals()) == [
            (0xFFFF, pytest.approx(0.129)),
            (0, None),
            (1, pytest.approx(0.127)),
            (2, pytest.approx(1.127)),
        ]

    def test_padding_with_the_p_bit(self) -> None:
        """As libwebrtc writes it."""
        data = bytes.fromhex("afcd0006 00000001 00000002 00010003 00000000 2003 010203 000003")
        (packet,) = parse_compound(data)
        assert isinstance(packet, TransportFeedback)
        assert packet.deltas == (1, 2, 3)

    def test_a_run_longer_than_the_count_is_cut(self) -> None:
        assert self.parse("00010002 00000000 3fff 0102").deltas == (1, 2)

    @pytest.mark.parametrize(
        ("tail", "problem"),
        [
            ("00010000 00000000", "is 0"),
            (f"0001{MAX_STATUSES + 1:04x} 00000000 1fff 1fff", "is 8192"),
            ("00010001 00000000", "packet chunk"),
            ("00010001 00000000 6001", "reserved"),
            ("00010003 00000000 2003 01", "recv delta"),
            ("00010001 00000000 2001 01 00 00000000", "trailing"),
        ],
    )
    def test_malformed(self, tail: str, problem: str) -> None:
        with pytest.raises(MalformedError, match=problem):
            self.parse(tail)

    def test_the_longest(self) -> None:
        feedback = self.parse(f"0001{MAX_STATUSES:04x} 00000000 1fff")
        assert feedback.deltas == (None,) * MAX_STATUSES
        assert len(serialize_compound([feedback])) == 24

    @pytest.mark.parametrize(
        "wrong",
        [
            {"deltas": ()},
            {"deltas": (None,) * (MAX_STATUSES + 1)},
            {"deltas": (0x8000,)},
            {"deltas": (-0x8001,)},
            {"reference_time": 1 << 23},
            {"feedback_packet_count": 256},
            {"base_sequence_number": 1 << 16},
        ],
        ids=lambda wrong: next(iter(wrong)),
    )
    def test_what_does_not_fit(self, wrong: dict[str, object]) -> None:
        fields = {
            "sender_ssrc": 1,
            "media_ssrc": 2,
            "base_sequence_number": 0,
            "reference_time": 0,
            "feedback_packet_count": 0,
            "deltas": (1,),
        }
        with pytest.raises(LocalProtocolError):
            serialize_compound([TransportFeedback(**(fields | wrong))])


class TestNtp:
    """RFC 3550 §6.4.1, figure 2: 10 November 1995, 11:33:25.125 UTC."""

    UNIX_TIME = 816_003_205.125

    def test_example(self) -> None:
        assert ntp_timestamp(self.UNIX_TIME) == 0xB44DB70520000000
        assert unix_seconds(0xB44DB70520000000) == self.UNIX_TIME
        assert middle_bits(0xB44DB70520000000) == 0xB7052000
        assert compact_seconds(0xB7052000) == 46853.125
        assert seconds_compact(5.25) == 0x00054000
        assert round_trip_time(self.UNIX_TIME + 11.375, 0xB7052000, 0x00054000) == 6.125

    def test_wraps(self) -> None:
        # The middle bits wrap every 18 hours.
        start = ntp_timestamp(self.UNIX_TIME)
        until_wrap = compact_seconds(-middle_bits(start) & 0xFFFFFFFF)
        sent = self.UNIX_TIME + until_wrap - 0.25
        assert round_trip_time(sent + 1.5, middle_bits(ntp_timestamp(sent)), seconds_compact(1.0)) == 0.5
        # The seconds wrap in 2036.
        assert ntp_timestamp(2_085_978_496.0) == 0

    def test_no_sender_report_yet(self) -> None:
        # Also in the minute in which the middle bits are near zero themselves.
        assert round_trip_time(2_085_978_496.0 + 10, 0, 0) is None

    def test_what_cannot_be(self) -> None:
        assert round_trip_time(self.UNIX_TIME, 0, 0) is None
        now = middle_bits(ntp_timestamp(self.UNIX_TIME))
        assert round_trip_time(self.UNIX_TIME, now, 1) is None
        assert round_trip_time(self.UNIX_TIME + 3600, now, 0) is None
        assert round_trip_time(self.UNIX_TIME, now, 0) == 0

    def test_delays_stay_in_their_field(self) -> None:
        assert seconds_compact(-1.0) == 0
        assert seconds_compact(1e9) == 0xFFFFFFFF
