"""Handshakes in bad weather: whatever the network does, both sides connect, or nobody believes anything."""

import pytest

from dtls.events import ApplicationData, Connected
from dtls.groups import Group
from dtls.options import DtlsOptions, Role, TimerOptions

PATIENT = TimerOptions(maximum=1.0, retransmissions=60)
"""So many chances that a handshake which fails has a fault, and no bad luck."""


def options(group, mtu=1200):
    return DtlsOptions(groups=(group,), share_groups=(group,), mtu=mtu, timers=PATIENT)


@pytest.mark.parametrize("group", [Group.X25519, Group.X25519MLKEM768])
@pytest.mark.parametrize("mtu", [256, 1200])
@pytest.mark.parametrize("seed", range(12))
def test_connects_through_loss_repetition_and_reordering(make_network, weather_type, group, mtu, seed):
    weather = weather_type(loss=0.25, repeat=0.2, delay=(0.005, 0.4))
    network = make_network(seed=seed, weather=weather, options=options(group, mtu)).connect()
    for role in Role:
        assert [type(event) for event in network.events[role]] == [Connected]
    assert network.client.export_keying_material("x", 32) == network.server.export_keying_material("x", 32)
    network.run(600)
    assert network.client.next_timeout() is network.server.next_timeout() is None, "nothing is repeated for ever"


@pytest.mark.parametrize("seed", range(12))
def test_corruption_of_protected_records_is_survived(make_network, weather_type, seed):
    """A flipped bit in the hellos may end the handshake; behind them it costs time only."""
    network = make_network(
        seed=seed, weather=weather_type(repeat=0.1, delay=(0.005, 0.2)), options=options(Group.X25519)
    )
    network.run(until=lambda: network.client._stage.__class__.__name__ == "Client13" or network.client.is_connected)
    network.weather = weather_type(loss=0.1, corrupt=0.3, delay=(0.005, 0.2))
    # What a flipped bit turns into a plaintext record is not believed any more.
    network.connect()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_corrupted_nobody_is_deceived(make_network, weather_type, seed):
    network = make_network(
        seed=seed, weather=weather_type(corrupt=0.5, delay=(0.005, 0.2)), options=options(Group.X25519)
    )
    network.run(300)
    if network.client.is_connected and network.server.is_connected:
        assert network.client.export_keying_material("x", 32) == network.server.export_keying_material("x", 32)


@pytest.mark.parametrize("lost", range(6))
@pytest.mark.parametrize("group", [Group.X25519, Group.X25519MLKEM768])
def test_every_single_loss_is_repaired(make_network, group, lost):
    network = make_network(options=options(group))
    count = iter(range(1000))
    network.filter = lambda _sender, _data, _now: next(count) != lost
    network.connect()


def test_a_lost_server_hello_fragment_is_repaired_by_the_timer_alone(make_network):
    network = make_network()
    lost = []

    def lose_first_server_datagram(sender, data, _now):
        if sender is Role.SERVER and not lost:
            lost.append(data)
            return False
        return True

    network.filter = lose_first_server_datagram
    network.connect()
    # The rest of the flight, protected with keys that the client did not have yet, was kept and used.
    client_datagrams = [data for _, sender, data in network.sent if sender is Role.CLIENT]
    assert network.client.drops["unknown-epoch"] == 0
    assert len(client_datagrams) <= 5


def test_a_partial_flight_is_acknowledged_and_only_the_rest_repeated(make_network):
    """RFC 9147 §7: the ACK names what came, so the server repeats one fragment and not its whole flight."""
    network = make_network(options=options(Group.X25519, mtu=256))
    server_sent = []

    def lose_second(sender, data, _now):
        if sender is Role.SERVER:
            server_sent.append(data)
            return len(server_sent) != 2
        return True

    network.filter = lose_second
    network.connect()
    flight = [data for when, sender, data in network.sent if sender is Role.SERVER and when < 1000.02]
    repeated = [data for when, sender, data in network.sent if sender is Role.SERVER and when >= 1000.02]
    assert len(flight) == 3
    # One lost piece, and the final ACK.
    assert len(repeated) == 2
    # A round trip took 20 ms, so the timeout is at its minimum of 50 ms; the ACK goes out a quarter of it after the
    # flight broke off, long before the server's own timer.
    acknowledged = [when for when, sender, _ in network.sent if sender is Role.CLIENT][1]
    assert acknowledged == pytest.approx(1000.02 + 0.05 / 4)


