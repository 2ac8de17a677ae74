"""Whose fault it was.

Codecs and cores raise these inside a package; nothing a peer sends lets one escape from `receive_datagram`, where
each becomes a counted drop or a final `Closed` event. `LocalProtocolError` is the exception: it tells our own
caller that it broke a rule, and does escape.
"""

import attrs

__all__ = [
    "AuthenticationError",
    "CeilingReached",
    "IncompatibleError",
    "LimitError",
    "LocalProtocolError",
    "MalformedError",
    "MisbehavedError",
    "ProtocolError",
    "RemoteProtocolError",
    "ReplayError",
]


class ProtocolError(Exception):
    """Something broke a protocol's rules."""


class LocalProtocolError(ProtocolError):
    """We did: a command came in a state that does not allow it, or with a value out of range."""


class CeilingReached(LocalProtocolError):  # noqa: N818 - not a mistake: it waits until the ceiling is raised
    """The next packet's index is one that another process may come to use with the same key, so it was not sent."""


class RemoteProtocolError(ProtocolError):
    """The peer did, or somebody who pretends to be the peer."""


@attrs.frozen
class MalformedError(RemoteProtocolError):
    """The bytes do not parse.

    Attributes:
        field: name of the field that could not be read, as the RFC spells it.
        offset: byte offset of that field from the start of the outermost buffer.
        problem: what is wrong with it, in a few words.
    """

    field: str
    offset: int
    problem: str

    def __str__(self) -> str:
        return f"{self.field} at byte {self.offset}: {self.problem}"


@attrs.frozen
class MisbehavedError(RemoteProtocolError):
    """The bytes parse, but a rule forbids them here.

    Attributes:
        rule: the rule that was broken, with its section ("RFC 8446 §4.2.8: key share for a group not offered").
    """

    rule: str

    def __str__(self) -> str:
        return self.rule


@attrs.frozen
class IncompatibleError(RemoteProtocolError):
    """The peer is honest, but we have nothing in common.

    Attributes:
        missing: what neither side could agree on ("cipher suite", "group", "SRTP profile").
    """

    missing: str

    def __str__(self) -> str:
        return f"nothing in common: {self.missing}"


@attrs.frozen
class AuthenticationError(RemoteProtocolError):
    """A MAC, signature or fingerprint does not verify.

    Attributes:
        what: the thing that failed to verify, never its value.
    """

    what: str

    def __str__(self) -> str:
        return f"does not verify: {self.what}"


class ReplayError(RemoteProtocolError):
    """A packet number that was already accepted, or is too old to tell."""


@attrs.frozen
class LimitError(RemoteProtocolError):
    """The peer asks for more than we are willing to hold.

    Attributes:
        limit: the name of the bound that was reached.
    """

    limit: str

    def __str__(self) -> str:
        return f"limit reached: {self.limit}"
