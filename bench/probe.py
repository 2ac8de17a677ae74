"""A few calls from a process of its own, which measure delay while another process makes the load.

    python -m bench.probe URL SECONDS onsets MODEL COUNT     sharp sounds, said and heard; to MODEL0, MODEL1, …
    python -m bench.probe URL SECONDS echo MODEL COUNT       packets that come back as they went; all to MODEL

prints times of the monotonic clock, or delays in seconds, as JSON.
"""

import json
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from bench.load import Load, connected, exchanging
from bench.onsets import OnsetDetector, onset_clip
from bench.processes import not_giving_way
from bench.servers import Server
from edge.caller.audio import EchoProbe
from edge.caller.opus_file import SAMPLE_RATE, Clip
from edge.caller.placing import Call
from edge.caller.progress import CallerOptions
from transceiver.audio.opus import OpusDecoder

__all__: list[str] = []

_SETTLE = 2.5
_STAMP = struct.Struct(">Bd46x")  # an Opus packet by its first byte, as long as those of a voice


class _Ear(EchoProbe):
    """Hands on all payloads that come back."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        super().__init__()
        self._take = take

    def received(self, payload: bytes, now: float) -> None:  # noqa: ARG002 - on another clock than other processes'
        self._take(payload)


class _Noted(tuple[bytes, ...]):  # noqa: SLOT001 - one that has attributes cannot have slots
    """Packets of a clip; notes in `times` when the one at `noted` is taken to be sent."""

    noted: int
    times: list[float]

    def __getitem__(self, index: int) -> bytes:  # type: ignore[override]  # callers take one at a time
        if index == self.noted:
            self.times.append(time.monotonic())
        return super().__getitem__(index)


class _Stamped(tuple[bytes, ...]):
    """A packet that says when it was taken to be sent."""

    __slots__ = ()

    def __getitem__(self, index: int) -> bytes:  # type: ignore[override]  # callers take one at a time
        return _STAMP.pack(0xF8, time.monotonic())


@asynccontextmanager
async def _calls(url: str, options: list[tuple[str, CallerOptions]]) -> AsyncIterator[list[Call]]:
    server = Server(name="", url=url, processes={})
    async with exchanging() as exchange, AsyncExitStack() as stack:
        loads: list[Load] = []
        for model, wanted in options:
            load = await stack.enter_async_context(connected(server, exchange, model=model))
            await load.grow(1, wanted)
            loads.append(load)
        yield [load.calls[0] for load in loads]


async def _measure_onsets(url: str, seconds: float, model: str, count: int) -> object:
    clip, loud = onset_clip()
    models = [f"{model}{number}" for number in range(count)]
    said: dict[str, list[float]] = {name: [] for name in models}
    heard: dict[str, list[float]] = {name: [] for name in models}
    options = []
    for name in models:
        packets = _Noted(clip.packets)
        packets.noted, packets.times = loud, said[name]
        options.append((name, CallerOptions(clip=Clip(packets=packets, samples=clip.samples))))
    async with _calls(url, options) as calls:
        await trio.sleep(_SETTLE)
        for name, call in zip(models, calls, strict=True):
            said[name].clear()
            assert call.session.media is not None
            call.session.media.inbound.probe = _Ear(_listener(heard[name]))
        await trio.sleep(seconds)
    return {"said": said, "heard": heard}


def _listener(times: list[float]) -> Callable[[bytes], None]:
    decoder, detector = OpusDecoder(SAMPLE_RATE), OnsetDetector(SAMPLE_RATE)

    def take(payload: bytes) -> None:
        now = time.monotonic()
        if detector.hears(decoder.decode(payload)):
            times.append(now)

    return take


async def _measure_echo(url: str, seconds: float, model: str, count: int) -> object:
    delays: list[float] = []

    def take(payload: bytes) -> None:
        if len(payload) == _STAMP.size:
            delays.append(time.monotonic() - _STAMP.unpack(payload)[1])

    clip = Clip(packets=_Stamped([b""]), samples=(round(SAMPLE_RATE * 0.02),))
    async with _calls(url, [(model, CallerOptions(clip=clip))] * count) as calls:
        await trio.sleep(_SETTLE)
        for call in calls:
            assert call.session.media is not None
            call.session.media.inbound.probe = _Ear(take)
        delays.clear()
        await trio.sleep(seconds)
        return delays.copy()


def main() -> None:
    """Measure, and print what was measured."""
    url, seconds, kind, model, count = sys.argv[1:]
    measure = {"onsets": _measure_onsets, "echo": _measure_echo}[kind]
    print(json.dumps(trio.run(measure, url, float(seconds), model, int(count))))


if __name__ == "__main__":
    not_giving_way()
    main()
