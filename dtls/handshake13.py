"""What both roles of a DTLS 1.3 handshake share: taking records, ACKs, keys, and the authentication messages.

Source: RFC 9147 §5-7, RFC 8446 §4.4, §7.
"""

import hmac
from typing import Self

import attrs

from dtls.acknowledgement import Ack
from dtls.alerts import AbortError, AlertDescription, misbehaved
from dtls.certificate import PublicKey, public_key_of
from dtls.cipher_suites import CipherSuite
from dtls.drops import DropReason
from dtls.handshake.body import HandshakeBody
from dtls.handshake.certificate import CertificateEntry, CertificateMessage
from dtls.handshake.certificate_verify import CertificateVerify
from dtls.handshake.finished import Finished
from dtls.handshake.message import HandshakeMessage
from dtls.key_schedule import KeySchedule
from dtls.protection13 import InboundProtection13, OutboundProtection13
from dtls.records import ContentType, Record
from dtls.signatures import SignatureScheme, sign, verify
from dtls.stage import Context, Established, Stage
from dtls.transcript import Transcript
from dtls.versions import Role
from wire.buffer import Reader, Writer
from wire.errors import AuthenticationError, MalformedError

__all__ = [
    "EPOCH_APPLICATION",
    "EPOCH_HANDSHAKE",
    "ApplicationSecrets",
    "Handshake13",
    "HandshakeKeys",
    "parse_ack",
    "serialize_ack",
    "signed_content",
]

EPOCH_HANDSHAKE = 2
"""RFC 9147 §6.1: keys from the handshake traffic secrets."""
EPOCH_APPLICATION = 3
"""RFC 9147 §6.1: keys from the first application traffic secrets."""

_ACK_DELAY = 0.25
"""RFC 9147 §7.1: of the retransmission timeout, before an unfinished flight is acknowledged."""


@attrs.frozen(kw_only=True)
class HandshakeKeys:
    """Secrets that live as long as the handshake.

    Attributes:
        schedule: derivations for the suite's hash.
        handshake_secret: what the master secret comes from.
        client_secret: the client's handshake traffic secret.
        server_secret: the server's handshake traffic secret.
    """

    schedule: KeySchedule
    handshake_secret: bytes = attrs.field(repr=False)
    client_secret: bytes = attrs.field(repr=False)
    server_secret: bytes = attrs.field(repr=False)

    @classmethod
    def derive(cls, suite: CipherSuite, shared: bytes, transcript_hash: bytes) -> Self:
        """Derive from the key exchange and the hash of ClientHello and ServerHello (RFC 8446 §7.1)."""
        schedule = KeySchedule(hash_name=suite.hash_name)
        secret = schedule.handshake_secret(shared)
        return cls(
            schedule=schedule,
            handshake_secret=secret,
            client_secret=schedule.derive_secret(secret, b"c hs traffic", transcript_hash),
            server_secret=schedule.derive_secret(secret, b"s hs traffic", transcript_hash),
        )

    def finished(self, sender: Role, transcript_hash: bytes) -> Finished:
        """Make the Finished of one side."""
        secret = self.client_secret if sender is Role.CLIENT else self.server_secret
        return Finished(verify_data=self.schedule.finished_mac(secret, transcript_hash))


@attrs.frozen(kw_only=True)
class ApplicationSecrets:
    """Secrets that outlive the handshake.

    Attributes:
        client: the client's first application traffic secret.
        server: the server's first application traffic secret.
        exporter: what exporters derive from.
    """

    client: bytes = attrs.field(repr=False)
    server: bytes = attrs.field(repr=False)
    exporter: bytes = attrs.field(repr=False)

    @classmethod
    def derive(cls, keys: HandshakeKeys, transcript_hash: bytes) -> Self:
        """Derive with the hash of all messages up to the server's Finished (RFC 8446 §7.1)."""
        schedule = keys.schedule
        master = schedule.master_secret(keys.handshake_secret)
        return cls(
            client=schedule.derive_secret(master, b"c ap traffic", transcript_hash),
            server=schedule.derive_secret(master, b"s ap traffic", transcript_hash),
            exporter=schedule.derive_secret(master, b"exp master", transcript_hash),
        )


