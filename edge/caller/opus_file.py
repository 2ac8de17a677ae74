"""Opus packets out of an Ogg file, and received ones into one.

Nothing is decoded: the packets of a file go onto the wire as they are, and what comes back is stored as it is. All
counting is in samples at 48 kHz, the clock of Opus over RTP as well.

Source: RFC 7845 (Ogg Opus).
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import attrs

from edge.caller.ogg import OggError, parse_pages, serialize_page
from edge.caller.recording import SAMPLE_RATE, InOrder, PacketOrder, packet_samples
from transceiver.audio.opus_packet import absent_frame, frame_samples

__all__ = ["SAMPLE_RATE", "Clip", "OpusRecording", "packet_samples", "read_clip"]

_HEAD = struct.Struct("<8sBBHIhB")
_PRE_SKIP = 312  # how far libopus looks ahead: the sender's first samples are silence
_MAX_PACKET = 1275 * 3 + 7


@attrs.frozen(kw_only=True)
class Clip:
    """Something to say.

    Attributes:
        packets: Opus packets, in order; never empty.
        samples: how long each is.
        restart: which packet follows the last one: the first, or the last again, which is then one of silence.
    """

    packets: tuple[bytes, ...] = attrs.field(repr=False)
    samples: tuple[int, ...] = attrs.field(repr=False)
    restart: int = 0


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
    """Writes received packets to an Ogg file as they come.

    Empty frames stand in for missing ones; a decoder conceals the loss, or makes comfort noise.

    Args:
        file: open for writing; stays open.
        serial: number of the Ogg stream, random.
    """

    _PACKETS_PER_PAGE = 50

    def __init__(self, file: BinaryIO, serial: int) -> None:
        self._file = file
        self._serial = serial
        self._page_number = 0
        self._granule = 0
        self._page: list[bytes] = []
        self._order = PacketOrder()
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
        """Take a received packet; see `Recording`."""
        for ready in self._order.add(sequence_number, timestamp, packet):
            self._take(ready)

    def finish(self) -> None:
        """Write what is held, and the last page."""
        for ready in self._order.finish():
            self._take(ready)
        self._write_page(self._page, end=True)
        self._page = []

    def _take(self, ready: InOrder) -> None:
        if self._previous:
            # RFC 7845 §4.1: missing frames are frames of no bytes, of the same configuration as the ones before.
            empty = absent_frame(self._previous[0])
            for _ in range(ready.gap // frame_samples(empty[0])):
                self._append(empty)
        self._append(ready.packet)

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
