"""Addresses as the kernel writes them, read and written back."""

import socket

import pytest

from relay.sockaddr import IPV4_SIZE, IPV6_SIZE, parse_sockaddr, serialize_sockaddr

ADDRESSES = [("127.0.0.1", 3478), ("255.254.253.252", 65_535), ("0.0.0.0", 0), ("::1", 1), ("2001:db8::ff", 65_535)]  # noqa: S104


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_written_is_read(address):
    data = serialize_sockaddr(address)
    assert len(data) == (IPV6_SIZE if ":" in address[0] else IPV4_SIZE)
    assert parse_sockaddr(data) == address


def test_the_layout_is_that_of_linux():
    assert serialize_sockaddr(("192.0.2.1", 0x1234)) == bytes.fromhex("0200 1234 c0000201 0000000000000000")
    loopback = bytes.fromhex("0a00 1234 00000000") + bytes(15) + b"\x01" + bytes(4)
    assert serialize_sockaddr(("::1", 0x1234)) == loopback


def test_a_zone_is_an_interface():
    scope = socket.if_nametoindex("lo")
    data = serialize_sockaddr(("fe80::1%lo", 9))
    assert data[-4:] == scope.to_bytes(4, "little")
    assert parse_sockaddr(data) == ("fe80::1%lo", 9)


def test_a_zone_whose_interface_has_gone_is_its_number():
    data = serialize_sockaddr(("fe80::1", 9))[:-4] + (987_654).to_bytes(4, "little")
    assert parse_sockaddr(data) == ("fe80::1%987654", 9)


@pytest.mark.parametrize(
    "address", [("relay.example", 1), ("1.2.3", 1), ("::1::", 1), ("fe80::1%nowhere", 1), ("127.0.0.1", 65_536)]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises((OSError, OverflowError)):
        serialize_sockaddr(address)
