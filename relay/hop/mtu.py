"""How long a datagram on the hop may be, so that none is ever fragmented.

    client's datagram          at most 1232: what a path of the least MTU that IPv6 allows, 1280, brings over IPv6
    + hop header               28, or 40 for an IPv6 client
    + seal                     0, or 24 where the link is sealed
    + UDP                       8
    + IP                       20, or 40 where the hop is IPv6
    = at most 1344

So every hop whose path takes packets of `LEAST_MTU` bytes carries whatever a careful client sends, and on one of 1500
there are 156 bytes to spare. What our own protocols make is shorter: 1200 bytes of DTLS handshake, 1225 of SCTP.
Control messages are 1200 at most.

Attacker: sends fragments that fit between ours, or one piece of many packets to fill the memory that waits for the
rest. And: fragmentation doubles what loss costs. So hop sockets never fragment: a datagram that the outgoing interface
cannot take is refused by the kernel and counted (`UdpDropReason.UNSENDABLE`), one that a router cannot take is dropped
there. The kernel is told not to believe routers about the path's MTU, since what they say is not authenticated, and a
forged word would stop all media.

The same holds for a relay's public sockets: what is for a client is as short as what comes from one, nobody's forged
word has us cut media into pieces of 552 bytes, and the kernel need not number packets that are never cut, which is a
fortieth of what sending one costs.
"""

import socket

__all__ = ["LEAST_MTU", "LONGEST_CLIENT_DATAGRAM", "never_fragment", "packet_size"]

LONGEST_CLIENT_DATAGRAM = 1232
LEAST_MTU = 1344

_UDP = 8
_SEAL = 24

# linux/in.h, linux/in6.h; Python has no names for them yet.
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3


def packet_size(datagram: int, *, is_client_ipv6: bool, is_hop_ipv6: bool, is_sealed: bool) -> int:
    """Return how long the IP packet is that carries a client's datagram over the hop, in bytes.

    Args:
        datagram: the length of the client's datagram.
        is_client_ipv6: the client's family.
        is_hop_ipv6: the family between relay and transceiver.
        is_sealed: whether the link is sealed.
    """
    return datagram + (40 if is_client_ipv6 else 28) + (_SEAL if is_sealed else 0) + _UDP + (40 if is_hop_ipv6 else 20)


def never_fragment(sock: socket.socket) -> None:
    """Have the kernel refuse what it cannot send in one piece, and set DF on the rest.

    Systems that know no such option go on as they did.
    """
    is_ipv6 = sock.family == socket.AF_INET6
    level, option = (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER) if is_ipv6 else (socket.IPPROTO_IP, _IP_MTU_DISCOVER)
    try:
        sock.setsockopt(level, option, _PMTUDISC_PROBE)
    except OSError:
        return
