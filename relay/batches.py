"""Whole batches of Python objects in one system call, for whoever wants the datagrams themselves: the transceiver.

receive   slots ──▶ [(bytes, address), …]       addresses are parsed once and remembered
send      [(bytes, address), …] ──▶ one joined copy ──▶ one call
"""

from socket import socket

from relay.datagrams import BATCH, Batch, UdpDropReason
from relay.mmsg import SLOT_SIZE, ReceiveSlots, SendSlots, address_of_bytes, slot_layout
from relay.sockaddr import parse_sockaddr, serialize_sockaddr
from wire.core import Address, Drops

__all__ = ["BatchReceiver", "BatchSender"]

_REMEMBERED = 4096
"""Addresses that are remembered at most; a transceiver hears from a few relays, whoever else may be sending."""


class BatchReceiver:
    """Takes batches from one socket.

    Args:
        sock: from `relay.udp.open_udp`.
        batch: how many datagrams to take at a time.
    """

    def __init__(self, sock: socket, batch: int = BATCH) -> None:
        self._slots = ReceiveSlots(sock, batch=batch)
        self._layout = slot_layout(self._slots.source_size, "")
        self._sources: dict[bytes, Address] = {}

    def receive(self) -> Batch:
        """Take the datagrams that have arrived, at most a batch, each with its source."""
        slots, sources = self._slots, self._sources
        lengths, view = slots.receive(), slots.view
        batch: Batch = []
        for (raw,), length, offset in zip(
            self._layout.iter_unpack(view[: SLOT_SIZE * len(lengths)]), lengths, slots.offsets, strict=False
        ):
            source = sources.get(raw)
            if source is None:
                if len(sources) >= _REMEMBERED:
                    sources.clear()
                source = sources[raw] = parse_sockaddr(raw)
            batch.append((bytes(view[offset : offset + length]), source))
        return batch


class BatchSender:
    """Sends batches from one socket; what the kernel does not take at once is dropped and counted.

    Args:
        sock: from `relay.udp.open_udp`.
        drops: counts by `UdpDropReason`.
    """

    def __init__(self, sock: socket, drops: Drops) -> None:
        self._slots = SendSlots(sock, drops)
        self._drops = drops
        self._destinations: dict[Address, bytes] = {}

    def send(self, datagrams: Batch) -> None:
        """Send datagrams, each to its destination."""
        slots, known = self._slots, self._destinations
        joined = b"".join([data for data, _ in datagrams])
        start = address_of_bytes(joined)
        for data, address in datagrams:
            size = len(data)
            destination = known.get(address) or self._learn(address)
            if destination:
                slots.destinations.append(destination)
                slots.starts.append(start)
                slots.lengths.append(size)
            start += size
        slots.flush()  # while `joined` is alive

    def _learn(self, address: Address) -> bytes:
        """Spell a destination, and remember it; empty when it is none."""
        if len(self._destinations) >= _REMEMBERED:
            self._destinations.clear()
        try:
            destination = self._destinations[address] = serialize_sockaddr(address)
        except (OSError, OverflowError):
            self._drops[UdpDropReason.UNSENDABLE] += 1
            return b""
        return destination
