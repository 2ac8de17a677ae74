"""DTLS 1.2 in bad weather: no ACKs here, so whole flights are sent again, and both sides connect all the same."""

import pytest

from dtls.drops import DropReason
from dtls.events import ApplicationData, Connected
from dtls.groups import Group
from dtls.options import DtlsOptions, Role, TimerOptions
from dtls.records import ContentType, split_datagram
from dtls.versions import Version

PATIENT = TimerOptions(maximum=1.0, retransmissions=60)
"""So many chances that a handshake which fails has a fault, and no bad luck."""

ONLY_12 = (Version.DTLS_1_2,)


def options(mtu=1200, group=Group.X25519, timers=PATIENT):
    return DtlsOptions(versions=ONLY_12, groups=(group,), share_groups=(group,), mtu=mtu, timers=timers)


@pytest.mark.parametrize("mtu", [256, 1200])
@pytest.mark.parametrize("seed", range(25))
def test_connects_through_loss_repetition_and_reordering(make_network, weather_type, mtu, seed):
    weather = weather_type(loss=0.25, repeat=0.2, delay=(0.005, 0.4))
    network = make_network(seed=seed, weather=weather, options=options(mtu)).connect()
    for role in Role:
        assert [type(event) for event in network.events[role]] == [Connected]
    assert network.client.export_keying_material("x", 32) == network.server.export_keying_material("x", 32)
    network.run(600)
    assert network.client.next_timeout() is network.server.next_timeout() is None, "nothing is repeated for ever"


@pytest.mark.parametrize("seed", range(10))
def test_both_versions_on_offer_and_12_chosen_in_bad_weather(make_network, weather_type, seed):
    """The post-quantum ClientHello takes two datagrams, and the version is known after both only."""
    network = make_network(
        seed=seed,
        weather=weather_type(loss=0.2, repeat=0.2, delay=(0.005, 0.3)),
        client_options=DtlsOptions(timers=PATIENT),
        server_options=options(),
    ).connect()
    assert network.client.version == network.server.version == "DTLS 1.2"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_corrupted_nobody_is_deceived(make_network, weather_type, seed):
    network = make_network(seed=seed, weather=weather_type(corrupt=0.4, delay=(0.005, 0.2)), options=options())
    network.run(300)
    if network.client.is_connected and network.server.is_connected:
        assert network.client.export_keying_material("x", 32) == network.server.export_keying_material("x", 32)


@pytest.mark.parametrize("lost", range(10))
@pytest.mark.parametrize("mtu", [256, 1200])
def test_every_single_loss_is_repaired(make_network, mtu, lost):
    network = make_network(options=options(mtu))
    count = iter(range(1000))
    network.filter = lambda _sender, _data, _now: next(count) != lost
    network.connect()
    # One timeout is enough, whichever it was.
    assert network.now < 1000.9


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("role", list(Role))
def test_a_flight_in_any_order_needs_no_retransmission(make_network, role, order):
    """Rotated by one, two, … datagrams, so that Finished comes before what its keys are made of."""
    network = make_network(options=options(256))
    held = []

    def rotate(sender, data, _now):
        if sender is role and network[role]._stage.__class__.__name__.endswith("12"):
            held.append(data)
            return False
        return True

    network.filter = rotate
    network.run(0.3)
    assert len(held) > 2
    network.filter = lambda *_: True
    turn = order % len(held)
    receiver = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    for data in held[turn:] + held[:turn]:
        network.events[receiver] += network[receiver].receive_datagram(data, network.now)
    before = len(network.sent)
    network.run(0.05)
    assert network.client.is_connected
    assert network.server.is_connected
    assert all(data not in held for _, _, data in network.sent[before:])
    for reason in (DropReason.WRONG_EPOCH, DropReason.UNDECRYPTABLE, DropReason.UNKNOWN_EPOCH):
        assert not network[receiver].drops[reason]


