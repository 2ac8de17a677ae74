"""Floods a relay at a stated rate, from addresses of its choosing: a program of its own, which runs in any namespace.

    python flooder.py < PLAN

The plan is JSON: `target` [host, port], `rate` in datagrams a second, `seconds`, `sources` [[host, port], …],
`payloads` in hexadecimal, and `raw`. Each datagram takes the next source and the next payload. With `raw` the source
is written into the packet by us (IPv4; needs root), whoever it belongs to; otherwise it must be an address of this
host, and port 0 is any port. Prints how many were sent, and in how many seconds.

It keeps the rate and makes up for no more than 20 ms of delay, so what it costs the machine is known. It yields to
everybody else; if it cannot keep the rate it takes longer, until as many are sent, or five times as long.
"""

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable

_STEP = 0.002
_LAG = 0.02
_PATIENCE = 5
_IP = struct.Struct(">BBHHHBBH4s4s")
_UDP = struct.Struct(">HHHH")


def main() -> None:
    plan = json.load(sys.stdin)
    os.nice(5)
    sends = _senders(plan)
    rate, seconds = plan["rate"], plan["seconds"]
    sent, started = 0, time.monotonic()
    due = 0.0
    while sent < rate * seconds and (passed := time.monotonic() - started) < _PATIENCE * max(seconds, 1):
        due = max(due, (passed - _LAG) * rate)
        while due < passed * rate and sent < rate * seconds:
            sends[sent % len(sends)]()
            sent += 1
            due += 1
        time.sleep(_STEP)
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - started}))


def _senders(plan: dict) -> list[Callable[[], object]]:
    """One for each combination that comes up before they repeat."""
    host, port = plan["target"]
    sources, payloads = plan["sources"], [bytes.fromhex(text) for text in plan["payloads"]]
    count = max(len(sources), len(payloads))
    pairs = [(tuple(sources[n % len(sources)]), payloads[n % len(payloads)]) for n in range(count)]
    if plan["raw"]:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        packets = [_packet(source, (host, port), payload) for source, payload in pairs]
        return [lambda packet=packet: raw.sendto(packet, (host, 0)) for packet in packets]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = {}
    for source in {source for source, _ in pairs}:
        opened[source] = socket.socket(family, socket.SOCK_DGRAM)
        opened[source].bind(source)
    return [
        lambda sock=opened[source], payload=payload: sock.sendto(payload, (host, port)) for source, payload in pairs
    ]


def _packet(source: tuple[str, int], target: tuple[str, int], payload: bytes) -> bytes:
    """An IPv4 packet with UDP inside, without a checksum of UDP; the kernel adds that of IP."""
    length = 28 + len(payload)
    addresses = socket.inet_aton(source[0]), socket.inet_aton(target[0])
    head = _IP.pack(0x45, 0, length, 0, 0, 64, socket.IPPROTO_UDP, 0, *addresses)
    return head + _UDP.pack(source[1], target[1], length - 20, 0) + payload


if __name__ == "__main__":
    main()
