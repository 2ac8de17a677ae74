"""DTLS 1.2 after the handshake: repeating the last flight, refusing another handshake, exporting keys, moving house.

What is left of the handshake here:

* a server answers a client that repeats its Finished with its own, for as long as it lives: 12 bytes are kept for it,
  and no timer. RFC 6347 §4.2.4 asks for twice TCP's MSL at least. The client's Finished is protected and its record
  never seen before, so nobody else can make us send;
* renegotiation is refused with a warning, and the association goes on.
"""

from collections.abc import Sequence
from typing import Self

from dtls.alerts import Alert, AlertDescription, AlertLevel
from dtls.channel import HandshakeChannel
from dtls.cipher_suites import CipherSuite, read_suite
from dtls.drops import DropReason
from dtls.events import SecurityParameters
from dtls.fragmentation import ChangeCipherSpec
from dtls.handshake.message import Fragment, HandshakeMessage, HandshakeType, parse_fragments
from dtls.prf import Secrets12
from dtls.protection12 import EPOCH_PROTECTED, InboundProtection12, OutboundProtection12
from dtls.records import ContentType, Record
from dtls.stage import Stage
from dtls.versions import Role, Version
from wire.buffer import Reader, Writer
from wire.core import Drops
from wire.errors import MalformedError
from wire.replay import ReplayWindow

__all__ = ["Established12"]

_RENEGOTIATION = frozenset({HandshakeType.HELLO_REQUEST, HandshakeType.CLIENT_HELLO})


class Established12:
    """An established association of DTLS 1.2.

    Args:
        channel: of the association.
        drops: where dropped records are counted.
        suite: the cipher suite.
        security: what was agreed on.
        secrets: what exporters derive from, and record keys after a move.
        last: a server's Finished; None for a client, whose last flight was answered.

    Attributes:
        security: what was agreed on.
    """

    __slots__ = ("_channel", "_drops", "_last", "_secrets", "_suite", "security")

    def __init__(
        self,
        *,
        channel: HandshakeChannel,
        drops: Drops,
        suite: CipherSuite,
        security: SecurityParameters,
        secrets: Secrets12,
        last: HandshakeMessage | None,
    ) -> None:
        self._channel = channel
        self._drops = drops
        self._suite = suite
        self._secrets = secrets
        self._last = last
        self.security = security
        channel.forget_flight()
        channel.reassembly.clear()

    @property
    def established(self) -> Self:
        """Itself."""
        return self

    # Records ---------------------------------------------------------------------------------------------------------

    def receive(self, record: Record, now: float) -> Stage:
        """Take a handshake or ChangeCipherSpec record."""
        if record.epoch == 0:
            # The rest of a flight that is repeated, or an invention; neither says anything new.
            self._drops[DropReason.UNPROTECTED_RECORD] += 1
        elif record.content_type == ContentType.HANDSHAKE:
            self._receive_handshake(record, now)
        else:
            self._drops[DropReason.UNEXPECTED_CONTENT_TYPE] += 1
        return self

    def _receive_handshake(self, record: Record, now: float) -> None:
        try:
            types = _types_of(parse_fragments(record.content))
        except MalformedError:
            self._drops[DropReason.MALFORMED_FRAGMENT] += 1
            return
        if HandshakeType.FINISHED in types:
            self._drops[DropReason.OLD_MESSAGE] += 1
            self._repeat_last_flight(now)
            return
        self._drops[DropReason.POST_HANDSHAKE_MESSAGE] += 1
        if _RENEGOTIATION & types:
            # RFC 5246 §7.2.2: respond to a hello request or client hello with no_renegotiation, always a warning.
            writer = Writer()
            Alert(level=AlertLevel.WARNING, description=AlertDescription.NO_RENEGOTIATION).serialize(writer)
            self._channel.records.send(ContentType.ALERT, writer.finish())

    def _repeat_last_flight(self, now: float) -> None:
        if self._last is not None:
            # RFC 6347 §4.2.4: MUST respond to a retransmit of the peer's last flight with one of ours.
            self._channel.send_flight([ChangeCipherSpec(epoch=0), self._last], now, expects_answer=False)
            self._channel.forget_flight()

    # Time ------------------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """Nothing is waited for."""
        return None

    def handle_timeout(self, now: float) -> None:
        """Nothing is ever due."""

    # Keys ------------------------------------------------------------------------------------------------------------

    def export_keying_material(self, label: bytes, length: int) -> bytes:
        """Derive keying material without a context (RFC 5705)."""
        return self._secrets.export(label, length)

    # Moving house ----------------------------------------------------------------------------------------------------

    def snapshot(self, writer: Writer, now: float) -> None:  # noqa: ARG002  (nothing here has an age)
        """Write keys, record numbers, the replay window, and a server's Finished."""
        records, secrets = self._channel.records, self._secrets
        writer.u16(self._suite.number, "cipher_suite").vector(1, secrets.master_secret, "master_secret")
        writer.octets(secrets.client_random).octets(secrets.server_random)
        # The first epoch too: a repeated ChangeCipherSpec takes its numbers.
        for epoch in (0, EPOCH_PROTECTED):
            writer.u64(records.outbound(epoch).next_sequence, "next_sequence")
        inbound = records.inbound(EPOCH_PROTECTED)
        assert isinstance(inbound, InboundProtection12)  # noqa: S101  (the handshake has installed it)
        writer.u64(inbound.failures, "failures")
        inbound.window.serialize(writer)
        writer.u8(self._last is not None, "has last")
        if self._last is not None:
            writer.u16(self._last.message_seq, "message_seq").vector(1, self._last.body, "verify_data")

    @classmethod
    def restore(
        cls,
        reader: Reader,
        *,
        channel: HandshakeChannel,
        drops: Drops,
        security: SecurityParameters,
        sequence_margin: int,
        now: float,  # noqa: ARG003  (nothing here has an age)
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
        suite = read_suite(reader, Version.DTLS_1_2)
        secrets = Secrets12(
            hash_name=suite.hash_name,
            master_secret=reader.vector(1, "master_secret").rest(),
            client_random=reader.octets(32, "client_random"),
            server_random=reader.octets(32, "server_random"),
        )
        sequences = [reader.u64("next_sequence") + sequence_margin for _ in (0, EPOCH_PROTECTED)]
        failures, window = reader.u64("failures"), ReplayWindow.parse(reader)
        last = None
        if reader.u8("has last"):
            message_seq, verify_data = reader.u16("message_seq"), reader.vector(1, "verify_data").rest()
            last = HandshakeMessage(
                type=HandshakeType.FINISHED, message_seq=message_seq, epoch=EPOCH_PROTECTED, body=verify_data
            )
        # Only a server has a last flight to repeat, so this tells whose keys are whose.
        role, peer = (Role.CLIENT, Role.SERVER) if last is None else (Role.SERVER, Role.CLIENT)
        keys, records = secrets.record_keys(suite), channel.records
        records.outbound(0).next_sequence = sequences[0]
        records.install_outbound(OutboundProtection12(suite, keys[role], sequences[1]))
        inbound = InboundProtection12(suite, keys[peer], window)
        inbound.failures = failures
        records.install_inbound(inbound)
        return cls(channel=channel, drops=drops, suite=suite, security=security, secrets=secrets, last=last)


def _types_of(fragments: Sequence[Fragment]) -> frozenset[int]:
    return frozenset(fragment.type for fragment in fragments)
