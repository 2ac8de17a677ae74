"""The rules that TCP connections live by, on a clock that only moves by hand."""

import random
from collections.abc import Callable

import attrs
import pytest

from relay.drops import DropReason
from relay.flows import FORGOTTEN_AFTER, UNPROVEN_LIFE, ClaimState
from relay.hop.header import IPV4_HEADER_SIZE
from relay.tcp.connection import Connection, ConnectionState
from relay.tcp.connections import Connections
from relay.tcp.drops import TcpDropReason
from relay.tcp.framing import MAX_FRAME, frame
from relay.tcp.options import TcpOptions

TCP = 3
RELAY_ADDRESS = ("10.0.0.1", 4001)
CLIENT = ("203.0.113.9", 40000)
SESSION = 7
RTP = b"\x80\x6f" + bytes(98)
DTLS = b"\x16\xfe\xfd" + bytes(97)


@attrs.define(eq=False)
class TcpWorld:
    """A relay with a TCP ingress; `world` is the rest of it."""

    world: object
    connections: Connections

    @property
    def now(self) -> float:
        return self.world.now

    @property
    def transceiver(self):
        return self.world.transceivers[0]

    def accept(self, client=CLIENT) -> Connection | None:
        return self.connections.accept(TCP, client, self.now)

    def sends(self, connection: Connection, data: bytes) -> None:
        """Let bytes of the stream arrive, and what comes of them."""
        self.connections.receive(connection, data, self.now, self.world.unix_time)
        self.carry_up()

    def carry_up(self) -> None:
        """Carry what is under way on the hop, and leave what is for clients to `collect`."""
        forwarder = self.world.forwarder
        while forwarder.to_transceivers:
            upward = list(forwarder.to_transceivers)
            forwarder.to_transceivers.clear()
            for transceiver in self.world.transceivers:
                for data, address in upward:
                    if address == transceiver.address:
                        transceiver.receive(data, RELAY_ADDRESS, self.now)
                downward, transceiver.outgoing = transceiver.outgoing, []
                for data, _ in downward:
                    forwarder.receive_from_hop(data, transceiver.address, self.now)

    def opens(self, client=CLIENT, session: int = SESSION) -> Connection:
        connection = self.accept(client)
        assert connection is not None
        self.sends(connection, frame(self.transceiver.request(session)))
        assert connection.state is ConnectionState.OPEN
        self.transceiver.received.clear()
        return connection

    def is_sent(self, payload: bytes, client=CLIENT, session: int = SESSION, *, validated: bool = True) -> None:
        """Let the transceiver send something down; it is not pumped on, so that it stays for `collect`."""
        header = self.down_header(session, client, validated=validated, ingress=TCP)
        self.world.forwarder.receive_from_hop(header + payload, self.transceiver.address, self.now)

    down_header: Callable[..., bytes] = attrs.field(kw_only=True)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.world.now = min(end, self.now + 0.5)
            self.world.forwarder.handle_timeout(self.now)
            for transceiver in self.world.transceivers:
                transceiver.link.handle_timeout(self.now)
            self.carry_up()
            self.connections.handle_timeout(self.now)


@pytest.fixture
def make_tcp(make_world, kit):
    def make(**options) -> TcpWorld:
        connected = {TCP: set()}
        world = make_world(connected=connected)
        connections = Connections(forwarder=world.forwarder, connected=connected, options=TcpOptions(**options))
        return TcpWorld(world, connections, down_header=kit.down_header)

    return make


@pytest.fixture
def tcp(make_tcp) -> TcpWorld:
    return make_tcp()


# The way of a call


def test_datagrams_go_up_like_those_of_udp_and_come_down_framed(tcp):
    connection = tcp.accept()
    request = tcp.transceiver.request(SESSION)
    tcp.sends(connection, frame(request) + frame(DTLS))
    assert tcp.transceiver.payloads() == [request, DTLS]
    tcp.is_sent(DTLS)
    tcp.is_sent(RTP)
    assert tcp.connections.collect() == (connection,)
    assert connection.to_send() == frame(DTLS) + frame(RTP)
    assert not tcp.connections.drops
    assert not tcp.world.forwarder.drops


