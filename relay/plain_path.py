"""The relay's datapath on plain sockets, which every system has: each datagram is a Python object.

It is also the easier one to read: a datagram goes into the forwarder, and what the forwarder makes of it goes out.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from socket import AF_INET6, socket

from relay.datapath import Sent
from relay.forwarder import Forwarder
from relay.udp import drain, send_batch
from wire.core import Address, Drops

__all__ = ["PlainPath"]


class PlainPath:
    """Moves datagrams between a relay's sockets and its forwarder.

    Args:
        forwarder: decides about everything.
        hop: the hop socket.
        ingresses: the public UDP sockets, by number.
        drops: counts what the kernel does not take, by `UdpDropReason`.

    Attributes:
        receivers: see `relay.datapath.Datapath`.
    """

    def __init__(self, forwarder: Forwarder, hop: socket, ingresses: Mapping[int, socket], drops: Drops) -> None:
        self._forwarder = forwarder
        self._hop = hop
        self._ingresses = ingresses
        self._drops = drops
        self.receivers: dict[socket, Callable[[float], int]] = {
            hop: partial(self._receive_from_hop, hop.family == AF_INET6),
            **{
                sock: partial(self._receive_from_clients, number, sock, sock.family == AF_INET6)
                for number, sock in ingresses.items()
            },
        }

    def _receive_from_clients(self, ingress: int, sock: socket, is_ipv6: bool, now: float) -> int:
        batch, unix_time = drain(sock, is_ipv6=is_ipv6), time.time()
        receive = self._forwarder.receive_from_client
        for data, source in batch:
            receive(data, source, ingress, now, unix_time)
        return len(batch)

    def _receive_from_hop(self, is_ipv6: bool, now: float) -> int:
        batch = drain(self._hop, is_ipv6=is_ipv6)
        receive = self._forwarder.receive_from_hop
        for data, source in batch:
            receive(data, source, now)
        return len(batch)

    def flush(self) -> Sent:
        """Send everything; see `relay.datapath.Datapath`."""
        up = self._send(self._hop, self._forwarder.to_transceivers)
        down_datagrams = down_bytes = 0
        for number, sock in self._ingresses.items():
            count, size = self._send(sock, self._forwarder.to_clients[number])
            down_datagrams += count
            down_bytes += size
        return Sent(*up, down_datagrams, down_bytes)

    def _send(self, sock: socket, datagrams: list[tuple[bytes, Address]]) -> tuple[int, int]:
        count, size = len(datagrams), sum(len(data) for data, _ in datagrams)
        send_batch(sock, datagrams, self._drops)
        datagrams.clear()
        return count, size
