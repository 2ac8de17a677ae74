"""WAV files, said and recorded."""

import array
import contextlib
import io
import math
import random
import struct
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.caller.audio import OutboundAudio
from edge.caller.command import call
from edge.caller.opus_file import OpusRecording, read_clip
from edge.caller.wav_file import WavError, WavRecording, read_wav
from srtp.rtp import RtpPacket
from transceiver.audio.opus import OpusDecoder, OpusEncoder, OpusOptions
from transceiver.audio.opus_packet import has_fec
from transceiver.backends.silence import SILENT_FRAMES
from wire.buffer import Reader

SILENT = SILENT_FRAMES["opus"]
OPUS_RATE = 48000
HEADER = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"


def tone(seconds, rate, hertz=440):
    return [0.25 * math.sin(2 * math.pi * hertz * n / rate) for n in range(round(seconds * rate))]


def strength(pcm, rate, hertz=440):
    """Amplitude of one frequency, as a share of full scale."""
    samples = array.array("h", pcm)
    turn = 2 * math.pi * hertz / rate
    real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / len(samples) / 32768


def write_wav(path, samples, rate, *, channels=1, width=2):
    """Integers of one to four bytes, or floats (width 0); the other channels are silent."""
    pack = {
        0: lambda value: struct.pack("<f", value),
        1: lambda value: bytes([round(128 + 127 * value)]),
        2: lambda value: struct.pack("<h", round(32767 * value)),
        3: lambda value: struct.pack("<i", round(2**31 * value))[1:],
        4: lambda value: struct.pack("<i", round((2**31 - 1) * value)),
    }[width]
    size = (width or 4) * channels
    data = b"".join(pack(sample) + pack(0) * (channels - 1) for sample in samples)
    form = struct.pack("<HHIIHH", 1 if width else 3, channels, rate, rate * size, size, 8 * (width or 4))
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def decode(packets):
    with OpusDecoder(OPUS_RATE) as decoder:
        return b"".join(decoder.decode(packet) for packet in packets)


@pytest.mark.parametrize(
    ("rate", "channels", "width"),
    [
        (8000, 1, 1),
        (8000, 1, 2),
        (16000, 1, 2),
        (22050, 1, 2),
        (44100, 2, 2),
        (48000, 1, 3),
        (96000, 2, 4),
        (24000, 6, 0),
    ],
)
def test_any_wav_is_said(tmp_path, rate, channels, width):
    path = write_wav(tmp_path / "in.wav", tone(0.5, rate), rate, channels=channels, width=width)
    clip = read_wav(path, seconds=10, repeats=True)
    assert set(clip.samples) == {960}
    assert len(clip.packets) in (25, 26)  # the resampler's filter may run into one frame more
    heard = strength(decode(clip.packets)[9600:-9600], OPUS_RATE)
    if channels == 1:
        assert heard == pytest.approx(0.25, rel=0.1)
    else:
        assert 0.02 < heard < 0.26  # mixed with channels that are silent


def test_a_wav_is_said_once_and_then_there_is_silence(tmp_path):
    clip = read_wav(write_wav(tmp_path / "in.wav", tone(0.2, 8000), 8000), seconds=10, repeats=False)
    assert clip.packets[-1] == SILENT
    assert said(clip, 40) == (*clip.packets, *[SILENT] * (40 - len(clip.packets)))


def test_with_many_calls_it_is_said_over_and_over(tmp_path):
    clip = read_wav(write_wav(tmp_path / "in.wav", tone(0.2, 8000), 8000), seconds=10, repeats=True)
    assert SILENT not in clip.packets
    assert said(clip, 3 * len(clip.packets)) == 3 * clip.packets


def said(clip, count):
    outbound = OutboundAudio(clip, ssrc=1, payload_type=111, extension_ids={}, entropy=bytes)
    return tuple(RtpPacket.parse(Reader(outbound.next_packet(n / 50))).payload for n in range(count))


def test_no_more_is_encoded_than_will_be_said(tmp_path):
    path = write_wav(tmp_path / "in.wav", 40 * tone(1, 8000), 8000)
    assert len(read_wav(path, seconds=2, repeats=True).packets) == 101


def test_the_last_frame_is_filled_with_silence(tmp_path):
    clip = read_wav(write_wav(tmp_path / "in.wav", tone(0.001, 48000), 48000), seconds=1, repeats=True)
    assert len(clip.packets) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "cannot be read as WAV"),
        (b"OggS" + bytes(100), "cannot be read as WAV"),
        (b"RIFF\x24\0\0\0WAVE", "cannot be read as WAV"),
        (HEADER + b"\xee\xee" + bytes(14) + b"data\0\0\0\0", "cannot be read as WAV|no sound"),
        (
            b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16) + b"data\0\0\0\0",
            "no sound",
        ),
    ],
)
def test_what_is_no_wav_is_explained(tmp_path, content, problem):
    path = tmp_path / "in.wav"
    path.write_bytes(content)
    with pytest.raises(WavError, match=problem):
        read_wav(path, seconds=1, repeats=True)


def test_damaged_files_are_errors_or_read(tmp_path):
    whole = write_wav(tmp_path / "in.wav", tone(0.05, 8000), 8000).read_bytes()
    chance = random.Random(5)
    for _ in range(60):
        damaged = bytearray(whole[: chance.randrange(20, len(whole))])
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path = tmp_path / "damaged.wav"
        path.write_bytes(damaged)
        with contextlib.suppress(WavError):
            read_wav(path, seconds=0.1, repeats=True)


# -- recordings


def encoded(seconds, **options):
    pcm = array.array("h", [round(32767 * value) for value in tone(seconds, OPUS_RATE)]).tobytes()
    with OpusEncoder(OPUS_RATE, options=OpusOptions(**options)) as encoder:
        return [encoder.encode(pcm[at : at + 1920]) for at in range(0, len(pcm), 1920)]