def test_the_header_tells_the_transceiver_the_client_and_the_ingress(tcp):
    connection = tcp.accept()
    tcp.sends(connection, frame(tcp.transceiver.request(SESSION)))
    ((header, _),) = tcp.transceiver.received
    assert (header.client, header.ingress, header.session) == (CLIENT, TCP, SESSION)


def test_the_same_address_over_udp_is_another_flow(tcp):
    tcp.opens()
    tcp.world.client_sends(RTP, CLIENT)
    assert tcp.world.forwarder.drops == {DropReason.NO_FLOW: 1}


def test_a_request_in_single_bytes_opens_a_connection(tcp):
    connection = tcp.accept()
    for byte in frame(tcp.transceiver.request(SESSION)):
        assert connection.state is ConnectionState.OPENING
        tcp.sends(connection, bytes([byte]))
    assert connection.state is ConnectionState.OPEN


# Who says nothing useful


def test_who_says_nothing_is_closed_after_the_opening_timeout(tcp):
    connection = tcp.accept()
    tcp.pass_time(4.5)
    assert connection.state is ConnectionState.OPENING
    tcp.pass_time(0.5)
    assert connection.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.SILENT: 1}
    assert tcp.connections.closed == [connection]
    assert len(tcp.connections) == 0
    assert tcp.connections.next_timeout() is None


def test_a_byte_a_second_does_not_move_the_deadline(tcp):
    connection = tcp.accept()
    stream = frame(tcp.transceiver.request(SESSION))
    for byte in stream[:5]:
        tcp.sends(connection, bytes([byte]))
        tcp.pass_time(1)
    assert connection.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.SILENT: 1}


def test_null_packets_do_not_move_the_deadline(tcp):
    connection = tcp.accept()
    for _ in range(5):
        tcp.sends(connection, b"\0\0")
        tcp.pass_time(1)
    assert connection.state is ConnectionState.CLOSED


def test_the_deadline_is_announced(tcp):
    tcp.accept()
    assert tcp.connections.next_timeout() == tcp.now + 1.0
    tcp.pass_time(4.5)
    assert tcp.connections.next_timeout() == tcp.now + 0.5


@pytest.mark.parametrize("first", [RTP, DTLS, b"\x00", b"\x01\x01" + bytes(18), b"GE"])
def test_a_first_frame_that_is_no_binding_request_ends_the_connection(tcp, first):
    connection = tcp.accept()
    tcp.sends(connection, frame(first) + frame(tcp.transceiver.request(SESSION)))
    assert connection.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.NOT_AUTHENTIC: 1}
    assert tcp.transceiver.payloads() == []


def test_a_first_request_without_integrity_ends_the_connection(tcp, kit):
    connection = tcp.accept()
    tcp.sends(connection, frame(kit.binding_request(tcp.transceiver.mint(SESSION), "wrong" * 8)))
    assert connection.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.NOT_AUTHENTIC: 1}
    assert tcp.world.forwarder.drops == {DropReason.BAD_INTEGRITY: 1}


def test_a_frame_that_is_too_long_ends_the_connection(tcp):
    connection = tcp.opens()
    tcp.sends(connection, (MAX_FRAME + 1).to_bytes(2, "big"))
    assert connection.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.FRAME_TOO_LONG: 1}
    assert tcp.world.forwarder.table.flow_count == 0


@pytest.mark.parametrize("seed", range(10))
def test_streams_of_noise_raise_nothing_and_leave_nothing(tcp, seed):
    lots = random.Random(seed)
    for number in range(50):
        connection = tcp.accept(("198.51.100.1", 1024 + number))
        stream = bytearray(frame(tcp.transceiver.request(SESSION)) + frame(RTP) + frame(DTLS))
        for _ in range(lots.randrange(1, 5)):
            stream[lots.randrange(len(stream))] = lots.randrange(256)
        while stream and connection.state is not ConnectionState.CLOSED:
            size = lots.randrange(1, 80)
            tcp.sends(connection, bytes(stream[:size]))
            del stream[:size]
    tcp.pass_time(60)
    assert len(tcp.connections) == 0
    assert tcp.world.forwarder.table.flow_count == 0


