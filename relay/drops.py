"""Why a datagram is not forwarded."""

import enum

__all__ = ["DropReason"]


class DropReason(enum.StrEnum):
    """Keys of the forwarder's `drops` counter, in the order in which a datagram meets them."""

    EMPTY = "empty"
    """A client's datagram of no bytes: there is nothing to tell what it is."""
    TOO_LONG = "too-long"
    """Longer than `relay.udp.MAX_DATAGRAM`, and cut by the time that we see it; from the hop too."""
    NOT_OURS = "not-ours"
    """The first byte is of no protocol that a session speaks (RFC 7983), or a STUN message of no use to ICE."""
    NO_FLOW = "no-flow"
    """From an address that no session has a claim on: only a STUN request can make one."""
    NO_USERNAME = "no-username"
    """A Binding Request without the USERNAME that would route it, or with broken framing."""
    SOURCE_BUDGET = "source-budget"
    """The source has failed too often lately; most of what it asks is not verified now."""
    FORGED_TOKEN = "forged-token"  # noqa: S105 - a word, no secret
    """The username fragment was sealed by no key of ours: forged, foreign, cut short, or its key has retired."""
    EXPIRED_TOKEN = "expired-token"  # noqa: S105
    """The username fragment is older than a call may last."""
    FUTURE_TOKEN = "future-token"  # noqa: S105
    """The username fragment is of a time to come, by more than clocks differ."""
    BAD_INTEGRITY = "bad-integrity"
    """The sender does not know the password that belongs to the username fragment."""
    UNKNOWN_TRANSCEIVER = "unknown-transceiver"
    """The process that the fragment names is not on any link of ours: gone, or of another fleet."""
    TOKEN_RATE = "token-rate"  # noqa: S105
    """The session asks for too many new addresses in this second."""
    TOKEN_ADDRESSES = "token-addresses"  # noqa: S105
    """The session claims as many addresses as one may."""
    TABLE_FULL = "table-full"
    """Every claim in the table is proven, and none is given up for a new one."""
    TOKEN_FAILURES = "token-failures"  # noqa: S105
    """Too many requests have shown this session's token with bad integrity lately; most of those from new addresses are
    not verified now."""
    UNSUPPORTED_SOURCE = "unsupported-source"
    """The client's address means nothing to another host (an IPv6 zone)."""
    LINK_DOWN = "link-down"
    """The flow's transceiver does not answer at present."""

    SESSION_ENDED = "session-ended"
    """Its transceiver has said lately that there is no such session."""

    UNKNOWN_PEER = "unknown-peer"
    """On the hop socket, from an address that is no live link."""
    NOT_SEALED = "not-sealed"
    """Plain, on a link whose data is sealed."""
    FOREIGN_CLUSTER = "foreign-cluster"
    """Counts links: what answers where a relay of a cluster should be is of another one; the configuration is wrong."""
    FOREIGN_INGRESS = "foreign-ingress"
    """From a global relay, with a header that names an ingress which it does not serve."""
    BAD_HEADER = "bad-header"
    """From a live link, but neither a DOWN header nor a control message."""
    BAD_BUNDLE = "bad-bundle"
    """From a live link, but its parts do not add up, or one of them is none."""
    UNKNOWN_INGRESS = "unknown-ingress"
    """Names an ingress that is not one of ours, nor of a relay that we serve."""
    UNREACHABLE = "unreachable"
    """For a client of a TCP ingress whose connection is not here."""
    FORGED_TAG = "forged-tag"
    """The flow tag does not stand for this ingress, session and client address."""
    FOREIGN_TRANSCEIVER = "foreign-transceiver"
    """The tag is right, but another transceiver owns the session."""
    STALE_GENERATION = "stale-generation"
    """From an owner that the session had before."""
