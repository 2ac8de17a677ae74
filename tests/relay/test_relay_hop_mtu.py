"""The arithmetic of `relay.hop.mtu`, against what the code really makes."""

import itertools
import socket
from collections import Counter

import pytest

from dtls.options import DtlsOptions
from relay.hop import announcing
from relay.hop.header import UP, pack_header
from relay.hop.messages import Announce, Confirm
from relay.hop.mtu import LEAST_MTU, LONGEST_CLIENT_DATAGRAM, never_fragment, packet_size
from relay.hop.sealing import seal
from relay.hop.tunnel import Tunnel
from relay.udp import open_udp
from sctp.options import SctpOptions

DTLS_RECORD = 13 + 8 + 16
"""RFC 6347 §4.1, RFC 5288 §3: header, explicit nonce and tag; those of DTLS 1.3 are shorter."""


def test_the_longest_packet_is_as_long_as_it_says():
    sizes = [
        packet_size(LONGEST_CLIENT_DATAGRAM, is_client_ipv6=client, is_hop_ipv6=hop, is_sealed=sealed)
        for client, hop, sealed in itertools.product([False, True], repeat=3)
    ]
    assert max(sizes) == LEAST_MTU
    assert min(sizes) == LONGEST_CLIENT_DATAGRAM + 56


@pytest.mark.parametrize("client", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_packet_is_as_long_as_it_is_said_to_be(kit, client, is_sealed):
    data = pack_header(UP, ingress=1, client=(client, 1), session=1, tag=bytes(8)) + bytes(1000)
    if is_sealed:
        data = Tunnel(keys=lambda: kit.hop_keys, number=1, peer=2, count=lambda: 1).seal(data)
    said = packet_size(1000, is_client_ipv6=":" in client, is_hop_ipv6=False, is_sealed=is_sealed)
    assert len(data) + 28 == said


def test_our_own_protocols_stay_below():
    assert DtlsOptions().mtu <= LONGEST_CLIENT_DATAGRAM
    assert SctpOptions().mtu + DTLS_RECORD <= LONGEST_CLIENT_DATAGRAM


def test_the_longest_control_messages_stay_below(kit):
    header = pack_header(UP, ingress=1, client=("2001:db8::1", 1), session=1, tag=bytes(8))
    telling = announcing.Announcements(0.0, Counter())
    telling.add([header[:24] + number.to_bytes(16, "big") for number in range(100)])
    first = next(iter(telling.messages(0.0)))
    longest = Confirm(cookie=bytes(16), ingresses=tuple(range(255)))
    for message in (first, longest, Announce(number=1, headers=(header[:24] + bytes(16),) * len(first.headers))):
        sealed = seal(kit.hop_keys, message, sender=1, counter=1, receiver=2)
        assert len(sealed) <= announcing.MAX_MESSAGE <= LONGEST_CLIENT_DATAGRAM
    assert len(seal(kit.hop_keys, first, sender=1, counter=1, receiver=2)) + 40 > announcing.MAX_MESSAGE


@pytest.mark.parametrize(("host", "level", "option"), [("127.0.0.1", socket.IPPROTO_IP, 10), ("::1", 41, 23)])
def test_hop_sockets_never_fragment(host, level, option):
    with open_udp(host, 0, on_warning=lambda _: None) as sock:
        never_fragment(sock)
        assert sock.getsockopt(level, option) == 3
