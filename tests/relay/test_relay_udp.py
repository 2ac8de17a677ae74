"""Sockets: marked, large, never blocking, and honest about what was lost."""

import socket
from collections import Counter
from functools import partial

import pytest

from relay.batches import BatchReceiver
from relay.mmsg import SendSlots
from relay.udp import (
    BATCH,
    MAX_DATAGRAM,
    UdpDropReason,
    address_of,
    batch_sender,
    canonical,
    drain,
    lost_on_arrival,
    open_udp,
    send_batch,
)

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


@pytest.fixture
def receiver(datapath):
    """Makes what takes a batch from a socket."""
    return lambda sock: BatchReceiver(sock).receive if datapath == "mmsg" else lambda: drain(sock)


class SlotSender:
    """Sends from slots what `send_batch` sends by itself."""

    def __init__(self, sock, drops):
        self.slots = SendSlots(sock, drops)

    def send(self, datagrams):
        for data, destination in datagrams:
            self.slots.add(data, destination)
        self.slots.flush()


@pytest.fixture(params=["parts", "batch_sender"])
def sender(request, datapath):
    """Makes what sends a batch from a socket, and the counter of what it drops."""

    def make(sock):
        drops = Counter()
        if request.param == "batch_sender":
            return batch_sender(sock, drops), drops
        return SlotSender(sock, drops).send if datapath == "mmsg" else partial(send_batch, sock, drops=drops), drops

    return make


@FAMILIES
def test_datagrams_come_out_with_a_pair_for_a_source(open_socket, host, receiver, sender):
    here, there = open_socket(host), open_socket(host)
    receive, (send, drops) = receiver(here), sender(there)
    send([(b"one", address_of(here)), (b"", address_of(here))])
    assert receive() == [(b"one", address_of(there)), (b"", address_of(there))]
    assert receive() == []
    assert not drops


@FAMILIES
def test_what_goes_in_comes_out_in_order_whatever_its_length(open_socket, host, receiver, sender):
    """Slots are used again: what a longer datagram left there must not show behind a shorter one."""
    here, other, there = open_socket(host), open_socket(host), open_socket(host)
    receive, receive_other, (send, drops) = receiver(here), receiver(other), sender(there)
    send([])
    for sizes in ([1472, MAX_DATAGRAM, 0, 1, 28], [1, 0, 1472, 27, 2], [3] * 150):
        datagrams = [bytes((number % 251 + 1,)) * size for number, size in enumerate(sizes)]
        send([(data, address_of(other if data[:1] == b"\x02" else here)) for data in datagrams])
        got = [data for _ in range(3) for data, _ in receive()]
        got_by_other = [data for _ in range(3) for data, _ in receive_other()]
        assert got == [data for data in datagrams if data[:1] != b"\x02"]
        assert got_by_other == [data for data in datagrams if data[:1] == b"\x02"]
    assert not drops


def test_no_more_than_a_batch_is_taken_at_once(open_socket, receiver, sender):
    here, there = open_socket(), open_socket()
    receive, (send, _) = receiver(here), sender(there)
    send([(b"%d" % number, address_of(here)) for number in range(BATCH + 3)])
    assert [int(data) for data, _ in receive()] == list(range(BATCH))
    assert [int(data) for data, _ in receive()] == [BATCH, BATCH + 1, BATCH + 2]


def test_a_batch_ends_at_its_limit(open_socket):
    here, there = open_socket(), open_socket()
    send_batch(there, [(bytes((n,)), address_of(here)) for n in range(10)], Counter())
    assert [data[0] for data, _ in drain(here, 6)] == [0, 1, 2, 3, 4, 5]
    assert [data[0] for data, _ in drain(here, 6)] == [6, 7, 8, 9]


@pytest.mark.parametrize("size", [MAX_DATAGRAM, MAX_DATAGRAM + 1, 65_507])
def test_what_is_too_long_is_cut_so_that_it_shows(open_socket, size, receiver, sender):
    here, there = open_socket(), open_socket()
    receive, (send, _) = receiver(here), sender(there)
    send([(bytes(size), address_of(here))])
    ((data, _),) = receive()
    assert len(data) == min(size, MAX_DATAGRAM + 1)


def test_a_full_buffer_drops_and_counts(open_socket):
    """A socket that cannot send at once: the kernel's answer is the same whatever the reason."""

    class Full:
        def sendto(self, data, destination):
            raise BlockingIOError

    drops = Counter()
    send_batch(Full(), [(b"x", ("127.0.0.1", 9))] * 3, drops)
    assert drops == {UdpDropReason.SEND_BUFFER_FULL: 3}


def test_what_cannot_be_sent_is_counted_and_the_rest_goes_out(open_socket, receiver, sender):
    here, there = open_socket(), open_socket()
    receive, (send, drops) = receiver(here), sender(there)
    good = (b"yes", address_of(here))
    bad = [(b"no", ("127.0.0.1", 0)), (bytes(70_000), address_of(here)), (b"no", ("127.0.0.1", 65_536))]
    bad += [(b"other family", ("::1", 9)), (b"no address", ("fe80::1%nowhere", 9))]
    send([good, *bad, good, bad[0], bad[3]])
    assert drops == {UdpDropReason.UNSENDABLE: 7}
    assert receive() == [(b"yes", address_of(there))] * 2


def test_a_destination_that_refused_stops_nothing(open_socket, receiver, sender):
    """ICMP port unreachable comes back from a port that nobody listens on."""
    here, there, closed = open_socket(), open_socket(), open_socket()
    nobody = address_of(closed)
    closed.close()
    receive, receive_there, (send, drops) = receiver(here), receiver(there), sender(there)
    for _ in range(3):
        send([(b"x", nobody), (b"y", address_of(here))])
        assert receive_there() == []
    assert [data for data, _ in receive()] == [b"y"] * 3
    assert not drops


def test_what_arrives_at_a_full_buffer_is_counted(open_socket, sender):
    here, there = open_socket(), open_socket()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    send, _ = sender(there)
    assert lost_on_arrival(here) == 0
    send([(bytes(1000), address_of(here))] * 50)
    held = len(drain(here))
    assert 0 < held < 50
    assert lost_on_arrival(here) == 50 - held
    here.close()
    assert lost_on_arrival(here) == 0


def test_datagrams_are_marked_for_low_delay(open_socket):
    assert open_socket("127.0.0.1").getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xB8
    assert open_socket("::1").getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0xB8


def test_ipv6_sockets_take_ipv6_only(open_socket):
    both = open_socket("::")
    open_socket("0.0.0.0", address_of(both)[1])  # noqa: S104 - the same port must be free


def test_the_operator_is_told_when_buffers_are_small(open_socket, monkeypatch):
    warnings = []
    monkeypatch.setattr("relay.binding.BUFFER_SIZE", 1 << 30)
    open_socket(on_warning=warnings.append)
    assert ["rmem_max" in warnings[0], "wmem_max" in warnings[1]] == [True, True]
    warnings.clear()
    monkeypatch.setattr("relay.binding.BUFFER_SIZE", 4096)
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
