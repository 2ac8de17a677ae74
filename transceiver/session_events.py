"""What a session is told at its beginning, what it reports, and why it drops something."""

import enum

import attrs

from dtls.certificate import Fingerprint
from wire.core import Event, Path

__all__ = ["DataClosed", "DataDescription", "DropReason", "Established", "RemoteDescription"]


class DropReason(enum.StrEnum):
    """Why a session dropped a datagram."""

    UNKNOWN_PROTOCOL = "unknown-protocol"
    """Its first bytes name no protocol that we speak (RFC 7983)."""
    UNKNOWN_PATH = "unknown-path"
    """DTLS or media on a path on which no authenticated check has come."""
    EARLY_MEDIA = "early-media"
    """RTP or RTCP before there are keys for it."""
    NO_VALIDATED_PATH = "no-validated-path"
    """Media of ours: the address of none of the client's paths is proven to be real."""
    NO_DATA_CHANNELS = "no-data-channels"
    """Application data of DTLS, but no data channels were negotiated."""
    CLOSED = "session-closed"
    """It came after the end."""


@attrs.frozen(kw_only=True)
class RemoteDescription:
    """What the offer said of the client, as far as the session needs it.

    Attributes:
        ufrag: the client's ICE username fragment.
        password: the client's ICE password.
        fingerprints: of the client's certificate; one that matches is enough.
    """

    ufrag: str
    password: str = attrs.field(repr=False)
    fingerprints: tuple[Fingerprint, ...]


@attrs.frozen(kw_only=True)
class DataDescription:
    """What offer and answer settled about data channels.

    Attributes:
        max_message_size: the longest message that the client takes, in bytes.
    """

    max_message_size: int


@attrs.frozen(kw_only=True)
class Established(Event):
    """The client is authenticated and media may flow.

    Attributes:
        path: the path over which DTLS completed.
    """

    path: Path


@attrs.frozen(kw_only=True)
class DataClosed(Event):
    """The data channels have ended, all of them; the call has not.

    Attributes:
        reason: as in `Closed`.
        detail: as in `Closed`.
    """

    reason: str
    detail: str = ""
