"""The life of an association: set-up from either side or both, transfer, and every way to end."""

import pytest

from sctp.causes.stale_cookie import StaleCookie
from sctp.causes.user_initiated_abort import UserInitiatedAbort
from sctp.chunks.abort import Abort
from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.data import Data
from sctp.chunks.error import Error
from sctp.chunks.heartbeat import Heartbeat
from sctp.chunks.heartbeat_ack import HeartbeatAck
from sctp.chunks.init_ack import InitAck
from sctp.chunks.sack import Sack
from sctp.drops import DropReason
from sctp.events import Connected, MessageReceived, Restarted
from sctp.options import SctpOptions
from sctp.states import ASSOCIATION_STATES, State, Trigger
from wire.core import Closed
from wire.errors import LocalProtocolError


@pytest.fixture
def network(sctp_network):
    return sctp_network.make()


def payloads(network, end):
    return [event.data for event in network.messages(end)]


# Set-up --------------------------------------------------------------------------------------------------------------


def test_four_packets_two_round_trips(network):
    network.connect(0)
    assert [kind for _, who, data in network.sent for kind in [who]] == [0, 1, 0, 1]
    assert network.kinds(0) == ["Init", "CookieEcho"]
    assert network.kinds(1) == ["InitAck", "CookieAck"]
    for events in network.events:
        assert events == [Connected(outbound_streams=65535, inbound_streams=65535)]
    assert not network.ends[0].drops
    assert not network.ends[1].drops


def test_data_goes_along_with_the_cookie_and_with_its_answer(network):
    network.ends[0].send(1, 51, b"early", network.now)
    network.ends[1].send(1, 51, b"early too", network.now)
    network.connect(0).run(0.2)
    assert network.kinds(0)[:3] == ["Init", "CookieEcho", "Data"]
    assert network.kinds(1)[:4] == ["InitAck", "CookieAck", "Sack", "Data"]
    assert payloads(network, 0) == [b"early too"]
    assert payloads(network, 1) == [b"early"]


@pytest.mark.parametrize("delay", [(0.01, 0.01), (0.0, 0.3)])
@pytest.mark.parametrize("seed", range(10))
def test_both_begin_at_once(sctp_network, seed, delay):
    network = sctp_network.make(seed=seed, weather=sctp_network.Weather(delay=delay, repeat=0.2))
    network.ends[0].send(1, 51, b"from 0", network.now)
    network.ends[1].send(1, 51, b"from 1", network.now)
    network.connect(0, 1).run(5)
    assert payloads(network, 0) == [b"from 1"]
    assert payloads(network, 1) == [b"from 0"]
    for events in network.events:
        assert [type(event) for event in events].count(Connected) == 1
        assert not any(isinstance(event, Restarted) for event in events)
    assert network.ends[0]._block.peer_tag == network.ends[1]._block.local_tag


def test_both_begin_at_once_and_nothing_of_it_is_a_drop(network):
    network.connect(0, 1).run(2)
    assert [end.drops for end in network.ends] == [{}, {}]
    network.inject(0, CookieAck())  # once more, though: there is no COOKIE ECHO left that it would answer
    assert network.ends[0].drops == {DropReason.UNEXPECTED_CHUNK: 1}


