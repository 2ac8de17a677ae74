"""Sockets that are bound to a wildcard answer from the address that was asked. All of 127.0.0.0/8 is ours."""

import os
import socket
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from relay import mmsg
from relay.forwarder import Forwarder
from relay.hop.header import answering, parse_header
from relay.hop.links import TransceiverLink
from relay.local_addresses import MAX_LOCAL_ADDRESSES, LocalAddresses, PacketInfo, egress_of, ingress_of, is_wildcard
from relay.mmsg import SendSlots
from relay.plain_path import PlainPath
from relay.slot_path import SlotPath
from relay.udp import UdpDropReason, address_of, open_udp

NOW = 1000.0
INGRESS = 700
CLIENT = ("192.0.2.1", 40000)
RTP = b"\x80 media"
ANSWER = b"\x01\x01 answer"
IP_PKTINFO = 8
ANY = "0.0.0.0"  # noqa: S104 - what is tested


class Relay:
    """A relay with one ingress, and a transceiver beside it."""

    def __init__(self, stack: ExitStack, kit, host: str) -> None:
        self._stack, self._kit = stack, kit
        self.public = self.open(host)
        self.hop, self.transceiver = self.open("127.0.0.1"), self.open("127.0.0.1")
        self.forwarder = Forwarder(
            credentials=kit.credentials,
            hop_keys=kit.hop_keys,
            flow_tags=kit.flow_tags,
            ingresses=[INGRESS],
            transceivers=[address_of(self.transceiver)],
            entropy=os.urandom,
            now=NOW,
        )
        self.drops = Counter()
        path = SlotPath if mmsg.is_available() else PlainPath
        self.path = path(self.forwarder, self.hop, {INGRESS: self.public}, self.drops)
        link = TransceiverLink(keys=kit.hop_keys, cluster=1, incarnation=5, worker=0, entropy=os.urandom, now=NOW)
        self.forwarder.handle_timeout(NOW)
        self.forward()
        for _ in range(2):
            for data in taken(self.transceiver):
                list(link.receive_control(data, address_of(self.hop), NOW))
            for data, relay in link.datagrams_to_send(NOW):
                self.transceiver.sendto(data, relay)
            self.forward()
        taken(self.transceiver)

    def open(self, host: str) -> socket.socket:
        return self._stack.enter_context(open_udp(host, 0, on_warning=str))

    def forward(self, now: float = NOW) -> None:
        for receive in self.path.receivers.values():
            receive(now)
        self.path.flush()

    def client(self, host: str) -> socket.socket:
        """A client that takes nothing but from the address that it sends to."""
        sock = self.open("::1" if ":" in host else "127.0.0.1")
        sock.connect((host, address_of(self.public)[1]))
        return sock

    def request(self, session: int) -> bytes:
        ufrag = self._kit.credentials.mint(self._kit.route(1, 5, session, int(time.time())))
        return self._kit.binding_request(ufrag, self._kit.credentials.password(ufrag))

    def up(self, client: socket.socket, data: bytes) -> bytes:
        """Have a client say something; return the UP header with which it arrived."""
        client.send(data)
        self.forward()
        (arrived,) = taken(self.transceiver)
        size = parse_header(arrived).size
        assert arrived[size:] == data
        return arrived[:size]

    def down(self, up_header: bytes, data: bytes, *, validated: bool) -> None:
        self.transceiver.sendto(answering(up_header, validated=validated) + data, address_of(self.hop))
        self.forward()


def taken(sock: socket.socket) -> list[bytes]:
    received = []
    try:
        while True:
            received.append(sock.recv(70_000))
    except BlockingIOError:
        return received


@pytest.fixture
def make_relay(kit, datapath):
    with ExitStack() as stack:
        yield lambda host: Relay(stack, kit, host)


@pytest.mark.parametrize(("wildcard", "hosts"), [(ANY, ["127.0.0.2", "127.0.0.3", "127.0.0.1"]), ("::", ["::1"])])
def test_answers_leave_from_where_the_client_asked(make_relay, wildcard, hosts):
    relay = make_relay(wildcard)
    clients = [relay.client(host) for host in hosts]
    headers = [relay.up(client, relay.request(session)) for session, client in enumerate(clients)]
    for validated in (False, True, True):
        for client, header in zip(clients, headers, strict=True):
            relay.down(header, ANSWER, validated=validated)
            assert taken(client) == [ANSWER]
            assert relay.up(client, RTP) == header
    assert not relay.drops
    assert not relay.forwarder.drops


def test_who_gets_no_claim_is_answered_from_where_it_asked_too(make_relay):
    """Its address is full of others' claims; the proof that follows knows the way as well."""
    relay = make_relay(ANY)
    client = relay.client("127.0.0.2")
    for session in (1, 2):
        relay.up(client, relay.request(session))
    header = relay.up(client, relay.request(3))
    assert relay.forwarder.counts["unclaimed"] == 1
    relay.down(header, ANSWER, validated=False)
    assert taken(client) == [ANSWER]
    for _ in range(2):
        relay.down(header, ANSWER, validated=True)
        assert taken(client) == [ANSWER]


