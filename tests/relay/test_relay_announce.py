"""A relay that has just started learns the flows of its ingresses from transceivers, before any client asks for it."""

from collections import Counter

import attrs
import pytest

from relay.drops import DropReason
from relay.forwarder import Forwarder
from relay.hop import announcing, learning
from relay.hop.announcing import Announcements
from relay.hop.drops import HopDropReason
from relay.hop.header import UP, pack_header
from relay.hop.links import FlowsAnnounced, FlowsWanted, RelayLinks, RelaySeen, TransceiverLink
from relay.hop.messages import Announce, Announced
from relay.hop.sealing import ANYONE, open_sealed, seal
from relay.tags import FlowTags

RELAY = ("10.0.0.1", 4001)
OTHER = ("10.0.0.2", 4001)
TRANSCEIVER = ("10.0.1.1", 5000)


def headers(kit, count, ingress=1, tags=None):
    tags = tags or kit.flow_tags
    made = []
    for number in range(count):
        client = (f"192.0.{number >> 8}.{number & 255}", 40000)
        tag = tags.make(ingress, number + 1, client)
        made.append(pack_header(UP, ingress=ingress, client=client, session=number + 1, tag=tag))
    return made


@attrs.define(eq=False, slots=False)
class Hop:
    """A transceiver and the relays that ask for it; what is between them takes `delay` seconds."""

    kit: object
    flows: list[bytes]
    now: float = 100.0
    relays: dict[tuple[str, int], Forwarder] = attrs.field(factory=dict)
    sizes: list[int] = attrs.field(factory=list)
    lose: int = 0

    def __attrs_post_init__(self):
        self.link = TransceiverLink(
            keys=self.kit.hop_keys, cluster=1, incarnation=2, worker=0, entropy=self.kit.seeded(1), now=self.now
        )

    def start_relay(self, address=RELAY, ingresses=(1, 2), seed=5):
        self.relays[address] = Forwarder(
            credentials=self.kit.credentials,
            hop_keys=self.kit.hop_keys,
            flow_tags=self.kit.flow_tags,
            ingresses=ingresses,
            transceivers=[TRANSCEIVER],
            entropy=self.kit.seeded(seed),
            now=self.now,
        )
        return self.relays[address]

    def trip(self, seconds=0.0005):
        """Everything that is due is said, and arrives."""
        self.now += seconds
        for address, relay in self.relays.items():
            relay.handle_timeout(self.now)
            said, relay.to_transceivers[:] = list(relay.to_transceivers), []
            for data, _ in said:
                self.follow(self.link.receive_control(data, address, self.now))
        when = self.link.next_timeout()
        if when is not None and when <= self.now:
            self.follow(self.link.handle_timeout(self.now))
        for data, address in self.link.datagrams_to_send(self.now):
            self.sizes.append(len(data))
            self.lose -= 1
            if self.lose < 0:
                self.relays[address].receive_from_hop(data, TRANSCEIVER, self.now)

    def follow(self, events):
        for event in events:
            if isinstance(event, FlowsWanted) and event.is_new:
                wanted = [flow for flow in self.flows if int.from_bytes(flow[2:4], "big") in event.ingresses]
                self.link.tell.announce(event.address, wanted)


@pytest.fixture
def hop(kit):
    return lambda count=0, **kw: Hop(kit=kit, flows=headers(kit, count, **kw))


def test_a_new_relay_forwards_what_follows_a_flow_within_two_round_trips_of_its_hello(hop):
    one = hop(5)
    relay = one.start_relay()
    for _ in range(2):
        one.trip()
    relay.receive_from_client(b"\x80media", ("192.0.0.3", 40000), 1, one.now, one.kit.unix_time)
    assert relay.to_transceivers[-1] == (one.flows[3] + b"\x80media", TRANSCEIVER)
    assert relay.counts["announced"] == 5
    assert not relay.drops


