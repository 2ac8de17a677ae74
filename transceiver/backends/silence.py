"""Says nothing: for a client that only wants to be heard."""

from collections.abc import Mapping

from transceiver.backends.contract import PacketBackend

__all__ = ["SILENT_FRAMES", "Silence"]

SILENT_FRAMES: Mapping[str, bytes] = {
    "opus": b"\xf8\xff\xfe",  # RFC 6716 §3.1: CELT, full band, 20 ms, mono, one frame; an empty range coder
    "pcmu": b"\xff" * 160,  # ITU-T G.711: zero
    "pcma": b"\xd5" * 160,
}
"""20 ms of silence by the codec's name in lower case."""


class Silence(PacketBackend):
    """The backend of a call whose client takes no audio (`a=sendonly` or `a=inactive` in its offer)."""

    def reply(
        self,
        packet: bytes,
        start: int,
        end: int,
        marker_and_type: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
    ) -> None:
        """Stay silent; see `PacketBackend.reply`."""
