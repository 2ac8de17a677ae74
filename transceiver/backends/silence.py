"""Says nothing: for a client that only wants to be heard."""

from transceiver.backends.contract import PacketBackend

__all__ = ["Silence"]


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
