"""Ogg pages and Opus files: laws, foreign tools, and damaged input."""

import contextlib
import io
import random
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.caller.ogg import OggError, parse_pages, serialize_page
from edge.caller.opus_file import Clip, OpusRecording, packet_samples, read_clip

VOICE = resources.files("edge.caller").joinpath("voice.opus").read_bytes()


@given(
    packets=st.lists(st.binary(max_size=700), max_size=12),
    serial=st.integers(0, 2**32 - 1),
    granule=st.integers(-1, 2**62),
    begin=st.booleans(),
    end=st.booleans(),
)
def test_pages_round_trip(packets, serial: int, granule: int, begin: bool, end: bool) -> None:
    data = serialize_page(serial=serial, number=3, granule=granule, packets=packets, begin=begin, end=end)
    (page,) = parse_pages(data)
    assert page.pieces == tuple(packets)
    assert (page.serial, page.number, page.granule, page.begin, page.end) == (serial, 3, granule, begin, end)
    assert not page.unfinished


def test_a_page_has_255_segments_at_most() -> None:
    serialize_page(serial=1, number=0, granule=0, packets=[bytes(10)] * 255)
    with pytest.raises(OggError, match="too many"):
        serialize_page(serial=1, number=0, granule=0, packets=[bytes(10)] * 256)


@given(at=st.integers(0, len(VOICE) - 1), bit=st.integers(0, 7))
def test_every_flipped_bit_is_noticed(at: int, bit: int) -> None:
    damaged = bytearray(VOICE)
    damaged[at] ^= 1 << bit
    with pytest.raises(OggError):
        list(parse_pages(bytes(damaged)))


@given(size=st.integers(1, len(VOICE) - 1))
def test_a_file_cut_short_is_an_error_or_shorter(size: int) -> None:
    whole = len(read_clip(VOICE).packets)
    with contextlib.suppress(OggError):
        assert len(read_clip(VOICE[:size]).packets) < whole


@given(data=st.binary(max_size=200))
def test_anything_else_is_an_error(data: bytes) -> None:
    with pytest.raises(OggError):
        read_clip(data)


def test_built_in_clip(clip: Clip) -> None:
    assert len(VOICE) < 40_000
    assert set(clip.samples) == {960}
    assert 5 < sum(clip.samples) / 48_000 < 20


def page(number: int, *packets: bytes, **flags: object) -> bytes:
    return serialize_page(serial=9, number=number, granule=0, packets=packets, **flags)


HEAD = b"OpusHead\x01\x01\0\0\0\0\0\0\0\0\0"
TAGS = b"OpusTags" + bytes(8)
AUDIO = bytes([9 << 3]) + bytes(20)


def test_packets_may_run_over_pages_and_other_streams_between() -> None:
    # A packet of 255 + 10 bytes, its first segment on one page and the rest on the next.
    long = bytes([9 << 3]) + bytes(range(1, 256)) + bytes(9)
    first, second = bytearray(page(2, long[:255])), bytearray(page(3, long[255:], AUDIO))
    del first[27 + 1]  # the empty segment that ended the packet
    first[26] = 1
    second[5] |= 1
    foreign = serialize_page(serial=1, number=0, granule=0, packets=[b"fishead\0"], begin=True)

    def with_checksum(data: bytearray) -> bytes:
        data[22:26] = bytes(4)
        crc = 0
        for byte in data:  # RFC 3533 §6, bit by bit: polynomial 0x04C11DB7, nothing reflected or complemented
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc & 0x80000000 else crc << 1
        data[22:26] = crc.to_bytes(4, "little")
        return bytes(data)

    pages = [foreign, page(0, HEAD, begin=True), page(1, TAGS), with_checksum(first), foreign, with_checksum(second)]
    assert read_clip(b"".join(pages)).packets == (long, AUDIO)


@pytest.mark.parametrize(
    ("pages", "problem"),
    [
        ([page(0, b"fishead", begin=True)], "no Opus stream"),
        ([page(0, HEAD[:12], begin=True)], "too short"),
        ([page(0, HEAD.replace(b"Head\x01", b"Head\x10"), begin=True)], "version 16"),
        ([page(0, HEAD[:-1] + b"\x01", begin=True)], "mono and stereo"),
        ([page(0, HEAD, begin=True), page(1, AUDIO)], "no comment header"),
        ([page(0, HEAD, begin=True), page(1, TAGS)], "no audio"),
        ([page(0, HEAD, begin=True), page(1, TAGS), page(2, b"")], "not Opus"),
    ],
)
def test_unusable_files_are_explained(pages: list[bytes], problem: str) -> None:
    with pytest.raises(OggError, match=problem):
        read_clip(b"".join(pages))


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"", 0),
        (b"\x00", 480),  # SILK, 10 ms
        (b"\x18", 2880),  # SILK, 60 ms
        (b"\x68", 960),  # hybrid, 20 ms
        (b"\x80", 120),  # CELT, 2.5 ms
        (b"\xf9", 1920),  # CELT, 2 x 20 ms
        (b"\xfb\x06", 5760),  # CELT, 6 x 20 ms
        (b"\xfb\x07", 0),  # longer than 120 ms
        (b"\xfb", 0),
    ],
)
def test_packet_durations(packet: bytes, samples: int) -> None:
    assert packet_samples(packet) == samples


def record(clip: Clip, order: list[int]) -> tuple[tuple[bytes, ...], OpusRecording]:
    file = io.BytesIO()
    recording = OpusRecording(file, serial=7)
    for index in order:
        # Both numbers roll over on the way.
        recording.add((65530 + index) & 0xFFFF, (2**32 - 5000 + 960 * index) & 0xFFFFFFFF, clip.packets[index])
    recording.finish()
    return read_clip(file.getvalue()).packets, recording


def test_recording_puts_packets_in_order(clip: Clip) -> None:
    order = list(range(200))
    chance = random.Random(3)
    for start in range(1, 195, 5):
        window = order[start : start + 5]
        chance.shuffle(window)
        order[start : start + 5] = window
    recorded, recording = record(clip, [*order, 150, 3])  # two come again, too late
    assert recorded == clip.packets[:200]
    assert recording.seconds == 4.0


def test_recording_fills_gaps_with_empty_frames(clip: Clip) -> None:
    recorded, _ = record(clip, [*range(50), *range(60, 100)])
    assert recorded[:50] == clip.packets[:50]
    assert recorded[50:60] == (bytes([clip.packets[49][0] & 0xFC]),) * 10
    assert recorded[60:] == clip.packets[60:100]


def test_recording_ignores_what_is_not_opus() -> None:
    file = io.BytesIO()
    recording = OpusRecording(file, serial=7)
    recording.add(1, 0, b"")
    recording.finish()
    with pytest.raises(OggError, match="no audio"):
        read_clip(file.getvalue())


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("opusinfo") is None, reason="opus-tools is not installed")
def test_opusinfo_finds_nothing_wrong_with_a_recording(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "recording.opus"
    with path.open("wb") as file:
        recording = OpusRecording(file, serial=7)
        for index, packet in enumerate(clip.packets):
            recording.add(index, 960 * index, packet)
        recording.finish()
    said = subprocess.run(["opusinfo", str(path)], capture_output=True, text=True, check=True).stdout
    assert "WARNING" not in said
    assert "Packet duration:   20.0ms (max),   20.0ms (avg),   20.0ms (min)" in said
