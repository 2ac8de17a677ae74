"""A relay some of whose links are sealed: both ways of the data, and everything that must not get through."""

import pytest

from relay.drops import DropReason
from relay.hop.drops import HopDropReason
from relay.hop.header import CONTROL, SEALED

CLIENT = ("192.0.2.1", 40000)
OTHER = ("2001:db8::2", 40001)


@pytest.fixture(params=["relay", "transceiver"])
def sealed_world(request, make_world):
    return make_world(hop_sealed=True) if request.param == "relay" else make_world(sealed=(0, 1))


def test_a_call_over_a_sealed_link(sealed_world):
    world = sealed_world
    first = world.transceivers[0]
    for session, client in ((7, CLIENT), (8, OTHER)):
        world.call(first, session, client)
        world.client_sends(b"\x80up", client)
        world.client_sends(first.request(session), client)
        world.transceiver_sends(first, session, client, b"\x80down", validated=True)
        assert [payload[:3] for payload in first.payloads()] == [b"\x80up", first.request(session)[:3]]
        assert world.received_by_clients() == [(b"\x80down", client, 1)]
    assert not world.forwarder.drops
    assert not world.forwarder.links.drops


def test_nothing_of_it_is_plain(sealed_world, kit):
    world = sealed_world
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    world.forwarder.receive_from_client(b"\x80up", CLIENT, 1, world.now, world.unix_time)
    world.forwarder.receive_from_client(first.request(7), CLIENT, 1, world.now, world.unix_time)
    assert [data[0] for data, _ in world.forwarder.to_transceivers] == [SEALED, SEALED]
    assert first.link.accepts(kit.relay_address) is False


def test_plain_data_is_refused(sealed_world, kit):
    world = sealed_world
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    for validated in (True, False):
        header = kit.down_header(7, CLIENT, validated=validated)
        world.forwarder.receive_from_hop(header + b"\x80forged", first.address, world.now)
    world.pump()
    assert world.received_by_clients() == []
    assert world.forwarder.drops == {DropReason.NOT_SEALED: 2}


def test_a_replayed_datagram_reaches_nobody(sealed_world, kit):
    world = sealed_world
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    ((data, _),) = first.link.seal_data([(kit.down_header(7, CLIENT, validated=True) + b"\x80", kit.relay_address)])
    for _ in range(3):
        world.forwarder.receive_from_hop(data, first.address, world.now)
    world.pump()
    assert len(world.received_by_clients()) == 1
    assert world.forwarder.links.drops == {HopDropReason.REPLAYED: 2}


def test_a_reflected_datagram_reaches_nobody(sealed_world):
    world = sealed_world
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    world.forwarder.receive_from_client(b"\x80up", CLIENT, 1, world.now, world.unix_time)
    ((data, address),) = world.forwarder.to_transceivers
    world.forwarder.receive_from_hop(data, address, world.now)
    assert world.forwarder.links.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_a_datagram_of_one_transceiver_is_none_of_another(sealed_world, kit):
    world = sealed_world
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    ((data, _),) = first.link.seal_data([(kit.down_header(7, CLIENT, validated=True), kit.relay_address)])
    world.forwarder.receive_from_hop(data, second.address, world.now)
    assert world.forwarder.links.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_no_control_message_is_taken_out_of_a_sealed_datagram(sealed_world, kit):
    world = sealed_world
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    first.link.tell.gone(7, kit.flow_tags.make(1, 7, CLIENT), kit.relay_address)
    ((gone, _),) = first.link.datagrams_to_send(world.now)
    assert gone[0] == CONTROL
    for inner in (gone, b"", b"\x14", b"\x11" + bytes(40)):
        ((data, _),) = first.link.seal_data([(inner, kit.relay_address)])
        world.forwarder.receive_from_hop(data, first.address, world.now)
    assert len(world.forwarder.table) == 1
    assert world.forwarder.drops + world.forwarder.links.drops == {
        DropReason.BAD_HEADER: 3,
        HopDropReason.MALFORMED: 1,
    }


def test_links_are_sealed_one_by_one(make_world, kit):
    world = make_world(sealed=(1,))
    first, second = world.transceivers
    world.call(first, 7, CLIENT)
    world.call(second, 8, OTHER)
    for client in (CLIENT, OTHER):
        world.forwarder.receive_from_client(b"\x80up", client, 1, world.now, world.unix_time)
    (plain, _), (sealed, _) = world.forwarder.to_transceivers
    assert (plain[0], sealed[0]) == (0x11, SEALED)
    assert plain.endswith(b"\x80up")
    for source, reason in ((first.address, DropReason.BAD_HEADER), (CLIENT, DropReason.UNKNOWN_PEER)):
        world.forwarder.drops.clear()
        world.forwarder.receive_from_hop(sealed, source, world.now)
        assert world.forwarder.drops == {reason: 1}


def test_a_sealed_link_that_goes_down_is_counted_and_comes_back(sealed_world):
    world = sealed_world
    first = world.transceivers[0]
    world.call(first, 7, CLIENT)
    world.forwarder.set_peers([world.transceivers[1].address], {}, world.now)
    world.client_sends(b"\x80up", CLIENT)
    assert world.forwarder.drops == {DropReason.LINK_DOWN: 1}
    world.forwarder.set_peers([each.address for each in world.transceivers], {}, world.now)
    world.pump()
    world.client_sends(b"\x80up", CLIENT)
    assert first.payloads() == [b"\x80up"]
