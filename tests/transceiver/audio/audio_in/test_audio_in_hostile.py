"""What an authentic but broken or hostile caller sends: nothing raises, nothing grows, every drop has a reason."""

import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transceiver.audio.audio_packet import DropReason
from transceiver.audio.receiver import AudioReceiver
from wire.errors import MalformedError

RATE = 16000
CODECS = {111: "opus", 63: "red", 0: "pcmu", 8: "pcma", 110: "telephone-event"}


@pytest.fixture(scope="module")
def packets(caller, speech_frames):
    return caller.packets(speech_frames[:100])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x4b", DropReason.UNDECODABLE),  # RFC 6716 §3.4, R6: no frame count
        (b"\x4b\x00", DropReason.UNDECODABLE),  # no frames
        (b"\x4b\x3f" + bytes(100), DropReason.UNDECODABLE),  # 63 frames of 20 ms
        (b"\x49" + bytes(101), DropReason.UNDECODABLE),  # R3: two frames of one size in an odd length
        (b"\x4a\xff", DropReason.UNDECODABLE),  # R4
        (b"\x48" + bytes(1276), DropReason.UNDECODABLE),  # R2
    ],
)
def test_a_payload_that_is_none_costs_its_own_time(caller, network, listen, packets, payload, reason):
    broken = list(packets)
    broken[50] = attrs.evolve(broken[50], payload=payload)
    heard = listen(network.carry(broken), rate=RATE)
    assert heard.drops == {reason: 1}
    assert heard.facts["concealed_ms"] == 20
    assert len(heard.samples) == 2 * RATE


def test_a_long_packet_that_is_none_costs_its_own_time(caller, network, listen, speech):
    broken = caller.packets(caller.frames(speech, RATE, 60)[:30], ms=60)
    broken[10] = attrs.evolve(broken[10], payload=b"\x4b")
    heard = listen(network.carry(broken), rate=RATE)
    assert heard.facts["concealed_ms"] == 60
    assert heard.facts["silence_ms"] == 0


def test_a_payload_that_looks_right_and_is_not(caller, network, listen, packets):
    """libopus decodes any bytes of a frame; what it makes of them is at most noise for as long as they claim."""
    chance = random.Random(4)
    broken = [
        attrs.evolve(packet, payload=packet.payload[:1] + chance.randbytes(40)) if n % 10 == 5 else packet
        for n, packet in enumerate(packets)
    ]
    heard = listen(network.carry(broken), rate=RATE)
    assert len(heard.samples) == 2 * RATE


def test_a_packet_that_is_none_is_no_pause(caller, network, listen, packets):
    """The caller may go on at any moment, so the network's silence is waited for as always."""
    broken = [*packets[:50], attrs.evolve(packets[50], payload=b"\x4b")]
    heard = listen(network.carry(broken), rate=RATE, until=1003.0)
    first = next(at for at, total in heard.deliveries if total > 51 * 320)
    assert first - broken[-1].at > 0.15


def test_what_libopus_refuses_is_concealed(packets):
    """A packet in order by its frames, whose content libopus cannot follow."""

    class Refusing:
        def decode(self, payload):
            raise MalformedError("Opus packet", 0, "libopus reports error -3")

        def recover(self, payload_of_next, samples):
            raise MalformedError("Opus packet", 0, "libopus reports error -3")

        def conceal(self, samples):
            return bytes(2 * samples)

    receiver = AudioReceiver(codecs=CODECS, rate=RATE)
    receiver._decoders["opus"] = Refusing()
    spare = b"\x48\x40" + bytes(20)  # RFC 6716 §4.2.3: the second bit tells of a spare copy
    samples = 0
    for n in (0, 1, 3, 4):
        receiver.receive(111, n, n * 960, False, spare, 1000.0 + n * 0.02)
        samples += len(receiver.take(1000.0 + n * 0.02)) // 2
    samples += len(receiver.take(1000.15)) // 2
    assert samples == 5 * 320
    assert receiver.drops == {DropReason.UNDECODABLE: 4}
    assert receiver.describe()["concealed_ms"] == 100
    assert receiver.describe()["recovered_fec"] == 0


def test_payload_types_that_were_not_negotiated(caller, network, listen, packets):
    broken = list(packets)
    broken[50] = attrs.evolve(broken[50], payload_type=caller.OTHER)
    heard = listen(network.carry(broken), rate=RATE)
    assert heard.drops == {DropReason.PAYLOAD_TYPE: 1}
    # Nobody waits for it, and its time passes.
    assert heard.facts["lost"] == 0
    assert heard.facts["delay_added_ms"] == 0
    assert len(heard.samples) == 2 * RATE


