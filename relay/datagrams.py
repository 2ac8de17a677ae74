"""What both ways to a UDP socket agree on: how long, how many at a time, and why one is not sent."""

import enum

from wire.core import Address

__all__ = ["BATCH", "MAX_DATAGRAM", "RELAY_BATCH", "Batch", "UdpDropReason"]

MAX_DATAGRAM = 2048
"""Longest datagram that is read whole, in bytes. What crosses the Internet unfragmented is shorter than 1500; a longer
one is read cut to `MAX_DATAGRAM + 1` bytes, which tells its reader that it was too long."""

BATCH = 64
"""How many datagrams to take before others get their turn: well under a millisecond of work."""

RELAY_BATCH = 128
"""The same for a relay: what it does with a datagram takes a few microseconds, and of more datagrams more are of one
length (`relay.segments`). With 256 they leave the caches."""

Batch = list[tuple[bytes, Address]]
"""Datagrams that arrived together, each with its source."""


class UdpDropReason(enum.StrEnum):
    """Why a datagram did not get through a socket."""

    RECEIVE_BUFFER_FULL = "receive-buffer-full"
    """It arrived while the kernel held as much for us as it will: we were too slow, or not there. The kernel
    counts; a bundle on the hop (`relay.hop.bundles`) is one to it."""

    SEND_BUFFER_FULL = "send-buffer-full"
    """The kernel holds as much as it will; waiting would delay everybody behind it."""
    UNSENDABLE = "unsendable"
    """The kernel refuses it: no route, too long, port 0, forbidden by a filter."""