@pytest.mark.parametrize("kind", ["Data", "Sack"])
def test_what_only_an_established_peer_sends_stands_for_a_lost_cookie_ack(sctp_network, network, kind):
    """Nothing that the peer sends before T1-cookie expires has to be sent again."""
    is_lost = []

    def lose_cookie_ack(_sender, data):
        if any(isinstance(chunk, CookieAck) for chunk in sctp_network.chunks_of(data)) and not is_lost:
            is_lost.append(True)
            return False
        return True

    network.filter = lose_cookie_ack
    network.ends[0].send(1, 51, b"early", network.now)  # travels with the COOKIE ECHO
    network.ends[0].connect(network.now)
    network.run(0.1)
    assert is_lost
    if kind == "Data":
        network.ends[1].send(1, 51, b"hello", network.now)
    else:
        tsn = network.ends[0]._block.local_initial_tsn
        network.inject(0, Sack(cumulative_tsn_ack=tsn, a_rwnd=9000, gap_ack_blocks=(), duplicate_tsns=()))
    network.run(0.5)
    assert network.ends[0].state is State.ESTABLISHED
    assert [type(event) for event in network.events[0]][:1] == [Connected]
    assert network.ends[0].drops == {}
    assert payloads(network, 0) == [b"hello"] * (kind == "Data")
    assert payloads(network, 1) == [b"early"]
    # It comes late, or answers a repetition: it was waited for, once.
    network.inject(0, CookieAck())
    assert network.ends[0].drops == {}
    network.inject(0, CookieAck())
    assert network.ends[0].drops == {DropReason.UNEXPECTED_CHUNK: 1}
    assert network.kinds(0).count("CookieEcho") == 1


@pytest.mark.parametrize("callers", [(0,), (0, 1)])
@pytest.mark.parametrize("lost", range(8))
def test_every_single_loss_is_repaired(network, callers, lost):
    count = iter(range(1000))
    network.filter = lambda _sender, _data: next(count) != lost
    network.connect(*callers)
    network.ends[0].send(1, 51, b"x", network.now)
    network.run(5)
    assert payloads(network, 1) == [b"x"]


@pytest.mark.parametrize("lost", [None, "Init", "CookieEcho"])
def test_the_round_trip_is_measured_by_what_was_sent_once(network, lost):
    """RFC 9260 §6.3.1 C5."""
    dropped = []

    def lose_first(_sender, data):
        if lost in network_chunks(data) and not dropped:
            dropped.append(data)
            return False
        return True

    network.filter = lose_first
    network.connect(0)
    assert network.ends[0]._block.sender.rto.smoothed == pytest.approx(0.02)


def test_connecting_twice_is_connecting_once(network):
    network.ends[0].connect(network.now)
    network.connect(0)
    network.ends[0].connect(network.now)
    assert network.kinds(0).count("Init") == 1


def test_a_silent_peer_is_given_up(network):
    network.filter = lambda *_: False
    network.ends[0].connect(network.now)
    network.run(60)
    assert network.closed(0).reason == "handshake-timeout"
    # At 0, 1, 3 (after 2), and every 3 s from there on, nine times in all.
    assert [round(when - 1000) for when, _, _ in network.sent] == [0, 1, 3, 6, 9, 12, 15, 18, 21]
    assert network.ends[0].next_timeout() is None


def test_streams_are_the_fewer_of_both(sctp_network):
    network = sctp_network.make(options=(SctpOptions(streams=10), SctpOptions(streams=4)))
    network.ends[0].send(9, 51, b"nowhere", network.now)
    network.connect(0)
    assert network.events[0][0] == Connected(outbound_streams=4, inbound_streams=4)
    assert network.ends[0].buffered_amount(9) == 0
    network.run(1)
    assert "Data" not in network.kinds(0)
    with pytest.raises(LocalProtocolError):
        network.ends[0].send(4, 51, b"x", network.now)


# Cookies -------------------------------------------------------------------------------------------------------------


def cookie_of(network):
    """Let end 0 begin, and catch the cookie that end 1 gives it."""
    network.ends[0].connect(network.now)
    for data in network.ends[0].datagrams_to_send(network.now):
        network.ends[1].receive_datagram(data, network.now)
    (ack,) = network.replies(1)
    assert isinstance(ack, InitAck)
    return ack, ack.parameters[0].cookie


@pytest.mark.parametrize("position", range(0, 73, 6))
def test_an_edited_cookie_is_dropped_without_an_answer(network, position):
    ack, cookie = cookie_of(network)
    edited = bytearray(cookie)
    edited[position] ^= 1
    network.inject(1, CookieEcho(cookie=bytes(edited)), tag=ack.initiate_tag)
    assert network.ends[1].drops == {DropReason.COOKIE: 1}
    assert network.replies(1) == []
    assert network.ends[1].state is State.CLOSED


