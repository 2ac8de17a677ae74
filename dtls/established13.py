"""DTLS 1.3 after the handshake: keeping the last flight alive, exporting keys, moving house.

What is left of the handshake here:

* a client repeats its last flight until the server's ACK has come;
* a server acknowledges a repeated last flight for twice TCP's MSL (RFC 9147 §5.8.1), for which it keeps the keys of
  epoch 2;
* NewSessionTicket is acknowledged and forgotten; KeyUpdate is not acknowledged, so that a peer which sends one keeps
  using its old keys (RFC 9147 §8), until a later version of this file handles it.
"""

from typing import Self

from dtls.channel import HandshakeChannel
from dtls.cipher_suites import CipherSuite, read_suite
from dtls.drops import DropReason
from dtls.events import SecurityParameters
from dtls.flight import Flight
from dtls.handshake.message import Fragment, HandshakeMessage, HandshakeType, parse_fragments
from dtls.handshake13 import EPOCH_APPLICATION, EPOCH_HANDSHAKE, parse_ack, serialize_ack
from dtls.key_schedule import KeySchedule
from dtls.protection13 import InboundProtection13, OutboundProtection13
from dtls.records import ContentType, Record
from dtls.stage import Stage
from dtls.versions import Version
from wire.buffer import Reader, Writer
from wire.core import Drops
from wire.errors import MalformedError
from wire.replay import ReplayWindow

__all__ = ["Established13"]


