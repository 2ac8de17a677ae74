"""A relay tells transceivers whom of their cluster it holds for dead."""

import attrs
import pytest

from relay.forwarder import Forwarder, ForwarderOptions
from relay.hop.drops import HopDropReason
from relay.hop.links import TransceiverSuspected
from relay.hop.sealing import WANTS_SEALED
from relay.hop.warning import WARN_FOR

RELAY = ("10.0.0.1", 4001)
CLIENT = ("192.0.2.1", 40000)
STEP = 0.01


@attrs.define(eq=False, slots=False)
class Cluster:
    """A relay and its transceivers; some are dead, and nothing that was sent to them brings an answer."""

    kit: object
    count: int = 3
    clusters: tuple[int, ...] = ()
    now: float = 1000.0
    dead: set = attrs.field(factory=set)
    heard: list = attrs.field(factory=list)
    told_at_once: int = 0

    def __attrs_post_init__(self):
        self.transceivers = [self.transceiver(number) for number in range(self.count)]
        self.forwarder = Forwarder(
            credentials=self.kit.credentials,
            hop_keys=self.kit.hop_keys,
            flow_tags=self.kit.flow_tags,
            ingresses=[1],
            transceivers=[each.address for each in self.transceivers],
            entropy=self.kit.seeded(9),
            now=self.now,
            options=ForwarderOptions(),
        )
        self.run(1.2)

    def transceiver(self, number, incarnation=None):
        cluster = self.clusters[number] if self.clusters else 1
        address = ("10.0.1.1", 5000 + number)
        return self.kit.transceiver(address, incarnation or 100 + number, self.now, cluster=cluster)

    def replace(self, number, incarnation):
        self.transceivers[number] = self.transceiver(number, incarnation)

    @property
    def watch(self):
        return self.forwarder.links.watch

    def run(self, seconds):
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            self.forwarder.handle_timeout(self.now)
            self.told_at_once = max(self.told_at_once, len(self.forwarder.to_transceivers))
            for _ in range(3):
                self.carry()

    def carry(self):
        upward, self.forwarder.to_transceivers[:] = list(self.forwarder.to_transceivers), []
        alive = {each.address: each for each in self.transceivers if each.link._identity not in self.dead}
        for data, address in upward:
            if address in alive:
                alive[address].receive(data, RELAY, self.now)
        for transceiver in alive.values():
            for event in transceiver.events:
                if isinstance(event, TransceiverSuspected):
                    suspect = (event.cluster, event.incarnation, event.worker)
                    self.heard.append((self.now, transceiver.link._identity, suspect))
            transceiver.events.clear()
            for data, _ in transceiver.outgoing:
                self.forwarder.receive_from_hop(data, transceiver.address, self.now)
            transceiver.outgoing.clear()

    def media(self, number, seconds):
        """A call's media goes down for some time."""
        end = self.now + seconds
        while self.now < end:
            data = self.kit.down_header(7, CLIENT, validated=True) + b"\x80media"
            self.forwarder.receive_from_hop(data, self.transceivers[number].address, self.now)
            self.run(0.02)

    def said_to(self, receiver):
        return [round(when - self.began, 2) for when, identity, _ in self.heard if identity == receiver]

    def kill(self, number):
        self.began = self.now
        self.dead.add(self.transceivers[number].link._identity)


ANN, BEN, CID = (1, 100, 0), (1, 101, 0), (1, 102, 0)


def test_others_hear_of_a_dead_one_within_a_third_of_a_second_six_times_and_then_each_second(kit):
    cluster = Cluster(kit)
    cluster.media(0, 1.0)
    cluster.kill(0)
    cluster.run(WARN_FOR + 10.0)
    assert {suspect for _, _, suspect in cluster.heard} == {ANN}
    for other in (BEN, CID):
        said = cluster.said_to(other)
        first = said[0]
        assert 0.25 <= first <= 0.35
        soon = [number / 10 for number in range(6)]
        assert [each - first for each in said] == pytest.approx(
            [*soon, *(each + 0.5 for each in range(1, 10))], abs=0.3
        )
        assert [each - first for each in said[:6]] == pytest.approx(soon, abs=0.07)
    assert cluster.said_to(ANN) == []
    assert (cluster.watch.suspected, cluster.watch.recovered) == (1, 0)


def test_its_health_says_so_and_its_link_ends_later(kit):
    cluster = Cluster(kit)
    cluster.kill(0)
    cluster.run(2.0)
    health = cluster.forwarder.links.health(cluster.now)
    assert [each.is_suspected for each in health.values()] == [True, False, False]
    cluster.run(10.0)
    assert len(cluster.forwarder.links.health(cluster.now)) == 2


