"""Messages that are each gathered from several pieces of memory, all to one place: laid out once, written as arrays."""

import socket
from array import array
from collections.abc import Sequence
from itertools import accumulate

from relay.mmsg import address_of, ffi, named_messages

__all__ = ["MESSAGE_WORDS", "Gathering"]

# struct mmsghdr, in words of eight bytes.
MESSAGE_WORDS = ffi.sizeof("struct mmsghdr") // 8
_VECTORS, _VECTOR_COUNT = (ffi.offsetof("struct msghdr", field) // 8 for field in ("msg_iov", "msg_iovlen"))


class Gathering:
    """Room for some messages and their pieces.

    Args:
        sock: what they leave by, of either family.
        messages: how many there may be.
        pieces: how many there may be, of all messages.

    Attributes:
        messages: what `sendmmsg` takes.
        fields: the same as words of eight bytes, `MESSAGE_WORDS` a message.
    """

    def __init__(self, sock: socket.socket, messages: int, pieces: int) -> None:
        self.messages, names = named_messages(sock, messages)
        vectors = ffi.new("struct iovec[]", pieces)
        self.fields = memoryview(ffi.buffer(self.messages)).cast("B").cast("Q")
        self._names = memoryview(ffi.buffer(names)).cast("B")
        self._vectors = memoryview(ffi.buffer(vectors)).cast("B").cast("Q")
        self._vector_starts = [address_of(vectors + number) for number in range(pieces)]
        self._pointed_to = (names, vectors)

    def write(self, destination: bytes, starts: Sequence[int], lengths: Sequence[int], counts: Sequence[int]) -> None:
        """Write the first messages.

        Args:
            destination: where they go, in the socket's family.
            starts: where in memory each piece begins, message after message.
            lengths: how long each piece is.
            counts: of how many pieces each message is.
        """
        total, pieces = len(counts), len(starts)
        self._names[: len(destination) * total] = destination * total
        self._vectors[0 : 2 * pieces : 2] = array("Q", starts)
        self._vectors[1 : 2 * pieces : 2] = array("Q", lengths)
        fields, end = self.fields, MESSAGE_WORDS * total
        begins = list(accumulate(counts, initial=0))[:-1]
        fields[_VECTORS:end:MESSAGE_WORDS] = array("Q", list(map(self._vector_starts.__getitem__, begins)))
        fields[_VECTOR_COUNT:end:MESSAGE_WORDS] = array("Q", counts)
