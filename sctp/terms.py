"""What two INITs agree on: tags, numbers, windows, streams, extensions; or why they do not.

An association has its terms from both sides' INIT or INIT ACK. Until the cookie has made its round trip, the answering
side keeps them in the cookie and nowhere else.
"""

from collections.abc import Sequence
from typing import Self

import attrs

from sctp.causes.invalid_mandatory_parameter import InvalidMandatoryParameter
from sctp.causes.unresolvable_address import UnresolvableAddress
from sctp.chunks.abort import Abort
from sctp.chunks.forward_tsn import ForwardTsn
from sctp.chunks.initiation import Initiation
from sctp.chunks.reconfig import ReConfig
from sctp.drops import DropReason
from sctp.options import SctpOptions
from sctp.parameters.forward_tsn_supported import ForwardTsnSupported
from sctp.parameters.host_name_address import HostNameAddress
from sctp.parameters.parameter import Parameter, serialize_parameter
from sctp.parameters.supported_extensions import SupportedExtensions
from sctp.parameters.unknown import UnknownParameter
from sctp.parameters.unrecognized_parameter import UnrecognizedParameter
from sctp.unrecognized import sift
from wire.buffer import Reader, Writer
from wire.core import Drops

__all__ = ["OUR_EXTENSIONS", "Terms", "agree", "objection_to", "read_parameters"]

_MIN_WINDOW = 1500
"""RFC 9260 §3.3.2: a_rwnd MUST NOT be smaller."""

_MAX_REPORTED = 128
"""Bytes of unknown parameters that are handed back in an INIT ACK, so that it fits a packet."""

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


def read_parameters(chunk: Initiation, drops: Drops) -> tuple[tuple[Parameter, ...], tuple[UnrecognizedParameter, ...]]:
    """Separate the parameters that count from those that nobody here knows, which are dropped.

    Args:
        chunk: the peer's INIT or INIT ACK.
        drops: where they are counted.

    Returns:
        Those that count; and what the peer is told of the others, if it wants to be, as far as there is room.
    """
    unknown = sum(isinstance(item, UnknownParameter) for item in chunk.parameters)
    if unknown:
        drops[DropReason.UNKNOWN_PARAMETER] += unknown
    known, reported = sift(chunk.parameters, UnknownParameter)
    room = _MAX_REPORTED
    reports = []
    for item in reported:
        parameter = serialize_parameter(item)
        room -= len(parameter)
        if room < 0:
            break
        reports.append(UnrecognizedParameter(parameter=parameter))
    return known, tuple(reports)


def objection_to(chunk: Initiation) -> Abort | None:
    """Return the answer to an INIT or INIT ACK that no association can come of."""
    if any(isinstance(item, HostNameAddress) for item in chunk.parameters):
        # RFC 9260 §3.3.2 note 3.
        return Abort(causes=(UnresolvableAddress(),))
    if chunk.a_rwnd < _MIN_WINDOW or not chunk.outbound_streams or not chunk.inbound_streams:
        return Abort(causes=(InvalidMandatoryParameter(),))
    return None


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
