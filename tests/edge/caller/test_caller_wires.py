"""A TCP wire: frames out and in, whenever the connection comes about and however it ends."""

import select
import socket

import pytest

from edge.caller.wires import TcpWire
from relay.tcp.framing import MAX_FRAME, FrameReader, frame

DATAGRAMS = [b"one", bytes(300), b"\x80" * MAX_FRAME]


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


def test_a_connection_that_has_ended_takes_no_more(listener: socket.socket) -> None:
    wire = TcpWire(listener.getsockname())
    listener.accept()[0].close()
    wait(wire)
    assert wire.receive() == []
    with pytest.raises(ConnectionResetError):
        wire.send(b"late", listener.getsockname())
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
            wire.send(bytes(MAX_FRAME), listener.getsockname())

    with listener.accept()[0], pytest.raises(BlockingIOError):
        flood()
    wire.close()
