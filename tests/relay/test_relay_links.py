"""Both ends of a link, on good networks and on those that an attacker writes to."""

import random

import attrs
import pytest

from relay.hop.drops import HopDropReason
from relay.hop.keys import HopKeys
from relay.hop.links import FlowGone, LinkDown, LinkUp, RelayLinks, RelayLost, RelaySeen, TransceiverLink
from relay.hop.messages import Confirm, Gone, Hello, Welcome
from relay.hop.sealing import ANYONE, Opened, open_sealed, seal
from wire.buffer import Writer
from wire.errors import LocalProtocolError

RELAY = ("10.0.0.1", 4001)
TRANSCEIVER = ("10.0.1.1", 5000)
IDENTITY = (1, 0xABCD, 3)
ATTACKER = ("10.0.9.9", 6666)


@attrs.define
class Pair:
    """A relay's end and a transceiver's end; a test carries the datagrams."""

    relay: RelayLinks
    transceiver: TransceiverLink
    now: float = 100.0

    def up(self):
        return [data for data, _ in self.relay.datagrams_to_send(self.now)]

    def down(self):
        return [data for data, _ in self.transceiver.datagrams_to_send(self.now)]

    def to_transceiver(self, data, source=RELAY):
        return list(self.transceiver.receive_control(data, source, self.now))

    def to_relay(self, data, source=TRANSCEIVER):
        return list(self.relay.receive_control(data, source, self.now))

    def shake(self):
        """One round: HELLO, WELCOME, CONFIRM, twice if somebody else is there now; what both ends report."""
        events = list(self.relay.handle_timeout(self.now))
        for _ in range(4):
            for data in self.up():
                events += self.to_transceiver(data)
            for data in self.down():
                events += self.to_relay(data)
        return events

    def hello(self):
        self.relay.handle_timeout(self.now)
        return self.up()[0]  # on a link that is up, a PING follows

    def welcome(self):
        self.to_transceiver(self.hello())
        (welcome,) = self.down()
        return welcome

    def confirm(self):
        self.to_relay(self.welcome())
        confirm, _ = self.up()  # a PING follows
        return confirm


def make_relay(kit, seed, now=100.0):
    return RelayLinks(keys=kit.hop_keys, transceivers=[TRANSCEIVER], entropy=kit.seeded(seed), now=now)


def make_transceiver(kit, seed, now=100.0, incarnation=0xABCD):
    return TransceiverLink(
        keys=kit.hop_keys, cluster=1, incarnation=incarnation, worker=3, entropy=kit.seeded(seed), now=now
    )


@pytest.fixture
def pair(kit):
    return Pair(relay=make_relay(kit, 1), transceiver=make_transceiver(kit, 2))


def test_three_messages_make_a_link(pair):
    assert pair.relay.address_of(*IDENTITY) is None
    assert not pair.transceiver.accepts(RELAY)
    assert pair.shake() == [LinkUp(identity=IDENTITY, address=TRANSCEIVER), RelaySeen(address=RELAY)]
    assert pair.relay.address_of(*IDENTITY) == TRANSCEIVER
    assert pair.relay.up == (TRANSCEIVER,)
    assert pair.transceiver.accepts(RELAY)
    assert pair.transceiver.relays == (RELAY,)
    assert not pair.relay.drops
    assert not pair.transceiver.drops


def test_only_the_incarnation_that_answered_is_known(pair):
    pair.shake()
    assert pair.relay.address_of(1, 0xABCE, 3) is None
    assert pair.relay.address_of(1, 0xABCD, 4) is None
    assert pair.relay.address_of(2, 0xABCD, 3) is None


def test_a_transceiver_that_does_not_answer_is_asked_less_and_less_down_to_every_second(pair):
    times = []
    for _ in range(8):
        pair.now = pair.relay.next_timeout()
        pair.hello()
        times.append(round(pair.now - 100.0, 3))
    assert times == [0.0, 0.05, 0.15, 0.35, 0.75, 1.55, 2.55, 3.55]


