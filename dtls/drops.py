"""Why a datagram, a record or a fragment was dropped, or a record of ours not sent."""

import enum

__all__ = ["DropReason"]


class DropReason(enum.StrEnum):
    """Keys of `DtlsAssociation.drops`."""

    AFTER_CLOSE = "after-close"
    NOT_DTLS = "not-dtls"
    TRUNCATED_RECORD = "truncated-record"
    CONNECTION_ID = "connection-id"
    UNKNOWN_EPOCH = "unknown-epoch"
    EARLY_RECORD_OVERFLOW = "early-record-overflow"
    UNDECRYPTABLE = "undecryptable"
    REPLAYED = "replayed"
    EMPTY_RECORD = "empty-record"
    UNEXPECTED_CONTENT_TYPE = "unexpected-content-type"
    UNPROTECTED_RECORD = "unprotected-record"
    MALFORMED_FRAGMENT = "malformed-fragment"
    OLD_MESSAGE = "old-message"
    REPEATED_FRAGMENT = "repeated-fragment"
    MESSAGE_TOO_LARGE = "message-too-large"
    MESSAGE_TOO_FAR_AHEAD = "message-too-far-ahead"
    WRONG_EPOCH = "wrong-epoch"
    INCONSISTENT_FRAGMENT = "inconsistent-fragment"
    MALFORMED_ALERT = "malformed-alert"
    MALFORMED_ACK = "malformed-ack"
    POST_HANDSHAKE_MESSAGE = "post-handshake-message"
    IGNORED_ALERT = "ignored-alert"
    EARLY_DATA_OVERFLOW = "early-data-overflow"
    CEILING = "ceiling"
    """A record of ours: another process may use its number with the same key."""
