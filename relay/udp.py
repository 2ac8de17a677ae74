"""UDP sockets: large buffers, marked for low delay, drained and filled in batches without ever blocking.

Both the relay and the transceiver's workers read all that has arrived (up to a limit, so that timers and other sockets
get their turn), work on it inline, and write all that came of it. Only the wait in front of a batch is asynchronous:
`receive_batches` waits, drains and hands over; `send_batch` writes, or what `batch_sender` makes.

Waking up costs more than a datagram does: some 40 to 200 µs with the event loop and cold caches, against some 10 µs of
work. So sockets that would wake us more than a thousand times a second are moderated, as network cards moderate their
interrupts: they are looked at once in `MODERATION` seconds, and what has come meanwhile is one batch. Sockets with less
traffic are never made to wait, so a call's set-up on a quiet host loses nothing.

Where the system has `recvmmsg`, a batch is taken in one system call. Measured on loopback with 188-byte datagrams in
batches of 20 (Python 3.11, µs a datagram, the kernel's part included): `recvfrom` 1.19, `recvmmsg` 0.77; `sendto` 3.06,
`sendmmsg` 2.99. What `sendmmsg` saves is on the other side: a flight of four datagrams sent one by one wakes its
receiver up four times where both share a processor, for each takes over at once; sent together, it does so once. The
relay gains more from both, because what it forwards never becomes a Python object (`relay.slot_path`).

An IPv6 socket here takes IPv6 only: a wildcard of each family is two sockets, and no IPv4-mapped address exists.
"""

import errno
import math
import select
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NoReturn, Protocol, TypeVar

import trio

from relay import mmsg
from relay.alarm import Alarm
from relay.batches import BatchReceiver, BatchSender
from relay.binding import open_udp
from relay.datagrams import BATCH, MAX_DATAGRAM, Batch, UdpDropReason
from wire.core import Address, Drops

__all__ = [
    "BATCH",
    "MAX_DATAGRAM",
    "MODERATION",
    "Batch",
    "UdpDropReason",
    "address_of",
    "batch_sender",
    "canonical",
    "drain",
    "lost_on_arrival",
    "open_udp",
    "receive_batches",
    "receive_rounds",
    "send_batch",
]

MODERATION = 0.005
"""Busy sockets are looked at this often, in seconds; a datagram may be forwarded so much later, and no more. It is a
small part of what a jitter buffer holds, and what libwebrtc's own pacer waits; and it is the step of the transceiver's
ticker, so that one wake-up serves both."""

_WINDOW = 0.01
_BUSY_COUNT = 15
"""Sockets are busy after a window of `_WINDOW` seconds in which this many datagrams came. A call's set-up has fewer."""

_TURN = 0.001
"""Sockets that are never empty are read for so long, in seconds, before others get their turn."""

_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")


class _HasDescriptor(Protocol):
    """What an epoll set takes."""

    def fileno(self) -> int:
        """The number of its descriptor."""


_Readable = TypeVar("_Readable", bound=_HasDescriptor)


def address_of(sock: socket.socket) -> Address:
    """The address that a socket is bound to, as a pair for either family."""
    host, port = sock.getsockname()[:2]
    return host, port


