"""A call with a voice: PCM in and out, through the media of a session, with a peer that has the other keys."""

import array
import gc
import itertools
import math
import random
import weakref
from collections.abc import Callable

import attrs
import pytest

from srtp.keying import MasterKey
from srtp.profile import ProtectionProfile
from srtp.rtcp.compound import parse_compound
from srtp.rtcp.sender_report import SenderReport
from srtp.rtp import RtpPacket
from srtp.session import SrtpSession
from stun.lite import IceLite
from transceiver.audio.opus import OpusDecoder, OpusEncoder
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backends.contract import Speech
from transceiver.media import Media
from transceiver.media_description import MediaDescription
from transceiver.options import SessionOptions
from transceiver.sdp.attributes import Codec
from transceiver.timeline import Timeline
from transceiver.voice import DropReason
from wire.buffer import Reader, Writer
from wire.demux import Kind, kind_of

OURS, THEIRS = 0x0E5, 0x7E125
OPUS, RED, EVENTS, PCMU = 111, 63, 110, 0
RATE = 24_000
FRAME = RATE // 50
START = 500.0
SPEECH = Speech("resp_1", "item_1")
PROFILE = ProtectionProfile.AEAD_AES_128_GCM
DESCRIPTION = MediaDescription(
    ssrc=OURS,
    cname="c0ffee",
    msid="stream track",
    clock_rates={OPUS: 48000, RED: 48000, EVENTS: 48000, PCMU: 8000},
    codecs={OPUS: "opus", RED: "red", EVENTS: "telephone-event", PCMU: "pcmu"},
    spoken=Codec(payload_type=OPUS, name="opus", clock=48000, channels=2),
    sends=True,
    transport_cc_id=None,
    is_reduced_size=True,
)


@attrs.define
class Peer:
    """A client that has the keys, the media that it talks to, and the clock of both."""

    media: Media
    srtp: SrtpSession
    speech: SpeechQueue
    now: float = START
    packets: list[tuple[float, RtpPacket]] = attrs.field(factory=list)
    reports: list[tuple[float, SenderReport]] = attrs.field(factory=list)
    heard: bytearray = attrs.field(factory=bytearray)

    def says(self, payload: bytes, number: int, timestamp: int, **fields: object) -> None:
        """Send an RTP packet, and listen at once, as the worker does."""
        packet = RtpPacket(
            **{
                "payload_type": OPUS,
                "ssrc": THEIRS,
                "sequence_number": number & 0xFFFF,
                "timestamp": timestamp & 0xFFFFFFFF,
                "payload": payload,
                **fields,
            }
        )
        writer = Writer()
        packet.serialize(writer)
        assert self.media.receive_rtp(self.srtp.protect_rtp(writer.finish()), self.now) == b""
        self.heard += self.media.voice.hear(self.now)

    def tick(self, seconds: float = 0.02) -> None:
        """Let the worker's clock tick."""
        self.now += seconds
        for data in self.media.handle_timeout(self.now):
            if kind_of(data) is Kind.RTP:
                self.packets.append((self.now, RtpPacket.parse(Reader(self.srtp.unprotect_rtp(data)))))
            else:
                parts = parse_compound(self.srtp.unprotect_rtcp(data))
                self.reports += [(self.now, part) for part in parts if isinstance(part, SenderReport)]
        self.heard += self.media.voice.hear(self.now)

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.tick()

    def timestamps(self) -> list[int]:
        return [packet.timestamp for _, packet in self.packets]


@pytest.fixture
def make_peer() -> Callable[..., Peer]:
    def make(**changes: object) -> Peer:
        chance = random.Random(3)
        keys = [MasterKey(chance.randbytes(PROFILE.key_length), chance.randbytes(PROFILE.salt_length)) for _ in "ab"]
        speech = SpeechQueue(rate=RATE)
        media = Media(
            srtp=SrtpSession(PROFILE, keys[0], keys[1]),
            description=attrs.evolve(DESCRIPTION, **changes),
            timeline=Timeline(),
            entropy=chance.randbytes,
            now=START,
            unix_time=1.7e9,
            options=SessionOptions(),
            speech=speech,
            hears_at=RATE,
        )
        return Peer(media, SrtpSession(PROFILE, keys[1], keys[0]), speech)

    return make


@pytest.fixture
def peer(make_peer) -> Peer:
    return make_peer()


def tone(hertz: float, seconds: float) -> bytes:
    turn = 2 * math.pi * hertz / RATE
    return array.array("h", [round(8000 * math.sin(turn * n)) for n in range(round(seconds * RATE))]).tobytes()


def frames_of(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + 2 * FRAME] for at in range(0, len(pcm), 2 * FRAME)]


