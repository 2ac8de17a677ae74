"""Datagrams of one length to one place, sent as one message: `sendmmsg` with UDP's segmentation offload.

On its way up, all that a relay sends goes to few places, with a header of one length in front; and of a batch of Opus
packets, several are equally long. What is equally long goes through the kernel's layers as one big datagram, which is
cut (`UDP_SEGMENT`) as late as possible: by the network card, or in front of it, or in front of the receiver's socket.
The receiver sees datagrams as ever.

    sent one by one:        90, 148, 90, 132, 148, 90        six times through socket, routing and filters
    sent in segments:      (90, 90, 90), (148, 148), 132     three times

So clients' datagrams overtake each other within a batch. Those of one client do not: they stay in order, for which more
messages may be needed.

A path that takes no segments (a card that makes no checksums, a tunnel narrower than they are) says so with an error at
the first of them. From there on all goes one by one.

Performance: 0.25 µs of Python a datagram, for some 1 µs of the kernel; docs/decisions.md has the numbers, and
`bench/relay/segments.c` measures the kernel's part alone.

Source: udp(7), UDP_SEGMENT.
"""

import errno
import socket
from array import array
from collections import defaultdict
from collections.abc import Hashable
from itertools import accumulate, chain
from typing import TypeAlias

from relay.mmsg import CALL, SendSlots, address_of, ffi
from wire.core import Address, Drops

__all__ = ["LONGEST_SEGMENT", "SegmentSlots"]

LONGEST_SEGMENT = 1232
"""A longer datagram goes by itself: segments must not need fragments, and so much passes every path (RFC 8200 §5: 1280
bytes, with the headers of IPv6 and UDP)."""
_MOST_BYTES = 65_000
"""In one message; UDP's length counts to 65,535."""
_SAFE_LENGTH = _MOST_BYTES // CALL
"""As many of these as there may be are not too much for one message."""
_FEWEST = 4
"""Datagrams that are worth a look at their lengths."""

_UDP_SEGMENT = 103
"""Linux's number of the option, which Python does not know."""
_REFUSALS = frozenset((errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP))

# cmsg(3): length, level and type, and then what the option is about, padded; all of it in three words of eight bytes.
_CONTROL_WORDS, _CONTROL_LENGTH = 3, 18
_CONTROL_SIZE = 8 * _CONTROL_WORDS
_SEGMENT_INDEX = 8  # in units of two bytes
# struct mmsghdr, in words of eight bytes.
_MESSAGE_WORDS = ffi.sizeof("struct mmsghdr") // 8
_VECTORS, _VECTOR_COUNT, _CONTROL_LENGTHS = (
    ffi.offsetof("struct msghdr", field) // 8 for field in ("msg_iov", "msg_iovlen", "msg_controllen")
)

_CONTROL_SIZES = [0, 0, *[_CONTROL_SIZE] * (CALL - 1)]
"""By the number of datagrams: one by itself needs no option."""

_Piece: TypeAlias = tuple[int, int]
"""Where in memory a datagram is, and how long."""
_Runs: TypeAlias = tuple[list[int], list[list[_Piece]]]
"""Lengths, and for each the datagrams that are so long."""


