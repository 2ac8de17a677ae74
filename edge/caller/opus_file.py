"""Opus packets out of an Ogg file, and received ones into one.

Nothing is decoded: the packets of a file go onto the wire as they are, and what comes back is stored as it is. All
counting is in samples at 48 kHz, the clock of Opus over RTP as well.

Source: RFC 7845 (Ogg Opus), RFC 6716 §3.1 (how long a packet is).
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import attrs

from edge.caller.ogg import OggError, parse_pages, serialize_page

__all__ = ["SAMPLE_RATE", "Clip", "OpusRecording", "frame_samples", "packet_samples", "read_clip"]

SAMPLE_RATE = 48_000
"""Samples in a second, whatever the bandwidth (RFC 7587 §4.1)."""

_HEAD = struct.Struct("<8sBBHIhB")
_MAX_PACKET_SAMPLES = 5760  # RFC 6716 §3.2.5: 120 ms
_PRE_SKIP = 312  # how far libopus looks ahead: the sender's first samples are silence
_MAX_PACKET = 1275 * 3 + 7
_SILK_MS, _HYBRID_MS, _CELT_MS = (10.0, 20.0, 40.0, 60.0), (10.0, 20.0), (2.5, 5.0, 10.0, 20.0)
# RFC 6716 §3.1, table 2: configurations 0..11 are SILK, 12..15 hybrid, 16..31 CELT.
_FRAME_SAMPLES = tuple(int(ms * 48) for ms in (*_SILK_MS * 3, *_HYBRID_MS * 2, *_CELT_MS * 4))


def frame_samples(toc: int) -> int:
    """Tell how long each frame of a packet is, from its first byte."""
    return _FRAME_SAMPLES[toc >> 3]


def packet_samples(packet: bytes) -> int:
    """Tell how long a packet is, in samples; 0 for what is no Opus packet."""
    if not packet:
        return 0
    # RFC 6716 §3.1: code 0 is one frame, 1 and 2 are two, 3 has a count in the next byte.
    code = packet[0] & 3
    frames = 1 if code == 0 else 2 if code < 3 else packet[1] & 0x3F if len(packet) > 1 else 0
    samples = frames * frame_samples(packet[0])
    return samples if samples <= _MAX_PACKET_SAMPLES else 0


@attrs.frozen(kw_only=True)
class Clip:
    """Something to say.

    Attributes:
        packets: Opus packets, in order; never empty.
        samples: how long each is.
    """

    packets: tuple[bytes, ...] = attrs.field(repr=False)
    samples: tuple[int, ...] = attrs.field(repr=False)


def read_clip(data: bytes) -> Clip:
    """Read the Opus packets of an Ogg file.

    Of several streams in the file, the first one of Opus counts; of several chained ones, the first.

    Raises:
        OggError: it is no Ogg file, has no Opus in it, or is damaged.
    """
    packets = _opus_packets(data)
    head = next(packets, b"")
    _check_head(head)
    # RFC 7845 §5.2: the second packet holds comments.
    if not next(packets, b"").startswith(b"OpusTags"):
        raise OggError("the Opus stream has no comment header")
    audio = tuple(packets)
    samples = tuple(map(packet_samples, audio))
    if not audio:
        raise OggError("the Opus stream has no audio in it")
    if 0 in samples or max(map(len, audio)) > _MAX_PACKET:
        raise OggError("the Opus stream has a packet that is not Opus")
    return Clip(packets=audio, samples=samples)


def _opus_packets(data: bytes) -> Iterator[bytes]:
    serial: int | None = None
    pending = b""
    for page in parse_pages(data):
        if serial is None and page.begin and page.pieces and page.pieces[0].startswith(b"OpusHead"):
            serial = page.serial
        elif serial is None or page.serial != serial:
            continue
        if not page.continued:
            pending = b""
        for index, piece in enumerate(page.pieces, start=1):
            pending += piece
            if index < len(page.pieces) or not page.unfinished:
                yield pending
                pending = b""
        if page.end:
            return
    if serial is None:
        raise OggError("there is no Opus stream in the file")


def _check_head(head: bytes) -> None:
    if len(head) < _HEAD.size:
        raise OggError("the Opus header is too short")
    _, version, channels, _, _, _, family = _HEAD.unpack_from(head)
    # RFC 7845 §5.1: versions up to 15 are compatible.
    if version > 15:
        raise OggError(f"version {version} of Ogg Opus is not known")
    # RFC 7845 §5.1.1.1: family 0 is mono or stereo in a single stream, all that RTP can carry (RFC 7587).
    if family != 0 or channels not in (1, 2):
        raise OggError("only mono and stereo Opus can be sent")


class OpusRecording:
    """Writes received Opus packets to an Ogg file as they come.

    Packets are put in order, a few at a time. Where some are missing, or none were sent because of silence, empty
    frames stand in for them, for which a decoder conceals the loss or makes comfort noise.

    Args:
        file: open for writing; stays open.
        serial: number of the Ogg stream, random.
    """

    _HELD = 10
    _PACKETS_PER_PAGE = 50
    _MAX_GAP_SAMPLES = 5 * SAMPLE_RATE

    def __init__(self, file: BinaryIO, serial: int) -> None:
        self._file = file
        self._serial = serial
        self._page_number = 0
        self._granule = 0
        self._page: list[bytes] = []
        self._held: dict[int, tuple[int, bytes]] = {}
        self._next_sequence: int | None = None
        self._next_timestamp = 0
        self._previous = b""
        # RFC 7845 §5.1: 0 stands for an input rate that is not known.
        self._write_page([_HEAD.pack(b"OpusHead", 1, 2, _PRE_SKIP, 0, 0, 0)], begin=True)
        vendor = b"trio-voice"
        self._write_page([b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)])

    @property
    def seconds(self) -> float:
        """How much was recorded."""
        return self._granule / SAMPLE_RATE

    def add(self, sequence_number: int, timestamp: int, packet: bytes) -> None:
        """Take a received packet.

        Args:
            sequence_number: of RTP, 16 bits.
            timestamp: of RTP, 32 bits.
            packet: the RTP payload.
        """
        if not packet_samples(packet):
            return
        if self._next_sequence is None:
            self._next_sequence, self._next_timestamp = sequence_number, timestamp
        ahead = (sequence_number - self._next_sequence) & 0xFFFF
        if ahead >= 0x8000:  # too late: its place was filled
            return
        self._held.setdefault(sequence_number, (timestamp, packet))
        while self._held and (self._next_sequence in self._held or len(self._held) > self._HELD):
            self._take_next(self._next_sequence)

    def finish(self) -> None:
        """Write what is held, and the last page."""
        while self._held and self._next_sequence is not None:
            self._take_next(self._next_sequence)
        self._write_page(self._page, end=True)
        self._page = []

    def _take_next(self, expected: int) -> None:
        nearest = min(self._held, key=lambda sequence_number: (sequence_number - expected) & 0xFFFF)
        timestamp, packet = self._held.pop(nearest)
        self._next_sequence = (nearest + 1) & 0xFFFF
        self._fill((timestamp - self._next_timestamp) & 0xFFFFFFFF)
        self._append(packet)
        self._next_timestamp = (timestamp + packet_samples(packet)) & 0xFFFFFFFF

    def _fill(self, gap: int) -> None:
        if not self._previous or gap > self._MAX_GAP_SAMPLES:
            return
        # RFC 7845 §4.1: missing frames are frames of no bytes, of the same configuration as the ones before.
        empty = bytes([self._previous[0] & 0xFC])
        for _ in range(gap // frame_samples(empty[0])):
            self._append(empty)

    def _append(self, packet: bytes) -> None:
        self._previous = packet
        self._page.append(packet)
        self._granule += packet_samples(packet)
        if len(self._page) >= self._PACKETS_PER_PAGE or sum(len(held) // 255 + 1 for held in self._page) > 200:
            self._write_page(self._page)
            self._page = []

    def _write_page(self, packets: list[bytes], *, begin: bool = False, end: bool = False) -> None:
        self._file.write(
            serialize_page(
                serial=self._serial,
                number=self._page_number,
                granule=self._granule,
                packets=packets,
                begin=begin,
                end=end,
            )
        )
        self._page_number += 1
