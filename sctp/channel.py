"""A data channel: what both ends have agreed on.

Source: RFC 8831 §6.4; RFC 8832 §5.1.
"""

from typing import Self

import attrs

from sctp.dcep import ChannelType, DataChannelOpen
from wire.errors import LocalProtocolError

__all__ = ["NORMAL_PRIORITY", "Channel", "ChannelLimits"]

NORMAL_PRIORITY = 256


@attrs.frozen(kw_only=True)
class ChannelLimits:
    """What a peer may make us hold; beyond it, channels are refused.

    Attributes:
        max_channels: how many channels at a time, those included that are being closed. Browsers open a handful.
        max_text_length: bytes of UTF-8 of a label, and of a protocol. RFC 8832 §7 lets them have 65535; a name is
            short.
    """

    max_channels: int = attrs.field(default=1024, validator=attrs.validators.ge(1))
    max_text_length: int = attrs.field(default=1024, validator=attrs.validators.ge(0))


@attrs.frozen(kw_only=True)
class Channel:
    """The properties of a data channel, the same in both directions.

    Attributes:
        id: stream identifier of both streams, 0 to 65534.
        label: a name; need not be unique, may be empty.
        protocol: a WebSocket subprotocol; empty for unspecified.
        ordered: whether messages arrive in the order in which they were sent.
        max_retransmits: how often a message is sent again before it is given up; None for no limit.
        lifetime: seconds before a message is given up, in steps of a millisecond; None for no limit.
        priority: 128 is below normal, 256 normal, 512 high, 1024 extra high. Told to the peer, not acted on.
        is_negotiated: whether both ends know of it from elsewhere (`negotiated: true`), without DCEP.
    """

    id: int
    label: str
    protocol: str = ""
    ordered: bool = True
    max_retransmits: int | None = None
    lifetime: float | None = None
    priority: int = NORMAL_PRIORITY
    is_negotiated: bool = False

    def __attrs_post_init__(self) -> None:
        # RFC 8832 §5.1: there is one reliability parameter.
        if self.max_retransmits is not None and self.lifetime is not None:
            raise LocalProtocolError("a channel is limited by retransmissions or by lifetime, not by both")
        if (self.max_retransmits or 0) < 0 or (self.lifetime or 0) < 0:
            raise LocalProtocolError("limits of retransmissions and lifetime are not negative")
        try:
            (self.label + self.protocol).encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError("label and protocol have to be possible in UTF-8") from error

    @classmethod
    def from_open(cls, channel_id: int, message: DataChannelOpen) -> Self:
        """Take the properties from the peer's DATA_CHANNEL_OPEN."""
        kind = message.channel_type
        is_rexmit = kind in (ChannelType.PARTIAL_RELIABLE_REXMIT, ChannelType.PARTIAL_RELIABLE_REXMIT_UNORDERED)
        is_timed = kind in (ChannelType.PARTIAL_RELIABLE_TIMED, ChannelType.PARTIAL_RELIABLE_TIMED_UNORDERED)
        return cls(
            id=channel_id,
            label=message.label,
            protocol=message.protocol,
            ordered=kind.is_ordered,
            max_retransmits=message.reliability if is_rexmit else None,
            lifetime=message.reliability / 1000 if is_timed else None,
            priority=message.priority,
        )

    def to_open(self) -> DataChannelOpen:
        """Write the properties into a DATA_CHANNEL_OPEN."""
        reliability = 0
        kind = ChannelType.RELIABLE
        if self.max_retransmits is not None:
            kind, reliability = ChannelType.PARTIAL_RELIABLE_REXMIT, self.max_retransmits
        elif self.lifetime is not None:
            kind, reliability = ChannelType.PARTIAL_RELIABLE_TIMED, round(self.lifetime * 1000)
        if not self.ordered:
            # RFC 8832 §8.2.2: the high-order bit says unordered.
            kind = ChannelType(kind | 0x80)
        return DataChannelOpen(
            channel_type=kind,
            priority=self.priority,
            reliability=reliability,
            label=self.label,
            protocol=self.protocol,
        )
