"""Laws that every RTCP record keeps; records are found by looking, so none can be forgotten."""

import contextlib
import importlib
import pkgutil
from typing import get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import srtp.rtcp
from srtp.rtcp.compound import MAX_PACKETS, Packet, parse_compound, serialize_compound
from srtp.rtcp.goodbye import Goodbye
from srtp.rtcp.receiver_report import ReceiverReport
from srtp.rtcp.report_block import ReportBlock
from srtp.rtcp.sender_report import SenderReport
from srtp.rtcp.source_description import SdesChunk, SdesItem, SourceDescription
from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.rtcp.unknown import UnknownPacket
from wire.errors import LocalProtocolError, MalformedError

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
WORDS = st.integers(0, 5).map(lambda words: bytes(range(4 * words)))

BLOCKS = st.builds(
    ReportBlock,
    ssrc=U32,
    fraction_lost=U8,
    cumulative_lost=st.integers(-(1 << 23), (1 << 23) - 1),
    extended_highest_sequence_number=U32,
    jitter=U32,
    last_sender_report=U32,
    delay_since_last_sender_report=U32,
)
BLOCK_TUPLES = st.lists(BLOCKS, max_size=4).map(tuple)
ITEMS = st.builds(SdesItem, item_type=st.integers(1, 255), text=st.binary(max_size=20))
CHUNKS = st.builds(SdesChunk, ssrc=U32, items=st.lists(ITEMS, max_size=3).map(tuple))
KNOWN = {(200, None), (201, None), (202, None), (203, None), (205, 15)}
DELTAS = st.none() | st.integers(0, 255) | st.integers(-0x8000, 0x7FFF)

STRATEGIES: dict[type, st.SearchStrategy[Packet]] = {
    SenderReport: st.builds(
        SenderReport,
        ssrc=U32,
        ntp_timestamp=st.integers(0, (1 << 64) - 1),
        rtp_timestamp=U32,
        packet_count=U32,
        octet_count=U32,
        report_blocks=BLOCK_TUPLES,
        extension=WORDS,
    ),
    ReceiverReport: st.builds(ReceiverReport, ssrc=U32, report_blocks=BLOCK_TUPLES, extension=WORDS),
    SourceDescription: st.builds(SourceDescription, chunks=st.lists(CHUNKS, max_size=3).map(tuple)),
    Goodbye: st.builds(Goodbye, ssrcs=st.lists(U32, max_size=4).map(tuple), reason=st.binary(max_size=20)),
    TransportFeedback: st.builds(
        TransportFeedback,
        sender_ssrc=U32,
        media_ssrc=U32,
        base_sequence_number=U16,
        reference_time=st.integers(-(1 << 23), (1 << 23) - 1),
        feedback_packet_count=U8,
        # Runs and mixtures, so that all kinds of chunks are made.
        deltas=st.lists(st.tuples(DELTAS, st.sampled_from([1, 1, 2, 8, 20])), min_size=1, max_size=12).map(
            lambda runs: tuple(delta for delta, length in runs for _ in range(length))
        ),
    ),
    UnknownPacket: st.builds(UnknownPacket, packet_type=U8, count=st.integers(0, 31), body=WORDS).filter(
        lambda packet: not KNOWN & {(packet.packet_type, None), (packet.packet_type, packet.count)}
    ),
}


def records() -> list[type]:
    """Every record under `srtp.rtcp` that has a header of its own."""
    found = []
    for module_info in pkgutil.iter_modules(srtp.rtcp.__path__):
        module = importlib.import_module(f"srtp.rtcp.{module_info.name}")
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type) and attrs.has(value) and value.__module__ == module.__name__
        ]
    return found


PARTS = {ReportBlock, SdesChunk, SdesItem}


def test_every_record_is_tested_and_reachable() -> None:
    assert set(records()) - PARTS == set(STRATEGIES) == set(get_args(Packet))


@pytest.mark.parametrize("record", records(), ids=lambda record: record.__name__)
def test_records_are_frozen_and_by_keyword(record: type) -> None:
    assert all(field.kw_only for field in attrs.fields(record))
    assert record.__setattr__ is not object.__setattr__


