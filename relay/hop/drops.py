"""Why a control message of the hop was refused, or not said."""

import enum

__all__ = ["HopDropReason"]


class HopDropReason(enum.StrEnum):
    """Keys of the `drops` counter of both ends of a link."""

    MALFORMED = "hop-malformed"
    """Too short, of another version, or its body does not parse."""
    UNKNOWN_KEY = "hop-unknown-key"
    """Sealed under a key id that is not (or no longer) held here."""
    NOT_AUTHENTIC = "hop-not-authentic"
    """Does not open: forged, changed, or sealed for somebody else."""
    WRONG_END = "hop-wrong-end"
    """A kind that only the other end takes: a message that was reflected."""
    UNKNOWN_PEER = "hop-unknown-peer"
    """From an address, or an incarnation, that no link is shared with."""
    STALE_NONCE = "hop-stale-nonce"
    """Answers no question that is still open: an old or repeated round trip."""
    REPLAYED = "hop-replayed"
    """A counter that was seen before, or is too old to tell."""
    NOT_SEALED = "hop-not-sealed"
    """On this link data must be sealed, and the other end does not know how."""
    TOO_MANY = "hop-too-many"
    """The table of peers is full."""
    TOO_OFTEN = "hop-too-often"
    """A relay suspects more transceivers than one may."""
    NOT_ANNOUNCED = "hop-not-announced"
    """A flow that a relay is not told of: it acknowledges nothing, or too many flows wait."""
    FOREIGN_SUSPECT = "hop-foreign-suspect"
    """A relay suspects a transceiver of another cluster, or says so to the one that it suspects."""