# Connections and claims


def test_a_flow_ends_with_its_connection(tcp):
    connection = tcp.opens()
    tcp.is_sent(RTP)
    tcp.connections.lost(connection)
    assert tcp.world.forwarder.table.flow_count == 0
    assert tcp.connections.closed == [connection]
    assert not tcp.connections.drops


def test_what_a_transceiver_sends_to_a_connection_that_has_gone_is_dropped_and_revives_nothing(tcp):
    connection = tcp.opens()
    tcp.is_sent(RTP)
    tcp.connections.lost(connection)
    tcp.connections.collect()
    for validated in (True, False):
        tcp.is_sent(RTP, validated=validated)
    assert tcp.connections.collect() == ()
    assert tcp.world.forwarder.drops == {DropReason.UNREACHABLE: 2}
    assert tcp.world.forwarder.table.flow_count == 0


def test_a_connection_that_has_shown_nothing_gets_nothing(tcp):
    tcp.accept()
    tcp.is_sent(RTP)
    assert tcp.connections.collect() == ()
    assert tcp.world.forwarder.drops == {DropReason.UNREACHABLE: 1}


def test_what_is_under_way_when_a_connection_ends_is_dropped(tcp):
    connection = tcp.opens()
    tcp.is_sent(RTP)
    tcp.connections.lost(connection)
    assert tcp.connections.collect() == ()
    assert tcp.connections.drops == {TcpDropReason.NO_CONNECTION: 1}


def test_a_connection_ends_some_seconds_after_its_last_claim(tcp):
    connection = tcp.opens()
    tcp.pass_time(UNPROVEN_LIFE)
    assert tcp.world.forwarder.table.flow_count == 0
    tcp.pass_time(4)
    assert connection.state is ConnectionState.OPEN
    tcp.pass_time(3)
    assert connection.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.NO_CLAIM: 1}


def test_a_claim_made_anew_keeps_the_connection(tcp):
    connection = tcp.opens()
    for _ in range(4):
        tcp.pass_time(UNPROVEN_LIFE + 2)
        assert tcp.world.forwarder.table.flow_count == 0
        tcp.sends(connection, frame(tcp.transceiver.request(SESSION)))
    assert connection.state is ConnectionState.OPEN


def test_half_a_frame_keeps_no_connection(tcp):
    connection = tcp.opens()
    tcp.is_sent(RTP)
    (claim,) = tcp.world.forwarder.table.claims_of(SESSION)
    assert claim.state is ClaimState.PROVEN
    for byte in frame(RTP)[: int(FORGOTTEN_AFTER) + 8]:
        tcp.sends(connection, bytes([byte]))
        tcp.pass_time(1)
    assert connection.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.NO_CLAIM: 1}


def test_a_new_connection_from_the_same_address_replaces_the_old_one(tcp):
    old = tcp.opens()
    new = tcp.opens()
    assert old.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.REPLACED: 1}
    tcp.is_sent(RTP)
    assert tcp.connections.collect() == (new,)


# Bounds


def test_one_source_may_have_so_many(make_tcp):
    tcp = make_tcp(connections_per_source=2)
    first = tcp.accept(("2001:db8::1", 1))
    assert tcp.accept(("2001:db8::2", 1)) is not None
    assert tcp.accept(("2001:db8::3", 1)) is None
    assert tcp.connections.drops == {TcpDropReason.SOURCE_CONNECTIONS: 1}
    assert tcp.accept(("2001:db8:0:1::3", 1)) is not None
    tcp.connections.lost(first)
    assert tcp.accept(("2001:db8::3", 1)) is not None