@pytest.mark.parametrize("record", STRATEGIES, ids=lambda record: record.__name__)
class TestLaws:
    @given(data=st.data())
    def test_round_trip(self, record: type, data: st.DataObject) -> None:
        packet = data.draw(STRATEGIES[record])
        serialized = serialize_compound([packet])
        assert len(serialized) % 4 == 0
        assert parse_compound(serialized) == (packet,)
        assert serialize_compound(parse_compound(serialized)) == serialized

    @given(data=st.data())
    def test_no_strict_prefix_and_no_trailing_byte(self, record: type, data: st.DataObject) -> None:
        serialized = serialize_compound([data.draw(STRATEGIES[record])])
        for size in range(len(serialized)):
            with pytest.raises(MalformedError):
                parse_compound(serialized[:size])
        with pytest.raises(MalformedError):
            parse_compound(serialized + b"\0")

    @given(data=st.data())
    def test_mutated_bytes_raise_only_malformed(self, record: type, data: st.DataObject) -> None:
        serialized = bytearray(serialize_compound([data.draw(STRATEGIES[record])]))
        for _ in range(data.draw(st.integers(1, 4))):
            serialized[data.draw(st.integers(0, len(serialized) - 1))] = data.draw(U8)
        try:
            packets = parse_compound(bytes(serialized))
        except MalformedError:
            return
        # What parses is canonical from then on.
        assert parse_compound(serialize_compound(packets)) == packets

    @given(data=st.data())
    def test_padding_is_stripped(self, record: type, data: st.DataObject) -> None:
        packet = data.draw(STRATEGIES[record])
        serialized = bytearray(serialize_compound([packet]))
        serialized[0] |= 0x20
        serialized[3] += 2
        if serialized[3] < 2:
            serialized[2] += 1
        padded = bytes(serialized) + bytes(7)
        # Also in front of another packet.
        first, second = parse_compound(padded + b"\x08" + serialize_compound([packet]))
        assert second == packet
        if isinstance(first, UnknownPacket):
            assert first.padding_size == 8
            assert serialize_compound([first]) == padded + b"\x08"
            first = attrs.evolve(first, padding_size=0)
        assert first == packet
        for wrong in (0, len(padded) - 2):
            if wrong < 256:
                with pytest.raises(MalformedError, match="padding"):
                    parse_compound(padded + bytes([wrong]))


@given(st.lists(st.one_of(*STRATEGIES.values()), min_size=1, max_size=6))
def test_compounds(packets: list[Packet]) -> None:
    data = serialize_compound(packets)
    assert parse_compound(data) == tuple(packets)


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda body: b"\x8f\xcd\0\5" + body))
def test_noise_raises_only_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        parse_compound(data)


def test_words_that_padding_cuts() -> None:
    """Padding of one byte is what libwebrtc gives feedback; a report cannot have it."""
    with pytest.raises(MalformedError, match="words"):
        parse_compound(bytes.fromhex("a0c90002 00000001 00000001"))
    unknown = parse_compound(bytes.fromhex("a1cd0002 00000001 00000001"))
    assert unknown == (UnknownPacket(packet_type=205, count=1, body=b"\0\0\0\1\0\0\0", padding_size=1),)


def test_compound_bounds() -> None:
    empty = UnknownPacket(packet_type=207, count=0)
    assert len(parse_compound(serialize_compound([empty] * MAX_PACKETS))) == MAX_PACKETS
    with pytest.raises(MalformedError, match="more than"):
        parse_compound(serialize_compound([empty] * (MAX_PACKETS + 1)))
    with pytest.raises(MalformedError):
        parse_compound(b"")
    with pytest.raises(LocalProtocolError):
        serialize_compound([])


@pytest.mark.parametrize("version", [0, 1, 3])
def test_other_versions(version: int) -> None:
    data = bytearray(serialize_compound([ReceiverReport(ssrc=1)]))
    data[0] = version << 6
    with pytest.raises(MalformedError, match="version"):
        parse_compound(bytes(data))
    # RFC 3550 A.2: of every packet, not only the first.
    with pytest.raises(MalformedError, match="version"):
        parse_compound(serialize_compound([ReceiverReport(ssrc=1)]) + bytes(data))


@pytest.mark.parametrize(
    "wrong",
    [
        ReceiverReport(ssrc=1 << 32),
        ReceiverReport(ssrc=1, report_blocks=(ReportBlock(ssrc=1),) * 32),
        ReceiverReport(ssrc=1, report_blocks=(ReportBlock(ssrc=1, cumulative_lost=1 << 23),)),
        ReceiverReport(ssrc=1, report_blocks=(ReportBlock(ssrc=1, cumulative_lost=-(1 << 23) - 1),)),
        ReceiverReport(ssrc=1, extension=b"123"),
        Goodbye(ssrcs=(1,), reason=bytes(256)),
        Goodbye(ssrcs=(1,) * 32),
        SourceDescription(chunks=(SdesChunk(ssrc=1, items=(SdesItem(item_type=0, text=b""),)),)),
        SourceDescription(chunks=(SdesChunk(ssrc=1, items=(SdesItem(item_type=1, text=bytes(256)),)),)),
        UnknownPacket(packet_type=256, count=0),
        UnknownPacket(packet_type=204, count=32),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_what_does_not_fit_is_our_mistake(wrong: Packet) -> None:
    with pytest.raises(LocalProtocolError):
        serialize_compound([wrong])
