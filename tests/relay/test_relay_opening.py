"""A relay that is started in the place of another: what waits in the sockets is not lost, whoever sent it."""

import os
import socket
import time

import pytest
import trio

from relay.drops import DropReason
from relay.hop.bundles import parts_of
from relay.hop.header import CONTROL, DOWN, UP, pack_header, parse_header
from relay.hop.links import FlowsWanted, TransceiverLink
from relay.hop.messages import Confirm, Hello, Ping
from relay.opening import CATCH_UP, STALE
from relay.sockets import IngressBinding, open_sockets
from relay.udp import address_of, open_udp
from relay.worker import RelayKeys, RelayOptions, RelayWorker
from stun.credentials import Route

INCARNATION = 77
INGRESS = 5
HERE = ("127.0.0.1", 0)
pytestmark = pytest.mark.usefixtures("datapath")


class Transceiver:
    """Answers relays; what it has to say to clients says the test."""

    def __init__(self, kit) -> None:
        self.sock = open_udp(*HERE, on_warning=lambda _: None)
        self.address = address_of(self.sock)
        self.heard: list[bytes] = []
        self.link = TransceiverLink(
            keys=kit.hop_keys, cluster=1, incarnation=INCARNATION, worker=0, entropy=os.urandom, now=trio.current_time()
        )
        self.flows: list[bytes] = []
        self.pauses: dict[type, float] = {}

    async def run(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self.sock)
            data, source = self.sock.recvfrom(4096)
            if data[0] != CONTROL:
                self.heard += [part[parse_header(part).size :] for part in parts_of(data) or [data]]
                continue
            for kind, seconds in self.pauses.items():
                if data[1] == kind.KIND:
                    await trio.sleep(seconds)
            for event in self.link.receive_control(data, source, trio.current_time()):
                if isinstance(event, FlowsWanted):
                    self.link.tell.announce(event.address, self.flows)
            for answer, relay in self.link.datagrams_to_send(trio.current_time()):
                self.sock.sendto(answer, relay)


@pytest.fixture
def transceiver(kit, nursery):
    with (made := Transceiver(kit)).sock:
        nursery.start_soon(made.run)
        yield made
        nursery.cancel_scope.cancel()


@pytest.fixture
def client():
    with open_udp(*HERE, on_warning=lambda _: None) as sock:
        yield sock


@pytest.fixture
def sockets():
    opened = open_sockets(HERE, [IngressBinding(id=INGRESS, bind=HERE)], on_warning=lambda _: None)
    yield opened
    opened.close()


@pytest.fixture
def worker(kit, sockets):
    """Make a relay on the same sockets."""
    keys = RelayKeys(credentials=kit.credentials, hop=kit.hop_keys, flow_tags=kit.flow_tags)

    def make(*transceivers) -> RelayWorker:
        options = RelayOptions(hop=HERE, ingresses=[IngressBinding(id=INGRESS, bind=HERE)], transceivers=transceivers)
        return RelayWorker(options, keys, sockets=sockets)

    return make


async def until(condition) -> None:
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - of sans-IO objects, for some milliseconds
            await trio.sleep(0.001)


async def next_of(sock: socket.socket) -> bytes:
    with trio.fail_after(5):
        await trio.lowlevel.wait_readable(sock)
    return sock.recv(4096)


async def test_what_waits_in_the_sockets_is_forwarded_both_ways(kit, nursery, transceiver, client, sockets, worker):
    def down(payload: bytes) -> bytes:
        tag = kit.flow_tags.make(INGRESS, 9, address_of(client))
        header = pack_header(
            DOWN, ingress=INGRESS, client=address_of(client), session=9, tag=tag, validated=True, generation=1
        )
        return header + payload

    # Nobody reads: this is all there between two lives of a relay.
    for number in range(50):
        transceiver.sock.sendto(down(b"\x80down %d" % number), address_of(sockets.hop))
        client.sendto(b"\x80up %d" % number, address_of(sockets.ingresses[INGRESS]))
    relay = await nursery.start(worker(transceiver.address).run)
    assert [await next_of(client) for _ in range(50)] == [b"\x80down %d" % number for number in range(50)]
    await until(lambda: len(transceiver.heard) == 50)
    assert transceiver.heard == [b"\x80up %d" % number for number in range(50)]
    assert not relay.drops


@pytest.mark.parametrize("seconds", [0.02, 1.5 * CATCH_UP])
@pytest.mark.parametrize("before", [Hello, Confirm])
async def test_a_transceiver_that_is_held_up_loses_no_client(
    kit, transceiver, nursery, client, sockets, worker, before, seconds
):
    """Before it answers, or between its answer and its announcement."""
    tag = kit.flow_tags.make(INGRESS, 9, address_of(client))
    transceiver.flows = [pack_header(UP, ingress=INGRESS, client=address_of(client), session=9, tag=tag)]
    transceiver.pauses = {before: seconds}
    for number in range(4):
        client.sendto(b"\x80up %d" % number, address_of(sockets.ingresses[INGRESS]))
    relay = await nursery.start(worker(transceiver.address).run)
    await until(relay.is_forwarding.is_set)
    await until(lambda: len(transceiver.heard) + sum(relay.drops.values()) == 4)
    assert not relay.drops


async def test_who_is_never_heard_to_the_end_is_waited_for_no_longer_than_matters(
    autojump_clock, transceiver, nursery, client, sockets, worker
):
    transceiver.pauses = {Ping: 10.0}
    client.sendto(b"\x80 from an unknown client", address_of(sockets.ingresses[INGRESS]))
    before = trio.current_time()
    relay = await nursery.start(worker(transceiver.address).run)
    await until(lambda: relay.drops[DropReason.NO_FLOW])
    assert STALE <= trio.current_time() - before < STALE + 1


async def test_lent_sockets_outlive_the_worker(nursery, transceiver, client, sockets, worker):
    for _ in range(2):
        async with trio.open_nursery() as life:
            relay = await life.start(worker(transceiver.address).run)
            links = relay.forwarder.links
            await until(lambda links=links: links.up)
            life.cancel_scope.cancel()
    assert address_of(sockets.hop) == relay.hop_address
    sockets.close()
    assert [sock.fileno() for sock in sockets] == [-1, -1]


async def test_a_transceiver_that_is_dead_is_waited_for_a_moment_only(kit, nursery, transceiver, client, worker):
    with open_udp(*HERE, on_warning=lambda _: None) as dead:
        ufrag = kit.credentials.mint(
            Route(cluster=1, incarnation=INCARNATION, worker=0, session=9, minted=int(time.time()))
        )
        request = kit.binding_request(ufrag, kit.credentials.password(ufrag))
        relay = worker(transceiver.address, address_of(dead))
        client.sendto(request, relay.ingress_addresses[INGRESS])
        before = trio.current_time()
        await nursery.start(relay.run)
        await until(lambda: transceiver.heard)
        assert CATCH_UP <= trio.current_time() - before < 1
        assert transceiver.heard == [request]
        assert not relay.drops[DropReason.UNKNOWN_TRANSCEIVER]


async def test_what_nobody_vouches_for_is_counted_in_the_end(nursery, transceiver, client, sockets, worker):
    client.sendto(b"\x02 from nobody", address_of(sockets.hop))
    relay = await nursery.start(worker(transceiver.address).run)
    await until(lambda: relay.drops)
    assert relay.drops == {DropReason.UNKNOWN_PEER: 1}