def test_the_ping_behind_confirm_is_answered_when_all_is_announced(hop):
    """Also if both come together: a relay that starts reads its clients then."""
    one = hop(4 * 41)
    relay = one.start_relay()
    assert relay.links.is_waiting
    one.trip()
    assert not relay.links.is_waiting
    relay.handle_timeout(one.now)
    for data, _ in relay.to_transceivers:
        one.follow(one.link.receive_control(data, RELAY, one.now))
    relay.to_transceivers.clear()
    said = [data for data, _ in one.link.datagrams_to_send(one.now)]
    for data in said:
        assert relay.links.is_catching_up
        relay.receive_from_hop(data, TRANSCEIVER, one.now)
    assert not relay.links.is_catching_up
    assert len(relay.table) == 4 * 41


def test_a_restarted_relay_is_told_again(hop):
    one = hop(5)
    one.start_relay()
    one.trip(), one.trip()
    one.now += 3.0
    again = one.start_relay(seed=6)
    one.trip(), one.trip()
    assert len(again.table) == 5


def test_a_relay_is_told_once_and_not_with_every_confirm(hop):
    one = hop(5)
    relay = one.start_relay()
    for _ in range(30):
        one.trip(0.5)
    assert relay.counts["announced"] == 5
    assert sum(size > 150 for size in one.sizes) == 1


def test_only_flows_of_its_ingresses_are_announced_to_a_relay(hop, kit):
    one = hop(3)
    one.flows += headers(kit, 2, ingress=2)
    second = one.start_relay(ingresses=(2,))
    one.trip(), one.trip()
    assert len(second.table) == 2
    assert not second.drops


def test_a_relay_without_ingresses_is_told_nothing(hop, kit):
    """Revision 0 names none."""
    one = hop(3)
    links = RelayLinks(keys=kit.hop_keys, transceivers=[TRANSCEIVER], entropy=kit.seeded(3), now=100.0)
    list(links.handle_timeout(100.0))
    for _ in range(3):
        for data, _ in links.datagrams_to_send(100.0):
            assert not [e for e in one.link.receive_control(data, RELAY, 100.0) if not isinstance(e, RelaySeen)]
        for data, _ in one.link.datagrams_to_send(100.0):
            assert not [e for e in links.receive_control(data, TRANSCEIVER, 100.0) if isinstance(e, FlowsAnnounced)]
    assert one.link.relays == (RELAY,)


def test_ten_thousand_flows_are_announced_in_the_given_order_in_paced_chunks(hop):
    one = hop(10_000)
    relay = one.start_relay()
    for _ in range(2):
        one.trip()
    first = len(relay.table)
    assert first == 4 * 41, "a burst"
    assert max(one.sizes) <= announcing.MAX_MESSAGE
    assert all(relay.table.claims_of(session) for session in range(1, first + 1)), "the busiest"
    started, longest = one.now, 0
    while len(relay.table) < 10_000 and one.now < started + 5:
        before = len(relay.table)
        one.trip(0.005)
        longest = max(longest, len(relay.table) - before)
    assert len(relay.table) == 10_000
    assert one.now - started < 1.0
    assert longest <= 4 * 41, "never more between two looks at the sockets"
    assert not relay.links.is_learning
    assert relay.links.drops == {}


def test_a_lost_chunk_is_sent_again(hop):
    one = hop(100)
    relay = one.start_relay()
    one.trip()
    one.lose = 2
    one.trip()
    assert len(relay.table) < 100
    for _ in range(30):
        one.trip(0.01)
    assert len(relay.table) == 100
    assert one.link.next_timeout() > one.now + 0.01, "nothing is left to be sent"


def test_a_relay_that_acknowledges_nothing_is_given_up(kit):
    drops = Counter()
    telling = Announcements(0.0, drops)
    telling.add(headers(kit, 1000))
    sent, now = 0, 0.0
    while now < 100 and telling:
        sent += len(list(telling.messages(now)))
        now = max(now + 0.001, telling.next_timeout() or now)
    assert not telling
    assert drops == {HopDropReason.NOT_ANNOUNCED: 1000}
    assert sent == 25 * 5