@pytest.mark.parametrize("length", [1, 31, 32, 40])
def test_a_cut_cookie_is_dropped(network, length):
    ack, cookie = cookie_of(network)
    network.inject(1, CookieEcho(cookie=cookie[-length:]), tag=ack.initiate_tag)
    assert network.ends[1].drops == {DropReason.COOKIE: 1}


def test_another_associations_cookie_is_dropped(network, sctp_network):
    ack, _ = cookie_of(network)
    _, foreign = cookie_of(sctp_network.make(seed=2))
    network.inject(1, CookieEcho(cookie=foreign), tag=ack.initiate_tag)
    assert network.ends[1].drops == {DropReason.COOKIE: 1}


def test_a_cookie_with_another_tag_is_dropped(network):
    ack, cookie = cookie_of(network)
    network.inject(1, CookieEcho(cookie=cookie), tag=ack.initiate_tag ^ 1)
    assert network.ends[1].drops == {DropReason.VERIFICATION_TAG: 1}


def test_an_old_cookie_is_refused_and_the_caller_begins_anew(network):
    ack, cookie = cookie_of(network)
    network.now += 61
    network.inject(1, CookieEcho(cookie=cookie), tag=ack.initiate_tag)
    assert network.ends[1].drops == {DropReason.STALE_COOKIE: 1}
    (error,) = network.replies(1)
    assert error == Error(causes=(StaleCookie(staleness_us=1_000_000),))
    network.inject(0, ack)
    network.inject(0, error)
    assert network.ends[0].state is State.COOKIE_WAIT
    network.connect(0)


def test_stale_cookies_have_an_end(sctp_network):
    network = sctp_network.make(options=(SctpOptions(), SctpOptions(cookie_lifetime=0.0)))
    network.ends[0].connect(network.now)
    network.run(60)
    assert network.closed(0).reason == "handshake-timeout"
    assert network.ends[1].state is State.CLOSED


def test_a_repeated_cookie_is_acknowledged_again_and_changes_nothing(network):
    network.connect(0)
    echo = next(data for _, who, data in network.sent if who == 0 and "CookieEcho" in str(network_chunks(data)))
    network.ends[0].send(1, 51, b"x", network.now)
    network.run(1)
    network.now += 1000
    assert list(network.ends[1].receive_datagram(echo, network.now)) == []
    assert "CookieAck" in [type(chunk).__name__ for chunk in network.replies(1)]
    network.ends[0].send(1, 51, b"y", network.now)
    network.run(1)
    assert payloads(network, 1) == [b"x", b"y"]


def network_chunks(data):
    from sctp.packet import parse_packet

    return [type(chunk).__name__ for chunk in parse_packet(data).chunks]


# Restart -------------------------------------------------------------------------------------------------------------


def restarted(network, sctp_network):
    """End 0 loses its state and begins anew."""
    network.ends[0] = sctp_network.make(seed=99).ends[0]
    network.events[0].clear()
    network.ends[0].connect(network.now)
    network.run(5)
    assert network.ends[0].state is network.ends[1].state is State.ESTABLISHED


def test_a_peer_that_has_lost_its_state_begins_anew(network, sctp_network):
    network.connect(0)
    network.ends[1].send(1, 51, b"before", network.now)
    network.run(1)
    network.ends[1].send(1, 51, b"lost on its way" * 1000, network.now)
    network.ends[1].send(2, 51, b"queued", network.now)
    list(network.ends[1].datagrams_to_send(network.now))
    restarted(network, sctp_network)
    assert network.events[1][-1] == Restarted()
    # What had begun to be sent is sent as a whole; sequence numbers begin at 0, or nothing would arrive.
    assert sorted(payloads(network, 0)) == [b"lost on its way" * 1000, b"queued"]
    network.ends[0].send(1, 51, b"after", network.now)
    network.run(1)
    assert payloads(network, 1) == [b"after"]


