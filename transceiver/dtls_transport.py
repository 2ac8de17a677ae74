"""DTLS over the paths that ICE finds: where a flight may go, and what a completed handshake proves.

Goal: the handshake reaches the client wherever it is, and nobody else can have it sent to them.

Attackers are those of `stun.paths`. The one that matters here is a client with a valid password that writes somebody
else's address as the source of its datagrams, to have our certificate flight, or worse our media, sent there.

Rules:

* A path is *unvalidated* until its address is proven to be real. It gets one flight, once; what DTLS says after that
  waits here, a few datagrams of it, until the path is validated. The retransmission timer does not run meanwhile.
* Before the handshake is complete, it talks to where the client's DTLS came from last; but never does a datagram from
  an unvalidated path, which anybody may have sent, take it away from a validated one.
* Afterwards it talks to the path that media takes.
* A completed handshake proves the path that its last message came over, because the client's Finished covers our
  random; but only if our random was sent to that path alone. A client that received it elsewhere can write any source
  address on its last message.
"""

import enum
from collections import Counter
from collections.abc import Callable, Iterable

from dtls.association import DtlsAssociation
from dtls.events import Connected
from dtls.options import Role
from wire.core import Drops, Event, Path

__all__ = ["MAX_HELD", "DropReason", "DtlsTransport"]

MAX_HELD = 8
"""How many datagrams wait for their path to be validated; the longest flight has three."""


class DropReason(enum.StrEnum):
    """Why a datagram of ours was not sent."""

    UNVALIDATED_PATH = "unvalidated-path"
    """More than `MAX_HELD` waited for their path to be validated."""


class DtlsTransport:
    """The DTLS association of a call, and where it talks to.

    Args:
        association: the association, just made.
        role: ours in it.
        path: the path of the client's first check.
        is_validated: tells whether a path's address is proven to be real.

    Attributes:
        association: as given.
        role: as given.
        path: where the next flight goes; None while the path that was used is gone.
        secured: what the handshake agreed on; None before it is complete. It stays when the association is closed.
        drops: datagrams that were not sent, by `DropReason`.
    """

    def __init__(
        self, association: DtlsAssociation, role: Role, path: Path, is_validated: Callable[[Path], bool]
    ) -> None:
        self.association = association
        self.role = role
        self.path: Path | None = path
        self.secured: Connected | None = None
        self.drops: Drops = Counter()
        self._is_validated = is_validated
        self._addressed: set[Path] = set()  # paths that something of the handshake was sent to
        self._held: list[bytes] = []

    # -- input

    def receive_datagram(self, data: bytes, source: Path, now: float) -> list[Event]:
        """Take a DTLS datagram that came over a path on which the client's password was shown."""
        if self.secured is None and (self._is_validated(source) or not self._has_validated_path()):
            self.path = source
        return self._noting(self.association.receive_datagram(data, now))

    def handle_timeout(self, now: float) -> list[Event]:
        """Repeat a flight that was not answered; never to an unvalidated path."""
        if not self._has_validated_path():
            return []
        return self._noting(self.association.handle_timeout(now))

    def path_validated(self, path: Path, round_trip_time: float | None) -> None:
        """Learn that a path's address is real, and how far away it is in seconds if that was measured."""
        if self.secured is None and not self._has_validated_path():
            self.path = path
        if round_trip_time is not None:
            self.association.set_round_trip_time(round_trip_time)

    def path_selected(self, path: Path) -> None:
        """Follow the media to a validated path."""
        self.path = path

    def path_expired(self, path: Path) -> None:
        """Stop talking to a path that is forgotten."""
        if self.path == path:
            self.path = None

    # -- output

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Path]]:
        """Take what may be sent now, each datagram with its path."""
        waiting = [*self._held, *self.association.datagrams_to_send(now)]
        if not waiting:
            return []
        path, is_validated = self.path, self._has_validated_path()
        if path is None or (path in self._addressed and not is_validated):
            self._held = waiting[:MAX_HELD]
            if len(waiting) > MAX_HELD:
                self.drops[DropReason.UNVALIDATED_PATH] += len(waiting) - MAX_HELD
            return []
        self._held = []
        if self.secured is None or not is_validated:
            self._addressed.add(path)
        return [(datagram, path) for datagram in waiting]

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called; None while nothing may be repeated."""
        return self.association.next_timeout() if self._has_validated_path() else None

    # -- what is known

    def proves(self, source: Path) -> bool:
        """Whether the client can have completed the handshake only by receiving at `source`."""
        return self._addressed == {source}

    def _has_validated_path(self) -> bool:
        return self.path is not None and self._is_validated(self.path)

    def _noting(self, events: Iterable[Event]) -> list[Event]:
        events = list(events)
        for event in events:
            if isinstance(event, Connected):
                self.secured = event
        return events
