"""An established association goes on in another process."""

import attrs
import pytest

from dtls.association import DtlsAssociation
from dtls.drops import DropReason
from dtls.events import ApplicationData
from dtls.groups import Group
from dtls.options import DtlsOptions, Role
from dtls.versions import Version
from wire.errors import MalformedError

OPTIONS = DtlsOptions(groups=(Group.X25519,), share_groups=(Group.X25519,))
ELSEWHERE = 77.0
"""The clock of the new process has nothing to do with that of the old one."""


def move(network, role, **arguments):
    """Replace one side by its restored snapshot; the network goes on with the new clock for it only."""
    return DtlsAssociation.restore(network[role].snapshot(network.now), now=ELSEWHERE, **arguments)


def exchange(sender, receiver, data):
    sender.send(data)
    return [event for datagram in sender.datagrams_to_send(0.0) for event in receiver.receive_datagram(datagram, 0.0)]


@pytest.mark.parametrize("role", list(Role))
def test_goes_on_in_both_directions(make_network, role):
    network = make_network().connect()
    peer = network.server if role is Role.CLIENT else network.client
    old = network[role]
    exchange(old, peer, b"before")
    new = move(network, role)
    assert new.is_connected
    for fact in ("version", "cipher_suite", "group", "srtp_profile"):
        assert getattr(new, fact) == getattr(old, fact)
    assert new.export_keying_material("EXTRACTOR-dtls_srtp", 56) == old.export_keying_material(
        "EXTRACTOR-dtls_srtp", 56
    )
    assert exchange(new, peer, b"after") == [ApplicationData(data=b"after")]
    assert exchange(peer, new, b"back") == [ApplicationData(data=b"back")]
    assert list(new.handle_timeout(ELSEWHERE)) == []


@pytest.mark.parametrize("role", list(Role))
def test_refuses_what_the_old_owner_has_seen(make_network, role):
    network = make_network().connect()
    peer = network.server if role is Role.CLIENT else network.client
    datagrams = []
    for number in range(5):
        peer.send(b"%d" % number)
        datagrams += peer.datagrams_to_send(0.0)
    for datagram in datagrams[:2] + datagrams[3:]:
        network[role].receive_datagram(datagram, 0.0)
    new = move(network, role)
    got = [event for datagram in datagrams for event in new.receive_datagram(datagram, 0.0)]
    assert got == [ApplicationData(data=b"2")]
    assert new.drops[DropReason.REPLAYED] == 4


def test_never_uses_a_number_twice(make_network):
    network = make_network().connect()
    for _ in range(3):
        exchange(network.client, network.server, b"x")
    expected = network.client._records.outbound(3).next_sequence
    assert move(network, Role.CLIENT)._records.outbound(3).next_sequence == expected
    # A snapshot that is not the old owner's last word: skip what it may have used since.
    new = move(network, Role.CLIENT, sequence_margin=1000)
    assert new._records.outbound(3).next_sequence == expected + 1000
    assert exchange(new, network.server, b"later") == [ApplicationData(data=b"later")]


def test_a_server_still_answers_a_repeated_last_flight(make_network):
    network = make_network(options=OPTIONS).connect()
    age = 100.0
    new = DtlsAssociation.restore(network.server.snapshot(network.now + age), now=ELSEWHERE)
    assert new.next_timeout() == pytest.approx(ELSEWHERE + 240 - age, abs=0.1)
    # The client's last flight once more, in a new record: our own client is made to repeat it.
    client = make_network(options=OPTIONS)
    client.filter = lambda sender, _data, now: sender is Role.CLIENT or now < 1000.015
    client.run(0.05)
    new = DtlsAssociation.restore(client.server.snapshot(client.now), now=ELSEWHERE)
    client.client.handle_timeout(client.now + 5)
    (repeated,) = client.client.datagrams_to_send(client.now + 5)
    assert list(new.receive_datagram(repeated, ELSEWHERE)) == []
    (ack,) = new.datagrams_to_send(ELSEWHERE)
    client.client.receive_datagram(ack, client.now + 5)
    assert client.client.next_timeout() is None
    new.handle_timeout(new.next_timeout())
    assert new.next_timeout() is None


