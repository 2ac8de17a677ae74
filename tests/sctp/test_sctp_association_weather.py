"""Transfers in bad weather: whatever the network does, what was sent comes out, once, whole and in order."""

import random

import pytest

from sctp.events import Connected, StreamsReset, StreamsResetDone
from sctp.options import SctpOptions
from sctp.states import State

PATIENT = SctpOptions(max_retransmits=1000, max_init_retransmits=100, t1_maximum=1.0, rto_maximum=2.0)
"""So many chances that a transfer which fails has a fault, and no bad luck."""


def converse(network, dice, *, sizes, count=12, streams=3):
    """Send messages of random sizes both ways; return them by (receiver, stream)."""
    wanted = {}
    for sender in (0, 1):
        for _ in range(count):
            stream, data = dice.randrange(streams), dice.randbytes(dice.randrange(*sizes))
            network.ends[sender].send(stream, 53, data, network.now)
            wanted.setdefault((1 - sender, stream), []).append(data)
    return wanted


def assert_received(network, wanted):
    got = {}
    for end in (0, 1):
        for event in network.messages(end):
            got.setdefault((end, event.stream_id), []).append(event.data)
    assert got == wanted


def is_done(network, wanted):
    total = sum(map(len, wanted.values()))
    return lambda: len(network.messages(0)) + len(network.messages(1)) >= total


@pytest.mark.parametrize("callers", [(0,), (0, 1)])
@pytest.mark.parametrize("seed", range(10))
def test_loss_repetition_reordering_and_corruption(sctp_network, seed, callers):
    weather = sctp_network.Weather(loss=0.1, repeat=0.1, corrupt=0.03, delay=(0.005, 0.08))
    network = sctp_network.make(seed=seed, weather=weather, options=PATIENT).connect(*callers)
    wanted = converse(network, random.Random(seed), sizes=(1, 20_000))
    network.run(600, until=is_done(network, wanted))
    assert_received(network, wanted)
    assert all(len(data) <= 1188 for _, _, data in network.sent)


@pytest.mark.parametrize("seed", range(3))
def test_large_messages_both_ways(sctp_network, seed):
    weather = sctp_network.Weather(loss=0.1, repeat=0.05, delay=(0.005, 0.03))
    network = sctp_network.make(seed=seed, weather=weather, options=PATIENT).connect(0, 1)
    wanted = converse(network, random.Random(seed), sizes=(262_144, 262_145), count=2)
    network.run(600, until=is_done(network, wanted))
    assert_received(network, wanted)


@pytest.mark.parametrize("seed", range(4))
def test_a_window_hardly_larger_than_a_message(sctp_network, seed):
    options = SctpOptions(receive_window=22_000, max_message_size=20_000, max_retransmits=1000, rto_maximum=2.0)
    weather = sctp_network.Weather(loss=0.05, delay=(0.005, 0.05))
    network = sctp_network.make(seed=seed, weather=weather, options=options).connect(0)
    wanted = converse(network, random.Random(seed), sizes=(15_000, 20_000))
    network.run(600, until=is_done(network, wanted))
    assert_received(network, wanted)


def test_the_announced_window_is_never_exceeded(sctp_network):
    options = SctpOptions(receive_window=22_000, max_message_size=20_000)
    network = sctp_network.make(options=options).connect(0)
    wanted = converse(network, random.Random(5), sizes=(15_000, 20_000), streams=8)
    most = 0

    def measure():
        nonlocal most
        most = max(most, network.ends[1]._block.receiver.delivery.held_bytes)
        return is_done(network, wanted)()

    network.run(600, until=measure)
    assert_received(network, wanted)
    assert most <= 22_000
    assert not network.ends[1].drops


