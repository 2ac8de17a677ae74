"""What goes over an interface, as its owner would see it with tcpdump: UDP over IPv4. Needs root."""

import math
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import attrs

from .namespaces import inside
from .stalls import silences

__all__ = ["Heard", "Sniffed", "Sniffer", "is_rtp", "sniffing"]

_ALL_PROTOCOLS = 3  # ETH_P_ALL: what leaves an interface is seen by nothing less
_IPV4 = 0x0800
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_UDP = struct.Struct(">HHHH")


class Sniffed(NamedTuple):
    """A datagram on its way."""

    source: tuple[str, int]
    target: tuple[str, int]
    data: bytes
    at: float


@attrs.frozen(kw_only=True)
class Heard:
    """A stretch of a call, by the RTP that left and that came back over the client's interface.

    Attributes:
        sent: packets that left.
        returned: packets that came back, each number once.
        missing: numbers that never came back between the first and the last that did.
        gap_ms: the longest time between two that came back, that the client did not stand still in.
    """

    sent: int
    returned: int
    missing: int
    gap_ms: float


@attrs.define
class Sniffer:
    """Collects.

    Attributes:
        seen: all datagrams so far; each once on an interface, twice on loopback.
    """

    seen: list[Sniffed] = attrs.field(factory=list)

    def to(self, *address: object) -> list[Sniffed]:
        """Those to a host, or to a host and a port."""
        return [each for each in self.seen if each.target[: len(address)] == address]

    def heard(self, server: tuple[str, int], since: float = 0.0) -> Heard:
        """Count the RTP to and from a server that echoes it, whose numbers follow those of what it got."""
        rtp = [each for each in self.seen if each.at >= since and is_rtp(each.data)]
        back = [each for each in rtp if each.source == server]
        assert back, "no RTP came back"
        highest = first = int.from_bytes(back[0].data[2:4], "big")
        numbers = set()
        for each in back:
            ahead = (int.from_bytes(each.data[2:4], "big") - highest + 0x8000 & 0xFFFF) - 0x8000
            numbers.add(highest + ahead)
            highest = max(highest, highest + ahead)
        sent = [each.at for each in rtp if each.target == server]
        return Heard(
            sent=len(sent),
            returned=len(numbers),
            missing=highest - first + 1 - len([number for number in numbers if number >= first]),
            gap_ms=round(1000 * max(each.seconds for each in silences((each.at for each in back), sent)), 1),
        )

    def between(self, source: tuple[str, int], target: tuple[str, int]) -> list[bytes]:
        """Those from one address to another."""
        return [each.data for each in self.seen if (each.source, each.target) == (source, target)]


def is_rtp(data: bytes) -> bool:
    """Whether a datagram is RTP."""
    # RFC 5761 §4: the packet types of RTCP, which stand where RTP has marker and payload type, are 192 to 223.
    return len(data) > 12 and 128 <= data[0] <= 191 and not 192 <= data[1] <= 223


def _at(told: list[tuple[int, int, bytes]]) -> float:
    """When the kernel saw a packet, by the monotonic clock; this process may have been late."""
    seconds, nanoseconds = _TIMESPEC.unpack(told[0][2])
    return float(seconds + nanoseconds / 1e9 - time.time() + time.monotonic())


@contextmanager
def sniffing(namespace: str, interface: str = "eth") -> Iterator[Sniffer]:
    """Collect until the block ends."""
    sniffer = Sniffer()
    until = math.inf

    def opened() -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((interface, _ALL_PROTOCOLS))
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.settimeout(0.05)
        return sock

    def collect(sock: socket.socket) -> None:
        at = 0.0
        while at < until:  # what waits in the socket at the end still counts
            try:
                packet, told, _, origin = sock.recvmsg(4096, 64)
            except TimeoutError:
                at = time.monotonic()
                continue
            at = _at(told)
            if origin[1] == _IPV4 and len(packet) >= 28 and packet[0] == 0x45 and packet[9] == socket.IPPROTO_UDP:
                source_port, target_port, length, _ = _UDP.unpack_from(packet, 20)
                hosts = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
                data = packet[28 : 20 + length]
                sniffer.seen.append(Sniffed((hosts[0], source_port), (hosts[1], target_port), data, at))

    with inside(namespace, opened) as sock:
        thread = threading.Thread(target=collect, args=(sock,))
        thread.start()
        try:
            yield sniffer
            time.sleep(0.1)
        finally:
            until = time.monotonic()
            thread.join()
