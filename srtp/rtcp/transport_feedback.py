"""When each packet of a transport arrived: packet type 205, format 15.

    |V=2|P|  FMT=15 |    PT=205     |           length              |
    |                     SSRC of packet sender                     |
    |                      SSRC of media source                     |
    |      base sequence number     |      packet status count      |
    |                 reference time                | fb pkt. count |
    |          packet chunk         |         packet chunk          |
    |  ...                          |  recv delta   |  recv delta   |
    |  ...                          | zeros to the next word        |

The statuses of consecutive packets are packed into chunks of 16 bits:

    |0| S |      run length 13      |    the same status so many times
    |1|0|       14 statuses of 1 bit     0 not received, 1 small delta
    |1|1|        7 statuses of 2 bits    0 not received, 1 small delta, 2 large delta

Each packet received has a delta to the one received before it, the first to the reference time: one byte if it is
0 to 63.75 ms, else two.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Self

import attrs

from srtp.rtcp.header import write_packet
from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["DELTA_SECONDS", "MAX_DELTA", "MAX_STATUSES", "MIN_DELTA", "REFERENCE_SECONDS", "TransportFeedback"]

PACKET_TYPE = 205
FORMAT = 15

DELTA_SECONDS = 0.00025
"""The unit of deltas."""

MIN_DELTA, MAX_DELTA = -0x8000, 0x7FFF
"""What fits a delta."""

REFERENCE_SECONDS = 0.064
"""The unit of the reference time: 256 deltas."""

MAX_STATUSES = 8191
"""How many packets one feedback may tell of; two minutes of audio. The count on the wire could make us hold 65535
for some bytes of run lengths."""

_FIELDS = struct.Struct(">IIHHI")
"""What stands in front of the chunks; the last field is the reference time and the count."""

_NOT_RECEIVED, _SMALL, _LARGE, _RESERVED = range(4)
_MAX_RUN = (1 << 13) - 1
_VECTOR = 1 << 15
_TWO_BITS = 1 << 14
_REFERENCE_HALF = 1 << 23


@attrs.frozen(kw_only=True)
class TransportFeedback:
    """Arrivals of consecutive packets.

    Attributes:
        sender_ssrc: who reports.
        media_ssrc: a source of the transport that is reported on.
        base_sequence_number: transport-wide sequence number of the first packet, 16 bits.
        reference_time: on the reporter's clock, in units of 64 ms; signed 24 bits.
        feedback_packet_count: 8 bits, one more for each feedback, so that lost ones are seen.
        deltas: for each packet from the base on, None when it has not arrived, else the time since the one that
            arrived before it (the first: since the reference time) in units of 250 us, signed 16 bits. 1 to
            `MAX_STATUSES` of them.
    """

    sender_ssrc: int
    media_ssrc: int
    base_sequence_number: int
    reference_time: int
    feedback_packet_count: int
    deltas: tuple[int | None, ...]

    @classmethod
    def parse(cls, body: Reader) -> Self:
        """Read the body of a packet.

        Raises:
            MalformedError: statuses or deltas are missing, reserved or too many.
        """
        sender_ssrc = body.u32("SSRC of packet sender")
        media_ssrc = body.u32("SSRC of media source")
        base_sequence_number = body.u16("base sequence number")
        at = body.offset
        status_count = body.u16("packet status count")
        if not 1 <= status_count <= MAX_STATUSES:
            raise MalformedError("packet status count", at, f"is {status_count}")
        reference_time = body.u24("reference time")
        feedback_packet_count = body.u8("fb pkt. count")
        statuses = _read_statuses(body, status_count)
        deltas = tuple([_read_delta(body, status) for status in statuses])
        if len(body) > 3:
            raise MalformedError("transport feedback", body.offset, f"{len(body)} trailing bytes")
        return cls(
            sender_ssrc=sender_ssrc,
            media_ssrc=media_ssrc,
            base_sequence_number=base_sequence_number,
            reference_time=reference_time - 2 * _REFERENCE_HALF
            if reference_time >= _REFERENCE_HALF
            else reference_time,
            feedback_packet_count=feedback_packet_count,
            deltas=deltas,
        )

    def serialize(self, writer: Writer) -> None:
        """Write the packet, with zeros and no P bit to fill the last word.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        if not 1 <= len(self.deltas) <= MAX_STATUSES:
            raise LocalProtocolError(f"transport feedback tells of 1 to {MAX_STATUSES} packets")
        if not -_REFERENCE_HALF <= self.reference_time < _REFERENCE_HALF or not 0 <= self.feedback_packet_count <= 255:
            raise LocalProtocolError(f"{self.reference_time}, {self.feedback_packet_count}: do not fit 24 and 8 bits")
        try:
            body = Writer().octets(
                _FIELDS.pack(
                    self.sender_ssrc,
                    self.media_ssrc,
                    self.base_sequence_number,
                    len(self.deltas),
                    (self.reference_time & (2 * _REFERENCE_HALF - 1)) << 8 | self.feedback_packet_count,
                )
            )
        except struct.error as error:
            raise LocalProtocolError(f"transport feedback: {error}") from error
        small = _all_small(self.deltas)
        if small is not None:
            # A call without trouble, four times a second: a third of the time that the general way takes.
            body.u16(_SMALL << 13 | len(small)).octets(small)
        else:
            statuses = [_status_of(delta) for delta in self.deltas]
            for chunk in _chunks(statuses):
                body.u16(chunk)
            for status, delta in zip(statuses, self.deltas, strict=True):
                if delta is not None:
                    body.octets((delta & 0xFFFF).to_bytes(status, "big"))
        write_packet(writer, PACKET_TYPE, FORMAT, body.pad(4))

    def arrivals(self) -> Iterator[tuple[int, float | None]]:
        """Go through the packets.

        Yields:
            Each transport-wide sequence number, 16 bits, and when it arrived, in seconds on the reporter's clock,
            which wraps every 12 days; None when it has not.
        """
        ticks = self.reference_time * 256
        for number, delta in enumerate(self.deltas, self.base_sequence_number):
            if delta is None:
                yield number & 0xFFFF, None
            else:
                ticks += delta
                yield number & 0xFFFF, ticks * DELTA_SECONDS