class Handshake13:
    """A stage that takes records; a role adds what messages mean.

    Args:
        context: of the association.
    """

    established: Established | None = None

    def __init__(self, context: Context) -> None:
        self._context = context
        self._channel = context.channel
        self._ack_deadline: float | None = None
        self._peer_key: PublicKey | None = None
        # Set when both hellos are known:
        self._suite: CipherSuite
        self._transcript: Transcript
        self._keys: HandshakeKeys

    def handle_message(self, message: HandshakeMessage, now: float) -> Stage:
        """Take the peer's next message; return the stage that goes on."""
        raise NotImplementedError

    # Records ---------------------------------------------------------------------------------------------------------

    def receive(self, record: Record, now: float) -> Stage:
        """Take a record; return the stage that goes on."""
        drops = self._context.drops
        if record.epoch == 0 and self._channel.records.has_authenticated:
            drops[DropReason.UNPROTECTED_RECORD] += 1
        elif record.content_type == ContentType.HANDSHAKE:
            if self._channel.receive(record, now):
                self._channel.timer.hasten(now)
            return self._handle_messages(now)
        elif record.content_type == ContentType.ACK and record.epoch:
            ack = parse_ack(record)
            if ack is None:
                drops[DropReason.MALFORMED_ACK] += 1
            else:
                self._channel.acknowledge(ack.record_numbers, now)
        else:
            # DEVIATES: RFC 9147 §7.2 knows ACKs in epoch 0. One that nobody has authenticated must not make us send
            # (whose address is it?), nor keep us from sending; the timer does the same a little later.
            # RFC 9147 §5: change_cipher_spec MUST NOT be sent.
            drops[DropReason.UNEXPECTED_CONTENT_TYPE] += 1
        return self

    def _handle_messages(self, now: float) -> Stage:
        while (message := self._channel.next_message()) is not None:
            self._ack_deadline = None
            stage = self.handle_message(message, now)
            if stage is not self:
                return stage
        # RFC 9147 §7.1: part of a flight is here and the rest is not: acknowledge what came, after a while.
        if self._channel.received and self._ack_deadline is None:
            self._ack_deadline = now + _ACK_DELAY * self._channel.timer.timeout
        return self

    def next_timeout(self) -> float | None:
        """When to repeat a flight or to acknowledge."""
        deadline, ack_deadline = self._channel.timer.deadline, self._ack_deadline
        if deadline is None or ack_deadline is None:
            return ack_deadline if deadline is None else deadline
        return min(deadline, ack_deadline)

    def handle_timeout(self, now: float) -> None:
        """Repeat a flight or acknowledge, if it is time."""
        is_ack_due = self._ack_deadline is not None and now >= self._ack_deadline
        # While the peer's flight is incomplete ours counts as acknowledged, and what is repeated is the ACK.
        if self._channel.handle_timeout(now) or is_ack_due:
            self._ack_deadline = None
            self._send_ack()

    def _send_ack(self) -> None:
        records = self._channel.records
        # Before the keys of epoch 2 there is nothing to acknowledge in: see the deviation in `receive`.
        if self._channel.received and records.sending_epoch:
            records.send(ContentType.ACK, serialize_ack(self._channel.received.ack(records.sending_epoch)))

    # Keys ------------------------------------------------------------------------------------------------------------

    def _install(self, epoch: int, outbound_secret: bytes | None, inbound_secret: bytes | None) -> None:
        records = self._channel.records
        if outbound_secret is not None:
            records.install_outbound(OutboundProtection13(self._suite, outbound_secret, epoch))
        if inbound_secret is not None:
            records.install_inbound(InboundProtection13(self._suite, inbound_secret, epoch))

    def _expect_handshake_epoch(self) -> None:
        # RFC 9147 §6.1: all that follows the hellos is protected; plaintext fragments are not believed any more.
        self._channel.reassembly.believe(EPOCH_HANDSHAKE)

    # Authentication --------------------------------------------------------------------------------------------------

    def _add(self, message: HandshakeMessage) -> None:
        self._transcript.add(message.transcript_bytes_13)

    def _message(self, body: HandshakeBody) -> HandshakeMessage:
        """Make a protected message of ours, and take it into the transcript."""
        message = self._channel.message(body, EPOCH_HANDSHAKE)
        self._add(message)
        return message

    def _authentication(self, scheme: SignatureScheme) -> list[HandshakeMessage]:
        """Make Certificate, CertificateVerify and Finished."""
        role, certificate = self._context.role, self._context.certificate
        messages = [self._message(CertificateMessage(entries=(CertificateEntry(cert_data=certificate.der),)))]
        content = signed_content(role, self._transcript.digest())
        signature = sign(certificate.private_key, scheme, content)
        messages.append(self._message(CertificateVerify(algorithm=scheme, signature=signature)))
        messages.append(self._message(self._keys.finished(role, self._transcript.digest())))
        return messages

    def _check_certificate(self, certificate: CertificateMessage, when_empty: AlertDescription) -> None:
        # RFC 8446 §4.4.2: the context is empty during the handshake.
        if certificate.context:
            raise misbehaved("certificate_request_context is not empty")
        if not certificate.entries:
            raise AbortError(when_empty, "no-certificate", "the peer has no certificate")
        der = certificate.entries[0].cert_data
        # The fingerprint first: nothing else of an unexpected certificate is looked at.
        self._context.peer.present(der)
        self._peer_key = public_key_of(der)

    def _check_certificate_verify(self, proof: CertificateVerify) -> None:
        """Check before the message itself enters the transcript."""
        assert self._peer_key is not None  # noqa: S101  (the state table lets no proof precede its certificate)
        peer = Role.SERVER if self._context.role is Role.CLIENT else Role.CLIENT
        content = signed_content(peer, self._transcript.digest())
        try:
            verify(self._peer_key, proof.algorithm, proof.signature, content, is_tls13=True)
        except AuthenticationError as error:
            # RFC 8446 §4.4.3: if the verification fails, the receiver MUST terminate with decrypt_error.
            raise AbortError(AlertDescription.DECRYPT_ERROR, "bad-signature", str(error)) from error

    def _check_finished(self, finished: Finished) -> None:
        """Check before the message itself enters the transcript."""
        peer = Role.SERVER if self._context.role is Role.CLIENT else Role.CLIENT
        expected = self._keys.finished(peer, self._transcript.digest())
        # RFC 8446 §4.4.4: incorrect verify_data MUST terminate the handshake with decrypt_error.
        if not hmac.compare_digest(expected.verify_data, finished.verify_data):
            raise AbortError(AlertDescription.DECRYPT_ERROR, "bad-finished", "the handshakes of both sides differ")


def signed_content(signer: Role, transcript_hash: bytes) -> bytes:
    """Return what a CertificateVerify signs (RFC 8446 §4.4.3; it says TLS in DTLS too)."""
    context = b"TLS 1.3, " + signer.value.encode() + b" CertificateVerify"
    return b"\x20" * 64 + context + b"\0" + transcript_hash


def parse_ack(record: Record) -> Ack | None:
    """Read an ACK record; None when it is malformed."""
    reader = Reader(record.content)
    try:
        ack = Ack.parse(reader)
        reader.finish("ACK")
    except MalformedError:
        return None
    return ack


def serialize_ack(ack: Ack) -> bytes:
    """Write an ACK record's content."""
    writer = Writer()
    ack.serialize(writer)
    return writer.finish()
