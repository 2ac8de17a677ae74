"""The loop on real loopback sockets: client ↔ relay ↔ transceiver."""

import os
import socket
import time
from contextlib import closing

import pytest
import trio

from relay.datagrams import RELAY_BATCH
from relay.drops import DropReason
from relay.hop.bundles import parts_of
from relay.hop.header import CONTROL, answering, parse_header
from relay.hop.keys import HopKeys
from relay.hop.links import TransceiverLink
from relay.sockets import open_sockets
from relay.tags import FlowTags
from relay.udp import UdpDropReason, address_of, open_udp
from relay.worker import IngressBinding, RelayKeys, RelayOptions, RelayWorker, run_relay
from stun.credentials import Route

INCARNATION = 77
pytestmark = pytest.mark.usefixtures("datapath")


@pytest.fixture
def keys(kit):
    return RelayKeys(credentials=kit.credentials, hop=kit.hop_keys, flow_tags=kit.flow_tags)


class EchoTransceiver:
    """Answers every client datagram with itself, over a path that it calls proven."""

    def __init__(self, keys: HopKeys, host: str) -> None:
        self.sock = open_udp(host, 0, on_warning=lambda _: None)
        self.address = address_of(self.sock)
        self.headers = []
        self._confirmed = trio.Event()
        self.link = TransceiverLink(
            keys=keys, cluster=1, incarnation=INCARNATION, worker=0, entropy=os.urandom, now=trio.current_time()
        )

    async def linked(self) -> None:
        """Wait for the relay's CONFIRM: both ends are up then."""
        with trio.fail_after(5):
            await self._confirmed.wait()

    async def run(self) -> None:
        with self.sock:
            while True:
                await trio.lowlevel.wait_readable(self.sock)
                data, source = self.sock.recvfrom(4096)
                now, source = trio.current_time(), source[:2]
                if data[0] == CONTROL:
                    if self.link.receive_control(data, source, now):
                        self._confirmed.set()
                    for answer, relay in self.link.datagrams_to_send(now):
                        self.sock.sendto(answer, relay)
                    continue
                assert self.link.accepts(source)
                for part in parts_of(data) or [data]:
                    header = parse_header(part)
                    self.headers.append(header)
                    payload = part[header.size :]
                    self.sock.sendto(answering(part[: header.size], validated=True) + payload, source)


async def exchange(client: trio.socket.SocketType, data: bytes, destination) -> bytes:
    await client.sendto(data, destination)
    with trio.fail_after(5):
        answer, source = await client.recvfrom(4096)
    assert source[:2] == destination  # the answer comes from the address that was asked
    return answer


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)], ids=["ipv4", "ipv6"]
)
async def test_a_client_talks_with_its_transceiver(nursery, kit, keys, host, family):
    transceiver = EchoTransceiver(kit.hop_keys, host)
    nursery.start_soon(transceiver.run)
    options = RelayOptions(
        hop=(host, 0),
        ingresses=[IngressBinding(id=5, bind=(host, 0)), IngressBinding(id=6, bind=(host, 0))],
        transceivers=[transceiver.address],
    )
    relay = await nursery.start(run_relay, options, keys)
    await transceiver.linked()
    ufrag = kit.credentials.mint(
        Route(cluster=1, incarnation=INCARNATION, worker=0, session=9, minted=int(time.time()))
    )
    request = kit.binding_request(ufrag, kit.credentials.password(ufrag))
    with trio.socket.socket(family, socket.SOCK_DGRAM) as client:
        await client.bind((host, 0))
        for ingress in (5, 6):
            at = relay.ingress_addresses[ingress]
            assert await exchange(client, request, at) == request
            assert await exchange(client, b"\x80media", at) == b"\x80media"
            assert transceiver.headers[-1].ingress == ingress
            assert transceiver.headers[-1].client == client.getsockname()[:2]
    assert relay.traffic["down_datagrams"] == 4
    assert relay.traffic["down_bytes"] == 2 * (len(request) + 6)
    assert relay.forwarder.table.flow_count == 2
    assert not relay.drops
    nursery.cancel_scope.cancel()


async def test_noise_of_every_size_is_counted_and_disturbs_nobody(nursery, kit, keys):
    transceiver = EchoTransceiver(kit.hop_keys, "127.0.0.1")
    nursery.start_soon(transceiver.run)
    options = RelayOptions(
        hop=("127.0.0.1", 0),
        ingresses=[IngressBinding(id=1, bind=("127.0.0.1", 0))],
        transceivers=[transceiver.address],
    )
    relay = await nursery.start(run_relay, options, keys)
    await transceiver.linked()
    ufrag = kit.credentials.mint(
        Route(cluster=1, incarnation=INCARNATION, worker=0, session=9, minted=int(time.time()))
    )
    request = kit.binding_request(ufrag, kit.credentials.password(ufrag))
    at = relay.ingress_addresses[1]
    with (
        trio.socket.socket(type=socket.SOCK_DGRAM) as client,
        trio.socket.socket(type=socket.SOCK_DGRAM) as stranger,
    ):
        assert await exchange(client, request, at) == request
        for noise in (b"", b"\x80", b"\x16", bytes(65_507)):
            await stranger.sendto(noise, at)
            assert await exchange(client, b"\x80media", at) == b"\x80media"
    assert relay.drops == {DropReason.EMPTY: 1, DropReason.NO_FLOW: 2, DropReason.TOO_LONG: 1}
    nursery.cancel_scope.cancel()