def _read_statuses(body: Reader, count: int) -> list[int]:
    statuses: list[int] = []
    while len(statuses) < count:
        chunk = body.u16("packet chunk")
        if not chunk & _VECTOR:
            statuses += [chunk >> 13] * (chunk & _MAX_RUN)
        elif chunk & _TWO_BITS:
            statuses += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            statuses += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    # What the last chunk holds behind the last packet means nothing.
    return statuses[:count]


def _read_delta(body: Reader, status: int) -> int | None:
    if status == _NOT_RECEIVED:
        return None
    if status == _SMALL:
        return body.u8("recv delta")
    if status == _RESERVED:
        raise MalformedError("packet status", body.offset, "3 is reserved")
    delta = body.u16("recv delta")
    return delta - 0x10000 if delta >= 0x8000 else delta


def _all_small(deltas: Sequence[int | None]) -> bytes | None:
    """Return the deltas as they are sent when one chunk tells of all: nothing lost, none 64 ms behind the last."""
    try:
        return bytes(deltas) if len(deltas) <= _MAX_RUN else None  # type: ignore[arg-type]  # None raises, as it should
    except (TypeError, ValueError):
        return None


def _status_of(delta: int | None) -> int:
    if delta is None:
        return _NOT_RECEIVED
    if not MIN_DELTA <= delta <= MAX_DELTA:
        raise LocalProtocolError(f"delta: {delta} does not fit 16 bits")
    return _SMALL if 0 <= delta <= 0xFF else _LARGE


def _chunks(statuses: Sequence[int]) -> Iterator[int]:
    """Pack statuses, with whichever chunk takes most of them."""
    at = 0
    while at < len(statuses):
        run = _run_length(statuses, at)
        window = statuses[at : at + 14]
        if run >= min(7 if _LARGE in window else 14, len(window)):
            yield statuses[at] << 13 | run
            at += run
        elif _LARGE in window:
            yield _VECTOR | _TWO_BITS | _pack(window[:7], 7, 2)
            at += 7
        else:
            yield _VECTOR | _pack(window, 14, 1)
            at += 14


def _run_length(statuses: Sequence[int], at: int) -> int:
    end = min(len(statuses), at + _MAX_RUN)
    run_end = at + 1
    while run_end < end and statuses[run_end] == statuses[at]:
        run_end += 1
    return run_end - at


def _pack(statuses: Sequence[int], size: int, bits: int) -> int:
    packed = 0
    for status in statuses:
        packed = packed << bits | status
    return packed << bits * (size - len(statuses))