def test_a_link_that_is_up_is_renewed_every_second_and_reports_nothing_new(pair):
    pair.shake()
    assert pair.relay.next_timeout() == 101.0
    for _ in range(60):
        pair.now += 1.0
        assert pair.shake() == []
        pair.transceiver.handle_timeout(pair.now)
    assert pair.transceiver.accepts(RELAY)
    assert pair.relay.address_of(*IDENTITY) == TRANSCEIVER


def test_a_silent_transceiver_is_given_up_after_ten_seconds(pair):
    pair.shake()
    pair.now += 9.9
    assert list(pair.relay.handle_timeout(pair.now)) == []
    pair.now += 0.1
    assert list(pair.relay.handle_timeout(pair.now)) == [LinkDown(identity=IDENTITY, address=TRANSCEIVER)]
    assert pair.relay.address_of(*IDENTITY) is None
    pair.up()
    pair.now += 1.0
    assert LinkUp(identity=IDENTITY, address=TRANSCEIVER) in pair.shake()


def test_a_relay_that_confirms_no_more_is_believed_for_thirty_seconds(pair):
    pair.shake()
    assert list(pair.transceiver.handle_timeout(pair.now + 29.9)) == []
    assert pair.transceiver.accepts(RELAY)
    assert list(pair.transceiver.handle_timeout(pair.now + 31.0)) == [RelayLost(address=RELAY)]
    assert not pair.transceiver.accepts(RELAY)
    assert pair.transceiver.next_timeout() is None


def test_a_restarted_transceiver_is_another(pair, kit):
    pair.shake()
    pair.transceiver = make_transceiver(kit, 3, incarnation=0xBEEF)
    pair.now += 1.0
    assert pair.shake() == [
        LinkDown(identity=IDENTITY, address=TRANSCEIVER),
        LinkUp(identity=(1, 0xBEEF, 3), address=TRANSCEIVER),
        RelaySeen(address=RELAY),
    ]


def test_a_restarted_relay_is_seen_again(pair, kit):
    pair.shake()
    pair.relay = make_relay(kit, 4, pair.now)
    assert pair.shake() == [LinkUp(identity=IDENTITY, address=TRANSCEIVER), RelaySeen(address=RELAY)]


def test_gone_reaches_the_relay_once(pair):
    pair.shake()
    pair.transceiver.tell.gone(7, b"flow tag", RELAY)
    (gone,) = pair.down()
    assert pair.to_relay(gone) == [FlowGone(session=7, tag=b"flow tag", address=TRANSCEIVER)]
    assert pair.to_relay(gone) == []
    assert pair.relay.drops == {HopDropReason.REPLAYED: 1}


def test_gone_is_not_told_to_strangers(pair):
    pair.shake()
    pair.transceiver.tell.gone(7, b"flow tag", ATTACKER)
    assert pair.down() == []


def test_transceivers_can_be_exchanged(pair):
    pair.shake()
    other = ("10.0.1.2", 5000)
    assert list(pair.relay.set_transceivers([other], pair.now)) == [LinkDown(identity=IDENTITY, address=TRANSCEIVER)]
    pair.relay.handle_timeout(pair.now)
    assert [address for _, address in pair.relay.datagrams_to_send(pair.now)] == [other]
    assert pair.relay.address_of(*IDENTITY) is None


def test_no_transceivers_need_no_time(kit):
    assert RelayLinks(keys=kit.hop_keys, transceivers=[], entropy=kit.seeded(1), now=0.0).next_timeout() is None


# Whoever does not hold the key, or sends what the key has made to where it was not meant for.


@pytest.mark.parametrize("message", ["hello", "welcome", "confirm"])
def test_every_changed_byte_is_noticed(pair, message):
    sealed = getattr(pair, message)()
    deliver, link = (pair.to_relay, pair.relay) if message == "welcome" else (pair.to_transceiver, pair.transceiver)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        assert deliver(bytes(changed)) == []
    assert sum(link.drops.values()) == len(sealed)
    assert set(link.drops) <= {HopDropReason.NOT_AUTHENTIC, HopDropReason.UNKNOWN_KEY, HopDropReason.MALFORMED}
    assert pair.up() == []
    assert pair.down() == []