def canonical(address: Address) -> Address:
    """Spell an IP address as the kernel does, so that it compares equal to a datagram's source.

    Raises:
        OSError: not an IP address.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    return socket.inet_ntop(family, socket.inet_pton(family, address[0])), address[1]


def drain(sock: socket.socket, limit: int = BATCH, *, is_ipv6: bool | None = None) -> Batch:
    """Take the datagrams that have arrived, at most `limit`, each with its source as (host, port).

    Args:
        sock: from `open_udp`.
        limit: how many to take.
        is_ipv6: the socket's family, if known; looking it up costs as much as half a datagram.
    """
    received: Batch = []
    append, receive = received.append, sock.recvfrom
    try:
        for _ in range(limit):
            append(receive(MAX_DATAGRAM + 1))
    except BlockingIOError:
        pass
    except ConnectionError:
        pass  # some systems report here that an earlier datagram was refused
    if sock.family == socket.AF_INET6 if is_ipv6 is None else is_ipv6:
        return [(data, source[:2]) for data, source in received]
    return received


async def receive_batches(
    handlers: Mapping[socket.socket, Callable[[Batch, float], object]],
    flush: Callable[[float], object],
    batch: int = BATCH,
) -> NoReturn:
    """Hand over what arrives on some sockets, in batches, until cancelled; cancellation takes effect between batches.

    Args:
        handlers: for each socket, from `open_udp`, what is called with each batch and the time; must not block.
        flush: called with the time after the sockets that had something were handled.
        batch: how many datagrams a batch holds at most.
    """

    def receiver(sock: socket.socket, handle: Callable[[Batch, float], object]) -> Callable[[float], int]:
        if mmsg.is_available():
            take: Callable[[], Batch] = BatchReceiver(sock, batch).receive
        else:
            take = partial(drain, sock, batch, is_ipv6=sock.family == socket.AF_INET6)

        def receive(now: float) -> int:
            received = take()
            handle(received, now)
            return len(received)

        return receive

    await receive_rounds({sock: receiver(sock, handle) for sock, handle in handlers.items()}, flush, batch)


async def receive_rounds(
    receivers: Mapping[_Readable, Callable[[float], int]], flush: Callable[[float], object], batch: int = BATCH
) -> NoReturn:
    """Have some sockets read when something has arrived, until cancelled; cancellation takes effect between rounds.

    One wait for all sockets: what has come to several of them costs one wake-up.

    Args:
        receivers: for each socket, from `open_udp`, or whatever else becomes readable, what is called with the time to
            take a batch of datagrams and to tell how many there were; must not block.
        flush: called with the time after the sockets that had something were read.
        batch: how many a batch holds at most.
    """
    by_number = {sock.fileno(): receive for sock, receive in receivers.items()}
    load = _Load()
    with Alarm() as alarm, select.epoll() as arrived:
        for sock in receivers:
            arrived.register(sock, select.EPOLLIN)
        while True:
            await trio.lowlevel.wait_readable(arrived.fileno())
            turn = trio.current_time()
            while True:
                now = trio.current_time()
                counts = [by_number[number](now) for number, _ in arrived.poll(0)]
                if not any(counts):
                    break
                flush(now)
                if max(counts) == batch:
                    # More is waiting; others get their turn first.
                    if trio.current_time() - turn >= _TURN:
                        await trio.lowlevel.checkpoint()
                        turn = trio.current_time()
                elif load.is_busy(sum(counts), now):
                    # On a grid, which the transceiver's ticker shares.
                    await alarm.sleep_until((now // MODERATION + 1) * MODERATION)
                else:
                    break


class _Load:
    """Tells whether so much arrives that waiting for more is cheaper than waking up for each."""

    __slots__ = ("_count", "_is_busy", "_started")

    def __init__(self) -> None:
        self._started = -math.inf
        self._count = 0
        self._is_busy = False

    def is_busy(self, count: int, now: float) -> bool:
        """Note that `count` datagrams came; return whether the last whole window was busy."""
        if now - self._started >= _WINDOW:
            self._is_busy = self._count >= _BUSY_COUNT and now - self._started < 2 * _WINDOW
            self._started = now
            self._count = 0
        self._count += count
        return self._is_busy


def send_batch(
    sock: socket.socket,
    datagrams: Iterable[tuple[bytes, Address]],
    drops: Drops,
    control: Iterable[tuple[int, int, bytes]] = (),
) -> None:
    """Send datagrams, each by itself; one that the kernel does not take at once is dropped and counted.

    Args:
        sock: from `open_udp`.
        datagrams: each with its destination, an IP address of the socket's family.
        drops: counts by `UdpDropReason`.
        control: control messages that go with each, as `socket.sendmsg` takes them.
    """
    send = sock.sendto
    for data, destination in datagrams:
        try:
            if control:
                sock.sendmsg((data,), control, 0, destination)
            else:
                send(data, destination)
        except (OSError, OverflowError) as error:
            full = isinstance(error, BlockingIOError) or getattr(error, "errno", None) == errno.ENOBUFS
            drops[UdpDropReason.SEND_BUFFER_FULL if full else UdpDropReason.UNSENDABLE] += 1


def batch_sender(sock: socket.socket, drops: Drops) -> Callable[[Batch], object]:
    """Return what sends batches from a socket: as `send_batch` does, in one system call where there is one for it.

    Args:
        sock: from `open_udp`.
        drops: counts by `UdpDropReason`.
    """
    if not mmsg.is_available():
        return partial(send_batch, sock, drops=drops)
    send_together = BatchSender(sock, drops).send

    def send(datagrams: Batch) -> None:
        if len(datagrams) > 1:
            send_together(datagrams)
        else:
            send_batch(sock, datagrams, drops)

    return send


def lost_on_arrival(sock: socket.socket) -> int:
    """How many datagrams the kernel has dropped because a socket's receive buffer was full; 0 where it does not say."""
    try:
        # sock_diag(7): nine 32-bit counters, of which the last is SK_MEMINFO_DROPS; since Linux 4.12.
        told = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        return int(_MEMINFO.unpack(told)[-1])
    except (OSError, struct.error):
        return 0
