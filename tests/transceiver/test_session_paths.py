"""The path rule: what may be sent where, and what moves a call to another address."""

import itertools

import pytest

from edge.caller.progress import Stage
from edge.caller.results import MediaStatistics
from stun.events import PathExpired, PathSelected
from transceiver.describing import drops_of
from transceiver.session import State
from transceiver.session_events import DropReason
from wire.core import Path
from wire.demux import Kind, kind_of

VICTIM = Path(("203.0.113.66", 4444), 1)
ELSEWHERE = Path(("198.51.100.200", 60000), 1)
ATTACKER = Path(("203.0.113.13", 1313), 1)

REQUEST, RESPONSE = b"\x00\x01", b"\x01\x01"
PLAINTEXT_HANDSHAKE = 22  # content type of the only DTLS 1.3 record that says what it is


def is_answer(data: bytes) -> bool:
    """Whether the client shows that it has received a check of ours."""
    return data[:2] == RESPONSE


def handshake_of(datagrams: list[bytes]) -> list[bytes]:
    return [data for data in datagrams if kind_of(data) is Kind.DTLS]


# -- to an unvalidated path


@pytest.mark.parametrize("setup", ["actpass", "active"])
def test_an_unproven_address_gets_one_flight_and_no_repetition_of_it(call_network, connect, setup: str) -> None:
    network = connect(setup=setup)

    def arrives_as(data: bytes) -> Path | None:
        # The client checks and says hello, but neither answers a check of ours nor goes on with the handshake.
        if is_answer(data):
            return None
        if kind_of(data) is Kind.DTLS and (setup == "actpass" or data[0] != PLAINTEXT_HANDSHAKE):
            return None
        return call_network.CLIENT

    network.arrives_as = arrives_as
    network.run(1)
    assert network.server.state is State.CONNECTING
    first_flight = handshake_of(network.sent_to(call_network.CLIENT))
    assert 1 <= len(first_flight) <= 3
    for _ in range(140):  # a caller who looks after the session more often than it asks for
        network.server.handle_timeout(network.now)
        network.run(0.1)
    sent = network.sent_to(call_network.CLIENT)
    assert handshake_of(sent) == first_flight
    assert network.kinds_sent_to(call_network.CLIENT) == {Kind.STUN, Kind.DTLS}
    # Checks of ours, too, become rare: in exchange for checks, and soon one in two seconds.
    requests = [data for data in sent if data[:2] == REQUEST]
    received = [data for _, _, data in network.upstream if data[:2] == REQUEST]
    assert len(requests) < 15
    assert len(requests) <= len(received)
    # As soon as the address is proven, the handshake goes on.
    network.arrives_as = None
    network.run(14)
    assert network.server.state is State.ESTABLISHED


def test_a_client_that_answers_dtls_but_no_check_is_proven_by_its_handshake(call_network, connect) -> None:
    network = connect()
    network.arrives_as = lambda data: None if is_answer(data) else call_network.CLIENT
    network.run(2)
    assert network.server.path == call_network.CLIENT
    assert MediaStatistics.of(network.caller).received > 50


@pytest.mark.parametrize("setup", ["actpass", "active"])
def test_a_client_cannot_have_us_flood_a_victim(call_network, connect, setup: str) -> None:
    """It knows the password, gets our flight at its own address, and writes the victim's on all that follows."""
    network = connect(setup=setup)

    def arrives_as(data: bytes) -> Path | None:
        if is_answer(data):
            return None
        if kind_of(data) is Kind.STUN:
            # Both addresses check from time to time; the client's own comes first.
            return VICTIM if next(checks) % 2 else call_network.CLIENT
        handshake = handshake_of(network.sent_to(call_network.CLIENT))
        return VICTIM if handshake else call_network.CLIENT

    checks = itertools.count()
    network.arrives_as = arrives_as
    network.run(25)
    assert network.server.state is State.ESTABLISHED
    assert {path for _, path, _ in network.upstream if path == VICTIM}
    assert network.server.path is None
    assert network.kinds_sent_to(VICTIM) <= {Kind.STUN, Kind.DTLS}
    assert len(handshake_of(network.sent_to(VICTIM))) <= 2
    assert all(len(data) < 1200 for data in network.sent_to(VICTIM))
    assert network.kinds_sent_to(call_network.CLIENT) == {Kind.STUN, Kind.DTLS}
    if setup == "active":
        # Its audio is authentic and goes nowhere. (In the other role, our last flight is what it does not get.)
        assert network.caller.stage is Stage.TALKING
        assert network.server.media.packets_in > 500
        assert network.server.drops[DropReason.NO_VALIDATED_PATH] == network.server.media.packets_in


