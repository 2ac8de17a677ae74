"""The two ends of a link: a relay finds out who is at a transceiver's address, a transceiver who may send to it.

    relay                                      transceiver
      │── HELLO nonce ───────────────────────────▶│   every second; faster until the first answer
      │◀────────── WELCOME nonce, cookie, identity │   no state is kept
      │── CONFIRM cookie ─────────────────────────▶│   this address is a relay for the next 30 s
      │                                            │
      │◀═══════ the clients' datagrams, both ways ═╪═══▶
      │◀───────────────────── GONE session, tag ───│   when a session ends or a path dies

Goal: a relay forwards a session's datagrams to the very process that its token names, and believes what comes from
there; a transceiver believes only relays about who sent a datagram.

Attacker: as in `relay.hop.sealing`. He records a day of messages and sends any of them from any address.

Properties:

* A WELCOME counts once, for one HELLO of a few that are open: it echoes 128 random bits. So an old WELCOME cannot bring
  a dead incarnation back.
* A CONFIRM counts once, from the address that the WELCOME went to, within 20 s: the cookie is a MAC over that
  address, the relay's number and the time, under a secret of this process (the construction of RFC 9147 §5.1). Until
  then a HELLO, even a repeated one, makes the transceiver keep nothing and send no more bytes than it got.
* A GONE counts once: a replay window over the transceiver's counter, which starts anew with each incarnation.

The addresses that the two ends agree on are trusted for data, whose header is not sealed: inside a cluster, who can
forge sources between the tiers and guess 64 bits of flow tag can inject a datagram, which then still has to pass the
session's own cryptography.
"""

import hashlib
import hmac
from collections import Counter, deque
from collections.abc import Iterable, Sequence

import attrs

from relay.hop.drops import HopDropReason
from relay.hop.keys import HopKeys
from relay.hop.messages import COOKIE_SIZE, NONCE_SIZE, Confirm, Gone, Hello, Message, Welcome
from relay.hop.sealing import ANYONE, Opened, open_sealed, seal
from wire.core import Address, Drops, Entropy, Event
from wire.replay import ReplayWindow

__all__ = [
    "FlowGone",
    "LinkDown",
    "LinkUp",
    "RelayLinks",
    "RelayLost",
    "RelaySeen",
    "TransceiverIdentity",
    "TransceiverLink",
]

HELLO_INTERVAL = 1.0
FIRST_HELLO_INTERVAL = 0.05
"""The first pause between two HELLOs that nobody answers; doubles up to `HELLO_INTERVAL`."""
OPEN_HELLOS = 4
"""How many HELLOs may wait for their answer at a time."""
LINK_LIFE = 10.0
"""How long a relay counts on a transceiver that answers no HELLO: ten lost in a row are no accident."""
RELAY_LIFE = 30.0
"""How long a transceiver takes datagrams from a relay that confirms nothing; longer, since it harms nobody."""
COOKIE_SLOT = 10.0
"""A cookie is taken in the slot of time that it was made in and in the next one."""
WINDOW_LIFE = 2 * COOKIE_SLOT
"""A replay window outlives every cookie that its sender could still show."""
MAX_RELAYS = 4096
"""Only holders of the hop key get into the table; still it has an end."""

TransceiverIdentity = tuple[int, int, int]
"""Cluster, incarnation and worker: what a route names."""


@attrs.frozen(kw_only=True)
class LinkUp(Event):
    """A transceiver's process was found at an address.

    Attributes:
        identity: who it is.
        address: where it is.
    """

    identity: TransceiverIdentity
    address: Address


@attrs.frozen(kw_only=True)
class LinkDown(Event):
    """A transceiver's process is not at its address any more.

    Attributes:
        identity: who it was.
        address: where it was.
    """

    identity: TransceiverIdentity
    address: Address


@attrs.frozen(kw_only=True)
class FlowGone(Event):
    """A transceiver says that a path of one of its sessions has ended.

    Attributes:
        session: the session's number.
        tag: the path's flow tag.
        address: the transceiver that says so; whether the flow is its own is for the flow table to check.
    """

    session: int
    tag: bytes
    address: Address


@attrs.frozen(kw_only=True)
class RelaySeen(Event):
    """A relay has proven itself at an address, for the first time or after a restart."""

    address: Address


@attrs.frozen(kw_only=True)
class RelayLost(Event):
    """A relay has not confirmed for so long that its datagrams are not taken any more."""

    address: Address


def _draw_number(entropy: Entropy) -> int:
    """A number for one end of a link; never `ANYONE`."""
    return int.from_bytes(entropy(8), "big") or 1


