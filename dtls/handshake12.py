"""What both roles of a DTLS 1.2 handshake share: taking records, the transcript, keys, and the authentication messages.

Where 1.2 differs from 1.3:

* Nothing is protected before Finished, so anybody who can write into the path can end a handshake. What they cannot do
  is have it end well: both sides sign, and Finished covers every message.
* There are no ACKs: a flight is answered by the whole of the next one, or sent again as a whole (RFC 6347 §4.2.4).
* ChangeCipherSpec says that what follows is protected. Here it is sent and never acted on: the epoch in each record's
  header says the same, record by record, whatever order they come in. So none that is early, late, repeated or forged
  can change a key.

Source: RFC 6347 §4.2, RFC 5246 §7.4, RFC 8422 §5.
"""

import hashlib
import hmac

from dtls.alerts import AbortError, AlertDescription, misbehaved
from dtls.certificate import PublicKey, public_key_of
from dtls.cipher_suites import CipherSuite
from dtls.drops import DropReason
from dtls.established12 import Established12
from dtls.events import SecurityParameters
from dtls.extensions.block import ExtensionBlock
from dtls.extensions.legacy import EcPointFormats, ExtendedMasterSecret, RenegotiationInfo
from dtls.fragmentation import ChangeCipherSpec
from dtls.groups import Group
from dtls.handshake.body import HandshakeBody
from dtls.handshake.certificate12 import CertificateMessage12
from dtls.handshake.certificate_verify import CertificateVerify
from dtls.handshake.finished import Finished
from dtls.handshake.message import HandshakeMessage
from dtls.options import DtlsOptions
from dtls.prf import Secrets12
from dtls.protection12 import EPOCH_PROTECTED, InboundProtection12, OutboundProtection12
from dtls.records import ContentType, Record
from dtls.signatures import SignatureScheme, sign, verify
from dtls.stage import Context, Established, Stage
from dtls.versions import Role, Version
from wire.errors import AuthenticationError

__all__ = ["CHANGE_CIPHER_SPEC", "Handshake12", "check_hello_extensions", "groups_of_12"]

CHANGE_CIPHER_SPEC = ChangeCipherSpec(epoch=0)

_UNCOMPRESSED = 0
"""RFC 8422 §5.1.2: the only point format that is left."""