def record(packets):
    """Record (sequence number, timestamp, packet) and return rate, length in samples and PCM."""
    file = io.BytesIO()
    recording = WavRecording(file)
    for sequence_number, timestamp, packet in packets:
        recording.add(sequence_number & 0xFFFF, timestamp & 0xFFFFFFFF, packet)
    recording.finish()
    file.seek(0)
    with wave.open(file) as written:
        assert (written.getnchannels(), written.getsampwidth(), written.getframerate()) == (1, 2, OPUS_RATE)
        assert recording.seconds == written.getnframes() / OPUS_RATE
        return written.readframes(written.getnframes())


def numbered(packets):
    # Both numbers roll over on the way.
    return [(65530 + n, 2**32 - 5000 + 960 * n, packet) for n, packet in enumerate(packets)]


def test_what_comes_back_is_decoded_in_order():
    packets = encoded(1)
    shuffled = numbered(packets)
    shuffled[5:9] = shuffled[8:4:-1]
    pcm = record([*shuffled, shuffled[3], (7, 0, b"")])
    assert pcm == decode(packets)


@pytest.mark.parametrize("lost", [[10], [10, 11], list(range(10, 30))])
def test_a_loss_is_filled_to_the_sample(lost):
    packets = numbered(encoded(1))
    pcm = record([packet for n, packet in enumerate(packets) if n not in lost])
    assert len(pcm) == 50 * 1920
    after = pcm[(lost[-1] + 3) * 1920 :]
    assert strength(after, OPUS_RATE) == pytest.approx(0.25, rel=0.1)


def test_a_lost_packet_is_recovered_from_the_next(monkeypatch):
    packets = encoded(1, fec=True, expected_loss=0.2, bitrate=24000)
    lost = next(n for n in range(3, 40) if has_fec(packets[n + 1]))
    kept = [packet for n, packet in enumerate(numbered(packets)) if n != lost]
    recovered = record(kept)
    monkeypatch.setattr("edge.caller.wav_file.has_fec", lambda _: False)
    concealed = record(kept)
    assert len(recovered) == len(concealed)
    assert recovered != concealed
    start = lost * 1920
    assert strength(recovered[start : start + 1920], OPUS_RATE) == pytest.approx(0.25, rel=0.3)


def test_a_pause_in_which_nothing_was_sent_keeps_its_length():
    packets = encoded(0.4)
    later = [(65530 + 10 + n, 2**32 - 5000 + 960 * (60 + n), packet) for n, packet in enumerate(packets[10:])]
    pcm = record(numbered(packets[:10]) + later)
    assert len(pcm) == (10 + 50 + 10) * 1920
    pause = array.array("h", pcm[20 * 1920 : 59 * 1920])
    assert max(map(abs, pause)) < 400


def test_a_new_beginning_is_no_pause():
    packets = encoded(0.4)
    later = [(65530 + 10 + n, 10**9 + 960 * n, packet) for n, packet in enumerate(packets[10:])]
    assert len(record(numbered(packets[:10]) + later)) == 20 * 1920


def test_both_kinds_of_recording_are_equally_long():
    packets = [packet for n, packet in enumerate(numbered(encoded(1))) if n % 7 != 3]
    file = io.BytesIO()
    recording = OpusRecording(file, serial=1)
    for packet in packets:
        recording.add(packet[0] & 0xFFFF, packet[1] & 0xFFFFFFFF, packet[2])
    recording.finish()
    assert recording.seconds == len(record(packets)) / 2 / OPUS_RATE
    assert sum(read_clip(file.getvalue()).samples) == recording.seconds * OPUS_RATE


# -- a call, and the command line


def test_a_call_says_a_wav_and_records_its_echo(call_network, certificate, tmp_path):
    clip = read_wav(write_wav(tmp_path / "in.wav", tone(1, 16000), 16000), seconds=3, repeats=False)
    file = io.BytesIO()
    recording = WavRecording(file)
    network = call_network.connect(certificate, clip, recording=recording)
    network.run(3)
    recording.finish()
    file.seek(0)
    with wave.open(file) as written:
        pcm = written.readframes(written.getnframes())
    assert 2.5 < recording.seconds < 3.1
    seconds = [pcm[at : at + 96000] for at in range(0, len(pcm), 96000)]
    assert strength(seconds[0][20000:], OPUS_RATE) > 0.2
    assert strength(seconds[2], OPUS_RATE) < 0.01


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(call, ["http://127.0.0.1:9", *arguments])
    return result.exit_code, result.output


def test_the_command_explains_a_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(b"OggS")
    code, told = run("--wav", str(path))
    assert code == 1
    assert "song.wav: it cannot be read as WAV" in told
    assert "Traceback" not in told


def test_the_command_takes_one_sound(tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(b"")
    code, told = run("--wav", str(path), "--packets", str(path))
    assert code == 2
    assert "leave one away" in told


def test_the_command_wants_to_know_what_to_record(tmp_path: Path) -> None:
    code, told = run("--record", str(tmp_path / "out.mp3"))
    assert code == 2
    assert "must end in .wav or .opus" in told
    assert not (tmp_path / "out.mp3").exists()


def test_the_command_opens_the_recording_that_its_name_asks_for(tmp_path: Path) -> None:
    for name, magic in (("out.wav", b"RIFF"), ("out.WAV", b"RIFF"), ("out.opus", b"OggS"), ("out.ogg", b"OggS")):
        code, told = run("--record", str(tmp_path / name))
        assert code == 1  # nobody listens on that port
        assert "cannot be reached" in told
        assert (tmp_path / name).read_bytes().startswith(magic)
