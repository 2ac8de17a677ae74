"""The command as a process, against all tiers as another."""

import array
import itertools
import math
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from edge.caller.opus_file import Clip, OpusRecording, read_clip

PROGRAM = Path(sys.executable).with_name("trio-voice")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not PROGRAM.exists(), reason="trio-voice is not installed here"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """All roles in one process."""
    http, media = free_port(), free_port()
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [PROGRAM, "serve", "--http", str(http), "--media-port", str(media), "--backend", "echo"],
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + 20
            while f"http://127.0.0.1:{http}" not in log.read_text():
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{http}"
        finally:
            server.terminate()
            server.wait(10)


def caller(url: str, *arguments: str) -> subprocess.Popen[str]:
    command = [PROGRAM, "call", url, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def echo_in(recording: Path, clip: Clip) -> tuple[bytes, ...]:
    """What was recorded from the first packet of the clip on; in front of it is the server's opening silence."""
    packets = read_clip(recording.read_bytes()).packets
    return tuple(itertools.dropwhile(lambda packet: packet not in clip.packets, packets))


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_call_says_how_it_went_and_records_the_echo(url: str, clip: Clip, tmp_path: Path, role: str) -> None:
    recording = tmp_path / "echo.opus"
    process = caller(url, "--seconds", "1.5", "--dtls-role", role, "--record", str(recording))
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert f"DTLS 1.3 as {role}, X25519MLKEM768" in said
    assert "AEAD_AES_128_GCM" in said
    assert ", lost 0" in said
    heard = echo_in(recording, clip)
    assert len(heard) > 40
    start = clip.packets.index(heard[0])
    assert heard == clip.packets[start : start + len(heard)]


def test_ice_is_restarted_and_nothing_is_lost(url: str, clip: Clip, tmp_path: Path) -> None:
    recording = tmp_path / "echo.opus"
    process = caller(url, "--seconds", "2", "--restart-ice-after", "0.7", "--record", str(recording))
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "ICE was restarted after 0.7 s" in said
    assert ", lost 0" in said
    heard = echo_in(recording, clip)
    assert len(heard) > 60
    start = clip.packets.index(heard[0])
    assert heard == clip.packets[start : start + len(heard)]


def test_a_file_of_ones_own_is_sent(url: str, clip: Clip, tmp_path: Path) -> None:
    own, echo = tmp_path / "own.opus", tmp_path / "echo.opus"
    backwards = clip.packets[::-1]
    with own.open("wb") as file:
        writer = OpusRecording(file, serial=1)
        for index, packet in enumerate(backwards):
            writer.add(index, 960 * index, packet)
        writer.finish()
    said, _ = caller(url, "--seconds", "1", "--packets", str(own), "--record", str(echo)).communicate(timeout=30)
    heard = echo_in(echo, clip)
    assert len(heard) > 20, said
    start = backwards.index(heard[0])
    assert heard == backwards[start : start + len(heard)]


TONE_HZ = 620.0
LOUDNESS = 8000


def write_tone(path: Path, seconds: float) -> None:
    rate = 16000  # not that of Opus
    samples = (round(LOUDNESS * math.sin(2 * math.pi * TONE_HZ * n / rate)) for n in range(round(seconds * rate)))
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, rate, 0, "NONE", ""))
        wav.writeframes(array.array("h", samples).tobytes())


def frequency_of(path: Path) -> float:
    """Measure the frequency of half a second behind the middle, by its rising zero crossings; it must be loud."""
    with wave.open(str(path), "rb") as wav:
        rate = wav.getframerate()
        samples = array.array("h", wav.readframes(wav.getnframes()))
    middle = samples[len(samples) // 2 :][: rate // 2]
    assert len(middle) == rate // 2, f"{len(samples) / rate} s recorded"
    assert 0.7 * LOUDNESS < max(middle) < 1.3 * LOUDNESS
    rising = [n for n, (before, after) in enumerate(itertools.pairwise(middle)) if before < 0 <= after]
    return rate * (len(rising) - 1) / (rising[-1] - rising[0])


def test_a_tone_goes_in_by_a_wav_file_and_comes_back_in_another(url: str, tmp_path: Path) -> None:
    own, echo = tmp_path / "in.wav", tmp_path / "out.wav"
    write_tone(own, 3.0)
    process = caller(url, "--seconds", "2", "--wav", str(own), "--record", str(echo))
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert re.search(rf"Recorded [12]\.\d s to {re.escape(str(echo))}", said), said
    assert frequency_of(echo) == pytest.approx(TONE_HZ, abs=3)


def test_many_calls_say_how_many_were_held(url: str) -> None:
    """All of them where this machine has nothing else to do; else the caller must say that it was late itself."""
    process = caller(url, "--count", "3", "--seconds", "1")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert re.match(r"calls 1/3 +sent \d+ +lost 0 ", said), said
    held = re.search(r"^(\d) calls held", said, re.MULTILINE)
    assert held, said
    assert re.search(r"^Set-up, median from POST to first audio: \d+\.\d ms$", said, re.MULTILINE), said
    if held[1] == "3":
        assert "3 calls held: no loss, and ticks in time." in said
        assert len(re.findall(r"^calls \d/3 ", said, re.MULTILINE)) == 3
    else:
        assert re.search(r"^Saturated: this caller.*ms late at p99\.9", said, re.MULTILINE), said


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_hangs_up_and_says_how_far_it_came(url: str, stop: signal.Signals) -> None:
    process = caller(url, "--seconds", "60")
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(stop)
    said, _ = process.communicate(timeout=10)
    assert first == "Set-up, from the POST on\n"
    assert process.returncode == 0
    assert "packets sent" in said
    assert "Traceback" not in said
