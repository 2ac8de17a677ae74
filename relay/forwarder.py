"""The relay as a sans-IO core: datagrams in from clients and from the hop, datagrams out to both.

    client ──▶ receive_from_client ──▶ to_transceivers ──▶ hop socket
    client ◀── to_clients[ingress] ◀── receive_from_hop ◀── hop socket

What it decides, in the order of the code:

1. Media, DTLS and STUN responses follow the claims on their source address (`relay.flows`); without one they are
   dropped. This is the hot path.
2. STUN is routed by `relay.stun_router`: a Binding Request by its own token, once its integrity is verified.
3. From the hop, only live links are heard. A datagram to a client needs the tag that a relay made for exactly this
   ingress, session and address; the VALIDATED flag proves the claim.

Attacker: the whole internet, forged sources included, and a transceiver gone bad. What each rule takes from him stands
at the rule: `relay.flows` (theft, lock-out, filling the table), `relay.budgets` (cost), `relay.tags` (reflection to
addresses of his choosing), `relay.hop` (pretending to be a relay or a transceiver). Nothing is ever sent to a client
that its transceiver did not send: no errors, no retries, so the relay amplifies nothing.

Performance: the two hot paths are the first lines of `receive_from_client` and `receive_from_hop`: one dict look-up
by what the kernel or the transceiver gave us, one concatenation or slice, one append; 0.4 µs each way on the machine
that this was written on (Python 3.11). Output lists cost 0.1 µs more than to send at once, and can be tested without a
socket. Where the system allows it, `relay.slot_path` takes these two paths without making an object of the datagram.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType
from weakref import WeakValueDictionary

import attrs

from relay.admission import Admission
from relay.drops import DropReason
from relay.flows import FlowTable, Route, TransceiverPlace
from relay.hop.header import (
    CONTROL,
    DOWN,
    FLAG_IPV6,
    IPV4_HEADER_SIZE,
    IPV6_HEADER_SIZE,
    UP,
    Header,
    parse_header,
)
from relay.hop.keys import HopKeys
from relay.hop.links import FlowGone, LinkDown, LinkUp, RelayLinks, TransceiverIdentity
from relay.stun_router import StunRouter
from relay.tags import FlowTags
from relay.transactions import binding_request_id
from relay.udp import MAX_DATAGRAM
from stun.credentials import CredentialKeys
from stun.credentials import Route as Token
from wire.core import Address, Drops, Entropy, Event

__all__ = ["FOLLOWS", "KIND", "Forwarder", "ForwarderOptions"]

# RFC 7983 §7, as one look-up: what follows its flow (DTLS 20..63, SRTP and SRTCP 128..191), what is STUN (0..3).
FOLLOWS, _STUN, _FOREIGN = 2, 1, 0
"""What a client's datagram is; of these, what follows its flow is looked at nowhere."""
KIND = bytes(
    _STUN if first <= 3 else FOLLOWS if 20 <= first <= 63 or 128 <= first <= 191 else _FOREIGN for first in range(256)
)

_CONTROL = bytes((CONTROL,))


@attrs.frozen(kw_only=True)
class ForwarderOptions:
    """What an operator may choose.

    Attributes:
        max_claims: how many claims of sessions on client addresses are held at most (about 1 KB each).
        max_call: how long a call may last, in seconds; older tokens are refused.
    """

    max_claims: int = 100_000
    max_call: float = 7200.0


