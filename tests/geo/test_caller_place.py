"""A caller's own headers never steer it; a trusted proxy's do, and a database may know its address."""

from ipaddress import ip_network

import pytest

from geo.addresses import address_of_caller, is_trusted, network_of
from geo.caller import locate_address, locate_caller
from geo.regions import Place

HOME = Place(latitude=50, longitude=8, why="configured")
NAMES = ("CF-IPLatitude", "CF-IPLongitude")
PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
HEADERS = {"cf-iplatitude": "40.71", "cf-iplongitude": "-74.0"}


def locate(headers: dict[str, str], peer: str) -> Place | None:
    return locate_caller(headers, peer=peer, trusted_proxies=PROXIES, header_names=NAMES, configured=HOME).place


def test_a_trusted_proxy_tells_the_place() -> None:
    place = locate(HEADERS, "10.1.2.3")
    assert place == Place(latitude=40.71, longitude=-74.0, why="headers CF-IPLatitude and CF-IPLongitude")


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db9::1", "not an address", ""])
def test_anybody_else_does_not(peer: str) -> None:
    assert locate(HEADERS, peer) == HOME


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cf-iplatitude": "40.71"},
        {"cf-iplatitude": "north", "cf-iplongitude": "1"},
        {"cf-iplatitude": "91", "cf-iplongitude": "1"},
        {"cf-iplatitude": "nan", "cf-iplongitude": "1"},
    ],
)
def test_headers_that_tell_no_place_fall_back(headers: dict[str, str]) -> None:
    assert locate(headers, "10.1.2.3") == HOME


def test_without_header_names_and_location_nobody_knows() -> None:
    location = locate_caller(HEADERS, peer="10.1.2.3", trusted_proxies=PROXIES)
    assert (location.place, location.country, location.address) == (None, "", "10.1.2.3")


def test_a_proxy_may_come_in_as_a_mapped_address() -> None:
    assert is_trusted("::ffff:10.0.0.1", PROXIES)
    assert is_trusted("2001:db8::9", PROXIES)
    assert not is_trusted("::ffff:11.0.0.1", PROXIES)


class Records(dict[str, object]):
    """A database that was opened by somebody else."""

    def get(self, ip_address: str) -> object:  # type: ignore[override]
        if ":" in ip_address:
            raise ValueError("an IPv6 address in an IPv4 database")
        return super().get(ip_address)


SYDNEY = {"location": {"latitude": -33.87, "longitude": 151.21}, "country": {"iso_code": "au"}}
DATABASE = Records({"203.0.113.7": SYDNEY})


def test_the_database_tells_the_place_of_an_address() -> None:
    location = locate_caller({}, peer="203.0.113.7", database=DATABASE, configured=HOME)
    assert location.place == Place(latitude=-33.87, longitude=151.21, why="database entry of 203.0.113.7")
    assert (location.country, location.country_why) == ("AU", "database entry of 203.0.113.7")
    assert location.network == "203.0.113.0/24"


def test_headers_go_before_the_database_and_each_fills_what_the_other_leaves_open() -> None:
    forwarded = {**HEADERS, "x-forwarded-for": "203.0.113.7"}
    settings = {"peer": "10.1.2.3", "trusted_proxies": PROXIES, "database": DATABASE}
    location = locate_caller(forwarded, header_names=NAMES, **settings)
    assert location.place is not None
    assert (location.place.latitude, location.country) == (40.71, "AU")
    country = {"cf-ipcountry": "nz", "x-forwarded-for": "203.0.113.7"}
    location = locate_caller(country, country_header="CF-IPCountry", **settings)
    assert location.place is not None
    assert (location.place.latitude, location.country, location.country_why) == (-33.87, "NZ", "header CF-IPCountry")


def test_a_country_from_nobody_trusted_or_of_no_shape_is_none() -> None:
    for peer, country in (("192.0.2.1", "DE"), ("10.0.0.1", "XX"), ("10.0.0.1", "Germany"), ("10.0.0.1", "")):
        headers = {"cf-ipcountry": country}
        location = locate_caller(headers, peer=peer, trusted_proxies=PROXIES, country_header="CF-IPCountry")
        assert location.country == ""


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {"location": 3},
        {"location": {"latitude": "1", "longitude": 2}},
        {"location": {"latitude": 91, "longitude": 2}},
        {"location": {"latitude": 1}},
        {"country": {"iso_code": 4}},
    ],
)
def test_a_record_that_tells_nothing_falls_back(record: object) -> None:
    location = locate_address("203.0.113.9", database=Records({"203.0.113.9": record}), configured=HOME)
    assert (location.place, location.country) == (HOME, "")


def test_an_address_of_another_family_is_not_in_the_database() -> None:
    assert locate_address("2001:db8::1", database=DATABASE, configured=HOME).place == HOME


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # nobody's word but the caller's own
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # what stands before is hearsay
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),  # two of our proxies
        ("10.0.0.1", "10.9.9.9", "10.9.9.9"),  # a caller among the proxies
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "2001:DB9:0::1", "2001:db9::1"),
        ("not an address", "198.51.100.1", "not an address"),
    ],
)
def test_the_rightmost_address_that_is_no_proxy_is_the_callers(peer: str, forwarded: str, address: str) -> None:
    assert address_of_caller({"x-forwarded-for": forwarded}, peer=peer, trusted_proxies=PROXIES) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:7:8::9", "2001:db8:7::/48"),
        ("nobody", ""),
    ],
)
def test_networks_by_which_round_trips_are_remembered(address: str, network: str) -> None:
    assert network_of(address) == network
