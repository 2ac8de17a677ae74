"""From the speech queue to RTP: pace, timestamps, marker, silence."""

import attrs
import pytest

from srtp.extensions import read_extension
from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.rtp import RtpPacket
from srtp.sending import RtpSource
from transceiver.audio.adaptation import SendingOptions
from transceiver.audio.g711 import PCMU
from transceiver.audio.opus import OpusDecoder
from transceiver.audio.opus_packet import check_packet, has_fec
from transceiver.audio.sender import AudioSender
from transceiver.audio.speech_queue import Drained, SpeechQueue, Started
from transceiver.backends.contract import Speech
from wire.buffer import Reader
from wire.errors import LocalProtocolError

RATE = 24000
TICK = 0.02
START = 1000.0
SPEECH = Speech("r1", "i1")
TAIL = 10


@attrs.define
class Line:
    """A sender, and the clock that ticks it."""

    sender: AudioSender
    queue: SpeechQueue
    now: float = START

    def ticks(self, count):
        """Tick that many times; one entry for each, None where nothing was sent."""
        packets = []
        for _ in range(count):
            packet = self.sender.tick(self.now)
            packets.append(None if packet is None else RtpPacket.parse(Reader(packet)))
            self.now += TICK
        return packets


def sent(packets):
    return [packet for packet in packets if packet is not None]


@pytest.fixture
def open_line():
    lines = []

    def open_one(codec="opus", payload_type=111, rate=RATE, options=None, **others):
        queue = SpeechQueue(rate=rate)
        source = others.pop("source", None) or RtpSource(ssrc=7, sequence_number=100, timestamp=5000)
        sender = AudioSender(
            source=source,
            codec=codec,
            payload_type=payload_type,
            queue=queue,
            options=options or SendingOptions(),
            now=START,
            **others,
        )
        lines.append(sender)
        return Line(sender, queue)

    yield open_one
    for sender in lines:
        sender.close()


@pytest.fixture
def line(open_line):
    return open_line()


