"""Callers to listen to, the networks between, and measures for what is heard."""

import array
import math
import operator
import random
import wave
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs
import pytest

from transceiver.audio.audio_packet import DropReason
from transceiver.audio.listening_options import ListeningOptions
from transceiver.audio.opus import OpusEncoder, OpusOptions
from transceiver.audio.receiver import AudioReceiver
from transceiver.audio.telephone_event import DtmfReceived

START = 1000.0
OPUS, RED, PCMU, PCMA, EVENT, OTHER = 111, 63, 0, 8, 110, 99
CODECS = {OPUS: "opus", RED: "red", PCMU: "pcmu", PCMA: "pcma", EVENT: "telephone-event"}
CLOCK_RATES = {OPUS: 48000, RED: 48000, PCMU: 8000, PCMA: 8000, EVENT: 48000}


@attrs.frozen
class Sent:
    """A packet of the caller's."""

    at: float
    sequence: int
    timestamp: int
    payload: bytes
    payload_type: int = OPUS
    marker: bool = False


@attrs.frozen
class Arrival:
    at: float
    packet: Sent


@attrs.define
class Heard:
    """What came out of a receiver, and when."""

    receiver: AudioReceiver
    pcm: bytes = b""
    deliveries: list[tuple[float, int]] = attrs.field(factory=list)  # when, and how many samples there were then
    digits: list[DtmfReceived] = attrs.field(factory=list)

    @property
    def samples(self) -> "array.array[int]":
        return array.array("h", self.pcm)

    @property
    def facts(self) -> dict[str, float]:
        return dict(self.receiver.describe())

    @property
    def drops(self) -> dict[str, int]:
        return {reason: count for reason, count in self.receiver.drops.items() if count}


