"""The client's side of a DTLS 1.2 handshake.

client                                    server
ClientHello (opening.py)  ──────▶
                          ◀──────         HelloVerifyRequest, if the server wants one     epoch 0
the same, with its cookie ──────▶
                          ◀──────         ServerHello, Certificate, ServerKeyExchange,    epoch 0
fingerprint, signature                    CertificateRequest, ServerHelloDone
keys of epoch 1
Certificate,              ──────▶                                                         epoch 0
ClientKeyExchange,
CertificateVerify,
ChangeCipherSpec,
Finished                                                                                  epoch 1
                          ◀──────         ChangeCipherSpec,                               epoch 0
MAC, connected                            Finished                                        epoch 1
"""

import attrs
from cryptography.hazmat.primitives.asymmetric import ec

from dtls.alerts import AbortError, AlertDescription, misbehaved
from dtls.cipher_suites import CIPHER_SUITES
from dtls.extensions.block import ExtensionBlock, ExtensionType, require_known
from dtls.extensions.groups import SupportedGroups
from dtls.extensions.legacy import RenegotiationInfo
from dtls.extensions.srtp import UseSrtp
from dtls.groups import Group, generate
from dtls.handshake.body import parse_body
from dtls.handshake.certificate12 import CertificateMessage12
from dtls.handshake.certificate_request12 import CertificateRequest12, ClientCertificateType
from dtls.handshake.client_key_exchange import ClientKeyExchange
from dtls.handshake.finished import Finished
from dtls.handshake.hello_verify_request import HelloVerifyRequest
from dtls.handshake.message import HandshakeMessage
from dtls.handshake.server_hello import ServerHello
from dtls.handshake.server_hello_done import ServerHelloDone
from dtls.handshake.server_key_exchange import ServerKeyExchange, ecdh_params
from dtls.handshake12 import CHANGE_CIPHER_SPEC, Handshake12, check_hello_extensions, groups_of_12
from dtls.negotiation import check_version
from dtls.offer import ClientOffer
from dtls.signatures import SignatureScheme, choose_scheme
from dtls.stage import Context, Stage
from dtls.states12 import CLIENT_12, ClientState12
from dtls.versions import Version

__all__ = ["Client12"]

_SERVER_HELLO_EXTENSIONS = frozenset(
    {
        ExtensionType.EXTENDED_MASTER_SECRET,
        ExtensionType.RENEGOTIATION_INFO,
        ExtensionType.EC_POINT_FORMATS,
        ExtensionType.USE_SRTP,
    }
)
"""Of what we offer, only these may come back in a ServerHello of 1.2."""


