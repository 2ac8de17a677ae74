"""A TCP wire: frames out and in, whenever the connection comes about and however it ends."""

import select
import socket

import pytest

from edge.caller.wires import TcpWire
from relay.tcp.framing import MAX_FRAME, FrameReader, frame

CHECK = b"\0\1" + bytes(18)
DATAGRAMS = [CHECK, bytes(300), bytes([3]) * MAX_FRAME]
RTP = b"\x80" * 100


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


def wait(wire: TcpWire) -> None:
    """Wait as the caller does: for a change."""
    with select.epoll() as epoll:
        epoll.register(wire.fileno(), wire.events & ~select.EPOLLOUT)
        assert epoll.poll(5)


def test_what_is_sent_before_the_connection_is_there_arrives(listener: socket.socket) -> None:
    wire = TcpWire(listener.getsockname())
    for datagram in DATAGRAMS:
        wire.send(datagram, listener.getsockname())
    reader, seen = FrameReader(), []
    with listener.accept()[0] as server:
        server.settimeout(5)
        wire.receive()
        while len(seen) < len(DATAGRAMS):
            seen += reader.receive(server.recv(100))
    assert seen == DATAGRAMS
    wire.close()


def test_frames_come_out_with_their_source_however_they_are_cut(listener: socket.socket) -> None:
    wire, address = TcpWire(listener.getsockname()), listener.getsockname()
    stream, seen = b"".join(map(frame, DATAGRAMS)), []
    with listener.accept()[0] as server:
        for start in range(0, len(stream), 101):
            server.send(stream[start : start + 101])
            wait(wire)
            seen += wire.receive()
    assert seen == [(datagram, address) for datagram in DATAGRAMS]
    wire.close()


def test_only_checks_go_before_the_server_has_answered(listener: socket.socket) -> None:
    wire = TcpWire(listener.getsockname())
    with pytest.raises(OSError, match="not been answered"):
        wire.send(RTP, listener.getsockname())
    with listener.accept()[0] as server:
        server.send(frame(CHECK))
        wait(wire)
        assert wire.receive() == [(CHECK, listener.getsockname())]
        wire.send(RTP, listener.getsockname())
        assert server.recv(200) == frame(RTP)
    wire.close()


def test_a_connection_that_has_ended_is_opened_again_by_a_check(listener: socket.socket) -> None:
    renewals: list[int] = []
    wire = TcpWire(listener.getsockname(), lambda old, _wire: renewals.append(old))
    number = wire.fileno()
    with listener.accept()[0] as server:
        server.send(frame(CHECK)[:-1])
    wait(wire)
    assert wire.receive() == []
    with pytest.raises(ConnectionResetError):
        wire.send(RTP, listener.getsockname())
    assert not renewals
    wire.send(CHECK, listener.getsockname())
    assert renewals == [number]
    with listener.accept()[0] as server:
        server.settimeout(5)
        wire.receive()
        assert server.recv(200) == frame(CHECK)
        server.send(frame(CHECK))  # a stream begins anew, without the rest of the old one
        wait(wire)
        assert wire.receive() == [(CHECK, listener.getsockname())]
    wire.close()


def test_a_refused_connection_says_so() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        wire = TcpWire(nobody.getsockname())
        with pytest.raises(ConnectionRefusedError):
            wire.receive()
        wire.close()


def test_the_queue_has_an_end(listener: socket.socket) -> None:
    wire = TcpWire(listener.getsockname())

    def flood() -> None:
        for _ in range(20_000):
            wire.send(DATAGRAMS[-1], listener.getsockname())

    with listener.accept()[0], pytest.raises(BlockingIOError):
        flood()
    wire.close()