class Caller:
    """Turns PCM into packets."""

    START, OPUS, RED, PCMU, PCMA, EVENT, OTHER = START, OPUS, RED, PCMU, PCMA, EVENT, OTHER
    CODECS, CLOCK_RATES, DropReason = CODECS, CLOCK_RATES, DropReason
    Sent, Arrival = Sent, Arrival

    @staticmethod
    def frames(pcm: bytes, rate: int, ms: int = 20, **options: object) -> list[bytes]:
        """Opus frames of PCM."""
        settings = {"bitrate": 24000, "complexity": 0, **options}
        size = 2 * rate * ms // 1000
        with OpusEncoder(rate, options=OpusOptions(**settings)) as encoder:
            return [encoder.encode(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]

    @staticmethod
    def packets(
        frames: Iterable[bytes],
        *,
        sequence: int = 65500,
        timestamp: int = 2**32 - 24000,
        ms: int = 20,
        at: float = START,
    ) -> list[Sent]:
        """Packets one after another; the first numbers let both of them wrap early."""
        return [
            Sent(
                at + n * ms / 1000,
                (sequence + n) & 0xFFFF,
                (timestamp + n * ms * 48) & 0xFFFF_FFFF,
                frame,
                marker=n == 0,
            )
            for n, frame in enumerate(frames)
        ]

    @classmethod
    def redundant(cls, packets: list[Sent], copies: int = 1) -> list[Sent]:
        """The same packets, each with the ones before it inside."""
        made = []
        for n, packet in enumerate(packets):
            earlier = packets[max(0, n - copies) : n]
            heads = b"".join(
                bytes([0x80 | OPUS])
                + (((packet.timestamp - old.timestamp) & 0x3FFF) << 10 | len(old.payload)).to_bytes(3, "big")
                for old in earlier
            )
            blocks = b"".join(old.payload for old in earlier)
            payload = heads + bytes([OPUS]) + blocks + packet.payload
            made.append(attrs.evolve(packet, payload_type=RED, payload=payload))
        return made


class Network:
    """Seeded bad networks: what arrives, and when."""

    @staticmethod
    def random_loss(share: float, seed: int = 1) -> Callable[[], bool]:
        chance = random.Random(seed)
        return lambda: chance.random() < share

    @staticmethod
    def gilbert(share: float, burst: float, seed: int = 1) -> Callable[[], bool]:
        """Losses in bursts: `share` of all packets, `burst` packets long on average."""
        chance = random.Random(seed)
        state = {"bad": False}
        leave = 1 / burst
        enter = leave * share / (1 - share)

        def is_lost() -> bool:
            state["bad"] = chance.random() >= leave if state["bad"] else chance.random() < enter
            return state["bad"]

        return is_lost

    @staticmethod
    def gamma(mean: float, shape: float = 1.5, seed: int = 2) -> Callable[[], float]:
        chance = random.Random(seed)
        return lambda: chance.gammavariate(shape, mean / shape)

    @staticmethod
    def carry(
        packets: Iterable[Sent],
        *,
        is_lost: Callable[[], bool] = lambda: False,
        delay: Callable[[], float] = lambda: 0.0,
        keeps_order: bool = False,
        duplicated: float = 0.0,
        seed: int = 3,
    ) -> list[Arrival]:
        """Everything that arrives, in the order of arrival."""
        chance = random.Random(seed)
        arrivals: list[Arrival] = []
        latest = 0.0
        for n, packet in enumerate(packets):
            at = packet.at + delay()
            if keeps_order:
                at = latest = max(at, latest)
            if n and is_lost():  # the first one starts the clock
                continue
            arrivals.append(Arrival(at, packet))
            if chance.random() < duplicated:
                arrivals.append(Arrival(at + chance.random() * 0.1, packet))
        return sorted(arrivals, key=lambda arrival: arrival.at)


def listen(
    arrivals: Iterable[Arrival],
    *,
    rate: int = 24000,
    until: float | None = None,
    options: ListeningOptions | None = None,
) -> Heard:
    """Give packets to a receiver as a worker does: `take` after each, and whenever it asks for it."""
    receiver = AudioReceiver(codecs=CODECS, clock_rates=CLOCK_RATES, rate=rate, options=options)
    heard = Heard(receiver)
    pieces: list[bytes] = []
    samples = 0

    def take(now: float) -> None:
        nonlocal samples
        pcm = receiver.take(now)
        if pcm:
            samples += len(pcm) // 2
            pieces.append(pcm)
            heard.deliveries.append((now, samples))
        heard.digits += receiver.take_events()

    def wait_until(then: float) -> None:
        while (due := receiver.next_timeout()) is not None and due <= then:
            assert receiver.quiet_until <= due, "whoever looks only from then on misses nothing"
            take(due)
            later = receiver.next_timeout()
            assert later is None or later > due, "a timeout must lead somewhere"

    for arrival in arrivals:
        wait_until(arrival.at)
        packet = arrival.packet
        receiver.receive(
            packet.payload_type, packet.sequence, packet.timestamp, packet.marker, packet.payload, arrival.at
        )
        take(arrival.at)
    if until is not None:
        wait_until(until)
    heard.pcm = b"".join(pieces)
    return heard


class Measure:
    """What can be measured of what was heard."""

    @staticmethod
    def levels(samples: "array.array[int]", rate: int, window: float = 0.1) -> list[float]:
        """RMS of each window."""
        size = int(rate * window)
        return [
            math.sqrt(sum(map(operator.mul, piece, piece)) / size)
            for piece in (samples[at : at + size] for at in range(0, len(samples) - size + 1, size))
        ]

    @staticmethod
    def level(samples: "array.array[int]") -> float:
        """RMS of it all."""
        return math.sqrt(sum(map(operator.mul, samples, samples)) / len(samples))

    @staticmethod
    def offset(
        heard: "array.array[int]", reference: "array.array[int]", at: int, size: int, reach: int, step: int = 1
    ) -> int:
        """By how many samples a stretch of the reference comes later in what was heard."""
        template = reference[at : at + size : step]
        best = max(
            (sum(map(operator.mul, template, heard[at + lag : at + lag + size : step])), lag)
            for lag in range(max(-reach, -at), reach + 1)
            if at + lag + size <= len(heard)
        )
        return best[1]

    @staticmethod
    def error(heard: "array.array[int]", reference: "array.array[int]") -> float:
        """Energy of the difference over the energy of the reference."""
        size = min(len(heard), len(reference))
        difference = [a - b for a, b in zip(heard[:size], reference[:size], strict=True)]
        energy = sum(map(operator.mul, reference[:size], reference[:size]))
        return sum(map(operator.mul, difference, difference)) / energy


@pytest.fixture(scope="session")
def caller() -> type[Caller]:
    return Caller


@pytest.fixture(scope="session")
def network() -> type[Network]:
    return Network


@pytest.fixture(scope="session")
def measure() -> type[Measure]:
    return Measure


@pytest.fixture(scope="session", name="listen")
def _listen() -> Callable[..., Heard]:
    return listen


@pytest.fixture(scope="session")
def speech() -> bytes:
    """Six seconds of a synthetic voice at 16 kHz, with a pause between two sentences."""
    with wave.open(str(Path(__file__).with_name("speech.wav"))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return file.readframes(file.getnframes())


@pytest.fixture(scope="session")
def tone() -> Callable[..., bytes]:
    def make(seconds: float, rate: int, hertz: float = 300.0, amplitude: float = 8000.0) -> bytes:
        turn = 2 * math.pi * hertz / rate
        return array.array("h", (int(amplitude * math.sin(turn * n)) for n in range(round(seconds * rate)))).tobytes()

    return make


@pytest.fixture(scope="session")
def speech_frames(speech: bytes) -> list[bytes]:
    """Opus of the speech, without spare copies."""
    return Caller.frames(speech, 16000)
