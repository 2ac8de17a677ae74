"""What two INITs have agreed on: tags, numbers, windows, streams, extensions.

An association has its terms from both sides' INIT or INIT ACK. Until the cookie has made its round trip, the answering
side keeps them in the cookie and nowhere else.
"""

from collections.abc import Sequence
from typing import Self

import attrs

from sctp.chunks.forward_tsn import ForwardTsn
from sctp.chunks.initiation import Initiation
from sctp.chunks.reconfig import ReConfig
from sctp.options import SctpOptions
from sctp.parameters.forward_tsn_supported import ForwardTsnSupported
from sctp.parameters.parameter import Parameter
from sctp.parameters.supported_extensions import SupportedExtensions
from wire.buffer import Reader, Writer

__all__ = ["OUR_EXTENSIONS", "Terms", "agree"]

# RFC 8831 §6.1: partial reliability (0xC000) and stream resets, announced through RFC 5061's parameter (0x8008).
OUR_EXTENSIONS: tuple[Parameter, ...] = (
    ForwardTsnSupported(),
    SupportedExtensions(chunk_types=(ForwardTsn.TYPE, ReConfig.TYPE)),
)


@attrs.frozen(kw_only=True)
class Terms:
    """What both sides know once each has seen the other's INIT or INIT ACK.

    Attributes:
        local_tag: verification tag of the packets that we receive.
        peer_tag: verification tag of the packets that we send; 0 while it is not known.
        local_initial_tsn: of our first DATA chunk, 32 bits.
        peer_initial_tsn: of the peer's first DATA chunk, 32 bits.
        peer_window: the peer's `a_rwnd` in bytes.
        outbound_streams: how many streams we may send on.
        inbound_streams: how many streams the peer may send on.
        has_forward_tsn: whether the peer knows FORWARD TSN.
        has_reconfiguration: whether the peer knows RE-CONFIG.
    """

    local_tag: int
    peer_tag: int
    local_initial_tsn: int
    peer_initial_tsn: int
    peer_window: int
    outbound_streams: int
    inbound_streams: int
    has_forward_tsn: bool
    has_reconfiguration: bool

    def serialize(self, writer: Writer) -> None:
        """Write 25 bytes, for cookies and snapshots."""
        writer.u32(self.local_tag, "local_tag").u32(self.peer_tag, "peer_tag")
        writer.u32(self.local_initial_tsn, "local_initial_tsn").u32(self.peer_initial_tsn, "peer_initial_tsn")
        writer.u32(self.peer_window, "peer_window")
        writer.u16(self.outbound_streams, "outbound_streams").u16(self.inbound_streams, "inbound_streams")
        writer.u8(self.has_forward_tsn | self.has_reconfiguration << 1, "extensions")

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read what `serialize` wrote.

        Raises:
            MalformedError: it is cut short.
        """
        numbers = [reader.u32("terms") for _ in range(5)]
        streams = [reader.u16("streams") for _ in range(2)]
        extensions = reader.u8("extensions")
        return cls(
            local_tag=numbers[0],
            peer_tag=numbers[1],
            local_initial_tsn=numbers[2],
            peer_initial_tsn=numbers[3],
            peer_window=numbers[4],
            outbound_streams=streams[0],
            inbound_streams=streams[1],
            has_forward_tsn=bool(extensions & 1),
            has_reconfiguration=bool(extensions & 2),
        )


def agree(
    options: SctpOptions, local_tag: int, local_initial_tsn: int, peer: Initiation, parameters: Sequence[Parameter]
) -> Terms:
    """Put what we offer and what the peer's INIT or INIT ACK offers together.

    Args:
        options: ours.
        local_tag: our initiate tag.
        local_initial_tsn: ours.
        peer: the peer's chunk.
        parameters: those of its parameters that count (`sctp.unrecognized.sift`).
    """
    extensions = {kind for item in parameters if isinstance(item, SupportedExtensions) for kind in item.chunk_types}
    return Terms(
        local_tag=local_tag,
        peer_tag=peer.initiate_tag,
        local_initial_tsn=local_initial_tsn,
        peer_initial_tsn=peer.initial_tsn,
        peer_window=peer.a_rwnd,
        # RFC 9260 §5.1.1: the smaller of what one sends on and the other accepts.
        outbound_streams=min(options.streams, peer.inbound_streams),
        inbound_streams=min(options.streams, peer.outbound_streams),
        # RFC 3758 §3.3: its own parameter says it; in a list of extensions it counts as well.
        has_forward_tsn=any(isinstance(item, ForwardTsnSupported) for item in parameters)
        or ForwardTsn.TYPE in extensions,
        # RFC 6525 §5.1.1.
        has_reconfiguration=ReConfig.TYPE in extensions,
    )
