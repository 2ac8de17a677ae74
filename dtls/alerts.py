"""Alerts, and the exception that makes us send one.

An engine that cannot go on raises `AbortError`; the association sends the alert, reports `Closed` with its reason and
forgets the handshake. Nothing else ends a handshake.

Source: RFC 8446 §6 (the list of both versions; 1.2-only ones are kept for what a 1.2 peer may say).
"""

import enum
from typing import Self

import attrs

from wire.buffer import Reader, Writer
from wire.errors import LimitError, MalformedError, RemoteProtocolError

__all__ = ["AbortError", "Alert", "AlertDescription", "AlertLevel", "abort_for", "misbehaved"]


class AlertLevel(enum.IntEnum):
    """How bad it is; in 1.3 the description alone decides, in 1.2 a warning leaves the association alive."""

    WARNING = 1
    FATAL = 2


class AlertDescription(enum.IntEnum):
    """What happened, with the RFC's names."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    UNRECOGNIZED_NAME = 112
    BAD_CERTIFICATE_STATUS_RESPONSE = 113
    UNKNOWN_PSK_IDENTITY = 115
    CERTIFICATE_REQUIRED = 116
    NO_APPLICATION_PROTOCOL = 120

    @classmethod
    def name_of(cls, number: int) -> str:
        """Return the RFC's name of an alert, or its number where it has none."""
        return cls(number).name.lower() if number in cls._value2member_map_ else f"alert {number}"


@attrs.frozen(kw_only=True)
class Alert:
    """The content of an alert record (RFC 8446 §6).

    Attributes:
        level: an `AlertLevel`, or what else the peer wrote.
        description: an `AlertDescription`, or a number that has no name here.
    """

    level: int
    description: int

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read an alert."""
        return cls(level=reader.u8("AlertLevel"), description=reader.u8("AlertDescription"))

    def serialize(self, writer: Writer) -> None:
        """Write an alert."""
        writer.u8(self.level, "AlertLevel").u8(self.description, "AlertDescription")


@attrs.frozen
class AbortError(RemoteProtocolError):
    """The handshake cannot go on, and the peer is told why.

    Attributes:
        alert: what the peer is told; None when there is nobody to tell.
        reason: what `Closed` says: a stable word for programs and metrics.
        detail: what `Closed` says to people; never holds a secret or a peer's raw bytes.
    """

    alert: AlertDescription | None
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def misbehaved(detail: str) -> AbortError:
    """Return the abort for a message that parses and breaks a rule (RFC 8446 §6.2: illegal_parameter)."""
    return AbortError(AlertDescription.ILLEGAL_PARAMETER, "misbehaved", detail)


def abort_for(error: RemoteProtocolError) -> AbortError:
    """Return the abort that an error of a codec amounts to."""
    if isinstance(error, AbortError):
        return error
    # RFC 8446 §6.2: decode_error for a message that could not be decoded because a field or length was wrong.
    if isinstance(error, MalformedError):
        return AbortError(AlertDescription.DECODE_ERROR, "malformed", str(error))
    # RFC 9147 §4.5.3: beyond a limit the association is closed.
    if isinstance(error, LimitError):
        return AbortError(AlertDescription.CLOSE_NOTIFY, "limit", str(error))
    return misbehaved(str(error))
