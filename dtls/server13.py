"""The server's side of a DTLS 1.3 handshake.

    client                                    server
    ClientHello               ──────▶         choose version (before this file), suite, group, SRTP profile
                              ◀──────         ServerHello                                     epoch 0
                              ◀──────         EncryptedExtensions, CertificateRequest,        epoch 2
                                              Certificate, CertificateVerify, Finished
    Certificate,              ──────▶         fingerprint, signature, MAC
    CertificateVerify, Finished
                              ◀──────         ACK                                             epoch 3

No cookie is asked for: DEVIATES from RFC 9147 §5.1's default, which allows it where ICE has shown that the address is
the peer's; until then whoever drives us sends one flight and calls no timeout.

The keys of epoch 3 and the exporter secret exist as soon as our flight is built. Nothing derived from them is given
out before the client has proven who it is.
"""

from dtls.alerts import AbortError, AlertDescription, misbehaved
from dtls.established13 import Established13
from dtls.events import SecurityParameters
from dtls.extensions.block import ExtensionBlock, ExtensionBody
from dtls.extensions.groups import KeyShareEntry, KeyShares, SelectedKeyShare, SupportedGroups
from dtls.extensions.signatures import SignatureAlgorithms
from dtls.extensions.srtp import UseSrtp
from dtls.extensions.versions import SelectedVersion
from dtls.groups import respond
from dtls.handshake.body import parse_body
from dtls.handshake.certificate import CertificateMessage
from dtls.handshake.certificate_request import CertificateRequest
from dtls.handshake.certificate_verify import CertificateVerify
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.encrypted_extensions import EncryptedExtensions
from dtls.handshake.finished import Finished
from dtls.handshake.message import HandshakeMessage, HandshakeType
from dtls.handshake.server_hello import ServerHello
from dtls.handshake13 import EPOCH_APPLICATION, EPOCH_HANDSHAKE, ApplicationSecrets, Handshake13, HandshakeKeys
from dtls.negotiation import choose_cipher_suite, choose_group_with_share, choose_srtp_profile
from dtls.signatures import SIGNATURE_SCHEMES, choose_scheme
from dtls.stage import Context, Stage
from dtls.states13 import SERVER_13
from dtls.transcript import Transcript
from dtls.versions import Version

__all__ = ["Server13"]


class Server13(Handshake13):
    """Answers a ClientHello, then waits for the client to prove who it is.

    Args:
        context: of the association.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._state = SERVER_13.initial
        self._agreed: SecurityParameters
        self._secrets: ApplicationSecrets

    def begin(self, message: HandshakeMessage, hello: ClientHello, now: float) -> Stage:
        """Answer a ClientHello.

        Raises:
            AbortError: there is no answer.
        """
        self._state = SERVER_13.next_state(self._state, message.type)
        self._send_flight(message, hello, now)
        return self

    def handle_message(self, message: HandshakeMessage, now: float) -> Stage:
        """Take the client's next message; return the stage that goes on."""
        self._state = SERVER_13.next_state(self._state, message.type)
        if message.type == HandshakeType.CERTIFICATE:
            # RFC 8446 §4.4.2.4: without a certificate the server MAY abort with certificate_required; we do.
            certificate = parse_body(CertificateMessage, message.body)
            self._check_certificate(certificate, AlertDescription.CERTIFICATE_REQUIRED)
        elif message.type == HandshakeType.CERTIFICATE_VERIFY:
            self._check_certificate_verify(parse_body(CertificateVerify, message.body))
        else:
            self._check_finished(parse_body(Finished, message.body))
            return self._established(now)
        self._add(message)
        return self

    # ClientHello, and our flight -------------------------------------------------------------------------------------

    def _send_flight(self, message: HandshakeMessage, hello: ClientHello, now: float) -> None:
        context, channel = self._context, self._channel
        # RFC 9147 §5.3: any other value in these MUST abort with illegal_parameter (RFC 8446 §4.1.2 for compression).
        if hello.legacy_cookie or hello.legacy_compression_methods != b"\0":
            raise misbehaved("legacy fields of the ClientHello are in use")
        self._suite = choose_cipher_suite(hello.cipher_suites, Version.DTLS_1_3)
        group, client_share = choose_group_with_share(
            context.options.groups, hello.extensions.require(KeyShares), hello.extensions.require(SupportedGroups)
        )
        accepted_schemes = hello.extensions.require(SignatureAlgorithms).schemes
        scheme = choose_scheme(context.certificate.private_key, accepted_schemes)
        if scheme is None:
            detail = "the client cannot verify a signature of our key"
            raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-common-signature-scheme", detail)
        srtp_profile = choose_srtp_profile(context.options.srtp_profiles, hello.extensions.get(UseSrtp))
        share, shared = respond(group, client_share, context.entropy, context.encapsulate)

        # RFC 9147 §5: the legacy_session_id is not echoed.
        server_hello = ServerHello(
            random=context.entropy(32),
            cipher_suite=self._suite.number,
            extensions=ExtensionBlock.of(
                (
                    SelectedVersion(version=Version.DTLS_1_3),
                    SelectedKeyShare(entry=KeyShareEntry(group=group, key_exchange=share)),
                )
            ),
        )
        hello_message = channel.message(server_hello, 0)
        self._transcript = Transcript(self._suite.hash_name)
        self._add(message)
        self._add(hello_message)
        self._keys = HandshakeKeys.derive(self._suite, shared, self._transcript.digest())
        self._install(EPOCH_HANDSHAKE, self._keys.server_secret, self._keys.client_secret)
        self._expect_handshake_epoch()

        answers: list[ExtensionBody] = [] if srtp_profile is None else [UseSrtp(profiles=(srtp_profile,))]
        request = CertificateRequest(extensions=ExtensionBlock.of([SignatureAlgorithms(schemes=SIGNATURE_SCHEMES)]))
        flight = [
            hello_message,
            self._message(EncryptedExtensions(extensions=ExtensionBlock.of(answers))),
            self._message(request),
            *self._authentication(scheme),
        ]
        self._secrets = ApplicationSecrets.derive(self._keys, self._transcript.digest())
        # We may send in epoch 3 at once. The client's epoch 3 is opened only after its Finished (RFC 9147 §5.8.1).
        self._install(EPOCH_APPLICATION, self._secrets.server, None)
        self._agreed = SecurityParameters(
            version=Version.DTLS_1_3,
            cipher_suite=self._suite.name,
            group=group.iana_name,
            srtp_profile=srtp_profile,
        )
        channel.send_flight(flight, now)

    # The client's flight ---------------------------------------------------------------------------------------------

    def _established(self, now: float) -> Stage:
        self._install(EPOCH_APPLICATION, None, self._secrets.client)
        self._channel.forget_flight()
        # RFC 9147 §7.1: the client's final flight MUST be acknowledged.
        self._send_ack()
        self._channel.records.remove_outbound(EPOCH_HANDSHAKE)
        return Established13(
            channel=self._channel,
            drops=self._context.drops,
            suite=self._suite,
            security=self._agreed,
            exporter_secret=self._secrets.exporter,
            retention_ends=now + self._context.options.timers.retention,
        )
