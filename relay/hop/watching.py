"""A relay watches over its links: PINGs, what came of them, and whom it holds for dead.

The rules are those of `relay.hop.suspicion`; here is the clock that drives them for all links together, and that knows
when the relay itself was late. Links are looked at every `TICK` s while something is expected of one of them, and not
at all while nothing is.

Performance: a look at 50 links with media takes 35 µs, 20 times a second; on the path of datagrams there is one store
(`relay.claims.TransceiverPlace.heard`), of 5 ns.
"""

from collections.abc import Callable, Mapping

from relay.hop.health import LinkHealth
from relay.hop.messages import Message, Ping
from relay.hop.peer import Peer
from relay.hop.suspicion import ACTIVE_FOR, LATE, TICK, Suspicion
from relay.hop.warning import Warnings
from wire.core import Address

__all__ = ["Watch"]


class Watch:
    """What a relay does to know how its transceivers are.

    Args:
        peers: all that there are, by address; a table that changes.
        send: seals a message to a peer whose link is up.
        data_heard: when a client's datagram last came from an address; None for one that nobody is told of.
        now: the present.

    Attributes:
        suspected: how often somebody was held for dead; those that have ended as they should, and their links with
            them, included.
        recovered: how often such a one was heard again, so that it was false.
    """

    def __init__(
        self,
        peers: Mapping[Address, Peer],
        send: Callable[[Peer, Message], None],
        data_heard: Callable[[Address], float | None],
        now: float,
    ) -> None:
        self.suspected = 0
        self.recovered = 0
        self._peers = peers
        self._send = send
        self._data_heard = data_heard
        self._warnings = Warnings(send, now)
        self._next_tick: float | None = None

    def come_up(self, peer: Peer, now: float) -> None:
        """Watch over a link that has just come up."""
        is_watched = peer.revision >= 1 and self._data_heard(peer.address) is not None
        peer.suspicion = Suspicion(now) if is_watched else None

    def hear(self, peer: Peer, when: float) -> None:
        """Take note of a sign of life."""
        suspicion = peer.suspicion
        if suspicion is None:
            return
        was_suspected = suspicion.is_suspected
        if suspicion.hear(when):
            peer.meter.disregard(when)
        if was_suspected and not suspicion.is_suspected and peer.identity is not None:
            self.recovered += 1
            self._warnings.withdraw(peer.identity)

    def mourn(self, peer: Peer, now: float) -> None:
        """Tell others of a process that has ended for certain: in its place there is another."""
        if peer.suspicion is not None and not peer.suspicion.is_suspected:
            self._suspect(peer, peer.suspicion, now)

    def ping(self, peer: Peer, now: float) -> None:
        """Send a PING, if the link is up and takes it."""
        if peer.identity is None or peer.revision < 1:
            return
        self._send(peer, Ping(number=peer.meter.ping(now)))
        if peer.suspicion is not None:
            peer.suspicion.ask(now)
            self._plan(now)

    def excuse(self, now: float) -> None:
        """Hold nothing of what was against anybody: we may not have heard."""
        for peer in self._peers.values():
            if peer.suspicion is not None:
                peer.suspicion.excuse(now)

    def is_about_to_suspect(self, now: float) -> bool:
        """Whether `handle_timeout` would suspect somebody; then what waits in the sockets is to be heard first."""
        if self._is_late(now):
            return False
        for peer, suspicion in self._watched():
            data, grace = self._data_heard(peer.address), peer.meter.grace
            is_active = data is not None and now - data < ACTIVE_FOR
            if suspicion.is_convincing(now, is_active=is_active, grace=grace):
                if data is not None:
                    suspicion.hear(data)
                if suspicion.is_convincing(now, is_active=is_active, grace=grace):
                    return True
        return False

    def handle_timeout(self, now: float) -> None:
        """Look at the links, if that is due, and say what there is to say."""
        if self._next_tick is None or now >= self._next_tick:
            if self._is_late(now):
                self.excuse(now)
            self._next_tick = None
            for peer, suspicion in self._watched():
                self._look_at(peer, suspicion, now)
        self._warnings.say_due(self._peers, now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` has something to do; None while nothing is expected of anybody."""
        warning, tick = self._warnings.next_timeout(), self._next_tick
        return warning if warning is not None and (tick is None or warning < tick) else tick

    def health(self, now: float) -> dict[Address, LinkHealth]:
        """How the transceivers are doing that answer PINGs, by their address."""
        return {
            peer.address: peer.meter.health(
                now, is_suspected=peer.suspicion is not None and peer.suspicion.is_suspected
            )
            for peer in self._peers.values()
            if peer.identity is not None and peer.revision >= 1
        }

    def _look_at(self, peer: Peer, suspicion: Suspicion, now: float) -> None:
        data, grace = self._data_heard(peer.address), peer.meter.grace
        is_active = data is not None and now - data < ACTIVE_FOR
        if data is not None:
            self.hear(peer, data)
        if suspicion.is_convincing(now, is_active=is_active, grace=grace):
            self._suspect(peer, suspicion, now)
        elif suspicion.wants_ping(now, is_active=is_active, grace=grace):
            if suspicion.is_suspected:
                peer.next_hello = now  # with a PING; whoever is in its place answers only a HELLO
            else:
                self.ping(peer, now)
        if is_active or suspicion.is_waiting:
            self._plan(now)

    def _suspect(self, peer: Peer, suspicion: Suspicion, now: float) -> None:
        if peer.identity is not None:
            suspicion.suspect()
            self.suspected += 1
            self._warnings.add(peer.identity, now)
            peer.next_hello = now

    def _watched(self) -> list[tuple[Peer, Suspicion]]:
        return [(peer, peer.suspicion) for peer in self._peers.values() if peer.suspicion is not None]

    def _is_late(self, now: float) -> bool:
        return self._next_tick is not None and now - self._next_tick > LATE

    def _plan(self, now: float) -> None:
        if self._next_tick is None:
            # On a grid, so that all links are looked at together; but not at once again, as numbers are rounded.
            self._next_tick = ((now + TICK / 4) // TICK + 1) * TICK
