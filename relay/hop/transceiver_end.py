"""The transceiver's end of its links: which addresses are relays, for as long as they prove it."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from relay.hop.drops import HopDropReason
from relay.hop.events import RelayLost, RelaySeen
from relay.hop.keys import HopKeys
from relay.hop.messages import COOKIE_SIZE, Confirm, Gone, Hello, Message, Welcome, Workers
from relay.hop.sealing import Opened, draw_number, open_sealed, seal
from wire.core import Address, Drops, Entropy, Event
from wire.replay import ReplayWindow

__all__ = ["COOKIE_SLOT", "RELAY_LIFE", "TransceiverLink"]

RELAY_LIFE = 30.0
"""How long a transceiver takes datagrams from a relay that confirms nothing; long, since it harms nobody."""
COOKIE_SLOT = 10.0
"""A cookie is taken in the slot of time that it was made in and in the next one."""
WINDOW_LIFE = 2 * COOKIE_SLOT
"""A replay window outlives every cookie that its sender could still show."""
MAX_RELAYS = 4096
"""Only holders of the hop key get into the table; still it has an end."""
CHECK_INTERVAL = 1.0


@attrs.define
class _ProvenRelay:
    """A relay's address, and until when it is believed."""

    number: int
    confirmed: float


class TransceiverLink:
    """A transceiver worker's end of its links to all relays.

    Args:
        keys: the hop's keys.
        cluster: where it is; with the next two, what routes name.
        incarnation: which process, or group of processes, it belongs to.
        worker: which of these it is.
        entropy: source of unpredictable bytes.
        now: the present.
        workers: how many workers listen on consecutive ports, for relays to find those they were not told of.

    Attributes:
        keys: may be replaced at any time.
        drops: refused messages by `HopDropReason`.
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
    ) -> None:
        self.keys = keys
        self.drops: Drops = Counter()
        self._identity = (cluster, incarnation, worker)
        self._workers = workers
        self._number = draw_number(entropy)
        self._cookie_secret = entropy(32)
        self._counter = 0
        self._relays: dict[Address, _ProvenRelay] = {}
        self._windows: dict[int, tuple[ReplayWindow, float]] = {}
        self._next_check = now + CHECK_INTERVAL
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
        self._next_check = now + CHECK_INTERVAL
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
        if self._workers > 1:
            # Said again with each CONFIRM, as any of these can be lost.
            self._send(Workers(count=self._workers), number, source)
        return () if known is not None and known.number == number else (RelaySeen(address=source),)

    def _cookie(self, source: Address, number: int, slot: int) -> bytes:
        subject = f"{slot} {number} {source[1]} {source[0]}".encode()
        return hashlib.blake2b(subject, key=self._cookie_secret, digest_size=COOKIE_SIZE).digest()

    def _send(self, message: Message, receiver: int, relay: Address) -> None:
        self._counter += 1
        sealed = seal(self.keys, message, sender=self._number, counter=self._counter, receiver=receiver)
        self._outgoing.append((sealed, relay))
