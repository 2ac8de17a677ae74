"""SUSPECT: a relay says to a transceiver whom it holds for dead."""

import pytest

from relay.hop.drops import HopDropReason
from relay.hop.links import RelayLinks, TransceiverLink, TransceiverSuspected
from relay.hop.messages import Suspect
from relay.hop.sealing import REVISION, seal
from relay.hop.transceiver_end import SUSPECT_BURST, SUSPECT_RATE

RELAY = ("10.0.0.1", 4001)
TRANSCEIVER = ("10.0.1.1", 5000)
OTHER = (1, 3, 0)


class Pair:
    def __init__(self, kit):
        self.now = 100.0
        self.kit = kit
        self.relay = RelayLinks(keys=kit.hop_keys, transceivers=[TRANSCEIVER], entropy=kit.seeded(1), now=self.now)
        self.transceiver = TransceiverLink(
            keys=kit.hop_keys, cluster=1, incarnation=2, worker=0, entropy=kit.seeded(2), now=self.now
        )
        list(self.relay.handle_timeout(self.now))
        for _ in range(3):
            for data, _ in self.relay.datagrams_to_send(self.now):
                list(self.transceiver.receive_control(data, RELAY, self.now))
            for data, _ in self.transceiver.datagrams_to_send(self.now):
                list(self.relay.receive_control(data, TRANSCEIVER, self.now))
        self.counter = 1000

    def suspect(self, identity=OTHER, source=RELAY, counter=None):
        """What the transceiver reports when a relay says it."""
        peer = self.relay._peers[TRANSCEIVER]
        self.counter += 1
        cluster, incarnation, worker = identity
        data = seal(
            self.kit.hop_keys,
            Suspect(cluster=cluster, incarnation=incarnation, worker=worker),
            sender=peer.own_number,
            counter=counter or self.counter,
            receiver=peer.number,
            abilities=REVISION,
        )
        return list(self.transceiver.receive_control(data, source, self.now))


@pytest.fixture
def pair(kit):
    return Pair(kit)


def test_a_transceiver_reports_whom_a_relay_suspects(pair):
    assert pair.suspect() == [TransceiverSuspected(cluster=1, incarnation=3, worker=0, address=RELAY)]
    assert pair.suspect((1, 2, 1)) == [TransceiverSuspected(cluster=1, incarnation=2, worker=1, address=RELAY)]
    assert not pair.transceiver.drops


def test_it_counts_once_and_only_from_its_relay(pair):
    assert pair.suspect(counter=5000)
    assert pair.suspect(counter=5000) == []
    assert pair.suspect(source=("10.0.9.9", 1)) == []
    assert pair.transceiver.drops == {HopDropReason.REPLAYED: 1, HopDropReason.UNKNOWN_PEER: 1}


@pytest.mark.parametrize("identity", [(1, 2, 0), (2, 3, 0)])
def test_we_are_not_suspected_before_ourselves_and_nobody_of_another_cluster(pair, identity):
    assert pair.suspect(identity) == []
    assert pair.transceiver.drops == {HopDropReason.FOREIGN_SUSPECT: 1}


def test_a_relay_gone_bad_is_heard_so_often_and_no_more(pair):
    heard = sum(len(pair.suspect((1, incarnation, 0))) for incarnation in range(100, 500))
    assert heard == SUSPECT_BURST
    assert pair.transceiver.drops == {HopDropReason.TOO_OFTEN: 400 - SUSPECT_BURST}
    pair.now += 1.0
    assert sum(len(pair.suspect()) for _ in range(100)) == SUSPECT_RATE
