"""Bundles: several clients' datagrams in one, for what each datagram costs the kernels and the network between.

    u8 version and type BUNDLE | u8 count | u16 length of each part … | the parts, one behind the other

A part is what would otherwise be a datagram of its own: an UP or DOWN header and the client's datagram, or such a one
sealed (`relay.hop.tunnel`). The receiver takes each as if it had come by itself, from where the bundle came; so what
authenticates a datagram on the hop is the part's: header, flow tag, seal, and the address of a proven peer.

Only what leaves at the same moment is bundled: nothing waits. Control messages go by themselves, since the first ones
between two ends come before either is believed, and a bundle counts only from who has proven itself. To an end that is
of an earlier revision nothing is bundled.

A bundle is at most `LONGEST_BUNDLE` bytes, which every path of IPv6 takes, with its headers: so bundles ask no more of
a path than a client's longest datagram does. What is longer than half of that goes by itself.

Attacker: sends bundles from addresses that are not ours, or, as a peer gone bad, some that are none. The first cost a
look-up and the second a glance at their lengths. Either is refused whole: a bundle whose lengths do not add up, or of
which a part is another bundle, a control message or too short for a header, is believed in nothing.

Performance: measured with the sizes that Opus makes, on loopback, sending and receiving of both directions cost 1.9 µs
a frame where 75 leave together and 2.2 µs where 37 do, instead of 5.8 and 6.2; see docs/decisions.md.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from struct import Struct
from typing import NamedTuple

from relay.hop.header import BUNDLE, CONTROL, DOWN, IPV4_HEADER_SIZE, SEALED, UP
from wire.core import Address

__all__ = [
    "BUNDLES_SINCE",
    "FEWEST",
    "LONGEST_BUNDLE",
    "Parts",
    "bundle_front",
    "bundled",
    "ends_of",
    "find_parts",
    "parts_of",
]

BUNDLES_SINCE = 3
"""The revision of the protocol whose ends read bundles."""
LONGEST_BUNDLE = 1232
"""In bytes. RFC 8200 §5: packets of 1280 bytes pass everywhere, with 40 for IPv6 and 8 for UDP."""
FEWEST = 4
"""Datagrams to one place that are worth a bundle: to write it costs as much as to send one and a half."""

_FRONT = 2
_LENGTH = 2
_ROOM = LONGEST_BUNDLE - _FRONT
_ALONE = LONGEST_BUNDLE
_TYPES = frozenset((UP, DOWN, SEALED))
_LENGTHS = [Struct(f">{count}H") for count in range(256)]
_FRONTS = [Struct(f">BB{count}H") for count in range(256)]


class Parts(NamedTuple):
    """Where the parts of a bundle are.

    Attributes:
        offsets: where each begins.
        lengths: how long each is.
    """

    offsets: Sequence[int]
    lengths: Sequence[int]


def find_parts(data: bytes) -> Parts | None:
    """Find the parts of a bundle.

    Args:
        data: a whole datagram that begins with BUNDLE.

    Returns:
        At least one, each at least as long as a header and of a type that may be in a bundle, together the whole of the
        datagram; None for what is no bundle.
    """
    if len(data) < _FRONT or data[0] != BUNDLE:
        return None
    count = data[1]
    offset = _FRONT + _LENGTH * count
    if not count or len(data) < offset:
        return None
    lengths = _LENGTHS[count].unpack_from(data, _FRONT)
    offsets = list(accumulate(lengths, initial=offset))
    if offsets.pop() != len(data) or min(lengths) < IPV4_HEADER_SIZE:
        return None
    if not _TYPES.issuperset([data[each] for each in offsets]):
        return None
    return Parts(offsets, lengths)


def parts_of(data: bytes) -> Sequence[bytes] | None:
    """Take a bundle apart; None for what is no bundle (see `find_parts`)."""
    parts = find_parts(data)
    return None if parts is None else [data[begin : begin + length] for begin, length in zip(*parts, strict=True)]


def ends_of(lengths: Iterable[int], is_alone: Iterable[bool] = ()) -> list[int]:
    """Choose what goes together: datagrams in their order, each bundle as full as it gets.

    Args:
        lengths: of the datagrams, all to one place.
        is_alone: of each, whether it must go by itself; nothing for none.

    Returns:
        Of each bundle the number of the datagram behind it; one that holds a single datagram is none.
    """
    sizes = [length + _LENGTH for length in lengths]
    if is_alone:
        sizes = [_ALONE if alone else size for size, alone in zip(sizes, is_alone, strict=True)]
    sums = list(accumulate(sizes, initial=0))
    ends, begin, count = [], 0, len(sizes)
    while begin < count:
        # The last sum that leaves room; a datagram that is too long for any bundle goes by itself.
        begin = max(bisect_right(sums, sums[begin] + _ROOM, begin + 1) - 1, begin + 1)
        ends.append(begin)
    return ends


def bundle_front(lengths: Sequence[int]) -> bytes:
    """Write what stands in front of the parts of a bundle.

    Args:
        lengths: of the parts.
    """
    return _FRONTS[len(lengths)].pack(BUNDLE, len(lengths), *lengths)


def bundled(
    datagrams: list[tuple[bytes, Address]], takes_bundles: Callable[[Address], bool]
) -> list[tuple[bytes, Address]]:
    """Bundle what leaves together; what goes to one place stays in order.

    Args:
        datagrams: each with its destination; control messages may be among them.
        takes_bundles: whether who is at an address reads bundles.
    """
    if len(datagrams) < FEWEST:
        return datagrams
    place = datagrams[0][1]
    parts = [data for data, destination in datagrams if destination == place]
    if len(parts) == len(datagrams):
        return _bundles(parts, place) if takes_bundles(place) else datagrams
    by_place: dict[Address, list[bytes]] = {}
    for data, destination in datagrams:
        by_place.setdefault(destination, []).append(data)
    made: list[tuple[bytes, Address]] = []
    for place, parts in by_place.items():
        if len(parts) >= FEWEST and takes_bundles(place):
            made += _bundles(parts, place)
        else:
            made += [(data, place) for data in parts]
    return made


def _bundles(parts: list[bytes], place: Address) -> list[tuple[bytes, Address]]:
    lengths = list(map(len, parts))
    types = [data[0] for data in parts]
    made, begin = [], 0
    for end in ends_of(lengths, [each == CONTROL for each in types] if CONTROL in types else ()):
        if end == begin + 1:
            made.append((parts[begin], place))
        else:
            made.append((b"".join((bundle_front(lengths[begin:end]), *parts[begin:end])), place))
        begin = end
    return made
