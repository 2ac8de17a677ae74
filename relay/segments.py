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
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, repeat
from typing import NamedTuple

from relay.gathering import MESSAGE_WORDS, Gathering
from relay.mmsg import CALL, SendSlots, ffi
from wire.core import Address, Drops

__all__ = ["LONGEST_SEGMENT", "MOST_SEGMENTS", "SegmentSlots"]

LONGEST_SEGMENT = 1232
"""A longer datagram goes by itself: segments must not need fragments, and so much passes every path (RFC 8200 §5: 1280
bytes, with the headers of IPv6 and UDP)."""
_MOST_BYTES = 65_000
"""In one message; UDP's length counts to 65,535."""
MOST_SEGMENTS = 64
"""In one message: what all kernels take; newer ones take more."""
_SAFE_LENGTH = _MOST_BYTES // MOST_SEGMENTS
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
_CONTROL_LENGTHS = ffi.offsetof("struct msghdr", "msg_controllen") // 8

_CONTROL_SIZES = [0, 0, *[_CONTROL_SIZE] * (CALL - 1)]
"""By the number of datagrams: one by itself needs no option."""


class _Runs(NamedTuple):
    """Datagrams put together by their lengths."""

    lengths: list[int]
    """Of each run: how long its datagrams are,"""
    counts: list[int]
    """and how many they are."""
    starts: list[int]
    """Where in memory each datagram begins, run after run."""


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
        controls = ffi.new("char[]", _CONTROL_SIZE * CALL)
        self._runs = Gathering(sock, CALL, CALL)
        for number in range(CALL):
            self._runs.messages[number].msg_hdr.msg_control = controls + _CONTROL_SIZE * number
        words = memoryview(ffi.buffer(controls)).cast("B").cast("Q")
        words[0::_CONTROL_WORDS] = array("Q", [_CONTROL_LENGTH] * CALL)
        words[1::_CONTROL_WORDS] = array("Q", [socket.IPPROTO_UDP | _UDP_SEGMENT << 32] * CALL)
        self._segment_sizes = words.cast("B").cast("H")[_SEGMENT_INDEX :: 4 * _CONTROL_WORDS]
        self._run_memory = controls

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

    def _send_part(self, begin: int, end: int) -> None:
        if len(self.destinations) - begin < _FEWEST or not self.is_segmenting:
            super()._send_part(begin, end)
        else:
            for columns in self._by_destination(begin, end):
                self._send_to(*columns)

    def _by_destination(
        self, begin: int, end: int
    ) -> Iterable[tuple[bytes, Sequence[int], Sequence[int], Sequence[Hashable]]]:
        """Put together what goes to one place: where that is, starts, lengths and origins."""
        destinations, starts, lengths = self.destinations[begin:end], self.starts[begin:end], self.lengths[begin:end]
        origins = self.origins[begin:end]
        if destinations.count(destinations[0]) == len(destinations):
            return ((destinations[0], starts, lengths, origins),)
        found: dict[bytes, tuple[bytes, list[int], list[int], list[Hashable]]] = {}
        for destination, start, length, origin in zip(destinations, starts, lengths, origins, strict=True):
            _, own_starts, own_lengths, own_origins = found.setdefault(destination, (destination, [], [], []))
            own_starts.append(start)
            own_lengths.append(length)
            own_origins.append(origin)
        return found.values()

    def _send_to(
        self, destination: bytes, starts: Sequence[int], lengths: Sequence[int], origins: Sequence[Hashable]
    ) -> None:
        """Send to one place."""
        if len(starts) < _FEWEST or not self.is_segmenting:
            self._send_some([destination] * len(starts), starts, lengths)
        else:
            self._send_runs(destination, starts, lengths, origins)

    def _send_runs(
        self, destination: bytes, starts: Sequence[int], all_lengths: Sequence[int], origins: Sequence[Hashable]
    ) -> None:
        """Send to one place, what is of one length together."""
        find = _runs_of if len(set(origins)) == len(origins) else _runs_in_order
        lengths, counts, sorted_starts = find(starts, all_lengths, origins)
        count = len(starts)
        if max(lengths) > _SAFE_LENGTH or max(counts) > MOST_SEGMENTS or not all(lengths):
            lengths, counts = _cut(lengths, counts)
        total = len(counts)
        if len(destination) != self._destination_size or total == count:
            self._send_some([destination] * count, starts, all_lengths)
            return
        sorted_lengths = list(chain.from_iterable(map(repeat, lengths, counts)))
        self._runs.write(destination, sorted_starts, sorted_lengths, counts)
        controls = array("Q", list(map(_CONTROL_SIZES.__getitem__, counts)))
        self._runs.fields[_CONTROL_LENGTHS : MESSAGE_WORDS * total : MESSAGE_WORDS] = controls
        self._segment_sizes[:total] = array("H", lengths)
        fd, messages, sent = self._socket.fileno(), self._runs.messages, 0
        while sent < total:
            went = self._send(fd, messages + sent, total - sent, socket.MSG_DONTWAIT)
            if went < 0:
                refusal = ffi.errno
                if refusal in _REFUSALS and counts[sent] > 1:
                    self.is_segmenting = False
                    begin = sum(counts[:sent])
                    rest = slice(begin, None)
                    self._send_some([destination] * (count - begin), sorted_starts[rest], sorted_lengths[rest])
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


def _runs_of(starts: Sequence[int], lengths: Sequence[int], _origins: Sequence[Hashable]) -> _Runs:
    """Put together what is of one length."""
    order = sorted(range(len(starts)), key=lengths.__getitem__)
    tally = Counter(map(lengths.__getitem__, order))
    return _Runs(list(tally), list(tally.values()), list(map(starts.__getitem__, order)))


def _runs_in_order(starts: Sequence[int], lengths: Sequence[int], origins: Sequence[Hashable]) -> _Runs:
    """The same, but nothing goes into a run in front of one that has its origin's previous datagram."""
    run_lengths: list[int] = []
    runs: list[list[int]] = []
    newest: dict[int, int] = {}
    previous: dict[Hashable, int] = {}
    for start, length, origin in zip(starts, lengths, origins, strict=True):
        number = newest.get(length, -1)
        if number < previous.get(origin, 0):
            number = newest[length] = len(runs)
            run_lengths.append(length)
            runs.append([])
        runs[number].append(start)
        previous[origin] = number
    return _Runs(run_lengths, list(map(len, runs)), list(chain.from_iterable(runs)))


def _cut(lengths: list[int], counts: list[int]) -> tuple[list[int], list[int]]:
    """Cut runs where they are more than a message may hold."""
    cut_lengths: list[int] = []
    cut_counts: list[int] = []
    for length, count in zip(lengths, counts, strict=True):
        most = min(_MOST_BYTES // length, MOST_SEGMENTS) if 0 < length <= LONGEST_SEGMENT else 1
        whole, rest = divmod(count, most)
        parts = [most] * whole + [rest] * (rest > 0)
        cut_counts += parts
        cut_lengths += [length] * len(parts)
    return cut_lengths, cut_counts
