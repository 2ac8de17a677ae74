"""The second tier: between global relays, which own public ports, and the transceivers of one cluster.

    client ── global relay ── hop ── cluster relay ── hop ── transceiver

Both tiers read the same token. A global relay needs to know of a cluster only the addresses of its relays
(`relay.places`), to which it is what a relay is to a transceiver; a cluster relay knows its transceivers by its own
links. A client's datagram crosses the second tier with its header as it is, because everything in it is meant for the
ends: the ingress and the flow tag for the global relay on the way back, the client's true address and the generation
for the transceiver. So nothing is stacked, and the datagram is no longer on one hop than on the other.

Goal: what a global relay forwards reaches the process that the token names, and what that process answers reaches the
client, though either relay be restarted between two packets.

Attacker: as in `relay.hop.links`; besides, a transceiver that was taken over.

Rules and why they suffice:

* Upward, only from relays that have proven to hold the hop key, which includes that the client's integrity was verified
  by them: it is not verified again. A path is made by a Binding Request whose token names this cluster and the session
  that the header names; everything else follows a path that is known.
* Downward, only from a link that is up, and to relays that have said that they serve the header's ingress. Whether the
  header's flow tag is right is for them to verify: this tier holds no flow-tag key. So a transceiver that was taken
  over can make us forward to a global relay, which drops it, and can fill our table up to its bound; it cannot take
  over a path, which belongs to the transceiver that it was made for until a higher generation comes with its flow tag.
* A session that is taken over (`relay.succession`) takes all its paths along: they have the new generation in their
  headers, the old ones are no paths any more, and what comes under them from the old owner is dropped. What a global
  relay still sends under them goes to the new owner with the new header; that it should send the other is announced to
  it before all else. We cannot verify a flow tag, but we know one that a global relay has shown us for the same client.
* After a restart here, paths come back from both sides: from a transceiver's ANNOUNCE or its next datagram with the
  VALIDATED flag, and from the client's next Binding Request.
"""

from collections.abc import Iterable

from relay.admission import Admission
from relay.claims import TransceiverPlace
from relay.drops import DropReason
from relay.hop.header import (
    IPV4_HEADER_SIZE,
    IPV6_HEADER_SIZE,
    KIND_SIZE,
    UP,
    UP_IPV6,
    Header,
    generation_of,
    ingress_of,
    parse_header,
    up_header_of,
    with_generation,
)
from relay.hop.links import FlowsWanted, SessionMoved, TransceiverLink
from relay.succession import Succession
from relay.through_paths import ThroughPath, ThroughPaths
from relay.whereabouts import Owner
from stun.message import read_username
from wire.core import Address, Drops, Event

__all__ = ["ClusterRelay"]

_BINDING_REQUEST = b"\x00\x01"
_TAG = slice(16, 24)
"""Where an UP header has the flow tag."""


