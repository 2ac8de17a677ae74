"""Where a caller is, as far as somebody we trust tells us.

Goal: a caller's own headers never steer it. Attacker: any HTTP client, which may send every header it likes.
Construction: headers count only when the TCP connection comes from a network that the operator named as its proxy,
and the proxy is expected to overwrite them. Behind such a proxy the caller's address is found as `geo.addresses` says.

In the order of belief: a trusted proxy's headers, the database's entry of the caller's address, what is configured. The
country may come from another of these than the coordinates: CDNs often tell only the country.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network

import attrs

from geo.addresses import address_of_caller, is_trusted, network_of
from geo.database import DatabaseEntry, LocationDatabase, look_up
from geo.regions import Place

__all__ = ["UNKNOWN_COUNTRY", "CallerLocation", "locate_address", "locate_caller"]

UNKNOWN_COUNTRY = ""

_NO_COUNTRY = {"XX", "T1"}
"""What CDNs say when they do not know, and of Tor's exits."""


@attrs.frozen(kw_only=True)
class CallerLocation:
    """What is known of where a caller is.

    Attributes:
        address: its IP address; empty when nobody tells.
        place: where it is; None when nobody knows.
        country: ISO 3166-1 code in upper case; empty when nobody knows.
        country_why: what told the country, for people.
    """

    address: str = ""
    place: Place | None = None
    country: str = UNKNOWN_COUNTRY
    country_why: str = ""

    @property
    def network(self) -> str:
        """The network that its round trips are remembered under; empty without an address."""
        return network_of(self.address)


def locate_caller(
    headers: Mapping[str, str],
    *,
    peer: str,
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
    header_names: Sequence[str] = (),
    country_header: str = "",
    database: LocationDatabase | None = None,
    configured: Place | None = None,
) -> CallerLocation:
    """Tell where the sender of a request is.

    Args:
        headers: the request's headers, names in lower case.
        peer: IP address that the HTTP connection comes from.
        trusted_proxies: networks whose headers are believed.
        header_names: names of the latitude's and the longitude's header; empty for none.
        country_header: name of the country's header; empty for none.
        database: places by address; None for none.
        configured: the place to fall back to.
    """
    address = address_of_caller(headers, peer=peer, trusted_proxies=trusted_proxies)
    told = DatabaseEntry()
    if is_trusted(peer, trusted_proxies):
        told = DatabaseEntry(
            place=_place_of_headers(headers, header_names) if len(header_names) == 2 else None,
            country=_country_of_header(headers, country_header),
        )
    return _located(address, told, f"header {country_header}", database, configured)


def locate_address(
    address: str, *, database: LocationDatabase | None = None, configured: Place | None = None
) -> CallerLocation:
    """Tell where an address is, without any headers."""
    return _located(address, DatabaseEntry(), "", database, configured)


def _located(
    address: str, told: DatabaseEntry, told_by: str, database: LocationDatabase | None, configured: Place | None
) -> CallerLocation:
    needs_database = told.place is None or not told.country
    found = look_up(database, address) if database is not None and needs_database else DatabaseEntry()
    country_why = told_by if told.country else f"database entry of {address}" if found.country else ""
    return CallerLocation(
        address=address,
        place=told.place or found.place or configured,
        country=told.country or found.country,
        country_why=country_why,
    )


def _place_of_headers(headers: Mapping[str, str], names: Sequence[str]) -> Place | None:
    latitude_name, longitude_name = names
    try:
        return Place(
            latitude=float(headers[latitude_name.lower()]),
            longitude=float(headers[longitude_name.lower()]),
            why=f"headers {latitude_name} and {longitude_name}",
        )
    except (KeyError, ValueError):  # left out, not a number, or not on the earth
        return None


def _country_of_header(headers: Mapping[str, str], name: str) -> str:
    country = headers.get(name.lower(), "").strip().upper() if name else ""
    is_code = len(country) == 2 and country.isascii() and country.isalnum() and country not in _NO_COUNTRY
    return country if is_code else UNKNOWN_COUNTRY