class SegmentSlots(SendSlots):
    """Datagrams on their way to few places; see `SendSlots`.

    Args:
        sock: bound, of either family.
        drops: counts by `UdpDropReason`.

    Attributes:
        origins: for each datagram, whom it is from: what is from one origin stays in order.
        is_segmenting: whether the kernel has taken segments so far.
    """

    def __init__(self, sock: socket.socket, drops: Drops) -> None:
        super().__init__(sock, drops)
        self.origins: list[Hashable] = []
        self.is_segmenting = _knows_segments(sock)
        size = self._destination_size
        names = ffi.new("char[]", size * CALL)
        vectors = ffi.new("struct iovec[]", CALL)
        controls = ffi.new("char[]", _CONTROL_SIZE * CALL)
        self._runs = ffi.new("struct mmsghdr[]", CALL)
        for number in range(CALL):
            message = self._runs[number].msg_hdr
            message.msg_name, message.msg_namelen = names + size * number, size
            message.msg_control = controls + _CONTROL_SIZE * number
        self._run_names = memoryview(ffi.buffer(names)).cast("B")
        self._run_vectors = memoryview(ffi.buffer(vectors)).cast("B").cast("Q")
        self._run_fields = memoryview(ffi.buffer(self._runs)).cast("B").cast("Q")
        self._vector_starts = [address_of(vectors + number) for number in range(CALL)]
        words = memoryview(ffi.buffer(controls)).cast("B").cast("Q")
        words[0::_CONTROL_WORDS] = array("Q", [_CONTROL_LENGTH] * CALL)
        words[1::_CONTROL_WORDS] = array("Q", [socket.IPPROTO_UDP | _UDP_SEGMENT << 32] * CALL)
        self._segment_sizes = words.cast("B").cast("H")[_SEGMENT_INDEX :: 4 * _CONTROL_WORDS]
        self._run_memory = (names, vectors, controls)

    def add(self, datagram: bytes, address: Address, origin: Hashable = None) -> None:
        """Take a datagram that is a Python object, which is kept until `flush`; see `origins` for the last argument."""
        super().add(datagram, address)
        if len(self.origins) < len(self.destinations):
            self.origins.append(origin)

    def flush(self) -> tuple[int, int]:
        """Send everything; see `SendSlots.flush`."""
        told = super().flush()
        self.origins.clear()
        return told

    def _send_part(self, start: int, end: int) -> None:
        destinations, pieces = self.destinations[start:end], self.pieces[2 * start : 2 * end]
        count = len(destinations)
        if count < _FEWEST or not self.is_segmenting:
            self._send_some(destinations, pieces)
        elif destinations.count(destinations[0]) == count:
            self._send_runs(destinations[0], pieces, self.origins[start:end])
        else:
            by_destination: dict[bytes, tuple[list[int], list[Hashable]]] = {}
            halves = iter(pieces)
            for destination, address, length, origin in zip(
                destinations, halves, halves, self.origins[start:end], strict=True
            ):
                own, origins = by_destination.setdefault(destination, ([], []))
                own += (address, length)
                origins.append(origin)
            for destination, (own, origins) in by_destination.items():
                self._send_runs(destination, own, origins)

    def _send_runs(self, destination: bytes, pieces: list[int], origins: list[Hashable]) -> None:
        """Send to one place, what is of one length together."""
        lengths, runs = _runs_of(pieces) if len(set(origins)) == len(origins) else _runs_in_order(pieces, origins)
        counts = list(map(len, runs))
        if max(lengths) > _SAFE_LENGTH or not all(lengths):
            lengths, counts = _cut(lengths, counts)
        total = len(counts)
        if len(destination) != self._destination_size or total == len(origins):
            self._send_some([destination] * len(origins), pieces)
            return
        pieces = list(chain.from_iterable(chain.from_iterable(runs)))
        begins = list(accumulate(counts, initial=0))
        self._run_names[: len(destination) * total] = destination * total
        self._run_vectors[: len(pieces)] = array("Q", pieces)
        fields, end = self._run_fields, _MESSAGE_WORDS * total
        vectors = list(map(self._vector_starts.__getitem__, begins[:-1]))
        fields[_VECTORS:end:_MESSAGE_WORDS] = array("Q", vectors)
        fields[_VECTOR_COUNT:end:_MESSAGE_WORDS] = array("Q", counts)
        fields[_CONTROL_LENGTHS:end:_MESSAGE_WORDS] = array("Q", list(map(_CONTROL_SIZES.__getitem__, counts)))
        self._segment_sizes[:total] = array("H", lengths)
        fd, sent = self._socket.fileno(), 0
        while sent < total:
            went = self._send(fd, self._runs + sent, total - sent, socket.MSG_DONTWAIT)
            if went < 0:
                refusal = ffi.errno
                if refusal in _REFUSALS and counts[sent] > 1:
                    self.is_segmenting = False
                    rest = pieces[2 * begins[sent] :]
                    self._send_some([destination] * (len(rest) // 2), rest)
                    return
                self._count_refused(refusal, counts[sent])
                went = 1
            sent += went


def _knows_segments(sock: socket.socket) -> bool:
    try:
        sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 0)  # none, unless a message says so
    except OSError:  # Linux before 4.18
        return False
    return True


def _runs_of(pieces: list[int]) -> _Runs:
    """Put together what is of one length."""
    by_length: defaultdict[int, list[_Piece]] = defaultdict(list)
    halves = iter(pieces)
    for piece in zip(halves, halves, strict=True):
        by_length[piece[1]].append(piece)
    return list(by_length), list(by_length.values())


def _runs_in_order(pieces: list[int], origins: list[Hashable]) -> _Runs:
    """The same, but nothing goes into a run in front of one that has its origin's previous datagram."""
    lengths: list[int] = []
    runs: list[list[_Piece]] = []
    newest: dict[int, int] = {}
    previous: dict[Hashable, int] = {}
    halves = iter(pieces)
    for start, length, origin in zip(halves, halves, origins, strict=True):
        number = newest.get(length, -1)
        if number < previous.get(origin, 0):
            number = newest[length] = len(runs)
            lengths.append(length)
            runs.append([])
        runs[number].append((start, length))
        previous[origin] = number
    return lengths, runs


def _cut(lengths: list[int], counts: list[int]) -> tuple[list[int], list[int]]:
    """Cut runs where they are more than a message may hold."""
    cut_lengths: list[int] = []
    cut_counts: list[int] = []
    for length, count in zip(lengths, counts, strict=True):
        most = _MOST_BYTES // length if 0 < length <= LONGEST_SEGMENT else 1
        whole, rest = divmod(count, most)
        parts = [most] * whole + [rest] * (rest > 0)
        cut_counts += parts
        cut_lengths += [length] * len(parts)
    return cut_lengths, cut_counts
