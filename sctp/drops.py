"""Why a packet, a chunk or a parameter was dropped."""

import enum

__all__ = ["DropReason"]


class DropReason(enum.StrEnum):
    """Keys of `SctpAssociation.drops`."""

    AFTER_CLOSE = "after-close"
    CHECKSUM = "checksum"
    MALFORMED = "malformed"
    PORT = "port"
    VERIFICATION_TAG = "verification-tag"
    OUT_OF_THE_BLUE = "out-of-the-blue"
    INVALID_INIT = "invalid-init"
    BUNDLED = "bundled"
    UNKNOWN_CHUNK = "unknown-chunk"
    UNEXPECTED_CHUNK = "unexpected-chunk"
    UNKNOWN_PARAMETER = "unknown-parameter"
    COOKIE = "cookie"
    STALE_COOKIE = "stale-cookie"
    LATE_COOKIE = "late-cookie"
    DUPLICATE_TSN = "duplicate-tsn"
    TSN_TOO_FAR = "tsn-too-far"
    WINDOW_FULL = "window-full"
    UNKNOWN_STREAM = "unknown-stream"
    OLD_STREAM_SEQUENCE_NUMBER = "old-stream-sequence-number"
    SKIPPED_FRAGMENT = "skipped-fragment"
    OLD_FORWARD_TSN = "old-forward-tsn"
    OLD_SACK = "old-sack"
    SACK_OF_UNSENT = "sack-of-unsent"
    HEARTBEAT = "heartbeat"
    REPLY_OVERFLOW = "reply-overflow"
    RECONFIGURATION = "reconfiguration"
