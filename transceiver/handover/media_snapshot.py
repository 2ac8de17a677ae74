"""How far the media of a session has come, as a record and as bytes.

What a codec or a jitter buffer holds is not in it: both begin anew, which costs some milliseconds of audio.
"""

from typing import Self

import attrs

from srtp.reception import ReceptionState
from transceiver.audio.sender import SendingState
from wire.buffer import Reader, Writer
from wire.errors import MalformedError
from wire.snapshot_fields import read_flag, read_float, read_optional_time, write_float, write_optional_time

__all__ = ["EchoState", "MediaSnapshot"]


@attrs.frozen(kw_only=True)
class EchoState:
    """What an echo adds to the packets of the caller's source.

    Attributes:
        ssrc: the caller's source.
        sequence_offset: 16 bits.
        timestamp_offset: 32 bits.
    """

    ssrc: int
    sequence_offset: int
    timestamp_offset: int


@attrs.frozen(kw_only=True)
class MediaSnapshot:
    """Numbers and counts of both directions.

    Attributes:
        clock_rate: of our source's timestamps, in Hz.
        timestamp: of its last packet, or of the first one before that; 32 bits.
        silent_for: seconds since its last packet; None before the first.
        packet_count: packets that it has sent.
        octet_count: bytes of payload in them.
        packets_in: audio packets of the client's.
        has_opened: whether the packet that opens our audio has left.
        echo: None when nothing was echoed yet.
        sending: None when nothing was said yet.
        sources: how the client's sources are received.
        feedback_count: of the next transport-wide feedback, 8 bits.
        feedback_clock: what the clock of that feedback shows, in seconds.
    """

    clock_rate: int
    timestamp: int
    silent_for: float | None
    packet_count: int
    octet_count: int
    packets_in: int
    has_opened: bool
    echo: EchoState | None
    sending: SendingState | None
    sources: tuple[ReceptionState, ...]
    feedback_count: int
    feedback_clock: float

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read what `serialize` wrote.

        Raises:
            MalformedError: it is something else.
        """
        at, clock_rate = reader.offset, reader.u32("clock rate")
        if not clock_rate:
            raise MalformedError("clock rate", at, "is 0")
        return cls(
            clock_rate=clock_rate,
            timestamp=reader.u32("timestamp"),
            silent_for=read_optional_time(reader, 0.0, "silent for"),
            packet_count=reader.u64("packet count"),
            octet_count=reader.u64("octet count"),
            packets_in=reader.u64("packets in"),
            has_opened=read_flag(reader, "has opened"),
            echo=_read_echo(reader) if read_flag(reader, "echo") else None,
            sending=_read_sending(reader) if read_flag(reader, "sending") else None,
            sources=tuple(_read_source(reader) for _ in range(reader.u8("sources"))),
            feedback_count=reader.u8("feedback count"),
            feedback_clock=read_float(reader, "feedback clock"),
        )

    def serialize(self, writer: Writer) -> None:
        """Write it."""
        writer.u32(self.clock_rate, "clock rate").u32(self.timestamp, "timestamp")
        write_optional_time(writer, self.silent_for, 0.0)
        writer.u64(self.packet_count, "packet count").u64(self.octet_count, "octet count")
        writer.u64(self.packets_in, "packets in").u8(self.has_opened)
        writer.u8(self.echo is not None)
        if self.echo is not None:
            writer.u32(self.echo.ssrc, "ssrc").u16(self.echo.sequence_offset, "sequence offset")
            writer.u32(self.echo.timestamp_offset, "timestamp offset")
        writer.u8(self.sending is not None)
        if self.sending is not None:
            writer.u8(self.sending.is_quiet).u16(self.sending.tail, "tail")
            writer.u64(self.sending.next_number, "next number")
        writer.u8(len(self.sources), "sources")
        for source in self.sources:
            writer.u32(source.ssrc, "ssrc").u32(source.clock_rate, "clock rate").u64(source.highest, "highest")
            writer.u64(source.expected_count, "expected").u64(source.received_count, "received")
            writer.u64(source.expected_prior, "expected before").u64(source.received_prior, "received before")
            write_float(writer, source.jitter)
        writer.u8(self.feedback_count, "feedback count")
        write_float(writer, self.feedback_clock)


def _read_echo(reader: Reader) -> EchoState:
    return EchoState(
        ssrc=reader.u32("ssrc"),
        sequence_offset=reader.u16("sequence offset"),
        timestamp_offset=reader.u32("timestamp offset"),
    )


def _read_sending(reader: Reader) -> SendingState:
    return SendingState(
        is_quiet=read_flag(reader, "is quiet"), tail=reader.u16("tail"), next_number=reader.u64("next number")
    )


def _read_source(reader: Reader) -> ReceptionState:
    ssrc, at, clock_rate = reader.u32("ssrc"), reader.offset, reader.u32("clock rate")
    if not clock_rate:
        raise MalformedError("clock rate", at, "is 0")
    return ReceptionState(
        ssrc=ssrc,
        clock_rate=clock_rate,
        highest=reader.u64("highest"),
        expected_count=reader.u64("expected"),
        received_count=reader.u64("received"),
        expected_prior=reader.u64("expected before"),
        received_prior=reader.u64("received before"),
        jitter=read_float(reader, "jitter"),
    )