def test_speech_faster_than_real_time_goes_out_at_its_pace(sound, line):
    line.queue.push(SPEECH, 60 * sound.tone(440, 1, RATE))  # a minute at once
    line.queue.finish("r1")
    packets = line.ticks(3000)
    assert None not in packets
    assert [packet.sequence_number for packet in packets] == list(range(100, 3100))
    assert [packet.timestamp for packet in packets] == list(range(5000, 5000 + 3000 * 960, 960))
    assert {(packet.payload_type, packet.ssrc, check_packet(packet.payload)) for packet in packets} == {(111, 7, 960)}
    assert line.queue.take_events() == [Started(response_id="r1"), Drained(response_id="r1")]


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_what_is_heard_is_what_was_said(sound, open_line, rate):
    line = open_line(rate=rate)
    line.queue.push(SPEECH, sound.tone(440, 1, rate))
    with OpusDecoder(rate) as decoder:
        heard = b"".join(decoder.decode(packet.payload) for packet in line.ticks(50))
    assert len(heard) == 2 * rate
    assert sound.strength(heard[rate // 5 :], 440, rate) == pytest.approx(8000, rel=0.1)


def test_only_the_first_packet_after_a_silence_carries_the_marker(sound, line):
    line.queue.push(SPEECH, sound.tone(440, 0.2, RATE))
    line.queue.finish("r1")
    first = line.ticks(10)
    assert [packet.marker for packet in first] == [True] + [False] * 9
    silence = line.ticks(100)
    assert not any(packet.marker for packet in sent(silence))
    line.queue.push(Speech("r2", "i2"), sound.tone(440, 0.2, RATE))
    second = line.ticks(10)
    assert [packet.marker for packet in second] == [True] + [False] * 9


def test_timestamps_are_continuous_over_silence(sound, line):
    line.queue.push(SPEECH, sound.tone(440, 0.2, RATE))
    line.queue.finish("r1")
    line.ticks(10)
    line.ticks(90)
    line.queue.push(SPEECH, sound.tone(440, 0.02, RATE))
    (packet,) = line.ticks(1)
    assert packet.timestamp == 5000 + 100 * 960


def test_silence_is_a_tail_and_then_a_byte_now_and_then(sound, line):
    line.queue.push(SPEECH, sound.tone(440, 0.2, RATE))
    line.queue.finish("r1")
    line.ticks(10)
    tail = line.ticks(TAIL)
    assert min(len(packet.payload) for packet in tail) > 2
    quiet = line.ticks(100)
    assert [at for at, packet in enumerate(quiet) if packet is not None] == [0, 20, 40, 60, 80]
    assert {packet.payload for packet in sent(quiet)} == {bytes([tail[-1].payload[0] & 0xFC])}
    numbers = [packet.sequence_number for packet in tail + sent(quiet)]
    assert numbers == list(range(110, 110 + len(numbers)))


def test_before_the_first_word_there_is_comfort_noise_too(line):
    quiet = line.ticks(41)
    assert [at for at, packet in enumerate(quiet) if packet is not None] == [0, 20, 40]
    assert {packet.payload for packet in sent(quiet)} == {b"\xf8"}


def test_a_short_pause_of_a_slow_backend_stays_in_the_talkspurt(sound, line):
    line.queue.push(SPEECH, sound.tone(440, 0.2, RATE))
    line.ticks(10)
    pause = line.ticks(TAIL - 1)
    assert None not in pause
    line.queue.push(SPEECH, sound.tone(440, 0.2, RATE))
    assert not line.ticks(1)[0].marker
    assert line.queue.take_events() == [Started(response_id="r1")]


def test_a_flush_is_heard_at_once_and_without_a_click(sound, line):
    line.queue.push(SPEECH, sound.tone(440.5, 1, RATE))  # at its peak where it is cut
    with OpusDecoder(RATE) as decoder:
        speech = b"".join(decoder.decode(packet.payload) for packet in line.ticks(25))
        line.queue.flush()
        after = [decoder.decode(packet.payload) for packet in line.ticks(TAIL)]
    # The codec's lookahead and the fade lie in the first packet.
    assert sound.rms(after[0]) < sound.rms(speech) * 0.8
    assert sound.rms(b"".join(after[2:])) < 30
    assert sound.largest_step(speech[-2:] + b"".join(after)) < 1.5 * sound.largest_step(speech[RATE // 2 :])


@pytest.mark.parametrize("lateness", [0.0, 0.004, 0.0149])
def test_a_late_tick_changes_no_timestamp(sound, line, lateness):
    line.queue.push(SPEECH, sound.tone(440, 1, RATE))
    stamps = []
    for number in range(20):
        late = lateness if number % 3 == 1 else 0.0
        stamps.append(RtpPacket.parse(Reader(line.sender.tick(START + number * TICK + late))).timestamp)
    assert stamps == list(range(5000, 5000 + 20 * 960, 960))
    assert line.sender.skipped_frames == 0


def test_a_tick_that_never_came_leaves_its_place_empty_and_loses_no_speech(sound, line):
    line.queue.push(SPEECH, sound.tone(440, 1, RATE))
    line.ticks(5)
    line.now += 3 * TICK
    packets = line.ticks(2)
    assert [packet.timestamp for packet in packets] == [5000 + 8 * 960, 5000 + 9 * 960]
    assert [packet.sequence_number for packet in packets] == [105, 106]
    assert line.sender.skipped_frames == 3
    assert line.queue.sent_ms(SPEECH) == 140


def test_the_media_clock_never_runs_ahead(sound, line):
    line.queue.push(SPEECH, sound.tone(440, 1, RATE))
    packets = [line.sender.tick(START) for _ in range(3)]
    assert packets[1:] == [None, None]
    assert line.queue.sent_ms(SPEECH) == 20
    assert line.ticks(3)[0] is None


def test_a_day_of_ticks_keeps_the_clock(line):
    line.ticks(1)
    day = 24 * 3600 * 50
    line.now = START + day * TICK
    line.queue.push(SPEECH, bytes(960))
    (packet,) = line.ticks(1)
    assert packet.timestamp == (5000 + day * 960) & 0xFFFFFFFF


def test_the_clock_goes_on_from_the_packet_that_opened_the_audio(open_line):
    source = RtpSource(ssrc=7, sequence_number=100, timestamp=5000)
    source.packet(111, b"\xf8\xff\xfe", 5000, START - 0.5)
    (packet,) = open_line(source=source).ticks(1)
    assert packet.timestamp == 5000 + 24000
    assert packet.sequence_number == 101


# -- G.711


@pytest.mark.parametrize(("codec", "payload_type", "silence"), [("pcmu", 0, 0xFF), ("pcma", 8, 0xD5)])
def test_g711_sends_silence_like_speech_and_no_marker(sound, open_line, codec, payload_type, silence):
    line = open_line(codec, payload_type)
    line.queue.push(SPEECH, sound.tone(440, 0.2, RATE))
    line.queue.finish("r1")
    packets = line.ticks(100)
    assert None not in packets
    assert not any(packet.marker for packet in packets)
    assert {len(packet.payload) for packet in packets} == {160}
    assert [packet.timestamp for packet in packets] == list(range(5000, 5000 + 100 * 160, 160))
    assert packets[-1].payload == bytes([silence]) * 160


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_g711_keeps_pitch_and_level_without_clicks(sound, open_line, rate):
    line = open_line("pcmu", 0, rate=rate)
    line.queue.push(SPEECH, sound.tone(440, 1, rate))
    heard = b"".join(PCMU.decode(packet.payload) for packet in line.ticks(50))
    assert len(heard) == 2 * 8000
    assert sound.strength(heard[1600:], 440, 8000) == pytest.approx(8000, rel=0.03)
    assert sound.largest_step(heard) < 8000 * 2 * 3.15 * 440 / 8000 + 600


def test_a_flush_of_g711_fades(sound, open_line):
    line = open_line("pcmu", 0)
    line.queue.push(SPEECH, sound.tone(436.25, 1, RATE))  # at its peak where it is cut
    line.ticks(10)
    line.queue.flush()
    after = b"".join(PCMU.decode(packet.payload) for packet in line.ticks(3))
    assert sound.largest_step(after) < 8000 * 2 * 3.15 * 440 / 8000 + 600
    assert sound.rms(after[160:]) < 20


def test_other_codecs_are_refused(open_line):
    with pytest.raises(LocalProtocolError):
        open_line("g722", 9)
    with pytest.raises(LocalProtocolError):
        open_line(rate=44100)


# -- what the peer reports


def test_reports_of_loss_turn_on_fec_and_the_copies_are_in_the_packets(sound, line):
    line.queue.push(SPEECH, 6 * sound.syllables(1, RATE))
    assert not any(has_fec(packet.payload) for packet in line.ticks(100))
    for _ in range(3):
        line.sender.peer_reported(0.08, 0.05, line.now)
        packets = line.ticks(50)
    assert line.sender.describe()["fec"] is True
    assert sum(has_fec(packet.payload) for packet in packets) > 20


def test_reports_of_heavy_loss_lower_the_bitrate_of_the_packets(sound, line):
    line.queue.push(SPEECH, 30 * sound.syllables(1, RATE))
    before = sum(len(packet.payload) for packet in line.ticks(200))
    for _ in range(20):
        line.sender.peer_reported(0.4, 0.05, line.now)
        line.ticks(50)
    assert line.sender.adaptation.bitrate == SendingOptions().min_bitrate
    after = sum(len(packet.payload) for packet in line.ticks(200))
    assert after < before * 0.6


def test_a_report_about_silence_says_little(line):
    line.ticks(1000)
    line.sender.peer_reported(0.0, 0.05, line.now)
    line.ticks(50)  # three packets, one of which gets lost
    line.sender.peer_reported(1 / 3, 0.05, line.now)
    assert line.sender.adaptation.loss < 0.03
    assert line.sender.adaptation.bitrate == SendingOptions().bitrate


def feedback(base, deltas, reference_time=0):
    return TransportFeedback(
        sender_ssrc=1,
        media_ssrc=7,
        base_sequence_number=base,
        reference_time=reference_time,
        feedback_packet_count=0,
        deltas=tuple(deltas),
    )


@pytest.mark.parametrize("identifier", [3, 14, 15, 200])
def test_packets_are_numbered_for_the_transport(sound, open_line, identifier):
    line = open_line(transport_cc_id=identifier)
    line.queue.push(SPEECH, sound.tone(440, 0.2, RATE))
    numbers = []
    for _ in range(10):
        packet = line.sender.tick(line.now)
        numbers.append(int.from_bytes(read_extension(packet, identifier), "big"))
        line.now += TICK
    assert numbers == list(range(10))


def test_transport_feedback_of_loss_turns_on_fec(sound, open_line):
    line = open_line(transport_cc_id=3)
    line.queue.push(SPEECH, 2 * sound.tone(440, 1, RATE))
    line.ticks(50)
    line.sender.transport_reported(feedback(0, [80, None, 160] * 16), line.now)
    assert line.sender.adaptation.fec
    assert line.sender.adaptation.loss == pytest.approx(1 / 3 * 0.617, rel=0.01)
    # The same once more tells nothing new; nor do numbers that were never sent.
    line.sender.transport_reported(feedback(0, [None] * 48), line.now)
    line.sender.transport_reported(feedback(60, [None] * 48), line.now)
    line.sender.transport_reported(feedback(50000, [None] * 8000), line.now)
    assert line.sender.adaptation.loss == pytest.approx(1 / 3 * 0.617, rel=0.01)


def test_a_queue_that_grows_in_the_path_lowers_the_bitrate(sound, open_line):
    line = open_line(transport_cc_id=3)
    line.queue.push(SPEECH, 30 * sound.tone(440, 1, RATE))
    for second in range(10):
        line.ticks(50)
        # Each packet arrives 20 ms after the one before, and each second of them 60 ms later than they should.
        reference = round(1000 * (1 + 1.06 * second) / 64)
        line.sender.transport_reported(feedback(50 * second, [80] * 50, reference), line.now)
    assert line.sender.adaptation.bitrate < SendingOptions().bitrate
    assert not line.sender.adaptation.fec


def test_a_closed_sender_has_freed_its_encoder(line):
    line.queue.push(SPEECH, bytes(960))
    line.sender.close()
    with pytest.raises(LocalProtocolError):
        line.ticks(1)
