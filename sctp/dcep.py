"""DCEP: the two messages that open a data channel.

    |  Type=0x03    |  Channel type |            Priority           |  DATA_CHANNEL_OPEN
    |                     Reliability parameter                     |
    |         Label length          |        Protocol length        |
    |                        Label, protocol                       ..

    |  Type=0x02    |                                                  DATA_CHANNEL_ACK

Source: RFC 8832 §5.
"""

import enum
from typing import ClassVar, Self, TypeAlias

import attrs

from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["ChannelType", "DataChannelAck", "DataChannelOpen", "Message", "parse_message", "serialize_message"]


class ChannelType(enum.IntEnum):
    """How much is done to deliver a message, and whether in order; the high bit says unordered.

    Source: RFC 8832 §8.2.2, table 4.
    """

    RELIABLE = 0x00
    PARTIAL_RELIABLE_REXMIT = 0x01
    PARTIAL_RELIABLE_TIMED = 0x02
    RELIABLE_UNORDERED = 0x80
    PARTIAL_RELIABLE_REXMIT_UNORDERED = 0x81
    PARTIAL_RELIABLE_TIMED_UNORDERED = 0x82

    @property
    def is_ordered(self) -> bool:
        """Whether messages arrive in the order in which they were sent."""
        return not self & 0x80

    @property
    def is_reliable(self) -> bool:
        """Whether no message is ever given up."""
        return not self & 0x7F


@attrs.frozen(kw_only=True)
class DataChannelOpen:
    """The first message on a new data channel.

    Attributes:
        channel_type: delivery, for both directions.
        priority: 16 bits; 128 is below normal, 256 normal, 512 high, 1024 extra high (RFC 8831 §6.4).
        reliability: how many retransmissions, or for how many milliseconds, by the channel type; 32 bits, 0 for a
            reliable one.
        label: a name, up to 65535 bytes of UTF-8; need not be unique.
        protocol: a WebSocket subprotocol, up to 65535 bytes of UTF-8; empty for unspecified.
    """

    TYPE: ClassVar[int] = 0x03

    channel_type: ChannelType = ChannelType.RELIABLE
    priority: int = 256
    reliability: int = 0
    label: str = ""
    protocol: str = ""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read what follows the message type.

        Raises:
            MalformedError: the channel type is unknown, lengths do not add up, or a text is not UTF-8.
        """
        at = reader.offset
        number = reader.u8("Channel Type")
        try:
            channel_type = ChannelType(number)
        except ValueError as error:
            raise MalformedError("Channel Type", at, f"{number:#04x} is unknown") from error
        priority = reader.u16("Priority")
        reliability = reader.u32("Reliability Parameter")
        label_length = reader.u16("Label Length")
        protocol_length = reader.u16("Protocol Length")
        label = _text(reader, label_length, "Label")
        protocol = _text(reader, protocol_length, "Protocol")
        return cls(
            channel_type=channel_type,
            priority=priority,
            # RFC 8832 §5.1: for reliable data channels this MUST be ignored on the receiving side.
            reliability=0 if channel_type.is_reliable else reliability,
            label=label,
            protocol=protocol,
        )

    def serialize(self, writer: Writer) -> None:
        """Write the message.

        Raises:
            LocalProtocolError: a field is out of range, a text longer than 65535 bytes for example.
        """
        label, protocol = self.label.encode(), self.protocol.encode()
        writer.u8(self.TYPE).u8(self.channel_type, "channel_type").u16(self.priority, "priority")
        writer.u32(self.reliability, "reliability").u16(len(label), "label length").u16(
            len(protocol), "protocol length"
        )
        writer.octets(label).octets(protocol)


@attrs.frozen(kw_only=True)
class DataChannelAck:
    """The answer: the channel is open on this side, too."""

    TYPE: ClassVar[int] = 0x02

    @classmethod
    def parse(cls, _reader: Reader) -> Self:
        """Read what follows the message type, which is nothing."""
        return cls()

    def serialize(self, writer: Writer) -> None:
        """Write the message."""
        writer.u8(self.TYPE)


Message: TypeAlias = DataChannelOpen | DataChannelAck


def parse_message(data: bytes) -> Message:
    """Read the user data of a message with PPID 50.

    Raises:
        MalformedError: its type is unknown, it does not parse, or bytes are left over.
    """
    reader = Reader(data)
    message_type = reader.u8("Message Type")
    message: Message
    if message_type == DataChannelOpen.TYPE:
        message = DataChannelOpen.parse(reader)
    elif message_type == DataChannelAck.TYPE:
        message = DataChannelAck.parse(reader)
    else:
        raise MalformedError("Message Type", 0, f"{message_type:#04x} is unknown")
    reader.finish("DCEP message")
    return message


def serialize_message(message: Message) -> bytes:
    """Write the user data of a message with PPID 50.

    Raises:
        LocalProtocolError: a field is out of range.
    """
    writer = Writer()
    message.serialize(writer)
    return writer.finish()


def _text(reader: Reader, length: int, field: str) -> str:
    at = reader.offset
    data = reader.octets(length, field)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(field, at + error.start, "is not UTF-8") from error