def test_garbage_from_an_unproven_address_does_not_take_the_handshake_away(call_network, connect) -> None:
    network = connect(setup="active")
    network.arrives_as = lambda data: call_network.CLIENT if kind_of(data) is Kind.STUN else None
    network.run(0.5)
    assert network.server.path == call_network.CLIENT
    # Somebody was faster than one of the client's checks, so his address is known; now he says something like DTLS.
    checks = [data for _, _, data in network.upstream if data[:2] == REQUEST]
    network.arrives_as = lambda data: ATTACKER if data[:2] == REQUEST else None
    network.run(10, until=lambda: network.server.ice.knows(ATTACKER))
    assert checks
    network.arrives_as = None
    since = network.now
    for _ in range(40):
        network.inject(b"\x16\xfe\xfd" + bytes(40), ATTACKER)
        network.run(0.05)
    assert network.server.state is State.ESTABLISHED
    assert handshake_of(network.sent_to(ATTACKER, since)) == []


def test_what_waits_for_an_unproven_address_is_bounded(call_network, connect) -> None:
    network = connect(setup="active")
    network.arrives_as = lambda data: None if is_answer(data) or kind_of(data) is Kind.RTP else call_network.CLIENT
    network.run(2, until=lambda: bool(handshake_of(network.sent_to(call_network.CLIENT))))
    hello = [data for _, _, data in network.upstream if kind_of(data) is Kind.DTLS]
    network.arrives_as = lambda data: None
    before = len(network.downstream)
    for _ in range(200):
        for data in hello:
            network.inject(data, call_network.CLIENT)
    assert len(network.downstream) == before
    assert len(network.server.dtls._held) <= 8


# -- a call that is under way


def test_media_follows_a_client_to_another_address_and_loses_what_came_before_the_check(call_network, talk) -> None:
    """A NAT gives the client another port: all of a sudden everything comes from there."""
    network = talk()
    network.run(4)
    session = network.server
    lost_before = MediaStatistics.of(network.caller).lost
    moved_at = network.now
    network.client = ELSEWHERE
    network.run(8)
    assert session.state is State.ESTABLISHED
    assert session.path == ELSEWHERE
    # Before the first check from there, the address may be anybody's.
    unheard = session.drops[DropReason.UNKNOWN_PATH]
    first_check = min(when for when, source, data in network.upstream if source == ELSEWHERE and data[:2] == REQUEST)
    media = [when for when, path, data in network.downstream if path == ELSEWHERE and kind_of(data) is Kind.RTP]
    first_media = min(media)
    assert unheard == pytest.approx((first_check - moved_at) / 0.02, abs=2)
    # From then on one round trip, in which the address is proven, and media is there.
    assert first_media - first_check <= 2 * network.delay + 2 * 0.02
    lost = MediaStatistics.of(network.caller).lost - lost_before
    print(f"lost after a change of address: {lost} packets, {unheard} of them before the first check")
    # What was under way to the old address, and what was heard while the new one was not proven, went to the old one.
    in_flight = round((4 * network.delay + 0.04) / 0.02)
    assert unheard <= lost <= unheard + in_flight
    # Nothing goes to the old address any more.
    network.run(1)
    assert network.sent_to(call_network.CLIENT, since=first_media + 0.021) == []


def test_media_goes_nowhere_new_before_that_is_proven(call_network, talk) -> None:
    network = talk()
    since = network.now
    network.client = ELSEWHERE
    network.arrives_as = lambda data: None if is_answer(data) else ELSEWHERE
    network.run(12)
    session = network.server
    assert session.path == call_network.CLIENT
    assert session.media.packets_in > 200  # it is heard there, since it has shown the password and its packets are real
    assert network.kinds_sent_to(ELSEWHERE, since) == {Kind.STUN}
    network.arrives_as = None
    network.run(3)
    assert session.path == ELSEWHERE


