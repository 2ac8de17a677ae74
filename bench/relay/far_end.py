"""The transceiver of the relay's measurements: a socket that takes clients' datagrams, and one that keeps the links.

It speaks revision 2 of the hop protocol, which knows no bundles: the C forwarder and coturn, which are measured beside
the relay, make none either.

Both have one port. The kernel tells them apart by the first byte, so that a relay's control messages are answered at
any time, by a thread, while the load takes everything else as fast as it comes.
"""

import ctypes
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from relay.hop.header import CONTROL
from relay.hop.keys import HopKeys
from relay.hop.links import TransceiverLink
from wire.core import Address

__all__ = ["FarEnd", "far_end"]

_BUFFER = 4 << 20
_LOOK_INTERVAL = 0.02
_LONGEST = 2048
_REVISION = 2

# socket(7): a classic BPF program chooses the socket of a group, by its number in the order of binding.
_ATTACH_FILTER = 51
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_BYTE, _JUMP_IF_EQUAL, _RETURN = 0x30, 0x15, 0x06
_FILTER = b"".join(
    _INSTRUCTION.pack(*instruction)
    for instruction in (
        (_LOAD_BYTE, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, CONTROL),
        (_RETURN, 0, 0, 1),
        (_RETURN, 0, 0, 0),
    )
)


class FarEnd:
    """A transceiver that knows no calls.

    Args:
        host: where to bind.

    Attributes:
        sock: takes and sends clients' datagrams; never blocks.
    """

    def __init__(self, host: str) -> None:
        self.sock = _open(host, 0)
        self._control = _open(host, self.address[1])
        program = ctypes.create_string_buffer(_FILTER)
        size = len(_FILTER) // _INSTRUCTION.size
        self.sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("=H6xQ", size, ctypes.addressof(program)))
        self._link: TransceiverLink | None = None
        self._thread: threading.Thread | None = None
        self._is_over = threading.Event()

    @property
    def address(self) -> Address:
        """Where it is."""
        host, port = self.sock.getsockname()
        return host, port

    @property
    def relays(self) -> int:
        """How many relays have proven their address."""
        return len(self._link.relays) if self._link is not None else 0

    def keep_links(self, keys: HopKeys) -> None:
        """Answer relays from now on, as worker 0 of incarnation 1."""
        self._link = TransceiverLink(
            keys=keys,
            cluster=0,
            incarnation=1,
            worker=0,
            entropy=os.urandom,
            now=time.monotonic(),
            revision=_REVISION,
        )
        self._thread = threading.Thread(target=self._answer, args=(self._link,), daemon=True)
        self._thread.start()

    def _answer(self, link: TransceiverLink) -> None:
        while not self._is_over.is_set():
            now = time.monotonic()
            try:
                data, source = self._control.recvfrom(_LONGEST)
            except BlockingIOError:
                list(link.handle_timeout(now))
                self._is_over.wait(_LOOK_INTERVAL)
            else:
                list(link.receive_control(data, source, now))
            for answer, destination in link.datagrams_to_send(now):
                self._control.sendto(answer, destination)

    def close(self) -> None:
        """Stop answering, and close the sockets."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()
        self._control.close()
        self.sock.close()


@contextmanager
def far_end(host: str) -> Iterator[FarEnd]:
    """Open one until the block ends."""
    end = FarEnd(host)
    try:
        yield end
    finally:
        end.close()


def _open(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    sock.bind((host, port))
    return sock
