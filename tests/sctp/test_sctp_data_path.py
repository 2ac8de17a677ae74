"""The short way writes and reads the same bytes as the records."""

import random

import pytest

from sctp.chunks.chunk import serialize_chunk
from sctp.chunks.data import Data
from sctp.chunks.heartbeat import Heartbeat
from sctp.chunks.sack import Sack
from sctp.data_path import DATA_CHUNK, PacketHeader, pack_packet, pack_sack, read_chunks, unpack_sack
from sctp.packet import Packet, parse_packet, serialize_packet
from sctp.tx.message import UNORDERED, OutgoingMessage, SentChunk


def random_data(dice):
    return Data(
        is_immediate=dice.random() < 0.5,
        is_unordered=dice.random() < 0.5,
        is_beginning=dice.random() < 0.5,
        is_end=dice.random() < 0.5,
        tsn=dice.getrandbits(32),
        stream_id=dice.getrandbits(16),
        stream_sequence_number=dice.getrandbits(16),
        ppid=dice.getrandbits(32),
        user_data=dice.randbytes(dice.randrange(1, 40)),
    )


def random_sack(dice):
    return Sack(
        cumulative_tsn_ack=dice.getrandbits(32),
        a_rwnd=dice.getrandbits(32),
        gap_ack_blocks=tuple((dice.getrandbits(16), dice.getrandbits(16)) for _ in range(dice.randrange(4))),
        duplicate_tsns=tuple(dice.getrandbits(32) for _ in range(dice.randrange(3))),
    )


def packet_of(tag, *chunks):
    return Packet(source_port=5000, destination_port=5000, verification_tag=tag, chunks=chunks)


@pytest.mark.parametrize("seed", range(20))
def test_data_is_written_alike(seed):
    data = random_data(random.Random(seed))
    message = OutgoingMessage(data.stream_id, data.ppid, b"", is_unordered=data.is_unordered)
    message.stream_sequence_number = data.stream_sequence_number + (5 << 16)
    flags = data.is_unordered << 2 | data.is_beginning << 1 | data.is_end
    chunk = SentChunk(data.tsn + (3 << 32), message, data.user_data, flags, 0.0)
    header, other = PacketHeader(7), serialize_chunk(Heartbeat(info=b"x"))
    assert header.pack_data([chunk], data.is_immediate) == serialize_packet(packet_of(7, data))
    both = header.pack_data([chunk, chunk], data.is_immediate, [other])
    assert both == serialize_packet(packet_of(7, Heartbeat(info=b"x"), data, data))


@pytest.mark.parametrize("seed", range(20))
def test_sacks_are_written_and_read_alike(seed):
    sack = random_sack(random.Random(seed))
    fields = (sack.cumulative_tsn_ack, sack.a_rwnd, sack.gap_ack_blocks, sack.duplicate_tsns)
    data = pack_sack(*fields)
    assert data == serialize_chunk(sack)
    assert unpack_sack(data, 0) == (sack.cumulative_tsn_ack, sack.a_rwnd, list(sack.gap_ack_blocks))


@pytest.mark.parametrize("seed", range(20))
def test_packets_are_written_and_read_alike(seed):
    dice = random.Random(seed)
    chunks = [random_data(dice) if dice.random() < 0.6 else random_sack(dice) for _ in range(dice.randrange(1, 5))]
    tag = dice.getrandbits(32)
    packet = serialize_packet(packet_of(tag, *chunks))
    assert pack_packet(tag, map(serialize_chunk, chunks)) == packet
    found = read_chunks(packet)
    assert [kind for kind, _, _, _ in found] == [chunk.TYPE for chunk in chunks]
    for (kind, flags, start, end), chunk in zip(found, chunks, strict=True):
        if kind == Data.TYPE:
            _, _, _, *fields = DATA_CHUNK.unpack_from(packet, start)
            assert fields == [chunk.tsn, chunk.stream_id, chunk.stream_sequence_number, chunk.ppid]
            assert packet[start + DATA_CHUNK.size : end] == chunk.user_data
            bits = (chunk.is_immediate, chunk.is_unordered, chunk.is_beginning, chunk.is_end)
            assert [bool(flags & bit) for bit in (8, 4, 2, 1)] == list(bits)


@pytest.mark.parametrize("is_unordered", [False, True])
@pytest.mark.parametrize("is_immediate", [False, True])
def test_a_series_is_written_like_packet_by_packet(is_unordered, is_immediate):
    message = OutgoingMessage(3, 53, b"", is_unordered=is_unordered)
    message.stream_sequence_number = (2 << 16) + 9
    first_tsn = (1 << 32) - 2
    flags = UNORDERED if is_unordered else 0
    chunks = [SentChunk(first_tsn + number, message, bytes([number]) * 1160, flags, 0.0) for number in range(4)]
    header = PacketHeader(7)
    assert header.pack_series(chunks, is_immediate) == [header.pack_data([chunk], is_immediate) for chunk in chunks]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_taken_the_short_way_would_have_parsed(seed):
    dice = random.Random(seed)
    chunks = [random_data(dice) if dice.random() < 0.6 else random_sack(dice) for _ in range(dice.randrange(1, 4))]
    body = bytearray(pack_packet(7, map(serialize_chunk, chunks))[12:])
    for _ in range(dice.randrange(3)):
        body[dice.randrange(len(body))] = dice.randrange(256)
    packet = PacketHeader(7).pack([bytes(body[: dice.choice((None, -1, -4, None))])])
    found = read_chunks(packet)
    if found is not None:
        parsed = parse_packet(packet)
        assert parsed.partial is None
        assert [chunk.TYPE for chunk in parsed.chunks] == [kind for kind, _, _, _ in found]


def test_other_chunks_take_the_long_way():
    packet = serialize_packet(packet_of(7, random_data(random.Random(1)), Heartbeat(info=b"x")))
    assert read_chunks(packet) is None
