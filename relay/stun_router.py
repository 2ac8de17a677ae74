"""What clients say in STUN, and whom it is for.

* A Binding Request is routed by its own token, always. On first sight of (ingress, address, session) its integrity is
  verified (`relay.admission`), before anything is made, moved or forwarded; then it makes a claim. Later ones of the
  session from the same address are verified once in `_REVERIFY` seconds, as a sign that the client is still there, and
  else by the transceiver, as everything.
* A Binding Response goes to who asked (`relay.transactions`), or else follows the flow's claims, as indications do.
* Everything else has no use in ICE and is dropped.

Attacker: the whole internet, forged sources included; see `relay.flows` for what he gets. Nothing here sends anything
to a client.
"""

from collections import Counter
from collections.abc import Callable

from relay.admission import Admission
from relay.claims import Route, TransceiverPlace, mark_of
from relay.drops import DropReason
from relay.flows import TICK, FlowTable
from relay.hop.header import UP, pack_header
from relay.recent import Recent
from relay.sockaddr import sockaddr_of
from relay.tags import FlowTags
from relay.transactions import Transactions, is_binding_response
from relay.whereabouts import Owner
from stun.credentials import Route as Token
from stun.message import read_username
from wire.core import Address, Drops
from wire.errors import LocalProtocolError

__all__ = ["StunRouter"]

_REVERIFY = 5.0
"""The integrity of a known session's requests is verified again after so many seconds, and then counts as authentic."""

_UNCLAIMED_LIFE = 5.0
_MAX_UNCLAIMED = 1 << 12
"""For so long, and of so many clients without a claim, it is known which local address they have asked."""

_BINDING_REQUEST = b"\x00\x01"
_BINDING_INDICATION = b"\x00\x11"


class StunRouter:
    """Routes what clients say in STUN, and makes claims for those who may have them.

    Args:
        admission: judges requests.
        flow_tags: shared with the other relays of the ingress group, and with nobody else.
        table: flows and claims.
        find_owner: whom a token leads to; None when the session is known to have ended.
        drops: datagrams not forwarded, by `DropReason`.
        counts: "claimed" and "unclaimed" are counted here.
        outgoing: takes datagrams for the hop socket.

    Attributes:
        flow_tags: may be replaced at any time.
        transactions: open requests of transceivers, whose answers are routed here.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        flow_tags: FlowTags,
        table: FlowTable,
        find_owner: Callable[[Token, float], Owner | None],
        drops: Drops,
        counts: Counter[str],
        outgoing: list[tuple[bytes, Address]],
    ) -> None:
        self.flow_tags = flow_tags
        self.transactions = Transactions()
        self._unclaimed: Recent[bytes, int] = Recent(life=_UNCLAIMED_LIFE, limit=_MAX_UNCLAIMED)
        self._admission = admission
        self._table = table
        self._find_owner = find_owner
        self._drops = drops
        self._counts = counts
        self._outgoing = outgoing

    def receive(self, data: bytes, source: Address, ingress: int, now: float, unix_time: float, local: int = 0) -> None:
        """Take one datagram that begins as STUN does; see `relay.forwarder.Forwarder.receive_from_client`."""
        # What this decides must not hang on how late the timer is.
        self._table.handle_timeout(now)
        if data.startswith(_BINDING_REQUEST):
            self._route_request(data, source, ingress, now, unix_time, local)
            return
        is_response = is_binding_response(data)
        if not is_response and not data.startswith(_BINDING_INDICATION):
            self._drops[DropReason.NOT_OURS] += 1
        elif is_response and (asked := self.transactions.find(data, ingress, source, now)) is not None:
            self._forward(asked[0], data, asked[1])
        elif targets := self._table.targets_of(ingress, sockaddr_of(source)):
            for claim in targets:
                self._forward(claim.up_header, data, claim.place)
        else:
            self._drops[DropReason.NO_FLOW] += 1

    def local_to(self, up_header: bytes, now: float) -> int:
        """Number of the local address that a client without a claim has asked a moment ago; 0 if it has not."""
        return self._unclaimed.get(up_header, now) or 0

    def _route_request(
        self, data: bytes, source: Address, ingress: int, now: float, unix_time: float, local: int
    ) -> None:
        username = read_username(data)
        if username is None:
            self._drops[DropReason.NO_USERNAME] += 1
            return
        ufrag = username[0]
        admission, table = self._admission, self._table
        mark, claims = mark_of(ufrag), table.claims_on(ingress, sockaddr_of(source))
        is_marked = any(claim.mark == mark for claim in claims)
        token = admission.open(ufrag, source, now, unix_time, is_known=is_marked)
        if token is None:
            return
        known = next((claim for claim in claims if claim.session == token.session), None)
        if known is None:
            owner = self._find_owner(token, now)
            if owner is None:
                self._drops[DropReason.SESSION_ENDED] += 1
            elif admission.has_room(table, token.session, now) and admission.verify(
                data, ufrag, token.session, source, now
            ):
                self._claim(data, source, ingress, token, owner, ufrag, now, local)
            return
        # Unverified here before: learned from the transceiver, or the session has been given another fragment.
        is_new = known.mark != mark
        is_due = (table.tick - known.heard) * TICK >= _REVERIFY or table.wants_local(known, local)
        if is_new or is_due:
            if not admission.verify(data, ufrag, token.session, source, now, is_known=not is_new):
                return
            known.mark = mark
            table.hear(known, local)
        self._forward(known.up_header, data, known.place)

    def _claim(
        self,
        data: bytes,
        source: Address,
        ingress: int,
        token: Token,
        owner: Owner,
        ufrag: str,
        now: float,
        local: int,
    ) -> None:
        self._admission.count_new_address(token.session, now)
        place, generation = owner
        if place is None or place.address is None:
            self._drops[DropReason.UNKNOWN_TRANSCEIVER] += 1
            return
        try:
            tag = self.flow_tags.make(ingress, token.session, source)
            up_header = pack_header(
                UP, ingress=ingress, client=source, session=token.session, tag=tag, generation=generation
            )
        except LocalProtocolError:
            self._drops[DropReason.UNSUPPORTED_SOURCE] += 1
            return
        route = Route(session=token.session, place=place, tag=tag, up_header=up_header, generation=generation)
        claim = self._table.claim(ingress, source, route, now, local=local)
        if claim is None:
            # Its requests route themselves; what else it sends has to wait until its path is proven.
            self._counts["unclaimed"] += 1
            if local:
                self._unclaimed.keep(up_header, local, now)
        else:
            self._counts["claimed"] += 1
            claim.mark = mark_of(ufrag)
        self._forward(up_header, data, place)

    def _forward(self, up_header: bytes, data: bytes, place: TransceiverPlace) -> None:
        upward = place.datagram(up_header + data)
        if upward is None:
            self._drops[DropReason.LINK_DOWN] += 1
        else:
            self._outgoing.append(upward)
