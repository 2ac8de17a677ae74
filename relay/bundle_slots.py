"""Datagrams on their way over the hop in bundles (`relay.hop.bundles`), which nobody copies.

A bundle is gathered by the kernel from where its parts lie, behind a few bytes that tell their lengths. It is one
datagram on all of its way; segments (`relay.segments`) are one only as far as the first card or socket that cuts them.
So bundles are preferred to whoever reads them, except for datagrams so long that they save little.
"""

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from socket import socket

from relay.gathering import Gathering
from relay.hop.bundles import FEWEST, bundle_front, ends_of
from relay.mmsg import CALL, address_of, ffi
from relay.segments import SegmentSlots
from wire.core import Drops

__all__ = ["BundleSlots"]

_WORTH = 3
"""Datagrams in a bundle, on average, for which it is written. Of different lengths, three cost less than by themselves
and two do not; of one length, five cost less than in segments and three more."""


class BundleSlots(SegmentSlots):
    """Datagrams on their way to few places; see `SegmentSlots`.

    Args:
        sock: bound, of either family.
        drops: counts by `UdpDropReason`; for a bundle, the datagrams in it.
        takes_bundles: whether who is at an address, as the kernel spells it, reads bundles.

    Attributes:
        origins: see `SegmentSlots`; what is from nobody (None) is in no bundle.
    """

    def __init__(self, sock: socket, drops: Drops, takes_bundles: Callable[[bytes], bool]) -> None:
        super().__init__(sock, drops)
        self._takes_bundles = takes_bundles
        # A bundle has at least two parts, and a front.
        self._bundles = Gathering(sock, CALL, CALL + CALL // 2)
        fronts = ffi.new("char[]", 3 * CALL)  # two bytes for each, and two for each part
        self._fronts, self._fronts_start = memoryview(ffi.buffer(fronts)).cast("B"), address_of(fronts)
        self._front_memory = fronts

    def _send_part(self, begin: int, end: int) -> None:
        if len(self.destinations) - begin < FEWEST:
            super()._send_part(begin, end)
            return
        for destination, starts, lengths, origins in self._by_destination(begin, end):
            if len(starts) >= FEWEST and self._takes_bundles(destination):
                self._send_bundles(destination, starts, lengths, origins)
            else:
                self._send_to(destination, starts, lengths, origins)

    def _send_bundles(
        self, destination: bytes, starts: Sequence[int], lengths: Sequence[int], origins: Sequence[Hashable]
    ) -> None:
        alone = origins.count(None)
        ends = ends_of(lengths, [origin is None for origin in origins] if alone else ())
        if len(starts) - alone < _WORTH * (len(ends) - alone) or len(destination) != self._destination_size:
            self._send_to(destination, starts, lengths, origins)
            return
        pieces: list[int] = []
        sizes: list[int] = []
        counts: list[int] = []
        begin = at = 0
        for end in ends:
            if end > begin + 1:
                front = bundle_front(lengths[begin:end])
                size = len(front)
                self._fronts[at : at + size] = front
                pieces.append(self._fronts_start + at)
                sizes.append(size)
                at += size
                counts.append(end - begin + 1)
            else:
                counts.append(1)
            pieces += starts[begin:end]
            sizes += lengths[begin:end]
            begin = end
        self._bundles.write(destination, pieces, sizes, counts)
        self._send_messages(self._bundles.messages, [end - begin for begin, end in pairwise((0, *ends))])
