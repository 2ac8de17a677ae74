"""Our own end of a browser's data channels, in a thread: a session on a UDP socket, behind a seeded bad network.

There is no relay: the answer names the socket as its only candidate.
"""

import contextlib
import hashlib
import heapq
import random
import select
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from sctp.channel import Channel
from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived
from stun.credentials import CredentialKey, CredentialKeys
from transceiver.call_ids import CallIdKey, CallIdKeys
from transceiver.calls import AnswerIngress
from transceiver.intake import Intake
from transceiver.options import SessionOptions
from transceiver.session import Session
from wire.core import Closed, Event, Path
from wire.errors import LocalProtocolError

__all__ = ["BAD", "FAIR", "ChannelPeer", "Weather", "channel_peer"]

_INGRESS = 1
_HOST = "127.0.0.1"
_LONGEST_WAIT = 0.05
_READ_AT_ONCE = 64


@attrs.frozen(kw_only=True)
class Weather:
    """What happens to datagrams, each way.

    Attributes:
        loss: share of them that does not arrive.
        duplication: share of them that arrives twice.
        delay: seconds that each takes.
        jitter: how much longer it may take, in seconds; more than their distance reorders them.
    """

    loss: float = 0.0
    duplication: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0


FAIR = Weather()
BAD = Weather(loss=0.1, duplication=0.05, delay=0.005, jitter=0.01)