def test_nobody_hears_of_it_any_more_when_it_is_heard_again(kit):
    cluster = Cluster(kit)
    cluster.media(0, 1.0)
    cluster.kill(0)
    cluster.run(1.0)
    cluster.dead.clear()
    cluster.run(0.3)
    cluster.heard.clear()
    cluster.run(5.0)
    assert cluster.heard == []
    assert (cluster.watch.suspected, cluster.watch.recovered) == (1, 1)


def test_a_datagram_of_a_client_is_a_sign_of_life_too(kit):
    cluster = Cluster(kit)
    cluster.kill(0)  # its control messages are lost, and its media is not
    cluster.media(0, 5.0)
    assert cluster.heard == []
    assert cluster.watch.suspected == 0


def test_one_that_was_replaced_before_anybody_noticed_is_told_of_at_once(kit):
    cluster = Cluster(kit)
    cluster.kill(0)
    cluster.replace(0, incarnation=555)
    cluster.run(1.5)
    assert cluster.said_to(BEN)[0] <= 1.02, "with the answer to the next HELLO"
    assert {suspect for _, _, suspect in cluster.heard} == {ANN}
    assert cluster.said_to((1, 555, 0)), "whoever is in its place hears it as well"
    cluster.run(WARN_FOR)
    cluster.heard.clear()
    cluster.run(5.0)
    assert cluster.heard == []
    assert cluster.watch.suspected == 1


def test_who_replaces_a_suspect_is_found_soon(kit):
    cluster = Cluster(kit)
    cluster.media(0, 1.0)
    cluster.kill(0)
    cluster.run(1.0)
    cluster.replace(0, incarnation=555)
    cluster.run(0.3)
    assert cluster.forwarder.links.address_of(1, 555, 0) == cluster.transceivers[0].address


def test_only_its_own_cluster_hears_of_it(kit):
    cluster = Cluster(kit, clusters=(1, 1, 2))
    cluster.kill(0)
    cluster.run(3.0)
    assert {identity for _, identity, _ in cluster.heard} == {BEN}
    assert not cluster.transceivers[2].link.drops, "it was not even sent there"


def test_one_that_starts_again_under_its_name_is_not_told_of_itself(kit):
    cluster = Cluster(kit)
    cluster.replace(0, incarnation=100)
    cluster.transceivers[0].link._number = 12345
    cluster.run(1.5)
    assert {identity for _, identity, _ in cluster.heard} == {BEN, CID}
    assert HopDropReason.FOREIGN_SUSPECT not in cluster.transceivers[0].link.drops


def test_suspects_are_not_told_of_each_other(kit):
    cluster = Cluster(kit)
    cluster.kill(0)
    cluster.kill(1)
    cluster.run(3.0)
    assert {suspect for _, _, suspect in cluster.heard} == {ANN, BEN}
    assert {identity for _, identity, _ in cluster.heard} == {CID}


@pytest.mark.parametrize("abilities", [1, 1 | WANTS_SEALED])
def test_one_of_an_earlier_revision_is_not_told(kit, monkeypatch, abilities):
    cluster = Cluster(kit)
    for peer in cluster.forwarder.links._peers.values():
        if peer.identity == BEN:
            peer.revision = abilities & 0x7F
    cluster.kill(0)
    monkeypatch.setattr("relay.hop.transceiver_end.REVISION", 1)
    cluster.run(3.0)
    assert cluster.heard == [], "all of them say now that they are of revision 1"


def test_a_host_that_dies_with_all_its_workers_does_not_hold_up_the_relay(kit):
    cluster = Cluster(kit, count=40)
    for number in range(20):
        cluster.kill(number)
    cluster.told_at_once = 0
    cluster.run(2.0)
    assert cluster.told_at_once < 130
    suspects = {(identity, suspect) for _, identity, suspect in cluster.heard}
    assert len(suspects) == 20 * 20, "everybody hears of everyone"


def test_relays_of_other_clusters_are_no_transceivers(kit):
    inner = kit.transceiver(("10.2.0.1", 7000), 900, 1000.0, cluster=2)
    forwarder = Forwarder(
        credentials=kit.credentials,
        hop_keys=kit.hop_keys,
        flow_tags=kit.flow_tags,
        ingresses=[1],
        transceivers=[],
        entropy=kit.seeded(9),
        now=1000.0,
        clusters={2: [inner.address]},
    )
    now = 1000.0
    for _ in range(100):
        now += 0.01
        forwarder.handle_timeout(now)
        for data, _ in forwarder.to_transceivers:
            inner.receive(data, RELAY, now)
        forwarder.to_transceivers.clear()
        for data, _ in inner.outgoing:
            forwarder.receive_from_hop(data, inner.address, now)
        inner.outgoing.clear()
    assert forwarder.links.up == (inner.address,)
    for _ in range(800):
        now += 0.01
        forwarder.handle_timeout(now)
        forwarder.to_transceivers.clear()
    assert forwarder.links.watch.suspected == 0