class ClusterRelay:
    """What a relay does for the global relays in front of it.

    Args:
        link: our end of the links to them; to them we are what a transceiver is to a relay.
        cluster: number of the cluster whose transceivers are behind us.
        succession: knows sessions' owners.
        admission: has the keys that open tokens.
        max_paths: how many paths are remembered at most.
        now: the present.
        drops: datagrams not forwarded, by `DropReason`.
        outgoing: takes datagrams for the hop socket.

    Attributes:
        link: its `keys` may be replaced at any time.
        paths: those that lead through here.
    """

    def __init__(
        self,
        *,
        link: TransceiverLink,
        cluster: int,
        succession: Succession,
        admission: Admission,
        max_paths: int,
        now: float,
        drops: Drops,
        outgoing: list[tuple[bytes, Address]],
    ) -> None:
        self.link = link
        self.paths = ThroughPaths(max_paths=max_paths, now=now)
        self._cluster = cluster
        self._succession = succession
        self._admission = admission
        self._drops = drops
        self._outgoing = outgoing

    # From global relays.

    def receive_up(self, data: bytes, source: Address, now: float, *, is_sealed: bool) -> None:
        """Take a client's datagram with its UP header from a global relay (hot path: three look-ups).

        Args:
            data: with its header.
            source: where it came from.
            now: the present.
            is_sealed: it came sealed, and `link` has opened it.
        """
        if not is_sealed and not self.link.accepts(source):
            self._drops[DropReason.UNKNOWN_PEER] += 1
            return
        size = IPV6_HEADER_SIZE if data.startswith(UP_IPV6) else IPV4_HEADER_SIZE
        path = self.paths.find(data[:size])
        if path is None:
            way = self._find_way(data, source, now)
            if way is None:
                return
            path, data = way
        path.is_asked = True
        if path.relay != source:
            if not self.link.serves(source, data[:size]):
                self._drops[DropReason.FOREIGN_INGRESS] += 1
                return
            path.relay = source
        upward = path.place.datagram(data)
        if upward is None:
            self._drops[DropReason.LINK_DOWN] += 1
        else:
            self._outgoing.append(upward)

    def _find_way(self, data: bytes, source: Address, now: float) -> tuple[ThroughPath, bytes] | None:
        """Find or make the path of a datagram whose header is not known; None if there is none, which is counted.

        Returns:
            The path, and the datagram with its header, which names the session's present generation.
        """
        header = parse_header(data)
        if header is None or header.direction != UP:
            self._drops[DropReason.BAD_HEADER] += 1
            return None
        up_header, request = data[: header.size], data[header.size :]
        if not self.link.serves(source, up_header):
            self._drops[DropReason.FOREIGN_INGRESS] += 1
            return None
        renewed = self.paths.renewed(up_header, header.session)
        if renewed is not None:
            # The global relay has not heard yet that the session has another owner.
            return renewed[1], renewed[0] + request
        owner = self._owner_of(request, header, now)
        if owner is None or owner.place is None:
            return None
        up_header = with_generation(up_header, owner.generation)
        path = self.paths.find(up_header)
        if path is None:
            path = ThroughPath(session=header.session, place=owner.place, relay=source)
            if not self.paths.add(up_header, path):
                # Requests route themselves, so this one goes on; what follows it does not.
                self._drops[DropReason.TABLE_FULL] += 1
        return path, up_header + request

    def _owner_of(self, request: bytes, header: Header, now: float) -> Owner | None:
        """Whom a request leads to; None if it is no request or leads nowhere, which is counted."""
        username = read_username(request) if request.startswith(_BINDING_REQUEST) else None
        if username is None:
            self._drops[DropReason.NO_FLOW] += 1
            return None
        token = self._admission.credentials.open(username[0])
        if token is None or token.session != header.session:
            self._drops[DropReason.FORGED_TOKEN] += 1
            return None
        owner = self._succession.find_owner(token, now)
        if owner is None:
            self._drops[DropReason.SESSION_ENDED] += 1
            return None
        is_here = owner.place is not None and owner.place.address is not None
        # Of a later generation than we know the owner of, we do not know the owner.
        if token.cluster != self._cluster or not is_here or owner.generation < header.generation:
            self._drops[DropReason.UNKNOWN_TRANSCEIVER] += 1
            return None
        return owner

    def receive_control(self, data: bytes, source: Address, now: float) -> None:
        """Take a control message that is from none of our transceivers."""
        self._follow(self.link.receive_control(data, source, now), now)

    def _follow(self, events: Iterable[Event], now: float) -> None:
        for event in events:
            if isinstance(event, FlowsWanted):
                self.link.tell.announce(event.address, self._headers_for(event))
        self._collect(now)

    def _headers_for(self, wanted: FlowsWanted) -> Iterable[bytes]:
        if not wanted.is_new:
            return ()  # it keeps what it forwards, and transceivers announce again by themselves
        return [header for header in self.paths.proven_headers() if ingress_of(header) in wanted.ingresses]

    # From our transceivers.

    def receive_down(self, data: bytes, header: Header, place: TransceiverPlace, now: float) -> None:
        """Take a datagram to a client of an ingress that is not ours.

        Args:
            data: with its header.
            header: what that says.
            place: the transceiver that it came from, whose link is up.
            now: the present.
        """
        up_header = up_header_of(data[KIND_SIZE : header.size])
        path = self._path_of(up_header, header.session, place, now)
        if path is None:
            return
        if header.validated and not path.is_proven:
            path.is_proven = True
            self.link.tell.announce_to_others(up_header, path.relay)
            self._collect(now)
        if not self.link.serves(path.relay, up_header):
            # It has gone; any other of its group can send from the same ingress.
            group = self.link.tell.group_of(up_header)
            if not group:
                self._drops[DropReason.UNKNOWN_INGRESS] += 1
                return
            path.relay = group[0]
        self._outgoing += self.link.seal_data([(data, path.relay)])

    def learn(self, up_headers: Iterable[bytes], place: TransceiverPlace, now: float) -> None:
        """Take a transceiver's word for its proven paths, and pass it on to the relays that serve their ingresses."""
        for up_header in up_headers:
            header = parse_header(up_header)
            path = None if header is None else self._path_of(up_header, header.session, place, now)
            if path is None or path.is_proven:
                continue
            path.is_proven = True
            for relay in self.link.tell.group_of(up_header):
                self.link.tell.announce(relay, (up_header,))
        self._collect(now)

    def forget(self, session: int, tag: bytes | None, place: TransceiverPlace, now: float) -> None:
        """Pass on that a transceiver has ended a path, or a session with all its paths, and forget them.

        Args:
            session: the session's number.
            tag: the path's flow tag; None for the whole session.
            place: whose word this is.
            now: the present.
        """
        found = [each for each in self._paths_at(session, place) if tag in (None, each[0][_TAG])]
        if tag is None:
            self.link.tell.session_ended(session, [(up_header, path.relay) for up_header, path in found])
        for up_header, path in found:
            self.paths.remove(up_header)
            if tag is not None:
                self.link.tell.release(up_header, path.relay)
        self._collect(now)

    def move(self, event: SessionMoved, old: TransceiverPlace, new: TransceiverPlace, now: float) -> None:
        """Pass on that a session has another owner, and lead its paths there.

        Args:
            event: what its old owner has said.
            old: where that is.
            new: where the new owner is.
            now: the present.
        """
        for up_header, path in self._paths_at(event.session, old):
            self.paths.lead(up_header, path, event.generation, new)
        self.link.tell.session_moved(event.session, event.generation, event.owner)
        self._collect(now)

    def take(self, session: int, generation: int, place: TransceiverPlace, now: float) -> None:
        """Lead the paths of a session to who has taken it over (`relay.succession`), and tell global relays first.

        Args:
            session: the session's number.
            generation: how many owners it had before.
            place: where the new one is.
            now: the present.
        """
        for up_header, path in self.paths.of_session(session):
            renewed = self.paths.lead(up_header, path, generation, place)
            if path.is_proven and renewed is not None:
                self.link.tell.take_over(renewed, path.relay)
        self._collect(now)

    def _paths_at(self, session: int, place: TransceiverPlace) -> list[tuple[bytes, ThroughPath]]:
        """The paths of a session that lead to this transceiver: it can speak for no others."""
        return [(up_header, path) for up_header, path in self.paths.of_session(session) if path.place is place]

    def _path_of(self, up_header: bytes, session: int, place: TransceiverPlace, now: float) -> ThroughPath | None:
        """The path of a transceiver's datagram, made if need be; None if it is another's or there is no way."""
        path, generation = self.paths.find(up_header), generation_of(up_header)
        if path is None:
            if self._succession.is_stale(session, generation, place) or self.paths.renewed(up_header, session):
                self._drops[DropReason.STALE_GENERATION] += 1
                return None
            if self.paths.has_shown_tag(up_header, session) and self._succession.take(session, generation, place, now):
                self.take(session, generation, place, now)
                path = self.paths.find(up_header)
        if path is not None:
            if path.place is place:
                return path
            self._drops[DropReason.FOREIGN_TRANSCEIVER] += 1
            return None
        group = self.link.tell.group_of(up_header)
        if not group:
            self._drops[DropReason.UNKNOWN_INGRESS] += 1
            return None
        path = ThroughPath(session=session, place=place, relay=group[0])
        self.paths.add(up_header, path)
        return path

    # Time.

    def handle_timeout(self, now: float) -> None:
        """Do what `next_timeout` announced, if it is due."""
        self.paths.handle_timeout(now)
        when = self.link.next_timeout()
        if when is not None and when <= now:
            self._follow(self.link.handle_timeout(now), now)
        else:
            self._collect(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        times = [when for when in (self.paths.next_timeout(), self.link.next_timeout()) if when is not None]
        return min(times, default=None)

    def _collect(self, now: float) -> None:
        self._outgoing.extend(self.link.datagrams_to_send(now))