@attrs.define
class ChannelPeer:
    """Answers one offer; sends back whatever comes on a data channel.

    The thread holds `lock` while it works, so that others can look at the session and have it do something.

    Attributes:
        weather: between the browser and the session; may be changed at any time.
        chance: decides what the network does.
        session: of the call; None before the answer.
        opened: channels, in the order in which they could be used.
        closed: identifiers of channels, in the order in which they ended.
        received: digests of all messages, by label, in the order of their arrival.
        counts: what became of datagrams, and echoes that could not be sent.
        closing: how the session has ended.
    """

    weather: Weather
    _socket: socket.socket
    chance: random.Random
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    session: Session | None = None
    opened: list[ChannelOpened] = attrs.field(factory=list)
    closed: list[int] = attrs.field(factory=list)
    received: defaultdict[str, list[str]] = attrs.field(factory=lambda: defaultdict(list))
    counts: Counter[str] = attrs.field(factory=Counter)
    closing: Closed | None = None
    _labels: dict[int, str] = attrs.field(factory=dict)
    _under_way: list[tuple[float, int, Path, bool, bytes]] = attrs.field(factory=list)
    _stop: threading.Event = attrs.field(factory=threading.Event)

    def answer(self, offer: str) -> str:
        """Make a session of an offer."""
        key = CredentialKey(key_id=0, token=self.chance.randbytes(64), ice_pwd=self.chance.randbytes(32))
        intake = Intake(
            cluster=1,
            incarnation=2,
            worker=0,
            credential_keys=CredentialKeys([key], 0),
            call_id_keys=CallIdKeys([CallIdKey(key_id=0, token=self.chance.randbytes(64))], 0),
            entropy=self.chance.randbytes,
            unix_time=time.time,
        )
        port = self._socket.getsockname()[1]
        ingress = AnswerIngress(id=_INGRESS, host=_HOST, port=port, priority=2130706431)
        with self.lock:
            accepted = intake.accept(offer, [ingress], SessionOptions(), time.monotonic())
            self.session = accepted.session
        return accepted.answer

    # What a test asks of it -------------------------------------------------------------------------------------------

    @property
    def channels(self) -> dict[int, Channel]:
        """The channels that can be used now."""
        with self.lock:
            data = self.session.data if self.session is not None else None
            return {} if data is None else dict(data.channels.channels)

    @property
    def held_identifiers(self) -> list[int]:
        """Identifiers that are not free, also those of channels whose end the browser has not confirmed."""
        with self.lock:
            assert self.session is not None
            assert self.session.data is not None
            return list(self.session.data.channels._table.pairs)

    def open(self, label: str, **options: Any) -> int:
        """Open a channel."""
        return self._command(lambda now: self.session.data.channels.open(label, now=now, **options))

    def send(self, channel_id: int, message: str | bytes) -> None:
        """Send a message."""
        self._command(lambda now: self.session.data.channels.send(channel_id, message, now))

    def close_channel(self, channel_id: int) -> None:
        """Close a channel."""
        self._command(lambda now: self.session.data.channels.close_channel(channel_id, now))

    def buffered_amount(self, channel_id: int) -> int:
        """Bytes that wait to be sent on a channel."""
        return self._command(lambda _now: self.session.data.channels.buffered_amount(channel_id))

    def _command(self, ask: Callable[[float], Any]) -> Any:
        with self.lock:
            assert self.session is not None
            now = time.monotonic()
            result = ask(now)
            self._take(self.session._follow((), now))
            self._collect(self.session, now)
        return result

    def wait_until(self, what: str, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Wait for something that the thread brings about."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not in {seconds} s: {what}"
            time.sleep(0.01)

    # The thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait = _LONGEST_WAIT
        while not self._stop.is_set():
            select.select([self._socket], [], [], wait)
            with self.lock:
                now = time.monotonic()
                for data, address in self._read():
                    self._send(Path(address, _INGRESS), now, data, is_upstream=True)
                session = self.session
                while self._under_way and self._under_way[0][0] <= now:
                    _, _, path, is_upstream, data = heapq.heappop(self._under_way)
                    if not is_upstream:
                        with contextlib.suppress(OSError):  # the browser has closed its socket
                            self._socket.sendto(data, path.address)
                    elif session is not None:
                        self._take(session.receive_datagram(data, path, now))
                        self._collect(session, now)
                if session is not None:
                    self._take(session.handle_timeout(now))
                    self._collect(session, now)
                wait = self._wait(session)

    def _wait(self, session: Session | None) -> float:
        due = [time.monotonic() + _LONGEST_WAIT]
        if self._under_way:
            due.append(self._under_way[0][0])
        if session is not None and (when := session.next_timeout()) is not None:
            due.append(when)
        return max(min(due) - time.monotonic(), 0)

    def _read(self) -> Iterator[tuple[bytes, tuple[str, int]]]:
        for _ in range(_READ_AT_ONCE):
            try:
                yield self._socket.recvfrom(2048)
            except BlockingIOError:
                return

    def _collect(self, session: Session, now: float) -> None:
        for data, path in session.datagrams_to_send(now):
            self._send(path, now, data, is_upstream=False)

    def _send(self, path: Path, now: float, data: bytes, *, is_upstream: bool) -> None:
        weather, chance = self.weather, self.chance
        if chance.random() < weather.loss:
            self.counts["lost"] += 1
            return
        for _ in range(2 if chance.random() < weather.duplication else 1):
            self.counts["carried"] += 1
            when = now + weather.delay + weather.jitter * chance.random()
            heapq.heappush(self._under_way, (when, self.counts["carried"], path, is_upstream, data))

    # What the session reports -----------------------------------------------------------------------------------------

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case ChannelOpened(channel=channel):
                    self.opened.append(event)
                    self._labels[channel.id] = channel.label
                case ChannelClosed(channel_id=channel_id):
                    self.closed.append(channel_id)
                case MessageReceived(channel_id=channel_id, message=message):
                    data = message.encode() if isinstance(message, str) else message
                    self.received[self._labels[channel_id]].append(hashlib.sha256(data).hexdigest())
                    self._echo(channel_id, message)
                case Closed():
                    self.closing = event

    def _echo(self, channel_id: int, message: str | bytes) -> None:
        assert self.session is not None
        try:
            self.session.send_message(channel_id, message, time.monotonic())
        except LocalProtocolError:  # the channel was closed meanwhile
            self.counts["not echoed"] += 1


@contextmanager
def channel_peer(weather: Weather, *, seed: int) -> Iterator[ChannelPeer]:
    """A peer, until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind((_HOST, 0))
        ours.setblocking(False)
        peer = ChannelPeer(weather, ours, random.Random(seed))
        thread = threading.Thread(target=peer._run)
        thread.start()
        try:
            yield peer
        finally:
            peer._stop.set()
            thread.join()
