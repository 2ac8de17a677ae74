"""The relay's datapath on plain sockets, which every system has: each datagram is a Python object.

It is also the easier one to read: a datagram goes into the forwarder, and what the forwarder makes of it goes out.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from socket import AF_INET6, socket

from relay.datagrams import RELAY_BATCH
from relay.datapath import Sent
from relay.forwarder import Forwarder
from relay.hop.bundles import bundled
from relay.local_addresses import LocalAddresses, PacketInfo, egress_of, is_wildcard
from relay.udp import MAX_DATAGRAM, drain, send_batch
from wire.core import Address, Drops

__all__ = ["PlainPath"]

_Control = tuple[tuple[int, int, bytes], ...]
"""Control messages, as `socket.sendmsg` takes them."""


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
        self._drops = drops
        self._local = LocalAddresses()
        # What goes down by which socket, with what control message; beside the ingresses', one for each local address
        # that was seen at a socket that is bound to a wildcard (`relay.local_addresses`).
        self._down: dict[int, tuple[socket, _Control]] = {number: (sock, ()) for number, sock in ingresses.items()}
        self.receivers: dict[socket, Callable[[float], int]] = {
            hop: partial(self._receive_from_hop, hop.family == AF_INET6),
            **{
                sock: partial(self._receive_from_wildcard, number, sock, PacketInfo(sock))
                if is_wildcard(sock)
                else partial(self._receive_from_clients, number, sock, sock.family == AF_INET6)
                for number, sock in ingresses.items()
            },
        }

    def _receive_from_clients(self, ingress: int, sock: socket, is_ipv6: bool, now: float) -> int:
        batch, unix_time = drain(sock, RELAY_BATCH, is_ipv6=is_ipv6), time.time()
        receive = self._forwarder.receive_from_client
        for data, source in batch:
            receive(data, source, ingress, now, unix_time)
        return len(batch)

    def _receive_from_wildcard(self, ingress: int, sock: socket, info: PacketInfo, now: float) -> int:
        unix_time = time.time()
        for count in range(RELAY_BATCH):
            try:
                data, ancillary, _, source = sock.recvmsg(MAX_DATAGRAM + 1, info.size)
            except (BlockingIOError, ConnectionError):
                return count
            address = info.address_of_ancillary(ancillary)
            local = self._local.number_of(address)
            egress = egress_of(ingress, local)
            if egress not in self._down:
                self._down[egress] = sock, (info.to_send_from(address),)
                self._forwarder.to_clients.setdefault(egress, [])
            self._forwarder.receive_from_client(data, source[:2], ingress, now, unix_time, local)
        return RELAY_BATCH

    def _receive_from_hop(self, is_ipv6: bool, now: float) -> int:
        batch = drain(self._hop, RELAY_BATCH, is_ipv6=is_ipv6)
        receive = self._forwarder.receive_from_hop
        for data, source in batch:
            receive(data, source, now)
        return len(batch)

    def flush(self) -> Sent:
        """Send everything; see `relay.datapath.Datapath`."""
        up = self._send(self._hop, self._forwarder.to_transceivers, takes_bundles=self._forwarder.hop.takes_bundles)
        down_datagrams = down_bytes = 0
        for egress, (sock, control) in self._down.items():
            count, size = self._send(sock, self._forwarder.to_clients[egress], control)
            down_datagrams += count
            down_bytes += size
        return Sent(*up, down_datagrams, down_bytes)

    def _send(
        self,
        sock: socket,
        datagrams: list[tuple[bytes, Address]],
        control: _Control = (),
        takes_bundles: Callable[[Address], bool] | None = None,
    ) -> tuple[int, int]:
        count, size = len(datagrams), sum(len(data) for data, _ in datagrams)
        ready = datagrams if takes_bundles is None else bundled(datagrams, takes_bundles)
        send_batch(sock, ready, self._drops, control)
        datagrams.clear()
        return count, size
