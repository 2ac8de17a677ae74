"""RFC 4571 framing: datagrams on a stream, each behind its length.

     0                   1
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
    +-------------------------------+------------------ …
    | length, big-endian            | a datagram of that many bytes
    +-------------------------------+------------------ …

A length of 0 is a null packet: it is stepped over. Nothing that can be sent over UDP unfragmented is longer than
`MAX_FRAME`, so a longer length is a peer that speaks something else, and what follows it cannot be found.

The bound also keeps the first byte of a stream below 6, which tells it from TLS (0x16) and HTTP (a letter) where they
share a port.

Source: RFC 4571 §2.
"""

__all__ = ["MAX_FRAME", "FrameReader", "frame", "is_framed"]

MAX_FRAME = 0x05FF
"""Longest datagram in a frame, in bytes."""

_LENGTH_SIZE = 2
_HIGHEST_FIRST_BYTE = MAX_FRAME >> 8


def frame(datagram: bytes) -> bytes:
    """Put a datagram, of at most 65535 bytes, behind its length."""
    return len(datagram).to_bytes(_LENGTH_SIZE, "big") + datagram


def is_framed(first: int) -> bool:
    """Whether a stream that begins with this byte can be a stream of frames."""
    return first <= _HIGHEST_FIRST_BYTE


class FrameReader:
    """Finds the datagrams in a stream; keeps less than one frame of it.

    Attributes:
        is_broken: a length was out of bounds; nothing more can be read from the stream.
    """

    __slots__ = ("_rest", "is_broken")

    def __init__(self) -> None:
        self._rest = b""
        self.is_broken = False

    def receive(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream.

        Returns:
            The datagrams that are whole now, in order and without null packets; those before a broken length too.
        """
        if self.is_broken:
            return []
        if self._rest:
            data = self._rest + data
        datagrams: list[bytes] = []
        start, size = 0, len(data)
        while size - start >= _LENGTH_SIZE:
            length = data[start] << 8 | data[start + 1]
            if length > MAX_FRAME:
                self.is_broken = True
                self._rest = b""
                return datagrams
            end = start + _LENGTH_SIZE + length
            if end > size:
                break
            if length:
                datagrams.append(data[start + _LENGTH_SIZE : end])
            start = end
        self._rest = data[start:]
        return datagrams
