"""Who may claim a client's address, for how long, and who wins.

A *flow* is a client's address at one ingress. A *claim* says that a session receives what comes from there. STUN
requests name their session themselves; everything else (DTLS, SRTP, STUN responses) follows the flow's claims.

Goal: everything from a client reaches the transceiver of its call; also when a client calls again from the address and
port of a call that nobody has ended yet.

Attacker: has valid credentials of calls of his own, can send from any source address, also from that of a victim whose
address he knows, and repeats what he has overheard. He cannot receive there. A stronger one has received there before:
a carrier gave him the address, and later gave it to the victim; one of his calls is still proven there.

What counts as a sign that a session's client is at its address, and what does not:

* *A proof*: the transceiver has sent something unpredictable there, and it came back (VALIDATED, `stun.paths`). No
  spoofer can produce one. A relay that sees the answer to a transceiver's check pass has *witnessed* the proof.
* *STUN of the session with verified integrity.* Whoever knows the session's password can forge the source; so it renews
  what a proof began, and begins nothing.
* *What the transceiver sends is no such sign.* It goes on for 30 s to a client that has vanished (RFC 7675 §5.1). It
  only says that the session has not forgotten the path.
* *Nor is what else comes from the address*: everybody can send it, in nobody's name.

Properties and rules:

* *He cannot steal a flow.* Whoever shows a valid STUN request gets an unproven claim, which lives 5 s and gets nothing
  while there is a proven one. Two proven claims are both sent everything that does not route itself, and each
  transceiver can tell what is meant for it: so not even a session that was proven there before takes anything away.
* *He cannot lock the victim out.* Two claims fit a flow. While none is proven, both get what does not route itself.
  When others hold both, the victim's STUN requests are still forwarded (they route themselves), the answers to its
  transceiver's own checks are known by their transaction (`relay.transactions`), and the proof that follows takes a
  place: of an unproven claim, of a quiet one, or, if it was witnessed, of the one whose client was heard longest ago.
  Who has lost a place that way cannot win it back by the mere word of its transceiver.
* *A new call from the same address and port* is one more victim, of the call before it. It is heard beside it from its
  proof on, a round trip after its first request; 10 s later, when nothing of the old call's client was heard, alone.
* *He cannot fill the table.* Per session at most 8 claims, and 4 new ones in a second; the table has an end, where
  new ones are shed and old ones kept; what is unproven yields to what is proven.

How long a claim lives stands in `relay.claim_lives`.

Performance: a forwarded datagram costs one look-up, in `by_source` or in `by_path`, and touches no timer: where a
claim's deadline is, is computed when its old one comes up, about every 10 s. 350 bytes a flow, of which the two dicts
are a third (`bench.flow_memory`).
"""

from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

from relay.claim_indices import ClaimsBySession, ClaimsBySource
from relay.claim_lives import (
    FORGOTTEN_AFTER,
    LATEST_LOOK,
    PROVEN_LIFE,
    TICK,
    UNPROVEN_LIFE,
    choose_yielding,
    deadline,
    tick_at,
)
from relay.claims import Claim, ClaimState, Route, TransceiverPlace
from relay.hop.header import KIND_SIZE
from relay.local_addresses import egress_of
from relay.sockaddr import serialize_sockaddr, sockaddr_of
from relay.timer_wheel import TimerWheel
from wire.core import Address

__all__ = [
    "CLAIMS_PER_FLOW",
    "CLAIMS_PER_SESSION",
    "FORGOTTEN_AFTER",
    "PROVEN_LIFE",
    "TICK",
    "UNPROVEN_LIFE",
    "Claim",
    "ClaimState",
    "FlowTable",
    "Route",
    "TransceiverPlace",
]

CLAIMS_PER_FLOW = 2
CLAIMS_PER_SESSION = 8

_ALL_BY_UDP: Mapping[int, Container[Address]] = MappingProxyType({})


