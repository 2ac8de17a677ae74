"""Several RTCP packets in one datagram.

Source: RFC 3550 §6.1 and A.2; RFC 5506 §3.4.2, which lets a datagram hold any packet first.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from srtp.rtcp import goodbye, receiver_report, sender_report, source_description, transport_feedback
from srtp.rtcp.goodbye import Goodbye
from srtp.rtcp.header import read_packet
from srtp.rtcp.receiver_report import ReceiverReport
from srtp.rtcp.sender_report import SenderReport
from srtp.rtcp.source_description import SourceDescription
from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.rtcp.unknown import UnknownPacket
from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["MAX_PACKETS", "Packet", "parse_compound", "serialize_compound"]

Packet: TypeAlias = SenderReport | ReceiverReport | SourceDescription | Goodbye | TransportFeedback | UnknownPacket

MAX_PACKETS = 32
"""How many packets a datagram may hold; honest ones hold two to five."""

_BY_PACKET_TYPE: dict[int, Callable[[int, Reader], Packet]] = {
    sender_report.PACKET_TYPE: SenderReport.parse,
    receiver_report.PACKET_TYPE: ReceiverReport.parse,
    source_description.PACKET_TYPE: SourceDescription.parse,
    goodbye.PACKET_TYPE: Goodbye.parse,
}


def parse_compound(data: bytes) -> tuple[Packet, ...]:
    """Read all packets of a datagram.

    Returns:
        At least one packet.

    Raises:
        MalformedError: a packet is malformed, the lengths do not add up, or there are more than `MAX_PACKETS`.
    """
    reader = Reader(data)
    packets: list[Packet] = []
    # RFC 3550 A.2: every packet is of version 2, and their lengths add up to the datagram's. That SR or RR comes
    # first is no longer a rule (RFC 5506 §3.4.2), and SRTCP has authenticated the datagram.
    while not packets or len(reader):
        if len(packets) == MAX_PACKETS:
            raise MalformedError("compound packet", reader.offset, f"holds more than {MAX_PACKETS} packets")
        packets.append(_parse_packet(reader))
    return tuple(packets)


def _parse_packet(reader: Reader) -> Packet:
    packet_type, count, body, padding_size = read_packet(reader)
    # Feedback messages have their format where others count.
    if packet_type == transport_feedback.PACKET_TYPE and count == transport_feedback.FORMAT:
        return TransportFeedback.parse(body)
    if parse := _BY_PACKET_TYPE.get(packet_type):
        return parse(count, body)
    return UnknownPacket.parse(packet_type, count, body, padding_size)


def serialize_compound(packets: Iterable[Packet]) -> bytes:
    """Write packets behind one another.

    Raises:
        LocalProtocolError: there is none, or a field is out of range.
    """
    writer = Writer()
    for packet in packets:
        packet.serialize(writer)
    if not len(writer):
        raise LocalProtocolError("an RTCP datagram holds at least one packet")
    return writer.finish()
