"""TCP sockets around `Connections`: accepted, read, written and closed, without a task for any of them.

All sockets are in an epoll set of their own, which the relay's loop waits for like for one more socket: what has come
on many connections costs one wake-up, and a frame goes the way of a datagram in the same turn.

A read takes at most 4 KB, so that no connection keeps the others waiting for longer than some forty datagrams do.
What is to be sent is written at once and in one piece; only when the kernel takes no more, epoll watches for the moment
when it does. The kernel is told to keep little that is not sent yet (TCP_NOTSENT_LOWAT): speech that waits there could
not be dropped any more when it has become old.

Source: tcp(7), epoll(7).
"""

import errno
import select
import socket
import time
from collections.abc import Mapping

from relay.datagrams import RELAY_BATCH
from relay.tcp.connection import Connection
from relay.tcp.connections import Connections
from relay.tcp.drops import TcpDropReason
from wire.core import Address

__all__ = ["TcpSockets", "peer_of"]

_READ_SIZE = 4096
_ACCEPTS = 16
"""How many connections are accepted before others get their turn."""

_BUFFER_SIZE = 32_768
_UNSENT_SIZE = 4096
_REST = 0.1
"""For so many seconds nothing is accepted after the system has run out of files; who waits, waits in the backlog."""

_TCP_NOTSENT_LOWAT = 25  # which the socket module does not name
_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_READABLE = select.EPOLLIN | select.EPOLLRDHUP
_BROKEN = select.EPOLLHUP | select.EPOLLERR


def peer_of(sock: socket.socket) -> Address:
    """The address at the other end; that of an IPv4 client in its own form, also on a socket for both families.

    Raises:
        OSError: the connection has ended.
    """
    host, port = sock.getpeername()[:2]
    return host.removeprefix("::ffff:") if "." in host else host, port


class TcpSockets:
    """The sockets of a relay's TCP ingresses.

    Args:
        connections: the rules; nobody else adds connections to it.
        listeners: listening sockets from `open_tcp`, by ingress; whoever opened them closes them. An ingress may have
            none: its connections are accepted elsewhere, and come through `adopt`.
    """

    def __init__(self, connections: Connections, listeners: Mapping[int, socket.socket]) -> None:
        self._connections = connections
        self._epoll = select.epoll()
        self._listeners = {sock.fileno(): (number, sock) for number, sock in listeners.items()}
        self._sockets: dict[Connection, socket.socket] = {}
        self._by_number: dict[int, Connection] = {}
        self._rests_until: float | None = None
        for number in self._listeners:
            self._epoll.register(number, select.EPOLLIN)

    def fileno(self) -> int:
        """The descriptor that is readable when there is something to do."""
        return self._epoll.fileno()

    def receive(self, now: float) -> int:
        """Do what sockets are ready for; returns how many were, at most `RELAY_BATCH`."""
        ready = self._epoll.poll(0, RELAY_BATCH)
        unix_time = time.time()
        for number, mask in ready:
            if number in self._listeners:
                self._accept(*self._listeners[number], now)
            elif (connection := self._by_number.get(number)) is not None:
                if mask & select.EPOLLOUT:
                    self._send(connection, now)
                if mask & (_READABLE | _BROKEN):
                    self._read(connection, now, unix_time)
        self._close_ended()
        return len(ready)

    def adopt(self, sock: socket.socket, ingress: int, client: Address, now: float) -> None:
        """Take over a connection that was accepted elsewhere, and of which nothing has been read."""
        if self._epoll.closed:  # it comes too late
            sock.close()
            return
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT_SIZE)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_SIZE)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_SIZE)
        except OSError:  # it has ended already
            sock.close()
            return
        connection = self._connections.accept(ingress, client, now)
        self._close_ended()  # an older one may have yielded
        if connection is None:
            sock.close()
            return
        self._sockets[connection] = sock
        self._by_number[sock.fileno()] = connection
        self._epoll.register(sock.fileno(), _READABLE)

    def flush(self, now: float) -> tuple[int, int]:
        """Send what the forwarder has for clients; returns how many writes that were, and their bytes."""
        writes = size = 0
        for connection in self._connections.collect():
            sent = self._send(connection, now)
            if sent:
                writes += 1
                size += sent
        self._close_ended()
        return writes, size

    def handle_timeout(self, now: float) -> None:
        """Do what `next_timeout` announced, if it is due."""
        if self._rests_until is not None and now >= self._rests_until:
            self._rests_until = None
            for number in self._listeners:
                self._epoll.modify(number, select.EPOLLIN)
        self._connections.handle_timeout(now)
        self._close_ended()

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        times = (self._rests_until, self._connections.next_timeout())
        return min((when for when in times if when is not None), default=None)

    def close(self) -> None:
        """End all connections."""
        for connection in tuple(self._connections):
            self._connections.lost(connection)
        self._close_ended()
        self._epoll.close()

    def _accept(self, ingress: int, listener: socket.socket, now: float) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, source = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_FILES:
                    self._rest(now)
                    return
                continue  # accept(2): an error that was the connection's; it is gone
            self.adopt(sock, ingress, source[:2], now)

    def _rest(self, now: float) -> None:
        self._connections.drops[TcpDropReason.NO_FILES] += 1
        self._rests_until = now + _REST
        for number in self._listeners:
            self._epoll.modify(number, 0)

    def _read(self, connection: Connection, now: float, unix_time: float) -> None:
        try:
            data = self._sockets[connection].recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._connections.receive(connection, data, now, unix_time)
        else:
            self._connections.lost(connection)

    def _send(self, connection: Connection, now: float) -> int:
        data = connection.to_send()
        if not data:
            return 0
        sock, was_blocked = self._sockets[connection], connection.blocked_since is not None
        try:
            count = sock.send(data)
        except BlockingIOError:
            count = 0
        except OSError:
            self._connections.lost(connection)
            return 0
        connection.sent(count, now)
        if was_blocked != (connection.blocked_since is not None):
            self._epoll.modify(sock.fileno(), _READABLE if was_blocked else _READABLE | select.EPOLLOUT)
        return count

    def _close_ended(self) -> None:
        for connection in self._connections.closed:
            sock = self._sockets.pop(connection, None)
            if sock is not None:
                del self._by_number[sock.fileno()]
                sock.close()  # which also takes it out of the epoll set
        self._connections.closed.clear()
