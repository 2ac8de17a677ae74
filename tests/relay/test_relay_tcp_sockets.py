"""TCP ingresses on real loopback sockets, beside a UDP one."""

import errno
import functools
import os
import socket
import struct
import time
from contextlib import suppress

import pytest
import trio

from relay.binding import open_tcp
from relay.hop.bundles import parts_of
from relay.hop.header import CONTROL, answering, parse_header
from relay.hop.links import TransceiverLink
from relay.tcp.drops import TcpDropReason
from relay.tcp.framing import FrameReader, frame
from relay.tcp.options import TcpOptions
from relay.udp import address_of, open_udp
from relay.worker import IngressBinding, RelayKeys, RelayOptions, RelayWorker
from stun.credentials import Route

INCARNATION = 77
UDP, TCP, ADOPTED = 1, 2, 3
RTP = b"\x80\x6f" + bytes(98)
pytestmark = pytest.mark.usefixtures("datapath")


class EchoTransceiver:
    """Answers every client datagram with itself, over a path that it calls proven; adds `extra` behind requests."""

    def __init__(self, keys, host="127.0.0.1"):
        self.sock = open_udp(host, 0, on_warning=lambda _: None)
        self.address = address_of(self.sock)
        self.headers, self.extra = [], []
        self.confirmed = trio.Event()
        self.link = TransceiverLink(
            keys=keys, cluster=1, incarnation=INCARNATION, worker=0, entropy=os.urandom, now=trio.current_time()
        )

    async def run(self):
        with self.sock:
            while True:
                await trio.lowlevel.wait_readable(self.sock)
                data, source = self.sock.recvfrom(4096)
                now, source = trio.current_time(), source[:2]
                if data[0] == CONTROL:
                    if self.link.receive_control(data, source, now):
                        self.confirmed.set()
                    for answer, relay in self.link.datagrams_to_send(now):
                        self.sock.sendto(answer, relay)
                    continue
                for part in parts_of(data) or [data]:
                    header = parse_header(part)
                    self.headers.append(header)
                    for payload in (part[header.size :], *self.extra):
                        self.sock.sendto(answering(part[: header.size], validated=True) + payload, source)


class Client:
    """A TCP client; reads frames."""

    def __init__(self, stream):
        self.stream, self.reader, self.frames = stream, FrameReader(), []

    @classmethod
    async def connect(cls, address):
        return cls(await trio.open_tcp_stream(*address))

    async def read(self):
        with trio.fail_after(5):
            while not self.frames:
                data = await self.stream.receive_some()
                assert data, "the relay has closed the connection"
                self.frames += self.reader.receive(data)
        return self.frames.pop(0)

    async def ended(self, seconds=5):
        with trio.fail_after(seconds):
            try:
                while await self.stream.receive_some():
                    pass
            except trio.BrokenResourceError:  # a reset, as data of ours was not read
                pass


@pytest.fixture
def options():
    return TcpOptions(opening_timeout=0.3)


@pytest.fixture
async def served(nursery, kit, options):
    """A relay with its transceiver, running."""
    transceiver = EchoTransceiver(kit.hop_keys)
    nursery.start_soon(transceiver.run)
    bindings = [
        IngressBinding(id=UDP, bind=("127.0.0.1", 0)),
        IngressBinding(id=TCP, bind=("127.0.0.1", 0), protocol="tcp"),
        IngressBinding(id=ADOPTED, bind=None, protocol="tcp"),
    ]
    relay_options = RelayOptions(
        hop=("127.0.0.1", 0), ingresses=bindings, transceivers=[transceiver.address], tcp=options
    )
    keys = RelayKeys(credentials=kit.credentials, hop=kit.hop_keys, flow_tags=kit.flow_tags)
    relay = RelayWorker(relay_options, keys)
    await nursery.start(relay.run)
    with trio.fail_after(5):
        await transceiver.confirmed.wait()
    return relay, transceiver


@pytest.fixture
def request_of(kit):
    @functools.cache  # a second later it would be another token
    def make(session):
        route = Route(cluster=1, incarnation=INCARNATION, worker=0, session=session, minted=int(time.time()))
        ufrag = kit.credentials.mint(route)
        return kit.binding_request(ufrag, kit.credentials.password(ufrag))

    return make


async def until(condition):
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - of a sans-IO object, for some milliseconds
            await trio.sleep(0.005)