class FlowTable:
    """All flows and claims of a relay, bounded.

    A source is a client's address as the kernel spells it (`relay.sockaddr`).

    Args:
        ingresses: numbers of the ingresses.
        max_claims: how many claims are held at most.
        connected: of each ingress whose clients come over connections, the clients that are there now. Nobody else can
            be reached through it, whatever is said about him.

    Attributes:
        by_source: the claim that gets what comes from a source, by ingress, where it is a single one (hot path).
        by_path: proven and quiet claims by the path of their transceiver's datagrams (hot path).
        tick: the present, for claims to note.
    """

    def __init__(
        self, *, ingresses: tuple[int, ...], max_claims: int, connected: Mapping[int, Container[Address]] = _ALL_BY_UDP
    ) -> None:
        self.by_path: dict[bytes, Claim] = {}
        self.tick = 0
        self._by_source = ClaimsBySource(ingresses)
        self._by_session = ClaimsBySession(max_claims)
        # Numbers beyond 256 are objects; all claims share those.
        self._egresses: dict[int, int] = {}
        self._unproven: dict[Claim, None] = {}
        self._wheel: TimerWheel[Claim] = TimerWheel()
        self._max_claims = max_claims
        self._connected = connected
        self._size = 0
        self.by_source = self._by_source.single

    # What there is.

    def __len__(self) -> int:
        """How many claims there are."""
        return self._size

    @property
    def flow_count(self) -> int:
        """How many client addresses are claimed."""
        return len(self._by_source)

    def targets_of(self, ingress: int, source: bytes) -> Sequence[Claim]:
        """The claims that get what comes from a source and does not route itself."""
        return self._by_source.targets(ingress, source)

    def claims_on(self, ingress: int, source: bytes) -> Sequence[Claim]:
        """All claims on a source, at most `CLAIMS_PER_FLOW`, the oldest first."""
        return self._by_source.claims(ingress, source)

    def claim_of(self, ingress: int, source: bytes, session: int) -> Claim | None:
        """The claim of a session on a source, if it has one there."""
        return next((claim for claim in self.claims_on(ingress, source) if claim.session == session), None)

    def claims_of(self, session: int) -> Sequence[Claim]:
        """All claims of a session, the newest first."""
        return self._by_session.claims(session)

    def session_is_full(self, session: int) -> bool:
        """Whether the session claims as many addresses as one may."""
        return len(self.claims_of(session)) >= CLAIMS_PER_SESSION

    @property
    def is_full_of_proven(self) -> bool:
        """Whether there is no room, and nothing unproven that a proven claim could take the place of."""
        return self._size >= self._max_claims and not self._unproven

    # What happens to claims.

    def claim(self, ingress: int, client: Address, route: Route, now: float, *, local: int = 0) -> Claim | None:
        """Make an unproven claim for a session that has none on this flow.

        Args:
            ingress: number of the ingress.
            client: the client's address.
            route: where the claim leads.
            now: the present.
            local: number of the local address that its request came to (`relay.local_addresses`).

        Returns:
            The claim; None when both places of the flow, or all of the table, are taken by claims that stay.
        """
        self.handle_timeout(now)
        source = serialize_sockaddr(client)
        rivals = self.claims_on(ingress, source)
        if len(rivals) >= CLAIMS_PER_FLOW:
            quiet = [rival for rival in rivals if rival.state is ClaimState.QUIET]
            if not self._yield_one(quiet):
                return None
        if self._size >= self._max_claims:
            return None
        claim = self._insert(egress_of(ingress, local), source, route)
        self._unproven[claim] = None
        return claim

    def prove(
        self,
        ingress: int,
        client: Address,
        route: Route,
        now: float,
        *,
        is_witnessed: bool = False,
        local: int = 0,
    ) -> Claim | None:
        """Take the transceiver's word that the session's client receives at this address.

        Makes the claim if there is none, at the cost of one that yields if need be.

        Args:
            ingress: number of the ingress.
            client: the client's address.
            route: where the claim leads; one of a later generation, or with a tag under another key, replaces what was
                known.
            now: the present.
            is_witnessed: the answer that proves it has just passed through here.
            local: number of the local address that the client has asked, if known; for a claim that is made here.

        Returns:
            The claim; None when the flow or the table holds nothing that would yield, or the client is not connected.
        """
        if not self.reaches(ingress, client):
            return None
        self.handle_timeout(now)
        source = serialize_sockaddr(client)
        claim = self.claim_of(ingress, source, route.session)
        if claim is None:
            if not self._make_room(self.claims_on(ingress, source), route.session, is_witnessed):
                return None
            claim = self._insert(egress_of(ingress, local), source, route)
            self._believe(claim)
        elif claim.path != (path := route.up_header[KIND_SIZE:]):
            self.by_path.pop(claim.path, None)
            claim.place, claim.path = route.place, path
        claim.told = self.tick
        if claim.state is ClaimState.UNPROVEN:
            self._believe(claim)
        self.by_path[claim.path] = claim
        return claim

    def wants_local(self, claim: Claim, local: int) -> bool:
        """Whether a verified request that came to a local address would have answers leave from there."""
        follows = claim.state is ClaimState.UNPROVEN or claim.egress == claim.ingress
        return local != 0 and follows and claim.egress != egress_of(claim.ingress, local)

    def hear(self, claim: Claim, local: int = 0) -> None:
        """Note STUN of a claim's session, with verified integrity, from its address to a local address of ours."""
        if self.wants_local(claim, local):
            claim.egress = self._shared(egress_of(claim.ingress, local))
        if claim.state is not ClaimState.UNPROVEN:
            self._believe(claim)

    def remove(self, claim: Claim) -> None:
        """Forget a claim."""
        if claim.state is ClaimState.REMOVED:
            return
        claim.state = ClaimState.REMOVED
        self._size -= 1
        self._unproven.pop(claim, None)
        self.by_path.pop(claim.path, None)
        self._by_source.remove(claim)
        self._by_session.remove(claim)

    # Time.

    def reaches(self, ingress: int, client: Address) -> bool:
        """Whether anything can be sent to a client: always over UDP, and over a connection while there is one."""
        connected = self._connected.get(ingress)
        return connected is None or client in connected

    def leave(self, ingress: int, client: Address) -> None:
        """Forget all claims on an address, whose connection has ended."""
        for claim in self.claims_on(ingress, sockaddr_of(client)):
            self.remove(claim)

    def handle_timeout(self, now: float) -> None:
        """Do what time does to claims."""
        tick = tick_at(now)
        if tick <= self.tick:
            return
        self.tick = tick
        for claim in self._wheel.take(tick):
            if claim.state is ClaimState.REMOVED:
                continue
            if deadline(claim) <= tick:
                if claim.state is not ClaimState.PROVEN:
                    self.remove(claim)
                    continue
                claim.state = ClaimState.QUIET
                self._by_source.state_changed(claim)
            self._watch(claim)

    def next_timeout(self) -> float | None:
        """When the next claim has to be looked at."""
        tick = self._wheel.next_tick()
        return None if tick is None else tick * TICK

    # Parts.

    def _shared(self, egress: int) -> int:
        return self._egresses.setdefault(egress, egress)

    def _insert(self, egress: int, source: bytes, route: Route) -> Claim:
        claim = Claim(
            egress=self._shared(egress),
            sockaddr=source,
            path=route.up_header[KIND_SIZE:],
            place=route.place,
            heard=self.tick,
            told=self.tick,
        )
        self._size += 1
        self._by_source.add(claim)
        self._by_session.add(claim)
        self._watch(claim)
        return claim

    def _believe(self, claim: Claim) -> None:
        claim.heard = self.tick
        if claim.state is not ClaimState.PROVEN:
            claim.state = ClaimState.PROVEN
            self._unproven.pop(claim, None)
            self._by_source.state_changed(claim)

    def _watch(self, claim: Claim) -> None:
        # A quiet claim that is proven again has a nearer deadline than before, but none nearer than this.
        self._wheel.add(claim, min(deadline(claim), self.tick + LATEST_LOOK))

    def _make_room(self, rivals: Sequence[Claim], session: int, is_witnessed: bool) -> bool:
        """Free a place for a proven claim, by removing what yields to it."""
        if self.session_is_full(session) and not self._yield_one(self.claims_of(session)):
            return False
        if len(rivals) >= CLAIMS_PER_FLOW and not self._yield_one(rivals, proven_too=is_witnessed):
            return False
        if self._size < self._max_claims:
            return True
        if not self._unproven:
            return False
        # New is shed before old: of the unproven claims, the newest.
        self.remove(next(reversed(self._unproven)))
        return True

    def _yield_one(self, claims: Sequence[Claim], *, proven_too: bool = False) -> bool:
        """Remove a claim that yields to a proven one, if any does."""
        yielding = choose_yielding(claims, proven_too=proven_too)
        if yielding is not None:
            self.remove(yielding)
        return yielding is not None
