"""Gives the caller their own voice back, without transcoding.

The echo is an RTP translator (RFC 3550 §7.1): each packet goes back with our SSRC and with its sequence number and
timestamp moved by a constant. So what the network lost or reordered on the way to us stays visible as loss or
reordering, and the caller's jitter buffer can conceal it; numbering anew would turn a lost packet into a jump in time.

A constant offset never uses an SRTP index twice for one source. When the caller's source changes, the new one is placed
behind everything sent so far; libsrtp's own replay check on the sending side refuses whatever would fall behind it.
"""

import attrs

from srtp.rtp import FIXED_HEADER
from srtp.sending import RtpSource

__all__ = ["PACKET_SECONDS", "Echo"]

_VERSION_2 = 0x80
PACKET_SECONDS = 0.02
"""Between two of the caller's sources lies the time of one packet."""


@attrs.define
class Echo:
    """The echo of one call.

    Attributes:
        source: ours; it holds the highest sequence number and timestamp sent.
        theirs: the caller's source that is echoed; None before the first packet.
        sequence_offset: from its sequence numbers to ours, which are never wrapped.
        timestamp_offset: from its timestamps to ours.
    """

    source: RtpSource
    theirs: int | None = None
    sequence_offset: int = 0
    timestamp_offset: int = 0

    def reply(
        self, packet: bytes, start: int, end: int, marker_and_type: int, sequence: int, timestamp: int, ssrc: int
    ) -> bytes | None:
        """Return the packet moved to our source; see `PacketBackend.reply`."""
        source = self.source
        if ssrc != self.theirs:
            self.theirs = ssrc
            self.sequence_offset = source.sequence_number - sequence
            self.timestamp_offset = source.timestamp + round(source.clock_rate * PACKET_SECONDS) - timestamp
        sequence += self.sequence_offset
        timestamp = (timestamp + self.timestamp_offset) & 0xFFFFFFFF
        following = source.sequence_number
        ahead = (sequence - following) & 0xFFFF
        if ahead < 0x8000:
            source.sequence_number = following + ahead + 1
            source.timestamp = timestamp
        elif following + ahead < 0x10000:
            return None  # from before the first; below zero there is no index (RFC 3711 §3.3.1)
        return (
            FIXED_HEADER.pack(_VERSION_2, marker_and_type, sequence & 0xFFFF, timestamp, source.ssrc)
            + packet[start:end]
        )
