"""The short ways of a transfer: nobody can tell from outside whether they were taken."""

import collections
import random

import pytest

import sctp.bundling
from sctp.drops import DropReason
from sctp.options import SctpOptions
from sctp.transfer import Transfer

OPTIONS = SctpOptions(max_retransmits=1000, rto_maximum=2.0, max_burst=8)
CALM, BAD = {"delay": (0.01, 0.01)}, {"loss": 0.05, "repeat": 0.1, "corrupt": 0.1, "delay": (0.005, 0.05)}


def talk(sctp_network, seed, weather, options=OPTIONS):
    """Let both ends send messages of all sizes and kinds; return what was sent, reported and dropped."""
    network = sctp_network.make(seed=seed, weather=sctp_network.Weather(**weather), options=options).connect()
    dice = random.Random(seed)
    for _ in range(12):
        for end in (0, 1):
            limit = dice.choice(({}, {}, {"max_retransmits": 1}, {"lifetime": 0.05}))
            data = dice.randbytes(dice.choice((1, 100, 1160, 1161, 40_000, 40_000)))
            network.ends[end].send(dice.randrange(3), 51, data, network.now, ordered=dice.random() < 0.7, **limit)
        network.run(0.03)
    network.run(5)
    network.ends[0].shutdown(network.now)
    network.run(5)
    return network.sent, network.events, [end.drops for end in network.ends]


@pytest.mark.parametrize("weather", [CALM, BAD], ids=["calm", "bad"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("way", ["in", "out"])
def test_the_long_way_leads_to_the_same(sctp_network, seed, weather, way, monkeypatch):
    taken = collections.Counter()

    def watch(short):
        def call(*args):
            result = short(*args)
            taken[short.__name__] += bool(result)
            return result

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Transfer, "receive", watch(Transfer.receive))
        patch.setattr(sctp.bundling, "take_series", watch(sctp.bundling.take_series))
        short = talk(sctp_network, seed, weather)
    assert taken["receive"] > 100
    assert taken["take_series"] >= 5
    if way == "in":
        monkeypatch.setattr(Transfer, "receive", lambda _self, _data, _now: False)
    else:
        monkeypatch.setattr(sctp.bundling, "take_series", lambda _sender, _room, _now: ())
    assert talk(sctp_network, seed, weather) == short


@pytest.mark.parametrize("options", [{"max_burst": 3}, {"initial_window": 2}, {"receive_window": 5000}], ids=str)
def test_a_series_keeps_within_every_window(sctp_network, options, monkeypatch):
    options = SctpOptions(**options)
    short = talk(sctp_network, 1, CALM, options)
    monkeypatch.setattr(sctp.bundling, "take_series", lambda _sender, _room, _now: ())
    assert talk(sctp_network, 1, CALM, options) == short


def test_a_wrong_checksum_or_tag_is_dropped_on_either_way(sctp_network):
    network = sctp_network.make().connect()
    network.ends[0].send(1, 51, bytes(1160), network.now)
    (packet,) = network.ends[0].datagrams_to_send(network.now)
    receiver = network.ends[1]
    for damaged in (packet[:-1] + b"\x01", packet[:-4], packet[:9] + bytes(3) + packet[12:]):
        assert not receiver.receive_datagram(damaged, network.now)
    assert receiver.drops == {DropReason.CHECKSUM: 3}
    other = sctp_network.make(seed=9).connect()
    assert not other.ends[1].receive_datagram(packet, other.now)
    assert other.ends[1].drops == {DropReason.VERIFICATION_TAG: 1}
    assert receiver.receive_datagram(packet, network.now)
