"""Whatever comes from either side: nothing raises, and each datagram is either forwarded or counted, once."""

import random

import pytest

from relay.hop.header import CONTROL
from relay.sockaddr import serialize_sockaddr

CLIENTS = [("192.0.2.1", 40000), ("2001:db8::1", 40000), ("198.51.100.9", 666)]


@pytest.mark.parametrize("seed", range(8))
def test_every_datagram_is_forwarded_or_counted_once(world, kit, seed):
    weather = random.Random(seed)
    first, second = world.transceivers
    world.call(first, 7, CLIENTS[0])
    world.call(second, 8, CLIENTS[1])
    forwarder = world.forwarder
    from_clients = [first.request(7), second.request(8), b"\x80media" * 9, b"\x16\xfe\xfdhandshake"]
    from_clients += [kit.stun(0x0101, b"i" * 12), kit.stun(0x0011, b"i" * 12)]
    from_hop = [kit.down_header(7, CLIENTS[0], validated=True) + b"x" * 20]
    from_hop += [kit.down_header(8, CLIENTS[1], validated=False) + kit.stun(0x0001, b"i" * 12)]
    for _ in range(1500):
        world.now += 0.01
        dropped = sum(forwarder.drops.values())
        if weather.random() < 0.5:
            data, client = kit.mutated(weather, weather.choice(from_clients)), weather.choice(CLIENTS)
            ingress = weather.choice([1, 2])
            forwarder.receive_from_client(data, client, ingress, world.now, world.unix_time)
            forwarded = len(forwarder.to_transceivers)
            # No reflection: a relay answers nobody by itself.
            assert not any(forwarder.to_clients.values())
            assert all(len(copy) <= len(data) + 40 for copy, _ in forwarder.to_transceivers)
            if forwarded == 2:  # while nobody is proven, to everybody
                assert all(copy.endswith(data) for copy, _ in forwarder.to_transceivers)
                assert len(forwarder.table.targets_of(ingress, serialize_sockaddr(client))) == 2
                forwarded = 1
        else:
            data = kit.mutated(weather, weather.choice(from_hop))
            if data[:1] == bytes((CONTROL,)):
                continue
            source = weather.choice([first.address, second.address, CLIENTS[2]])
            forwarder.receive_from_hop(data, source, world.now)
            forwarded = sum(len(datagrams) for datagrams in forwarder.to_clients.values())
        assert forwarded + sum(forwarder.drops.values()) - dropped == 1
        forwarder.to_transceivers.clear()
        for datagrams in forwarder.to_clients.values():
            datagrams.clear()


@pytest.mark.parametrize("seed", range(4))
def test_no_control_message_raises_at_either_end(world, kit, seed):
    weather = random.Random(seed)
    first, _ = world.transceivers
    recorded = []
    for _ in range(4):
        world.now += 1.0
        world.forwarder.handle_timeout(world.now)
        upward = [data for data, address in world.forwarder.to_transceivers if address == first.address]
        recorded += upward
        world.forwarder.to_transceivers.clear()
        for data in upward:
            first.link.receive_control(data, ("10.0.0.1", 4001), world.now)
        recorded += [data for data, _ in first.link.datagrams_to_send(world.now)]
    for _ in range(1000):
        data = kit.mutated(weather, weather.choice(recorded))
        before = sum(world.forwarder.links.drops.values()) + sum(world.forwarder.drops.values())
        world.forwarder.receive_from_hop(data, first.address, world.now)
        after = sum(world.forwarder.links.drops.values()) + sum(world.forwarder.drops.values())
        assert after - before in (0, 1)
        list(first.link.receive_control(data, ("10.0.0.1", 4001), world.now))
    assert world.forwarder.live_transceivers == 2