@pytest.mark.parametrize("message", ["hello", "welcome", "confirm"])
def test_no_strict_prefix_is_a_message(pair, message):
    sealed = getattr(pair, message)()
    deliver, link = (pair.to_relay, pair.relay) if message == "welcome" else (pair.to_transceiver, pair.transceiver)
    for size in range(len(sealed)):
        assert deliver(sealed[:size]) == []
    assert sum(link.drops.values()) == len(sealed)


def test_another_key_opens_nothing(pair, kit):
    foreign = HopKeys.derive({1: b"x" * 32}, 1)
    hello = seal(foreign, Hello(nonce=bytes(16)), sender=9, counter=1, receiver=ANYONE)
    assert pair.to_transceiver(hello) == []
    assert pair.down() == []
    assert pair.transceiver.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_what_was_sealed_for_another_end_does_not_open(pair, kit):
    sealed = seal(kit.hop_keys, Confirm(cookie=bytes(16)), sender=9, counter=1, receiver=1234)
    assert open_sealed(kit.hop_keys, sealed, receiver=1235) is HopDropReason.NOT_AUTHENTIC
    assert open_sealed(kit.hop_keys, sealed, receiver=1234) == Opened(Confirm(cookie=bytes(16)), 9, 1)


def test_messages_that_are_reflected_do_nothing(pair):
    hello, welcome = pair.hello(), pair.welcome
    assert pair.to_relay(hello) == []
    assert pair.relay.drops == {HopDropReason.WRONG_END: 1}
    pair.now += 1.0
    assert pair.to_transceiver(welcome()) == []
    assert pair.transceiver.drops == {HopDropReason.NOT_AUTHENTIC: 1}
    pair.now += 1.0
    assert pair.to_relay(pair.confirm()) == []
    assert pair.relay.drops == {HopDropReason.WRONG_END: 1, HopDropReason.NOT_AUTHENTIC: 1}


def test_kinds_that_the_transceiver_does_not_take_are_counted(pair, kit):
    number = open_sealed(kit.hop_keys, pair.welcome(), receiver=relay_number(pair, kit)).sender
    sealed = seal(kit.hop_keys, Gone(session=7, tag=bytes(8)), sender=9, counter=1, receiver=number)
    assert pair.to_transceiver(sealed) == []
    assert pair.transceiver.drops == {HopDropReason.WRONG_END: 1}


def relay_number(pair, kit):
    pair.now += 1.0
    return open_sealed(kit.hop_keys, pair.hello(), receiver=0).sender


def test_a_hello_from_a_false_address_brings_it_no_more_bytes_than_it_cost_and_leaves_nothing(pair):
    hello = pair.hello()
    assert pair.to_transceiver(hello, source=ATTACKER) == []
    ((welcome, destination),) = pair.transceiver.datagrams_to_send(pair.now)
    assert destination == ATTACKER
    assert len(welcome) <= len(hello)
    assert not pair.transceiver.accepts(ATTACKER)
    assert pair.transceiver.next_timeout() is None


def test_a_confirm_counts_only_from_where_the_welcome_went(pair):
    assert pair.to_transceiver(pair.confirm(), source=ATTACKER) == []
    assert not pair.transceiver.accepts(ATTACKER)
    assert pair.transceiver.drops == {HopDropReason.STALE_NONCE: 1}


def test_a_confirm_counts_once(pair):
    confirm = pair.confirm()
    assert pair.to_transceiver(confirm) == [RelaySeen(address=RELAY)]
    assert pair.to_transceiver(confirm) == []
    assert pair.transceiver.drops == {HopDropReason.REPLAYED: 1}


def test_a_repeated_confirm_does_not_keep_a_relay_believed(pair):
    confirm = pair.confirm()
    pair.to_transceiver(confirm)
    for _ in range(9):
        pair.now += 2.0
        pair.transceiver.handle_timeout(pair.now)
        pair.to_transceiver(confirm)
    assert set(pair.transceiver.drops) <= {HopDropReason.REPLAYED, HopDropReason.STALE_NONCE}
    assert pair.transceiver.drops[HopDropReason.REPLAYED] >= 4
    pair.now = 130.0
    assert list(pair.transceiver.handle_timeout(pair.now)) == [RelayLost(address=RELAY)]


