"""What offer and answer settled about the audio, as far as its packets are concerned."""

from collections.abc import Mapping

import attrs

from transceiver.backends.silence import SILENT_FRAMES
from transceiver.sdp import Negotiated
from transceiver.sdp.attributes import TRANSPORT_WIDE_CC, Codec
from wire.core import Entropy

__all__ = ["MediaDescription"]


@attrs.frozen(kw_only=True)
class MediaDescription:
    """What offer and answer settled about the audio.

    Attributes:
        ssrc: our source.
        cname: our canonical name in SDES and SDP (RFC 7022 §4.2: random per call).
        msid: stream and track id of the answer's `a=msid`.
        clock_rates: RTP clock in Hz by negotiated payload type.
        codecs: encoding name in lower case by negotiated payload type, "red" and "telephone-event" among them.
        spoken: the codec that we use when we speak by ourselves.
        sends: whether the client wants to hear us (the answer is not `recvonly` or `inactive`).
        transport_cc_id: header extension id of the transport-wide sequence number; None when not negotiated.
        is_reduced_size: whether RTCP packets need not be compound (RFC 5506).
    """

    ssrc: int
    cname: str
    msid: str
    clock_rates: Mapping[int, int]
    codecs: Mapping[int, str]
    spoken: Codec
    sends: bool
    transport_cc_id: int | None
    is_reduced_size: bool

    @classmethod
    def create(cls, negotiated: Negotiated, entropy: Entropy) -> "MediaDescription":
        """Take from a negotiation what media needs, and draw our own identifiers."""
        return cls(
            ssrc=int.from_bytes(entropy(4), "big"),
            cname=entropy(12).hex(),
            msid=f"{entropy(8).hex()} {entropy(8).hex()}",
            clock_rates={codec.payload_type: codec.clock for codec in negotiated.formats},
            codecs={codec.payload_type: codec.name.lower() for codec in negotiated.formats},
            spoken=negotiated.spoken,
            sends=negotiated.sends,
            transport_cc_id=negotiated.extensions.get(TRANSPORT_WIDE_CC),
            is_reduced_size=negotiated.rtcp_rsize,
        )

    @property
    def opening(self) -> tuple[int, bytes]:
        """Payload type and payload of the packet that opens our audio: 20 ms of silence."""
        return self.spoken.payload_type, SILENT_FRAMES[self.spoken.name.lower()]