async def test_a_call_over_tcp_and_one_over_udp(autojump_clock, served, request_of):
    relay, transceiver = served
    client = await Client.connect(relay.ingress_addresses[TCP])
    await client.stream.send_all(frame(request_of(5)) + frame(RTP))
    assert [await client.read(), await client.read()] == [request_of(5), RTP]
    assert {(header.ingress, header.client) for header in transceiver.headers} == {
        (TCP, client.stream.socket.getsockname())
    }
    with open_udp("127.0.0.1", 0, on_warning=lambda _: None) as udp:
        udp.connect(relay.ingress_addresses[UDP])
        for data in (request_of(6), RTP):
            udp.send(data)
            await trio.lowlevel.wait_readable(udp)
            assert udp.recv(2048) == data
    assert relay.forwarder.table.flow_count == 2
    await client.stream.aclose()
    await until(lambda: len(relay.connections) == 0)
    assert relay.forwarder.table.flow_count == 1
    assert relay.drops.total() == 0
    assert relay.traffic["down_bytes"] == len(frame(request_of(5))) + len(frame(RTP)) + len(request_of(6)) + len(RTP)


async def test_a_hundred_frames_in_odd_pieces_keep_their_order(autojump_clock, served, request_of):
    relay, _ = served
    client = await Client.connect(relay.ingress_addresses[TCP])
    wanted = [request_of(5)] + [b"\x80\x6f" + bytes([number]) * (number * 7) for number in range(100)]
    stream = b"".join(map(frame, wanted))
    for start in range(0, len(stream), 777):
        await client.stream.send_all(stream[start : start + 777])
        await trio.lowlevel.checkpoint()
    assert [await client.read() for _ in wanted] == wanted


async def test_ipv6(autojump_clock, kit, nursery, request_of):
    transceiver = EchoTransceiver(kit.hop_keys, "::1")
    nursery.start_soon(transceiver.run)
    keys = RelayKeys(credentials=kit.credentials, hop=kit.hop_keys, flow_tags=kit.flow_tags)
    bindings = [IngressBinding(id=TCP, bind=("::1", 0), protocol="tcp")]
    relay = RelayWorker(RelayOptions(hop=("::1", 0), ingresses=bindings, transceivers=[transceiver.address]), keys)
    await nursery.start(relay.run)
    with trio.fail_after(5):
        await transceiver.confirmed.wait()
    client = await Client.connect(relay.ingress_addresses[TCP])
    await client.stream.send_all(frame(request_of(5)) + frame(RTP))
    assert [await client.read(), await client.read()] == [request_of(5), RTP]
    assert transceiver.headers[0].client == client.stream.socket.getsockname()[:2]


async def test_a_connection_that_was_accepted_elsewhere(autojump_clock, served, request_of):
    relay, transceiver = served
    with open_tcp("127.0.0.1", 0) as listener:
        client = await Client.connect(address_of(listener))
        await client.stream.send_all(frame(request_of(5)))
        accepted, _ = listener.accept()
    relay.adopt(accepted, ADOPTED)
    assert await client.read() == request_of(5)
    assert transceiver.headers[0].ingress == ADOPTED


async def test_a_connection_that_comes_after_the_end_is_closed(autojump_clock, kit):
    keys = RelayKeys(credentials=kit.credentials, hop=kit.hop_keys, flow_tags=kit.flow_tags)
    binding = IngressBinding(id=ADOPTED, bind=None, protocol="tcp")
    relay = RelayWorker(RelayOptions(hop=("127.0.0.1", 0), ingresses=[binding], transceivers=[]), keys)
    relay.close()
    with open_tcp("127.0.0.1", 0) as listener:
        client = await Client.connect(address_of(listener))
        relay.adopt(listener.accept()[0], ADOPTED)
        await client.ended()


async def test_silent_and_slow_ones_are_closed_beside_a_call_that_loses_nothing(autojump_clock, served, request_of):
    relay, _ = served
    call = await Client.connect(relay.ingress_addresses[TCP])
    await call.stream.send_all(frame(request_of(5)))
    assert await call.read() == request_of(5)
    others = [await Client.connect(relay.ingress_addresses[TCP]) for _ in range(20)]
    async with trio.open_nursery() as ending:
        for number, other in enumerate(others):
            ending.start_soon(other.ended)
            if number % 2:
                await other.stream.send_all(frame(request_of(6))[:1])
        for number in range(40):
            packet = RTP + bytes([number])
            await call.stream.send_all(frame(packet))
            assert await call.read() == packet
            await trio.sleep(0.01)
    assert relay.drops == {TcpDropReason.SILENT: 20}
    assert len(relay.connections) == 1


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\xfa", frame(RTP), frame(b"\0\1" + bytes(18))]
)
async def test_others_are_closed_at_once(autojump_clock, served, first):
    relay, _ = served
    client = await Client.connect(relay.ingress_addresses[TCP])
    await client.stream.send_all(first)
    await client.ended()
    assert relay.connections.drops.total() == 1


