"""The relay's datapath on `recvmmsg` and `sendmmsg`: no datagram of a known path becomes a Python object.

    public socket    | source | headroom          | the client's datagram |     its path is found by the source's bytes,
                     |            | UP header     | the client's datagram | ──▶ and it is sent on from where it lies

    hop socket       | source | headroom | DOWN header | the datagram     |     its path is found by the header's bytes,
                                                       | the datagram     | ──▶ and it is sent on from where it lies

What leaves for one peer at the same moment is gathered into bundles (`relay.bundle_slots`), and of a bundle that comes
each part is sent on from its place in it (`relay.hop_columns`).

What needs a closer look (STUN, new paths, control messages, and all that is dropped) is handed to the `Forwarder` as a
Python object, and what comes of it takes its place between the others, so that order is kept.

A batch of which all is on known paths, which most are, is looked up and passed on as columns (`relay.columns`). In any
other each datagram is looked at by itself.

Performance: 0.25 µs a datagram of Python when it is hot, about 0.7 µs between system calls that empty the caches,
beside the 3 µs that the kernel takes on loopback to receive and to send it. `python -m bench --only relay` compares the
whole with the same in C.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import add
from socket import AF_INET6, socket

from relay.bundle_slots import BundleSlots
from relay.columns import Columns
from relay.datagrams import MAX_DATAGRAM, RELAY_BATCH
from relay.datapath import Sent
from relay.forwarder import FOLLOWS, KIND, Forwarder
from relay.hop.header import (
    CONTROL,
    FLAG_IPV6,
    IPV4_HEADER_SIZE,
    IPV6_HEADER_SIZE,
    KIND_SIZE,
    UP_IPV4,
    UP_IPV6,
    VALIDATED_IPV4,
    VALIDATED_IPV6,
)
from relay.hop_columns import HopBatch, HopColumns
from relay.local_addresses import LocalAddresses, PacketInfo, egress_of, is_wildcard
from relay.mmsg import ReceiveSlots, SendSlots
from relay.sockaddr import parse_sockaddr
from wire.core import Drops

__all__ = ["SlotPath"]

_FOLLOWING = bytes(first for first in range(256) if KIND[first] == FOLLOWS)


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
        self._up = BundleSlots(hop, drops, forwarder.takes_bundles)
        # By egress: the ingress's number, or with that of a local address (`relay.local_addresses`).
        self._down = {number: SendSlots(sock, drops) for number, sock in ingresses.items()}
        self._downward = [(forwarder.to_clients[number], sending) for number, sending in self._down.items()]
        hop_slots = ReceiveSlots(hop, batch=RELAY_BATCH)
        self.receivers: dict[socket, Callable[[float], int]] = {
            hop: partial(self._receive_from_hop, hop_slots, HopColumns(hop_slots, forwarder.is_peer)),
            **{sock: partial(self._receive_from_clients, _Public(number, sock)) for number, sock in ingresses.items()},
        }

    def _receive_from_clients(self, public: "_Public", now: float) -> int:
        lengths = public.slots.receive()
        count = len(lengths)
        if not count:
            return 0
        sources, firsts = public.columns.read(count)
        claims, up = self._forwarder.table.by_source[public.ingress], self._up
        known = [claim for claim in map(claims.get, sources) if claim is not None]
        destinations = [claim.place.sockaddr for claim in known]
        # A slot still holds what it held before; so the lengths are looked at before anything is believed.
        if (
            len(known) == count
            and all(lengths)
            and max(lengths) <= MAX_DATAGRAM
            and not bytes(firsts).translate(None, _FOLLOWING)
            and all(destinations)
        ):
            paths = [claim.path for claim in known]
            public.write_paths(paths)
            up.destinations += destinations
            up.starts += public.header_starts[:count]
            up.lengths += [length + public.header_size for length in lengths]
            up.origins += paths
        else:
            self._look_at_each(public, sources, firsts, lengths, now)
        return count

    def _look_at_each(
        self, public: "_Public", sources: Sequence[bytes], firsts: Sequence[int], lengths: Sequence[int], now: float
    ) -> None:
        """Forward a batch of which not all is on known paths."""
        unix_time = time.time()
        claims = self._forwarder.table.by_source[public.ingress]
        up, view = self._up, public.slots.view
        for slot, (source, first, length) in enumerate(zip(sources, firsts, lengths, strict=True)):
            claim = claims.get(source)
            if (
                claim is not None
                and KIND[first] == FOLLOWS
                and 0 < length <= MAX_DATAGRAM
                and (destination := claim.place.sockaddr)
            ):
                view[public.path_slices[slot]] = claim.path
                up.destinations.append(destination)
                up.starts.append(public.header_starts[slot])
                up.lengths.append(length + public.header_size)
                up.origins.append(claim.path)
                continue
            offset = public.slots.offsets[slot]
            data = bytes(view[offset : offset + length])
            local = self._local_of(public, slot) if public.packet_info else 0
            self._forwarder.receive_from_client(data, parse_sockaddr(source), public.ingress, now, unix_time, local)
            self._collect()

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

    def _receive_from_hop(self, slots: ReceiveSlots, columns: HopColumns, now: float) -> int:
        received = slots.receive()
        if not received:
            return 0
        batch = columns.read(received)
        sources, kinds, paths, rests, lengths, offsets = batch
        count, kind, size = len(kinds), kinds[0], IPV4_HEADER_SIZE
        if kind == VALIDATED_IPV6:
            paths, size = list(map(add, paths, rests)), IPV6_HEADER_SIZE
        table = self._forwarder.table
        known = [claim for claim in map(table.by_path.get, paths) if claim is not None]
        egresses = {claim.egress for claim in known}
        if (
            len(known) == count
            and kind in (VALIDATED_IPV4, VALIDATED_IPV6)
            and kinds.count(kind) == count
            and min(lengths) >= size
            and max(lengths) <= MAX_DATAGRAM
            and [claim.place.sockaddr for claim in known] == sources
            and len(egresses) == 1
            and (sending := self._down.get(egresses.pop())) is not None
        ):
            tick = table.tick
            for claim in known:
                claim.told, claim.place.heard = tick, now
            sending.destinations += [claim.sockaddr for claim in known]
            behind = slots.start + size
            sending.starts += [behind + offset for offset in offsets]
            sending.lengths += [length - size for length in lengths]
        else:
            self._look_at_each_from_hop(slots, batch, now)
        return len(received)

    def _look_at_each_from_hop(self, slots: ReceiveSlots, batch: HopBatch, now: float) -> None:
        """Forward a batch of which not all is on known paths, or not all leaves by one of our addresses."""
        table, view = self._forwarder.table, slots.view
        for source, kind, path, rest, length, offset in zip(*batch, strict=True):
            claim, size = None, IPV4_HEADER_SIZE
            if kind == VALIDATED_IPV4:
                claim = table.by_path.get(path)
            elif kind == VALIDATED_IPV6:
                claim, size = table.by_path.get(path + rest), IPV6_HEADER_SIZE
            # What is for a client on TCP (`relay.tcp`) is the forwarder's too.
            sending = None if claim is None else self._down.get(claim.egress)
            if claim is None or sending is None or claim.place.sockaddr != source or not size <= length <= MAX_DATAGRAM:
                data = bytes(view[offset : offset + length])
                self._forwarder.receive_from_hop(data, parse_sockaddr(source), now)
                self._collect()
                continue
            claim.told, claim.place.heard = table.tick, now
            sending.destinations.append(claim.sockaddr)
            sending.starts.append(slots.start + offset + size)
            sending.lengths.append(length - size)

    def _collect(self) -> None:
        """Take what the forwarder has made itself."""
        if upward := self._forwarder.to_transceivers:
            for data, address in upward:
                size = IPV6_HEADER_SIZE if data[1] & FLAG_IPV6 else IPV4_HEADER_SIZE
                self._up.add(data, address, None if data[0] == CONTROL else data[KIND_SIZE:size])
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
        columns: of a slot: the source, and the datagram's first byte.
        header_size: of the header that goes in front of them.
        header_starts: where in memory the header of each slot begins.
        path_slices: where in `slots.view` the path of each slot stands.
        packet_info: of one that is bound to a wildcard, what tells its datagrams' destinations.
    """

    __slots__ = (
        "_write",
        "columns",
        "header_size",
        "header_starts",
        "ingress",
        "packet_info",
        "path_slices",
        "slots",
        "sock",
    )

    def __init__(self, ingress: int, sock: socket) -> None:
        self.ingress, self.sock = ingress, sock
        self.packet_info = PacketInfo(sock) if is_wildcard(sock) else None
        self.slots = ReceiveSlots(sock, self.packet_info, RELAY_BATCH)
        self.columns = Columns(self.slots, "B")
        # What comes to a socket has sources of one family, so the UP headers of all have one kind, at one place in a
        # slot: it is written once, and nobody writes over it.
        kind, self.header_size = (UP_IPV6, IPV6_HEADER_SIZE) if sock.family == AF_INET6 else (UP_IPV4, IPV4_HEADER_SIZE)
        self.header_starts = [start - self.header_size for start in self.slots.starts]
        path_size = self.header_size - KIND_SIZE
        self.path_slices = [slice(offset - path_size, offset) for offset in self.slots.offsets]
        for offset in self.slots.offsets:
            start = offset - self.header_size
            self.slots.view[start : start + KIND_SIZE] = kind
        self._write = self.slots.view.__setitem__

    def write_paths(self, paths: Sequence[bytes]) -> None:
        """Write a path in front of the datagram of each of the first slots; the kind in front of it stands there."""
        deque(map(self._write, self.path_slices, paths), 0)
