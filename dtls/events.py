"""What an association reports, besides `wire.core.Closed`.

Reasons of `Closed`: "close-notify" and "peer-alert" (the peer ended it), "fingerprint-mismatch", "bad-certificate",
"no-certificate", "bad-signature", "bad-finished" (the peer is not who it should be), "no-common-version",
"no-common-cipher-suite", "no-common-group", "no-common-signature-scheme", "hello-retry-needed" (nothing in common),
"no-extended-master-secret", "no-secure-renegotiation" (a peer of 1.2 from before those attacks were known),
"malformed", "misbehaved", "missing-extension", "unexpected-message" (the peer breaks a rule), "handshake-timeout",
"limit" and "key-exhausted" (a key has been used, or attacked, as often as it may).
"""

import attrs

from dtls.certificate import Fingerprint
from dtls.versions import Version
from wire.core import Event

__all__ = ["ApplicationData", "Connected", "SecurityParameters"]


@attrs.frozen(kw_only=True)
class SecurityParameters:
    """What a handshake agreed on.

    Attributes:
        version: of the protocol.
        cipher_suite: IANA's name.
        group: IANA's name of the key exchange group.
        srtp_profile: SRTP protection profile; None when there is none in common.
    """

    version: Version
    cipher_suite: str
    group: str
    srtp_profile: int | None


@attrs.frozen(kw_only=True)
class Connected(Event):
    """The handshake is complete and the peer's certificate has matched; from here on the peer is believed.

    Attributes:
        version: "DTLS 1.3" or "DTLS 1.2".
        cipher_suite: IANA's name.
        group: IANA's name of the key exchange group.
        srtp_profile: SRTP protection profile; None when there is none in common.
        peer_fingerprint: the one of the expected fingerprints that matched.
    """

    version: str
    cipher_suite: str
    group: str
    srtp_profile: int | None
    peer_fingerprint: Fingerprint


@attrs.frozen(kw_only=True)
class ApplicationData(Event):
    """The peer sent data.

    Attributes:
        data: the content of one record.
    """

    data: bytes
