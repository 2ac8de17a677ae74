"""A caller's own headers never steer it; a trusted proxy's do."""

from ipaddress import ip_network

import pytest

from geo.caller import is_trusted, locate_caller
from geo.regions import Place

HOME = Place(latitude=50, longitude=8, why="configured")
NAMES = ("CF-IPLatitude", "CF-IPLongitude")
PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
HEADERS = {"cf-iplatitude": "40.71", "cf-iplongitude": "-74.0"}


def locate(headers: dict[str, str], peer: str) -> Place | None:
    return locate_caller(headers, peer=peer, trusted_proxies=PROXIES, header_names=NAMES, configured=HOME)


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
    assert locate_caller(HEADERS, peer="10.1.2.3", trusted_proxies=PROXIES) is None


def test_a_proxy_may_come_in_as_a_mapped_address() -> None:
    assert is_trusted("::ffff:10.0.0.1", PROXIES)
    assert is_trusted("2001:db8::9", PROXIES)
    assert not is_trusted("::ffff:11.0.0.1", PROXIES)