class Forwarder:
    """Forwards datagrams between clients and transceivers.

    Args:
        credentials: opens tokens and derives their passwords.
        hop_keys: shared with the transceivers.
        flow_tags: shared with the other relays of the ingress group, and with nobody else.
        ingresses: numbers of the ingresses.
        transceivers: addresses of the transceivers' workers on the hop, as `relay.udp.canonical` spells them.
        entropy: for the links, and for the choice of what a failing source may still ask.
        now: the present.
        options: what an operator may choose.
        connected: of each ingress that is a TCP one, the clients that are connected; see `FlowTable`.

    Attributes:
        admission: judges requests; its `credentials` may be replaced at any time, when keys are reloaded.
        stun: routes what clients say in STUN.
        links: the links to the transceivers; its `keys` may be replaced too.
        table: flows and claims.
        drops: datagrams not forwarded, by `DropReason`.
        counts: what is worth a number and is no drop: "claimed", "unclaimed" (a request was forwarded though no claim
            was to be had), "proven", "gone".
        to_transceivers: datagrams for the hop socket; whoever sends them clears the list.
        to_clients: datagrams for each ingress's socket; whoever sends them clears the lists.
    """

    def __init__(
        self,
        *,
        credentials: CredentialKeys,
        hop_keys: HopKeys,
        flow_tags: FlowTags,
        ingresses: Iterable[int],
        transceivers: Sequence[Address],
        entropy: Entropy,
        now: float,
        options: ForwarderOptions = ForwarderOptions(),
        connected: Mapping[int, Container[Address]] = MappingProxyType({}),
    ) -> None:
        numbers = tuple(ingresses)
        self.links = RelayLinks(keys=hop_keys, transceivers=transceivers, entropy=entropy, now=now)
        self.table = FlowTable(ingresses=numbers, max_claims=options.max_claims, connected=connected)
        self.drops: Drops = Counter()
        self.counts: Counter[str] = Counter()
        self.to_transceivers: list[tuple[bytes, Address]] = []
        self.to_clients: Mapping[int, list[tuple[bytes, Address]]] = {number: [] for number in numbers}
        self.admission = Admission(
            credentials=credentials, max_call=options.max_call, entropy=entropy, drops=self.drops
        )
        self.stun = StunRouter(
            admission=self.admission,
            flow_tags=flow_tags,
            table=self.table,
            find_place=self._find_place,
            drops=self.drops,
            counts=self.counts,
            outgoing=self.to_transceivers,
        )
        # Claims hold their place, so that a link that comes back finds them again; without claims it is forgotten.
        self._places: WeakValueDictionary[TransceiverIdentity, TransceiverPlace] = WeakValueDictionary()
        self._live: dict[Address, TransceiverPlace] = {}
        # Shortcuts for the hot paths.
        self._flows = self.table.flows
        self._by_down_header = self.table.by_down_header

    @property
    def flow_tags(self) -> FlowTags:
        """Makes and verifies flow tags; may be replaced at any time."""
        return self.stun.flow_tags

    @flow_tags.setter
    def flow_tags(self, flow_tags: FlowTags) -> None:
        self.stun.flow_tags = flow_tags

    # From clients.

    def receive_from_client(self, data: bytes, source: Address, ingress: int, now: float, unix_time: float) -> None:
        """Take one datagram from an ingress socket.

        Args:
            data: at most `MAX_DATAGRAM` bytes, or longer to be refused.
            source: where it came from.
            ingress: which of our addresses it came to.
            now: the present.
            unix_time: the present on the wall, for the age of tokens.
        """
        if not data:
            self.drops[DropReason.EMPTY] += 1
        elif len(data) > MAX_DATAGRAM:
            self.drops[DropReason.TOO_LONG] += 1
        elif (kind := KIND[data[0]]) == FOLLOWS:
            flow = self._flows[ingress].get(source)
            if flow is None:
                self.drops[DropReason.NO_FLOW] += 1
                return
            for claim in flow.targets:
                address = claim.place.address
                if address is None:
                    self.drops[DropReason.LINK_DOWN] += 1
                else:
                    self.to_transceivers.append((claim.up_header + data, address))
        elif kind == _STUN:
            self.stun.receive(data, source, ingress, now, unix_time)
        else:
            self.drops[DropReason.NOT_OURS] += 1

    # From the hop.

    def receive_from_hop(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram from the hop socket: a client's, or a control message; see `receive_from_client`."""
        if len(data) > MAX_DATAGRAM:
            self.drops[DropReason.TOO_LONG] += 1
            return
        claim = self._by_down_header.get(data[:IPV4_HEADER_SIZE])
        if claim is not None and claim.place.address == source:
            claim.authentic = now
            self.to_clients[claim.flow.ingress].append((data[IPV4_HEADER_SIZE:], claim.flow.client))
            return
        claim = self._by_down_header.get(data[:IPV6_HEADER_SIZE])
        if claim is not None and claim.place.address == source:
            claim.authentic = now
            self.to_clients[claim.flow.ingress].append((data[IPV6_HEADER_SIZE:], claim.flow.client))
            return
        if data.startswith(_CONTROL):
            self._handle_link_events(self.links.receive_control(data, source, now))
            self._collect_link_datagrams(now)
            return
        place = self._live.get(source)
        if place is None:
            self.drops[DropReason.UNKNOWN_PEER] += 1
            return
        header = parse_header(data)
        if header is None or header.direction != DOWN:
            self.drops[DropReason.BAD_HEADER] += 1
            return
        self._receive_first(header, data[: header.size], data[header.size :], place, now)

    def _receive_first(
        self, header: Header, packed: bytes, payload: bytes, place: TransceiverPlace, now: float
    ) -> None:
        """A datagram to a path that is not proven here: perhaps not yet, perhaps we have just started."""
        outgoing = self.to_clients.get(header.ingress)
        if outgoing is None:
            self.drops[DropReason.UNKNOWN_INGRESS] += 1
            return
        if not self.table.reaches(header.ingress, header.client):
            self.drops[DropReason.UNREACHABLE] += 1
            return
        if not self.flow_tags.verify(header.tag, header.ingress, header.session, header.client):
            self.drops[DropReason.FORGED_TAG] += 1
            return
        self.table.handle_timeout(now)
        flow = self._flows[header.ingress].get(header.client)
        claim = flow.claim_of(header.session) if flow is not None else None
        if claim is not None and header.generation < claim.generation:
            self.drops[DropReason.STALE_GENERATION] += 1
            return
        if claim is not None and claim.place is not place and header.generation == claim.generation:
            self.drops[DropReason.FOREIGN_TRANSCEIVER] += 1
            return
        up_header = _upward(packed)
        if header.validated:
            route = Route(
                session=header.session, place=place, tag=header.tag, up_header=up_header, generation=header.generation
            )
            if self.table.prove(header.ingress, header.client, route, now) is not None:
                self.counts["proven"] += 1
        elif (transaction := binding_request_id(payload)) is not None:
            self.stun.transactions.remember(transaction, header.ingress, header.client, up_header, place, now)
        outgoing.append((payload, header.client))

    # Time and links.

    def handle_timeout(self, now: float) -> None:
        """Do what `next_timeout` announced, if it is due."""
        self.table.handle_timeout(now)
        self._handle_link_events(self.links.handle_timeout(now))
        self._collect_link_datagrams(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        times = [when for when in (self.table.next_timeout(), self.links.next_timeout()) if when is not None]
        return min(times, default=None)

    def set_transceivers(self, transceivers: Iterable[Address], now: float) -> None:
        """Follow a changed list of transceivers; claims that lead to others wait until they run out."""
        self._handle_link_events(self.links.set_transceivers(transceivers, now))

    @property
    def live_transceivers(self) -> int:
        """How many links are up."""
        return len(self._live)

    def _find_place(self, token: Token) -> TransceiverPlace | None:
        """Where the transceiver that a token names is; None when it is not known."""
        return self._places.get((token.cluster, token.incarnation, token.worker))

    def _collect_link_datagrams(self, now: float) -> None:
        self.to_transceivers.extend(self.links.datagrams_to_send(now))

    def _handle_link_events(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, LinkUp):
                place = self._places.get(event.identity) or TransceiverPlace(address=None)
                if place.address is not None:
                    # The same process at another address: it has moved on the hop.
                    self._live.pop(place.address, None)
                place.move(event.address)
                self._places[event.identity] = self._live[event.address] = place
            elif isinstance(event, LinkDown):
                gone = self._live.pop(event.address, None)
                if gone is not None:
                    gone.move(None)
            elif isinstance(event, FlowGone):
                self._forget(event)

    def _forget(self, event: FlowGone) -> None:
        for claim in self.table.claims_of(event.session):
            # Only the transceiver that a claim leads to may end it.
            if claim.tag == event.tag and claim.place is self._live.get(event.address):
                self.table.remove(claim)
                self.counts["gone"] += 1


def _upward(down_header: bytes) -> bytes:
    """The UP header of the path whose DOWN header is given."""
    return bytes((UP, down_header[1] & FLAG_IPV6)) + down_header[2:]
