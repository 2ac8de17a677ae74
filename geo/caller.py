"""Where a caller is, as far as somebody we trust tells us.

Goal: a caller's own headers never steer it. Attacker: any HTTP client, which may send every header it likes.
Construction: headers count only when the TCP connection comes from a network that the operator named as its proxy,
and the proxy is expected to overwrite them.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from geo.regions import Place

__all__ = ["is_trusted", "locate_caller"]


def is_trusted(peer: str, trusted_proxies: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether an HTTP peer's address lies in one of the proxies' networks.

    Args:
        peer: IP address in text form; IPv4-mapped IPv6 counts as IPv4. Anything else is not trusted.
        trusted_proxies: networks of the proxies.
    """
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in trusted_proxies)


def locate_caller(
    headers: Mapping[str, str],
    *,
    peer: str,
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
    header_names: Sequence[str] = (),
    configured: Place | None = None,
) -> Place | None:
    """Tell where a caller is.

    Args:
        headers: the request's headers, names in lower case.
        peer: IP address that the HTTP connection comes from.
        trusted_proxies: networks whose headers are believed.
        header_names: names of the latitude's and the longitude's header; empty for none.
        configured: the place to fall back to.

    Returns:
        The place with its source; None when nobody knows.
    """
    if len(header_names) == 2 and is_trusted(peer, trusted_proxies):
        place = _place_of_headers(headers, header_names[0], header_names[1])
        if place is not None:
            return place
    return configured


def _place_of_headers(headers: Mapping[str, str], latitude_name: str, longitude_name: str) -> Place | None:
    try:
        return Place(
            latitude=float(headers[latitude_name.lower()]),
            longitude=float(headers[longitude_name.lower()]),
            why=f"headers {latitude_name} and {longitude_name}",
        )
    except (KeyError, ValueError):  # left out, not a number, or not on the earth
        return None
