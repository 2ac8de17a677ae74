"""What a relay knows of how its transceivers are doing."""

import pytest

from relay.hop.drops import HopDropReason
from relay.hop.health import PING_COUNT, LinkHealth, LinkMeter
from relay.hop.links import RelayLinks, TransceiverLink

RELAY = ("10.0.0.1", 4001)
TRANSCEIVER = ("10.0.1.1", 5000)


def test_nothing_is_known_at_first():
    assert LinkMeter().health(0.0) == LinkHealth(loss=0.0, round_trip=None, missed=0)


def test_round_trips_are_smoothed():
    meter = LinkMeter()
    assert meter.pong(meter.ping(0.0), 0.008)
    assert meter.pong(meter.ping(1.0), 1.016)
    assert meter.health(2.0).round_trip == pytest.approx(0.009)


def test_loss_is_the_share_without_an_answer_in_time():
    meter = LinkMeter()
    for second in range(8):
        number = meter.ping(float(second))
        if second % 4:
            meter.pong(number, second + 0.01)
    assert meter.health(7.5).loss == 2 / 8
    assert meter.health(7.5).missed == 0
    late = meter.ping(8.0)
    assert meter.health(8.9).loss == 2 / 8, "it may still come"
    assert not meter.pong(late, 9.1)
    assert meter.health(9.1).loss == 3 / 9
    assert meter.health(9.1).missed == 1


def test_only_the_last_minute_counts_and_nothing_grows():
    meter = LinkMeter()
    for second in range(1000):
        number = meter.ping(float(second))
        if second >= 1000 - PING_COUNT // 2:
            meter.pong(number, second + 0.01)
    assert meter.health(1001.0).loss == 0.5
    assert len(meter._sent) == PING_COUNT


def test_a_pong_counts_once_and_only_for_a_ping():
    meter = LinkMeter()
    number = meter.ping(0.0)
    assert not meter.pong(number + 1, 0.1)
    assert meter.pong(number, 0.1)
    assert not meter.pong(number, 0.2)
    assert meter.health(0.2).round_trip == 0.1


class Link:
    """Both ends, `delay` seconds apart there and back together."""

    def __init__(self, kit):
        self.now = 100.0
        self.relay = RelayLinks(keys=kit.hop_keys, transceivers=[TRANSCEIVER], entropy=kit.seeded(1), now=self.now)
        self.transceiver = TransceiverLink(
            keys=kit.hop_keys, cluster=1, incarnation=2, worker=0, entropy=kit.seeded(2), now=self.now
        )
        self.said = []

    def second(self, delay=0.004, deaf=False):
        self.now += 1.01
        list(self.relay.handle_timeout(self.now))
        for _ in range(3):
            for data, _ in self.relay.datagrams_to_send(self.now):
                self.said.append(data)
                list(self.transceiver.receive_control(data, RELAY, self.now))
            for data, _ in self.transceiver.datagrams_to_send(self.now):
                if not deaf:
                    list(self.relay.receive_control(data, TRANSCEIVER, self.now + delay))
            self.now += delay


@pytest.fixture
def link(kit):
    return Link(kit)


def test_a_relay_measures_each_of_its_links_every_second(link):
    assert link.relay.health(link.now) == {}
    for _ in range(20):
        link.second()
    health = link.relay.health(link.now)[TRANSCEIVER]
    assert health.round_trip == pytest.approx(0.004)
    assert (health.loss, health.missed) == (0.0, 0)
    assert health.pings in {18, 19, 20}
    for _ in range(4):
        link.second(deaf=True)
    health = link.relay.health(link.now + 0.5)[TRANSCEIVER]
    # It is asked twice a second now, as it is silent; what was said last is under way.
    assert (health.loss, health.missed) == (5 / 25, 5)
    assert not link.relay.drops
    assert not link.transceiver.drops


def test_a_replayed_ping_is_not_answered(link):
    for _ in range(3):
        link.second()
    ping = link.said[-2]
    list(link.transceiver.receive_control(ping, RELAY, link.now))
    assert link.transceiver.drops == {HopDropReason.REPLAYED: 1}
    assert list(link.transceiver.datagrams_to_send(link.now)) == []


def test_a_ping_from_elsewhere_is_not_answered(link):
    for _ in range(2):
        link.second()
    list(link.relay.handle_timeout(link.now + 1.01))
    _, (ping, _) = link.relay.datagrams_to_send(link.now + 1.01)
    list(link.transceiver.receive_control(ping, ("10.9.9.9", 1), link.now + 1.01))
    assert link.transceiver.drops == {HopDropReason.UNKNOWN_PEER: 1}
    assert list(link.transceiver.datagrams_to_send(link.now)) == []
