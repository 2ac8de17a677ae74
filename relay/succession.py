"""Who owns a session: what its owners have said, what its newest owner has proven, and what becomes of its claims.

A session has one owner at a time. Its *generation* counts the owners that it had before, and stands in the header of
every datagram on the hop. It is raised with a compare-and-set in the store (`docs/failover.md`), so of two owners one
has the higher generation, and the other was replaced. A relay does not ask the store: it goes by the highest
generation that it was shown a valid flow tag with.

Goal: from the first word of a new owner on, everything of a session's clients leads to it, also requests whose token
names the old one, whose link may be down; and nothing of an earlier owner reaches a client. The old one may have been
paused and go on in the middle of a sentence: that it says nothing any more must not hang on what it knows.

Rules:

* A datagram or an announcement with a right tag (`relay.tags`) and a generation higher than any that is known *takes*
  the session: all its proven claims lead to the sender, with that generation, whatever address they are for; unproven
  ones are forgotten, as their next request makes them anew; tokens of the session lead to the sender from then on.
* MOVED does the same to the claims that lead to the sender of it (`relay.whereabouts`).
* What has a lower generation than a claim of the session, or than what its sender's own words or a taking lead to, is
  dropped, on whatever path of the session it is.

Where each of these is enforced: datagrams of known paths are found by the bytes of their header
(`FlowTable.by_path`), which hold the generation; a taking replaces those bytes, so that what comes under the old
ones is on no known path any more, and is seen here. So the hot path has nothing to compare.

Attacker: a transceiver gone bad. To take a session it needs one of its flow tags, which only relays can make and which
they show to the session's owner: so it takes sessions that it has owned, which it could have kept, and no other.

Bound: a generation has 16 bits and never wraps. Who owns a session as number 65,535 is its last owner: the store raises
it no further, and here nothing is higher.
"""

from collections import Counter
from collections.abc import Callable

from relay.claims import ClaimState, Route, TransceiverPlace
from relay.drops import DropReason
from relay.flows import FlowTable
from relay.hop.header import with_generation
from relay.hop.links import SessionMoved, TransceiverIdentity
from relay.places import Places
from relay.whereabouts import Owner, Whereabouts
from stun.credentials import Route as Token
from wire.core import Address, Drops

__all__ = ["Succession"]


class Succession:
    """Knows sessions' owners, and has their claims follow.

    Args:
        table: flows and claims.
        places: where transceivers are.
        identity_at: which process is at an address.
        drops: datagrams not forwarded, by `DropReason`.
        counts: "moved" and "taken" are counted here.
    """

    def __init__(
        self,
        *,
        table: FlowTable,
        places: Places,
        identity_at: Callable[[Address], TransceiverIdentity | None],
        drops: Drops,
        counts: Counter[str],
    ) -> None:
        self._table = table
        self._places = places
        self._identity_at = identity_at
        self._drops = drops
        self._counts = counts
        self._whereabouts = Whereabouts()

    def find_owner(self, token: Token, now: float) -> Owner | None:
        """Find whom a token leads to; None when that one has said lately that the session is not there."""
        identity = (token.cluster, token.incarnation, token.worker)
        identity, generation = self._whereabouts.find(token.session, identity)
        newest = max(self._table.claims_of(token.session), key=lambda claim: claim.generation, default=None)
        if newest is not None and newest.generation > generation:
            return Owner(newest.place, newest.generation)
        if self._whereabouts.has_ended(token.session, identity, now):
            return None
        return Owner(self._places.find(identity, token.session), generation)

    def note_ended(self, session: int, identity: TransceiverIdentity, now: float) -> None:
        """Remember that a transceiver has no such session."""
        self._whereabouts.note_ended(session, identity, now)

    def note_alive(self, session: int, place: TransceiverPlace) -> None:
        """Forget that the session has ended there: the transceiver speaks for it."""
        if (identity := self._identity_of(place)) is not None:
            self._whereabouts.note_alive(session, identity)

    def is_stale(self, session: int, generation: int, place: TransceiverPlace) -> bool:
        """Whether the session has had another owner since the one of this generation.

        Args:
            session: the session's number.
            generation: in the header of what has come.
            place: where it came from.
        """
        identity = self._identity_of(place)
        if identity is not None and generation < self._whereabouts.find(session, identity)[1]:
            return True
        return any(generation < claim.generation for claim in self._table.claims_of(session))

    def take(self, session: int, generation: int, place: TransceiverPlace, now: float) -> bool:
        """Lead a session to who has shown one of its flow tags, with a generation that is not stale.

        Args:
            session: the session's number.
            generation: in the header with the tag.
            place: where it came from.
            now: the present.

        Returns:
            Whether that is news.
        """
        if not generation or (identity := self._identity_of(place)) is None:
            return False
        if not self._whereabouts.note_taken(session, identity, generation):
            return False
        self._whereabouts.note_alive(session, identity)
        self._counts["taken"] += self._lead(session, generation, place, now)
        return True

    def move(self, event: SessionMoved, now: float) -> TransceiverPlace | None:
        """Follow a session's owner, which has given it to another.

        Returns:
            Where the new owner is, or will be; None when it was no news.
        """
        if not self._whereabouts.note_moved(event.session, event.identity, event.owner, event.generation):
            self._drops[DropReason.STALE_GENERATION] += 1
            return None
        self._whereabouts.note_alive(event.session, event.owner)
        place = self._places.to_be(event.owner, event.session)
        self._counts["moved"] += self._lead(event.session, event.generation, place, now, old=event.address)
        return place

    def _lead(
        self, session: int, generation: int, place: TransceiverPlace, now: float, *, old: Address | None = None
    ) -> int:
        """Lead claims of earlier generations elsewhere, all or those of one address; return how many."""
        led = 0
        for claim in self._table.claims_of(session):
            if claim.generation >= generation or (old is not None and claim.place.address != old):
                continue
            if claim.state is ClaimState.UNPROVEN:
                self._table.remove(claim)  # its next request leads to the new owner
                continue
            up_header = with_generation(claim.up_header, generation)
            route = Route(session=session, place=place, tag=claim.tag, up_header=up_header, generation=generation)
            self._table.prove(claim.ingress, claim.client, route, now)
            led += 1
        return led

    def _identity_of(self, place: TransceiverPlace) -> TransceiverIdentity | None:
        return None if place.address is None else self._identity_at(place.address)