def test_no_more_than_a_window_is_under_way(kit):
    telling = Announcements(0.0, Counter())
    telling.add(headers(kit, 1000))
    sent = [message for step in range(40) for message in telling.messages(step / 500)]
    assert len(sent) == announcing.WINDOW
    assert telling.acknowledge(sent[0].number) is not None
    assert telling.acknowledge(sent[0].number) is None
    assert len(list(telling.messages(0.09))) == 1


def test_what_waits_is_bounded(kit, monkeypatch):
    monkeypatch.setattr(announcing, "MAX_WAITING", 10)
    drops = Counter()
    telling = Announcements(0.0, drops)
    flows = headers(kit, 15)
    telling.add(flows)
    telling.add(flows[:10])
    assert len(telling) == 10
    assert drops == {HopDropReason.NOT_ANNOUNCED: 5}


def test_a_flow_that_ends_is_not_announced_any_more_nor_again(kit):
    telling = Announcements(0.0, Counter())
    flows = headers(kit, 3)
    telling.add(flows[:2])
    (first,) = telling.messages(0.0)
    assert first.headers == tuple(flows[:2])
    telling.add(flows[2:])
    for flow in (flows[0], flows[2]):
        telling.withdraw(flow)
    (again,) = telling.messages(0.2)
    assert again == Announce(number=first.number, headers=(flows[1],))


def test_a_slow_relay_keeps_a_bounded_number_of_chunks(kit, monkeypatch):
    monkeypatch.setattr(learning, "MAX_CHUNKS", 3)
    lessons = learning.Lessons(0.0)
    chunk = Announce(number=1, headers=())
    assert [lessons.add(None, chunk) for _ in range(5)] == [True, True, True, False, False]
    assert len(list(lessons.take(0.0))) == 3
    assert lessons.next_timeout() is None


def test_a_chunk_for_which_there_is_no_room_comes_again(hop, monkeypatch):
    one = hop(10)
    relay = one.start_relay()
    monkeypatch.setattr(learning, "MAX_CHUNKS", 0)
    one.trip(), one.trip()
    assert relay.links.drops == {HopDropReason.TOO_MANY: 1}
    assert len(relay.table) == 0
    monkeypatch.setattr(learning, "MAX_CHUNKS", 1)
    one.trip(0.2)
    assert len(relay.table) == 10


def test_a_relay_takes_up_chunks_at_its_own_pace_however_many_announce():
    lessons = learning.Lessons(0.0)
    for number in range(300):
        lessons.add(number % 50, Announce(number=number, headers=()))
    taken, now = list(lessons.take(0.0)), 0.0
    assert len(taken) == 4
    while len(lessons):
        assert now < lessons.next_timeout() <= now + 0.01
        now = lessons.next_timeout() + 1e-6
        more = list(lessons.take(now))
        assert 1 <= len(more) <= 4
        taken += more
    assert now == pytest.approx(296 / 600, rel=0.02)
    assert [announce.number for _, announce in taken] == list(range(300))


def test_a_path_that_is_proven_is_announced_to_the_other_relays_of_its_group(hop):
    one = hop()
    first, second = one.start_relay(), one.start_relay(OTHER, seed=6)
    foreign = one.start_relay(("10.0.0.3", 4001), ingresses=(9,), seed=7)
    one.trip(), one.trip()
    (flow,) = headers(one.kit, 1)
    one.link.tell.announce_to_others(flow, RELAY)
    one.trip()
    assert [len(relay.table) for relay in (first, second, foreign)] == [0, 1, 0]
    one.link.tell.release(flow, RELAY)
    one.trip()
    assert [relay.counts["gone"] for relay in (first, second, foreign)] == [0, 1, 0]
    assert len(second.table) == 0


def test_relays_are_told_again_while_a_flow_goes_through_another(hop):
    one = hop()
    one.start_relay()
    one.trip(), one.trip()
    wanted = []
    for _ in range(65):
        one.now += 1.0
        one.trip()
        wanted += [e for e in one.link.handle_timeout(one.now) if isinstance(e, FlowsWanted)]
    assert len(wanted) <= 3  # `trip` takes some of them