async def test_a_reset_ends_the_flow(autojump_clock, served, request_of):
    relay, _ = served
    client = await Client.connect(relay.ingress_addresses[TCP])
    await client.stream.send_all(frame(request_of(5)))
    await client.read()
    client.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.stream.socket.close()
    await until(lambda: len(relay.connections) == 0)
    assert relay.forwarder.table.flow_count == 0


async def test_the_first_frame_has_five_seconds_on_the_clock(kit, autojump_clock):
    keys = RelayKeys(credentials=kit.credentials, hop=kit.hop_keys, flow_tags=kit.flow_tags)
    bindings = [IngressBinding(id=TCP, bind=("127.0.0.1", 0), protocol="tcp")]
    relay = RelayWorker(RelayOptions(hop=("127.0.0.1", 0), ingresses=bindings, transceivers=[]), keys)
    autojump_clock.autojump_threshold = 0.02  # the kernel needs no time that the clock knows of
    async with trio.open_nursery() as nursery:
        await nursery.start(relay.run)
        silent, slow = [await Client.connect(relay.ingress_addresses[TCP]) for _ in range(2)]
        started = trio.current_time()
        async with trio.open_nursery() as waiting:
            waiting.start_soon(silent.ended, 10)
            with suppress(trio.BrokenResourceError):
                while True:
                    await slow.stream.send_all(b"\0")
                    await trio.sleep(1)
        assert 5 <= trio.current_time() - started <= 7
        nursery.cancel_scope.cancel()
    assert relay.connections.drops == {TcpDropReason.SILENT: 2}


class TestSlowReaders:
    @pytest.fixture
    def options(self):
        return TcpOptions(stuck_timeout=0.5)

    async def test_they_lose_media_then_their_connection(self, autojump_clock, served, request_of):
        relay, transceiver = served
        client = await Client.connect(relay.ingress_addresses[TCP])
        client.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await client.stream.send_all(frame(request_of(5)))
        await client.read()
        transceiver.extra = [RTP + bytes(1000)] * 20
        for _ in range(400):
            if TcpDropReason.MEDIA_QUEUE_FULL in relay.connections.drops:
                break
            await client.stream.send_all(frame(request_of(5)))
            await trio.sleep(0.002)
        (connection,) = relay.connections
        assert connection.blocked_since is not None
        assert connection.queued <= TcpOptions().queue
        await until(lambda: TcpDropReason.STUCK in relay.connections.drops)
        assert len(relay.connections) == 0


async def test_who_reads_on_gets_whole_frames(autojump_clock, served, request_of):
    relay, transceiver = served
    client = await Client.connect(relay.ingress_addresses[TCP])
    await client.stream.send_all(frame(request_of(5)))
    await client.read()
    transceiver.extra = [RTP + bytes(1000)] * 20
    for _ in range(30):
        await client.stream.send_all(frame(request_of(5)))
        await trio.sleep(0.001)
    transceiver.extra = []
    marker = RTP + b"the end"
    seen = set()
    while marker not in seen:
        await client.stream.send_all(frame(marker))
        seen.add(await client.read())
    assert seen <= {request_of(5), RTP + bytes(1000), marker}
    (connection,) = relay.connections
    assert connection.blocked_since is None


async def test_accepting_rests_when_there_are_no_files(autojump_clock, served, request_of, monkeypatch):
    relay, _ = served
    number, listener = next(iter(relay._tcp._listeners.values()))

    class Exhausted:
        def accept(self):
            raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setitem(relay._tcp._listeners, listener.fileno(), (number, Exhausted()))
    client = await Client.connect(relay.ingress_addresses[TCP])
    await client.stream.send_all(frame(request_of(5)))
    await until(lambda: relay.drops[TcpDropReason.NO_FILES] == 1)
    monkeypatch.undo()
    assert await client.read() == request_of(5)
    assert relay.drops[TcpDropReason.NO_FILES] == 1


def test_an_address_that_is_taken_leaves_nothing_open(kit):
    keys = RelayKeys(credentials=kit.credentials, hop=kit.hop_keys, flow_tags=kit.flow_tags)
    with open_tcp("127.0.0.1", 0) as taken:
        binding = IngressBinding(id=TCP, bind=address_of(taken), protocol="tcp")
        with pytest.raises(OSError, match="in use"):
            RelayWorker(RelayOptions(hop=("127.0.0.1", 0), ingresses=[binding], transceivers=[]), keys)


async def test_several_workers_share_a_port(autojump_clock):
    with open_tcp("127.0.0.1", 0, reuse_port=True) as one, open_tcp(*address_of(one), reuse_port=True) as other:
        assert address_of(other) == address_of(one)
