"""What a backend is asked to do."""

from typing import Protocol

__all__ = ["PacketBackend"]


class PacketBackend(Protocol):
    """A backend that works on encoded packets, inline: one packet in, at most one out, no task and no queue."""

    def reply(
        self, packet: bytes, start: int, end: int, marker_and_type: int, sequence: int, timestamp: int, ssrc: int
    ) -> bytes | None:
        """Take one authentic RTP packet of the caller's and return the one to send back, if any.

        The fields come parsed, since this is called for each packet of each call: an object for them would cost more
        than the echo itself.

        Args:
            packet: the whole RTP packet.
            start: offset of its payload.
            end: offset behind its payload (padding is left out).
            marker_and_type: the marker bit (0x80) and the payload type, which was negotiated.
            sequence: RTP sequence number, 16 bits.
            timestamp: RTP timestamp, 32 bits.
            ssrc: the caller's source.

        Returns:
            An RTP packet for `RtpSender`'s SSRC, or None to stay silent.
        """
