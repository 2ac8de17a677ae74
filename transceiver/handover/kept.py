"""Datagrams of a client's that wait while it is not known who takes them; and how they are told to another process.

Each is as a relay has sent it, with its hop header in front, and the relay's address; in the order of arrival.

     format 1 | count u16 | relay's host, port u16, datagram ...      host and datagram behind their lengths (u8, u16)

A reader passes over a format that it does not know: what waits is worth a few frames, and no more.

Goal: nothing is lost while a call changes hands. Attacker: a client that sends as much as it can just then; and a
transceiver gone bad, which hands over what was never sent. The former is given no more than `MAX_KEPT` and
`MAX_KEPT_BYTES`; the latter is believed no more than the path of a datagram is, which says nothing about who sent it.
"""

from collections import deque
from collections.abc import Collection, Iterator

from wire.buffer import Reader, Writer
from wire.core import Address
from wire.errors import MalformedError

__all__ = ["MAX_KEPT", "MAX_KEPT_BYTES", "KeptDatagrams", "pack_kept", "unpack_kept"]

MAX_KEPT = 256
"""Datagrams of a call that are kept: those of two seconds, at 10 ms a frame and with something beside."""
MAX_KEPT_BYTES = 256 << 10
_FORMAT = 1


class KeptDatagrams:
    """What waits, bounded; the oldest make room for the newest."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._size = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[tuple[bytes, Address]]:
        """Go through them, the oldest first."""
        return iter(self._waiting)

    def append(self, data: bytes, source: Address) -> None:
        """Keep a datagram with its hop header, from a relay."""
        self._waiting.append((data, source))
        self._size += len(data)
        while len(self._waiting) > MAX_KEPT or self._size > MAX_KEPT_BYTES:
            self._size -= len(self._waiting.popleft()[0])

    def take(self) -> Collection[tuple[bytes, Address]]:
        """Take all of them away."""
        taken, self._waiting, self._size = self._waiting, deque(), 0
        return taken


def pack_kept(datagrams: Collection[tuple[bytes, Address]]) -> bytes:
    """Write datagrams for another process; nothing is no bytes at all."""
    if not datagrams:
        return b""
    writer = Writer().u8(_FORMAT).u16(len(datagrams), "count")
    for data, (host, port) in datagrams:
        writer.vector(1, host.encode(), "relay").u16(port, "port").vector(2, data, "datagram")
    return writer.finish()


def unpack_kept(data: bytes) -> KeptDatagrams:
    """Read what another process has kept, as much of it as may be kept; nothing of a later format.

    Raises:
        MalformedError: it is something else.
    """
    kept = KeptDatagrams()
    reader = Reader(data)
    if not data or reader.u8("format") != _FORMAT:
        return kept
    for _ in range(reader.u16("count")):
        at, host = reader.offset, reader.vector(1, "relay").rest()
        if not host.isascii():
            raise MalformedError("relay", at, "not ASCII")
        port = reader.u16("port")
        kept.append(reader.vector(2, "datagram").rest(), (host.decode("ascii"), port))
    reader.finish("kept datagrams")
    return kept