def test_a_client_still_repeats_its_last_flight(make_network):
    network = make_network(options=OPTIONS)
    network.filter = lambda sender, *_: sender is Role.SERVER or not network.client.is_connected
    network.run(0.05)
    assert network.client.is_connected
    assert not network.server.is_connected
    new = move(network, Role.CLIENT)
    new.handle_timeout(new.next_timeout())
    (repeated,) = new.datagrams_to_send(ELSEWHERE + 1)
    network.server.receive_datagram(repeated, network.now)
    assert network.server.is_connected
    (ack,) = network.server.datagrams_to_send(network.now)
    new.receive_datagram(ack, ELSEWHERE + 1)
    assert new.next_timeout() is None


def test_a_restored_association_still_compares_fingerprints(make_network, identities):
    network = make_network().connect()
    new = move(network, Role.CLIENT)
    new.set_peer_fingerprints([identities.server.fingerprint()])
    assert new.is_connected
    new.set_peer_fingerprints([identities.stranger.fingerprint()])
    assert [event.reason for event in new.handle_timeout(ELSEWHERE)] == ["fingerprint-mismatch"]


def test_a_snapshot_can_be_taken_again(make_network):
    network = make_network().connect()
    data = network.client.snapshot(network.now)
    assert DtlsAssociation.restore(data, now=ELSEWHERE).snapshot(ELSEWHERE) == data


def test_it_is_small_and_holds_no_clock(make_network):
    network = make_network().connect()
    data = network.client.snapshot(network.now)
    assert len(data) < 1000
    assert network.client.snapshot(network.now + 1e6) == data


def test_damaged_snapshots_raise_only_the_malformed_error(make_network):
    data = make_network().connect().server.snapshot(1000.0)
    for end in range(len(data)):
        with pytest.raises(MalformedError):
            DtlsAssociation.restore(data[:end], now=0.0)
    with pytest.raises(MalformedError):
        DtlsAssociation.restore(data + b"\0", now=0.0)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        try:
            DtlsAssociation.restore(bytes(damaged), now=0.0)
        except MalformedError:
            continue


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("version", [Version.DTLS_1_2, Version.DTLS_1_3])
def test_nothing_is_sealed_from_the_ceiling_on(make_network, version, role):
    network = make_network(options=attrs.evolve(OPTIONS, versions=(version,))).connect()
    here, peer = network[role], network.server if role is Role.CLIENT else network.client
    epochs = here.next_sequences()
    assert epochs.keys() <= ({1} if version is Version.DTLS_1_2 else {2, 3})
    here.limit({epoch: number + 3 for epoch, number in epochs.items()})
    assert here.room == 3
    for number in range(5):
        here.send(b"%d" % number)
    assert here.room == 0
    assert here.drops[DropReason.CEILING] == 2
    got = [event for datagram in here.datagrams_to_send(0.0) for event in peer.receive_datagram(datagram, 0.0)]
    assert got == [ApplicationData(data=b"%d" % number) for number in range(3)]
    # Whoever takes over above it is understood.
    there = DtlsAssociation.restore(here.snapshot(0.0), now=ELSEWHERE, sequence_margin=8192)
    assert exchange(there, peer, b"from above") == [ApplicationData(data=b"from above")]
    assert {number - there.next_sequences()[epoch] for epoch, number in here.next_sequences().items()} <= {-8192, -8193}
    here.limit(None)
    here.send(b"no ceiling")
    here.limit({})
    assert here.room <= 0
    here.close()
    assert here.drops[DropReason.CEILING] == 3


def test_forgotten_without_a_word(make_network):
    network = make_network().connect()
    network.client.send(b"sealed, and not taken")
    network.client.forget()
    assert list(network.client.datagrams_to_send(0.0)) == []
    assert list(network.client.handle_timeout(ELSEWHERE)) == []
    assert network.client.room == 0
    assert not network.client.is_connected
