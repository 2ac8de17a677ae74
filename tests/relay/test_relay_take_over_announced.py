"""A successor announces what it has taken over before all else, and learns which relays have acknowledged it."""

from collections import Counter

import attrs
import pytest

from relay.forwarder import Forwarder
from relay.hop.announcing import WINDOW, Announcements
from relay.hop.drops import HopDropReason
from relay.hop.header import UP, pack_header
from relay.hop.links import FlowsAcknowledged, TransceiverLink

RELAYS = [("10.0.0.1", 4001), ("10.0.0.2", 4001), ("10.0.0.3", 4001)]
ONE, TWO, THREE = RELAYS
STRANGER = ("10.0.0.9", 4001)
SUCCESSOR = ("10.0.1.1", 5000)


def flow(kit, session, ingress=1, generation=1):
    client = ("192.0.2.1", 10_000 + session)
    tag = kit.flow_tags.make(ingress, session, client)
    return pack_header(UP, ingress=ingress, client=client, session=session, tag=tag, generation=generation)


@attrs.define(eq=False, slots=False)
class Fleet:
    """A successor, and relays of which the first two serve ingress 1 and the third serves 2 and, over TCP, 3."""

    kit: object
    now: float = 100.0
    events: list = attrs.field(factory=list)
    lost: set = attrs.field(factory=set)

    def __attrs_post_init__(self):
        self.link = TransceiverLink(
            keys=self.kit.hop_keys, cluster=1, incarnation=2, worker=0, entropy=self.kit.seeded(1), now=self.now
        )
        self.relays = {
            address: Forwarder(
                credentials=self.kit.credentials,
                hop_keys=self.kit.hop_keys,
                flow_tags=self.kit.flow_tags,
                ingresses=[2, 3] if address == THREE else [1],
                connected={3: {("192.0.2.1", 10_007)}} if address == THREE else {},
                transceivers=[SUCCESSOR],
                entropy=self.kit.seeded(number + 5),
                now=self.now,
            )
            for number, address in enumerate(RELAYS)
        }
        for _ in range(4):
            self.trip()

    def trip(self):
        """Half a millisecond passes, in which all that is due is said, and arrives."""
        self.now += 0.0005
        for address, relay in self.relays.items():
            relay.handle_timeout(self.now)
            said, relay.to_transceivers[:] = list(relay.to_transceivers), []
            for data, _ in said:
                self.events += self.link.receive_control(data, address, self.now)
        self.events += self.link.handle_timeout(self.now)
        for data, address in self.link.datagrams_to_send(self.now):
            if address not in self.lost:
                self.relays[address].receive_from_hop(data, SUCCESSOR, self.now)

    def acknowledged(self):
        return {
            (header, event.address)
            for event in self.events
            if isinstance(event, FlowsAcknowledged)
            for header in event.headers
        }


@pytest.fixture
def fleet(kit):
    return Fleet(kit)


def test_what_is_taken_over_is_acknowledged_within_a_round_trip(fleet, kit):
    taken = flow(kit, 7)
    assert fleet.link.tell.take_over(taken, ONE) == {ONE}
    fleet.trip(), fleet.trip()
    assert fleet.acknowledged() == {(taken, ONE), (taken, TWO)}, "the whole group hears it, and nobody else"
    for address in (ONE, TWO):
        (claim,) = fleet.relays[address].table.claims_of(7)
        assert (claim.generation, claim.place.address) == (1, SUCCESSOR)
    assert len(fleet.relays[THREE].table) == 0


def test_an_acknowledgement_means_that_the_former_owner_is_not_heard_any_more(kit):
    fleet = Fleet(kit)
    relay = fleet.relays[ONE]
    before = flow(kit, 7, generation=0)
    fleet.link.tell.announce(ONE, [before])
    fleet.trip(), fleet.trip()
    fleet.link.tell.take_over(flow(kit, 7), ONE)
    while not fleet.acknowledged():
        assert relay.table.claims_of(7)[0].generation in (0, 1)
        fleet.trip()
    relay.receive_from_hop(b"\x12\x01" + before[2:] + b"\x80late", SUCCESSOR, fleet.now)
    assert relay.to_clients[1] == []
    assert relay.drops == {"stale-generation": 1}


