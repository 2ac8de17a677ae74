"""What a cluster relay remembers of the paths that lead through it: where each one's two ends are.

A path is named by its UP header (`relay.hop.header`), which is a constant between its changes, so that a datagram is
forwarded with one look-up. Nothing here knows a client's address: that is inside the header.

A path lives while something is forwarded on it, and `LIFE` to twice `LIFE` seconds longer. There is no clock in it:
paths are kept in two halves, and what is used moves to the young one; every `LIFE` seconds the young half becomes the
old one, and what is left of the old one is forgotten, some at a time. So the hot path of a datagram writes nothing.

Bounds: `max_paths`, where new ones are shed and old ones stay.
"""

import attrs

from relay.claims import TransceiverPlace
from relay.hop.header import generation_of, with_generation
from wire.core import Address

__all__ = ["LIFE", "ThroughPath", "ThroughPaths"]

LIFE = 30.0
"""Seconds; RFC 7675 §5.1: consent ends after 30 s without an answer, and with it what a transceiver sends."""

_AT_ONCE = 1000
"""How many paths are forgotten in one call; takes less than a millisecond."""


@attrs.define(eq=False)
class ThroughPath:
    """One client path, as the relay in the middle sees it.

    Attributes:
        session: the session's number.
        place: where its transceiver is.
        relay: the global relay that forwarded last.
        is_proven: the transceiver has said that the path is proven.
        is_asked: a global relay has shown its header, so its flow tag is right.
    """

    session: int
    place: TransceiverPlace
    relay: Address
    is_proven: bool = False
    is_asked: bool = False


class ThroughPaths:
    """All paths through a cluster relay, by their UP headers.

    Args:
        max_paths: how many are held at most.
        now: the present.
    """

    def __init__(self, *, max_paths: int, now: float) -> None:
        self._max_paths = max_paths
        self._young: dict[bytes, ThroughPath] = {}
        self._old: dict[bytes, ThroughPath] = {}
        self._dying: dict[bytes, ThroughPath] = {}
        self._sessions: dict[int, list[bytes]] = {}
        self._next_turn = now + LIFE

    def __len__(self) -> int:
        """How many paths there are."""
        return len(self._young) + len(self._old) + len(self._dying)

    def find(self, header: bytes) -> ThroughPath | None:
        """Return the path with this UP header, which counts as used now; None if there is none."""
        path = self._young.get(header)
        if path is None:
            path = self._old.pop(header, None) or self._dying.pop(header, None)
            if path is not None:
                self._young[header] = path
        return path

    def add(self, header: bytes, path: ThroughPath) -> bool:
        """Remember a path that `find` does not know; return whether there was room."""
        if len(self) >= self._max_paths:
            return False
        self._young[header] = path
        self._sessions.setdefault(path.session, []).append(header)
        return True

    def headers_of(self, session: int) -> tuple[bytes, ...]:
        """The UP headers of a session's paths."""
        return tuple(self._sessions.get(session, ()))

    def of_session(self, session: int) -> list[tuple[bytes, ThroughPath]]:
        """The paths of a session, each behind its UP header."""
        found = ((header, self.find(header)) for header in self.headers_of(session))
        return [(header, path) for header, path in found if path is not None]

    def renewed(self, header: bytes, session: int) -> tuple[bytes, ThroughPath] | None:
        """The same client's path with the same flow tag under a later owner of its session, and its UP header."""
        flow, generation = with_generation(header, 0), generation_of(header)
        for known, path in self.of_session(session):
            if generation_of(known) > generation and with_generation(known, 0) == flow:
                return known, path
        return None

    def has_shown_tag(self, header: bytes, session: int) -> bool:
        """Whether a global relay has shown this client's flow tag, under whatever owner of the session."""
        flow = with_generation(header, 0)
        return any(path.is_asked and with_generation(known, 0) == flow for known, path in self.of_session(session))

    def lead(self, header: bytes, path: ThroughPath, generation: int, place: TransceiverPlace) -> bytes | None:
        """Lead a path elsewhere; return its new UP header, if the generation is higher than that of the old one."""
        if generation_of(header) >= generation:
            return None
        self.remove(header)
        renewed = with_generation(header, generation)
        self.add(renewed, attrs.evolve(path, place=place))
        return renewed

    def proven_headers(self) -> list[bytes]:
        """The UP headers of all proven paths that are in use, the most recently used first."""
        halves = (self._young, self._old)
        return [header for half in halves for header, path in half.items() if path.is_proven]

    def remove(self, header: bytes) -> None:
        """Forget a path."""
        for half in (self._young, self._old, self._dying):
            path = half.pop(header, None)
            if path is not None:
                self._forget(header, path)

    def handle_timeout(self, now: float) -> None:
        """Let time pass; forgets a bounded number of paths each time."""
        dying = self._dying
        for _ in range(min(len(dying), _AT_ONCE)):
            header, path = dying.popitem()
            self._forget(header, path)
        if now >= self._next_turn and not dying:
            self._dying, self._old, self._young = self._old, self._young, {}
            self._next_turn = now + LIFE

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called; None while there is nothing to forget."""
        if self._dying:
            return 0.0
        return self._next_turn if self._young or self._old else None

    def _forget(self, header: bytes, path: ThroughPath) -> None:
        headers = self._sessions[path.session]
        headers.remove(header)
        if not headers:
            del self._sessions[path.session]
