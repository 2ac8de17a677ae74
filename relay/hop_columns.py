"""What came from the hop in one batch, as columns (`relay.columns`); of a bundle, each part is a row.

Nothing is copied to be sent on: a part is sent from where it lies in its bundle. What is no bundle, or comes from where
none is taken from, is a row as it came, for the forwarder to count.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from relay.columns import Columns
from relay.hop.bundles import find_parts
from relay.hop.header import BUNDLE, IPV4_HEADER_SIZE, IPV6_HEADER_SIZE, KIND_SIZE, VALIDATED_IPV4
from relay.mmsg import ReceiveSlots

__all__ = ["HopBatch", "HopColumns"]

_FIELDS = (f"{KIND_SIZE}s", f"{IPV4_HEADER_SIZE - KIND_SIZE}s", f"{IPV6_HEADER_SIZE - IPV4_HEADER_SIZE}s")
_NO_RESTS = [b""] * 255


class HopBatch(NamedTuple):
    """Datagrams from the hop. Behind the end of a datagram, what these say of its header is old."""

    sources: Sequence[bytes]
    """Where each came from, as the kernel spells it."""
    kinds: Sequence[bytes]
    """The kind of its header;"""
    paths: Sequence[bytes]
    """an IPv4 client's path,"""
    rests: Sequence[bytes]
    """and what an IPv6 client's has besides; in a bundle in which there is none, empty."""
    lengths: Sequence[int]
    """How long it is."""
    offsets: Sequence[int]
    """Where in the slots it begins."""


class HopColumns:
    """Reads batches that have been received.

    Args:
        slots: where datagrams arrive.
        is_peer: whether bundles are taken from an address, as the kernel spells it.
    """

    def __init__(self, slots: ReceiveSlots, is_peer: Callable[[bytes], bool]) -> None:
        self._slots = slots
        self._columns = Columns(slots, *_FIELDS)
        self._is_peer = is_peer

    def read(self, lengths: Sequence[int]) -> HopBatch:
        """Read a batch.

        Args:
            lengths: of the datagrams in the first slots, at least one.
        """
        sources, kinds, paths, rests = self._columns.read(len(lengths))
        batch = HopBatch(sources, kinds, paths, rests, lengths, self._slots.offsets[: len(lengths)])
        # What is a bundle's first byte may be another kind's second one; that costs a look.
        return self._split(batch) if BUNDLE in b"".join(kinds) else batch

    def _split(self, batch: HopBatch) -> HopBatch:
        view = self._slots.view
        sources: list[bytes] = []
        kinds: list[bytes] = []
        paths: list[bytes] = []
        rests: list[bytes] = []
        lengths: list[int] = []
        offsets: list[int] = []
        for source, kind, path, rest, length, offset in zip(*batch, strict=True):
            parts = None
            if kind[0] == BUNDLE and self._is_peer(source):
                data = bytes(view[offset : offset + length])
                parts = find_parts(data)
            if parts is None:
                sources.append(source)
                kinds.append(kind)
                paths.append(path)
                rests.append(rest)
                lengths.append(length)
                offsets.append(offset)
                continue
            begins = parts.offsets
            of_parts = [data[begin : begin + KIND_SIZE] for begin in begins]
            kinds += of_parts
            paths += [data[begin + KIND_SIZE : begin + IPV4_HEADER_SIZE] for begin in begins]
            if of_parts.count(VALIDATED_IPV4) == len(begins):
                rests += _NO_RESTS[: len(begins)]
            else:
                rests += [data[begin + IPV4_HEADER_SIZE : begin + IPV6_HEADER_SIZE] for begin in begins]
            sources += [source] * len(begins)
            lengths += parts.lengths
            offsets += [offset + begin for begin in begins]
        return HopBatch(sources, kinds, paths, rests, lengths, offsets)