def test_a_piece_of_the_answer_does_not_stop_our_own_retransmissions(make_network):
    """RFC 6347 §4.2.4: flights are monolithic. Here the server never sends by itself what was lost."""
    network = make_network(options=options(256))
    state = {"server": 0}

    def lose_all_but_the_first(sender, _data, _now):
        if sender is Role.SERVER:
            state["server"] += 1
            return state["server"] == 1
        return True

    network.filter = lose_all_but_the_first
    network.run(0.05)
    network.server._channel.timer.stop()
    client_hellos = [data for _, sender, data in network.sent if sender is Role.CLIENT]
    network.filter = lambda *_: True
    network.run(2.0)
    again = [data for when, sender, data in network.sent if sender is Role.CLIENT and when > 1000.1]
    # The same message, in a new record.
    assert again[0][13:] == client_hellos[0][13:]
    assert again[0][:13] != client_hellos[0][:13]


def test_a_repeated_hello_hastens_the_answer(make_network):
    """The client cannot have seen our flight, so half of our timer is enough."""
    network = make_network(options=options())
    network.filter = lambda sender, *_: sender is Role.CLIENT
    network.run(0.05)
    (hello,) = [data for _, sender, data in network.sent if sender is Role.CLIENT]
    assert network.server.next_timeout() == pytest.approx(1000.01 + 0.4)
    network.server.receive_datagram(hello, network.now)
    assert network.server.next_timeout() == pytest.approx(1000.01 + 0.2)


def test_a_lost_last_flight_is_repeated_when_the_client_repeats_its_own(make_network):
    network = make_network(options=options())
    network.filter = lambda sender, _data, now: not (sender is Role.SERVER and 1000.025 < now < 1003)
    network.run(2.9)
    assert network.server.is_connected
    assert not network.client.is_connected
    assert network.server.next_timeout() is None, "the server waits for nothing"
    sent = [data for when, sender, data in network.sent if sender is Role.SERVER and when > 1000.025]
    assert len(sent) >= 3
    for data in sent:
        records = list(split_datagram(data))
        assert [(record.content_type, record.epoch) for record in records] == [
            (ContentType.CHANGE_CIPHER_SPEC, 0),
            (ContentType.HANDSHAKE, 1),
        ]
    numbers = [list(split_datagram(data))[1].sequence for data in sent]
    assert numbers == list(range(len(numbers))), "a repeated message is a new record"
    assert network.server.drops[DropReason.OLD_MESSAGE] == len(sent) - 1
    assert network.server._channel.flight is None, "an idle association holds no flight"
    network.run(20)
    assert network.client.is_connected


def test_a_repeated_finished_of_hours_ago_is_still_answered(make_network):
    network = make_network(options=options(timers=TimerOptions(retransmissions=10_000, maximum=60.0)))
    network.filter = lambda sender, _data, now: not (sender is Role.SERVER and 1000.025 < now < 5000)
    network.run(4500)
    assert network.client.is_connected


def test_a_silent_peer_is_given_up(make_network):
    for silent in Role:
        network = make_network(options=options(timers=TimerOptions(initial=0.1, retransmissions=3)))
        network.filter = lambda sender, _data, now, silent=silent: sender is not silent or now < 1000.005
        network.run(1000)
        other = Role.SERVER if silent is Role.CLIENT else Role.CLIENT
        assert network.closed(other).reason == "handshake-timeout"


def test_data_before_finished_is_not_delivered(make_network):
    """RFC 6347 §4.2.4: discard or buffer data of the new epoch until its Finished is here; it is discarded."""
    network = make_network(options=options())
    held = []

    def hold_last_flight(sender, data, _now):
        if sender is Role.SERVER and network.server.is_connected:
            held.append(data)
            return False
        return True

    network.filter = hold_last_flight
    network.run(until=lambda: network.server.is_connected)
    network.server.send(b"ahead")
    (finished,), (data,) = held, network.server.datagrams_to_send(network.now)
    network.filter = lambda *_: True
    assert list(network.client.receive_datagram(data, network.now)) == []
    assert network.client.drops[DropReason.EARLY_DATA_OVERFLOW] == 1
    (connected,) = network.client.receive_datagram(finished, network.now)
    assert isinstance(connected, Connected)
    network.server.send(b"after")
    network.run(1)
    assert network.events[Role.CLIENT] == [ApplicationData(data=b"after")]
