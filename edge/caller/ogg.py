"""Ogg pages: packets of any length in, a byte stream with checksums out, and back.

A page is a header of 27 bytes, a table of segment lengths, and the segments:

    "OggS" | version 0 | type flags | granule position, 64 bits | serial, 32 | page number, 32 | checksum, 32
    | number of segments | a length for each segment ...

All numbers are little-endian. A packet is cut into segments of 255 bytes; one that is shorter ends it, so a packet
may run over the end of a page. The granule position counts, in units of the codec, what is complete with this page.

Source: RFC 3533 §6.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence

import attrs

__all__ = ["OggError", "Page", "parse_pages", "serialize_page"]

_HEADER = struct.Struct("<4sBBqIIIB")
_CHECKSUM_OFFSET = 22
_CONTINUED, _BEGIN, _END = 1, 2, 4
_SEGMENT = 255
_MAX_SEGMENTS = 255

_BITS_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggError(ValueError):
    """A file is not what it should be; the text says how, for whoever chose the file."""


@attrs.frozen(kw_only=True)
class Page:
    """A page and the packets, or pieces of packets, on it.

    Attributes:
        serial: which stream the page belongs to; files may hold several side by side.
        number: counts the stream's pages from 0.
        granule: position at the end of the last packet that ends on this page; -1 where none does.
        pieces: what each packet has on this page.
        continued: the first piece goes on with a packet of the page before.
        unfinished: the last piece goes on with the next page.
        begin: the first page of its stream.
        end: the last page of its stream.
    """

    serial: int
    number: int
    granule: int
    pieces: tuple[bytes, ...]
    continued: bool = False
    unfinished: bool = False
    begin: bool = False
    end: bool = False


def parse_pages(data: bytes) -> Iterator[Page]:
    """Read a file's pages in order.

    Raises:
        OggError: the data is no Ogg, is cut short, or a checksum is wrong.
    """
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEADER.size:
            raise OggError(f"the file ends inside of a page header, at byte {offset}")
        magic, version, flags, granule, serial, number, checksum, count = _HEADER.unpack_from(data, offset)
        if magic != b"OggS" or version != 0:
            raise OggError(f"there is no Ogg page at byte {offset}")
        table = data[offset + _HEADER.size : offset + _HEADER.size + count]
        body = offset + _HEADER.size + count
        end = body + sum(table)
        if end > len(data):
            raise OggError(f"the file ends inside of the page at byte {offset}")
        if _checksum(data[offset:end]) != checksum:
            raise OggError(f"the page at byte {offset} is damaged: its checksum is wrong")
        pieces, unfinished = _pieces(data, table, body)
        yield Page(
            serial=serial,
            number=number,
            granule=granule,
            pieces=pieces,
            continued=bool(flags & _CONTINUED),
            unfinished=unfinished,
            begin=bool(flags & _BEGIN),
            end=bool(flags & _END),
        )
        offset = end


def _pieces(data: bytes, table: bytes, offset: int) -> tuple[tuple[bytes, ...], bool]:
    pieces: list[bytes] = []
    start = offset
    for length in table:
        offset += length
        if length < _SEGMENT:
            pieces.append(data[start:offset])
            start = offset
    unfinished = bool(table) and table[-1] == _SEGMENT
    if unfinished:
        pieces.append(data[start:offset])
    return tuple(pieces), unfinished


def serialize_page(
    *, serial: int, number: int, granule: int, packets: Sequence[bytes], begin: bool = False, end: bool = False
) -> bytes:
    """Write a page of whole packets.

    Raises:
        OggError: the packets need more than the 255 segments of a page.
    """
    table = b"".join(
        bytes([_SEGMENT]) * (len(packet) // _SEGMENT) + bytes([len(packet) % _SEGMENT]) for packet in packets
    )
    if len(table) > _MAX_SEGMENTS:
        raise OggError("too many or too long packets for one page")
    flags = (_BEGIN if begin else 0) | (_END if end else 0)
    header = _HEADER.pack(b"OggS", 0, flags, granule, serial, number, 0, len(table))
    page = bytearray(header + table + b"".join(packets))
    struct.pack_into("<I", page, _CHECKSUM_OFFSET, _checksum(bytes(page)))
    return bytes(page)


def _checksum(page: bytes) -> int:
    """Compute a page's checksum, with the checksum field itself taken as zero.

    It is the CRC with the polynomial of zlib's, over bits in the other order and without zlib's complements.
    """
    blank = page[:_CHECKSUM_OFFSET] + bytes(4) + page[_CHECKSUM_OFFSET + 4 :]
    turned = zlib.crc32(blank.translate(_BITS_TURNED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(turned.to_bytes(4, "little").translate(_BITS_TURNED), "big")
