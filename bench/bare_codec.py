"""The least that a call's codec work can be in Python: decode a packet, encode its PCM, fifty times a second.

No socket, no RTP, no jitter buffer, no backend. Many streams are paced in real time as a transceiver's are, in phases
of the 20 ms: a loop that ran as fast as it can would find its codecs in the caches, and a processor at full clock. The
difference to our transceiver is what a call costs beside its codecs.

    python -m bench.bare_codec STREAMS COMPLEXITY SECONDS

prints the frames and the CPU seconds that they took, as JSON.
"""

import json
import sys
import time
from importlib import resources

from edge.caller.opus_file import read_clip
from transceiver.audio.adaptation import SendingOptions
from transceiver.audio.opus import OpusDecoder, OpusEncoder, OpusOptions
from transceiver.ticker import PHASES, TICK_SECONDS

__all__ = ["RATE"]

RATE = 24_000
"""Sample rate of the PCM between decoder and encoder: what agents hear and speak."""

_PACKETS = read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes()).packets
_WARM_UP_SECONDS = 0.5


class _Stream:
    """A caller's clip, decoded and encoded again.

    Args:
        position: the packet to begin with.
        complexity: of the encoder.
    """

    def __init__(self, position: int, complexity: int) -> None:
        self._position = position
        self._decoder = OpusDecoder(RATE)
        options = OpusOptions(bitrate=SendingOptions().bitrate, complexity=complexity)
        self._encoder = OpusEncoder(RATE, options=options)

    def step(self) -> None:
        """Do the work of 20 ms."""
        self._encoder.encode(self._decoder.decode(_PACKETS[self._position]))
        self._position = (self._position + 1) % len(_PACKETS)


def _run(streams: int, complexity: int, seconds: float) -> dict[str, float]:
    spread = [len(_PACKETS) * number // streams for number in range(streams)]
    phases = [[_Stream(position, complexity) for position in spread[phase::PHASES]] for phase in range(PHASES)]
    _pace(phases, _WARM_UP_SECONDS)
    began = time.process_time()
    frames = _pace(phases, seconds)
    return {"frames": frames, "cpu": time.process_time() - began}


def _pace(phases: list[list[_Stream]], seconds: float) -> int:
    step = TICK_SECONDS / len(phases)
    due = time.monotonic()
    frames = 0
    for number in range(round(seconds / step)):
        time.sleep(max(due - time.monotonic(), 0))
        for stream in phases[number % len(phases)]:
            stream.step()
            frames += 1
        due += step
    return frames


if __name__ == "__main__":
    print(json.dumps(_run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