def test_packets_of_padding_are_neither_lost_nor_silent(caller, network, listen, packets):
    """Browsers probe for bandwidth with them: each takes a number, and has the timestamp of the packet before it."""
    probed = []
    for packet in packets:
        probed.append(attrs.evolve(packet, sequence=len(probed)))
        if len(probed) % 20 == 10:
            probed += [attrs.evolve(packet, sequence=len(probed) + n, payload=b"") for n in range(3)]
    assert len(probed) > len(packets) + 10
    heard = listen(network.carry(probed), rate=RATE)
    assert heard.samples == listen(network.carry(packets), rate=RATE).samples
    assert heard.drops == {}
    assert heard.facts["packets"] == len(packets)
    assert heard.facts["lost"] == heard.facts["concealed_ms"] == heard.facts["silence_ms"] == 0


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_packet_of_padding_that_is_lost_leaves_no_hole(caller, network, listen, packets, lost):
    before, behind = packets[:50], packets[50:]
    probes = [attrs.evolve(before[-1], sequence=before[-1].sequence + 1 + n, payload=b"") for n in range(3)]
    del probes[lost]
    behind = [attrs.evolve(packet, sequence=(packet.sequence + 3) & 0xFFFF) for packet in behind]
    heard = listen(network.carry([*before, *probes, *behind]), rate=RATE)
    assert heard.samples == listen(network.carry(packets), rate=RATE).samples
    assert heard.facts["lost"] == 1
    assert heard.facts["concealed_ms"] == heard.facts["silence_ms"] == 0


def test_empty_and_odd_g711(caller, network, listen):
    sent = [
        caller.Sent(1000 + n * 0.02, n, n * 160, bytes([0xFF]) * size, caller.PCMU)
        for n, size in enumerate([160, 0, 160, 7, 160, 1400, 160])
    ]
    heard = listen(network.carry(sent), rate=24000)
    assert heard.drops == {}
    assert heard.samples


def test_more_at_once_than_is_held(caller, network, listen, packets):
    receiver = AudioReceiver(codecs=CODECS, rate=RATE)
    for n in range(2000):
        receiver.receive(111, n, n * 960, False, packets[5].payload, 1000.0)
    assert receiver.drops == {DropReason.OVERFLOW: 1500}
    assert len(receiver.take(1000.0)) == 500 * 640


FIELDS = st.tuples(
    st.sampled_from([111, 111, 111, 63, 0, 8, 110, 99]),
    st.one_of(st.integers(0, 30), st.integers(0, 65535)),
    st.one_of(st.integers(0, 30).map(lambda n: n * 960), st.integers(0, 2**32 - 1)),
    st.booleans(),
    st.one_of(st.binary(max_size=60), st.binary(max_size=12).map(lambda rest: b"\x48" + rest)),
    st.floats(0, 0.5),
)


@given(st.lists(FIELDS, max_size=60))
def test_any_packets_give_sound_in_bounded_time_and_memory(sent):
    receiver = AudioReceiver(codecs=CODECS, rate=8000)
    now = 1000.0
    samples = 0
    for payload_type, sequence, timestamp, marker, payload, later in sent:
        now += later
        receiver.receive(payload_type, sequence, timestamp, marker, payload, now)
        pcm = receiver.take(now)
        assert len(pcm) % 2 == 0
        samples += len(pcm) // 2
        due = receiver.next_timeout()
        assert due is None or receiver.quiet_until <= due
    receiver.take_events()
    receiver.describe()
    # What was sent, what passed, and for each packet at most a second of loss beside what its timestamp claims.
    assert samples / 8000 <= (now - 1000.0) + len(sent) * (0.175 + 2.2)


def test_wild_timestamps_give_no_more_than_seconds(caller, network, listen, packets):
    chance = random.Random(8)
    wild = [attrs.evolve(packet, timestamp=chance.randrange(2**32)) for packet in packets]
    heard = listen(network.carry(wild, is_lost=network.random_loss(0.3)), rate=RATE)
    assert len(heard.samples) / RATE < 4


def test_statistics_are_json(caller, network, listen, packets):
    import json

    heard = listen(network.carry(packets, is_lost=network.random_loss(0.2)), rate=RATE)
    facts = json.loads(json.dumps(heard.facts))
    assert facts["lost"] > 0
    assert facts["jitter_target_ms"] >= 0