def test_a_recorded_confirm_does_not_bring_a_lost_relay_back(pair):
    confirm = pair.confirm()
    pair.to_transceiver(confirm)
    for _ in range(31):
        pair.now += 1.0
        pair.transceiver.handle_timeout(pair.now)
    assert not pair.transceiver.accepts(RELAY)
    assert pair.to_transceiver(confirm) == []
    assert not pair.transceiver.accepts(RELAY)
    assert pair.transceiver.drops == {HopDropReason.STALE_NONCE: 1}


def test_a_confirm_of_an_earlier_relay_process_does_not_replace_the_present_one(pair, kit):
    old = pair.confirm()
    pair.to_transceiver(old)
    pair.relay = make_relay(kit, 4, pair.now)
    pair.shake()
    assert pair.to_transceiver(old) == []
    pair.transceiver.tell.gone(7, bytes(8), RELAY)
    (gone,) = pair.down()
    assert pair.to_relay(gone) == [FlowGone(session=7, tag=bytes(8), address=TRANSCEIVER)]


def test_a_welcome_counts_once_and_only_while_its_question_is_open(pair):
    welcome = pair.welcome()
    pair.to_relay(welcome)
    pair.up()
    assert pair.to_relay(welcome) == []
    assert pair.relay.drops == {HopDropReason.STALE_NONCE: 1}
    assert pair.up() == []


def test_a_recorded_welcome_does_not_bring_a_dead_incarnation_back(pair, kit):
    old = pair.welcome()
    pair.to_relay(old)
    pair.transceiver = make_transceiver(kit, 3, incarnation=0xBEEF)
    for _ in range(6):
        pair.now += 1.0
        pair.shake()
    assert pair.to_relay(old) == []
    assert pair.relay.address_of(1, 0xBEEF, 3) == TRANSCEIVER
    assert pair.relay.address_of(*IDENTITY) is None


def test_only_configured_transceivers_are_heard(pair):
    assert pair.to_relay(pair.welcome(), source=ATTACKER) == []
    assert pair.relay.drops == {HopDropReason.UNKNOWN_PEER: 1}
    assert pair.relay.up == ()


def test_gone_of_an_earlier_process_is_refused(pair, kit):
    pair.shake()
    pair.transceiver.tell.gone(7, bytes(8), RELAY)
    (gone,) = pair.down()
    pair.transceiver = make_transceiver(kit, 3)
    pair.now += 1.0
    pair.shake()
    assert pair.to_relay(gone) == []
    assert pair.relay.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_a_link_that_comes_back_takes_nothing_from_before(pair):
    """The process is the same, so only our own number tells what was said before from what is said now."""
    pair.shake()
    pair.transceiver.tell.gone(7, bytes(8), RELAY)
    (gone,) = pair.down()
    pair.to_relay(gone)
    pair.now += 10.0
    pair.relay.handle_timeout(pair.now)
    pair.up()
    pair.now += 1.0
    assert LinkUp(identity=IDENTITY, address=TRANSCEIVER) in pair.shake()
    assert pair.to_relay(gone) == []
    assert pair.relay.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_gone_for_one_relay_means_nothing_to_another(pair, kit):
    pair.shake()
    pair.transceiver.tell.gone(7, bytes(8), RELAY)
    (gone,) = pair.down()
    other = Pair(relay=make_relay(kit, 9), transceiver=pair.transceiver)
    other.shake()
    assert other.to_relay(gone) == []
    assert other.relay.drops == {HopDropReason.NOT_AUTHENTIC: 1}


def test_a_body_of_another_length_is_malformed(kit):
    class Long(Confirm):
        def serialize(self, writer: Writer) -> None:
            super().serialize(writer)
            writer.u8(0)

    class Short(Gone):
        def serialize(self, writer: Writer) -> None:
            writer.u64(self.session)

    class Unknown(Confirm):
        KIND = 200

    for message in (Long(cookie=bytes(16)), Short(session=1, tag=bytes(8)), Unknown(cookie=bytes(16))):
        sealed = seal(kit.hop_keys, message, sender=9, counter=1, receiver=5)
        assert open_sealed(kit.hop_keys, sealed, receiver=5) is HopDropReason.MALFORMED


