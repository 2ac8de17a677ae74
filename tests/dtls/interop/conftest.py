"""OpenSSL as the peer: inside of this process, with memory in place of sockets, as aiortc drives it."""

import random
from collections.abc import Callable

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from OpenSSL import SSL

from dtls.association import DtlsAssociation
from dtls.certificate import Certificate, Fingerprint
from dtls.events import Connected
from dtls.options import DtlsOptions, Role
from wire.core import Closed, Event

LABEL = "EXTRACTOR-dtls_srtp"
MATERIAL = 56  # bytes: two keys and two salts of AEAD_AES_128_GCM
CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
"""As aiortc has it."""


def self_signed(key: object) -> x509.Certificate:
    """A certificate for any kind of key."""
    template = x509.load_der_x509_certificate(Certificate.generate(unix_time=1.75e9).der)
    builder = x509.CertificateBuilder().subject_name(template.subject).issuer_name(template.issuer)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(template.not_valid_before_utc).not_valid_after(template.not_valid_after_utc)
    return builder.sign(key, hashes.SHA256())


@attrs.define
class OpenSslPair:
    """One of ours and one of OpenSSL's, with nothing between them."""

    ours: DtlsAssociation
    theirs: SSL.Connection
    now: float = 0.0
    events: list[Event] = attrs.field(factory=list)
    sent: list[tuple[bool, bytes]] = attrs.field(factory=list)
    """Datagrams of both sides in their order: (whether it is ours, bytes)."""
    lose: Callable[[bool, bytes], bool] = lambda _is_ours, _data: False
    """Whether a datagram gets lost."""
    error: SSL.Error | None = None

    def run(self) -> "OpenSslPair":
        """Carry datagrams until both are silent."""
        is_silent = False
        while not is_silent:
            self._let_them_shake_hands()
            theirs = self._take(self._their_datagrams(), is_ours=False)
            for data in theirs:
                self.events += self.ours.receive_datagram(data, self.now)
            ours = self._take(list(self.ours.datagrams_to_send(self.now)), is_ours=True)
            for data in ours:
                self.theirs.bio_write(data)
                self._let_them_shake_hands()
            is_silent = not theirs and not ours
        return self

    def _take(self, datagrams: list[bytes], *, is_ours: bool) -> list[bytes]:
        self.sent += [(is_ours, data) for data in datagrams]
        return [data for data in datagrams if not self.lose(is_ours, data)]

    def _their_datagrams(self) -> list[bytes]:
        """All that OpenSSL wants to send: one datagram, however many it meant, as with aiortc."""
        try:
            return [self.theirs.bio_read(1 << 16)]
        except SSL.WantReadError:
            return []

    def _let_them_shake_hands(self) -> None:
        try:
            if self.error is None:
                self.theirs.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.error = error

    def assert_agreed(self) -> Connected:
        """Both are connected and have the same keys; returns our event."""
        assert self.error is None
        (connected,) = self.events
        assert isinstance(connected, Connected)
        exported = self.theirs.export_keying_material(LABEL.encode(), MATERIAL, None)
        assert self.ours.export_keying_material(LABEL, MATERIAL) == exported
        return connected

    @property
    def closed(self) -> Closed:
        """Our final event."""
        return next(event for event in self.events if isinstance(event, Closed))


MakePair = Callable[..., OpenSslPair]


@pytest.fixture
def make_pair(identities) -> MakePair:
    """Returns a function that puts one of ours beside one of OpenSSL's."""

    def make(
        role: Role,
        *,
        options: DtlsOptions | None = None,
        their_mtu: int | None = None,
        their_options: int = 0,
        their_key: object | None = None,
        ciphers: bytes = CIPHERS,
        srtp: bytes = b"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80",
        ask_for_certificate: bool = True,
        cookie: bytes | None = None,
    ) -> OpenSslPair:
        key = identities.stranger.private_key if their_key is None else their_key
        certificate = x509.load_der_x509_certificate(identities.stranger.der) if their_key is None else self_signed(key)
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_options(SSL.OP_NO_TICKET | their_options)
        if ask_for_certificate:
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_cipher_list(ciphers)
        if srtp:
            context.set_tlsext_use_srtp(srtp)
        if their_mtu is not None:
            context.set_options(SSL.OP_NO_QUERY_MTU)
        if cookie is not None:
            context.set_options(SSL.OP_COOKIE_EXCHANGE)
            context.set_cookie_generate_callback(lambda _: cookie)
            context.set_cookie_verify_callback(lambda _, returned: returned == cookie)
        theirs = SSL.Connection(context, None)
        if their_mtu is not None:
            theirs.set_ciphertext_mtu(their_mtu)
        if role is Role.CLIENT:
            theirs.set_accept_state()
        else:
            theirs.set_connect_state()
        der = certificate.public_bytes(serialization.Encoding.DER)
        ours = DtlsAssociation(
            role=role,
            certificate=identities.client if role is Role.CLIENT else identities.server,
            peer_fingerprints=[Fingerprint.of(der)],
            options=options or DtlsOptions(),
            entropy=random.Random(f"openssl {role}").randbytes,
            now=0.0,
        )
        return OpenSslPair(ours, theirs)

    return make
