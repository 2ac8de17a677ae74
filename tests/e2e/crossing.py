"""RTP on its way through a relay, each packet by itself, which a relay does not change.

On both sides and in both directions: what left the client and what of it came to a transceiver, what left a
transceiver and what of it came to the client.
"""

from collections import Counter

import attrs

from relay.hop.bundles import parts_of
from relay.hop.header import DOWN, IPV4_HEADER_SIZE, UP

from .sniffing import Sniffer, is_rtp
from .travelling import PUBLIC

__all__ = ["UNDER_WAY", "Crossed", "through_the_relay"]

Stretch = tuple[float, float]
UNDER_WAY = 0.5
"""Seconds in which what has left must have come."""


@attrs.frozen
class Crossed:
    """One direction: packets that left, and how many of them never came, or came more than once."""

    left: int
    lost: int
    repeated: int

    @staticmethod
    def compare(left: list[tuple[float, bytes]], came: list[bytes], stretch: Stretch) -> "Crossed":
        counts = Counter(came)
        counted = [data for at, data in left if stretch[0] <= at <= stretch[1]]
        return Crossed(
            len(counted), sum(counts[data] == 0 for data in counted), sum(counts[data] > 1 for data in counted)
        )


def through_the_relay(client: Sniffer, server: Sniffer, stretch: Stretch) -> tuple[Crossed, Crossed]:
    """Compare the two sides of the relay, up and down, for all that left in a stretch of time."""

    def on_the_hop(direction: int) -> list[tuple[float, bytes]]:
        datagrams = [(each.at, part) for each in server.seen for part in parts_of(each.data) or [each.data]]
        found = [(at, data[IPV4_HEADER_SIZE:]) for at, data in datagrams if data[:1] == bytes((direction,))]
        return [(at, data) for at, data in found if is_rtp(data)]

    left = [(each.at, each.data) for each in client.seen if each.target == PUBLIC and is_rtp(each.data)]
    came = [each.data for each in client.seen if each.source == PUBLIC]
    up = Crossed.compare(left, [data for _, data in on_the_hop(UP)], stretch)
    return up, Crossed.compare(on_the_hop(DOWN), came, stretch)
