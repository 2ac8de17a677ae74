"""Telephone events: each key press is told once, whatever is lost of it."""

import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transceiver.audio.audio_packet import DropReason
from transceiver.audio.receiver import AudioReceiver
from transceiver.audio.telephone_event import DIGITS, MAX_UNTAKEN, DtmfReceived, TelephoneEvents


def report(code: int, duration: int, *, end: bool = False) -> bytes:
    return bytes([code, 0x80 | 10 if end else 10]) + duration.to_bytes(2, "big")


def press(code: int, timestamp: int, *, ms: int = 100, clock: int = 8000, every: int = 20):
    """(timestamp, payload, marker) of one key press: updates, then the end three times."""
    step = clock * every // 1000
    total = clock * ms // 1000
    packets = [(timestamp, report(code, duration), duration == step) for duration in range(step, total, step)]
    return packets + [(timestamp, report(code, total, end=True), False)] * 3


def follow(packets, *, clock: int = 8000, start: float = 0.0, every: float = 0.02):
    events = TelephoneEvents()
    heard = []
    now = start
    for n, (timestamp, payload, marker) in enumerate(packets):
        now = start + n * every
        events.handle_timeout(now)
        events.receive(timestamp, payload, clock, now, marker=marker)
        heard += events.take()
    due = events.next_timeout()
    if due is not None:
        assert due > now
        events.handle_timeout(due)
        assert events.next_timeout() is None
    return heard + events.take(), events


def dtmf(digit: str, duration_ms: int) -> DtmfReceived:
    return DtmfReceived(digit=digit, duration_ms=duration_ms)


def test_all_keys():
    packets = [packet for code in range(16) for packet in press(code, code * 8000)]
    heard, events = follow(packets)
    assert heard == [dtmf(digit, 100) for digit in "0123456789*#ABCD"]
    assert DIGITS == "0123456789*#ABCD"
    assert not events.drops


def test_a_key_is_told_at_the_first_end():
    events = TelephoneEvents()
    told = []
    for n, (timestamp, payload, marker) in enumerate(press(5, 0)):
        events.receive(timestamp, payload, 8000, n * 0.02, marker=marker)
        told.append(len(events.take()))
    assert told == [0, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("kept", range(7))
def test_any_one_packet_is_enough(kept):
    heard, _ = follow([press(9, 0xFFFF_FFF0)[kept]])
    assert heard == [dtmf("9", min(kept + 1, 5) * 20)]


def test_a_lost_end_is_noticed_by_silence():
    events = TelephoneEvents()
    for n, (timestamp, payload, marker) in enumerate(press(1, 0)[:4]):
        events.receive(timestamp, payload, 8000, n * 0.02, marker=marker)
    due = events.next_timeout()
    events.handle_timeout(due - 0.001)
    assert not events.take()
    events.handle_timeout(due)
    assert events.take() == [dtmf("1", 80)]
    # RFC 4733 §2.5.2.2: what comes of it now is ignored.
    events.receive(0, report(1, 800, end=True), 8000, due + 0.1)
    assert not events.take()
    assert events.next_timeout() is None


def test_a_lost_end_is_noticed_by_the_next_key():
    heard, _ = follow([*press(1, 0)[:3], *press(2, 4000)])
    assert heard == [dtmf("1", 60), dtmf("2", 100)]


def test_the_same_key_twice_is_two_keys():
    heard, _ = follow([*press(7, 0), *press(7, 1600)])
    assert heard == [dtmf("7", 100)] * 2
    # Also without the end of the first, and although the second begins where the first was last heard of.
    heard, _ = follow([*press(7, 0)[:4], *press(7, 640)])
    assert heard == [dtmf("7", 80), dtmf("7", 100)]


def long_press(code: int, seconds: float, clock: int = 8000):
    packets = []
    segment, total = 0, int(seconds * clock)
    step = clock // 20
    while total - segment * 0xFFFF > 0xFFFF:
        begin = segment * 0xFFFF
        packets += [(begin, report(code, d), d == step and segment == 0) for d in range(step, 0xFFFF, step)]
        packets += [(begin, report(code, 0xFFFF), False)] * 3
        segment += 1
    begin, rest = segment * 0xFFFF, total - segment * 0xFFFF
    packets += [(begin, report(code, d), False) for d in range(step, rest, step)]
    return packets + [(begin, report(code, rest, end=True), False)] * 3


def test_a_long_press_is_one_press():
    heard, _ = follow(long_press(3, 20.0), every=0.05)
    assert heard == [dtmf("3", 20000)]


def test_a_long_press_is_one_press_although_a_third_is_lost():
    chance = random.Random(2)
    packets = [packet for packet in long_press(3, 20.0) if chance.random() > 0.3]
    heard, _ = follow(packets, every=0.05)
    assert heard == [dtmf("3", 20000)]


def test_a_long_press_that_was_given_up_does_not_come_back_as_another():
    packets = long_press(3, 12.0)
    events = TelephoneEvents()
    heard = []
    for n, (timestamp, payload, marker) in enumerate(packets):
        now = n * 0.05
        if not 6.99 < now < 7.5:
            events.handle_timeout(now)
            events.receive(timestamp, payload, 8000, now, marker=marker)
            heard += events.take()
    assert heard == [dtmf("3", 7000)]


def test_reports_may_overtake_each_other():
    chance = random.Random(6)
    for _ in range(50):
        packets = press(4, 0)
        chance.shuffle(packets)
        heard, _ = follow(packets)
        assert heard == [dtmf("4", 100)]


def test_a_late_report_of_an_earlier_key_does_not_end_the_present_one():
    one, two = press(1, 0), press(2, 4000)
    heard, _ = follow([*one, *two[:2], one[-1], *two[2:]])
    assert heard == [dtmf("1", 100), dtmf("2", 100)]
    # Although it is the first that is heard of it.
    heard, _ = follow([*two[:2], one[-1], one[-1], *two[2:]])
    assert heard == [dtmf("1", 100), dtmf("2", 100)]
    heard, _ = follow([*two[:2], one[2], one[-1], *two[2:]])
    assert heard == [dtmf("1", 60), dtmf("2", 100)]


def test_several_keys_in_one_packet():
    payload = report(1, 800, end=True) + report(2, 400, end=True) + report(3, 160)
    heard, events = follow([(0, payload, True), (1200, report(3, 480, end=True), False)])
    assert heard == [dtmf("1", 100), dtmf("2", 50), dtmf("3", 60)]
    assert not events.drops


def test_durations_are_of_the_clock():
    heard, _ = follow(press(1, 0, clock=48000), clock=48000)
    assert heard == [dtmf("1", 100)]


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x8a\x00", b"\x01\x0a\x00\x10\x02", b"\x01\x0a\x00\x10" * 9])
def test_malformed_reports_are_counted(payload):
    heard, events = follow([(0, payload, False)])
    assert not heard
    assert events.drops == {DropReason.MALFORMED_EVENT: 1}


def test_other_events_are_counted():
    heard, events = follow([(0, report(16, 800, end=True), True), (0, report(255, 800), False)])
    assert not heard
    assert events.drops == {DropReason.UNKNOWN_EVENT: 2}


def test_untaken_keys_do_not_pile_up():
    events = TelephoneEvents()
    for n in range(1000):
        events.receive(n * 1600, report(n % 16, 160, end=True), 8000, n * 0.001)
    assert len(events.take()) == MAX_UNTAKEN
    assert events.drops == {DropReason.TOO_MANY_EVENTS: 1000 - MAX_UNTAKEN}


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=40), st.booleans()), max_size=40))
def test_any_bytes_are_taken(packets):
    heard, events = follow(packets)
    assert len(heard) <= 8 * len(packets)
    assert len(events._ended) <= 16


