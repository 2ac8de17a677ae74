"""Record how long the Opus packets of two callers are: writes `opus_sizes.txt`, which is kept in the repository.

    python -m bench.relay.record_opus_sizes

Both say the caller's built-in clip (`edge/caller/voice.opus`, speech with its pauses) and then listen for as long;
libopus encodes them as a transceiver encodes a voice (24 kHz, 32 kbit/s, variable bitrate, complexity 5). One is as
browsers are by default: no DTX, and nothing left of the room by the noise suppression. The other uses DTX in a room
with a faint noise: of silence libopus then makes packets of one or two bytes, which are not sent (RFC 6716 §2.1.9), and
one that is sent in some 400 ms.
"""

import random
from array import array
from collections.abc import Iterator
from importlib import resources
from itertools import zip_longest
from pathlib import Path

from edge.caller.opus_file import read_clip
from transceiver.audio.opus import OpusDecoder, OpusEncoder, OpusOptions

__all__: list[str] = []

_FILE = Path(__file__).with_name("opus_sizes.txt")
_RATE = 24_000
_FRAME_BYTES = 2 * _RATE // 50
_NOISE = 12
"""Standard deviation of the room's noise, of 32768: 69 dB below full scale."""
_NOT_SENT = 2
_A_LINE = 24

_HEADING = """\
# Sizes in bytes of Opus packets of 20 ms as sent, of two callers in turn: one without DTX, one with. {sent} of {frames}
# frames; the others were silence, and not sent. Made by bench/relay/record_opus_sizes.py from edge/caller/voice.opus.
"""


def _conversation() -> "array[int]":
    """The PCM of a caller: the clip, and as long nothing."""
    packets = read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes()).packets
    decoder = OpusDecoder(_RATE)
    samples = array("h", b"".join(map(decoder.decode, packets)))
    samples.extend([0] * len(samples))
    return samples


def _with_noise(samples: "array[int]") -> "array[int]":
    lot = random.Random(1)
    return array("h", (max(-32768, min(32767, sample + round(lot.gauss(0, _NOISE)))) for sample in samples))


def _sizes(samples: "array[int]", *, dtx: bool) -> Iterator[int]:
    encoder = OpusEncoder(_RATE, options=OpusOptions(bitrate=32_000, complexity=5, dtx=dtx))
    pcm = samples.tobytes()
    for start in range(0, len(pcm) - _FRAME_BYTES + 1, _FRAME_BYTES):
        yield len(encoder.encode(pcm[start : start + _FRAME_BYTES]))


def _record() -> None:
    conversation = _conversation()
    callers = (_sizes(conversation, dtx=False), _sizes(_with_noise(conversation), dtx=True))
    sizes = [size for both in zip_longest(*callers, fillvalue=0) for size in both]
    sent = [size for size in sizes if size > _NOT_SENT]
    lines = [" ".join(map(str, sent[start : start + _A_LINE])) for start in range(0, len(sent), _A_LINE)]
    _FILE.write_text(_HEADING.format(sent=len(sent), frames=len(sizes)) + "\n".join(lines) + "\n")


if __name__ == "__main__":
    _record()
