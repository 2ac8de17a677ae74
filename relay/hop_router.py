"""What comes from the hop and is not on a known path: new paths, announced ones, ended ones, and the links themselves.

* A datagram to a client needs a live link, and the tag that a relay made for exactly this ingress, session and address.
  With VALIDATED it proves a claim; so a relay that has just started relearns a path from the first datagram down it.
* A path that is announced (`relay.hop.announcing`) needs the same and proves the same; so such a relay, and every other
  of the ingress group, also knows the way up before a client has said anything that routes itself.
* A path or a session that has ended is forgotten; only the transceiver that it leads to can say so. One that has moved,
  or that another transceiver has taken over, leads there from then on, and so do its tokens (`relay.succession`).

Attacker: a transceiver gone bad, or whoever forges its address between the tiers. He can name only what a relay has
made a tag for, so he can have nothing sent where no client asked, and each wrong tag is counted and changes nothing.
Of the sessions of others he has no tags, so he cannot take one from its present owner; nor with the tags of one that
he has owned, under the generation that he owned it as (FOREIGN_TRANSCEIVER, STALE_GENERATION).
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from relay.claims import Route, TransceiverPlace
from relay.cluster_relay import ClusterRelay
from relay.drops import DropReason
from relay.flows import FlowTable
from relay.hop.bundles import parts_of
from relay.hop.drops import HopDropReason
from relay.hop.header import (
    CONTROL,
    DOWN,
    KIND_SIZE,
    UP,
    Header,
    ingress_of,
    parse_header,
    up_header_of,
)
from relay.hop.links import (
    FlowGone,
    FlowsAnnounced,
    LinkDown,
    LinkUp,
    RelayLinks,
    SessionEnded,
    SessionMoved,
)
from relay.local_addresses import egress_of
from relay.places import Places
from relay.sockaddr import sockaddr_of
from relay.stun_router import StunRouter
from relay.succession import Succession
from relay.transactions import binding_request_id
from wire.core import Address, Drops, Event

__all__ = ["HopRouter"]

_CONTROL, _UP = bytes((CONTROL,)), bytes((UP,))


class HopRouter:
    """Keeps the links to transceivers, and learns from them which paths are theirs.

    Args:
        links: our end of the links.
        table: flows and claims.
        drops: datagrams not forwarded, by `DropReason`.
        counts: "proven", "announced", "gone", "moved" and "taken" are counted here.
        to_transceivers: takes datagrams for the hop socket.
        to_clients: takes datagrams for clients, by egress (`relay.local_addresses`).
        places: where tokens lead.
        ingresses: numbers of our own that other relays may serve as well.

    Attributes:
        cluster: what we do for global relays; None where there are none.
        succession: knows sessions' owners.
    """

    def __init__(
        self,
        *,
        links: RelayLinks,
        table: FlowTable,
        drops: Drops,
        counts: Counter[str],
        to_transceivers: list[tuple[bytes, Address]],
        to_clients: Mapping[int, list[tuple[bytes, Address]]],
        places: Places,
        ingresses: Iterable[int],
    ) -> None:
        self.cluster: ClusterRelay | None = None
        self._links = links
        self._table = table
        self._drops = drops
        self._counts = counts
        self._to_transceivers = to_transceivers
        self._to_clients = to_clients
        self._ingresses = tuple(ingresses)
        self._places = places
        self.succession = Succession(
            table=table, places=places, identity_at=links.identity_at, drops=drops, counts=counts
        )

    @property
    def live(self) -> int:
        """How many links are up."""
        return len(self._places)

    def is_peer(self, source: Address) -> bool:
        """Whether a transceiver or a relay of another tier has proven itself at an address."""
        return self._places.at(source) is not None or (self.cluster is not None and self.cluster.link.knows(source))

    def takes_bundles(self, address: Address) -> bool:
        """Whether a transceiver or a relay of another tier is at an address, and reads bundles."""
        return self._links.takes_bundles(address) or (
            self.cluster is not None and self.cluster.link.takes_bundles(address)
        )

    def open_bundle(self, data: bytes, source: Address) -> Iterable[bytes]:
        """Take a bundle apart; nothing where that is refused and counted."""
        if not self.is_peer(source):
            self._drops[DropReason.UNKNOWN_PEER] += 1
            return ()
        parts = parts_of(data)
        if parts is None:
            self._drops[DropReason.BAD_BUNDLE] += 1
            return ()
        return parts

    def open_data(self, data: bytes, source: Address) -> bytes | None:
        """Open a sealed datagram; None where that is refused and counted."""
        place = self._places.at(source)
        if place is None:
            if self.cluster is not None:
                return self.cluster.link.open_data(data, source)
            self._drops[DropReason.UNKNOWN_PEER] += 1
            return None
        if place.tunnel is None:
            self._drops[DropReason.BAD_HEADER] += 1
            return None
        opened = place.tunnel.open(data)
        if isinstance(opened, HopDropReason):
            self._links.drops[opened] += 1
            return None
        return opened

    def receive(self, data: bytes, source: Address, stun: StunRouter, now: float, *, is_sealed: bool = False) -> None:
        """Take one datagram that is not on a known path.

        Args:
            data: at most `relay.datagrams.MAX_DATAGRAM` bytes.
            source: where it came from.
            stun: knows the flow tags, and wants to know what transceivers ask.
            now: the present.
            is_sealed: it came sealed, and is open now.
        """
        cluster = self.cluster
        if data[:1] == _CONTROL and not is_sealed:
            if cluster is None or self._links.knows(source):
                self.follow(self._links.receive_control(data, source, now), stun, now)
            else:
                cluster.receive_control(data, source, now)
                self._links.set_ingresses({*self._ingresses, *cluster.link.ingresses}, now)
                self._to_transceivers.extend(self._links.datagrams_to_send(now))
            return
        if cluster is not None and data[:1] == _UP:
            cluster.receive_up(data, source, now, is_sealed=is_sealed)
            return
        place = self._places.at(source)
        if place is None:
            self._drops[DropReason.UNKNOWN_PEER] += 1
            return
        if (place.tunnel is not None) is not is_sealed:
            self._drops[DropReason.NOT_SEALED] += 1
            return
        header = parse_header(data)
        if header is None or header.direction != DOWN:
            self._drops[DropReason.BAD_HEADER] += 1
            return
        place.heard = now
        if cluster is not None and header.ingress not in self._to_clients:
            cluster.receive_down(data, header, place, now)
            return
        self._table.handle_timeout(now)
        if not self._is_credible(header, place, stun):
            return
        self._take(header, place, now)
        up_header, payload = up_header_of(data[KIND_SIZE : header.size]), data[header.size :]
        local = stun.local_to(up_header, now)
        if header.validated:
            is_witnessed = stun.transactions.take_witnessed(up_header, now)
            if self._prove(header, up_header, place, now, is_witnessed=is_witnessed, local=local):
                self._counts["proven"] += 1
        elif (transaction := binding_request_id(payload)) is not None:
            stun.transactions.remember(transaction, header.ingress, header.client, up_header, place, now)
        claim = self._table.claim_of(header.ingress, sockaddr_of(header.client), header.session)
        egress = egress_of(header.ingress, local) if claim is None else claim.egress
        self._to_clients[egress].append((payload, header.client))

    def follow(self, events: Iterable[Event], stun: StunRouter, now: float) -> None:
        """Do what the links report, and collect what they have to say."""
        for event in events:
            match event:
                case LinkUp():
                    if not self._places.link_up(event):
                        self._drops[DropReason.FOREIGN_CLUSTER] += 1
                case LinkDown():
                    self._places.link_down(event)
                case FlowGone():
                    self._forget(event.session, event.tag, event.address, now)
                case SessionEnded():
                    self.succession.note_ended(event.session, event.identity, now)
                    self._forget(event.session, None, event.address, now)
                case SessionMoved():
                    self._move(event, now)
                case FlowsAnnounced():
                    self._learn(event, stun, now)
                case _:
                    pass
        self._to_transceivers.extend(self._links.datagrams_to_send(now))

    def _learn(self, event: FlowsAnnounced, stun: StunRouter, now: float) -> None:
        place = self._places.at(event.address)
        if place is None:
            return
        self._table.handle_timeout(now)
        headers = event.headers
        if self.cluster is not None:
            self.cluster.learn([each for each in headers if ingress_of(each) not in self._to_clients], place, now)
            headers = tuple(each for each in headers if ingress_of(each) in self._to_clients)
        for packed in headers:
            known = self._table.by_path.get(packed[KIND_SIZE:])
            if known is not None and known.place.address == event.address:
                known.told = self._table.tick
                continue
            header = parse_header(packed)
            if header is not None and self._is_credible(header, place, stun):
                self._take(header, place, now)
                if self._prove(header, packed, place, now):
                    self._counts["announced"] += 1
                else:
                    self._drops[DropReason.TABLE_FULL] += 1

    def _is_credible(self, header: Header, place: TransceiverPlace, stun: StunRouter) -> bool:
        """Whether a transceiver may speak for this path; counts why not."""
        if header.ingress not in self._to_clients:
            self._drops[DropReason.UNKNOWN_INGRESS] += 1
            return False
        if not self._table.reaches(header.ingress, header.client):
            self._drops[DropReason.UNREACHABLE] += 1
            return False
        if not stun.flow_tags.verify(header.tag, header.ingress, header.session, header.client):
            self._drops[DropReason.FORGED_TAG] += 1
            return False
        if self.succession.is_stale(header.session, header.generation, place):
            self._drops[DropReason.STALE_GENERATION] += 1
            return False
        claim = self._table.claim_of(header.ingress, sockaddr_of(header.client), header.session)
        if claim is not None and claim.place.address != place.address and header.generation == claim.generation:
            self._drops[DropReason.FOREIGN_TRANSCEIVER] += 1
            return False
        return True

    def _prove(
        self,
        header: Header,
        up_header: bytes,
        place: TransceiverPlace,
        now: float,
        *,
        is_witnessed: bool = False,
        local: int = 0,
    ) -> bool:
        route = Route(
            session=header.session, place=place, tag=header.tag, up_header=up_header, generation=header.generation
        )
        proven = self._table.prove(header.ingress, header.client, route, now, is_witnessed=is_witnessed, local=local)
        if proven is None:
            return False
        self.succession.note_alive(header.session, place)
        return True

    def _take(self, header: Header, place: TransceiverPlace, now: float) -> None:
        if self.succession.take(header.session, header.generation, place, now) and self.cluster is not None:
            self.cluster.take(header.session, header.generation, place, now)

    def _forget(self, session: int, tag: bytes | None, address: Address, now: float) -> None:
        place = self._places.at(address)
        for claim in self._table.claims_of(session):
            # Only the transceiver that a claim leads to may end it.
            if tag in (None, claim.tag) and claim.place.address == address:
                self._table.remove(claim)
                self._counts["gone"] += 1
        if self.cluster is not None and place is not None:
            self.cluster.forget(session, tag, place, now)

    def _move(self, event: SessionMoved, now: float) -> None:
        old, place = self._places.at(event.address), self.succession.move(event, now)
        if place is not None and old is not None and self.cluster is not None:
            self.cluster.move(event, old, place, now)
