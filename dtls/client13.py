"""The client's side of a DTLS 1.3 handshake.

client                                    server
ClientHello (opening.py)  ──────▶
◀──────         ServerHello                                     epoch 0
keys of epoch 2           ◀──────         EncryptedExtensions, CertificateRequest,        epoch 2
Certificate, CertificateVerify, Finished
fingerprint, signature, MAC
Certificate,              ──────▶                                                         epoch 2
CertificateVerify, Finished
connected, and the flight is repeated until
◀──────         ACK                                             epoch 3
"""

from dtls.alerts import AbortError, AlertDescription, misbehaved
from dtls.cipher_suites import CIPHER_SUITES
from dtls.established13 import Established13
from dtls.events import SecurityParameters
from dtls.extensions.block import ExtensionType, require_known
from dtls.extensions.groups import SelectedKeyShare
from dtls.extensions.signatures import SignatureAlgorithms
from dtls.extensions.srtp import UseSrtp
from dtls.groups import Group
from dtls.handshake.body import parse_body
from dtls.handshake.certificate import CertificateMessage
from dtls.handshake.certificate_request import CertificateRequest
from dtls.handshake.certificate_verify import CertificateVerify
from dtls.handshake.encrypted_extensions import EncryptedExtensions
from dtls.handshake.finished import Finished
from dtls.handshake.message import HandshakeMessage
from dtls.handshake.server_hello import ServerHello
from dtls.handshake13 import EPOCH_APPLICATION, EPOCH_HANDSHAKE, ApplicationSecrets, Handshake13, HandshakeKeys
from dtls.offer import ClientOffer
from dtls.signatures import SignatureScheme, choose_scheme
from dtls.stage import Context, Stage
from dtls.states13 import CLIENT_13, ClientState13
from dtls.transcript import Transcript
from dtls.versions import Version

__all__ = ["Client13"]

_SERVER_HELLO_EXTENSIONS = frozenset({ExtensionType.SUPPORTED_VERSIONS, ExtensionType.KEY_SHARE})
"""RFC 8446 §4.2: of what we offer, only these may come back in the ServerHello."""

_ENCRYPTED_EXTENSIONS = frozenset({ExtensionType.SUPPORTED_GROUPS, ExtensionType.USE_SRTP})
"""RFC 8446 §4.2: of what we offer, only these may come back in EncryptedExtensions."""