def test_a_flow_that_is_relearned_is_answered_right_from_its_next_request_on(make_relay):
    relay = make_relay(ANY)
    client = relay.client("127.0.0.2")
    header = relay.up(client, relay.request(1))
    for claim in relay.forwarder.table.claims_of(1):
        relay.forwarder.table.remove(claim)
    relay.down(header, ANSWER, validated=True)
    assert taken(client) == []  # it left from an address of the kernel's choice
    relay.up(client, relay.request(1))
    relay.down(header, ANSWER, validated=True)
    assert taken(client) == [ANSWER]


def test_a_socket_that_is_bound_to_an_address_asks_for_nothing(make_relay):
    """Control messages cost something; only a wildcard needs them."""
    relay = make_relay("127.0.0.1")
    client = relay.client("127.0.0.1")
    relay.down(relay.up(client, relay.request(1)), ANSWER, validated=True)
    assert taken(client) == [ANSWER]
    assert relay.public.getsockopt(socket.IPPROTO_IP, IP_PKTINFO) == 0
    assert list(relay.forwarder.to_clients) == [INGRESS]
    assert not is_wildcard(relay.public)


def test_who_asks_at_too_many_addresses_costs_no_more(make_relay, monkeypatch):
    monkeypatch.setattr("relay.local_addresses.MAX_LOCAL_ADDRESSES", 2)
    relay = make_relay(ANY)
    for number in range(2, 7):
        client = relay.client(f"127.0.0.{number}")
        header = relay.up(client, relay.request(number))
        relay.down(header, ANSWER, validated=True)
        assert bool(taken(client)) == (number <= 3)
    assert len(relay.forwarder.to_clients) == 3


# Who may turn the answers.


def local_of(world, session):
    claim = world.claim(session)
    assert claim.ingress == ingress_of(claim.egress) == 1
    return claim.egress >> 16


def ask(world, data, local, client=CLIENT):
    world.forwarder.to_clients.setdefault(egress_of(1, local), [])
    world.forwarder.receive_from_client(data, client, 1, world.now, world.unix_time, local)
    world.pump()


def test_an_unproven_claim_follows_its_verified_requests_and_a_proven_one_stays(world, kit):
    first, _ = world.transceivers
    request, forged = first.request(7), kit.binding_request(first.mint(7), "x" * 32)
    ask(world, request, 1)
    ask(world, forged, 2)
    assert local_of(world, 7) == 1
    ask(world, request, 2)
    assert local_of(world, 7) == 2
    world.transceiver_sends(first, 7, CLIENT, RTP, validated=True)
    for _ in range(3):
        ask(world, request, 1)
        assert local_of(world, 7) == 2
        world.pass_time(5.0)


def test_a_relearned_claim_takes_the_first_verified_request(world, kit):
    first, _ = world.transceivers
    request, forged = first.request(7), kit.binding_request(first.mint(7), "x" * 32)
    world.transceiver_sends(first, 7, CLIENT, RTP, validated=True)
    assert local_of(world, 7) == 0
    ask(world, forged, 2)
    ask(world, RTP, 2)
    assert local_of(world, 7) == 0
    ask(world, request, 1)
    ask(world, request, 2)
    assert local_of(world, 7) == 1


# The numbers and the control messages.


def test_local_addresses_are_numbered_and_bounded():
    local = LocalAddresses()
    addresses = [bytes((127, 0, 1, number)) for number in range(MAX_LOCAL_ADDRESSES + 2)]
    numbers = [local.number_of(address) for address in addresses]
    assert numbers == [*range(1, MAX_LOCAL_ADDRESSES + 1), 0, 0]
    assert [local.number_of(address) for address in addresses] == numbers
    assert local.number_of(b"") == 0
    assert LocalAddresses().number_of(b"") == 0


@pytest.mark.parametrize(
    ("wildcard", "local", "foreign"), [(ANY, "127.0.0.1", "192.0.2.1"), ("::", "::1", "2001:db8::1")]
)
def test_the_kernel_does_what_the_control_message_says(wildcard, local, foreign):
    """It sends from no address that is not ours."""
    if not mmsg.is_available():
        pytest.skip("this system has no sendmmsg")
    family = socket.AF_INET6 if ":" in wildcard else socket.AF_INET
    with open_udp(wildcard, 0, on_warning=str) as sock, open_udp(local, 0, on_warning=str) as sink:
        info = PacketInfo(sock)
        for host in (local, foreign):
            drops = Counter()
            sending = SendSlots(sock, drops, info.serialize(socket.inet_pton(family, host)))
            sending.add(b"x", address_of(sink))
            sending.flush()
            assert (len(taken(sink)), drops[UdpDropReason.UNSENDABLE]) == ((1, 0) if host == local else (0, 1))


def test_another_control_message_tells_no_address():
    with open_udp(ANY, 0, on_warning=str) as sock:
        info = PacketInfo(sock)
        assert info.parse(bytes(info.size)) == b""
        assert info.address_of_ancillary([(1, 2, bytes(12))]) == b""