def test_a_restart_cannot_be_replayed(network, sctp_network):
    network.connect(0)
    network.sent.clear()
    restarted(network, sctp_network)
    echo = next(data for _, who, data in network.sent if who == 0 and "CookieEcho" in network_chunks(data))
    restarted_again = sctp_network.make(seed=98).ends[0]
    network.ends[0] = restarted_again
    restarted_again.connect(network.now)
    network.run(5)
    events = len(network.events[1])
    network.events[1].extend(network.ends[1].receive_datagram(echo, network.now))
    assert network.ends[1].drops[DropReason.LATE_COOKIE] == 1
    assert len(network.events[1]) == events
    network.ends[0].send(1, 51, b"still here", network.now)
    network.run(1)
    assert payloads(network, 1) == [b"still here"]


def test_an_init_alone_changes_nothing(network, sctp_network):
    """RFC 9260 §5.2.2: only the cookie proves that the peer has restarted."""
    network.connect(0)
    stranger = sctp_network.make(seed=5).ends[0]
    stranger.connect(network.now)
    for data in stranger.datagrams_to_send(network.now):
        network.events[1].extend(network.ends[1].receive_datagram(data, network.now))
    (ack,) = network.replies(1)
    assert ack.initiate_tag != network.ends[1]._block.local_tag
    network.ends[0].send(1, 51, b"x", network.now)
    network.run(1)
    assert payloads(network, 1) == [b"x"]


def test_no_restart_at_the_very_end(network, sctp_network):
    network.connect(0)
    network.filter = lambda sender, data: "ShutdownComplete" not in network_chunks(data)
    network.ends[0].shutdown(network.now)
    network.run(0.3)
    assert network.ends[1].state is State.SHUTDOWN_ACK_SENT
    stranger = sctp_network.make(seed=5).ends[0]
    stranger.connect(network.now)
    list(network.ends[1].datagrams_to_send(network.now))
    for data in stranger.datagrams_to_send(network.now):
        network.ends[1].receive_datagram(data, network.now)
    assert [type(chunk).__name__ for chunk in network.replies(1)] == ["ShutdownAck"]


# Ends ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_a_shutdown_lets_everything_arrive_on_both_sides(sctp_network, seed):
    weather = sctp_network.Weather(loss=0.1, repeat=0.1, delay=(0.005, 0.1))
    network = sctp_network.make(seed=seed, weather=weather, options=SctpOptions(shutdown_guard=300))
    network.connect(0)
    network.ends[0].send(1, 51, b"a" * 50_000, network.now)
    network.ends[1].send(1, 51, b"b" * 50_000, network.now)
    network.ends[0].shutdown(network.now)
    with pytest.raises(LocalProtocolError):
        network.ends[0].send(1, 51, b"too late", network.now)
    network.run(400)
    assert payloads(network, 1) == [b"a" * 50_000]
    assert payloads(network, 0) == [b"b" * 50_000]
    reasons = {network.closed(end).reason for end in (0, 1)}
    # The very last packet is not repeated: whoever waits for it gives up, when it is lost.
    assert reasons <= {"shutdown", "peer-unreachable", "shutdown-timeout"}
    assert "shutdown" in reasons


def test_the_packets_of_a_shutdown(network):
    network.connect(0)
    network.ends[0].shutdown(network.now)
    network.sent.clear()
    network.run(1)
    assert network.kinds(0) == ["Shutdown", "ShutdownComplete"]
    assert network.kinds(1) == ["ShutdownAck"]
    assert network.closed(0) == network.closed(1)
    assert network.closed(0).reason == "shutdown"
    assert network.ends[0].next_timeout() is network.ends[1].next_timeout() is None


