"""Whole batches of Python objects in one system call, for whoever wants the datagrams themselves: the transceiver.

receive   slots ──▶ [(bytes, address), …]       addresses are parsed once and remembered
send      [(bytes, address), …] ──▶ one joined copy ──▶ one call
"""

from socket import socket

from relay.datagrams import Batch
from relay.mmsg import SLOT_SIZE, ReceiveSlots, slot_layout
from relay.sockaddr import parse_sockaddr
from wire.core import Address

__all__ = ["BatchReceiver"]

_REMEMBERED = 4096
"""Addresses that are remembered at most; a transceiver hears from a few relays, whoever else may be sending."""


class BatchReceiver:
    """Takes batches from one socket.

    Args:
        sock: from `relay.udp.open_udp`.
    """

    def __init__(self, sock: socket) -> None:
        self._slots = ReceiveSlots(sock)
        self._layout = slot_layout(self._slots.source_size, "")
        self._sources: dict[bytes, Address] = {}

    def receive(self) -> Batch:
        """Take the datagrams that have arrived, at most `BATCH`, each with its source."""
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
