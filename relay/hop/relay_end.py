"""The relay's end of its links: who is at each transceiver's address and beside it, asked every second."""

import hmac
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from relay.hop.bundles import BUNDLES_SINCE
from relay.hop.drops import HopDropReason
from relay.hop.events import FlowsAnnounced, LinkDown, LinkUp, TransceiverIdentity
from relay.hop.health import LinkHealth
from relay.hop.keys import HopKeys
from relay.hop.learning import Lessons
from relay.hop.link_messages import MAX_INGRESSES, NONCE_SIZE
from relay.hop.messages import (
    Announce,
    Announced,
    Confirm,
    Ended,
    Gone,
    Hello,
    Message,
    Moved,
    Ping,
    Pong,
    Welcome,
    Workers,
)
from relay.hop.peer import Peer
from relay.hop.sealing import ANYONE, REVISION, WANTS_SEALED, Opened, draw_number, open_sealed, seal
from relay.hop.tunnel import Tunnel
from relay.hop.watching import Watch
from wire.core import Address, Drops, Entropy, Event

__all__ = ["HELLO_INTERVAL", "LINK_LIFE", "RelayLinks"]

HELLO_INTERVAL = 1.0
LINK_LIFE = 10.0
"""How long a relay counts on a transceiver that answers no HELLO: ten lost in a row are no accident."""