async def test_what_the_kernel_refuses_is_counted_and_not_waited_for(kit, keys):
    options = RelayOptions(
        hop=("127.0.0.1", 0), ingresses=[IngressBinding(id=1, bind=("127.0.0.1", 0))], transceivers=[]
    )
    relay = RelayWorker(options, keys)
    relay.forwarder.to_clients[1].append((b"x", ("127.0.0.1", 0)))
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        nursery.cancel_scope.cancel()
    assert relay.drops == {UdpDropReason.UNSENDABLE: 1}


async def test_keys_and_transceivers_are_replaced_while_it_runs(autojump_clock, nursery, kit, keys):
    new_hop = HopKeys.derive({2: b"n" * 32}, 2)
    transceiver = EchoTransceiver(new_hop, "127.0.0.1")
    nursery.start_soon(transceiver.run)
    options = RelayOptions(
        hop=("127.0.0.1", 0), ingresses=[IngressBinding(id=1, bind=("127.0.0.1", 0))], transceivers=[]
    )
    relay = await nursery.start(run_relay, options, keys)
    relay.replace_keys(RelayKeys(credentials=kit.credentials, hop=new_hop, flow_tags=FlowTags([b"g" * 32])))
    relay.set_peers([transceiver.address], {})
    await transceiver.linked()
    relay.set_peers([], {})
    assert relay.forwarder.live_transceivers == 0
    nursery.cancel_scope.cancel()


def test_an_address_that_is_taken_leaves_nothing_open(keys):
    taken = open_udp("127.0.0.1", 0, on_warning=lambda _: None)
    with taken:
        options = RelayOptions(
            hop=("127.0.0.1", 0), ingresses=[IngressBinding(id=1, bind=address_of(taken))], transceivers=[]
        )
        with pytest.raises(OSError, match="in use"):
            RelayWorker(options, keys)


async def test_sockets_are_closed_when_it_is_cancelled_or_never_run(kit, keys):
    options = RelayOptions(
        hop=("127.0.0.1", 0), ingresses=[IngressBinding(id=1, bind=("127.0.0.1", 0))], transceivers=[]
    )
    relay = RelayWorker(options, keys)
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        nursery.cancel_scope.cancel()
    unused = RelayWorker(options, keys)
    unused.close()
    for closed in (relay, unused):
        for address in (closed.hop_address, *closed.ingress_addresses.values()):
            open_udp(*address, on_warning=lambda _: None).close()


async def test_none_of_its_sockets_fragments(keys):
    options = RelayOptions(
        hop=("127.0.0.1", 0), ingresses=[IngressBinding(id=5, bind=("127.0.0.1", 0))], transceivers=[]
    )
    with closing(open_sockets(options.hop, options.ingresses, on_warning=str)) as sockets:
        RelayWorker(options, keys, sockets=sockets)
        told = [sock.getsockopt(socket.IPPROTO_IP, 10) for sock in (sockets.hop, *sockets.ingresses.values())]
    assert told == [3, 3]  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE


class Judged:
    """Stands in for the watch of a relay that is about to suspect somebody."""

    def __init__(self):
        self.excused = 0

    def is_about_to_suspect(self, now):
        return True

    def excuse(self, now):
        self.excused += 1


@pytest.fixture
def make_judging(keys):
    """A relay that is about to suspect somebody, and the address of its hop."""
    made = []

    def make():
        ingress = IngressBinding(id=5, bind=("127.0.0.1", 0))
        worker = RelayWorker(RelayOptions(hop=("127.0.0.1", 0), ingresses=[ingress], transceivers=[]), keys)
        worker.forwarder.links.watch = Judged()
        worker.is_forwarding.set()
        made.append(worker)
        return worker

    yield make
    for worker in made:
        worker.close()


def say(worker, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(count):
            sock.sendto(b"\x13noise", worker.hop_address)


async def test_a_relay_reads_its_socket_to_the_end_before_it_suspects_somebody(make_judging):
    judging = make_judging()
    say(judging, 300)
    judging._hear_before_judging(1.0)
    assert judging.drops["hop-unknown-peer"] == 300
    assert judging.forwarder.links.watch.excused == 0


async def test_a_relay_that_cannot_read_its_socket_to_the_end_suspects_nobody(make_judging, monkeypatch):
    judging = make_judging()
    monkeypatch.setattr("relay.worker._MOST_ROUNDS", 2)
    say(judging, 300)
    judging._hear_before_judging(1.0)
    assert judging.drops["hop-unknown-peer"] == 2 * RELAY_BATCH
    assert judging.forwarder.links.watch.excused == 1


async def test_a_relay_that_does_not_forward_yet_suspects_nobody(make_judging):
    judging = make_judging()
    judging.is_forwarding = trio.Event()
    judging._hear_before_judging(1.0)
    assert judging.forwarder.links.watch.excused == 1


async def test_a_relay_that_has_lost_something_on_arrival_suspects_nobody(make_judging, monkeypatch):
    judging = make_judging()
    monkeypatch.setattr("relay.worker.lost_on_arrival", lambda _: 3)
    judging._hear_before_judging(1.0)
    assert judging.forwarder.links.watch.excused == 1
    judging._hear_before_judging(1.1)
    assert judging.forwarder.links.watch.excused == 1, "nothing more was lost since"


async def test_a_relay_listens_before_it_looks_at_its_links(nursery, keys, monkeypatch):
    heard = trio.Event()
    monkeypatch.setattr(RelayWorker, "_hear_before_judging", lambda _self, _now: heard.set())
    ingress = IngressBinding(id=5, bind=("127.0.0.1", 0))
    await nursery.start(RelayWorker(RelayOptions(hop=("127.0.0.1", 0), ingresses=[ingress], transceivers=[]), keys).run)
    with trio.fail_after(5):
        await heard.wait()
