"""Who may claim a client's address, for how long, and who wins.

A *flow* is a client's address at one ingress. A *claim* says that a session receives what comes from there. STUN
requests name their session themselves; everything else (DTLS, SRTP, STUN responses) follows the flow's claims.

Goal: everything from a client reaches the transceiver of its call.

Attacker: has valid credentials of calls of his own, and can send from any source address, also from that of a
victim whose address he knows. He cannot receive there.

Properties and rules:

* *He cannot steal a flow.* Whoever shows a valid STUN request gets an unproven claim, which lives 5 s. A claim is
  proven by the transceiver (VALIDATED), after somebody has answered from the address what was sent only there. One
  proven claim takes everything that does not route itself; it yields only to GONE, or after 10 s without authentic
  traffic.
* *He cannot lock the victim out.* Two claims fit a flow. While none is proven, what does not route itself goes to all
  of them, since each transceiver can tell what is meant for it. When both places are taken by others, the victim's STUN
  requests are still forwarded (they route themselves), the answers to his transceiver's own Binding Requests are known
  by their transaction (`relay.transactions`), and the VALIDATED that follows takes the place of an unproven claim.
* *He cannot fill the table.* Per session at most 8 claims, and 4 new ones in a second; the table has an end, where
  new ones are shed and old ones kept; what is unproven yields to what is proven.

Table of a claim's life:

    from         when                                   to
    (none)       STUN request, integrity verified        unproven, 5 s
    (none)       DOWN with VALIDATED and a right tag     proven
    unproven     DOWN with VALIDATED and a right tag     proven
    unproven     5 s old, or a proven one needs room     (none)
    proven       10 s without authentic traffic          quiet: it wins no more, and a new claim may take its place
    quiet        DOWN with VALIDATED and a right tag     proven
    quiet        30 s without authentic traffic          (none)
    any          GONE from the session's transceiver     (none)

Authentic traffic is what a relay can recognise: DOWN with VALIDATED, and STUN of the session with verified integrity.

Performance: a forwarded datagram costs one look-up in `flows` or in `by_down_header`, and touches no timer: a claim's
deadline is computed when its old one comes up in the heap, about every 10 s.
"""

import enum
import heapq
import itertools
from collections.abc import Container, Mapping
from types import MappingProxyType

import attrs

from relay.hop.header import answering
from relay.sockaddr import serialize_sockaddr
from wire.core import Address

__all__ = [
    "CLAIMS_PER_FLOW",
    "CLAIMS_PER_SESSION",
    "PROVEN_LIFE",
    "QUIET_LIFE",
    "UNPROVEN_LIFE",
    "Claim",
    "ClaimState",
    "Flow",
    "FlowTable",
    "Route",
    "TransceiverPlace",
]

UNPROVEN_LIFE = 5.0
PROVEN_LIFE = 10.0
QUIET_LIFE = 30.0
"""RFC 7675 §5.1: consent ends after 30 s; no transceiver sends beyond."""
CLAIMS_PER_FLOW = 2
CLAIMS_PER_SESSION = 8

_ALL_BY_UDP: Mapping[int, Container[Address]] = MappingProxyType({})


class ClaimState(enum.Enum):
    """How far a claim is believed."""

    UNPROVEN = "unproven"
    PROVEN = "proven"
    QUIET = "quiet"
    REMOVED = "removed"


@attrs.define(eq=False)
class TransceiverPlace:
    """Where a transceiver worker is at present; shared by all claims that lead there.

    Attributes:
        address: on the hop; None while its link is down.
        sockaddr: the same, as the kernel spells it; empty while its link is down.
    """

    address: Address | None
    sockaddr: bytes = attrs.field(init=False, default=b"")

    def __attrs_post_init__(self) -> None:
        self.move(self.address)

    def move(self, address: Address | None) -> None:
        """Note where it is now; None while nobody knows."""
        self.address = address
        self.sockaddr = b"" if address is None else serialize_sockaddr(address)


@attrs.frozen(kw_only=True)
class Route:
    """Where a claim leads.

    Attributes:
        session: the session's number.
        place: its transceiver.
        tag: the flow's tag for this session.
        up_header: goes in front of what the client sends.
        generation: of the session's ownership, as in `up_header`.
    """

    session: int
    place: TransceiverPlace
    tag: bytes
    up_header: bytes
    generation: int = 0