def test_media_comes_back_to_an_address_that_was_proven_long_ago_only_after_another_proof(call_network, talk) -> None:
    network = talk()
    network.client = ELSEWHERE
    network.run(20)
    assert network.server.path == ELSEWHERE
    # It has been silent for long enough that somebody else may have the old address now.
    network.client = call_network.CLIENT
    network.arrives_as = lambda data: call_network.CLIENT if kind_of(data) is Kind.RTP else None
    since = network.now
    network.run(1, until=lambda: network.upstream[-1][1] == call_network.CLIENT)
    # Its first packet from there makes us ask, at once.
    (request,) = network.sent_to(call_network.CLIENT, since + 0.001)
    assert request[:2] == REQUEST
    network.run(0.5)
    assert network.server.path == ELSEWHERE
    assert network.kinds_sent_to(call_network.CLIENT, since) == {Kind.STUN}
    network.arrives_as = None
    network.run(2)
    assert network.server.path == call_network.CLIENT


def test_a_move_over_another_ingress(call_network, talk) -> None:
    network = talk()
    other = call_network.CLIENT._replace(via=2)
    network.client = other
    network.run(8)
    assert network.server.path == other
    assert network.server_events[-1] == PathSelected(path=other)


def test_repeating_what_the_client_sends_moves_nothing_and_costs_nothing(call_network, talk) -> None:
    """Somebody on the same network hears all that the client sends, and sends all of it again from elsewhere."""
    network = talk()
    session = network.server
    for _ in range(60):
        seen = len(network.upstream)
        network.run(0.1)
        for _, source, data in network.upstream[seen:]:
            assert source == call_network.CLIENT
            network.inject(data, ATTACKER)  # under his own address
            network.inject(data, VICTIM)  # under a third one's
            network.inject(data, call_network.CLIENT)  # and under the client's
    assert session.path == call_network.CLIENT
    assert session.state is State.ESTABLISHED
    media = MediaStatistics.of(network.caller)
    assert media.lost == 0
    assert media.sent - media.received <= 4
    assert {path for _, path, _ in network.downstream} == {call_network.CLIENT}
    drops = drops_of(session)
    assert drops["session.unknown-path"] > 500
    assert drops["srtp.replayed"] > 250
    assert sum(count for name, count in drops.items() if name.startswith("ice.repeated")) >= 2
    assert not any(isinstance(event, PathSelected) for event in network.server_events[3:])


def test_being_faster_than_the_client_moves_nothing_either(call_network, talk) -> None:
    """He hears the client and is nearer to us: his copy comes first, but answers to our checks he has none."""
    network = talk()
    session = network.server

    def arrives_as(data: bytes) -> Path:
        if not is_answer(data):
            network._send(ATTACKER, data)
        return call_network.CLIENT

    network.arrives_as = arrives_as
    since = network.now
    network.run(12)
    assert session.path == call_network.CLIENT
    assert session.state is State.ESTABLISHED
    assert network.kinds_sent_to(ATTACKER, since) <= {Kind.STUN}
    media = MediaStatistics.of(network.caller)
    assert media.lost == 0
    assert media.sent - media.received <= 4


@pytest.mark.parametrize("kind", [Kind.RTP, Kind.RTCP, Kind.DTLS])
def test_whatever_is_authentic_keeps_the_consent_alive(call_network, talk, kind: Kind) -> None:
    """RFC 7675 §5.1 asks for checks; a client whose media or data arrives has not gone away either."""
    network = talk()
    network.arrives_as = lambda data: call_network.CLIENT if kind_of(data) is kind else None
    since = network.now
    for _ in range(9):
        network.caller._dtls.send(b"still here")
        network.run(5)
    assert {kind_of(data) for when, _, data in network.upstream if when > since + 0.1} == {kind}
    assert network.server.state is State.ESTABLISHED
    network.arrives_as = lambda data: None
    network.run(31)
    assert network.server.state is State.CLOSED


def test_a_path_that_falls_silent_is_forgotten_and_the_call_goes_on(call_network, talk) -> None:
    network = talk()
    network.client = ELSEWHERE
    network.run(40)
    assert network.server.state is State.ESTABLISHED
    assert not network.server.knows(call_network.CLIENT)
    assert network.server.knows(ELSEWHERE)
    assert PathExpired(path=call_network.CLIENT) in network.server_events
    # Where it was, it has to show the password again.
    last = network.upstream[-1][2]
    before = network.server.drops[DropReason.UNKNOWN_PATH]
    network.inject(last, call_network.CLIENT)
    assert network.server.drops[DropReason.UNKNOWN_PATH] == before + 1