@attrs.define
class _Peer:
    """A transceiver's address, and what its relay knows of it."""

    address: Address
    next_hello: float
    interval: float = FIRST_HELLO_INTERVAL
    nonces: deque[bytes] = attrs.field(factory=lambda: deque(maxlen=OPEN_HELLOS), repr=False)
    identity: TransceiverIdentity | None = None
    number: int = ANYONE
    window: ReplayWindow = attrs.field(factory=ReplayWindow)
    answered: float = 0.0


class RelayLinks:
    """The relay's end of its links to all transceivers.

    Attributes:
        keys: may be replaced at any time.
        drops: refused messages by `HopDropReason`.
    """

    def __init__(self, *, keys: HopKeys, transceivers: Sequence[Address], entropy: Entropy, now: float) -> None:
        self.keys = keys
        self.drops: Drops = Counter()
        self._entropy = entropy
        self._number = _draw_number(entropy)
        self._counter = 0
        self._peers = {address: _Peer(address=address, next_hello=now) for address in transceivers}
        self._addresses: dict[TransceiverIdentity, Address] = {}
        self._outgoing: list[tuple[bytes, Address]] = []

    def address_of(self, cluster: int, incarnation: int, worker: int) -> Address | None:
        """Where the process that a route names can be reached; None while no such link is up."""
        return self._addresses.get((cluster, incarnation, worker))

    @property
    def up(self) -> Sequence[Address]:
        """Addresses of the transceivers whose link is up."""
        return tuple(self._addresses.values())

    def receive_control(self, data: bytes, source: Address, now: float) -> Iterable[Event]:
        """Take one control message from the hop socket."""
        peer = self._peers.get(source)
        if peer is None:
            self.drops[HopDropReason.UNKNOWN_PEER] += 1
            return ()
        opened = open_sealed(self.keys, data, receiver=self._number)
        if not isinstance(opened, Opened):
            self.drops[opened] += 1
            return ()
        if isinstance(opened.message, Welcome):
            return self._handle_welcome(peer, opened.message, opened.sender, now)
        if isinstance(opened.message, Gone):
            return self._handle_gone(peer, opened.message, opened)
        self.drops[HopDropReason.WRONG_END] += 1
        return ()

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Say HELLO where it is due, and give up links that nobody answers."""
        events: list[Event] = []
        for peer in self._peers.values():
            if peer.identity is not None and now - peer.answered >= LINK_LIFE:
                events.append(self._take_down(peer))
            if now >= peer.next_hello:
                self._say_hello(peer, now)
        return events

    def next_timeout(self) -> float | None:
        """When the next HELLO is due.

        A link is given up together with a HELLO, at most one interval late.
        """
        return min((peer.next_hello for peer in self._peers.values()), default=None)

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Address]]:  # noqa: ARG002 - the core contract
        """Take what is to be sent from the hop socket."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def _say_hello(self, peer: _Peer, now: float) -> None:
        nonce = self._entropy(NONCE_SIZE)
        peer.nonces.append(nonce)
        peer.next_hello = now + peer.interval
        peer.interval = min(2 * peer.interval, HELLO_INTERVAL)
        self._send(peer, Hello(nonce=nonce), ANYONE)

    def _handle_welcome(self, peer: _Peer, welcome: Welcome, number: int, now: float) -> Iterable[Event]:
        if not any(hmac.compare_digest(nonce, welcome.nonce) for nonce in peer.nonces):
            self.drops[HopDropReason.STALE_NONCE] += 1
            return ()
        peer.nonces.remove(welcome.nonce)
        peer.answered = now
        peer.interval = HELLO_INTERVAL
        peer.next_hello = now + HELLO_INTERVAL
        events: list[Event] = []
        identity = (welcome.cluster, welcome.incarnation, welcome.worker)
        if (identity, number) != (peer.identity, peer.number):
            if peer.identity is not None:
                events.append(self._take_down(peer))
            peer.identity, peer.number, peer.window = identity, number, ReplayWindow()
            self._addresses[identity] = peer.address
            events.append(LinkUp(identity=identity, address=peer.address))
        self._send(peer, Confirm(cookie=welcome.cookie), peer.number)
        return events

    def _handle_gone(self, peer: _Peer, gone: Gone, opened: Opened) -> Iterable[Event]:
        if peer.identity is None or opened.sender != peer.number:
            self.drops[HopDropReason.UNKNOWN_PEER] += 1
            return ()
        if not peer.window.check(opened.counter):
            self.drops[HopDropReason.REPLAYED] += 1
            return ()
        peer.window.commit(opened.counter)
        return (FlowGone(session=gone.session, tag=gone.tag, address=peer.address),)

    def _take_down(self, peer: _Peer) -> LinkDown:
        identity = peer.identity
        assert identity is not None  # noqa: S101 - both callers have checked
        peer.identity, peer.number = None, ANYONE
        if self._addresses.get(identity) == peer.address:
            del self._addresses[identity]
        return LinkDown(identity=identity, address=peer.address)

    def _send(self, peer: _Peer, message: Message, receiver: int) -> None:
        self._counter += 1
        sealed = seal(self.keys, message, sender=self._number, counter=self._counter, receiver=receiver)
        self._outgoing.append((sealed, peer.address))