class Client13(Handshake13):
    """Takes a server's flight and answers it.

    Args:
        context: of the association.
        offer: our ClientHello.
    """

    def __init__(self, context: Context, offer: ClientOffer) -> None:
        super().__init__(context)
        self._offer = offer
        self._state = CLIENT_13.initial
        self._group: Group
        self._srtp_profile: int | None = None
        self._scheme: SignatureScheme

    def begin(self, message: HandshakeMessage, hello: ServerHello | None, now: float) -> Stage:
        """Take the ServerHello that chose this version.

        Raises:
            AbortError: it is not acceptable.
        """
        self._state = CLIENT_13.next_state(self._state, message.type)
        assert hello is not None  # noqa: S101  (the table has refused all else)
        self._receive_server_hello(message, hello)
        return self._handle_messages(now)

    def handle_message(self, message: HandshakeMessage, now: float) -> Stage:
        """Take the server's next message; return the stage that goes on."""
        state, self._state = self._state, CLIENT_13.next_state(self._state, message.type)
        match state:
            case ClientState13.WAIT_EE:
                self._receive_encrypted_extensions(parse_body(EncryptedExtensions, message.body))
            case ClientState13.WAIT_CERT_CR:
                self._receive_certificate_request(parse_body(CertificateRequest, message.body))
            case ClientState13.WAIT_CERT:
                # RFC 8446 §4.4.2: a server's certificate_list MUST NOT be empty.
                certificate = parse_body(CertificateMessage, message.body)
                self._check_certificate(certificate, AlertDescription.DECODE_ERROR)
            case ClientState13.WAIT_CV:
                self._check_certificate_verify(parse_body(CertificateVerify, message.body))
            case _:
                self._check_finished(parse_body(Finished, message.body))
                self._add(message)
                return self._established(now)
        self._add(message)
        return self

    def _receive_server_hello(self, message: HandshakeMessage, hello: ServerHello) -> None:
        if hello.is_hello_retry_request:
            # This is where a second ClientHello will go. We send a share for every group that we offer, so no server
            # needs one but to ask for a cookie.
            raise AbortError(
                AlertDescription.HANDSHAKE_FAILURE, "hello-retry-needed", "the server asks for another hello"
            )
        offer = self._offer
        suite = CIPHER_SUITES.get(hello.cipher_suite)
        # RFC 8446 §4.1.3: what was not offered MUST abort with illegal_parameter; RFC 9147 §5: no session id.
        if suite is None or suite.version is not Version.DTLS_1_3 or suite.number not in offer.hello.cipher_suites:
            raise _not_offered("cipher suite")
        if hello.legacy_session_id_echo or hello.legacy_compression_method:
            raise _not_offered("session id or compression")
        require_known(hello.extensions, _SERVER_HELLO_EXTENSIONS)
        share = hello.extensions.require(SelectedKeyShare).entry
        ours = offer.key_exchanges.get(Group(share.group)) if share.group in offer.key_exchanges else None
        if ours is None:
            raise _not_offered("group")
        self._group = Group(share.group)
        self._suite = suite
        self._transcript = Transcript(suite.hash_name)
        self._add(offer.message)
        self._add(message)
        self._keys = HandshakeKeys.derive(suite, ours.finish(share.key_exchange), self._transcript.digest())
        self._install(EPOCH_HANDSHAKE, self._keys.client_secret, self._keys.server_secret)
        self._expect_handshake_epoch()

    def _receive_encrypted_extensions(self, message: EncryptedExtensions) -> None:
        require_known(message.extensions, _ENCRYPTED_EXTENSIONS & self._offer.hello.extensions.types)
        srtp = message.extensions.get(UseSrtp)
        if srtp is None:
            return
        # RFC 5764 §4.1.1: exactly one profile, one that we offered; no MKI, because we offered none.
        if len(srtp.profiles) != 1 or srtp.profiles[0] not in self._context.options.srtp_profiles or srtp.mki:
            raise _not_offered("SRTP profile")
        self._srtp_profile = srtp.profiles[0]

    def _receive_certificate_request(self, request: CertificateRequest) -> None:
        # RFC 8446 §4.3.2: the context is empty during the handshake; signature_algorithms MUST be there.
        if request.context:
            raise misbehaved("certificate_request_context is not empty")
        accepted = request.extensions.require(SignatureAlgorithms).schemes
        scheme = choose_scheme(self._context.certificate.private_key, accepted)
        if scheme is None:
            detail = "the server cannot verify a signature of our key"
            raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-common-signature-scheme", detail)
        self._scheme = scheme

    def _established(self, now: float) -> Stage:
        # RFC 8446 §7.1: application and exporter secrets cover all up to the server's Finished, not our own flight.
        secrets = ApplicationSecrets.derive(self._keys, self._transcript.digest())
        flight = self._authentication(self._scheme)
        self._channel.send_flight(flight, now)
        self._install(EPOCH_APPLICATION, secrets.client, secrets.server)
        security = SecurityParameters(
            version=Version.DTLS_1_3,
            cipher_suite=self._suite.name,
            group=self._group.iana_name,
            srtp_profile=self._srtp_profile,
        )
        return Established13(
            channel=self._channel,
            drops=self._context.drops,
            suite=self._suite,
            security=security,
            exporter_secret=secrets.exporter,
            retention_ends=None,
        )


def _not_offered(what: str) -> AbortError:
    return misbehaved(f"the server chose a {what} that we did not offer")
