"""The relay's datapath on `recvmmsg` and `sendmmsg`: no datagram of a known path becomes a Python object.

    public socket    | source | headroom          | the client's datagram |     its path is found by the source's bytes,
                     |            | UP header     | the client's datagram | ──▶ and it is sent on from where it lies

    hop socket       | source | headroom | DOWN header | the datagram     |     its path is found by the header's bytes,
                                                       | the datagram     | ──▶ and it is sent on from where it lies

What needs a closer look (STUN, new paths, control messages, and all that is dropped) is handed to the `Forwarder` as a
Python object, and what comes of it takes its place between the others, so that order is kept.

Performance: 0.25 µs a datagram of Python when it is hot, about 1 µs between system calls that empty the caches, beside
the 3.5 µs that the kernel takes on loopback to receive and to send it. `python -m bench --only relay` compares the
whole with the same in C.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from socket import AF_INET6, socket
from struct import Struct

from relay.datagrams import MAX_DATAGRAM
from relay.datapath import Sent
from relay.forwarder import FOLLOWS, KIND, Forwarder
from relay.hop.header import (
    FLAG_IPV6,
    IPV4_HEADER_SIZE,
    IPV6_HEADER_SIZE,
    KIND_SIZE,
    UP_IPV4,
    UP_IPV6,
    VALIDATED_IPV4,
    VALIDATED_IPV6,
)
from relay.local_addresses import LocalAddresses, PacketInfo, egress_of, is_wildcard
from relay.mmsg import SLOT_SIZE, ReceiveSlots, SendSlots, slot_layout
from relay.segments import SegmentSlots
from relay.sockaddr import parse_sockaddr
from wire.core import Drops

__all__ = ["SlotPath"]


class SlotPath:
    """Moves datagrams between a relay's sockets as the forwarder's table says.

    Args:
        forwarder: decides about all that is not on a known path.
        hop: the hop socket.
        ingresses: the public UDP sockets, by number.
        drops: counts what the kernel does not take, by `UdpDropReason`.

    Attributes:
        receivers: see `relay.datapath.Datapath`.
    """

    def __init__(self, forwarder: Forwarder, hop: socket, ingresses: Mapping[int, socket], drops: Drops) -> None:
        self._forwarder = forwarder
        self._drops = drops
        self._local = LocalAddresses()
        self._up = SegmentSlots(hop, drops)
        # By egress: the ingress's number, or with that of a local address (`relay.local_addresses`).
        self._down = {number: SendSlots(sock, drops) for number, sock in ingresses.items()}
        self._downward = [(forwarder.to_clients[number], sending) for number, sending in self._down.items()]
        self.receivers: dict[socket, Callable[[float], int]] = {
            hop: partial(self._receive_from_hop, *_hop_slots(hop)),
            **{sock: partial(self._receive_from_clients, _Public(number, sock)) for number, sock in ingresses.items()},
        }

    def _receive_from_clients(self, public: "_Public", now: float) -> int:
        slots, header_size = public.slots, public.header_size
        lengths = slots.receive()
        unix_time = time.time()
        claims = self._forwarder.table.by_source[public.ingress]
        destinations, pieces, origins = self._up.destinations, self._up.pieces, self._up.origins
        view = slots.view
        path_size = header_size - KIND_SIZE
        unpacked = public.layout.iter_unpack(view[: SLOT_SIZE * len(lengths)])
        for (source, first), length, start, offset in zip(unpacked, lengths, slots.starts, slots.offsets, strict=False):
            claim, destination = claims.get(source), b""
            # A slot still holds what it held before; so the length is looked at before anything is believed.
            if (
                claim is None
                or KIND[first] != FOLLOWS
                or not 0 < length <= MAX_DATAGRAM
                or not (destination := claim.place.sockaddr)
            ):
                data = bytes(view[offset : offset + length])
                local = self._local_of(public, offset // SLOT_SIZE) if public.packet_info else 0
                self._forwarder.receive_from_client(data, parse_sockaddr(source), public.ingress, now, unix_time, local)
                self._collect()
                continue
            # The kind in front of the path stands there already; see `_Public`.
            view[offset - path_size : offset] = path = claim.path
            destinations.append(destination)
            pieces += (start - header_size, length + header_size)
            origins.append(path)
        return len(lengths)

    def _local_of(self, public: "_Public", slot: int) -> int:
        """Number of the local address that a datagram came to; from now on answers can leave from there."""
        address = public.slots.local_address(slot)
        local = self._local.number_of(address)
        egress = egress_of(public.ingress, local)
        if egress not in self._down and public.packet_info is not None:
            sending = SendSlots(public.sock, self._drops, public.packet_info.serialize(address))
            self._down[egress] = sending
            self._downward.append((self._forwarder.to_clients.setdefault(egress, []), sending))
        return local

    def _receive_from_hop(self, slots: ReceiveSlots, layout: Struct, now: float) -> int:
        lengths = slots.receive()
        table = self._forwarder.table
        claims, tick = table.by_path, table.tick
        down, view = self._down, slots.view
        for (source, kind, path, more), length, start, offset in zip(
            layout.iter_unpack(view[: SLOT_SIZE * len(lengths)]), lengths, slots.starts, slots.offsets, strict=False
        ):
            claim, size = None, IPV4_HEADER_SIZE
            if kind == VALIDATED_IPV4:
                claim = claims.get(path)
            elif kind == VALIDATED_IPV6:
                claim, size = claims.get(path + more), IPV6_HEADER_SIZE
            if claim is None or claim.place.sockaddr != source or not size <= length <= MAX_DATAGRAM:
                data = bytes(view[offset : offset + length])
                self._forwarder.receive_from_hop(data, parse_sockaddr(source), now)
                self._collect()
                continue
            claim.told = tick
            try:
                sending = down[claim.egress]
            except KeyError:  # of a TCP ingress (`relay.tcp`), which has the forwarder's datagrams
                self._forwarder.receive_from_hop(bytes(view[offset : offset + length]), parse_sockaddr(source), now)
                continue
            sending.destinations.append(claim.sockaddr)
            sending.pieces += (start + size, length - size)
        return len(lengths)

    def _collect(self) -> None:
        """Take what the forwarder has made itself."""
        if upward := self._forwarder.to_transceivers:
            for data, address in upward:
                size = IPV6_HEADER_SIZE if data[1] & FLAG_IPV6 else IPV4_HEADER_SIZE
                self._up.add(data, address, data[KIND_SIZE:size])
            upward.clear()
        for downward, sending in self._downward:
            if downward:
                for data, address in downward:
                    sending.add(data, address)
                downward.clear()

    def flush(self) -> Sent:
        """Send everything; see `relay.datapath.Datapath`."""
        self._collect()
        up_datagrams, up_bytes = self._up.flush()
        down_datagrams = down_bytes = 0
        for sending in self._down.values():
            datagrams, size = sending.flush()
            down_datagrams += datagrams
            down_bytes += size
        return Sent(up_datagrams, up_bytes, down_datagrams, down_bytes)


class _Public:
    """A public socket.

    Args:
        ingress: its number.
        sock: bound to an address, or to a wildcard.

    Attributes:
        slots: where its datagrams arrive.
        layout: of a slot: the source, and the datagram's first byte.
        header_size: of the header that goes in front of them.
        packet_info: of one that is bound to a wildcard, what tells its datagrams' destinations.
    """

    __slots__ = ("header_size", "ingress", "layout", "packet_info", "slots", "sock")

    def __init__(self, ingress: int, sock: socket) -> None:
        self.ingress, self.sock = ingress, sock
        self.packet_info = PacketInfo(sock) if is_wildcard(sock) else None
        self.slots = ReceiveSlots(sock, self.packet_info)
        self.layout = slot_layout(self.slots.source_size, "B")
        # What comes to a socket has sources of one family, so the UP headers of all have one kind, at one place in a
        # slot: it is written once, and nobody writes over it.
        kind, self.header_size = (UP_IPV6, IPV6_HEADER_SIZE) if sock.family == AF_INET6 else (UP_IPV4, IPV4_HEADER_SIZE)
        for offset in self.slots.offsets:
            start = offset - self.header_size
            self.slots.view[start : start + KIND_SIZE] = kind


def _hop_slots(sock: socket) -> tuple[ReceiveSlots, Struct]:
    slots = ReceiveSlots(sock)
    fields = f"{KIND_SIZE}s{IPV4_HEADER_SIZE - KIND_SIZE}s{IPV6_HEADER_SIZE - IPV4_HEADER_SIZE}s"
    return slots, slot_layout(slots.source_size, fields)