class Client12(Handshake12):
    """Takes a server's flight and answers it.

    Args:
        context: of the association.
        offer: our ClientHello.
    """

    def __init__(self, context: Context, offer: ClientOffer) -> None:
        super().__init__(context)
        self._offer = offer
        self._state = CLIENT_12.initial
        self._server_share: bytes
        self._scheme: SignatureScheme

    def begin(self, message: HandshakeMessage, hello: ServerHello | None, now: float) -> Stage:
        """Take the ServerHello that chose this version, or a HelloVerifyRequest when `hello` is None.

        Raises:
            AbortError: it is not acceptable.
        """
        self._state = CLIENT_12.next_state(self._state, message.type)
        if hello is None:
            self._repeat_hello(parse_body(HelloVerifyRequest, message.body), now)
        else:
            self._receive_server_hello(message, hello)
        return self._handle_messages(now)

    def handle_message(self, message: HandshakeMessage, now: float) -> Stage:
        """Take the server's next message; return the stage that goes on."""
        state, self._state = self._state, CLIENT_12.next_state(self._state, message.type)
        match state:
            case ClientState12.WAIT_SH_AFTER_COOKIE:
                self._receive_server_hello(message, self._parse_server_hello(message))
            case ClientState12.WAIT_CERT:
                self._receive_certificate(parse_body(CertificateMessage12, message.body))
                self._add(message)
            case ClientState12.WAIT_SKE:
                self._receive_key_exchange(parse_body(ServerKeyExchange, message.body))
                self._add(message)
            case ClientState12.WAIT_CR:
                self._receive_certificate_request(parse_body(CertificateRequest12, message.body))
                self._add(message)
            case ClientState12.WAIT_SHD:
                parse_body(ServerHelloDone, message.body)
                self._add(message)
                self._send_flight(now)
            case _:
                self._check_finished(parse_body(Finished, message.body))
                return self._establish(None)
        return self

    # The hellos ------------------------------------------------------------------------------------------------------

    def _repeat_hello(self, request: HelloVerifyRequest, now: float) -> None:
        # RFC 6347 §4.2.1: MUST use the same parameter values as the original ClientHello; only the cookie is added.
        hello = attrs.evolve(self._offer.hello, legacy_cookie=request.cookie)
        message = self._channel.message(hello, 0)
        # RFC 6347 §4.2.1: the initial ClientHello and the HelloVerifyRequest are not part of the transcript.
        self._offer = attrs.evolve(self._offer, hello=hello, message=message)
        self._channel.send_flight([message], now)

    def _parse_server_hello(self, message: HandshakeMessage) -> ServerHello:
        hello = parse_body(ServerHello, message.body)
        if check_version(hello, self._context.options.versions) is not Version.DTLS_1_2:
            # RFC 9147 §5.3: HelloVerifyRequest MUST NOT be used by a server of 1.3.
            raise misbehaved("the server asked for a cookie in the manner of 1.2, and chose another version")
        return hello

    def _receive_server_hello(self, message: HandshakeMessage, hello: ServerHello) -> None:
        offered = self._offer.hello
        suite = CIPHER_SUITES.get(hello.cipher_suite)
        if suite is None or suite.version is not Version.DTLS_1_2 or suite.number not in offered.cipher_suites:
            raise _not_offered("cipher suite")
        if hello.legacy_compression_method:
            raise _not_offered("compression")
        # The session id is the server's own business: one that we did not send resumes nothing (RFC 5246 §7.4.1.3).
        require_known(hello.extensions, _SERVER_HELLO_EXTENSIONS & offered.extensions.types)
        check_hello_extensions(hello.extensions)
        if hello.extensions.get(RenegotiationInfo) is None:
            # RFC 5746 §4.1: without it a client cannot tell its first handshake from somebody's renegotiation, and
            # one that wants to be sure ends it with handshake_failure.
            detail = "the server does not know secure renegotiation (RFC 5746)"
            raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-secure-renegotiation", detail)
        self._srtp_profile = self._accept_srtp_profile(hello.extensions)
        self._suite = suite
        self._client_random, self._server_random = offered.random, hello.random
        self._add(self._offer.message)
        self._add(message)

    def _accept_srtp_profile(self, extensions: ExtensionBlock) -> int | None:
        srtp = extensions.get(UseSrtp)
        if srtp is None:
            return None
        # RFC 5764 §4.1.1: exactly one profile, one that we offered; no MKI, because we offered none.
        if len(srtp.profiles) != 1 or srtp.profiles[0] not in self._context.options.srtp_profiles or srtp.mki:
            raise _not_offered("SRTP profile")
        return srtp.profiles[0]

    # The rest of the server's flight ---------------------------------------------------------------------------------

    def _receive_certificate(self, certificate: CertificateMessage12) -> None:
        # RFC 8422 §2.2: with this key exchange the certificate MUST hold an ECDSA key.
        if not isinstance(self._check_certificate(certificate), ec.EllipticCurvePublicKey):
            detail = "the server's key does not fit its cipher suite"
            raise AbortError(AlertDescription.UNSUPPORTED_CERTIFICATE, "bad-certificate", detail)

    def _receive_key_exchange(self, exchange: ServerKeyExchange) -> None:
        offered = self._offer.hello.extensions.require(SupportedGroups).groups
        # RFC 8422 §5.4: the group has to be one that we offered; and one that 1.2 has.
        if exchange.group not in offered or exchange.group not in groups_of_12(self._context.options):
            raise _not_offered("group")
        content = self._client_random + self._server_random + ecdh_params(exchange.group, exchange.public)
        self._check_signature(exchange.algorithm, exchange.signature, content)
        self._group, self._server_share = Group(exchange.group), exchange.public

    def _receive_certificate_request(self, request: CertificateRequest12) -> None:
        scheme = choose_scheme(self._context.certificate.private_key, request.schemes)
        # RFC 5246 §7.4.4: our key has to fit both lists.
        if scheme is None or ClientCertificateType.ECDSA_SIGN not in request.certificate_types:
            detail = "the server cannot verify a signature of our key"
            raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-common-signature-scheme", detail)
        self._scheme = scheme

    # Our flight ------------------------------------------------------------------------------------------------------

    def _send_flight(self, now: float) -> None:
        # A fresh key: the ones behind the shares that 1.3 was offered stay with 1.3.
        exchange = generate(self._group, self._context.entropy)
        premaster_secret = exchange.finish(self._server_share)
        flight = [
            self._message(self._our_certificate()),
            self._message(ClientKeyExchange(public=exchange.share)),
        ]
        self._derive_secrets(premaster_secret)
        flight.append(self._message(self._certificate_verify(self._scheme)))
        self._protect_outbound()
        self._channel.send_flight([*flight, CHANGE_CIPHER_SPEC, self._our_finished()], now)
        self._expect_finished()


def _not_offered(what: str) -> AbortError:
    return misbehaved(f"the server chose a {what} that we did not offer")