def test_a_silent_peer_is_given_up(make_network):
    network = make_network(options=DtlsOptions(timers=TimerOptions(initial=0.1, retransmissions=3)))
    network.filter = lambda *_: False
    network.run(1000)
    assert network.closed(Role.CLIENT).reason == "handshake-timeout"
    # Sent once, and again after 0.1, 0.2 and 0.4 s; given up after another 0.8 s. Each is two datagrams.
    assert [round(when - 1000, 3) for when, _, _ in network.sent] == [0, 0, 0.1, 0.1, 0.3, 0.3, 0.7, 0.7]
    assert network.now == pytest.approx(1001.5)


def test_a_server_without_a_client_waits_for_ever_and_sends_nothing(make_network):
    network = make_network()
    assert network.server.next_timeout() is None
    assert list(network.server.datagrams_to_send(1000.0)) == []


def test_the_last_flight_is_repeated_until_it_is_acknowledged(make_network):
    network = make_network()
    network.filter = lambda sender, _data, now: sender is Role.CLIENT or now < 1000.02 or now > 1003
    network.run(20)
    client_flights = [when for when, sender, _ in network.sent if sender is Role.CLIENT and when > 1000.015]
    assert network.client.is_connected
    assert len(client_flights) >= 3
    assert network.client.next_timeout() is None
    assert network.server.drops["old-message"] > 0


def test_a_server_that_repeats_its_flight_gets_the_last_one_again_soon(make_network):
    network = make_network()
    network.filter = lambda sender, _data, now: sender is Role.SERVER or now < 1000.02
    network.run(until=lambda: network.client.is_connected)
    network.run(0.001)
    deadline = network.client.next_timeout()
    network.server._channel.retransmit()
    network.run(0.011)
    assert network.client.is_connected
    assert network.client.next_timeout() < deadline


def test_a_measured_round_trip_sets_the_timer(make_network):
    for measured, expected in ((0.2, 0.4), (0.001, 0.05), (10.0, 3.0)):
        network = make_network(seed=3)
        network.server.set_round_trip_time(measured)
        network.filter = lambda sender, *_: sender is Role.CLIENT
        network.run(0.02)
        assert network.server.next_timeout() == pytest.approx(1000.01 + expected)


def test_calling_early_does_nothing(make_network):
    network = make_network()
    list(network.client.datagrams_to_send(1000.0))
    for now in (1000.0, 1000.1, 1000.39):
        assert list(network.client.handle_timeout(now)) == []
        assert list(network.client.datagrams_to_send(now)) == []
    network.client.handle_timeout(1000.4)
    assert len(list(network.client.datagrams_to_send(1000.4))) == 2


def test_data_that_overtakes_the_handshake_is_delivered_after_it(make_network):
    """The client is connected first; its data may be here before its last flight."""
    network = make_network()
    held = []

    def hold_last_flight(sender, data, _now):
        if sender is Role.CLIENT and network.client.is_connected:
            held.append(data)
            return False
        return True

    network.filter = hold_last_flight
    network.run(until=lambda: network.client.is_connected)
    network.client.send(b"ahead")
    for data in [*network.client.datagrams_to_send(network.now), *held]:
        network.events[Role.SERVER] += network.server.receive_datagram(data, network.now)
    assert [type(event) for event in network.events[Role.SERVER]] == [Connected, ApplicationData]
