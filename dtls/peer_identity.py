"""Is the peer the one that the signalling channel announced?

Goal: nothing of a peer's is believed unless its certificate has the fingerprint that came through signalling.

Attacker: sits on the media path and speaks DTLS with a certificate of its own.

Properties: certificate and fingerprints may arrive in either order; whichever comes second decides. A mismatch is
final. That the peer also holds the certificate's private key is proven by the handshake, not here.

Source: RFC 8122 §5, RFC 5763 §5.
"""

import hmac
from collections.abc import Sequence

import attrs

from dtls.alerts import AbortError, AlertDescription
from dtls.certificate import FINGERPRINT_ALGORITHMS, Fingerprint

__all__ = ["PeerIdentity"]


@attrs.define
class PeerIdentity:
    """What we know about who the peer is.

    Attributes:
        fingerprints: what signalling announced; None while it has not.
        certificate: what the peer presented, in DER; None while it has not.
        matched: the announced fingerprint that the certificate has; None while either is missing.
    """

    fingerprints: tuple[Fingerprint, ...] | None = None
    certificate: bytes | None = attrs.field(default=None, repr=False)
    matched: Fingerprint | None = None

    def expect(self, fingerprints: Sequence[Fingerprint]) -> None:
        """Signalling has announced these.

        Raises:
            AbortError: the certificate that the peer presented has none of them.
        """
        self.fingerprints = tuple(fingerprints)
        self._compare()

    def present(self, certificate: bytes) -> None:
        """The peer presents a certificate.

        Raises:
            AbortError: it has none of the fingerprints announced.
        """
        self.certificate = certificate
        self._compare()

    def _compare(self) -> None:
        if self.fingerprints is None or self.certificate is None:
            return
        self.matched = None
        announced = {fingerprint.algorithm for fingerprint in self.fingerprints}
        # RFC 8122 §5: take the most preferred hash function that was announced; any fingerprint of that one may match.
        for algorithm in FINGERPRINT_ALGORITHMS:
            if algorithm in announced:
                actual = Fingerprint.of(self.certificate, algorithm)
                for expected in self.fingerprints:
                    if expected.algorithm == algorithm and hmac.compare_digest(expected.digest, actual.digest):
                        self.matched = expected
                break
        if self.matched is None:
            detail = "the peer's certificate does not have the fingerprint that was announced"
            raise AbortError(AlertDescription.BAD_CERTIFICATE, "fingerprint-mismatch", detail)