@pytest.mark.parametrize("mtu", [508, 1188])
def test_fragments_fill_packets_and_no_more(sctp_network, mtu):
    network = sctp_network.make(options=SctpOptions(mtu=mtu)).connect(0)
    network.run(0.3)
    network.sent.clear()
    network.ends[0].send(1, 51, b"x" * 100_000, network.now)
    network.run(10)
    sizes = [len(data) for _, who, data in network.sent if who == 0]
    assert max(sizes) == mtu
    assert sizes.count(mtu) >= len(sizes) - 2
    assert len(sizes) == -(-100_000 // (mtu - 28))


def test_small_messages_share_packets(sctp_network):
    network = sctp_network.make().connect(0)
    network.run(0.3)
    network.sent.clear()
    for number in range(50):
        network.ends[0].send(1, 51, bytes([number]), network.now)
    network.run(1)
    assert sum(who == 0 for _, who, _ in network.sent) == 1
    assert len(network.messages(1)) == 50


def test_a_loss_is_repaired_by_fast_retransmit_before_any_timer(sctp_network):
    network = sctp_network.make().connect(0)
    network.run(0.3)
    lost = []

    def lose_fifth(sender, data):
        if sender == 0 and len(data) > 1000:
            lost.append(data)
            return len(lost) != 5
        return True

    network.filter = lose_fifth
    start = network.now
    network.ends[0].send(1, 51, b"x" * 40_000, network.now)
    network.run(5, until=lambda: bool(network.messages(1)))
    assert network.now - start < 0.3
    congestion = network.ends[0]._block.sender.congestion
    # Half of the ten packets at the start, and a little of congestion avoidance.
    assert congestion.slow_start_threshold == 5 * 1176
    assert 5 * 1176 <= congestion.window <= 7 * 1176


def test_the_whole_flight_lost_is_repaired_by_the_timer_one_packet_first(sctp_network):
    network = sctp_network.make().connect(0)
    network.run(0.3)
    network.ends[0].send(1, 51, b"x" * 30_000, network.now)
    network.filter = lambda sender, _data: sender == 1
    network.run(0.35)
    network.filter = lambda *_: True
    network.sent.clear()
    network.run(0.06)
    # RFC 9260 §7.2.3: one packet until it is acknowledged.
    assert sum(who == 0 for _, who, _ in network.sent) == 1
    network.run(5)
    assert [len(event.data) for event in network.messages(1)] == [30_000]


def test_bursts_are_bounded(sctp_network):
    network = sctp_network.make().connect(0)
    network.ends[0].send(1, 51, b"x" * 100_000, network.now)
    assert len(list(network.ends[0].datagrams_to_send(network.now))) == 4
    assert list(network.ends[0].datagrams_to_send(network.now)) == []


def test_unordered_messages_overtake(sctp_network):
    network = sctp_network.make().connect(0)
    network.run(0.3)
    network.ends[0].send(1, 51, b"first", network.now)
    assert len(list(network.ends[0].datagrams_to_send(network.now))) == 1
    network.ends[0].send(1, 51, b"second", network.now)
    network.ends[0].send(1, 51, b"unordered", network.now, ordered=False)
    network.run(0.1)
    assert [event.data for event in network.messages(1)] == [b"unordered"]
    network.run(3)
    assert [event.data for event in network.messages(1)] == [b"unordered", b"first", b"second"]


# Partial reliability -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [{"max_retransmits": 0}, {"lifetime": 0.2}])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_not_worth_repeating_is_skipped_and_the_rest_arrives_in_order(sctp_network, seed, limit):
    weather = sctp_network.Weather(loss=0.2, delay=(0.005, 0.03))
    network = sctp_network.make(seed=seed, weather=weather, options=PATIENT).connect(0)
    dice = random.Random(seed)
    sent = [dice.randbytes(dice.randrange(1, 4000)) for _ in range(60)]
    for number, data in enumerate(sent):
        reliable = number % 3 == 0
        network.ends[0].send(number % 2, 51, data, network.now, **({} if reliable else limit))
        network.run(0.02)
    network.run(120)
    got = [event.data for event in network.messages(1)]
    assert set(sent[::3]) <= set(got), "what is reliable arrives"
    assert len(got) < len(sent), "something was given up"
    for stream in (0, 1):
        mine = [data for data in got if sent.index(data) % 2 == stream]
        assert mine == sorted(mine, key=sent.index)
    receiver = network.ends[1]._block.receiver
    assert (receiver.delivery.held_bytes, receiver.delivery.held_chunks) == (0, 0)
    assert network.ends[0]._block.sender.is_done
    assert "ForwardTsn" in network.kinds(0)


def test_a_message_given_up_in_the_middle_leaves_nothing_behind(sctp_network):
    network = sctp_network.make().connect(0)
    network.run(0.3)
    network.ends[0].send(1, 51, b"x" * 200_000, network.now, lifetime=0.1)
    network.run(0.06)
    network.filter = lambda sender, _data: sender == 1
    network.run(0.4)
    network.filter = lambda *_: True
    network.ends[0].send(1, 51, b"next", network.now)
    network.run(20)
    assert [event.data for event in network.messages(1)] == [b"next"]
    assert network.ends[1]._block.receiver.delivery.held_chunks == 0
    assert network.ends[0].buffered_amount(1) == 0


# Stream resets -------------------------------------------------------------------------------------------------------


def resets(network, end):
    return [event for event in network.events[end] if isinstance(event, StreamsReset | StreamsResetDone)]


@pytest.mark.parametrize("seed", range(12))
def test_resets_come_after_what_was_sent_and_before_what_is_sent_next(sctp_network, seed):
    weather = sctp_network.Weather(loss=0.2, repeat=0.2, delay=(0.005, 0.2))
    network = sctp_network.make(seed=seed, weather=weather, options=PATIENT).connect(0, 1)
    for end in (0, 1):
        for number in range(3):
            network.ends[end].send(1, 51, b"before %d" % number * 1000, network.now)
        network.ends[end].reset_streams([1], network.now)
        network.ends[end].send(1, 51, b"after", network.now)
        network.ends[end].send(2, 51, b"other", network.now)

    def is_over():
        return all(len(network.messages(end)) == 5 and len(resets(network, end)) == 2 for end in (0, 1))

    network.run(200, until=is_over)
    for end in (0, 1):
        events = [event for event in network.events[end] if getattr(event, "stream_id", 1) == 1]
        assert StreamsResetDone(stream_ids=(1,), is_performed=True) in events
        kinds = [type(event).__name__ for event in events if not isinstance(event, StreamsResetDone | Connected)]
        assert kinds == ["MessageReceived"] * 3 + ["StreamsReset", "MessageReceived"]


def test_one_request_at_a_time(sctp_network):
    network = sctp_network.make().connect(0)
    network.ends[0].reset_streams([1, 2], network.now)
    network.ends[0].reset_streams([2, 3], network.now)
    network.run(1)
    assert resets(network, 0) == [
        StreamsResetDone(stream_ids=(1, 2), is_performed=True),
        StreamsResetDone(stream_ids=(3,), is_performed=True),
    ]
    assert resets(network, 1) == [StreamsReset(stream_ids=(1, 2)), StreamsReset(stream_ids=(3,))]


def test_a_reset_waits_for_the_association(sctp_network):
    network = sctp_network.make()
    network.ends[0].send(1, 51, b"x", network.now)
    network.ends[0].reset_streams([1], network.now)
    network.connect(0).run(1)
    assert resets(network, 0) == [StreamsResetDone(stream_ids=(1,), is_performed=True)]
    assert [event.data for event in network.messages(1)] == [b"x"]


def test_an_unanswered_reset_gives_the_peer_up(sctp_network):
    network = sctp_network.make(options=SctpOptions(max_retransmits=3, heartbeat_interval=0)).connect(0)
    network.filter = lambda *_: False
    network.ends[0].reset_streams([1], network.now)
    network.run(100)
    assert network.closed(0).reason == "peer-unreachable"
    assert network.kinds(0).count("ReConfig") == 4
    assert network.ends[0].state is State.ENDED
