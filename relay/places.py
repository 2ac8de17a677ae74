"""Where the transceivers that tokens name are: on a link of our own, or behind the relays of another cluster.

A claim holds its place, an object that moves: when a link goes down and comes back, or another relay takes over for a
cluster, the claims that lead there need not be touched.

A cluster behind relays of its own has a place for each of them. A session keeps to one, so that its datagrams stay in
order; when that one's link is down, its place moves to the next that is up.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from weakref import WeakValueDictionary

import attrs

from relay.claims import TransceiverPlace
from relay.hop.links import LinkDown, LinkUp, TransceiverIdentity
from wire.core import Address

__all__ = ["NO_CLUSTERS", "ClusterMap", "HopPeers", "Places"]

ClusterMap = Mapping[int, Sequence[Address]]
"""The relays of other clusters, by the cluster's number: their addresses on the hop."""

NO_CLUSTERS: ClusterMap = MappingProxyType({})


@attrs.frozen(kw_only=True)
class HopPeers:
    """Whom a relay says HELLO to, by IP address.

    Attributes:
        transceivers: hop addresses of transceiver workers.
        cluster_relays: hop addresses of relays of other clusters, each behind the number of its cluster.
    """

    transceivers: tuple[Address, ...] = ()
    cluster_relays: tuple[tuple[int, Address], ...] = ()

    def with_transceivers(self, found: Iterable[Address]) -> "HopPeers":
        """Add transceivers, each once."""
        return attrs.evolve(self, transceivers=tuple(dict.fromkeys((*self.transceivers, *found))))

    @property
    def clusters(self) -> ClusterMap:
        """The relays by their clusters."""
        clusters: dict[int, list[Address]] = {}
        for cluster, address in self.cluster_relays:
            clusters.setdefault(cluster, []).append(address)
        return clusters


class Places:
    """Follows links, and finds where a token leads.

    Args:
        clusters: relays of other clusters; our own links lead to transceivers.
    """

    def __init__(self, clusters: ClusterMap) -> None:
        # Claims hold their place, so that a link that comes back finds them again; without claims it is forgotten.
        self._transceivers: WeakValueDictionary[TransceiverIdentity, TransceiverPlace] = WeakValueDictionary()
        self._live: dict[Address, TransceiverPlace] = {}
        self._links: dict[Address, LinkUp] = {}  # to relays of other clusters
        self._clusters: dict[int, dict[Address, TransceiverPlace]] = {}
        self._cluster_of: dict[Address, int] = {}
        self.set_clusters(clusters)

    def __len__(self) -> int:
        """How many links are up."""
        return len(self._live)

    def find(self, identity: TransceiverIdentity, session: int) -> TransceiverPlace | None:
        """Where a session of a transceiver is reached; None when that is not known."""
        place = self._transceivers.get(identity)
        if place is None and (relays := self._clusters.get(identity[0])):
            places = list(relays.values())
            return places[session % len(places)]
        return place

    def to_be(self, identity: TransceiverIdentity, session: int) -> TransceiverPlace:
        """The same; if it is not known yet, where it will be once there is a link."""
        place = self.find(identity, session)
        if place is None:
            self._transceivers[identity] = place = TransceiverPlace(address=None)
        return place

    def at(self, address: Address) -> TransceiverPlace | None:
        """What is at an address whose link is up."""
        return self._live.get(address)

    def data_heard(self, address: Address) -> float | None:
        """When a client's datagram last came from a transceiver at an address; None for relays of other clusters."""
        if address in self._cluster_of:
            return None
        place = self._live.get(address)
        return -math.inf if place is None else place.heard

    @property
    def cluster_relays(self) -> Iterable[Address]:
        """Addresses of the relays of other clusters."""
        return self._cluster_of.keys()

    def set_clusters(self, clusters: ClusterMap) -> None:
        """Follow a changed map; claims that lead to relays which are in it no more wait until they run out."""
        known = {address: place for relays in self._clusters.values() for address, place in relays.items()}
        self._cluster_of = {address: cluster for cluster, relays in clusters.items() for address in relays}
        self._clusters = {
            cluster: {address: known.get(address) or TransceiverPlace(address=None) for address in relays}
            for cluster, relays in clusters.items()
        }

    def link_up(self, event: LinkUp) -> bool:
        """Follow a link that is up; returns whether it leads where it should, to the right cluster."""
        cluster = self._cluster_of.get(event.address)
        if cluster is not None:
            if event.identity[0] != cluster:
                return False
            self._live[event.address] = self._clusters[cluster][event.address]
            self._links[event.address] = event
            self._settle(cluster)
            return True
        place = self._transceivers.get(event.identity) or TransceiverPlace(address=None)
        if place.address is not None:
            # The same process at another address: it has moved on the hop.
            self._live.pop(place.address, None)
        place.move(event.address, event.tunnel)
        self._transceivers[event.identity] = self._live[event.address] = place
        return True

    def link_down(self, event: LinkDown) -> None:
        """Follow a link that is down."""
        gone = self._live.pop(event.address, None)
        self._links.pop(event.address, None)
        if gone is None:
            return
        cluster = self._cluster_of.get(event.address)
        if cluster is None:
            gone.move(None)
        else:
            self._settle(cluster)

    def _settle(self, cluster: int) -> None:
        """Have each relay's place at its own address, or at the next whose link is up."""
        relays = list(self._clusters[cluster].items())
        for index, (_, place) in enumerate(relays):
            order = (relays[(index + step) % len(relays)][0] for step in range(len(relays)))
            link = next((self._links[each] for each in order if each in self._links), None)
            if link is None:
                place.move(None)
            else:
                place.move(link.address, link.tunnel)