def test_what_is_announced_again_keeps_a_claim_alive(hop):
    one = hop(1)
    relay = one.start_relay()
    one.trip(), one.trip()
    for _ in range(6):
        for _ in range(20):
            one.trip(1.0)
        one.link.tell.announce(RELAY, one.flows)
        one.trip()
    assert len(relay.table) == 1
    for _ in range(31):
        one.trip(1.0)
    assert len(relay.table) == 0


# What a transceiver gone bad may announce.


def test_wrong_tags_are_counted_and_change_nothing(hop, kit):
    one = hop(4, tags=FlowTags([b"x" * 32]))
    relay = one.start_relay()
    one.trip(), one.trip()
    assert len(relay.table) == 0
    assert relay.drops == {DropReason.FORGED_TAG: 4}


def test_a_tag_counts_for_its_own_session_and_address_only(hop, kit):
    one = hop(1)
    (good,) = one.flows
    one.flows = [good[:6] + b"\0\0" + good[8:], good[:8] + bytes(7) + b"\x09" + good[16:], good[:24] + b"\x01" * 4]
    relay = one.start_relay()
    one.trip(), one.trip()
    assert relay.drops == {DropReason.FORGED_TAG: 3}


def test_an_ingress_that_is_not_ours_is_refused(hop, kit):
    one = hop(2, ingress=3)
    relay = one.start_relay(ingresses=(1,))
    one.trip(), one.trip()
    one.link.tell.announce(RELAY, one.flows)
    one.trip()
    assert relay.drops == {DropReason.UNKNOWN_INGRESS: 2}


def test_a_full_table_sheds_what_is_announced_and_counts_it(kit, make_world):
    world = make_world(max_claims=2)
    first = world.transceivers[0]
    first.link.tell.announce(kit.relay_address, headers(kit, 5))
    first.outgoing += first.link.datagrams_to_send(world.now)
    world.pump()
    assert len(world.forwarder.table) == 2
    assert world.forwarder.drops == {DropReason.TABLE_FULL: 3}


def test_another_transceiver_cannot_announce_a_session_away(kit, world):
    first, second = world.transceivers
    (flow,) = headers(kit, 1)
    for transceiver in (first, second):
        transceiver.link.tell.announce(kit.relay_address, [flow])
        transceiver.outgoing += transceiver.link.datagrams_to_send(world.now)
        world.pump()
    assert world.claim(1).place.address == first.address
    assert world.forwarder.drops == {DropReason.FOREIGN_TRANSCEIVER: 1}


def test_announcements_of_a_process_that_is_gone_are_not_learned(kit, hop):
    one = hop(400)
    relay = one.start_relay()
    one.trip(), one.trip()
    one.now += 0.001
    for data, _ in one.link.datagrams_to_send(one.now + 0.02):
        relay.receive_from_hop(data, TRANSCEIVER, one.now)
    known = len(relay.table)
    relay.set_peers([], {}, one.now)
    relay.handle_timeout(one.now + 1.0)
    assert len(relay.table) == known
    assert not relay.links.is_learning


# Forged, replayed, reflected.


def announce_of(hop):
    one = hop(3)
    relay = one.start_relay()
    one.trip()
    relay.handle_timeout(one.now)
    for data, _ in relay.to_transceivers:
        one.follow(one.link.receive_control(data, RELAY, one.now))
    relay.to_transceivers.clear()
    announce, _pong = [data for data, _ in one.link.datagrams_to_send(one.now)]
    return one, relay, announce


def test_every_changed_byte_of_an_announce_is_noticed(hop):
    one, relay, announce = announce_of(hop)
    for position in range(len(announce)):
        changed = bytearray(announce)
        changed[position] ^= 1
        relay.receive_from_hop(bytes(changed), TRANSCEIVER, one.now)
    assert len(relay.table) == 0
    assert sum((relay.links.drops + relay.drops).values()) == len(announce)