@attrs.define(eq=False, kw_only=True)
class Claim:
    """A session's claim on a flow.

    Attributes:
        flow: the client's address.
        session: the session's number.
        place: where its transceiver is.
        tag: the flow's tag for this session.
        up_header: goes in front of what the client sends.
        down_header: what stands in front of the transceiver's datagrams once the path is proven.
        generation: of the session's ownership.
        ufrag: the fragment last verified here; None when the claim was learned from the transceiver.
        token_end: Unix time after which that fragment is not taken any more.
        authentic: when authentic traffic was last seen (or the claim was made).
        proven: when it was proven; of two proven claims the older wins.
        state: how far it is believed.
    """

    flow: "Flow"
    session: int
    place: TransceiverPlace
    tag: bytes
    up_header: bytes
    down_header: bytes
    generation: int
    authentic: float
    ufrag: str | None = None
    token_end: float = 0.0
    proven: float = 0.0
    state: ClaimState = ClaimState.UNPROVEN

    @property
    def deadline(self) -> float:
        """When something will happen to this claim, if nothing authentic comes before."""
        if self.state is ClaimState.UNPROVEN:
            return self.authentic + UNPROVEN_LIFE
        return self.authentic + (PROVEN_LIFE if self.state is ClaimState.PROVEN else QUIET_LIFE)


@attrs.define(eq=False, kw_only=True)
class Flow:
    """A client's address at one ingress.

    Attributes:
        ingress: the ingress's number.
        client: the client's address.
        sockaddr: the same, as the kernel spells it.
        claims: at most `CLAIMS_PER_FLOW`.
        targets: those of them that get what does not route itself.
    """

    ingress: int
    client: Address
    sockaddr: bytes
    claims: list[Claim] = attrs.field(factory=list)
    targets: tuple[Claim, ...] = ()

    def claim_of(self, session: int) -> Claim | None:
        """The claim of a session, if it has one here."""
        for claim in self.claims:
            if claim.session == session:
                return claim
        return None