class RelayLinks:
    """The relay's end of its links to all transceivers.

    Args:
        keys: the hop's keys.
        transceivers: addresses that are asked who is there.
        entropy: source of unpredictable bytes.
        now: the present.
        ingresses: numbers of the ingresses that are served here; transceivers announce the flows of the first 255.
        sealed: whether we want data sealed.
        data_heard: when a client's datagram last came from an address; None for one over which nobody is to watch.

    Attributes:
        keys: may be replaced at any time.
        drops: refused messages by `HopDropReason`.
        watch: knows how the transceivers are, and whom to hold for dead.
    """

    def __init__(
        self,
        *,
        keys: HopKeys,
        transceivers: Sequence[Address],
        entropy: Entropy,
        now: float,
        ingresses: Iterable[int] = (),
        sealed: bool = False,
        data_heard: Callable[[Address], float | None] = lambda _: -math.inf,
    ) -> None:
        self.keys = keys
        self.drops: Drops = Counter()
        self._entropy = entropy
        self._counter = 0
        self._data_counter = count(1)
        self._wants_sealed = sealed
        self._ingresses = tuple(sorted(ingresses)[:MAX_INGRESSES])
        self._lessons: Lessons[tuple[Peer, int]] = Lessons(now)
        self._configured = frozenset(transceivers)
        self._peers = {address: self._meet(address, now) for address in transceivers}
        self._addresses: dict[TransceiverIdentity, Address] = {}
        self._outgoing: list[tuple[bytes, Address]] = []
        self.watch = Watch(self._peers, self._say, data_heard, now)

    def address_of(self, cluster: int, incarnation: int, worker: int) -> Address | None:
        """Where the process that a route names can be reached; None while no such link is up."""
        return self._addresses.get((cluster, incarnation, worker))

    def knows(self, address: Address) -> bool:
        """Whether there is or may be a transceiver at this address."""
        return address in self._peers

    def takes_bundles(self, address: Address) -> bool:
        """Whether a link with this address is up, and who is there reads bundles."""
        peer = self._peers.get(address)
        return peer is not None and peer.identity is not None and peer.revision >= BUNDLES_SINCE

    def set_ingresses(self, ingresses: Iterable[int], now: float) -> None:
        """Serve these from now on; if they are others than before, all transceivers hear of it at once."""
        wanted = tuple(sorted(ingresses)[:MAX_INGRESSES])
        if wanted != self._ingresses:
            self._ingresses = wanted
            for peer in self._peers.values():
                self._say_hello(peer, now)

    def identity_at(self, address: Address) -> TransceiverIdentity | None:
        """Which process is at an address; None while no link with it is up."""
        peer = self._peers.get(address)
        return None if peer is None else peer.identity

    def set_transceivers(self, transceivers: Iterable[Address], now: float) -> Iterable[Event]:
        """Follow a changed configuration: links to other addresses end, new ones begin with a HELLO that is due now."""
        self._configured = frozenset(transceivers)
        return self._follow_addresses(now)

    def _follow_addresses(self, now: float) -> list[Event]:
        """Have a peer for each address that is configured, and for those that are announced there.

        What is announced anywhere else counts for nothing, so the table is bounded by the configuration.
        """
        announced = (peer.beside for address, peer in self._peers.items() if address in self._configured)
        wanted = self._configured.union(*announced)
        left = [self._peers.pop(address) for address in self._peers.keys() - wanted]
        for address in sorted(wanted - self._peers.keys()):
            self._peers[address] = self._meet(address, now)
        self._say_due_hellos(now)
        return [self._take_down(peer) for peer in left if peer.identity is not None]

    @property
    def up(self) -> Sequence[Address]:
        """Addresses of the transceivers whose link is up."""
        return tuple(self._addresses.values())

    def health(self, now: float) -> dict[Address, LinkHealth]:
        """How the transceivers are doing that answer PINGs, by their address."""
        return self.watch.health(now)

    @property
    def is_waiting(self) -> bool:
        """Whether somebody has not answered whom we ask."""
        return any(peer.identity is None for peer in self._peers.values())

    @property
    def is_catching_up(self) -> bool:
        """Whether somebody whose link is up may be about to announce what it has had all along.

        The PING that follows our CONFIRM is answered behind these announcements.
        """
        return any(peer.identity is not None and not peer.is_caught_up for peer in self._peers.values())

    def receive_control(self, data: bytes, source: Address, now: float) -> Iterable[Event]:
        """Take one control message from the hop socket."""
        peer = self._peers.get(source)
        if peer is None:
            self.drops[HopDropReason.UNKNOWN_PEER] += 1
            return ()
        opened = open_sealed(self.keys, data, receiver=peer.own_number)
        if not isinstance(opened, Opened):
            self.drops[opened] += 1
            return ()
        if isinstance(opened.message, Welcome):
            return self._handle_welcome(peer, opened.message, opened, now)
        if isinstance(opened.message, Gone | Ended | Moved):
            return self._handle_end(peer, opened.message, opened, now)
        if isinstance(opened.message, Pong):
            return self._handle_pong(peer, opened.message, opened, now)
        if isinstance(opened.message, Workers):
            return self._handle_workers(peer, opened.message, opened, now)
        if isinstance(opened.message, Announce):
            return self._handle_announce(peer, opened.message, opened, now)
        self.drops[HopDropReason.WRONG_END] += 1
        return ()

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Say HELLO where it is due, and give up links that nobody answers."""
        silent = [peer for peer in self._peers.values() if peer.identity and now - peer.answered >= LINK_LIFE]
        events: list[Event] = [self._take_down(peer) for peer in silent]
        self.watch.handle_timeout(now)
        self._say_due_hellos(now)
        events += self._learn(now)
        return events

    def next_timeout(self) -> float | None:
        """When the next HELLO is due, a link is to be looked at, or something that was announced may be taken up.

        A link is given up together with a HELLO, at most one interval late.
        """
        hello = min((peer.next_hello for peer in self._peers.values()), default=None)
        times = (hello, self.watch.next_timeout(), self._lessons.next_timeout())
        return min((when for when in times if when is not None), default=None)

    @property
    def is_learning(self) -> bool:
        """Whether something was announced that is not taken up yet; `next_timeout` is near then."""
        return bool(self._lessons)

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Address]]:  # noqa: ARG002 - the core contract
        """Take what is to be sent from the hop socket."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def _say_due_hellos(self, now: float) -> None:
        for peer in self._peers.values():
            if now >= peer.next_hello:
                self._say_hello(peer, now)

    def _say_hello(self, peer: Peer, now: float) -> None:
        nonce = self._entropy(NONCE_SIZE)
        peer.nonces.append(nonce)
        peer.next_hello = now + peer.interval
        peer.interval = min(2 * peer.interval, HELLO_INTERVAL)
        self._send(peer, Hello(nonce=nonce), ANYONE)
        self.watch.ping(peer, now)

    def _handle_welcome(self, peer: Peer, welcome: Welcome, opened: Opened, now: float) -> Iterable[Event]:
        if not any(hmac.compare_digest(nonce, welcome.nonce) for nonce in peer.nonces):
            self.drops[HopDropReason.STALE_NONCE] += 1
            return ()
        peer.nonces.remove(welcome.nonce)
        if self._wants_sealed and opened.revision < 1:
            self.drops[HopDropReason.NOT_SEALED] += 1
            return ()
        peer.answered = now
        peer.interval = HELLO_INTERVAL
        peer.next_hello = now + HELLO_INTERVAL
        events: list[Event] = []
        identity, number = (welcome.cluster, welcome.incarnation, welcome.worker), opened.sender
        peer.revision = opened.revision
        is_sealed = self._wants_sealed or (opened.wants_sealed and opened.revision >= 1)
        if peer.identity is not None and (identity, number) != (peer.identity, peer.number):
            self.watch.mourn(peer, now)
            events.append(self._take_down(peer))
            self._say_hello(peer, now)
            return events
        if peer.identity is None:
            peer.come_up(identity, number)
            self.watch.come_up(peer, now)
            self._addresses[identity] = peer.address
            tunnel = self._tunnel(peer) if is_sealed else None
            events.append(LinkUp(identity=identity, address=peer.address, tunnel=tunnel))
            if peer.beside and peer.announcer != identity[:2]:
                # Another process, which may be alone; if it is not, it will say so.
                peer.beside = frozenset()
                events.extend(self._follow_addresses(now))
        self.watch.hear(peer, now)
        ingresses = self._ingresses if peer.revision >= 1 else ()
        self._send(peer, Confirm(cookie=welcome.cookie, ingresses=ingresses), peer.number)
        if not peer.is_caught_up:
            self._send(peer, Ping(number=peer.meter.ping(now)), peer.number)
        return events

    def _handle_end(self, peer: Peer, message: Gone | Ended | Moved, opened: Opened, now: float) -> Iterable[Event]:
        return (peer.told(message),) if self._is_fresh(peer, opened, now) else ()

    def _handle_pong(self, peer: Peer, pong: Pong, opened: Opened, now: float) -> Iterable[Event]:
        if self._is_fresh(peer, opened, now):
            peer.is_caught_up = True
            if not peer.meter.pong(pong.number, now):
                self.drops[HopDropReason.STALE_NONCE] += 1
        return ()

    def _handle_workers(self, peer: Peer, workers: Workers, opened: Opened, now: float) -> Iterable[Event]:
        if not self._is_fresh(peer, opened, now) or peer.identity is None:
            return ()
        cluster, incarnation, worker = peer.identity
        host, port = peer.address
        ports = range(port - worker, port - worker + workers.count)
        peer.beside = frozenset((host, each) for each in ports if 0 < each <= 65_535)
        peer.announcer = (cluster, incarnation)
        return self._follow_addresses(now)

    def _handle_announce(self, peer: Peer, announce: Announce, opened: Opened, now: float) -> Iterable[Event]:
        if self._is_fresh(peer, opened, now) and not self._lessons.add((peer, opened.sender), announce):
            self.drops[HopDropReason.TOO_MANY] += 1
        return self._learn(now)

    def _learn(self, now: float) -> Iterable[Event]:
        events: list[Event] = []
        for (peer, number), announce in self._lessons.take(now):
            if peer.number != number or self._peers.get(peer.address) is not peer:
                continue  # the link to that process has gone down meanwhile
            self._send(peer, Announced(number=announce.number), peer.number)
            events.append(FlowsAnnounced(headers=announce.headers, address=peer.address))
        return events

    def _is_fresh(self, peer: Peer, opened: Opened, now: float) -> bool:
        """Whether the process that a link is up with says something for the first time; counts what is not so."""
        reason = peer.hear(opened)
        if reason is not None:
            self.drops[reason] += 1
            return False
        self.watch.hear(peer, now)
        return True

    def _take_down(self, peer: Peer) -> LinkDown:
        identity = peer.identity
        assert identity is not None  # noqa: S101 - both callers have checked
        peer.go_down(draw_number(self._entropy))
        if self._addresses.get(identity) == peer.address:
            del self._addresses[identity]
        return LinkDown(identity=identity, address=peer.address)

    def _say(self, peer: Peer, message: Message) -> None:
        self._send(peer, message, peer.number)

    def _send(self, peer: Peer, message: Message, receiver: int) -> None:
        self._counter += 1
        sealed = seal(
            self.keys,
            message,
            sender=peer.own_number,
            counter=self._counter,
            receiver=receiver,
            abilities=REVISION | (WANTS_SEALED if self._wants_sealed else 0),
        )
        self._outgoing.append((sealed, peer.address))

    def _meet(self, address: Address, now: float) -> Peer:
        return Peer(address=address, own_number=draw_number(self._entropy), next_hello=now)

    def _tunnel(self, peer: Peer) -> Tunnel:
        return Tunnel(
            keys=lambda: self.keys, number=peer.own_number, peer=peer.number, count=self._data_counter.__next__
        )