def test_data_during_a_shutdown_is_acknowledged_by_another_shutdown(network):
    network.connect(0)
    network.filter = lambda sender, data: sender == 1
    network.ends[0].shutdown(network.now)
    network.run(0.1)
    assert network.ends[0].state is State.SHUTDOWN_SENT
    network.filter = lambda *_: True
    network.ends[1].send(1, 51, b"more", network.now)
    network.sent.clear()
    network.run(0.1)
    assert set(network.kinds(0)) >= {"Shutdown", "Sack"}
    assert payloads(network, 0) == [b"more"]
    assert network.closed(0).reason == "shutdown"


def test_both_shut_down_at_once(network):
    network.connect(0)
    network.ends[0].shutdown(network.now)
    network.ends[1].shutdown(network.now)
    network.run(1)
    assert [network.closed(end).reason for end in (0, 1)] == ["shutdown", "shutdown"]


@pytest.mark.parametrize("lost", ["Shutdown", "ShutdownAck"])
def test_lost_packets_of_a_shutdown_are_repeated(network, lost):
    network.connect(0)
    dropped = []

    def lose_first(_sender, data):
        if lost in network_chunks(data) and not dropped:
            dropped.append(data)
            return False
        return True

    network.filter = lose_first
    network.ends[0].shutdown(network.now)
    network.run(3)
    assert dropped
    assert [network.closed(end).reason for end in (0, 1)] == ["shutdown", "shutdown"]


def test_a_peer_that_does_not_finish_is_aborted(network):
    network.connect(0)
    network.filter = lambda sender, data: sender == 0
    network.ends[0].send(1, 51, b"x", network.now)
    network.ends[0].shutdown(network.now)
    network.run(100)
    assert network.closed(0).reason == "shutdown-timeout"


def test_a_shutdown_waits_for_what_waits_for_a_reset(network):
    network.connect(0)
    network.ends[0].send(1, 51, b"before", network.now)
    network.ends[0].reset_streams([1], network.now)
    network.ends[0].send(1, 51, b"after", network.now)
    network.ends[0].shutdown(network.now)
    network.run(3)
    assert payloads(network, 1) == [b"before", b"after"]
    assert network.closed(0).reason == "shutdown"


def test_a_shutdown_does_not_wait_for_what_has_expired(network):
    network.connect(0)
    network.ends[1].send(1, 51, b"x", network.now)
    network.ends[0]._block.sender.peer_window.size = 0
    network.ends[0].send(1, 51, b"short-lived", network.now, lifetime=0.1)
    network.now += 0.2
    network.ends[0].shutdown(network.now)
    network.run(1)
    assert network.closed(0).reason == "shutdown"


def test_shutting_down_before_there_is_anything(network):
    network.ends[0].connect(network.now)
    network.ends[0].shutdown(network.now)
    network.run(10)
    assert network.closed(0).reason == "shutdown"
    assert network.ends[0].state is State.ENDED


def test_an_abort_is_told_and_is_final(network):
    network.connect(0)
    network.ends[0].abort(network.now, "enough")
    assert network.ends[0].state is State.ENDED
    network.run(1)
    assert list(network.chunks(0))[-1] == Abort(causes=(UserInitiatedAbort(reason=b"enough"),))
    assert network.closed(0) is None
    assert network.closed(1) == Closed(reason="peer-abort", detail="the peer has aborted: UserInitiatedAbort")
    with pytest.raises(LocalProtocolError):
        network.ends[1].send(1, 51, b"x", network.now)
    network.inject(1, Data(tsn=1, stream_id=1, user_data=b"x"))
    assert network.ends[1].drops == {DropReason.AFTER_CLOSE: 1}
    assert list(network.ends[1].datagrams_to_send(network.now)) == []


def test_a_peer_that_vanishes_is_noticed_by_data_and_by_silence(network):
    network.connect(0)
    network.filter = lambda *_: False
    network.ends[0].send(1, 51, b"x", network.now)
    network.run(2000)
    assert network.closed(0).reason == "peer-unreachable"
    assert network.closed(1).reason == "peer-unreachable"
    assert "Heartbeat" in network.kinds(1)


