"""Many datagrams in one system call: `recvmmsg` and `sendmmsg`, over memory that is laid out once.

`ReceiveSlots` takes a batch of datagrams at a time. Each lands in a slot of its own, behind free bytes:

    | source, 28 | 4 | headroom, 40 | datagram, at most MAX_DATAGRAM + 1 | … |      a slot: SLOT_SIZE bytes

`SendSlots` sends memory from wherever it is. So a relay writes its header into the headroom and sends the slot on: the
datagram itself is copied by the kernel only, and never becomes a Python object.

Python is slow at one field after another and fast at whole arrays. So nothing here is read or written field by field
through cffi, which would cost more than the system calls that it saves: what the kernel tells is unpacked for all slots
at once, and what it is told is collected in lists and packed once.

The functions are the C library's, called through cffi in its ABI mode: the declarations are all there is
(`relay.mmsg_build`). They are those of 64-bit Linux; elsewhere `is_available` is false, and plain sockets have to do.

Source: recvmmsg(2), sendmmsg(2), recvmsg(2).
"""

import errno
import functools
import socket
import struct
import sys
from array import array
from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from relay.datagrams import BATCH, MAX_DATAGRAM, RELAY_BATCH, UdpDropReason
from relay.local_addresses import PacketInfo
from relay.mmsg_abi import ffi
from relay.sockaddr import IPV4_SIZE, IPV6_SIZE, serialize_sockaddr
from wire.core import Address, Drops

__all__ = [
    "CALL",
    "DATAGRAM_OFFSET",
    "HEADROOM",
    "SLOT_SIZE",
    "ReceiveSlots",
    "SendSlots",
    "address_of",
    "address_of_bytes",
    "ffi",
    "is_available",
    "named_messages",
    "slot_layout",
]

if TYPE_CHECKING:
    from cffi import FFI

    _CData: TypeAlias = FFI.CData
else:
    _CData = ffi.CData

_SOURCE_ROOM = 32
HEADROOM = 40
"""Free bytes in front of each datagram: the longest header of the hop."""
DATAGRAM_OFFSET = _SOURCE_ROOM + HEADROOM
"""Where in its slot a datagram begins."""
SLOT_SIZE = 2176
"""Bytes from one slot to the next: whole cache lines, so that neighbours share none."""

_MESSAGE_SIZE = ffi.sizeof("struct mmsghdr")
_LENGTH_INDEX = ffi.offsetof("struct mmsghdr", "msg_len") // 4
_CONTROL_LENGTH_INDEX = ffi.offsetof("struct msghdr", "msg_controllen") // 8


class _CLibrary(Protocol):
    """The functions that are used here, as cffi offers them: -1 is an error, named by `ffi.errno`."""

    def recvmmsg(self, fd: int, messages: _CData, count: int, flags: int, timeout: _CData) -> int:
        """Take datagrams that have arrived; return how many."""

    def sendmmsg(self, fd: int, messages: _CData, count: int, flags: int) -> int:
        """Send datagrams in order; return how many went out. An error shows only when it is the first's."""


@functools.cache
def _c_library() -> _CLibrary | None:
    if sys.platform != "linux" or sys.maxsize <= 1 << 32 or sys.byteorder != "little":
        return None
    library = ffi.dlopen(None)
    return cast("_CLibrary", library) if hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg") else None


def is_available() -> bool:
    """Whether this system has the two calls, with the layout that is declared here."""
    return _c_library() is not None


def _library() -> _CLibrary:
    library = _c_library()
    if library is None:
        raise OSError(errno.ENOSYS, "recvmmsg and sendmmsg are not available")
    return library


def address_of(memory: _CData) -> int:
    """Return where in memory it is, as a number."""
    return int(ffi.cast("uintptr_t", memory))


def address_of_bytes(data: bytes) -> int:
    """Where in memory bytes lie; they must be kept as long as it is used."""
    return address_of(ffi.from_buffer(data))


def slot_layout(source_size: int, first: str, count: int = 1) -> struct.Struct:
    """Make what unpacks slots one after another: the source's bytes, then what stands first in the datagram.

    Args:
        source_size: of the socket's family, `IPV4_SIZE` or `IPV6_SIZE`.
        first: fields in the notation of `struct`, in all at most `MAX_DATAGRAM` bytes.
        count: how many slots it unpacks at a time.
    """
    front = f"{source_size}s{DATAGRAM_OFFSET - source_size}x{first}"
    slot = f"{front}{SLOT_SIZE - struct.calcsize(f'={front}')}x"
    return struct.Struct(f"={slot * count}")


