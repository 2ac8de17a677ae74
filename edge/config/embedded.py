"""The configuration of `trio-voice serve` without a role: everything on this machine, nothing else needed.

The tiers talk to each other over the same loopback UDP and HTTP as they would between hosts; only the ports are
picked by the kernel. Clients are offered two addresses: loopback, which always works and survives a change of
network, and the machine's own, because Firefox ignores loopback candidates.

Beside these, clients are offered signal's own port over TCP: whoever could load the page can reach that one.
"""

import socket

from edge.config.model import DEFAULT_LISTEN
from edge.config.sources import Tree
from edge.config.values import format_address, is_ip
from wire.core import Address

__all__ = ["DEFAULT_MEDIA_PORT", "embedded_tree", "own_address"]

DEFAULT_MEDIA_PORT = 3478  # IANA's port for STUN; what firewalls that know WebRTC let through

# RFC 5737 §3 and RFC 3849: addresses for documentation. Connecting a UDP socket sends nothing; it asks the
# kernel which of our addresses it would use. There are several, as some hosts reject routes to one.
_SOMEWHERE = (
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET, "198.51.100.1"),
    (socket.AF_INET, "203.0.113.1"),
    (socket.AF_INET6, "2001:db8::1"),
)


def own_address() -> str | None:
    """Find the address that this machine uses towards the rest of the world, IPv4 first; None when it has none."""
    for family, destination in _SOMEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((destination, 9))
                address: str = probe.getsockname()[0]
        except OSError:  # no route
            continue
        if _is_usable(address):
            return address
    # A host without a default route still has an address that its browser can use.
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return None
    addresses = [str(entry[4][0]) for entry in found]
    return next((address for address in addresses if _is_usable(address)), None)


def _is_usable(address: str) -> bool:
    return is_ip(address) and not address.startswith(("127.", "0.", "fe80:")) and address not in {"::1", "::"}


def embedded_tree(own: str | None, listen: Address = DEFAULT_LISTEN, media_port: int = DEFAULT_MEDIA_PORT) -> Tree:
    """Build the defaults.

    Args:
        own: the machine's own address beside loopback; None for none.
        listen: where signal listens; with port 0 nothing is offered over TCP, as the port is not known yet.
        media_port: public UDP port of the relay.
    """
    # Loopback first: the fewest things can go wrong on the way to it. A browser that ignores it loses no time.
    hosts = ["127.0.0.1"] + ([own] if own else [])
    addresses = [format_address((host, media_port)) for host in hosts]
    ingresses: list[Tree] = [
        {"id": number, "advertise": address, "bind": address} for number, address in enumerate(addresses, 1)
    ]
    if is_ip(listen[0]) and listen[1]:
        ingresses.append(
            {
                "id": len(ingresses) + 1,
                "advertise": format_address((_reachable(listen[0], own), listen[1])),
                "bind": format_address(listen),
                "protocol": "tcp",
            }
        )
    return {
        "signal": {},
        "relay": {"hop": "127.0.0.1:0", "ingresses": ingresses},
        "transceiver": {"hop": "127.0.0.1:0", "control": "127.0.0.1:0"},
    }


def _reachable(host: str, own: str | None) -> str:
    """An address at which clients reach what listens on `host`."""
    if host not in {"0.0.0.0", "::"}:  # noqa: S104 - replaced
        return host
    if own is not None and (":" in own) == (":" in host):
        return own
    return "::1" if ":" in host else "127.0.0.1"