@pytest.mark.parametrize("noise", [b"", b"\x13", bytes(100), b"\x13" + bytes(35), b"\x13" + bytes(99)])
def test_noise_is_counted(pair, noise):
    assert pair.to_transceiver(noise) == []
    assert pair.to_relay(noise) == []
    assert sum(pair.transceiver.drops.values()) == sum(pair.relay.drops.values()) == 1


def test_the_table_of_relays_has_an_end(pair, kit, monkeypatch):
    monkeypatch.setattr("relay.hop.transceiver_end.MAX_RELAYS", 1)
    pair.shake()
    second = Pair(relay=make_relay(kit, 9), transceiver=pair.transceiver)
    second.relay.handle_timeout(second.now)
    for _ in range(2):
        for data in second.up():
            second.to_transceiver(data, source=ATTACKER)
        for data in second.down():
            second.to_relay(data)
    assert not pair.transceiver.accepts(ATTACKER)
    assert pair.transceiver.drops == {HopDropReason.TOO_MANY: 1, HopDropReason.UNKNOWN_PEER: 1}, "CONFIRM, and its PING"


# Keys.


def test_a_key_is_learned_before_it_is_used(pair):
    pair.shake()
    both = HopKeys.derive({1: b"h" * 32, 2: b"n" * 32}, 1)
    pair.relay.keys = pair.transceiver.keys = both
    pair.now += 1.0
    assert pair.shake() == []
    pair.relay.keys = HopKeys.derive({1: b"h" * 32, 2: b"n" * 32}, 2)
    pair.now += 1.0
    assert pair.hello()[2] == 2
    pair.now += 1.0
    assert pair.shake() == []
    assert not pair.transceiver.drops


def test_a_retired_key_opens_nothing(pair):
    pair.transceiver.keys = HopKeys.derive({2: b"n" * 32}, 2)
    assert pair.shake() == []
    assert pair.transceiver.drops == {HopDropReason.UNKNOWN_KEY: 1}


@pytest.mark.parametrize(("keys", "current"), [({1: b"h" * 32}, 2), ({1: b"h" * 31}, 1), ({256: b"h" * 32}, 256)])
def test_keys_that_cannot_be_are_refused(keys, current):
    with pytest.raises(LocalProtocolError):
        HopKeys.derive(keys, current)


def test_keys_are_not_printed(kit):
    assert "h" * 32 not in repr(kit.hop_keys)
    assert "AESSIV" not in repr(kit.hop_keys)


# Weather.


@pytest.mark.parametrize("seed", range(20))
def test_ends_agree_across_a_network_that_loses_repeats_and_reorders(kit, seed):
    weather = random.Random(seed)
    pair = Pair(relay=make_relay(kit, seed), transceiver=make_transceiver(kit, seed + 100))
    under_way = []
    for _ in range(600):
        pair.now += 0.05
        pair.relay.handle_timeout(pair.now)
        pair.transceiver.handle_timeout(pair.now)
        for deliver, datagrams in ((pair.to_transceiver, pair.up()), (pair.to_relay, pair.down())):
            for data in datagrams:
                copies = weather.choice([0, 1, 1, 2])
                under_way += [(pair.now + weather.uniform(0, 1.5), deliver, data) for _ in range(copies)]
        arrived = [entry for entry in under_way if entry[0] <= pair.now]
        under_way = [entry for entry in under_way if entry[0] > pair.now]
        for _, deliver, data in arrived:
            deliver(data)
    assert pair.relay.address_of(*IDENTITY) == TRANSCEIVER
    assert pair.transceiver.accepts(RELAY)
    allowed = {HopDropReason.STALE_NONCE, HopDropReason.REPLAYED, HopDropReason.UNKNOWN_PEER}  # PING before CONFIRM
    assert set(pair.relay.drops) | set(pair.transceiver.drops) <= allowed


def test_a_welcome_is_as_long_as_its_hello(kit):
    hello = seal(kit.hop_keys, Hello(nonce=bytes(16)), sender=1, counter=1, receiver=ANYONE)
    welcome = Welcome(nonce=bytes(16), cookie=bytes(16), cluster=1, incarnation=1, worker=1)
    assert len(seal(kit.hop_keys, welcome, sender=1, counter=1, receiver=1)) == len(hello)
