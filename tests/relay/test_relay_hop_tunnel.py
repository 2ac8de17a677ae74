"""Sealed data of a link: what opens, what does not, and that no key meets a nonce twice."""

import random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.hop import tunnel as tunnel_module
from relay.hop.drops import HopDropReason
from relay.hop.header import SEALED
from relay.hop.keys import HopKeys
from relay.hop.links import LinkUp, RelayLinks, TransceiverLink
from relay.hop.tunnel import OVERHEAD, Tunnel

RELAY = ("10.0.0.1", 4001)
TRANSCEIVER = ("10.0.1.1", 5000)
DATA = b"\x11" + bytes(27) + b"\x80media"


def make(keys, number, peer, start=1):
    counter = iter(range(start, 1 << 48))
    return Tunnel(keys=lambda: keys, number=number, peer=peer, count=lambda: next(counter))


@pytest.fixture
def pair(kit):
    return make(kit.hop_keys, 7, 8), make(kit.hop_keys, 8, 7)


def test_what_is_sealed_opens_at_the_other_end(pair):
    one, other = pair
    sealed = one.seal(DATA)
    assert len(sealed) == len(DATA) + OVERHEAD
    assert DATA[:10] not in sealed
    assert other.open(sealed) == DATA
    assert one.open(other.seal(DATA)) == DATA


def test_a_datagram_opens_once_in_any_order(pair):
    one, other = pair
    sealed = [one.seal(bytes([0x11, number])) for number in range(200)]
    random.Random(1).shuffle(sealed)
    assert sorted(other.open(data) for data in sealed) == [bytes([0x11, number]) for number in range(200)]
    assert {other.open(data) for data in sealed} == {HopDropReason.REPLAYED}


def test_what_is_too_old_to_tell_is_refused(pair):
    one, other = pair
    first = one.seal(DATA)
    for _ in range(1024):
        last = one.seal(DATA)
    assert other.open(last) == DATA
    assert other.open(first) is HopDropReason.REPLAYED


def test_every_changed_byte_is_noticed_and_moves_nothing(pair):
    one, other = pair
    sealed = one.seal(DATA)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        assert isinstance(other.open(bytes(changed)), HopDropReason)
    for size in range(len(sealed)):
        assert isinstance(other.open(sealed[:size]), HopDropReason)
    assert other.open(sealed) == DATA


def test_a_forged_counter_does_not_move_the_window(pair):
    one, other = pair
    sealed = one.seal(DATA)
    assert other.open(sealed[:2] + b"\xff" * 6 + sealed[8:]) is HopDropReason.NOT_AUTHENTIC
    assert other.open(sealed) == DATA


def test_it_opens_neither_at_home_nor_on_another_link(pair, kit):
    one, _ = pair
    sealed = one.seal(DATA)
    assert one.open(sealed) is HopDropReason.NOT_AUTHENTIC
    assert make(kit.hop_keys, 8, 9).open(sealed) is HopDropReason.NOT_AUTHENTIC
    assert make(kit.hop_keys, 9, 7).open(sealed) is HopDropReason.NOT_AUTHENTIC


def test_keys_rotate_readers_first(kit):
    old, both = {1: b"h" * 32}, {1: b"h" * 32, 2: b"n" * 32}
    stages = [
        (HopKeys.derive(old, 1), HopKeys.derive(both, 1)),
        (HopKeys.derive(both, 1), HopKeys.derive(both, 2)),
        (HopKeys.derive(both, 2), HopKeys.derive({2: b"n" * 32}, 2)),
    ]
    held = {}
    one = Tunnel(keys=lambda: held["one"], number=7, peer=8, count=iter(range(1, 100)).__next__)
    other = Tunnel(keys=lambda: held["other"], number=8, peer=7, count=iter(range(1, 100)).__next__)
    for held["one"], held["other"] in stages:
        assert other.open(one.seal(DATA)) == DATA
        assert one.open(other.seal(DATA)) == DATA
    held["one"] = HopKeys.derive(old, 1)
    assert other.open(one.seal(DATA)) is HopDropReason.UNKNOWN_KEY


def test_an_id_that_gets_another_key_does_not_keep_the_old_cipher(kit):
    held = [HopKeys.derive({1: b"h" * 32}, 1)]
    one = Tunnel(keys=lambda: held[0], number=7, peer=8, count=iter(range(1, 100)).__next__)
    other = Tunnel(keys=lambda: held[0], number=8, peer=7, count=iter(range(1, 100)).__next__)
    sealed = one.seal(DATA)
    held[0] = HopKeys.derive({1: b"x" * 32}, 1)
    assert other.open(sealed) is HopDropReason.NOT_AUTHENTIC
    assert other.open(one.seal(DATA)) == DATA


@pytest.mark.parametrize("noise", [b"", b"\x14", bytes(24), b"\x14\x01" + bytes(22), b"\x14\x02" + bytes(80)])
def test_noise_is_refused(pair, noise):
    assert isinstance(pair[0].open(noise), HopDropReason)


# Between two ends.