def encoded(pcm: bytes) -> list[bytes]:
    with OpusEncoder(RATE) as encoder:
        return [encoder.encode(frame) for frame in frames_of(pcm)]


def levels(pcm: bytes, seconds: float = 0.1) -> list[float]:
    """The mean magnitude of each piece."""
    size = 2 * round(RATE * seconds)
    pieces = [array.array("h", pcm[at : at + size]) for at in range(0, len(pcm), size)]
    return [sum(map(abs, piece)) / len(piece) for piece in pieces]


# -- the caller speaks


def test_what_the_caller_says_is_heard_in_its_place(peer: Peer) -> None:
    pcm = bytes(RATE) + tone(440, 0.5) + bytes(RATE)
    for number, payload in enumerate(encoded(pcm)):
        peer.says(payload, number, number * 960)
        peer.tick()
    assert len(peer.heard) == len(pcm)
    loud = [level > 2000 for level in levels(bytes(peer.heard))]
    assert loud == [False] * 5 + [True] * 5 + [False] * 5
    assert not peer.media.drops
    assert not peer.media.voice.drops
    assert peer.media.voice.describe()["in"]["lost"] == 0


def test_a_packet_is_heard_when_it_comes_and_not_at_the_next_tick(peer: Peer) -> None:
    (payload,) = encoded(tone(440, 0.02))
    peer.says(payload, 0, 0)
    assert len(peer.heard) == 2 * FRAME


def test_a_caller_who_falls_silent_is_heard_to_be_silent(peer: Peer) -> None:
    for number, payload in enumerate(encoded(tone(440, 0.2))):
        peer.says(payload, number, number * 960)
        peer.tick()
    peer.ticks(50)
    seconds = len(peer.heard) / 2 / RATE
    assert 0.9 < seconds < 1.2
    assert levels(bytes(peer.heard))[-1] == 0


def test_redundant_audio_makes_up_for_what_is_lost(peer: Peer) -> None:
    payloads = encoded(tone(440, 0.4))
    for number, payload in enumerate(payloads):
        if number % 3 != 1:
            head = (
                b"" if not number else bytes([0x80 | OPUS]) + (960 << 10 | len(payloads[number - 1])).to_bytes(3, "big")
            )
            before = payloads[number - 1] if number else b""
            peer.says(head + bytes([OPUS]) + before + payload, number, number * 960, payload_type=RED)
        peer.tick()
    told = peer.media.voice.describe()["in"]
    assert told["recovered_red"] == 6
    assert told["concealed_ms"] == 0


def test_keys_are_told_once(peer: Peer) -> None:
    for number in range(6):
        end = 0x80 if number > 2 else 0
        payload = bytes([5, end | 10]) + (min(number + 1, 4) * 960).to_bytes(2, "big")
        peer.says(payload, number, 0, payload_type=EVENTS, marker=not number)
        peer.tick()
    (digit,) = peer.media.voice.digits()
    assert (digit.digit, digit.duration_ms) == ("5", 80)
    assert list(peer.media.voice.digits()) == []


# -- another source of the caller's


def test_another_source_takes_over(peer: Peer) -> None:
    first, second = encoded(tone(440, 0.1)), encoded(tone(880, 0.1))
    for number, payload in enumerate(first):
        peer.says(payload, number, number * 960)
        peer.tick()
    peer.says(bytes([7, 10, 3, 192]), 5, 4800, payload_type=EVENTS, marker=True)
    for number, payload in enumerate(second):
        peer.says(payload, 9000 + number, 77 + number * 960, ssrc=THEIRS + 1)
        peer.tick()
    assert len(peer.heard) == 2 * RATE // 5
    assert all(level > 2000 for level in levels(bytes(peer.heard), 0.05)[1:])
    # What the one before still sends is late, and would be heard in the middle of the other.
    peer.says(first[0], 6, 6 * 960)
    peer.says(first[0], 7, 7 * 960)
    peer.tick()
    assert peer.media.voice.drops == {DropReason.FORMER_SOURCE: 2}
    assert len(peer.heard) == 2 * RATE // 5
    # After a while of quiet it may be that the caller is back there.
    peer.ticks(60)
    before = len(peer.heard)
    peer.says(first[0], 8, 90 * 960)
    assert len(peer.heard) == before + 2 * FRAME


