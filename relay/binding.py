"""Sockets as relays and transceivers want them, bound: the first thing that a relay that starts again does.

From then on what comes waits in the kernel; before that it is lost. So nothing is imported here but what that takes.
"""

import socket
from collections.abc import Callable

__all__ = ["BUFFER_SIZE", "open_tcp", "open_udp"]

BUFFER_SIZE = 4 << 20
"""What we ask the kernel to hold in each direction, in bytes: about 10,000 small datagrams, tenths of a second."""

# RFC 4594 §4.1, RFC 8837 §5: telephony media is marked Expedited Forwarding (46), the upper six bits of the field.
_DSCP_EF = 46 << 2

_BACKLOG = 1024


def open_udp(host: str, port: int, *, on_warning: Callable[[str], object], reuse_port: bool = False) -> socket.socket:
    """Open and bind a UDP socket that never blocks.

    Args:
        host: IP address to bind, IPv4 or IPv6; `0.0.0.0` or `::` for any.
        port: port to bind; 0 lets the kernel choose.
        on_warning: called with a sentence for the operator when the kernel grants less than was asked for.
        reuse_port: whether further sockets of this user may bind the same address: the kernel then gives each source to
            one of them, the same as long as they are as many.

    Raises:
        OSError: the address is not an IP address of this machine, or is taken.
    """
    is_ipv6 = ":" in host
    sock = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _enlarge(sock, socket.SO_RCVBUF, "receive", "rmem_max", on_warning)
        _enlarge(sock, socket.SO_SNDBUF, "send", "wmem_max", on_warning)
        _mark(sock, is_ipv6, on_warning)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def open_tcp(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Open a listening socket that never blocks.

    Args:
        host: IP address to bind, IPv4 or IPv6; `0.0.0.0` or `::` for any of the family.
        port: port to bind; 0 lets the kernel choose.
        reuse_port: share the port with other sockets of this user; the kernel spreads connections over them.

    Raises:
        OSError: the address is not an IP address of this machine, or is taken.
    """
    is_ipv6 = ":" in host
    sock = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _enlarge(sock: socket.socket, option: int, name: str, sysctl: str, on_warning: Callable[[str], object]) -> None:
    sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_SIZE)
    granted = sock.getsockopt(socket.SOL_SOCKET, option)  # Linux tells twice of what it grants, to cover its overhead
    if granted < BUFFER_SIZE:
        on_warning(
            f"the kernel grants a UDP {name} buffer of {granted} bytes, {BUFFER_SIZE} were asked for; "
            f"raise net.core.{sysctl}, or bursts will be lost"
        )


def _mark(sock: socket.socket, is_ipv6: bool, on_warning: Callable[[str], object]) -> None:
    try:
        if is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _DSCP_EF)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_EF)
    except OSError as error:
        on_warning(f"datagrams are not marked for low delay (DSCP EF): {error}")
