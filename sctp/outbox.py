"""What waits to be sent besides DATA: whole packets, and control chunks for the next ones.

A peer makes us answer; it does not make us hoard. Answers beyond a bound are dropped and counted.
"""

from collections import deque
from collections.abc import Iterable

from sctp.chunks.chunk import Chunk, serialize_chunk
from sctp.data_path import pack_packet
from sctp.drops import DropReason
from wire.core import Drops

__all__ = ["Outbox"]

_MAX_WAITING = 64


class Outbox:
    """Packets and chunks that are ready.

    Args:
        max_chunk_size: bytes that a packet has for chunks.
        drops: where answers that find no room are counted.

    Attributes:
        packets: finished, in order.
        control: serialized chunks that are bundled into the next packets.
        first: a serialized chunk that has to be the first of its packet (COOKIE ACK); empty when there is none.
    """

    __slots__ = ("_drops", "_max_chunk_size", "control", "first", "packets")

    def __init__(self, max_chunk_size: int, drops: Drops) -> None:
        self._max_chunk_size = max_chunk_size
        self._drops = drops
        self.packets: list[bytes] = []
        self.control: deque[bytes] = deque()
        self.first = b""

    def add_packet(self, verification_tag: int, *chunks: Chunk) -> None:
        """Queue a packet of its own."""
        self.add_serialized(verification_tag, [serialize_chunk(chunk) for chunk in chunks])

    def add_serialized(self, verification_tag: int, chunks: Iterable[bytes]) -> None:
        """Queue a packet of chunks that are serialized and padded."""
        if len(self.packets) >= _MAX_WAITING:
            self._drops[DropReason.REPLY_OVERFLOW] += 1
            return
        self.packets.append(pack_packet(verification_tag, chunks))

    def add_control(self, chunk: Chunk) -> None:
        """Queue a chunk for the next packet that has room."""
        data = serialize_chunk(chunk)
        if len(self.control) >= _MAX_WAITING or len(data) > self._max_chunk_size:
            self._drops[DropReason.REPLY_OVERFLOW] += 1
            return
        self.control.append(data)

    def put_first(self, chunk: Chunk) -> None:
        """Let the next packet begin with a chunk."""
        self.first = serialize_chunk(chunk)

    def take_control(self, room: int) -> list[bytes]:
        """Take as many control chunks as fit, in order."""
        taken = []
        while self.control and len(self.control[0]) <= room:
            chunk = self.control.popleft()
            room -= len(chunk)
            taken.append(chunk)
        return taken

    def clear(self) -> None:
        """Forget all that was not sent."""
        self.packets.clear()
        self.control.clear()
        self.first = b""
