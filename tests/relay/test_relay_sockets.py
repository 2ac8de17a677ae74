"""Sockets that an earlier program had bound: used again where they are wanted, and closed where not."""

import socket

import pytest

from relay.sockets import HOP, GivenSockets, IngressBinding, open_sockets
from relay.udp import address_of

HERE = ("127.0.0.1", 0)


def no_warning(_: str) -> None:
    pass


@pytest.fixture
def bound():
    opened = open_sockets(
        HERE,
        [IngressBinding(id=5, bind=HERE), IngressBinding(id=6, bind=HERE, protocol="tcp")],
        on_warning=no_warning,
    )
    yield opened
    opened.close()


@pytest.fixture
def given(bound):
    sockets = GivenSockets()
    for purpose, sock in zip(bound.purposes, bound, strict=True):
        sockets.add(0, purpose, sock.dup())
    yield sockets
    sockets.close()


def wanted(bound):
    udp, tcp = address_of(bound.ingresses[5]), address_of(bound.listeners[6])
    return address_of(bound.hop), [
        IngressBinding(id=5, bind=udp),
        IngressBinding(id=6, bind=tcp, protocol="tcp"),
    ]


def test_they_are_used_where_they_are_wanted_with_what_waits_in_them(bound, given) -> None:
    hop, ingresses = wanted(bound)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"waits", ingresses[0].bind)
    again = open_sockets(hop, ingresses, on_warning=no_warning, given=given)
    assert [address_of(sock) for sock in again] == [address_of(sock) for sock in bound]
    assert again.ingresses[5].recv(100) == b"waits"
    assert len(given) == 0
    again.close()


def test_a_port_of_the_kernels_choice_stays(bound, given) -> None:
    again = open_sockets(HERE, [IngressBinding(id=5, bind=HERE)], on_warning=no_warning, given=given)
    assert [address_of(sock) for sock in again] == [address_of(bound.hop), address_of(bound.ingresses[5])]
    assert len(given) == 1, "the ingress that there is no more"
    again.close()


@pytest.mark.parametrize(
    ("worker", "purpose", "kind", "host"),
    [
        (1, 5, socket.SOCK_DGRAM, "127.0.0.1"),
        (0, 7, socket.SOCK_DGRAM, "127.0.0.1"),
        (0, 5, socket.SOCK_STREAM, "127.0.0.1"),
        (0, 5, socket.SOCK_DGRAM, "127.0.0.2"),
        (0, HOP, socket.SOCK_DGRAM, "127.0.0.2"),
    ],
)
def test_others_are_not_given_away(given, worker, purpose, kind, host) -> None:
    assert given.take(worker, purpose, kind, (host, 0)) is None
    assert len(given) == 3
    given.close()
    assert len(given) == 0


def test_a_worker_more_can_share_the_port_of_one_that_was_alone(bound, given) -> None:
    hop, ingresses = wanted(bound)
    with pytest.raises(OSError, match="in use"):
        open_sockets(HERE, ingresses, on_warning=no_warning, reuse_port=True, worker=1, given=given)
    given.share_ports()
    first = open_sockets(hop, ingresses, on_warning=no_warning, reuse_port=True, given=given)
    second = open_sockets(HERE, ingresses, on_warning=no_warning, reuse_port=True, worker=1, given=given)
    assert address_of(second.ingresses[5]) == address_of(first.ingresses[5])
    first.close()
    second.close()
