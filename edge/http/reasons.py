"""Why a request or a connection was refused."""

import enum
from collections import Counter

import attrs

__all__ = ["DropReason", "HttpCounts"]


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


@attrs.define
class HttpCounts:
    """What a server has seen.

    Attributes:
        drops: refusals and losses by `DropReason`.
        responses: responses sent, by status.
    """

    drops: Counter[DropReason] = attrs.field(factory=Counter)
    responses: Counter[int] = attrs.field(factory=Counter)