class Hop:
    """A relay's end and a transceiver's, of which one or both want data sealed."""

    def __init__(self, kit, relay=True, transceiver=False, seed=1):
        self.kit, self.now, self.wants = kit, 100.0, (relay, transceiver)
        self.start_relay(seed)
        self.start_transceiver(seed)
        self.up = None

    def start_relay(self, seed):
        self.relay = RelayLinks(
            keys=self.kit.hop_keys,
            transceivers=[TRANSCEIVER],
            entropy=self.kit.seeded(seed),
            now=self.now,
            ingresses=[1],
            sealed=self.wants[0],
        )

    def start_transceiver(self, seed):
        self.transceiver = TransceiverLink(
            keys=self.kit.hop_keys,
            cluster=1,
            incarnation=2,
            worker=0,
            entropy=self.kit.seeded(seed + 1000),
            now=self.now,
            sealed=self.wants[1],
        )

    def round(self):
        self.now += 1.01
        events = list(self.relay.handle_timeout(self.now))
        for _ in range(4):
            for data, _ in self.relay.datagrams_to_send(self.now):
                list(self.transceiver.receive_control(data, RELAY, self.now))
            for data, _ in self.transceiver.datagrams_to_send(self.now):
                events += self.relay.receive_control(data, TRANSCEIVER, self.now)
        for event in events:
            if isinstance(event, LinkUp):
                self.up = event.tunnel
        return self


@pytest.mark.parametrize(("relay", "transceiver"), [(True, False), (False, True), (True, True)])
def test_either_end_can_want_it(kit, relay, transceiver):
    hop = Hop(kit, relay, transceiver).round()
    assert not hop.transceiver.accepts(RELAY), "nothing plain"
    assert hop.transceiver.open_data(hop.up.seal(DATA), RELAY) == DATA
    ((down, _),) = hop.transceiver.seal_data([(DATA, RELAY)])
    assert hop.up.open(down) == DATA


def test_data_stays_plain_where_nobody_wants_it(kit):
    hop = Hop(kit, relay=False).round()
    assert hop.up is None
    assert hop.transceiver.accepts(RELAY)
    assert hop.transceiver.seal_data([(DATA, RELAY)]) == [(DATA, RELAY)]
    assert hop.transceiver.open_data(b"\x14\x01" + bytes(40), RELAY) is None
    assert hop.transceiver.drops == {HopDropReason.UNKNOWN_PEER: 1}


def test_nothing_plain_goes_to_a_relay_that_is_lost(kit):
    hop = Hop(kit).round()
    sealed = hop.up.seal(DATA)
    for _ in range(32):
        hop.now += 1.0
        hop.transceiver.handle_timeout(hop.now)
    assert hop.transceiver.relays == ()
    ((down, _),) = hop.transceiver.seal_data([(DATA, RELAY)])
    assert down[0] == SEALED
    assert hop.transceiver.open_data(sealed, RELAY) is None


def test_a_link_that_comes_back_takes_no_datagram_twice(kit):
    hop = Hop(kit).round()
    before = hop.up.seal(DATA)
    assert hop.transceiver.open_data(before, RELAY) == DATA
    hop.now += 10.0
    hop.relay.handle_timeout(hop.now)  # silent for too long
    hop.round().round()
    assert hop.transceiver.open_data(before, RELAY) is None
    assert hop.transceiver.open_data(hop.up.seal(DATA), RELAY) == DATA


def test_a_relay_that_was_lost_and_confirms_again_replays_nothing(kit):
    """Its CONFIRMs did not get through; its number is the same, and so is the window."""
    hop = Hop(kit).round()
    before = hop.up.seal(DATA)
    assert hop.transceiver.open_data(before, RELAY) == DATA
    for _ in range(32):
        hop.now += 1.0
        hop.transceiver.handle_timeout(hop.now)
    hop.relay._peers[TRANSCEIVER].answered = hop.now
    hop.round()
    assert hop.transceiver.accepts(RELAY) is False
    assert hop.transceiver.relays == (RELAY,)
    assert hop.transceiver.open_data(before, RELAY) is None
    assert hop.transceiver.drops[HopDropReason.REPLAYED] == 1


def test_no_key_meets_a_nonce_twice_however_often_processes_and_links_begin_anew(kit, monkeypatch):
    used = []

    class Watched:
        def __init__(self, key):
            self.key, self.cipher = key, AESGCM(key)

        def encrypt(self, nonce, data, front):
            used.append((self.key, nonce))
            return self.cipher.encrypt(nonce, data, front)

        def decrypt(self, nonce, data, front):
            return self.cipher.decrypt(nonce, data, front)

    monkeypatch.setattr("relay.hop.keys.AESGCM", Watched)
    hop, weather = Hop(kit), random.Random(3)
    for number in range(120):
        hop.round()
        for _ in range(3):
            if hop.up is not None:
                hop.transceiver.open_data(hop.up.seal(DATA), RELAY)
            hop.transceiver.seal_data([(DATA, RELAY)])
        match weather.randrange(6):
            case 0:
                hop.start_relay(number + 10)
            case 1:
                hop.start_transceiver(number + 10)
            case 2:
                hop.now += 10.0
                hop.relay.handle_timeout(hop.now)
            case 3:
                hop.relay.set_transceivers([], hop.now)
                hop.relay.set_transceivers([TRANSCEIVER], hop.now)
    assert len(used) > 500
    assert len(set(used)) == len(used)


def test_tunnels_are_bounded(kit, monkeypatch):
    monkeypatch.setattr("relay.hop.transceiver_end.MAX_RELAYS", 2)
    hop = Hop(kit).round()
    for number in range(6):
        hop.transceiver._relays.clear()
        hop.start_relay(number + 50)
        list(hop.relay.handle_timeout(hop.now))
        for _ in range(2):
            for data, _ in hop.relay.datagrams_to_send(hop.now):
                list(hop.transceiver.receive_control(data, ("10.0.0.2", number), hop.now))
            for data, _ in hop.transceiver.datagrams_to_send(hop.now):
                list(hop.relay.receive_control(data, TRANSCEIVER, hop.now))
    assert len(hop.transceiver._tunnels) == 2


def test_the_overhead_is_what_the_document_says():
    assert OVERHEAD == 24
    assert len(make(HopKeys.derive({1: b"h" * 32}, 1), 1, 2).seal(b"")) == tunnel_module.OVERHEAD
