"""Redundant audio: a packet that carries copies of earlier ones.

     0                   1                   2                   3
    |F=1|  block PT   |   timestamp offset (14)   | block length (10) |   for each earlier block, the oldest first
    |F=0|  block PT   |                                                   for the packet's own, which comes last
    then the blocks, in the same order, one behind the other

Source: RFC 2198 §3.
"""

from typing import NamedTuple

from wire.errors import MalformedError

__all__ = ["MAX_BLOCKS", "RedBlock", "parse_red"]

MAX_BLOCKS = 16
"""Most blocks that are looked at in a packet; libwebrtc sends up to 10."""

_FOLLOWS = 0x80
_TYPE = 0x7F


class RedBlock(NamedTuple):
    """One block; made for each block of each packet, so it is a tuple.

    Attributes:
        payload_type: 0 to 127, as negotiated.
        timestamp_offset: how far it is before the packet's timestamp, in units of its clock; 0 for the packet's own.
        payload: what the codec made.
    """

    payload_type: int
    timestamp_offset: int
    payload: bytes


def parse_red(payload: bytes) -> list[RedBlock]:
    """Take a payload apart.

    Returns:
        Its blocks, the oldest first; the last one is the packet's own.

    Raises:
        MalformedError: headers or blocks are cut short, or there are too many.
    """
    headers: list[tuple[int, int, int]] = []
    at = 0
    size = len(payload)
    while at < size and payload[at] & _FOLLOWS:
        if at + 4 > size:
            raise MalformedError("block header", at, f"needs 4 bytes, {size - at} are left")
        if len(headers) >= MAX_BLOCKS - 1:
            raise MalformedError("block header", at, f"is more than the {MAX_BLOCKS}th")
        offset_and_length = int.from_bytes(payload[at + 1 : at + 4], "big")
        headers.append((payload[at] & _TYPE, offset_and_length >> 10, offset_and_length & 0x3FF))
        at += 4
    if at >= size:
        raise MalformedError("primary block header", at, "is missing")
    primary_type = payload[at]
    at += 1
    blocks = []
    for payload_type, offset, length in headers:
        if at + length > size:
            raise MalformedError("block", at, f"needs {length} bytes, {size - at} are left")
        blocks.append(RedBlock(payload_type, offset, payload[at : at + length]))
        at += length
    blocks.append(RedBlock(primary_type, 0, payload[at:]))
    return blocks