class FlowTable:
    """All flows and claims of a relay, bounded.

    Args:
        ingresses: numbers of the ingresses.
        max_claims: how many claims are held at most.
        connected: of each ingress whose clients come over connections, the clients that are there now. Nobody else can
            be reached through it, whatever is said about him.

    Attributes:
        flows: flows by ingress and client address (hot path of plain sockets).
        by_source: the target of each flow that has one, by ingress and `Flow.sockaddr` (hot path of `relay.fast_path`).
        by_down_header: proven claims by the bytes in front of their transceiver's datagrams (hot path).
    """

    def __init__(
        self, *, ingresses: tuple[int, ...], max_claims: int, connected: Mapping[int, Container[Address]] = _ALL_BY_UDP
    ) -> None:
        self.flows: dict[int, dict[Address, Flow]] = {ingress: {} for ingress in ingresses}
        self.by_source: dict[int, dict[bytes, Claim]] = {ingress: {} for ingress in ingresses}
        self.by_down_header: dict[bytes, Claim] = {}
        self._max_claims = max_claims
        self._connected = connected
        self._sessions: dict[int, list[Claim]] = {}
        self._unproven: dict[Claim, None] = {}
        self._deadlines: list[tuple[float, int, Claim]] = []
        self._order = itertools.count()
        self._size = 0

    def __len__(self) -> int:
        """How many claims there are."""
        return self._size

    @property
    def flow_count(self) -> int:
        """How many client addresses are claimed."""
        return sum(len(flows) for flows in self.flows.values())

    def claims_of(self, session: int) -> tuple[Claim, ...]:
        """All claims of a session."""
        return tuple(self._sessions.get(session, ()))

    def session_is_full(self, session: int) -> bool:
        """Whether the session claims as many addresses as one may."""
        return len(self._sessions.get(session, ())) >= CLAIMS_PER_SESSION

    @property
    def is_full_of_proven(self) -> bool:
        """Whether there is no room, and nothing unproven that a proven claim could take the place of."""
        return self._size >= self._max_claims and not self._unproven

    def claim(self, ingress: int, client: Address, route: Route, now: float) -> Claim | None:
        """Make an unproven claim for a session that has none on this flow.

        Returns:
            The claim; None when both places of the flow, or all of the table, are taken by claims that stay.
        """
        flow = self.flows[ingress].get(client)
        if flow is not None and len(flow.claims) >= CLAIMS_PER_FLOW:
            quiet = [claim for claim in flow.claims if claim.state is ClaimState.QUIET]
            if not quiet:
                return None
            self.remove(min(quiet, key=lambda claim: claim.authentic))
        if self._size >= self._max_claims:
            return None
        return self._insert(ingress, client, route, now)

    def prove(self, ingress: int, client: Address, route: Route, now: float) -> Claim | None:
        """Take the transceiver's word that the session's client receives at this address.

        Makes the claim if there is none, at the cost of an unproven or quiet one if need be.

        Returns:
            The proven claim; None when the flow or the table holds nothing that would yield, or the client is not
            connected.
        """
        if not self.reaches(ingress, client):
            return None
        flow = self.flows[ingress].get(client)
        claim = flow.claim_of(route.session) if flow is not None else None
        if claim is None:
            if not self._make_room(flow, route.session):
                return None
            claim = self._insert(ingress, client, route, now)
        self._unproven.pop(claim, None)
        if claim.generation != route.generation:
            self.by_down_header.pop(claim.down_header, None)
            claim.place, claim.generation, claim.up_header = route.place, route.generation, route.up_header
            claim.down_header = answering(route.up_header, validated=True)
        claim.authentic = now
        if claim.state is not ClaimState.PROVEN:
            claim.state, claim.proven = ClaimState.PROVEN, now
        self.by_down_header[claim.down_header] = claim
        self._retarget(claim.flow)
        return claim

    def remove(self, claim: Claim) -> None:
        """Forget a claim, and its flow with the last one."""
        if claim.state is ClaimState.REMOVED:
            return
        claim.state = ClaimState.REMOVED
        self._size -= 1
        self._unproven.pop(claim, None)
        self.by_down_header.pop(claim.down_header, None)
        siblings = self._sessions[claim.session]
        siblings.remove(claim)
        if not siblings:
            del self._sessions[claim.session]
        flow = claim.flow
        flow.claims.remove(claim)
        self._retarget(flow)
        if not flow.claims:
            del self.flows[flow.ingress][flow.client]

    def reaches(self, ingress: int, client: Address) -> bool:
        """Whether anything can be sent to a client: always over UDP, and over a connection while there is one."""
        connected = self._connected.get(ingress)
        return connected is None or client in connected

    def leave(self, ingress: int, client: Address) -> None:
        """Forget all claims on an address, whose connection has ended."""
        flow = self.flows[ingress].get(client)
        if flow is not None:
            for claim in tuple(flow.claims):
                self.remove(claim)

    def handle_timeout(self, now: float) -> None:
        """Do what time does to claims."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            claim = heapq.heappop(deadlines)[2]
            if claim.state is ClaimState.REMOVED:
                continue
            if claim.deadline <= now:
                if claim.state is not ClaimState.PROVEN:
                    self.remove(claim)
                    continue
                self._silence(claim)
            self._watch(claim, now)

    def next_timeout(self) -> float | None:
        """When the next claim has to be looked at."""
        return self._deadlines[0][0] if self._deadlines else None

    def _silence(self, claim: Claim) -> None:
        claim.state = ClaimState.QUIET
        # The next datagram with this header is looked at closely, and may prove the claim again.
        del self.by_down_header[claim.down_header]
        self._retarget(claim.flow)

    def _insert(self, ingress: int, client: Address, route: Route, now: float) -> Claim:
        flow = self.flows[ingress].get(client)
        if flow is None:
            flow = Flow(ingress=ingress, client=client, sockaddr=serialize_sockaddr(client))
            self.flows[ingress][client] = flow
        claim = Claim(
            flow=flow,
            session=route.session,
            place=route.place,
            tag=route.tag,
            up_header=route.up_header,
            down_header=answering(route.up_header, validated=True),
            generation=route.generation,
            authentic=now,
        )
        flow.claims.append(claim)
        self._retarget(flow)
        self._sessions.setdefault(route.session, []).append(claim)
        self._unproven[claim] = None
        self._size += 1
        self._watch(claim, now)
        return claim

    def _retarget(self, flow: Flow) -> None:
        """Choose anew who gets what does not route itself."""
        proven = [claim for claim in flow.claims if claim.state is ClaimState.PROVEN]
        flow.targets = (min(proven, key=lambda claim: claim.proven),) if proven else tuple(flow.claims)
        if len(flow.targets) == 1:
            self.by_source[flow.ingress][flow.sockaddr] = flow.targets[0]
        else:
            self.by_source[flow.ingress].pop(flow.sockaddr, None)

    def _watch(self, claim: Claim, now: float) -> None:
        # A quiet claim that is proven again has a nearer deadline than before, but none nearer than this.
        when = min(claim.deadline, now + PROVEN_LIFE)
        heapq.heappush(self._deadlines, (when, next(self._order), claim))

    def _make_room(self, flow: Flow | None, session: int) -> bool:
        """Free a place for a proven claim, by removing what yields to it."""
        if self.session_is_full(session) and not self._yield_one(self._sessions[session]):
            return False
        if flow is not None and len(flow.claims) >= CLAIMS_PER_FLOW and not self._yield_one(flow.claims):
            return False
        if self._size < self._max_claims:
            return True
        if not self._unproven:
            return False
        # New is shed before old: of the unproven claims, the newest.
        self.remove(next(reversed(self._unproven)))
        return True

    def _yield_one(self, claims: list[Claim]) -> bool:
        yielding = [claim for claim in claims if claim.state is not ClaimState.PROVEN]
        if yielding:
            self.remove(min(yielding, key=lambda claim: (claim.state is ClaimState.QUIET, claim.authentic)))
        return bool(yielding)