@attrs.define
class _ProvenRelay:
    """A relay's address, and until when it is believed."""

    number: int
    confirmed: float


class TransceiverLink:
    """A transceiver worker's end of its links to all relays.

    Attributes:
        keys: may be replaced at any time.
        drops: refused messages by `HopDropReason`.
    """

    def __init__(
        self, *, keys: HopKeys, cluster: int, incarnation: int, worker: int, entropy: Entropy, now: float
    ) -> None:
        self.keys = keys
        self.drops: Drops = Counter()
        self._identity = (cluster, incarnation, worker)
        self._number = _draw_number(entropy)
        self._cookie_secret = entropy(32)
        self._counter = 0
        self._relays: dict[Address, _ProvenRelay] = {}
        self._windows: dict[int, tuple[ReplayWindow, float]] = {}
        self._next_check = now + HELLO_INTERVAL
        self._outgoing: list[tuple[bytes, Address]] = []

    def accepts(self, source: Address) -> bool:
        """Whether `source` is a relay whose datagrams may be believed (hot path: one look-up)."""
        return source in self._relays

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
        self.drops[HopDropReason.WRONG_END] += 1
        return ()

    def gone(self, session: int, tag: bytes, relay: Address) -> None:
        """Tell a relay that a path has ended.

        Sent once: if it is lost, the relay's claim runs out by itself (10 s without authenticated traffic).
        """
        proven = self._relays.get(relay)
        if proven is not None:
            self._send(Gone(session=session, tag=tag), proven.number, relay)

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Forget relays that confirm no more."""
        if now < self._next_check:
            return ()
        self._next_check = now + HELLO_INTERVAL
        lost = [address for address, relay in self._relays.items() if now - relay.confirmed >= RELAY_LIFE]
        for address in lost:
            del self._relays[address]
        for number in [number for number, (_, used) in self._windows.items() if now - used >= WINDOW_LIFE]:
            del self._windows[number]
        return [RelayLost(address=address) for address in lost]

    def next_timeout(self) -> float | None:
        """When to look after the relays again; None while there are none."""
        return self._next_check if self._relays or self._windows else None

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Address]]:  # noqa: ARG002 - the core contract
        """Take what is to be sent from the worker's socket."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def _handle_hello(self, hello: Hello, number: int, source: Address, now: float) -> Iterable[Event]:
        cluster, incarnation, worker = self._identity
        welcome = Welcome(
            nonce=hello.nonce,
            cookie=self._cookie(source, number, int(now // COOKIE_SLOT)),
            cluster=cluster,
            incarnation=incarnation,
            worker=worker,
        )
        self._send(welcome, number, source)
        return ()

    def _handle_confirm(self, confirm: Confirm, opened: Opened, source: Address, now: float) -> Iterable[Event]:
        number, slot = opened.sender, int(now // COOKIE_SLOT)
        cookies = (self._cookie(source, number, slot), self._cookie(source, number, slot - 1))
        if not any(hmac.compare_digest(cookie, confirm.cookie) for cookie in cookies):
            self.drops[HopDropReason.STALE_NONCE] += 1
            return ()
        window, _ = self._windows.get(number) or (ReplayWindow(), now)
        if not window.check(opened.counter):
            self.drops[HopDropReason.REPLAYED] += 1
            return ()
        known = self._relays.get(source)
        if known is None and len(self._relays) >= MAX_RELAYS:
            self.drops[HopDropReason.TOO_MANY] += 1
            return ()
        window.commit(opened.counter)
        self._windows[number] = (window, now)
        self._relays[source] = _ProvenRelay(number=number, confirmed=now)
        return () if known is not None and known.number == number else (RelaySeen(address=source),)

    def _cookie(self, source: Address, number: int, slot: int) -> bytes:
        subject = f"{slot} {number} {source[1]} {source[0]}".encode()
        return hashlib.blake2b(subject, key=self._cookie_secret, digest_size=COOKIE_SIZE).digest()

    def _send(self, message: Message, receiver: int, relay: Address) -> None:
        self._counter += 1
        sealed = seal(self.keys, message, sender=self._number, counter=self._counter, receiver=receiver)
        self._outgoing.append((sealed, relay))
