"""How far a call has come, and what its session reports and may be told."""

import enum

import attrs

from dtls.options import DtlsOptions
from edge.caller.description import OfferedSetup
from edge.caller.opus_file import Clip
from edge.caller.recording import Recording
from srtp.profile import ProtectionProfile
from wire.core import Event

__all__ = ["CallerOptions", "DropReason", "Heard", "Secured", "Stage"]


class Stage(enum.Enum):
    """How far a call has come."""

    OFFERING = "offering"
    CHECKING = "checking"
    SECURING = "securing"
    TALKING = "talking"
    CLOSED = "closed"


class DropReason(enum.StrEnum):
    """Why the session dropped a datagram before any of its protocols saw it."""

    UNKNOWN_KIND = "unknown-kind"
    NOT_STARTED = "not-started"
    BEFORE_KEYS = "before-keys"
    MALFORMED_RTCP = "malformed-rtcp"


@attrs.frozen(kw_only=True)
class Secured(Event):
    """The handshake is over: audio may flow.

    Attributes:
        version: "DTLS 1.3" or "DTLS 1.2".
        cipher_suite: IANA name.
        group: IANA name of the key exchange group.
        srtp_profile: what protects the audio.
        is_client: whether we were the DTLS client.
    """

    version: str
    cipher_suite: str
    group: str
    srtp_profile: ProtectionProfile
    is_client: bool


@attrs.frozen(kw_only=True)
class Heard(Event):
    """The first audio came back."""


@attrs.frozen(kw_only=True)
class CallerOptions:
    """What the user of a session may choose.

    Attributes:
        clip: what to say.
        setup: the DTLS role to offer.
        dtls: options of the DTLS association.
        recording: where to put what comes back; None for nowhere.
        has_events: whether to offer a data channel for events.
        over_tcp: whether to use TCP candidates, and no others.
    """

    clip: Clip
    setup: OfferedSetup = "actpass"
    dtls: DtlsOptions = attrs.field(factory=DtlsOptions)
    recording: Recording | None = None
    has_events: bool = False
    over_tcp: bool = False