def test_calls_stay_and_the_new_are_shed(make_tcp):
    tcp = make_tcp(connections=3)
    calls = [tcp.opens((f"198.51.100.{number}", 5000), session=number) for number in range(3)]
    tcp.pass_time(3)
    assert tcp.accept() is None
    assert tcp.connections.drops == {TcpDropReason.TOO_MANY_CONNECTIONS: 1}
    assert all(call.state is ConnectionState.OPEN for call in calls)


def test_who_has_shown_nothing_yields_after_his_time_and_not_before(make_tcp):
    tcp = make_tcp(connections=3)
    call = tcp.opens(("198.51.100.1", 5000))
    silent = [tcp.accept(("198.51.100.2", number)) for number in (1, 2)]
    assert tcp.accept() is None
    tcp.pass_time(1)
    connection = tcp.accept()
    assert connection is not None
    assert [each.state for each in silent] == [ConnectionState.CLOSED, ConnectionState.OPENING]
    assert call.state is ConnectionState.OPEN
    assert tcp.connections.drops == {TcpDropReason.TOO_MANY_CONNECTIONS: 1, TcpDropReason.CROWDED_OUT: 1}


def test_the_silent_may_not_take_all_places(make_tcp):
    tcp = make_tcp(connections=10, opening=2)
    for number in (1, 2):
        assert tcp.accept(("198.51.100.2", number)) is not None
    assert tcp.accept(("198.51.100.2", 3)) is None
    tcp.pass_time(1)
    for number in range(4):
        tcp.opens(("198.51.100.3", number + 1), session=number)
    assert len(tcp.connections) == 5


# Slow readers


def test_a_burst_that_the_kernel_takes_is_not_media_that_waits(make_tcp):
    tcp = make_tcp(media_queue=250)
    connection = tcp.opens()
    for _ in range(5):
        tcp.is_sent(RTP)
    tcp.connections.collect()
    assert connection.to_send() == 5 * frame(RTP)
    assert not tcp.connections.drops


def test_media_is_dropped_first_then_everything(make_tcp):
    tcp = make_tcp(media_queue=250, queue=450)
    connection = tcp.opens()
    tcp.is_sent(RTP)
    tcp.connections.collect()
    connection.sent(0, tcp.now)
    for _ in range(2):
        tcp.is_sent(RTP)
    for _ in range(3):
        tcp.is_sent(DTLS)
    tcp.connections.collect()
    assert connection.to_send() == 2 * frame(RTP) + 2 * frame(DTLS)
    assert tcp.connections.drops == {TcpDropReason.MEDIA_QUEUE_FULL: 1, TcpDropReason.QUEUE_FULL: 1}


def test_what_the_kernel_took_makes_room(make_tcp):
    tcp = make_tcp(media_queue=250)
    connection = tcp.opens()
    tcp.is_sent(RTP)
    tcp.is_sent(RTP)
    tcp.connections.collect()
    connection.sent(150, tcp.now)
    assert connection.queued == 54
    tcp.is_sent(RTP)
    assert tcp.connections.collect() == ()  # it waits for the kernel
    assert connection.to_send() == frame(RTP)[48:] + frame(RTP)
    connection.sent(156, tcp.now)
    assert connection.queued == 0
    tcp.is_sent(RTP)
    assert tcp.connections.collect() == (connection,)


def test_a_stuck_connection_is_cut_off(tcp):
    connection = tcp.opens()
    tcp.is_sent(RTP)
    tcp.connections.collect()
    connection.sent(0, tcp.now)
    tcp.pass_time(6)
    connection.sent(10, tcp.now)  # it moves: the time begins anew
    tcp.pass_time(9)
    assert connection.state is ConnectionState.OPEN
    tcp.pass_time(2)
    assert connection.state is ConnectionState.CLOSED
    assert tcp.connections.drops == {TcpDropReason.STUCK: 1}


def test_every_reason_is_asserted(request):
    tests = "".join(path.read_text() for path in request.path.parent.glob("test_relay_tcp_*.py"))
    assert [reason.name for reason in TcpDropReason if f"TcpDropReason.{reason.name}" not in tests] == []
    assert IPV4_HEADER_SIZE + MAX_FRAME < 2048
