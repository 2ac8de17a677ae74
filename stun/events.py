"""What the ICE agents report, and why they drop datagrams."""

import enum

import attrs

from wire.core import Event, Path

__all__ = ["DropReason", "PathAppeared", "PathExpired", "PathSelected", "PathValidated"]


@attrs.frozen(kw_only=True)
class PathAppeared(Event):
    """A first authenticated check came over a path that was not known.

    The peer's password was used; that the peer really is at this address is not shown. One DTLS flight may go there,
    and no more until `PathValidated`.

    Attributes:
        path: the new path.
    """

    path: Path


@attrs.frozen(kw_only=True)
class PathValidated(Event):
    """The peer has shown that it receives what we send to a path.

    Attributes:
        path: the path; anything that the peer consented to may be sent to it now.
    """

    path: Path


@attrs.frozen(kw_only=True)
class PathSelected(Event):
    """From now on, send to this path.

    Attributes:
        path: a validated path.
    """

    path: Path


@attrs.frozen(kw_only=True)
class PathExpired(Event):
    """A path is forgotten: nothing authentic came over it for the time that consent lasts, or another took its place.

    Attributes:
        path: the path; if it was selected, a `PathSelected` follows as soon as there is another to take over.
    """

    path: Path


class DropReason(enum.StrEnum):
    """Why an ICE agent ignored a datagram, or answered it with an error only."""

    MALFORMED = "malformed"
    """The bytes are no STUN message."""
    FINGERPRINT = "fingerprint"
    """FINGERPRINT is missing or wrong; RFC 8445 §7.3 wants it used."""
    METHOD = "method"
    """Another method than Binding."""
    INDICATION = "indication"
    """A Binding Indication: it keeps NATs awake and says nothing."""
    BAD_REQUEST = "bad-request"
    """No USERNAME or no message integrity (400)."""
    UNAUTHENTICATED = "unauthenticated"
    """Another username fragment, or an integrity that does not verify (401)."""
    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    """An attribute that must be understood and is not (420)."""
    ROLE_CONFLICT = "role-conflict"
    """The peer claims our own role (487)."""
    REPEATED = "repeated"
    """The transaction id was seen before, from another address or long ago: somebody repeats what they overheard."""
    UNVALIDATED_ADDRESSES = "unvalidated-addresses"
    """Too many addresses appeared in a short time without being validated."""
    PATHS = "paths"
    """The session has as many paths as it may have, all of them validated or young."""
    TRANSACTION = "transaction"
    """A response to no request of ours."""
    RESPONSE_ELSEWHERE = "response-elsewhere"
    """A response that came from another address than the request went to."""
    RESPONSE_INTEGRITY = "response-integrity"
    """A response without an integrity that verifies."""
    REFUSED = "refused"
    """The peer answered our request with an error."""
    CLOSED = "closed"
    """It came after the end."""
