"""Which address a request really comes from, and the network that it belongs to.

Goal: nobody makes itself another caller by a header. Attacker: any HTTP client, which may send every header it likes.
Construction: each proxy appends the address that it was asked from to X-Forwarded-For, so what stands furthest to the
right was written by the proxy next to us. We walk from there to the left as long as the writer is one that we trust;
the first address that is not a trusted proxy's is the caller's, and everything to its left is hearsay.
"""

import functools
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["address_of_caller", "is_trusted", "network_of"]

Network = IPv4Network | IPv6Network

_IPV4_PREFIX = 24
_IPV6_PREFIX = 48
"""What is routed as one in the global tables, and hence what shares a way to us: the longest prefixes that providers
accept from each other (RFC 7454 §6.1.3)."""
_KNOWN = 1024
"""Addresses whose reading is remembered; texts come from HTTP headers, so none is longer than those may be."""


def is_trusted(peer: str, trusted_proxies: Sequence[Network]) -> bool:
    """Whether an HTTP peer's address lies in one of the proxies' networks.

    Args:
        peer: IP address in text form; IPv4-mapped IPv6 counts as IPv4. Anything else is not trusted.
        trusted_proxies: networks of the proxies.
    """
    address = _read(peer)
    return address is not None and any(address in network for network in trusted_proxies)


def address_of_caller(headers: Mapping[str, str], *, peer: str, trusted_proxies: Sequence[Network] = ()) -> str:
    """Tell the address that a request comes from, behind the proxies that we trust.

    Args:
        headers: the request's headers, names in lower case.
        peer: IP address that the HTTP connection comes from.
        trusted_proxies: networks whose X-Forwarded-For is believed.

    Returns:
        An IP address in its shortest form; `peer` as it is when that is none.
    """
    address = peer
    hops = headers.get("x-forwarded-for", "").split(",")
    while hops and is_trusted(address, trusted_proxies):
        hop = _read(hops.pop().strip())
        if hop is None:  # left out, or "unknown"
            break
        address = str(hop)
    read = _read(address)
    return address if read is None else str(read)


@functools.lru_cache(maxsize=_KNOWN)
def network_of(address: str) -> str:
    """Return the network by which round trips to an address are remembered: an IPv4 /24, an IPv6 /48.

    Returns:
        The network in text form; empty when `address` is none.
    """
    read = _read(address)
    if read is None:
        return ""
    return str(ip_network((read, _IPV4_PREFIX if read.version == 4 else _IPV6_PREFIX), strict=False))


# One request has the same few addresses read a dozen times: a tenth of what a call's set-up took of signal.
@functools.lru_cache(maxsize=_KNOWN)
def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