def test_what_was_not_taken_yet_of_the_source_before_comes_first(peer: Peer) -> None:
    loud, quiet = encoded(tone(440, 0.1))[2], encoded(bytes(2 * RATE // 10))[2]
    voice = peer.media.voice
    for ssrc, payload in ((THEIRS, loud), (THEIRS + 1, quiet), (THEIRS + 2, quiet)):
        voice.receive(ssrc, OPUS, 0, 0, payload, peer.now)
    heard = levels(voice.hear(peer.now), 0.02)
    assert len(heard) == 3
    assert heard[0] > 10 * max(heard[1:])
    assert voice.hear(peer.now) == b""


def test_what_was_dropped_stays_counted_when_the_source_changes(peer: Peer) -> None:
    peer.says(b"\x4b", 0, 0)
    peer.says(b"\x4b", 0, 0, ssrc=THEIRS + 1)
    assert peer.media.voice.drops == {"audio-undecodable": 2}
    peer.media.close()
    assert peer.media.voice.drops == {"audio-undecodable": 2}


def test_keys_pressed_just_before_another_source_are_not_lost(peer: Peer) -> None:
    (payload,) = encoded(tone(440, 0.02))
    for number in range(3):
        peer.says(bytes([1, 0x80, 3, 192]), number, 0, payload_type=EVENTS, marker=not number)
    peer.says(payload, 0, 0, ssrc=THEIRS + 1)
    assert [digit.digit for digit in peer.media.voice.digits()] == ["1"]


# -- the caller is spoken to


def test_what_is_said_is_heard_by_the_caller_in_its_place(peer: Peer) -> None:
    pcm = tone(440, 0.5)
    peer.speech.push(SPEECH, pcm)  # all at once: a backend is faster than the voice
    peer.speech.finish(SPEECH.response_id)
    peer.ticks(25)
    assert not peer.speech.has_speech
    sent = [(at, packet) for at, packet in peer.packets if len(packet.payload) > 1]
    assert [round((at - START) / 0.02) for at, _ in sent] == list(range(1, 26))
    decoder = OpusDecoder(RATE)
    said = b"".join(decoder.decode(packet.payload) for _, packet in sent)
    assert len(said) == len(pcm)
    assert all(level > 4000 for level in levels(said)[1:])


def test_the_marker_is_on_the_first_packet_of_a_talkspurt_and_timestamps_are_the_clock(peer: Peer) -> None:
    peer.ticks(10)
    for _ in range(2):
        peer.speech.push(SPEECH, tone(440, 0.1))
        peer.ticks(100)
    spoken = [(at, packet) for at, packet in peer.packets if packet.marker]
    assert len(spoken) == 2
    # Each lies as much later on the media's clock as it came later.
    (first_at, first), *rest = peer.packets
    for at, packet in rest:
        assert packet.timestamp - first.timestamp == round((at - first_at) * 48000)
    numbers = [packet.sequence_number for _, packet in peer.packets]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert {packet.ssrc for _, packet in peer.packets} == {OURS}
    # Nearly nothing is sent while there is nothing to say.
    assert len(peer.packets) < 60


def test_our_opening_packet_has_a_time_of_its_own(peer: Peer) -> None:
    """A receiver throws away the second of two packets with the same timestamp: the first frame of speech."""
    peer.speech.push(SPEECH, tone(440, 0.1))
    opening = RtpPacket.parse(Reader(peer.srtp.unprotect_rtp(peer.media.opening(peer.now))))
    peer.ticks(5)
    assert peer.timestamps() == [opening.timestamp + 960 * n for n in range(1, 6)]


@pytest.mark.parametrize("late", [0.005, 0.012, 0.019])
def test_a_late_tick_does_not_cost_the_next_one(peer: Peer, late: float) -> None:
    peer.speech.push(SPEECH, tone(440, 1))
    for number in range(40):
        # Ticks are due on a grid; every fifth comes late, the others when they are due.
        due = START + 0.02 * (number + 1) + (late if number % 5 == 3 else 0.0)
        peer.tick(due - peer.now)
    assert len(peer.packets) == 40
    steps = {after - before for before, after in itertools.pairwise(peer.timestamps())}
    assert steps == {960}
    assert peer.media.voice.describe()["out"]["skipped_frames"] == 0


def test_a_stall_leaves_its_time_empty(peer: Peer) -> None:
    peer.speech.push(SPEECH, tone(440, 1))
    peer.ticks(10)
    peer.tick(0.2)
    peer.ticks(10)
    steps = [(after - before) // 960 for before, after in itertools.pairwise(peer.timestamps())]
    assert sorted(steps)[:-1] == [1] * (len(steps) - 1)
    assert max(steps) in (9, 10)
    assert len(peer.packets) == 21


def test_ticking_more_often_says_nothing_more(peer: Peer) -> None:
    peer.speech.push(SPEECH, tone(440, 1))
    for _ in range(100):
        peer.tick(0.005)
    assert len(peer.packets) == pytest.approx(25, abs=1)
    assert peer.media.next_timeout() > peer.now - 0.02


def test_reports_tell_of_our_clock_and_not_of_the_callers(peer: Peer) -> None:
    """The caller may speak G.711, whose clock is another, while we speak Opus."""
    peer.tick()
    peer.says(bytes([0xFF]) * 160, 0, 0, payload_type=PCMU)
    peer.ticks(120)
    assert len(peer.reports) >= 1
    first_at, first = peer.packets[0]
    for at, report in peer.reports:
        assert report.rtp_timestamp - first.timestamp == pytest.approx((at - first_at) * 48000, abs=2)


def test_a_client_that_does_not_want_to_hear(make_peer) -> None:
    """What is said to nobody passes in its own time, so that the backend is told when it is over."""
    peer = make_peer(sends=False)
    assert peer.media.opening(peer.now) is None
    peer.speech.push(SPEECH, tone(440, 1))
    peer.speech.finish(SPEECH.response_id)
    peer.ticks(25)
    assert peer.speech.sent_ms(SPEECH) == 500
    peer.ticks(30)
    assert not peer.speech.has_speech
    assert peer.packets == []


# -- the end


@pytest.mark.parametrize(
    ("parameters", "bitrate", "fec"),
    [
        ("minptime=10;useinbandfec=1", 32000, True),
        ("minptime=10;useinbandfec=0", 32000, False),
        ("", 32000, False),  # RFC 7587 §6.1: who says nothing cannot make use of FEC
        ("useinbandfec=1;maxaveragebitrate=20000", 20000, True),
        ("useinbandfec=1;maxaveragebitrate=8000", 8000, True),
        ("useinbandfec=1;maxaveragebitrate=0", 6000, True),
        ("useinbandfec=1;maxaveragebitrate=510000", 32000, True),
    ],
)
def test_the_clients_wishes_bound_what_is_sent(make_peer, parameters: str, bitrate: int, fec: bool) -> None:
    peer = make_peer(spoken=attrs.evolve(DESCRIPTION.spoken, parameters=parameters))
    peer.tick()
    adaptation = peer.media.voice._sender.adaptation
    assert adaptation.bitrate == bitrate
    peer.speech.push(Speech("resp", "item"), tone(300, 10))
    for _ in range(10):
        peer.ticks(50)
        peer.media.voice.peer_reported(0.05, 0.02, peer.now)
    assert adaptation.fec is fec
    assert adaptation.bitrate <= max(bitrate, 40000 if bitrate == 32000 else bitrate)


def test_closing_frees_the_codecs_at_once(peer: Peer) -> None:
    (payload,) = encoded(tone(440, 0.02))
    peer.says(payload, 0, 0)
    peer.speech.push(SPEECH, tone(440, 0.1))
    peer.ticks(2)
    voice = peer.media.voice
    receiver = weakref.ref(voice._receiver)
    encoder = voice._sender._encoder
    gc.disable()
    try:
        peer.media.close()
        assert receiver() is None  # by its last reference, and with it the decoder
        assert encoder._state is None
    finally:
        gc.enable()
    told = voice.describe()
    assert told["in"]["packets"] == 1
    assert told["out"]["skipped_frames"] == 0
    assert voice.hear(peer.now) == b""


# -- through a session


def test_nothing_is_said_while_there_is_no_path_to_say_it_on(connect, monkeypatch: pytest.MonkeyPatch) -> None:
    speech = SpeechQueue(rate=RATE)
    network = connect(speech=speech)
    network.run(1)
    speech.push(SPEECH, tone(440, 1))
    with monkeypatch.context() as patch:
        patch.setattr(IceLite, "selected", property(lambda _self: None))
        network.run(0.5)
        assert speech.sent_ms(SPEECH) == 0
    network.run(3)
    assert speech.sent_ms(SPEECH) == 1000


def test_a_voice_through_a_whole_session(connect) -> None:
    speech = SpeechQueue(rate=RATE)
    network = connect(speech=speech)
    speech.push(SPEECH, tone(440, 1))  # before there is a caller: it waits
    heard = bytearray()
    for _ in range(150):
        network.run(0.02)
        if network.server.media is not None:
            heard += network.server.media.voice.hear(network.now)
    assert speech.sent_ms(SPEECH) == 1000
    packets = network.server.media.packets_in
    assert len(heard) / 2 / RATE == pytest.approx(packets * 0.02, abs=0.1)
    assert max(levels(bytes(heard))) > 500  # the caller's clip is a voice
    assert network.caller.media.heard_at is not None
    network.server.close("hang-up", network.now)
    assert network.server.media.voice.hear(network.now) == b""
