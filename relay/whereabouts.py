"""What is known of sessions that are not with whom a token names: that they have ended, or who has them now.

Goal: a client that goes on asking for a session that has ended costs its transceiver nothing; and a token, which names
the transceiver that minted it, also leads to whoever took the session over.

Attacker: a transceiver gone bad, which says such things of the sessions of others. So each word is kept with who said
it, and counts only for tokens that name this one, or that an earlier word has led to it. That a session was *taken*
needs no word of its old owner, which may be dead: it was proven by a flow tag with a higher generation
(`relay.succession`), and counts for all its tokens.

Bounds: `MAX_NOTES` of each kind, the oldest out first. A note that is lost costs a datagram to the old owner, who says
it again; and where that is dead, requests from new addresses have to wait until one from an address that is claimed
already has come, or the new owner announces the session again. That a session has ended counts for `ENDED_LIFE` s, or
until its owner speaks for it; the memory is given back when the next session ends.
"""

from typing import NamedTuple

from relay.claims import TransceiverPlace
from relay.hop.links import TransceiverIdentity
from relay.recent import Recent

__all__ = ["ENDED_LIFE", "MAX_NOTES", "Owner", "Whereabouts"]

ENDED_LIFE = 60.0
"""Long enough for every client to give up: ICE consent ends after 30 s (RFC 7675 §5.1)."""
MAX_NOTES = 1 << 14
_MAX_MOVES = 8
"""How often a session may have moved for its first token to lead to it."""

_Word = tuple[int, TransceiverIdentity]
"""A session, and who has said something of it."""


class Owner(NamedTuple):
    """Whom a session belongs to.

    Attributes:
        place: where that transceiver is; None when it is not known.
        generation: how many owners the session had before.
    """

    place: TransceiverPlace | None
    generation: int


class Whereabouts:
    """Remembers what was said; all of it may be lost."""

    def __init__(self) -> None:
        self._ended: Recent[_Word, bool] = Recent(life=ENDED_LIFE, limit=MAX_NOTES)
        self._moves: dict[_Word, tuple[TransceiverIdentity, int]] = {}
        self._taken: dict[int, tuple[TransceiverIdentity, int]] = {}

    def __len__(self) -> int:
        """How many notes there are."""
        return len(self._ended) + len(self._moves) + len(self._taken)

    def note_ended(self, session: int, identity: TransceiverIdentity, now: float) -> None:
        """Remember that a transceiver has no such session."""
        self._ended.keep((session, identity), True, now)

    def note_alive(self, session: int, identity: TransceiverIdentity) -> None:
        """Forget that the session has ended: the transceiver speaks for it."""
        self._ended.forget((session, identity))

    def note_moved(
        self, session: int, identity: TransceiverIdentity, owner: TransceiverIdentity, generation: int
    ) -> bool:
        """Remember whom a transceiver has given a session to.

        Args:
            session: the session's number.
            identity: who says so.
            owner: who owns it now.
            generation: how many owners it had before this one.

        Returns:
            Whether it was news.
        """
        known = self._moves.pop((session, identity), (owner, 0))
        if generation <= known[1]:
            if known[1]:
                self._moves[session, identity] = known
            return False
        if len(self._moves) >= MAX_NOTES:
            del self._moves[next(iter(self._moves))]
        self._moves[session, identity] = (owner, generation)
        return True

    def note_taken(self, session: int, owner: TransceiverIdentity, generation: int) -> bool:
        """Remember who has proven to own a session.

        Args:
            session: the session's number.
            owner: who owns it now.
            generation: how many owners it had before this one.

        Returns:
            Whether it was news.
        """
        known = self._taken.get(session)
        if known is not None and generation <= known[1]:
            return False
        self._taken.pop(session, None)
        if len(self._taken) >= MAX_NOTES:
            del self._taken[next(iter(self._taken))]
        self._taken[session] = owner, generation
        return True

    def find(self, session: int, identity: TransceiverIdentity) -> tuple[TransceiverIdentity, int]:
        """Return who owns a session that a token says is with `identity`, and the generation of that."""
        generation = 0
        for _ in range(_MAX_MOVES):
            word = self._moves.get((session, identity))
            if word is None or word[1] <= generation:
                word = self._taken.get(session)
            if word is None or word[1] <= generation:
                break
            identity, generation = word
        return identity, generation

    def has_ended(self, session: int, identity: TransceiverIdentity, now: float) -> bool:
        """Whether a transceiver has said lately that a session is not there."""
        return self._ended.get((session, identity), now) is not None
