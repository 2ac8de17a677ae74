"""What a transceiver tells relays of its flows and sessions.

* A path that is proven is announced to every relay of its ingress group; all paths to a relay that is new; and every
  `REFRESH_INTERVAL` seconds again what goes through other relays (`relay.hop.announcing`).
* A path that has ended, a session that has ended, one that is not here, one that has moved: each is said once, to every
  relay that may have been told of it. What gets lost runs out by itself, or is said again to who asks again.

A relay of revision 0 knows none of it but GONE, and is told that only where it has forwarded something itself.
"""

from collections.abc import Callable, Iterable, Mapping

import attrs

from relay.hop.announcing import Announcements
from relay.hop.events import TransceiverIdentity
from relay.hop.header import ingress_of, parse_header
from relay.hop.messages import Ended, Gone, Message, Moved
from relay.hop.pace import Pace
from wire.core import Address

__all__ = ["ProvenRelay", "Telling"]


@attrs.define(kw_only=True)
class ProvenRelay:
    """A relay's address, until when it is believed, and what it is told.

    Attributes:
        number: the number of its process.
        revision: what it speaks.
        confirmed: when it has confirmed last.
        ingresses: which ingresses it serves.
        refresh: when it is told of flows again.
        announcements: what it has still to be told.
        suspicions: how many transceivers it may still suspect.
    """

    number: int
    revision: int
    confirmed: float
    ingresses: frozenset[int]
    refresh: float
    announcements: Announcements
    suspicions: Pace


class Telling:
    """Tells relays of flows and sessions.

    Args:
        relays: those that are believed, by address; a table that changes.
        send: seals a message to a relay's number and address.
    """

    def __init__(self, relays: Mapping[Address, ProvenRelay], send: Callable[[Message, int, Address], None]) -> None:
        self._relays = relays
        self._send = send
        self._announcing: dict[Address, ProvenRelay] = {}  # those that have something still to be told

    def gone(self, session: int, tag: bytes, relay: Address) -> None:
        """Tell a relay that a path has ended, or was never here.

        Sent once: if it is lost, the relay's claim runs out by itself (10 s without authenticated traffic).
        """
        proven = self._relays.get(relay)
        if proven is not None:
            self._send(Gone(session=session, tag=tag), proven.number, relay)

    def announce(self, relay: Address, up_headers: Iterable[bytes]) -> None:
        """Tell a relay of flows, those first that matter most; answers `FlowsWanted`."""
        proven = self._relays.get(relay)
        if proven is not None:
            proven.announcements.add(up_headers)
            self._announcing[relay] = proven

    def announce_to_others(self, up_header: bytes, relay: Address) -> None:
        """Tell every relay of a flow's ingress group that its path is proven.

        Args:
            up_header: the flow's.
            relay: the one that forwards it, which learns so from the next datagram.
        """
        for address in self.group_of(up_header):
            if address != relay:
                self.announce(address, (up_header,))

    def take_over(self, up_header: bytes, relay: Address) -> frozenset[Address]:
        """Announce a flow that we have taken over, at its new generation, before all other flows.

        It goes to every relay of its ingress group and to the one that carried it last, which may be none of them (its
        ingress may be one over TCP). What is acknowledged is reported as `relay.hop.events.FlowsAcknowledged`.

        Args:
            up_header: the flow's, with the new generation.
            relay: the one that carried it.

        Returns:
            The relays whose acknowledgement tells that a former owner is not heard any more where the client is: the
            one that carried it; where that is not linked, all of its group; none where nobody is left to ask.
        """
        group = self.group_of(up_header)
        carrier = self._relays.get(relay)
        is_linked = carrier is not None and carrier.revision >= 1
        for address in {relay, *group} if is_linked else group:
            proven = self._relays[address]
            proven.announcements.add_first(up_header)
            self._announcing[address] = proven
        return frozenset((relay,) if is_linked else group)

    def release(self, up_header: bytes, relay: Address) -> None:
        """Tell every relay of a flow's ingress group, and the one that forwarded last, that the path has ended."""
        header = parse_header(up_header)
        if header is None:
            return
        for address in {relay, *self.group_of(up_header)}:
            self.gone(header.session, header.tag, address)
            self._withdraw(up_header, address)

    def no_such_session(self, up_header: bytes, relay: Address) -> None:
        """Tell a relay that a session, of which it has just forwarded something, is not here."""
        header, proven = parse_header(up_header), self._relays.get(relay)
        if header is None or proven is None:
            return
        if proven.revision >= 1:
            self._send(Ended(session=header.session), proven.number, relay)
        else:
            self.gone(header.session, header.tag, relay)

    def session_ended(self, session: int, flows: Iterable[tuple[bytes, Address]]) -> None:
        """Tell every relay that may know of a session that it has ended.

        Args:
            session: the session's number.
            flows: the UP header of each of its flows, and the relay that forwarded it last.
        """
        told: dict[Address, None] = {}
        for up_header, relay in flows:
            for address in {relay, *self.group_of(up_header)}:
                proven = self._relays.get(address)
                if proven is None or proven.revision >= 1:
                    told[address] = None
                    self._withdraw(up_header, address)
                else:
                    self.gone(session, up_header[16:24], address)
        for address in told:
            if (proven := self._relays.get(address)) is not None:
                self._send(Ended(session=session), proven.number, address)

    def session_moved(
        self, session: int, generation: int, owner: TransceiverIdentity, *, relay: Address | None = None
    ) -> None:
        """Tell relays that a session of ours has another owner; to be said again to one that still sends it to us.

        Args:
            session: the session's number.
            generation: how many owners it had before this one.
            owner: who owns it now.
            relay: which relay; None for all.
        """
        cluster, incarnation, worker = owner
        moved = Moved(session=session, generation=generation, cluster=cluster, incarnation=incarnation, worker=worker)
        for address, proven in self._relays.items():
            if proven.revision >= 1 and relay in (None, address):
                self._send(moved, proven.number, address)

    def _withdraw(self, up_header: bytes, relay: Address) -> None:
        if (telling := self._announcing.get(relay)) is not None:
            telling.announcements.withdraw(up_header)

    def group_of(self, up_header: bytes) -> list[Address]:
        """Addresses of the relays that serve the ingress of a flow."""
        ingress = ingress_of(up_header)
        return [address for address, proven in self._relays.items() if ingress in proven.ingresses]

    def say_due(self, now: float) -> None:
        """Send the announcements that are due."""
        for address, relay in list(self._announcing.items()):
            if self._relays.get(address) is relay:
                for message in relay.announcements.messages(now):
                    self._send(message, relay.number, address)
            if not relay.announcements or self._relays.get(address) is not relay:
                del self._announcing[address]

    def next_timeout(self) -> float | None:
        """When `say_due` has something to send."""
        times = (relay.announcements.next_timeout() for relay in self._announcing.values())
        return min((when for when in times if when is not None), default=None)
