"""Relays that could forward a call are told of its paths: when they are proven, when a relay starts, now and then."""

import random

import pytest

from edge.caller.results import MediaStatistics
from relay.hop.links import FlowsWanted, RelayLinks, SessionEnded
from relay.hop.transceiver_end import REFRESH_INTERVAL
from transceiver.flows import flows_to_announce
from wire.core import Path


@pytest.fixture
def group(make_world):
    return make_world(ingresses=(1,))


def restart(world, address, ingresses=(1,)) -> None:
    """Put another relay process in the place of one."""
    world.relays[address] = RelayLinks(
        keys=world.link.keys,
        transceivers=[("10.0.1.1", 5000)],
        entropy=random.Random(repr((address, world.now))).randbytes,
        now=world.now,
        ingresses=ingresses,
    )


def test_a_proven_path_is_announced_to_the_relay_that_does_not_forward_it(group) -> None:
    client = group.add()
    group.run(1)
    assert group.announced() == [client.header]
    group.run(3)
    assert group.announced() == []


def test_all_relays_of_the_group_hear_that_a_call_has_ended(group) -> None:
    client = group.add()
    group.run(1)
    group.clients.clear()  # or it would go on, and be told that nobody is there
    group.dispatcher.end(client.call, "hang-up", group.now)
    group.pump()
    assert group.ended() == [client.call.session_id] * 2


def test_a_relay_that_starts_is_told_of_all_flows_the_busiest_first(group) -> None:
    clients = [group.add(number) for number in range(5)]
    group.run(1)
    group.clients.remove(clients[3])  # falls silent
    group.run(0.5)
    group.announced()
    restart(group, group.RELAYS[0])
    group.run(0.1)
    announced = group.announced()
    assert set(announced) == {client.header for client in clients}
    assert announced[-1] == clients[3].header


def test_a_relay_of_other_ingresses_is_told_nothing(group) -> None:
    group.add()
    group.run(1)
    group.announced()
    restart(group, group.RELAYS[1], ingresses=(2,))
    group.run(0.1)
    assert group.announced() == []


def test_relays_are_told_again_of_what_still_speaks_by_way_of_others(group) -> None:
    clients = [group.add(number) for number in range(2)]
    group.run(1)
    group.announced()
    group.clients.remove(clients[1])
    group.run(22)
    assert group.announced().count(clients[0].header) == 1
    group.run(20)
    assert group.announced() == [clients[0].header]


def test_an_unproven_path_is_announced_to_nobody(group) -> None:
    client = group.add()
    group.run(1)
    group.announced()
    proven = client.header
    client.path = Path(("198.51.100.8", 60000), 1)
    for data, _ in client.caller.datagrams_to_send(group.now):
        group.receive(client.header + data)
    restart(group, group.RELAYS[1])
    group.clients.clear()
    group.run(0.1)
    assert group.announced() == [proven]


def test_a_call_that_ends_while_its_flow_waits_is_not_announced(group) -> None:
    client = group.add()
    group.run(1)
    group.link.tell.announce(group.RELAYS[1], [client.header])
    group.announced()
    group.clients.clear()  # or it would go on, and be told that nobody is there
    group.dispatcher.end(client.call, "hang-up", group.now)
    group.run(1)
    assert [type(event) for event in group.relay_events] == [SessionEnded, SessionEnded]


def test_what_was_not_heard_lately_is_not_told_again(group) -> None:
    """A client that has gone must not hold its address at a relay until its call ends."""
    client = group.add()
    group.run(1)
    (flow,) = client.call.flows.values()
    again = FlowsWanted(address=group.RELAYS[1], ingresses=frozenset({1}), is_new=False)
    new = FlowsWanted(address=group.RELAYS[1], ingresses=frozenset({1}), is_new=True)
    late = flow.heard + REFRESH_INTERVAL
    assert flows_to_announce(group.calls, again, late - 0.1) == [flow.up_header]
    assert flows_to_announce(group.calls, again, late) == []
    assert flows_to_announce(group.calls, new, late) == [flow.up_header]


# A relay gone bad, which was told of flows that are not its own.


def test_who_only_knows_a_header_does_not_get_the_answers(group) -> None:
    client = group.add()
    group.run(1)
    (flow,) = client.call.flows.values()
    media = next(iter(client.caller.media.audio_to_send(group.now + 0.02, group.now + 0.02)), b"\x80\x6f" + bytes(40))
    group.receive(client.header + media, group.RELAYS[0])
    for junk in (b"\x80\x6f" + bytes(40), b"\x16\xfe\xfd" + bytes(40), b"\x00\x01" + bytes(18), media):
        group.receive(client.header + junk, group.RELAYS[1])
        assert flow.relay == group.RELAYS[0]
    group.run(1)  # `_arrive` checks where the answers go
    assert MediaStatistics.of(client.caller).lost == 0


def test_a_tag_that_was_made_up_does_not_take_the_place_of_the_right_one(group) -> None:
    client = group.add()
    group.run(1)
    tag, client.tag = client.tag, b"made up!"
    forged = client.header
    client.tag = tag
    for junk in (b"\x80\x6f" + bytes(40), b"\x00\x01" + bytes(18)):
        for relay in group.RELAYS:
            group.receive(forged + junk, relay)
            assert list(group.calls.by_header) == [client.header]
    group.run(1)
    assert MediaStatistics.of(client.caller).lost == 0
