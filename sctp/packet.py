"""A packet: the common header, and chunks.

     0                   1                   2                   3
    |      Source port number       |    Destination port number    |
    |                       Verification tag                        |
    |                           Checksum                            |
    |                            Chunks                            ..

Source: RFC 9260 §3.
"""

import attrs

from sctp.checksum import CHECKSUM_OFFSET, checksum_of
from sctp.chunks.chunk import Chunk, parse_chunk
from sctp.chunks.header import read_chunk
from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["HEADER_LENGTH", "Packet", "parse_packet", "serialize_packet"]

HEADER_LENGTH = 12


@attrs.frozen(kw_only=True)
class Packet:
    """What one datagram holds.

    Attributes:
        source_port: of the sender, 16 bits.
        destination_port: of the receiver, 16 bits.
        verification_tag: 32 bits; the initiate tag of the receiver, 0 beside an INIT.
        chunks: in order; at least one. Which may stand together is for the receiver to check.
        partial: where and why the bytes behind the last of `chunks` are not a whole chunk; None when there are none.
    """

    source_port: int
    destination_port: int
    verification_tag: int
    chunks: tuple[Chunk, ...]
    partial: MalformedError | None = None


def parse_packet(data: bytes) -> Packet:
    """Read a datagram.

    Raises:
        MalformedError: it is too short, its checksum is wrong, a chunk does not parse, or not even the first is whole.
    """
    reader = Reader(data)
    source_port = reader.u16("Source Port Number")
    destination_port = reader.u16("Destination Port Number")
    verification_tag = reader.u32("Verification Tag")
    checksum = reader.octets(4, "Checksum")
    # RFC 9260 §6.8: a packet whose checksum is not the calculated one is invalid.
    if checksum != checksum_of(data):
        raise MalformedError("Checksum", CHECKSUM_OFFSET, "is not that of the packet")
    chunks: list[Chunk] = []
    partial = None
    while not chunks or len(reader):
        try:
            chunk_type, flags, value = read_chunk(reader)
        except MalformedError as error:
            if not chunks:
                raise
            # RFC 9260 §6.10: a partial chunk MUST be dropped; those in front of it are processed.
            partial = error
            break
        chunks.append(parse_chunk(chunk_type, flags, value))
    return Packet(
        source_port=source_port,
        destination_port=destination_port,
        verification_tag=verification_tag,
        chunks=tuple(chunks),
        partial=partial,
    )


def serialize_packet(packet: Packet) -> bytes:
    """Write a datagram with its checksum.

    Raises:
        LocalProtocolError: there is no chunk, or a field is out of range.
    """
    if not packet.chunks:
        raise LocalProtocolError("a packet holds at least one chunk")
    writer = Writer().u16(packet.source_port, "source_port").u16(packet.destination_port, "destination_port")
    writer.u32(packet.verification_tag, "verification_tag").u32(0, "checksum")
    for chunk in packet.chunks:
        chunk.serialize(writer)
    data = writer.finish()
    return data[:CHECKSUM_OFFSET] + checksum_of(data) + data[HEADER_LENGTH:]
