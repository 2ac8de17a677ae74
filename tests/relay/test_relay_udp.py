"""Sockets: marked, large, never blocking, and honest about what was lost."""

import socket
from collections import Counter

import pytest

from relay.udp import MAX_DATAGRAM, UdpDropReason, address_of, canonical, drain, open_udp, send_batch

FAMILIES = pytest.mark.parametrize("host", ["127.0.0.1", "::1"], ids=["ipv4", "ipv6"])


@pytest.fixture
def open_socket():
    sockets = []

    def open_one(host="127.0.0.1", port=0, on_warning=lambda _: None):
        sock = open_udp(host, port, on_warning=on_warning)
        sockets.append(sock)
        return sock

    yield open_one
    for sock in sockets:
        sock.close()


@FAMILIES
def test_datagrams_come_out_with_a_pair_for_a_source(open_socket, host):
    here, there = open_socket(host), open_socket(host)
    send_batch(there, [(b"one", address_of(here)), (b"", address_of(here))], Counter())
    assert drain(here) == [(b"one", address_of(there)), (b"", address_of(there))]
    assert drain(here) == []


def test_a_batch_ends_at_its_limit(open_socket):
    here, there = open_socket(), open_socket()
    send_batch(there, [(bytes((n,)), address_of(here)) for n in range(10)], Counter())
    assert [data[0] for data, _ in drain(here, 6)] == [0, 1, 2, 3, 4, 5]
    assert [data[0] for data, _ in drain(here, 6)] == [6, 7, 8, 9]


@pytest.mark.parametrize("size", [MAX_DATAGRAM, MAX_DATAGRAM + 1, 65_507])
def test_what_is_too_long_is_cut_so_that_it_shows(open_socket, size):
    here, there = open_socket(), open_socket()
    send_batch(there, [(bytes(size), address_of(here))], Counter())
    ((data, _),) = drain(here)
    assert len(data) == min(size, MAX_DATAGRAM + 1)


def test_a_full_buffer_drops_and_counts(open_socket):
    """A socket that cannot send at once: the kernel's answer is the same whatever the reason."""

    class Full:
        def sendto(self, data, destination):
            raise BlockingIOError

    drops = Counter()
    send_batch(Full(), [(b"x", ("127.0.0.1", 9))] * 3, drops)
    assert drops == {UdpDropReason.SEND_BUFFER_FULL: 3}


def test_what_cannot_be_sent_is_counted_and_the_rest_goes_out(open_socket):
    here, there = open_socket(), open_socket()
    drops = Counter()
    datagrams = [(b"no", ("127.0.0.1", 0)), (bytes(70_000), address_of(here)), (b"yes", address_of(here))]
    send_batch(there, datagrams, drops)
    assert drops == {UdpDropReason.UNSENDABLE: 2}
    assert drain(here) == [(b"yes", address_of(there))]


def test_datagrams_are_marked_for_low_delay(open_socket):
    assert open_socket("127.0.0.1").getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xB8
    assert open_socket("::1").getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0xB8


def test_ipv6_sockets_take_ipv6_only(open_socket):
    both = open_socket("::")
    open_socket("0.0.0.0", address_of(both)[1])  # noqa: S104 - the same port must be free


def test_the_operator_is_told_when_buffers_are_small(open_socket, monkeypatch):
    warnings = []
    monkeypatch.setattr("relay.udp.BUFFER_SIZE", 1 << 30)
    open_socket(on_warning=warnings.append)
    assert ["rmem_max" in warnings[0], "wmem_max" in warnings[1]] == [True, True]
    warnings.clear()
    monkeypatch.setattr("relay.udp.BUFFER_SIZE", 4096)
    open_socket(on_warning=warnings.append)
    assert warnings == []


def test_a_socket_that_cannot_be_bound_is_closed(open_socket, monkeypatch, recwarn):
    taken = open_socket()
    with pytest.raises(OSError, match="in use"):
        open_udp(*address_of(taken), on_warning=lambda _: None)
    assert [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)] == []


def test_addresses_are_spelled_as_the_kernel_spells_them():
    assert canonical(("2001:DB8:0:0::1", 5)) == ("2001:db8::1", 5)
    assert canonical(("192.0.2.1", 5)) == ("192.0.2.1", 5)
    with pytest.raises(OSError, match="illegal"):
        canonical(("relay.example", 5))