def test_where_the_relay_is_gone_the_rest_of_its_group_is_waited_for(fleet, kit):
    assert fleet.link.tell.take_over(flow(kit, 7), STRANGER) == {ONE, TWO}
    fleet.trip(), fleet.trip()
    assert fleet.acknowledged() == {(flow(kit, 7), ONE), (flow(kit, 7), TWO)}


def test_where_nobody_is_left_there_is_nobody_to_wait_for(fleet, kit):
    assert fleet.link.tell.take_over(flow(kit, 7, ingress=9), STRANGER) == frozenset()


def test_a_flow_over_tcp_is_announced_to_its_relay_though_no_ingress_is_named(fleet, kit):
    taken = flow(kit, 7, ingress=3)
    assert fleet.link.tell.take_over(taken, THREE) == {THREE}
    fleet.trip(), fleet.trip()
    assert fleet.acknowledged() == {(taken, THREE)}
    assert len(fleet.relays[THREE].table) == 1


def test_it_goes_before_what_waits_already_and_is_not_held_up_by_what_is_not_acknowledged(fleet, kit):
    fleet.lost = {ONE}
    fleet.link.tell.announce(ONE, [flow(kit, 1000 + number) for number in range(2000)])
    for _ in range(100):
        fleet.trip()  # as many chunks as may be are under way, and lost
    fleet.lost = set()
    fleet.link.tell.take_over(flow(kit, 7), ONE)
    for _ in range(8):
        fleet.trip()
    assert (flow(kit, 7), ONE) in fleet.acknowledged()


def test_one_that_is_lost_is_sent_again_soon(fleet, kit):
    fleet.lost = {ONE}
    fleet.link.tell.take_over(flow(kit, 7), ONE)
    fleet.trip()
    fleet.lost = set()
    began = fleet.now
    while (flow(kit, 7), ONE) not in fleet.acknowledged():
        fleet.trip()
    assert fleet.now - began < 0.06


def test_only_what_was_taken_over_is_reported(fleet, kit):
    fleet.link.tell.announce(ONE, [flow(kit, 8)])
    fleet.trip(), fleet.trip()
    assert len(fleet.relays[ONE].table) == 1
    assert fleet.acknowledged() == set()


def test_one_that_waits_already_is_announced_once(kit):
    telling = Announcements(100.0, Counter())
    telling.add([flow(kit, 7), flow(kit, 8)])
    telling.add_first(flow(kit, 8))
    first, second = telling.messages(100.0)
    assert (first.headers, second.headers) == ((flow(kit, 8),), (flow(kit, 7),))
    assert telling.acknowledge(first.number) == [flow(kit, 8)]
    assert telling.acknowledge(second.number) == ()
    assert telling.acknowledge(second.number) is None


def test_one_that_ends_is_withdrawn(kit):
    telling = Announcements(100.0, Counter())
    telling.add_first(flow(kit, 7))
    telling.add_first(flow(kit, 8))
    telling.withdraw(flow(kit, 7))
    (message,) = telling.messages(100.0)
    assert message.headers == (flow(kit, 8),)


def test_there_is_a_bound(kit, monkeypatch):
    monkeypatch.setattr("relay.hop.announcing.MAX_WAITING", 3)
    drops = Counter()
    telling = Announcements(100.0, drops)
    for session in range(5):
        telling.add_first(flow(kit, session))
    assert len(telling) == 3
    assert drops == {HopDropReason.NOT_ANNOUNCED: 2}


def test_a_slow_relay_has_a_bounded_number_of_chunks_under_way(kit):
    telling = Announcements(100.0, Counter())
    for session in range(41 * 3 * WINDOW):
        telling.add_first(flow(kit, session))
    sent = sum(len(list(telling.messages(100.0 + step / 1000))) for step in range(45))
    assert sent == 2 * WINDOW
