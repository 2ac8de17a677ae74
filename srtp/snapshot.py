"""What an `SrtpSession` has to know to go on in another process: how far everybody has counted.

Keys are not in it; they are exported once more from the restored DTLS association. Nor is anything that depends on
a clock.

     version 1 | next SRTCP index u32
     | count u8 | SSRC u32, highest index u48 ...                     what we have sent
     | count u8 | SSRC u32, highest index u48 ...                     what we have received
     | count u8 | SSRC u32, highest index u32, length u8, bits ...    SRTCP replay windows
"""

from typing import Self

import attrs

from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["RtcpWindow", "SrtpSnapshot"]

_VERSION = 1

# 2^28 packets are 62 days of audio: more is no index that a call has come to, and would take long to bring
# libsrtp to.
_MAX_INDEX = 1 << 28


@attrs.frozen(kw_only=True)
class RtcpWindow:
    """The replay window of one of the peer's SSRCs.

    Attributes:
        ssrc: the source.
        highest: the highest SRTCP index received.
        seen: bit i is set when `highest - i` was received.
    """

    ssrc: int
    highest: int
    seen: int


@attrs.frozen(kw_only=True)
class SrtpSnapshot:
    """The state of a session.

    Attributes:
        next_rtcp_index: of the next SRTCP packet that we send.
        sent: SSRC and highest index of each of our sources.
        received: SSRC and highest index of each of the peer's sources.
        rtcp_windows: the SRTCP replay windows.
    """

    next_rtcp_index: int
    sent: tuple[tuple[int, int], ...]
    received: tuple[tuple[int, int], ...]
    rtcp_windows: tuple[RtcpWindow, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a snapshot to the end of `reader`.

        Raises:
            MalformedError: it is of another version, or no snapshot.
        """
        at = reader.offset
        version = reader.u8("version")
        if version != _VERSION:
            raise MalformedError("version", at, f"is {version}")
        snapshot = cls(
            next_rtcp_index=reader.u32("SRTCP index"),
            sent=_read_indices(reader),
            received=_read_indices(reader),
            rtcp_windows=tuple(_read_window(reader) for _ in range(reader.u8("window count"))),
        )
        reader.finish("SRTP snapshot")
        return snapshot

    def serialize(self, writer: Writer) -> None:
        """Write the snapshot.

        Raises:
            LocalProtocolError: there are more than 255 sources.
        """
        writer.u8(_VERSION).u32(self.next_rtcp_index, "next_rtcp_index")
        for indices in (self.sent, self.received):
            writer.u8(len(indices), "sources")
            for ssrc, highest in indices:
                writer.u32(ssrc, "ssrc").u48(highest, "highest")
        writer.u8(len(self.rtcp_windows), "rtcp_windows")
        for window in self.rtcp_windows:
            seen = window.seen.to_bytes((window.seen.bit_length() + 7) // 8, "big")
            writer.u32(window.ssrc, "ssrc").u32(window.highest, "highest").vector(1, seen, "seen")


def _read_indices(reader: Reader) -> tuple[tuple[int, int], ...]:
    indices: dict[int, int] = {}
    for _ in range(reader.u8("source count")):
        at = reader.offset
        ssrc, highest = reader.u32("SSRC"), reader.u48("highest index")
        if ssrc in indices or highest > _MAX_INDEX:
            raise MalformedError("source", at, "comes twice, or has sent more than a call can")
        indices[ssrc] = highest
    return tuple(indices.items())


def _read_window(reader: Reader) -> RtcpWindow:
    ssrc, highest = reader.u32("SSRC"), reader.u32("highest index")
    return RtcpWindow(ssrc=ssrc, highest=highest, seen=int.from_bytes(reader.vector(1, "seen").rest(), "big"))