class Handshake12:
    """A stage that takes records; a role adds what messages mean.

    Args:
        context: of the association.
    """

    established: Established | None = None

    def __init__(self, context: Context) -> None:
        self._context = context
        self._channel = context.channel
        # The messages themselves and not their hash: a CertificateVerify may be made with another hash (RFC 5246
        # §7.4.8). They go with the handshake.
        self._messages = bytearray()
        self._peer_key: PublicKey | None = None
        self._srtp_profile: int | None = None
        # Set when both hellos are known:
        self._suite: CipherSuite
        self._client_random: bytes
        self._server_random: bytes
        self._group: Group
        # Set after the key exchange:
        self._secrets: Secrets12

    def handle_message(self, message: HandshakeMessage, now: float) -> Stage:
        """Take the peer's next message; return the stage that goes on."""
        raise NotImplementedError

    # Records ---------------------------------------------------------------------------------------------------------

    def receive(self, record: Record, now: float) -> Stage:
        """Take a record; return the stage that goes on."""
        if record.content_type == ContentType.HANDSHAKE:
            if self._channel.receive(record, now):
                # RFC 6347 §4.2.4: a repeated flight means that ours was lost: send it again.
                self._channel.timer.hasten(now)
            return self._handle_messages(now)
        # DEVIATES: RFC 5246 §7.4.9 calls a Finished without a ChangeCipherSpec before it a fatal error. Here that one
        # may be lost or late, and adds nothing to a Finished which is protected with the new keys.
        if not self._expects_change_cipher_spec(record):
            self._context.drops[DropReason.UNEXPECTED_CONTENT_TYPE] += 1
        return self

    def _expects_change_cipher_spec(self, record: Record) -> bool:
        is_one = record.content_type == ContentType.CHANGE_CIPHER_SPEC and record.content == b"\x01"
        return is_one and record.epoch == 0 and self._channel.reassembly.epoch == EPOCH_PROTECTED

    def _handle_messages(self, now: float) -> Stage:
        while (message := self._channel.next_message()) is not None:
            stage = self.handle_message(message, now)
            if stage is not self:
                return stage
        return self

    def next_timeout(self) -> float | None:
        """When to repeat a flight."""
        return self._channel.timer.deadline

    def handle_timeout(self, now: float) -> None:
        """Repeat a flight, if it is time."""
        if self._channel.timer.is_due(now):
            # RFC 6347 §4.2.4: partial reads change nothing: what has answered a part of a flight has answered none.
            self._channel.unacknowledge()
        self._channel.handle_timeout(now)

    # Transcript ------------------------------------------------------------------------------------------------------

    def _add(self, message: HandshakeMessage) -> None:
        self._messages += message.transcript_bytes_12

    def _transcript_hash(self) -> bytes:
        return hashlib.new(self._suite.hash_name, self._messages).digest()

    def _message(self, body: HandshakeBody, epoch: int = 0) -> HandshakeMessage:
        """Make a message of ours, and take it into the transcript."""
        message = self._channel.message(body, epoch)
        self._add(message)
        return message

    # Keys ------------------------------------------------------------------------------------------------------------

    def _derive_secrets(self, premaster_secret: bytes) -> None:
        """The transcript ends with ClientKeyExchange: derive the master secret from it (RFC 7627 §3)."""
        self._secrets = Secrets12.derive(
            self._suite, premaster_secret, self._transcript_hash(), self._client_random, self._server_random
        )

    def _protect_outbound(self) -> None:
        keys = self._secrets.record_keys(self._suite)[self._context.role]
        self._channel.records.install_outbound(OutboundProtection12(self._suite, keys))

    def _expect_finished(self) -> None:
        """All that remains is the peer's Finished, and that one is protected.

        Only now are the peer's records of epoch 1 opened, so that one which overtakes the rest of its flight waits in
        the record layer instead of being refused.
        """
        keys = self._secrets.record_keys(self._suite)[self._peer_role]
        self._channel.records.install_inbound(InboundProtection12(self._suite, keys))
        self._channel.reassembly.believe(EPOCH_PROTECTED)

    @property
    def _peer_role(self) -> Role:
        return Role.SERVER if self._context.role is Role.CLIENT else Role.CLIENT

    # Authentication --------------------------------------------------------------------------------------------------

    def _our_certificate(self) -> CertificateMessage12:
        return CertificateMessage12(certificates=(self._context.certificate.der,))

    def _certificate_verify(self, scheme: SignatureScheme) -> CertificateVerify:
        # RFC 5246 §7.4.8: the signature covers all messages so far, not a hash of them.
        signature = sign(self._context.certificate.private_key, scheme, bytes(self._messages))
        return CertificateVerify(algorithm=scheme, signature=signature)

    def _our_finished(self) -> HandshakeMessage:
        finished = self._secrets.finished(self._context.role, self._transcript_hash())
        return self._message(finished, EPOCH_PROTECTED)

    def _check_certificate(self, certificate: CertificateMessage12) -> PublicKey:
        if not certificate.certificates:
            # RFC 5246 §7.4.6: without a certificate the server may answer with handshake_failure; we do, in both roles.
            raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-certificate", "the peer has no certificate")
        der = certificate.certificates[0]
        # The fingerprint first: nothing else of an unexpected certificate is looked at.
        self._context.peer.present(der)
        key = self._peer_key = public_key_of(der)
        return key

    def _check_signature(self, algorithm: int, signature: bytes, content: bytes) -> None:
        assert self._peer_key is not None  # noqa: S101  (the state table lets no signature precede its certificate)
        try:
            verify(self._peer_key, algorithm, signature, content, is_tls13=False)
        except AuthenticationError as error:
            # RFC 5246 §7.2.2: decrypt_error when a signature does not verify.
            raise AbortError(AlertDescription.DECRYPT_ERROR, "bad-signature", str(error)) from error

    def _check_finished(self, finished: Finished) -> None:
        """Check before the message itself enters the transcript."""
        expected = self._secrets.finished(self._peer_role, self._transcript_hash())
        if not hmac.compare_digest(expected.verify_data, finished.verify_data):
            raise AbortError(AlertDescription.DECRYPT_ERROR, "bad-finished", "the handshakes of both sides differ")

    # The end ---------------------------------------------------------------------------------------------------------

    def _establish(self, last: HandshakeMessage | None) -> Stage:
        """Leave the handshake behind, but for the Finished of a server, which ends the last flight."""
        security = SecurityParameters(
            version=Version.DTLS_1_2,
            cipher_suite=self._suite.name,
            group=self._group.iana_name,
            srtp_profile=self._srtp_profile,
        )
        return Established12(
            channel=self._channel,
            drops=self._context.drops,
            suite=self._suite,
            security=security,
            secrets=self._secrets,
            last=last,
        )


def groups_of_12(options: DtlsOptions) -> tuple[Group, ...]:
    """Return those of our groups that 1.2 has; P-256 is always there (RFC 8827 §6.5)."""
    # RFC 8422 §5.1.1: the two that are in use; hybrids belong to 1.3.
    groups = tuple(group for group in options.groups if group is not Group.X25519MLKEM768)
    return groups if Group.SECP256R1 in groups else (*groups, Group.SECP256R1)


def check_hello_extensions(extensions: ExtensionBlock) -> None:
    """Check what has to be the same in both hellos.

    Raises:
        AbortError: the peer cannot bind its master secret to the handshake, or has something left from another one.
    """
    if extensions.get(ExtendedMasterSecret) is None:
        # RFC 7627 §5.2: abort the handshake, with handshake_failure, rather than speak with legacy peers.
        detail = "the peer lacks the extended master secret (RFC 7627), which we require"
        raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-extended-master-secret", detail)
    renegotiation = extensions.get(RenegotiationInfo)
    if renegotiation is not None and renegotiation.renegotiated_connection:
        # RFC 5746 §3.4, §3.6: MUST be empty in a first handshake, or the handshake is aborted with handshake_failure.
        raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "misbehaved", "the peer takes this for a renegotiation")
    formats = extensions.get(EcPointFormats)
    if formats is not None and _UNCOMPRESSED not in formats.formats:
        # RFC 8422 §5.1.2: MUST abort with illegal_parameter.
        raise misbehaved("the peer cannot read uncompressed points")
