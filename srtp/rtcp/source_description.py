"""SDES, packet type 202: names of sources.

    |V=2|P|    SC   |  PT=SDES=202  |             length            |
    |                          SSRC/CSRC                            |  a chunk, SC times
    |  item type    |    length     | text ...                      |
    |      ...      |  0 (end)      | 0 to the next word            |

Source: RFC 3550 §6.5.
"""

from typing import Self

import attrs

from srtp.rtcp.header import write_packet
from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError

__all__ = ["CNAME", "SdesChunk", "SdesItem", "SourceDescription"]

PACKET_TYPE = 202

CNAME = 1
"""The item that every source has: a name that stays when the SSRC changes (RFC 3550 §6.5.1, RFC 7022)."""

_END = 0


@attrs.frozen(kw_only=True)
class SdesItem:
    """One name.

    Attributes:
        item_type: what kind of name, 1 to 255.
        text: UTF-8 if the sender kept the rule; up to 255 bytes.
    """

    item_type: int
    text: bytes


@attrs.frozen(kw_only=True)
class SdesChunk:
    """The names of one source.

    Attributes:
        ssrc: the source.
        items: its names.
    """

    ssrc: int
    items: tuple[SdesItem, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a chunk, up to the end of the word in which its items end.

        Raises:
            MalformedError: it does not end.
        """
        start = reader.offset
        ssrc = reader.u32("SSRC/CSRC")
        items = []
        while (item_type := reader.u8("item type")) != _END:
            items.append(SdesItem(item_type=item_type, text=reader.vector(1, "item").rest()))
        reader.skip(-(reader.offset - start) % 4, "end of items")
        return cls(ssrc=ssrc, items=tuple(items))

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: an item is out of range.
        """
        chunk = Writer().u32(self.ssrc, "ssrc")
        for item in self.items:
            if item.item_type == _END:
                raise LocalProtocolError("item_type: 0 ends the items")
            chunk.u8(item.item_type, "item_type").vector(1, item.text, "text")
        writer.octets(chunk.u8(_END).pad(4).finish())


@attrs.frozen(kw_only=True)
class SourceDescription:
    """The names of some sources.

    Attributes:
        chunks: one for each source; up to 31.
    """

    chunks: tuple[SdesChunk, ...]

    @classmethod
    def parse(cls, count: int, body: Reader) -> Self:
        """Read the body of a packet with `count` chunks.

        Raises:
            MalformedError: a chunk does not end, or bytes are left over.
        """
        description = cls(chunks=tuple(SdesChunk.parse(body) for _ in range(count)))
        body.finish("SDES")
        return description

    def serialize(self, writer: Writer) -> None:
        """Write the packet.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        body = Writer()
        for chunk in self.chunks:
            chunk.serialize(body)
        write_packet(writer, PACKET_TYPE, len(self.chunks), body)

    @classmethod
    def of_cname(cls, ssrc: int, cname: str) -> Self:
        """Make the description that every compound packet holds: one source, one name."""
        return cls(chunks=(SdesChunk(ssrc=ssrc, items=(SdesItem(item_type=CNAME, text=cname.encode()),)),))
