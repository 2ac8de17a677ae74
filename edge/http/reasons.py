"""Why a request or a connection was refused."""

import enum
from collections import Counter

import attrs

from transceiver.websocket.closing import Fault

__all__ = ["DropReason", "HttpCounts", "reason_of_fault"]


class DropReason(enum.StrEnum):
    """A refusal by the server itself, before or instead of the handler."""

    CONNECTION_LIMIT = "connection-limit"
    SOURCE_LIMIT = "source-limit"
    TLS_HANDSHAKE = "tls-handshake"
    MALFORMED = "malformed"
    AMBIGUOUS_LENGTH = "ambiguous-length"
    HEADER_TOO_LARGE = "header-too-large"
    HEADER_TIMEOUT = "header-timeout"
    BODY_TOO_LARGE = "body-too-large"
    BODY_TIMEOUT = "body-timeout"
    HANDLER_TIMEOUT = "handler-timeout"
    HANDLER_FAILED = "handler-failed"
    WRITE_TIMEOUT = "write-timeout"
    STOPPING = "stopping"
    PEER_VANISHED = "peer-vanished"
    SOCKET_BINARY = "socket-binary"
    SOCKET_TOO_LARGE = "socket-too-large"
    SOCKET_MALFORMED = "socket-malformed"
    SOCKET_SILENT = "socket-silent"
    SOCKET_STALLED = "socket-stalled"
    SOCKET_IDLE = "socket-idle"


def reason_of_fault(fault: Fault) -> DropReason:
    """Return how the end of a WebSocket is counted."""
    return DropReason.PEER_VANISHED if fault is Fault.VANISHED else DropReason(f"socket-{fault}")


@attrs.define
class HttpCounts:
    """What a server has seen.

    Attributes:
        drops: refusals and losses by `DropReason`.
        responses: responses sent, by status.
    """

    drops: Counter[DropReason] = attrs.field(factory=Counter)
    responses: Counter[int] = attrs.field(factory=Counter)
