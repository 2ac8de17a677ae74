"""How far each process may count with the keys of a session.

Goal: no (key, nonce) pair is used by two processes. Every nonce that we make is an index of ours, counted up, so it is
enough that the processes which ever hold a session use disjoint stretches of each index (docs/failover.md has the
argument).

Construction: `Indices` are the next ones to be used, at one point in time. A snapshot holds them. It reserves the
stretch from there to `Indices.reserved`, a margin above: whoever made the snapshot uses nothing beyond it, and whoever
takes the session over by this snapshot uses nothing below.

* The ceilings of a session are what the last *confirmed* checkpoint has reserved. With the first checkpoint, and with
  each that is asked for while there are no ceilings, they count from when it is *asked* for: the store may have it
  though its answer never comes.
* A session that was taken over (not moved exactly) begins with its ceilings where it begins itself: it may send nothing
  until a checkpoint of its own is confirmed. Otherwise its own successor, which may have the old snapshot only, would
  begin at the very same place.
* A session that was moved exactly inherits the ceilings of its source. The store still has the source's snapshot, and
  who takes over by that begins above them.

They are enforced where the nonce is made: `SrtpSession.protect_rtp`, `SrtcpSender.protect` and `seal` of the DTLS
record protections compare the whole index, not its 16 bits on the wire. Nothing above these can go past them.
"""

from collections.abc import Mapping

import attrs

from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["DTLS_MARGIN", "RTCP_MARGIN", "RTP_MARGIN", "Indices"]

RTP_MARGIN = 4096
"""Packets of each source: 82 s of audio at 20 ms. Several take-overs in a row, of which the client hears nothing, stay
below 2^15, beyond which it would guess the rollover counter wrong (RFC 3711 §3.3.1)."""

RTCP_MARGIN = 1024
"""Packets: 200 s of reports and feedback. An index is sent whole, so nothing is guessed."""

DTLS_MARGIN = 8192
"""Records: as many as a busy data channel fills in the time of two checkpoints. Below 2^15, where DTLS 1.3 would guess
the number wrong (RFC 9147 §4.2.2)."""

_MOST_PACKETS = 1 << 28
"""62 days of audio: bringing libsrtp there would take long, and no call lasts so long."""


@attrs.frozen(kw_only=True)
class Indices:
    """The next index that each of our keys may be used with.

    Attributes:
        rtp: of 48 bits, by SSRC.
        rtcp: of RTCP.
        dtls: record numbers, by epoch.
    """

    rtp: Mapping[int, int]
    rtcp: int
    dtls: Mapping[int, int]

    def reserved(self) -> "Indices":
        """Return the end of the stretches that a snapshot with these indices reserves."""
        return Indices(
            rtp={ssrc: index + RTP_MARGIN for ssrc, index in self.rtp.items()},
            rtcp=self.rtcp + RTCP_MARGIN,
            dtls={epoch: number + DTLS_MARGIN for epoch, number in self.dtls.items()},
        )

    def raised_to(self, other: "Indices") -> "Indices":
        """Return the higher one of each; ceilings never come down, in whatever order confirmations arrive."""
        return Indices(
            rtp=_highest(self.rtp, other.rtp),
            rtcp=max(self.rtcp, other.rtcp),
            dtls=_highest(self.dtls, other.dtls),
        )

    @classmethod
    def parse(cls, reader: Reader) -> "Indices":
        """Read what `serialize` wrote.

        Raises:
            MalformedError: it is something else.
        """
        return cls(
            rtp={reader.u32("ssrc"): _read_index(reader, reader.u48("index")) for _ in range(reader.u8("sources"))},
            rtcp=_read_index(reader, reader.u32("rtcp")),
            dtls={reader.u16("epoch"): reader.u64("record number") for _ in range(reader.u8("epochs"))},
        )

    def serialize(self, writer: Writer) -> None:
        """Write them."""
        writer.u8(len(self.rtp), "sources")
        for ssrc, index in self.rtp.items():
            writer.u32(ssrc, "ssrc").u48(index, "index")
        writer.u32(self.rtcp, "rtcp").u8(len(self.dtls), "epochs")
        for epoch, number in self.dtls.items():
            writer.u16(epoch, "epoch").u64(number, "record number")


def _read_index(reader: Reader, index: int) -> int:
    if index > _MOST_PACKETS:
        raise MalformedError("index", reader.offset, "is more than a call can have come to")
    return index


def _highest(first: Mapping[int, int], second: Mapping[int, int]) -> dict[int, int]:
    return {key: max(first.get(key, 0), second.get(key, 0)) for key in (*first, *second)}
