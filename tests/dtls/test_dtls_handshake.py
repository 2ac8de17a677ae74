"""A whole handshake between our own two sides, in good weather."""

import pytest

from dtls.events import ApplicationData, Connected
from dtls.groups import Group, encapsulate_mlkem768
from dtls.options import DtlsOptions, Role
from wire.errors import LocalProtocolError

BOTH = (Role.CLIENT, Role.SERVER)
LABEL = "EXTRACTOR-dtls_srtp"


@pytest.mark.parametrize("group", list(Group))
def test_every_group_connects_and_agrees(make_network, identities, group):
    network = make_network(options=DtlsOptions(groups=(group,), share_groups=(group,))).connect()
    for role, peer in ((Role.CLIENT, identities.server), (Role.SERVER, identities.client)):
        association = network[role]
        connected = Connected(
            version="DTLS 1.3",
            cipher_suite="TLS_AES_128_GCM_SHA256",
            group=group.iana_name,
            srtp_profile=7,
            peer_fingerprint=peer.fingerprint(),
        )
        assert network.events[role] == [connected]
        assert association.version == "DTLS 1.3"
        assert association.cipher_suite == "TLS_AES_128_GCM_SHA256"
        assert association.group == group.iana_name
        assert association.srtp_profile == 7
        assert not association.drops
    assert network.client.export_keying_material(LABEL, 56) == network.server.export_keying_material(LABEL, 56)
    assert network.client.export_keying_material(LABEL, 56) != network.client.export_keying_material("other", 56)


def test_the_post_quantum_group_is_preferred_by_default(make_network):
    assert make_network().connect().server.group == "X25519MLKEM768"


def test_each_flight_is_as_small_as_can_be(make_network):
    network = make_network(options=DtlsOptions(groups=(Group.X25519,), share_groups=(Group.X25519,))).connect()
    senders = [sender for _, sender, _ in network.sent]
    # ClientHello, the server's flight, the client's, and an ACK: one datagram each.
    assert senders == [Role.CLIENT, Role.SERVER, Role.CLIENT, Role.SERVER]


def test_no_datagram_is_larger_than_the_mtu(make_network):
    for mtu in (256, 300, 548, 1200):
        network = make_network(options=DtlsOptions(mtu=mtu)).connect()
        assert max(len(data) for _, _, data in network.sent) <= mtu


def test_data_goes_both_ways(make_network):
    network = make_network().connect()
    network.client.send(b"ping")
    network.server.send(b"pong" * 300)
    network.run(1)
    assert network.events[Role.SERVER][1:] == [ApplicationData(data=b"ping")]
    assert network.events[Role.CLIENT][1:] == [ApplicationData(data=b"pong" * 300)]


@pytest.mark.parametrize("role", BOTH)
def test_close_notify_ends_both_sides(make_network, role):
    network = make_network().connect()
    other = Role.SERVER if role is Role.CLIENT else Role.CLIENT
    network[role].close()
    network.run(1)
    assert network.closed(other).reason == "close-notify"
    assert network.closed(role) is None
    for side in BOTH:
        assert not network[side].is_connected
        assert network[side].next_timeout() is None
        assert network[side].version is None


def test_nothing_is_given_out_before_connected(make_network):
    network = make_network()
    for role in BOTH:
        with pytest.raises(LocalProtocolError):
            network[role].export_keying_material(LABEL, 56)
        with pytest.raises(LocalProtocolError):
            network[role].send(b"too early")
        with pytest.raises(LocalProtocolError):
            network[role].snapshot(0.0)
        assert network[role].version is network[role].group is network[role].cipher_suite is None


def test_a_record_too_large_is_our_own_mistake(make_network):
    network = make_network().connect()
    with pytest.raises(LocalProtocolError):
        network.client.send(bytes((1 << 14) + 1))


def test_a_handshake_replays_byte_for_byte(make_network):
    """Same entropy and same encapsulation: same datagrams."""
    memory = {}

    def encapsulate(key):
        if key not in memory:
            memory[key] = encapsulate_mlkem768(key)
        return memory[key]

    runs = [make_network(seed=7, encapsulate=encapsulate).connect().sent for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(memory) == 1
    assert make_network(seed=8, encapsulate=encapsulate).connect().sent != runs[0]


@pytest.mark.parametrize(
    ("client", "server", "chosen"),
    [((7, 8, 1), (1,), 1), ((1, 7), (7, 8, 1), 7), ((8,), (7, 1), None), ((), (7,), None)],
)
def test_the_server_chooses_the_srtp_profile(make_network, client, server, chosen):
    network = make_network(
        client_options=DtlsOptions(srtp_profiles=client), server_options=DtlsOptions(srtp_profiles=server)
    ).connect()
    assert network.client.srtp_profile == network.server.srtp_profile == chosen


def test_an_idle_association_needs_no_timer(make_network):
    network = make_network().connect()
    assert network.client.next_timeout() is None
    # The server answers a repeated last flight for twice the MSL, and nothing after.
    retention_ends = network.server.next_timeout()
    assert retention_ends == pytest.approx(1240.0, abs=1.0)
    network.run(300)
    assert network.server.next_timeout() is None
    network.client.send(b"still here")
    network.run(1)
    assert network.events[Role.SERVER][-1] == ApplicationData(data=b"still here")
