"""Where DTLS may talk to, with an association that says what a test wants it to."""

import pytest

from dtls.events import ApplicationData, Connected
from dtls.options import Role
from transceiver.dtls_transport import MAX_HELD, DropReason, DtlsTransport
from wire.core import Event, Path

HOME = Path(("198.51.100.7", 50000), 1)
OFFICE = Path(("198.51.100.8", 50000), 1)
CONNECTED = Connected(
    version="DTLS 1.3",
    cipher_suite="TLS_AES_128_GCM_SHA256",
    group="x25519",
    srtp_profile=7,
    peer_fingerprint=None,  # type: ignore[arg-type]  # nobody looks
)


class Association:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.outgoing: list[bytes] = []
        self.events: list[Event] = []
        self.received: list[bytes] = []
        self.timeouts = 0
        self.round_trip_time = None

    def receive_datagram(self, data: bytes, now: float) -> list[Event]:
        self.received.append(data)
        events, self.events = self.events, []
        return events

    def handle_timeout(self, now: float) -> list[Event]:
        self.timeouts += 1
        return []

    def datagrams_to_send(self, now: float) -> list[bytes]:
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def next_timeout(self) -> float:
        return 5.0

    def set_round_trip_time(self, seconds: float) -> None:
        self.round_trip_time = seconds


class Kit:
    def __init__(self) -> None:
        self.validated: set[Path] = set()
        self.association = Association()
        self.transport = DtlsTransport(self.association, Role.CLIENT, HOME, self.validated.__contains__)

    def says(self, *datagrams: bytes) -> list[tuple[bytes, Path]]:
        """Have the association say something; return what may leave."""
        self.association.outgoing += datagrams
        return self.transport.datagrams_to_send(1.0)


@pytest.fixture
def kit() -> Kit:
    return Kit()


def test_an_unvalidated_path_gets_one_flight(kit: Kit) -> None:
    assert kit.says(b"1", b"2") == [(b"1", HOME), (b"2", HOME)]
    assert kit.says(b"3") == []
    assert kit.says() == []
    kit.validated.add(HOME)
    assert kit.says(b"4") == [(b"3", HOME), (b"4", HOME)]
    assert kit.says(b"5") == [(b"5", HOME)]


def test_nothing_is_repeated_to_an_unvalidated_path(kit: Kit) -> None:
    assert kit.transport.next_timeout() is None
    kit.transport.handle_timeout(100.0)
    assert kit.association.timeouts == 0
    kit.validated.add(HOME)
    assert kit.transport.next_timeout() == 5.0
    kit.transport.handle_timeout(100.0)
    assert kit.association.timeouts == 1


def test_what_waits_is_bounded(kit: Kit) -> None:
    kit.says(b"flight")
    for number in range(MAX_HELD + 5):
        assert kit.says(bytes([number])) == []
    assert kit.transport.drops == {DropReason.UNVALIDATED_PATH: 5}
    kit.validated.add(HOME)
    assert [data for data, _ in kit.says()] == [bytes([number]) for number in range(MAX_HELD)]


def test_the_handshake_follows_the_clients_dtls(kit: Kit) -> None:
    kit.says(b"hello")
    kit.transport.receive_datagram(b"x", OFFICE, 1.0)
    assert kit.says(b"answer") == [(b"answer", OFFICE)]
    kit.validated.add(OFFICE)
    kit.transport.receive_datagram(b"y", HOME, 1.0)  # anybody may have sent that
    assert kit.transport.path == OFFICE
    kit.validated.add(HOME)
    kit.transport.receive_datagram(b"z", HOME, 1.0)
    assert kit.transport.path == HOME
    assert kit.association.received == [b"x", b"y", b"z"]


def test_a_validated_path_takes_over_from_an_unvalidated_one_only(kit: Kit) -> None:
    kit.validated.add(OFFICE)
    kit.transport.path_validated(OFFICE, 0.1)
    assert kit.transport.path == OFFICE
    assert kit.association.round_trip_time == 0.1
    kit.validated.add(HOME)
    kit.transport.path_validated(HOME, None)
    assert kit.transport.path == OFFICE
    assert kit.association.round_trip_time == 0.1


def test_after_the_handshake_dtls_goes_where_media_goes(kit: Kit) -> None:
    kit.validated |= {HOME, OFFICE}
    kit.association.events = [CONNECTED, ApplicationData(data=b"early")]
    assert kit.transport.receive_datagram(b"x", HOME, 1.0) == [CONNECTED, ApplicationData(data=b"early")]
    assert kit.transport.secured is CONNECTED
    kit.transport.receive_datagram(b"y", OFFICE, 1.0)
    kit.transport.path_validated(OFFICE, 0.1)
    assert kit.transport.path == HOME
    kit.transport.path_selected(OFFICE)
    assert kit.transport.path == OFFICE


def test_nothing_goes_to_a_forgotten_path(kit: Kit) -> None:
    kit.validated.add(HOME)
    kit.says(b"hello")
    kit.validated.clear()
    kit.transport.path_expired(OFFICE)
    assert kit.transport.path == HOME
    kit.transport.path_expired(HOME)
    assert kit.transport.path is None
    assert kit.says(b"later") == []
    assert kit.transport.next_timeout() is None
    kit.transport.receive_datagram(b"x", OFFICE, 1.0)
    assert kit.says() == [(b"later", OFFICE)]


def test_a_handshake_proves_the_only_path_that_it_was_sent_to(kit: Kit) -> None:
    assert not kit.transport.proves(HOME)
    kit.says(b"hello")
    assert kit.transport.proves(HOME)
    assert not kit.transport.proves(OFFICE)


def test_a_handshake_that_was_sent_to_two_paths_proves_neither(kit: Kit) -> None:
    kit.says(b"hello")
    kit.validated.add(OFFICE)
    kit.transport.path_validated(OFFICE, None)
    kit.says(b"hello again")
    assert not kit.transport.proves(HOME)
    assert not kit.transport.proves(OFFICE)


def test_an_address_that_was_not_proven_gets_one_flight_after_the_handshake_too(kit: Kit) -> None:
    kit.association.events = [CONNECTED]
    kit.transport.receive_datagram(b"x", OFFICE, 1.0)
    assert kit.says(b"finished") == [(b"finished", OFFICE)]
    assert kit.says(b"again") == []
