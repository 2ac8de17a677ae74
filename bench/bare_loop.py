"""The least that an echo of SRTP can be in Python: receive, unprotect, rewrite the header, protect, send.

One UDP socket, one thread, no relay in front, no RTCP, no statistics, no timers, and libsrtp does the cryptography. The
difference to our transceiver is what structure, reports and robustness cost.

    python -m bench.bare_loop PORT
"""

import select
import socket
import struct
import sys
from typing import Final

from pylibsrtp import Error, Policy, Session

from srtp.keying import MasterKey

__all__ = ["BATCH", "CLIENT_KEY", "SERVER_KEY"]

CLIENT_KEY: Final = MasterKey(key=bytes(range(16)), salt=bytes(range(12)))
"""Protects what clients send: the same for all, since nothing here is secret."""

SERVER_KEY: Final = MasterKey(key=bytes(range(16, 32)), salt=bytes(range(12, 24)))
"""Protects what goes back to them."""

BATCH = 64
_BUFFER_SIZE = 4 << 20
_MAX_DATAGRAM = 2048
_HEADER = struct.Struct(">BBHII")


def _session(master: MasterKey, ssrc_type: int) -> Session:
    return Session(
        Policy(key=master.key + master.salt, ssrc_type=ssrc_type, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    )


def _echo(sock: socket.socket) -> None:
    streams: dict[tuple[str, int], tuple[Session, Session, int]] = {}
    while True:
        select.select([sock], [], [])
        outgoing: list[tuple[bytes, tuple[str, int]]] = []
        try:
            for _ in range(BATCH):
                data, source = sock.recvfrom(_MAX_DATAGRAM)
                stream = streams.get(source)
                if stream is None:
                    inbound, outbound = (
                        _session(CLIENT_KEY, Policy.SSRC_ANY_INBOUND),
                        _session(SERVER_KEY, Policy.SSRC_ANY_OUTBOUND),
                    )
                    stream = streams[source] = (inbound, outbound, len(streams) + 1)
                inbound, outbound, ssrc = stream
                packet = inbound.unprotect(data)
                first, second, sequence_number, timestamp, _ = _HEADER.unpack_from(packet)
                packet = _HEADER.pack(first, second, sequence_number, timestamp, ssrc) + packet[_HEADER.size :]
                outgoing.append((outbound.protect(packet), source))
        except BlockingIOError:
            pass
        except Error as error:
            print(f"dropped: {error}")
        for packet, destination in outgoing:
            sock.sendto(packet, destination)


def main() -> None:
    """Echo until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_SIZE)
        sock.bind(("127.0.0.1", int(sys.argv[1])))
        print("ready")
        _echo(sock)


if __name__ == "__main__":
    main()