class ReceiveSlots:
    """Where the datagrams of one socket arrive, in batches.

    Args:
        sock: bound, of either family.
        packet_info: for a socket that is bound to a wildcard, what tells where its datagrams came to.
        batch: how many there are.

    Attributes:
        source_size: how long a source is, in the socket's family.
        view: all slots, one after another, to write headers into and to read datagrams from.
        start: the address in memory of all slots.
        starts: the address in memory of each slot's datagram.
        offsets: the offset in `view` of each slot's datagram.
    """

    def __init__(self, sock: socket.socket, packet_info: PacketInfo | None = None, batch: int = BATCH) -> None:
        self._receive = _library().recvmmsg
        self._socket = sock
        self._batch = batch
        self.source_size = IPV6_SIZE if sock.family == socket.AF_INET6 else IPV4_SIZE
        # What is kept alive here is what the kernel is given pointers to.
        self._memory = ffi.new("char[]", SLOT_SIZE * batch)
        self._vectors = ffi.new("struct iovec[]", batch)
        self._messages = ffi.new("struct mmsghdr[]", batch)
        self.start = address_of(self._memory)
        self.offsets = [DATAGRAM_OFFSET + SLOT_SIZE * number for number in range(batch)]
        self.starts = [self.start + offset for offset in self.offsets]
        for number, offset in enumerate(self.offsets):
            vector = self._vectors[number]
            vector.iov_base, vector.iov_len = self._memory + offset, MAX_DATAGRAM + 1
            message = self._messages[number].msg_hdr
            # The kernel writes back the length that it used, which for sockets of one family is always this.
            message.msg_name, message.msg_namelen = self._memory + offset - DATAGRAM_OFFSET, self.source_size
            message.msg_iov, message.msg_iovlen = self._vectors + number, 1
        self._packet_info = packet_info
        if packet_info is not None:
            self._ask_for_control(packet_info.size)
        self.view = memoryview(ffi.buffer(self._memory)).cast("B")
        self._lengths = memoryview(ffi.buffer(self._messages)).cast("B").cast("I")[_LENGTH_INDEX :: _MESSAGE_SIZE // 4]

    def receive(self) -> list[int]:
        """Take what has arrived, at most a batch, into the first slots; return their lengths.

        The slots are as they are until the next call. A datagram that was cut is `MAX_DATAGRAM + 1` bytes long.
        """
        if self._packet_info is not None:
            self._control_lengths[:] = self._control_room
        count = self._receive(self._socket.fileno(), self._messages, self._batch, socket.MSG_DONTWAIT, ffi.NULL)
        # A socket that is bound and not connected has no other error than that nothing is there.
        return self._lengths[:count].tolist() if count > 0 else []

    def local_address(self, number: int) -> bytes:
        """Where the datagram in a slot came to: 4 or 16 bytes; nothing if that is not known."""
        info = self._packet_info
        if info is None or self._control_lengths[number] < info.size:
            return b""
        return info.parse(bytes(self._control_view[info.size * number : info.size * (number + 1)]))

    def _ask_for_control(self, size: int) -> None:
        self._controls = ffi.new("char[]", size * self._batch)
        for number in range(self._batch):
            message = self._messages[number].msg_hdr
            message.msg_control, message.msg_controllen = self._controls + size * number, size
        self._control_view = memoryview(ffi.buffer(self._controls)).cast("B")
        # The kernel writes back how much it used.
        headers = memoryview(ffi.buffer(self._messages)).cast("B").cast("Q")
        self._control_lengths = headers[_CONTROL_LENGTH_INDEX :: _MESSAGE_SIZE // 8]
        self._control_room = array("Q", [size] * self._batch)


CALL = RELAY_BATCH
"""Datagrams in one system call. The kernel takes 1024; more than a batch costs memory that leaves the caches."""


def named_messages(sock: socket.socket, count: int) -> tuple[_CData, _CData]:
    """Lay out messages to be sent, each with room for its destination.

    Args:
        sock: what they leave by, of either family.
        count: how many.

    Returns:
        The messages, and the room of all destinations, one after another, which has to be kept.
    """
    size = IPV6_SIZE if sock.family == socket.AF_INET6 else IPV4_SIZE
    names, messages = ffi.new("char[]", size * count), ffi.new("struct mmsghdr[]", count)
    for number in range(count):
        message = messages[number].msg_hdr
        message.msg_name, message.msg_namelen = names + size * number, size
    return messages, names


class SendSlots:
    """Datagrams on their way to one socket, wherever in memory they are.

    The hot paths append to these three lists directly. Whatever is pointed to must stay until `flush`.

    Args:
        sock: bound, of either family.
        drops: counts by `UdpDropReason`.
        control: control message that goes with each datagram, if any.

    Attributes:
        destinations: where each datagram goes, as `relay.sockaddr` spells it in the socket's family.
        starts: where in memory each begins.
        lengths: how long each is, in bytes.
    """

    def __init__(self, sock: socket.socket, drops: Drops, control: bytes = b"") -> None:
        self._send = _library().sendmmsg
        self._socket = sock
        self._drops = drops
        self.destinations: list[bytes] = []
        self.starts: list[int] = []
        self.lengths: list[int] = []
        self._kept: list[object] = []
        self._destination_size = IPV6_SIZE if sock.family == socket.AF_INET6 else IPV4_SIZE
        self._messages, names = named_messages(sock, CALL)
        vectors = ffi.new("struct iovec[]", CALL)
        controls = ffi.from_buffer(control)
        for number in range(CALL):
            message = self._messages[number].msg_hdr
            message.msg_iov, message.msg_iovlen = vectors + number, 1
            if control:
                message.msg_control, message.msg_controllen = controls, len(control)
        self._names = memoryview(ffi.buffer(names)).cast("B")
        self._vectors = memoryview(ffi.buffer(vectors)).cast("B").cast("Q")
        self._pointed_to = (names, vectors, controls)

    def __len__(self) -> int:
        """How many datagrams wait for `flush`."""
        return len(self.destinations)

    def add(self, datagram: bytes, address: Address) -> None:
        """Take a datagram that is a Python object, which is kept until `flush`."""
        try:
            destination = serialize_sockaddr(address)
        except (OSError, OverflowError):
            self._drops[UdpDropReason.UNSENDABLE] += 1
            return
        memory = ffi.from_buffer(datagram)
        self._kept.append(memory)
        self.destinations.append(destination)
        self.starts.append(address_of(memory))
        self.lengths.append(len(datagram))

    def flush(self) -> tuple[int, int]:
        """Send everything, in order; what the kernel does not take at once is dropped and counted.

        Returns:
            How many datagrams there were, and how many bytes.
        """
        total, size = len(self.destinations), sum(self.lengths)
        if not total:
            return 0, 0
        for begin in range(0, total, CALL):
            self._send_part(begin, begin + CALL)
        self.destinations.clear()
        self.starts.clear()
        self.lengths.clear()
        self._kept.clear()
        return total, size

    def _send_part(self, begin: int, end: int) -> None:
        self._send_some(self.destinations[begin:end], self.starts[begin:end], self.lengths[begin:end])

    def _send_some(self, destinations: Sequence[bytes], starts: Sequence[int], lengths: Sequence[int]) -> None:
        names, count = b"".join(destinations), len(destinations)
        if len(names) != self._destination_size * count:
            # One is of the other family, and would push all behind it out of place.
            good = [len(destination) == self._destination_size for destination in destinations]
            self._drops[UdpDropReason.UNSENDABLE] += good.count(False)
            names, count = b"".join(compress(destinations, good)), sum(good)
            starts, lengths = list(compress(starts, good)), list(compress(lengths, good))
        self._names[: len(names)] = names
        self._vectors[0 : 2 * count : 2] = array("Q", starts)
        self._vectors[1 : 2 * count : 2] = array("Q", lengths)
        self._send_messages(self._messages, [1] * count)

    def _send_messages(self, messages: _CData, counts: Sequence[int]) -> None:
        """Send what is laid out.

        Args:
            messages: the first of them.
            counts: of how many datagrams each consists.
        """
        fd, sent, total = self._socket.fileno(), 0, len(counts)
        while sent < total:
            went = self._send(fd, messages + sent, total - sent, socket.MSG_DONTWAIT)
            if went < 0:
                # The first of them is refused; those behind it have their chance.
                self._count_refused(ffi.errno, counts[sent])
                went = 1
            sent += went

    def _count_refused(self, error: int, count: int) -> None:
        full = error in (errno.EAGAIN, errno.ENOBUFS)
        self._drops[UdpDropReason.SEND_BUFFER_FULL if full else UdpDropReason.UNSENDABLE] += count
