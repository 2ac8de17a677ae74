"""The relay as a sans-IO core: datagrams in from clients and from the hop, datagrams out to both.

    client ──▶ receive_from_client ──▶ to_transceivers ──▶ hop socket
    client ◀── to_clients[ingress] ◀── receive_from_hop ◀── hop socket

What it decides, in the order of the code:

1. Media, DTLS and STUN responses follow the claims on their source address (`relay.flows`); without one they are
   dropped. This is the hot path.
2. STUN is routed by `relay.stun_router`: a Binding Request by its own token, once its integrity is verified.
3. From the hop, what is on a proven path goes to its client. Everything else is for `relay.hop_router`: only live links
   are heard, and a flow tag must be right.

Attacker: the whole internet, forged sources included, and a transceiver gone bad. What each rule takes from him stands
at the rule: `relay.flows` (theft, lock-out, filling the table), `relay.budgets` (cost), `relay.tags` (reflection to
addresses of his choosing), `relay.hop` (pretending to be a relay or a transceiver).

No reflection, no amplification: a relay never answers. It has no errors, no retries, no STUN of its own, and is silent
about what it drops; so whatever comes to a public socket, nothing goes out of one because of it. What goes out is what
a live transceiver sends, to an address for which this group of relays has made a tag, which took a request from there
with verified integrity. To an address that is not proven these are (`stun.paths`): answers, each smaller than the check
it answers; Binding Requests, each in exchange for a check; and one DTLS flight, to three addresses in ten seconds at
most. Towards transceivers a datagram becomes two at most, where two sessions claim its source.

Performance: the two hot paths are the first lines of `receive_from_client` and `receive_from_hop`: one look-up in the
table, one concatenation or slice, one append; 0.4 µs each way on the machine that this was written on (Python 3.11).
Output lists cost 0.1 µs more than to send at once, and can be tested without a socket. Where the system allows it,
`relay.slot_path` takes these two paths without making an object of the datagram, and without addresses as pairs.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType

import attrs

from relay.admission import Admission
from relay.cluster_relay import ClusterRelay
from relay.drops import DropReason
from relay.flows import FlowTable
from relay.hop.header import (
    BUNDLE,
    IPV4_HEADER_SIZE,
    IPV6_HEADER_SIZE,
    KIND_SIZE,
    SEALED,
    VALIDATED_IPV4,
    VALIDATED_IPV6,
)
from relay.hop.keys import HopKeys
from relay.hop.links import RelayLinks, TransceiverLink
from relay.hop_router import HopRouter
from relay.places import NO_CLUSTERS, ClusterMap, Places
from relay.sockaddr import address_of_sockaddr, sockaddr_of
from relay.stun_router import StunRouter
from relay.tags import FlowTags
from relay.udp import MAX_DATAGRAM
from stun.credentials import CredentialKeys
from wire.core import Address, Drops, Entropy

__all__ = ["FOLLOWS", "KIND", "Forwarder", "ForwarderOptions"]

# RFC 7983 §7, as one look-up: what follows its flow (DTLS 20..63, SRTP and SRTCP 128..191), what is STUN (0..3).
FOLLOWS, _STUN, _FOREIGN = 2, 1, 0
"""What a client's datagram is; of these, what follows its flow is looked at nowhere."""
KIND = bytes(
    _STUN if first <= 3 else FOLLOWS if 20 <= first <= 63 or 128 <= first <= 191 else _FOREIGN for first in range(256)
)


_SEALED, _BUNDLE = bytes((SEALED,)), bytes((BUNDLE,))


