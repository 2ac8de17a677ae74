"""What a relay has before its program is loaded: its sockets, even if whoever had them is just ending."""

import socket
import threading
from collections.abc import Iterator

import attrs
import pytest

import edge.head_start
from edge.config.model import Config, RelayConfig, RelayIngress, SignalConfig
from edge.head_start import take_head_start
from edge.start import StartError

HERE = ("127.0.0.1", 0)


@pytest.fixture
def other() -> Iterator[socket.socket]:
    """A socket that another process has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(HERE)
        yield sock


def relay_at(*bind: tuple[str, int]) -> Config:
    ingresses = tuple(RelayIngress(id=5 + index, advertise=each, bind=each) for index, each in enumerate(bind))
    return Config(relay=RelayConfig(hop=HERE, ingresses=ingresses, transceivers=(("127.0.0.1", 7001),)))


def test_what_comes_from_then_on_waits() -> None:
    with (
        take_head_start(relay_at(HERE), is_successor=False) as head_start,
        socket.socket(type=socket.SOCK_DGRAM) as client,
    ):
        (sockets,) = head_start.sockets
        client.sendto(b"early", sockets.ingresses[5].getsockname())
        assert sockets.ingresses[5].recv(100) == b"early"
    assert [sock.fileno() for sock in sockets] == [-1, -1]


def test_workers_that_end_a_moment_after_their_supervisor_are_waited_for(other: socket.socket) -> None:
    at = other.getsockname()
    ending = threading.Timer(0.1, other.close)
    ending.start()
    with take_head_start(relay_at(at), is_successor=False) as head_start:
        assert head_start.sockets[0].ingresses[5].getsockname() == at
    ending.join()


def test_another_program_is_not_waited_for_for_long(other: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.head_start, "_PATIENCE", 0.05)
    with (
        pytest.raises(StartError, match="is in use by another program"),
        take_head_start(relay_at(other.getsockname()), is_successor=False),
    ):
        pass


def test_an_address_of_another_machine_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.head_start, "_PATIENCE", 60.0)
    with (
        pytest.raises(StartError, match="is not an address of this machine"),
        take_head_start(relay_at(("192.0.2.1", 0)), is_successor=False),
    ):
        pass


def test_what_is_given_or_shared_is_not_bound() -> None:
    config = relay_at(HERE)
    with take_head_start(config, is_successor=True) as head_start:
        assert not head_start.sockets
    with take_head_start(attrs.evolve(config, signal=SignalConfig()), is_successor=False) as head_start:
        assert not head_start.sockets
