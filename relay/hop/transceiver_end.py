"""The transceiver's end of its links: which addresses are relays, for as long as they prove it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count

from relay.hop.announcing import Announcements
from relay.hop.bundles import BUNDLES_SINCE, bundled
from relay.hop.cookies import COOKIE_SLOT, Cookies
from relay.hop.drops import HopDropReason
from relay.hop.events import FlowsAcknowledged, FlowsWanted, RelayLost, RelaySeen, TransceiverSuspected
from relay.hop.header import ingress_of
from relay.hop.keys import HopKeys
from relay.hop.messages import (
    Announced,
    Confirm,
    Hello,
    Message,
    Ping,
    Pong,
    Suspect,
    Welcome,
    Workers,
)
from relay.hop.pace import Pace
from relay.hop.sealing import REPLAY_WINDOW, REVISION, WANTS_SEALED, Opened, draw_number, open_sealed, seal
from relay.hop.telling import ProvenRelay, Telling
from relay.hop.tunnel import Tunnel
from wire.core import Address, Drops, Entropy, Event
from wire.replay import ReplayWindow

__all__ = ["REFRESH_INTERVAL", "RELAY_LIFE", "TransceiverLink"]

RELAY_LIFE = 30.0
"""How long a transceiver takes datagrams from a relay that confirms nothing; long, since it harms nobody."""
WINDOW_LIFE = 2 * COOKIE_SLOT
"""A replay window outlives every cookie that its sender could still show."""
MAX_RELAYS = 4096
"""Only holders of the hop key get into the table; still it has an end."""
CHECK_INTERVAL = 1.0
REFRESH_INTERVAL = 20.0
"""How often a relay is told again of flows that go through others: a claim that nothing refreshes is forgotten after
30 s, and a chunk may have to be sent again."""
SUSPECT_RATE = 32.0
SUSPECT_BURST = 256
"""How many SUSPECTs of a relay are heard in the long run, per second, and at once: a transceiver may have that many
workers. Each costs us a probe, so a relay gone bad costs us no more."""


class TransceiverLink:
    """A transceiver worker's end of its links to all relays.

    Args:
        keys: the hop's keys.
        cluster: where it is; with the next two, what routes name.
        incarnation: which process, or group of processes, it belongs to.
        worker: which of these it is.
        entropy: source of unpredictable bytes.
        now: the present.
        sealed: whether we want data sealed.
        workers: how many workers listen on consecutive ports, for relays to find those they were not told of.
        revision: what we say that we speak; None for all that this version does.

    Attributes:
        keys: may be replaced at any time.
        drops: refused messages, and flows that relays are not told of, by `HopDropReason`.
        tell: tells relays of flows and sessions.
    """

    def __init__(
        self,
        *,
        keys: HopKeys,
        cluster: int,
        incarnation: int,
        worker: int,
        entropy: Entropy,
        now: float,
        workers: int = 1,
        sealed: bool = False,
        revision: int | None = None,
    ) -> None:
        self.keys = keys
        self.drops: Drops = Counter()
        self._revision = revision
        self._identity = (cluster, incarnation, worker)
        self._workers = workers
        self._number = draw_number(entropy)
        self._cookies = Cookies(entropy(32))
        self._counter = 0
        self._data_counter = count(1)
        self._wants_sealed = sealed
        self._plain: set[Address] = set()  # relays whose datagrams are not sealed
        self._tunnels: dict[Address, Tunnel] = {}  # to all others that ever were, so that nothing plain goes there
        self._relays: dict[Address, ProvenRelay] = {}
        self._windows: dict[int, tuple[ReplayWindow, float]] = {}
        self._next_check = now + CHECK_INTERVAL
        self._outgoing: list[tuple[bytes, Address]] = []
        self.tell = Telling(self._relays, self._send)

    def accepts(self, source: Address) -> bool:
        """Whether `source` is a relay whose plain datagrams may be believed (hot path: one look-up)."""
        return source in self._plain

    def knows(self, source: Address) -> bool:
        """Whether `source` is a relay that is believed, by datagrams that are plain or by sealed ones."""
        return source in self._relays

    def open_data(self, data: bytes, source: Address) -> bytes | None:
        """Open a sealed datagram from a relay; None where that is refused and counted."""
        tunnel = self._tunnels.get(source)
        if tunnel is None or source not in self._relays:
            self.drops[HopDropReason.UNKNOWN_PEER] += 1
            return None
        opened = tunnel.open(data)
        if isinstance(opened, HopDropReason):
            self.drops[opened] += 1
            return None
        return opened

    def seal_data(self, datagrams: list[tuple[bytes, Address]]) -> list[tuple[bytes, Address]]:
        """Seal those datagrams that go to relays with which data is sealed."""
        tunnels = self._tunnels
        if not tunnels:
            return datagrams
        return [
            (data if (tunnel := tunnels.get(relay)) is None else tunnel.seal(data), relay) for data, relay in datagrams
        ]

    def takes_bundles(self, relay: Address) -> bool:
        """Whether a relay is believed, and reads bundles."""
        proven = self._relays.get(relay)
        return proven is not None and proven.revision >= BUNDLES_SINCE

    def bundle(self, datagrams: list[tuple[bytes, Address]]) -> list[tuple[bytes, Address]]:
        """Put together what leaves at the same moment, for relays that read bundles."""
        return bundled(datagrams, self.takes_bundles)

    def serves(self, relay: Address, up_header: bytes) -> bool:
        """Whether a relay is believed, and serves the ingress of a flow."""
        proven = self._relays.get(relay)
        return proven is not None and ingress_of(up_header) in proven.ingresses

    @property
    def ingresses(self) -> frozenset[int]:
        """Numbers of the ingresses that any relay serves."""
        return frozenset().union(*(relay.ingresses for relay in self._relays.values()))

    @property
    def relays(self) -> Sequence[Address]:
        """Addresses of the relays that are believed."""
        return tuple(self._relays)

    def receive_control(self, data: bytes, source: Address, now: float) -> Iterable[Event]:
        """Take one control message from the worker's socket."""
        opened = open_sealed(self.keys, data, receiver=self._number)
        if not isinstance(opened, Opened):
            self.drops[opened] += 1
            return ()
        if isinstance(opened.message, Hello):
            return self._handle_hello(opened.message, opened.sender, source, now)
        if isinstance(opened.message, Confirm):
            return self._handle_confirm(opened.message, opened, source, now)
        if isinstance(opened.message, Announced):
            return self._handle_announced(opened.message, opened, source)
        if isinstance(opened.message, Ping):
            return self._handle_ping(opened.message, opened, source, now)
        if isinstance(opened.message, Suspect):
            return self._handle_suspect(opened.message, opened, source, now)
        self.drops[HopDropReason.WRONG_END] += 1
        return ()

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Forget relays that confirm no more, and tell the others again; what is to be announced is due to be sent."""
        if now < self._next_check:
            return ()
        self._next_check = now + CHECK_INTERVAL
        lost = [address for address, relay in self._relays.items() if now - relay.confirmed >= RELAY_LIFE]
        for address in lost:
            del self._relays[address]
            self._plain.discard(address)
        for number in [number for number, (_, used) in self._windows.items() if now - used >= WINDOW_LIFE]:
            del self._windows[number]
        events: list[Event] = [RelayLost(address=address) for address in lost]
        for address, relay in self._relays.items():
            if relay.ingresses and now >= relay.refresh:
                relay.refresh = now + REFRESH_INTERVAL
                events.append(FlowsWanted(address=address, ingresses=relay.ingresses, is_new=False))
        return events

    def next_timeout(self) -> float | None:
        """When to look after the relays again, or to announce more; None while there are no relays."""
        check = self._next_check if self._relays or self._windows else None
        announce = self.tell.next_timeout()
        return announce if announce is not None and (check is None or announce < check) else check

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Address]]:
        """Take what is to be sent from the worker's socket."""
        self.tell.say_due(now)
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def _handle_hello(self, hello: Hello, number: int, source: Address, now: float) -> Iterable[Event]:
        cluster, incarnation, worker = self._identity
        welcome = Welcome(
            nonce=hello.nonce,
            cookie=self._cookies.make(source, number, now),
            cluster=cluster,
            incarnation=incarnation,
            worker=worker,
        )
        self._send(welcome, number, source)
        return ()

    def _handle_confirm(self, confirm: Confirm, opened: Opened, source: Address, now: float) -> Iterable[Event]:
        number = opened.sender
        if not self._cookies.is_fresh(confirm.cookie, source, number, now):
            self.drops[HopDropReason.STALE_NONCE] += 1
            return ()
        window, _ = self._windows.get(number) or (ReplayWindow(size=REPLAY_WINDOW), now)
        if not window.check(opened.counter):
            self.drops[HopDropReason.REPLAYED] += 1
            return ()
        known = self._relays.get(source)
        if self._wants_sealed and opened.revision < 1:
            self.drops[HopDropReason.NOT_SEALED] += 1
            return ()
        if known is None and len(self._relays) >= MAX_RELAYS:
            self.drops[HopDropReason.TOO_MANY] += 1
            return ()
        window.commit(opened.counter)
        self._windows[number] = (window, now)
        if self._workers > 1:
            # Said again with each CONFIRM, as any of these can be lost.
            self._send(Workers(count=self._workers), number, source)
        ingresses = frozenset(confirm.ingresses)
        if known is not None and (known.number, known.ingresses) == (number, ingresses):
            known.confirmed = now
            return ()
        self._relays[source] = ProvenRelay(
            number=number,
            revision=opened.revision,
            confirmed=now,
            ingresses=ingresses,
            refresh=now + REFRESH_INTERVAL,
            announcements=Announcements(now, self.drops),
            suspicions=Pace(rate=SUSPECT_RATE, burst=SUSPECT_BURST, now=now),
        )
        self._choose_sealing(source, opened)
        seen = RelaySeen(address=source)
        return (seen, FlowsWanted(address=source, ingresses=ingresses, is_new=True)) if ingresses else (seen,)

    def _choose_sealing(self, source: Address, confirm: Opened) -> None:
        if not self._wants_sealed and not confirm.wants_sealed:
            self._plain.add(source)
            self._tunnels.pop(source, None)
            return
        self._plain.discard(source)
        known = self._tunnels.pop(source, None)
        if len(self._tunnels) >= MAX_RELAYS:
            del self._tunnels[next(iter(self._tunnels))]
        if known is None or known.peer != confirm.sender:  # else its replay window goes on
            count_data = self._data_counter.__next__
            known = Tunnel(keys=lambda: self.keys, number=self._number, peer=confirm.sender, count=count_data)
        self._tunnels[source] = known

    def _handle_announced(self, announced: Announced, opened: Opened, source: Address) -> Iterable[Event]:
        relay = self._fresh_relay(opened, source)
        if relay is None:
            return ()
        taken = relay.announcements.acknowledge(announced.number)
        if taken is None:
            self.drops[HopDropReason.STALE_NONCE] += 1
        return (FlowsAcknowledged(headers=tuple(taken), address=source),) if taken else ()

    def _handle_ping(self, ping: Ping, opened: Opened, source: Address, now: float) -> Iterable[Event]:
        relay = self._fresh_relay(opened, source)
        if relay is not None:
            self.tell.say_due(now)  # a relay that starts takes the PONG as the end of what there was to announce
            self._send(Pong(number=ping.number), relay.number, source)
        return ()

    def _handle_suspect(self, suspect: Suspect, opened: Opened, source: Address, now: float) -> Iterable[Event]:
        relay = self._fresh_relay(opened, source)
        if relay is None:
            return ()
        if not relay.suspicions.take(now):
            self.drops[HopDropReason.TOO_OFTEN] += 1
            return ()
        suspected = (suspect.cluster, suspect.incarnation, suspect.worker)
        if suspect.cluster != self._identity[0] or suspected == self._identity:
            self.drops[HopDropReason.FOREIGN_SUSPECT] += 1
            return ()
        cluster, incarnation, worker = suspected
        event = TransceiverSuspected(cluster=cluster, incarnation=incarnation, worker=worker, address=source)
        return (event,)

    def _fresh_relay(self, opened: Opened, source: Address) -> ProvenRelay | None:
        """The proven relay that says something for the first time; counts what is not so."""
        relay, window = self._relays.get(source), self._windows.get(opened.sender)
        if relay is None or relay.number != opened.sender or window is None:
            self.drops[HopDropReason.UNKNOWN_PEER] += 1
            return None
        if not window[0].check(opened.counter):
            self.drops[HopDropReason.REPLAYED] += 1
            return None
        window[0].commit(opened.counter)
        return relay

    def _send(self, message: Message, receiver: int, relay: Address) -> None:
        self._counter += 1
        revision = REVISION if self._revision is None else self._revision
        sealed = seal(
            self.keys,
            message,
            sender=self._number,
            counter=self._counter,
            receiver=receiver,
            abilities=revision | (WANTS_SEALED if self._wants_sealed else 0),
        )
        self._outgoing.append((sealed, relay))