def test_a_replayed_announce_does_not_bring_an_ended_flow_back(hop):
    one, relay, announce = announce_of(hop)
    relay.receive_from_hop(announce, TRANSCEIVER, one.now)
    for flow in one.flows:
        one.link.tell.release(flow, RELAY)
    one.trip()
    assert len(relay.table) == 0
    relay.receive_from_hop(announce, TRANSCEIVER, one.now)
    assert len(relay.table) == 0
    assert relay.links.drops == {HopDropReason.REPLAYED: 1}


def test_an_announce_means_nothing_elsewhere(hop):
    """To another relay, to a later process of the same, from another address, back to its sender."""
    one, relay, announce = announce_of(hop)
    relay.receive_from_hop(announce, OTHER, one.now)
    assert relay.links.drops == {HopDropReason.UNKNOWN_PEER: 1}
    other = one.start_relay(OTHER, seed=9)
    one.trip()
    other.receive_from_hop(announce, TRANSCEIVER, one.now)
    assert other.links.drops == {HopDropReason.NOT_AUTHENTIC: 1}
    assert list(one.link.receive_control(announce, RELAY, one.now)) == []
    assert one.link.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_a_confirm_from_another_address_brings_it_no_flows(hop, kit):
    """An attacker who copies a relay's messages wants what is announced to it."""
    one = hop(3)
    relay = one.start_relay()
    relay.handle_timeout(one.now)
    ((hello, _),) = relay.to_transceivers
    relay.to_transceivers.clear()
    for source in (OTHER, RELAY):
        list(one.link.receive_control(hello, source, one.now))
    (to_other, _), (to_relay, _) = one.link.datagrams_to_send(one.now)
    relay.receive_from_hop(to_relay, TRANSCEIVER, one.now)
    (confirm, _), _ping = relay.to_transceivers
    assert list(one.link.receive_control(confirm, OTHER, one.now)) == []
    assert one.link.drops == {HopDropReason.STALE_NONCE: 1}
    assert one.link.relays == ()
    # The WELCOME that he got himself he cannot open, and the relay takes it for an answer only once.
    relay.to_transceivers.clear()
    relay.receive_from_hop(to_other, TRANSCEIVER, one.now)
    assert relay.to_transceivers == []


def test_an_acknowledgement_counts_once_and_from_its_relay_only(hop, kit):
    one, relay, announce = announce_of(hop)
    relay.receive_from_hop(announce, TRANSCEIVER, one.now)
    ((announced, _),) = relay.to_transceivers
    for source, reason in ((OTHER, HopDropReason.UNKNOWN_PEER), (RELAY, None), (RELAY, HopDropReason.REPLAYED)):
        one.link.drops.clear()
        assert list(one.link.receive_control(announced, source, one.now)) == []
        assert one.link.drops == ({reason: 1} if reason else {})
    relay.receive_from_hop(announced, TRANSCEIVER, one.now)
    assert relay.links.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_an_acknowledgement_of_nothing_is_stale(hop, kit):
    one, relay, _ = announce_of(hop)
    relay.links._send(next(iter(relay.links._peers.values())), Announced(number=77), one.link._number)
    ((sealed, _),) = relay.links.datagrams_to_send(one.now)
    list(one.link.receive_control(sealed, RELAY, one.now))
    assert one.link.drops == {HopDropReason.STALE_NONCE: 1}


# Revisions.


def test_an_announce_that_is_sealed_for_anyone_is_forged(hop, kit):
    one, relay, _ = announce_of(hop)
    sealed = seal(kit.hop_keys, Announce(number=1, headers=()), sender=1, counter=1, receiver=ANYONE)
    relay.receive_from_hop(sealed, TRANSCEIVER, one.now)
    assert relay.links.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_a_header_of_another_direction_is_malformed(kit):
    (up,) = headers(kit, 1)
    for bad in (b"\x12" + up[1:], up[:1] + b"\x01" + up[2:], up[:-1], up + b"x"):
        sealed = seal(kit.hop_keys, Announce(number=1, headers=(bad,)), sender=9, counter=1, receiver=5)
        assert open_sealed(kit.hop_keys, sealed, receiver=5) is HopDropReason.MALFORMED