@pytest.mark.parametrize("callers", [(0,), (0, 1)])
def test_heartbeats_keep_a_silent_association(network, callers):
    network.connect(*callers)
    network.run(300)
    assert network.kinds(0).count("Heartbeat") in range(8, 11)
    assert network.kinds(1).count("HeartbeatAck") == network.kinds(0).count("Heartbeat")
    assert network.kinds(1).count("Heartbeat") in range(8, 11)
    assert network.closed(0) is network.closed(1) is None


def test_only_the_right_answer_is_a_sign_of_life(network):
    network.connect(0)
    network.filter = lambda *_: False
    network.run(32, until=lambda: "Heartbeat" in network.kinds(0))
    network.inject(0, HeartbeatAck(info=b"guessing"))
    assert network.ends[0].drops == {DropReason.HEARTBEAT: 1}
    (question,) = [chunk for chunk in network.chunks(0) if isinstance(chunk, Heartbeat)]
    network.inject(0, HeartbeatAck(info=question.info))
    assert network.ends[0].drops == {DropReason.HEARTBEAT: 1}
    network.inject(0, HeartbeatAck(info=question.info))
    assert network.ends[0].drops == {DropReason.HEARTBEAT: 2}


def test_packets_read_in_one_go_get_a_sack_each_while_there_is_a_gap(network):
    """RFC 9260 §6.7: three of them make a fast retransmit, however the socket is drained."""
    network.connect(0)
    for _ in range(6):
        network.ends[0].send(1, 51, b"x" * 1160, network.now)
    packets = list(network.ends[0].datagrams_to_send(network.now))
    assert len(packets) == 4
    for data in packets[1:]:
        network.ends[1].receive_datagram(data, network.now)
    assert [type(chunk) for chunk in network.replies(1)] == [Sack] * 3


def test_no_heartbeats_if_not_wanted(sctp_network):
    network = sctp_network.make(options=SctpOptions(heartbeat_interval=0)).connect(0)
    network.run(300)
    assert network.ends[0].next_timeout() is None
    assert "Heartbeat" not in network.kinds(0)


# What we may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "data", "options"),
    [(0, b"", {}), (65535, b"x", {}), (-1, b"x", {}), (0, b"x" * 1001, {}), (0, b"x" * 900, {})],
)
def test_messages_that_cannot_be_sent(sctp_network, stream, data, options):
    network = sctp_network.make(options=SctpOptions(max_send_buffer=800))
    network.ends[0].set_peer_max_message_size(1000)
    with pytest.raises(LocalProtocolError):
        network.ends[0].send(stream, 51, data, network.now, **options)


def test_streams_that_cannot_be_reset(network):
    with pytest.raises(LocalProtocolError):
        network.ends[0].reset_streams([1, 65535], network.now)


def test_the_peers_limit_may_be_none(network):
    network.ends[0].set_peer_max_message_size(0)
    network.ends[0].send(0, 51, b"x" * 200_000, network.now)


def test_every_state_is_reached_by_a_row_and_only_the_last_has_none():
    reached = {state for row in ASSOCIATION_STATES.values() for state in row.values()}
    assert reached == set(State) - {State.CLOSED}
    assert [state for state, row in ASSOCIATION_STATES.items() if not row] == [State.ENDED]
    assert {trigger for row in ASSOCIATION_STATES.values() for trigger in row} == set(Trigger)


def test_sacks_go_along_with_data(network):
    network.connect(0)
    network.ends[0].send(1, 51, b"x", network.now)
    network.run(0.5)
    network.ends[0].send(1, 51, b"question", network.now)
    network.run(0.05)
    network.sent.clear()
    network.ends[1].send(1, 51, b"answer", network.now)
    network.run(0.01)
    assert [type(chunk) for chunk in network.chunks(1)] == [Sack, Data]


def test_message_events_are_in_the_same_call(network):
    network.connect(0)
    network.ends[0].send(1, 51, b"x", network.now)
    (data,) = network.ends[0].datagrams_to_send(network.now)
    assert list(network.ends[1].receive_datagram(data, network.now)) == [MessageReceived(1, 51, b"x")]