@attrs.frozen(kw_only=True)
class ForwarderOptions:
    """What an operator may choose.

    Attributes:
        max_claims: how many claims of sessions on client addresses are held at most (some 350 bytes each).
        max_call: how long a call may last, in seconds; older tokens are refused.
        hop_sealed: whether datagrams must be sealed between here and transceivers, and between here and other relays.
        cluster: number of the cluster whose transceivers we serve for global relays; None to serve none.
    """

    max_claims: int = 100_000
    max_call: float = 7200.0
    hop_sealed: bool = False
    cluster: int | None = None


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
        clusters: relays of other clusters, to which tokens of these clusters lead.
        connected: of each ingress that is a TCP one, the clients that are connected; see `FlowTable`.

    Attributes:
        admission: judges requests; its `credentials` may be replaced at any time, when keys are reloaded.
        stun: routes what clients say in STUN.
        hop: routes what comes from the hop and is not on a known path.
        links: the links to the transceivers, and to the relays of other clusters.
        table: flows and claims.
        drops: datagrams not forwarded, by `DropReason`.
        counts: what is worth a number and is no drop: "claimed", "unclaimed" (a request was forwarded though no claim
            was to be had), "proven", "announced", "gone", "moved", "taken".
        to_transceivers: datagrams for the hop socket; whoever sends them clears the list.
        to_clients: datagrams for each ingress's socket; whoever sends them clears the lists. Whoever tells of local
            addresses (`relay.local_addresses`) first adds a list here for each egress.
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
        clusters: ClusterMap = NO_CLUSTERS,
        connected: Mapping[int, Container[Address]] = MappingProxyType({}),
    ) -> None:
        numbers = tuple(ingresses)
        # What comes over a connection comes to one relay only.
        shared = [number for number in numbers if number not in connected]
        self._places = Places(clusters)
        self.links = RelayLinks(
            keys=hop_keys,
            transceivers=[*transceivers, *self._places.cluster_relays],
            entropy=entropy,
            now=now,
            ingresses=shared,
            sealed=options.hop_sealed,
            data_heard=self._places.data_heard,
        )
        self.table = FlowTable(ingresses=numbers, max_claims=options.max_claims, connected=connected)
        self.drops: Drops = Counter()
        self.counts: Counter[str] = Counter()
        self.to_transceivers: list[tuple[bytes, Address]] = []
        self.to_clients: dict[int, list[tuple[bytes, Address]]] = {number: [] for number in numbers}
        self.admission = Admission(
            credentials=credentials, max_call=options.max_call, entropy=entropy, drops=self.drops
        )
        self.hop = HopRouter(
            links=self.links,
            table=self.table,
            drops=self.drops,
            counts=self.counts,
            to_transceivers=self.to_transceivers,
            to_clients=self.to_clients,
            places=self._places,
            ingresses=shared,
        )
        if options.cluster is not None:
            self.hop.cluster = self._serve_cluster(options.cluster, options, hop_keys, entropy, now)
        self.stun = StunRouter(
            admission=self.admission,
            flow_tags=flow_tags,
            table=self.table,
            find_owner=self.hop.succession.find_owner,
            drops=self.drops,
            counts=self.counts,
            outgoing=self.to_transceivers,
        )
        # A shortcut for the hot path.
        self._by_path = self.table.by_path

    def _serve_cluster(
        self, cluster: int, options: ForwarderOptions, keys: HopKeys, entropy: Entropy, now: float
    ) -> ClusterRelay:
        # To global relays we are a process of the cluster; they take our word for nothing but where it can be reached.
        incarnation = int.from_bytes(entropy(4), "big")
        link = TransceiverLink(
            keys=keys,
            cluster=cluster,
            incarnation=incarnation,
            worker=0,
            entropy=entropy,
            now=now,
            sealed=options.hop_sealed,
        )
        return ClusterRelay(
            link=link,
            cluster=cluster,
            succession=self.hop.succession,
            admission=self.admission,
            max_paths=options.max_claims,
            now=now,
            drops=self.drops,
            outgoing=self.to_transceivers,
        )

    @property
    def flow_tags(self) -> FlowTags:
        """Makes and verifies flow tags; may be replaced at any time."""
        return self.stun.flow_tags

    @flow_tags.setter
    def flow_tags(self, flow_tags: FlowTags) -> None:
        self.stun.flow_tags = flow_tags

    def replace_hop_keys(self, keys: HopKeys) -> None:
        """Use other hop keys from now on; links stay."""
        self.links.keys = keys
        if self.hop.cluster is not None:
            self.hop.cluster.link.keys = keys

    # From clients.

    def receive_from_client(
        self, data: bytes, source: Address, ingress: int, now: float, unix_time: float, local: int = 0
    ) -> None:
        """Take one datagram from an ingress socket.

        Args:
            data: at most `MAX_DATAGRAM` bytes, or longer to be refused.
            source: where it came from.
            ingress: which of our addresses it came to.
            now: the present.
            unix_time: the present on the wall, for the age of tokens.
            local: on a socket that is bound to a wildcard, the number of our address that it came to.
        """
        if not data:
            self.drops[DropReason.EMPTY] += 1
        elif len(data) > MAX_DATAGRAM:
            self.drops[DropReason.TOO_LONG] += 1
        elif (kind := KIND[data[0]]) == FOLLOWS:
            targets = self.table.targets_of(ingress, sockaddr_of(source))
            if not targets:
                self.drops[DropReason.NO_FLOW] += 1
            for claim in targets:
                upward = claim.place.datagram(claim.up_header + data)
                if upward is None:
                    self.drops[DropReason.LINK_DOWN] += 1
                else:
                    self.to_transceivers.append(upward)
        elif kind == _STUN:
            self.stun.receive(data, source, ingress, now, unix_time, local)
        else:
            self.drops[DropReason.NOT_OURS] += 1

    # From the hop.

    def receive_from_hop(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram from the hop socket: a client's, some in a bundle, or a control message.

        See `receive_from_client`.
        """
        if len(data) > MAX_DATAGRAM:
            self.drops[DropReason.TOO_LONG] += 1
            return
        if data.startswith(_BUNDLE):
            for part in self.hop.open_bundle(data, source):
                self.receive_from_hop(part, source, now)
            return
        is_sealed = data.startswith(_SEALED)
        if is_sealed:
            opened = self.hop.open_data(data, source)
            if opened is None:
                return
            data = opened
        if data.startswith((VALIDATED_IPV4, VALIDATED_IPV6)):
            size = IPV4_HEADER_SIZE if data.startswith(VALIDATED_IPV4) else IPV6_HEADER_SIZE
            claim = self._by_path.get(data[KIND_SIZE:size])
            if claim is not None and claim.place.address == source and (claim.place.tunnel is not None) is is_sealed:
                claim.told, claim.place.heard = self.table.tick, now
                self.to_clients[claim.egress].append((data[size:], address_of_sockaddr(claim.sockaddr)))
                return
        self.hop.receive(data, source, self.stun, now, is_sealed=is_sealed)

    def is_peer(self, sockaddr: bytes) -> bool:
        """Whether who is at an address has proven itself, so that bundles are taken from there."""
        return self.hop.is_peer(address_of_sockaddr(sockaddr))

    def takes_bundles(self, sockaddr: bytes) -> bool:
        """Whether who is at an address reads bundles."""
        return self.hop.takes_bundles(address_of_sockaddr(sockaddr))

    # Time and links.

    def handle_timeout(self, now: float) -> None:
        """Do what `next_timeout` announced, if it is due."""
        self.table.handle_timeout(now)
        self.hop.follow(self.links.handle_timeout(now), self.stun, now)
        if self.hop.cluster is not None:
            self.hop.cluster.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        cluster = None if self.hop.cluster is None else self.hop.cluster.next_timeout()
        times = (self.table.next_timeout(), self.links.next_timeout(), cluster)
        return min((when for when in times if when is not None), default=None)

    def set_peers(self, transceivers: Iterable[Address], clusters: ClusterMap, now: float) -> None:
        """Follow changed lists of transceivers and clusters; claims that lead to others wait until they run out."""
        self._places.set_clusters(clusters)
        wanted = [*transceivers, *self._places.cluster_relays]
        self.hop.follow(self.links.set_transceivers(wanted, now), self.stun, now)

    @property
    def live_transceivers(self) -> int:
        """How many links are up."""
        return self.hop.live