class Established13:
    """An established association of DTLS 1.3.

    Args:
        channel: of the association; a client's last flight is still in it.
        drops: where dropped records are counted.
        suite: the cipher suite.
        security: what was agreed on.
        exporter_secret: what exporters derive from.
        retention_ends: until when a server answers a repeated last flight; None for a client.

    Attributes:
        security: what was agreed on.
    """

    __slots__ = ("_channel", "_drops", "_exporter_secret", "_retention_ends", "_suite", "security")

    def __init__(
        self,
        *,
        channel: HandshakeChannel,
        drops: Drops,
        suite: CipherSuite,
        security: SecurityParameters,
        exporter_secret: bytes,
        retention_ends: float | None,
    ) -> None:
        self._channel = channel
        self._drops = drops
        self._suite = suite
        self._exporter_secret = exporter_secret
        self._retention_ends = retention_ends
        self.security = security
        channel.reassembly.clear()

    @property
    def established(self) -> Self:
        """Itself."""
        return self

    # Records ---------------------------------------------------------------------------------------------------------

    def receive(self, record: Record, now: float) -> Stage:
        """Take a handshake or ACK record."""
        if record.epoch == 0:
            self._drops[DropReason.UNPROTECTED_RECORD] += 1
        elif record.content_type == ContentType.HANDSHAKE:
            self._receive_handshake(record, now)
        elif record.content_type == ContentType.ACK:
            self._receive_ack(record, now)
        else:
            self._drops[DropReason.UNEXPECTED_CONTENT_TYPE] += 1
        return self

    def _receive_handshake(self, record: Record, now: float) -> None:
        try:
            fragments = parse_fragments(record.content)
        except MalformedError:
            self._drops[DropReason.MALFORMED_FRAGMENT] += 1
            return
        if record.epoch == EPOCH_HANDSHAKE and self._retention_ends is None:
            # The server repeats its flight: ours was lost.
            self._drops[DropReason.OLD_MESSAGE] += 1
            self._channel.timer.hasten(now)
        elif record.epoch == EPOCH_HANDSHAKE or all(_is_ignorable(fragment) for fragment in fragments):
            self._drops[DropReason.OLD_MESSAGE] += 1
            self._channel.received.add(record.number)
            ack = self._channel.received.ack(self._channel.records.sending_epoch)
            self._channel.records.send(ContentType.ACK, serialize_ack(ack))
        else:
            self._drops[DropReason.POST_HANDSHAKE_MESSAGE] += 1

    def _receive_ack(self, record: Record, now: float) -> None:
        ack = parse_ack(record)
        if ack is None:
            self._drops[DropReason.MALFORMED_ACK] += 1
            return
        self._channel.acknowledge(ack.record_numbers, now)
        if self._channel.flight is not None and self._channel.flight.is_acknowledged:
            self._channel.forget_flight()
            self._forget_handshake_epoch()

    def _forget_handshake_epoch(self) -> None:
        records = self._channel.records
        records.remove_inbound(EPOCH_HANDSHAKE)
        records.remove_outbound(EPOCH_HANDSHAKE)

    # Time ------------------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When to repeat the last flight, or to forget the keys of epoch 2."""
        # Only a client has a flight, only a server a retention.
        return self._channel.timer.deadline if self._retention_ends is None else self._retention_ends

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        self._channel.handle_timeout(now)
        if self._retention_ends is not None and now >= self._retention_ends:
            self._retention_ends = None
            self._channel.received.clear()
            self._forget_handshake_epoch()

    # Keys ------------------------------------------------------------------------------------------------------------

    def export_keying_material(self, label: bytes, length: int) -> bytes:
        """Derive keying material without a context (RFC 8446 §7.5)."""
        return KeySchedule(hash_name=self._suite.hash_name).export(self._exporter_secret, label, b"", length)

    # Moving house ----------------------------------------------------------------------------------------------------

    def snapshot(self, writer: Writer, now: float) -> None:
        """Write keys, record numbers, replay windows, and what is left of the handshake."""
        records = self._channel.records
        writer.u16(self._suite.number, "cipher_suite").vector(1, self._exporter_secret, "exporter_secret")
        for epoch in (EPOCH_HANDSHAKE, EPOCH_APPLICATION):
            outbound, inbound = records.outbound_or_none(epoch), records.inbound(epoch)
            writer.u8(outbound is not None)
            if isinstance(outbound, OutboundProtection13):
                writer.vector(1, outbound.secret, "secret").u64(outbound.next_sequence, "next_sequence")
            writer.u8(inbound is not None)
            if isinstance(inbound, InboundProtection13):
                writer.vector(1, inbound.secret, "secret").u64(inbound.failures, "failures")
                inbound.window.serialize(writer)
        remaining = None if self._retention_ends is None else max(self._retention_ends - now, 0.0)
        writer.u8(remaining is not None)
        if remaining is not None:
            writer.u32(int(remaining * 1000), "retention_ms")
        contents = () if self._channel.flight is None else self._channel.flight.contents
        messages = [content for content in contents if isinstance(content, HandshakeMessage)]
        writer.u8(len(messages), "messages")
        for message in messages:
            writer.u8(message.type, "msg_type").u16(message.message_seq, "message_seq")
            writer.vector(3, message.body, "body")

    @classmethod
    def restore(
        cls,
        reader: Reader,
        *,
        channel: HandshakeChannel,
        drops: Drops,
        security: SecurityParameters,
        sequence_margin: int,
        now: float,
    ) -> Self:
        """Read what `snapshot` wrote.

        Args:
            reader: over the stage's part of a snapshot.
            channel: a new one.
            drops: where dropped records are counted.
            security: what was agreed on.
            sequence_margin: how many record numbers to skip, because the old owner may have used them since.
            now: the present here.

        Raises:
            MalformedError: it is something else.
        """
        suite = read_suite(reader, Version.DTLS_1_3)
        exporter_secret = reader.vector(1, "exporter_secret").rest()
        records = channel.records
        for epoch in (EPOCH_HANDSHAKE, EPOCH_APPLICATION):
            if reader.u8("has outbound"):
                secret, sequence = reader.vector(1, "secret").rest(), reader.u64("next_sequence")
                records.install_outbound(OutboundProtection13(suite, secret, epoch, sequence + sequence_margin))
            if reader.u8("has inbound"):
                secret, failures = reader.vector(1, "secret").rest(), reader.u64("failures")
                protection = InboundProtection13(suite, secret, epoch, ReplayWindow.parse(reader))
                protection.failures = failures
                records.install_inbound(protection)
        retention_ends = now + reader.u32("retention_ms") / 1000 if reader.u8("has retention") else None
        messages = [
            HandshakeMessage(
                type=reader.u8("msg_type"),
                message_seq=reader.u16("message_seq"),
                epoch=EPOCH_HANDSHAKE,
                body=reader.vector(3, "body").rest(),
            )
            for _ in range(reader.u8("messages"))
        ]
        if messages:
            channel.flight = Flight(messages)
            channel.timer.start(now)
        return cls(
            channel=channel,
            drops=drops,
            suite=suite,
            security=security,
            exporter_secret=exporter_secret,
            retention_ends=retention_ends,
        )


def _is_ignorable(fragment: Fragment) -> bool:
    # RFC 8446 §4.6.1: a client may ignore tickets; only a server sends them, and we offer no way to use one.
    return fragment.type == HandshakeType.NEW_SESSION_TICKET
