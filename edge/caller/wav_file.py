"""A WAV file into Opus packets, to be sent like those of a clip, and received ones into a WAV file.

FFmpeg, through PyAV, reads and converts: whatever the rate, the channels, the width, integers or floats, A-law.
"""

import itertools
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edge.caller.opus_file import Clip
from edge.caller.recording import SAMPLE_RATE, InOrder, PacketOrder
from transceiver.audio.opus import OpusDecoder, OpusEncoder, OpusOptions
from transceiver.audio.opus_packet import frame_samples, has_fec
from transceiver.backends.silence import SILENT_FRAMES

__all__ = ["WavError", "WavRecording", "read_wav"]

_FRAME_SAMPLES = SAMPLE_RATE // 50
_FRAME_SIZE = 2 * _FRAME_SAMPLES


class WavError(Exception):
    """It is no WAV file that can be read; the text says why."""


def read_wav(path: Path, *, seconds: float, repeats: bool) -> Clip:
    """Encode a WAV file.

    Args:
        path: the file.
        seconds: how much of it will be needed.
        repeats: whether to say it over and over; otherwise silence follows.

    Raises:
        WavError: it is no WAV file, or there is no sound in it.
        OSError: it cannot be opened.
        OpusUnavailable: there is no libopus.
    """
    # What a voice needs, and more than a browser gives it; a caller has time for the highest complexity.
    with OpusEncoder(SAMPLE_RATE, options=OpusOptions(bitrate=40000, complexity=10)) as encoder:
        frames = itertools.islice(_frames(path), round(seconds * 50) + 1)
        packets = tuple(encoder.encode(frame) for frame in frames)
    if not packets:
        raise WavError("there is no sound in it")
    if not repeats:
        packets = (*packets, SILENT_FRAMES["opus"])
    return Clip(packets=packets, samples=(_FRAME_SAMPLES,) * len(packets), restart=0 if repeats else len(packets) - 1)


def _frames(path: Path) -> Iterator[bytes]:
    """Give frames of 20 ms, the last one filled with silence."""
    pending = b""
    for pcm in _pcm(path):
        pending += pcm
        whole = len(pending) - len(pending) % _FRAME_SIZE
        for at in range(0, whole, _FRAME_SIZE):
            yield pending[at : at + _FRAME_SIZE]
        pending = pending[whole:]
    if pending:
        yield pending.ljust(_FRAME_SIZE, b"\0")


def _pcm(path: Path) -> Iterator[bytes]:
    import av

    try:
        with path.open("rb") as file, av.open(file, "r", format="wav") as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            for frame in itertools.chain(container.decode(audio=0), (None,)):  # None: what the resampler holds
                for out in resampler.resample(frame):
                    if out is not None:
                        yield bytes(out.planes[0])[: 2 * out.samples]
    except av.FFmpegError as problem:
        raise WavError(f"it cannot be read as WAV: {problem.strerror}") from problem


class WavRecording:
    """Decodes received packets into a WAV file: 16-bit mono at 48 kHz.

    A lost packet is recovered from the one behind it, if that holds a copy; whatever else is missing is concealed.

    Args:
        file: open for writing, and seekable: the header is written again at the end; stays open.

    Raises:
        OpusUnavailable: there is no libopus.
    """

    _STEP = SAMPLE_RATE // 400  # libopus conceals in multiples of 2.5 ms
    _PIECE = SAMPLE_RATE // 50

    def __init__(self, file: BinaryIO) -> None:
        self._decoder = OpusDecoder(SAMPLE_RATE)
        self._order = PacketOrder()
        self._samples = 0
        self._wav = wave.open(file, "wb")  # noqa: SIM115 - closed by `finish`
        self._wav.setnchannels(1)
        self._wav.setsampwidth(2)
        self._wav.setframerate(SAMPLE_RATE)

    @property
    def seconds(self) -> float:
        """How much was recorded."""
        return self._samples / SAMPLE_RATE

    def add(self, sequence_number: int, timestamp: int, packet: bytes) -> None:
        """Take a received packet; see `Recording`."""
        for ready in self._order.add(sequence_number, timestamp, packet):
            self._take(ready)

    def finish(self) -> None:
        """Write what is held, and the header."""
        for ready in self._order.finish():
            self._take(ready)
        self._wav.close()
        self._decoder.close()

    def _take(self, ready: InOrder) -> None:
        gap = ready.gap - ready.gap % self._STEP
        recovered = 0
        if ready.is_after_loss and has_fec(ready.packet):
            recovered = min(gap, frame_samples(ready.packet[0]))
        gap -= recovered
        while gap:
            piece = min(gap, self._PIECE)
            self._write(self._decoder.conceal(piece))
            gap -= piece
        if recovered:
            self._write(self._decoder.recover(ready.packet, recovered))
        self._write(self._decoder.decode(ready.packet))

    def _write(self, pcm: bytes) -> None:
        self._wav.writeframesraw(pcm)
        self._samples += len(pcm) // 2
