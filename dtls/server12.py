"""The server's side of a DTLS 1.2 handshake.

    client                                    server
    ClientHello               ──────▶         choose version (before this file), suite, group, SRTP profile
                              ◀──────         ServerHello, Certificate, ServerKeyExchange,    epoch 0
                                              CertificateRequest, ServerHelloDone
    Certificate,              ──────▶         fingerprint, keys of epoch 1, signature         epoch 0
    ClientKeyExchange,
    CertificateVerify,
    ChangeCipherSpec,
    Finished                                  MAC                                             epoch 1
                              ◀──────         ChangeCipherSpec,                               epoch 0
                                              Finished                                        epoch 1

No HelloVerifyRequest is sent: DEVIATES from RFC 6347 §4.2.1's default, which allows it where ICE has shown that the
address is the peer's; until then whoever drives us sends one flight and calls no timeout. A cookie that comes all the
same is ignored, as one that we did not make would be.
"""

from dtls.alerts import AbortError, AlertDescription, misbehaved
from dtls.extensions.block import ExtensionBlock, ExtensionBody, ExtensionType
from dtls.extensions.groups import SupportedGroups
from dtls.extensions.legacy import EcPointFormats, ExtendedMasterSecret, RenegotiationInfo
from dtls.extensions.signatures import SignatureAlgorithms
from dtls.extensions.srtp import UseSrtp
from dtls.groups import Group, KeyExchange, choose_group, generate
from dtls.handshake.body import parse_body
from dtls.handshake.certificate12 import CertificateMessage12
from dtls.handshake.certificate_request12 import CertificateRequest12, ClientCertificateType
from dtls.handshake.certificate_verify import CertificateVerify
from dtls.handshake.client_hello import ClientHello
from dtls.handshake.client_key_exchange import ClientKeyExchange
from dtls.handshake.finished import Finished
from dtls.handshake.message import HandshakeMessage, HandshakeType
from dtls.handshake.server_hello import DOWNGRADE_TO_1_2, ServerHello
from dtls.handshake.server_hello_done import ServerHelloDone
from dtls.handshake.server_key_exchange import ServerKeyExchange, ecdh_params
from dtls.handshake12 import CHANGE_CIPHER_SPEC, Handshake12, check_hello_extensions, groups_of_12
from dtls.negotiation import choose_cipher_suite, choose_srtp_profile
from dtls.signatures import SIGNATURE_SCHEMES, SignatureScheme, choose_scheme, sign
from dtls.stage import Context, Stage
from dtls.states12 import SERVER_12
from dtls.versions import Version

__all__ = ["Server12"]

_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF
"""RFC 5746 §3.3: a cipher suite that is none; says the same as an empty renegotiation_info."""

_CERTIFICATE_TYPES = bytes((ClientCertificateType.ECDSA_SIGN, ClientCertificateType.RSA_SIGN))