# -- in a call


@pytest.fixture(scope="module")
def typed(caller, speech_frames):
    """A second of speech, then 300 ms of a key instead of audio, as Chromium does it; then speech again."""
    speech = caller.packets(speech_frames[:100])
    first, keys = 50, []
    begin = speech[first]
    for n in range(6):
        duration = 960 * 2 * (n + 1)
        payload = report(11, duration, end=n == 5)
        keys.append(attrs.evolve(begin, at=begin.at + n * 0.04, payload=payload, payload_type=caller.EVENT))
    keys += [attrs.evolve(keys[-1], at=keys[-1].at + n * 0.005) for n in (1, 2)]
    after = [attrs.evolve(packet, at=packet.at) for packet in speech[first + 15 :]]
    sent = [*speech[:first], *keys, *after]
    return [attrs.evolve(packet, sequence=(65500 + n) & 0xFFFF, marker=n == 0) for n, packet in enumerate(sent)]


def test_during_a_key_the_audio_goes_on(caller, network, listen, typed):
    heard = listen(network.carry(typed), rate=16000)
    assert heard.digits == [dtmf("#", 240)]
    assert len(heard.pcm) == 100 * 640
    assert heard.facts["silence_ms"] == 300
    assert heard.facts["lost"] == 0
    # Silence flows while the key is down, and not only when speech comes back.
    assert any(caller.START + 1.2 < at < caller.START + 1.28 for at, _ in heard.deliveries)


def test_keys_survive_loss(caller, network, listen, typed):
    for seed in range(10):
        heard = listen(network.carry(typed, is_lost=network.random_loss(0.25, seed)), rate=16000)
        assert [digit.digit for digit in heard.digits] == ["#"]


def test_a_loss_before_a_key_is_a_loss_of_audio(caller, network, listen, typed):
    arrivals = network.carry(typed)
    del arrivals[48:50]
    heard = listen(arrivals, rate=16000)
    assert heard.facts["lost"] == 2
    assert heard.facts["concealed_ms"] > 0
    assert len(heard.pcm) == 100 * 640


@pytest.mark.parametrize(("clock_rates", "duration_ms"), [({110: 8000}, 600), ({}, 100), ({110: 48000}, 100)])
def test_the_clock_of_keys_is_negotiated_or_that_of_the_audio(clock_rates, duration_ms):
    receiver = AudioReceiver(codecs={111: "opus", 110: "telephone-event"}, rate=16000, clock_rates=clock_rates)
    receiver.receive(111, 1, 0, True, b"\x48", 0.0)
    receiver.take(0.0)
    receiver.receive(110, 2, 960, True, report(1, 4800, end=True), 0.02)
    assert receiver.take_events() == [dtmf("1", duration_ms)]


def test_keys_in_redundant_audio(caller, network, listen, speech_frames):
    """RFC 4733 §2.5.1.4: an end that was lost comes again beside what follows."""
    packets = caller.packets(speech_frames[:20])
    heads = (1 << 31 | caller.EVENT << 24 | 2880 << 10 | 4).to_bytes(4, "big") + bytes([caller.OPUS])
    payload = heads + report(4, 2880, end=True) + packets[10].payload
    packets[10] = attrs.evolve(packets[10], payload_type=caller.RED, payload=payload)
    packets[11] = attrs.evolve(packets[11], payload_type=caller.RED, payload=bytes([caller.EVENT]) + report(5, 960))
    heard = listen(network.carry(packets), rate=16000, until=packets[-1].at + 0.5)
    assert heard.digits == [dtmf("4", 60), dtmf("5", 20)]
    assert not heard.drops