class Server12(Handshake12):
    """Answers a ClientHello, then waits for the client to prove who it is.

    Args:
        context: of the association.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._state = SERVER_12.initial
        self._exchange: KeyExchange

    def begin(self, message: HandshakeMessage, hello: ClientHello, now: float) -> Stage:
        """Answer a ClientHello.

        Raises:
            AbortError: there is no answer.
        """
        self._state = SERVER_12.next_state(self._state, message.type)
        self._add(message)
        self._channel.reassembly.believe(0)
        self._send_flight(hello, now)
        return self

    def handle_message(self, message: HandshakeMessage, now: float) -> Stage:
        """Take the client's next message; return the stage that goes on."""
        self._state = SERVER_12.next_state(self._state, message.type)
        match message.type:
            case HandshakeType.CERTIFICATE:
                self._check_certificate(parse_body(CertificateMessage12, message.body))
                self._add(message)
            case HandshakeType.CLIENT_KEY_EXCHANGE:
                exchange = parse_body(ClientKeyExchange, message.body)
                premaster_secret = self._exchange.finish(exchange.public)
                self._add(message)
                self._derive_secrets(premaster_secret)
            case HandshakeType.CERTIFICATE_VERIFY:
                proof = parse_body(CertificateVerify, message.body)
                self._check_signature(proof.algorithm, proof.signature, bytes(self._messages))
                self._add(message)
                self._expect_finished()
            case _:
                self._check_finished(parse_body(Finished, message.body))
                self._add(message)
                return self._finish(now)
        return self

    # ClientHello, and our flight -------------------------------------------------------------------------------------

    def _send_flight(self, hello: ClientHello, now: float) -> None:
        context = self._context
        # RFC 5246 §7.4.1.2: the list MUST contain null compression, and we choose no other.
        if 0 not in hello.legacy_compression_methods:
            raise misbehaved("the client demands compression")
        self._suite = choose_cipher_suite(hello.cipher_suites, Version.DTLS_1_2)
        check_hello_extensions(hello.extensions)
        self._group = _choose_group(groups_of_12(context.options), hello.extensions.get(SupportedGroups))
        scheme = self._choose_scheme(hello)
        self._srtp_profile = choose_srtp_profile(context.options.srtp_profiles, hello.extensions.get(UseSrtp))
        self._exchange = generate(self._group, context.entropy)
        self._client_random, self._server_random = hello.random, self._make_random()
        server_hello = ServerHello(
            random=self._server_random,
            # The session id stays empty: nothing is ever resumed (RFC 5246 §7.4.1.3).
            cipher_suite=self._suite.number,
            extensions=ExtensionBlock.of(self._answers(hello)),
        )
        request = CertificateRequest12(certificate_types=_CERTIFICATE_TYPES, schemes=SIGNATURE_SCHEMES)
        flight = [
            self._message(server_hello),
            self._message(self._our_certificate()),
            self._message(self._key_exchange(scheme)),
            self._message(request),
            self._message(ServerHelloDone()),
        ]
        self._channel.send_flight(flight, now)

    def _choose_scheme(self, hello: ClientHello) -> SignatureScheme:
        accepted = hello.extensions.get(SignatureAlgorithms)
        # RFC 5246 §7.4.1.4.1: without the extension SHA-1 is meant, which we do not sign with.
        schemes = () if accepted is None else accepted.schemes
        scheme = choose_scheme(self._context.certificate.private_key, schemes)
        if scheme is None:
            detail = "the client cannot verify a signature of our key"
            raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-common-signature-scheme", detail)
        return scheme

    def _make_random(self) -> bytes:
        random = self._context.entropy(32)
        if Version.DTLS_1_3 not in self._context.options.versions:
            return random
        # RFC 8446 §4.1.3: a server that speaks 1.3 MUST say so when it is asked for 1.2.
        return random[: -len(DOWNGRADE_TO_1_2)] + DOWNGRADE_TO_1_2

    def _answers(self, hello: ClientHello) -> list[ExtensionBody]:
        """Answer each extension that the client sent and we know; what it did not send stays out of the answer."""
        offered = hello.extensions.types
        # RFC 7627 §5.2: a server that gets it MUST answer it.
        answers: list[ExtensionBody] = [ExtendedMasterSecret()]
        # RFC 5746 §3.6: MUST be there, empty, when the client said in either way that it knows it.
        if ExtensionType.RENEGOTIATION_INFO in offered or _EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites:
            answers.append(RenegotiationInfo())
        # RFC 8422 §5.2: the answer to the client's own, for a suite with elliptic curves.
        if ExtensionType.EC_POINT_FORMATS in offered:
            answers.append(EcPointFormats())
        if self._srtp_profile is not None:
            answers.append(UseSrtp(profiles=(self._srtp_profile,)))
        return answers

    def _key_exchange(self, scheme: SignatureScheme) -> ServerKeyExchange:
        # RFC 8422 §5.4: the signature covers both randoms, so that it is good for this handshake only.
        content = self._client_random + self._server_random + ecdh_params(self._group, self._exchange.share)
        return ServerKeyExchange(
            group=self._group,
            public=self._exchange.share,
            algorithm=scheme,
            signature=sign(self._context.certificate.private_key, scheme, content),
        )

    # The client's flight ---------------------------------------------------------------------------------------------

    def _finish(self, now: float) -> Stage:
        self._protect_outbound()
        finished = self._our_finished()
        self._channel.send_flight([CHANGE_CIPHER_SPEC, finished], now, expects_answer=False)
        return self._establish(finished)


def _choose_group(ours: tuple[Group, ...], offered: SupportedGroups | None) -> Group:
    # RFC 8422 §4: a client that does not say leaves the choice to the server; P-256 is what everybody has.
    theirs = (Group.SECP256R1,) if offered is None else offered.groups
    group = choose_group(ours, theirs)
    if group is None:
        # RFC 8422 §5.1: without a group in common the server MUST NOT choose a suite with elliptic curves; no other
        # is left.
        detail = "the client has none of our groups"
        raise AbortError(AlertDescription.HANDSHAKE_FAILURE, "no-common-group", detail)
    return group
