"""CPU of a call that is bridged to PCM: ours over bare libopus, and over aiortc's echo.

An agent in the transceiver's process gives the PCM straight back, so a call costs what any call costs before its agent
works: ICE consent, SRTP, jitter buffer, Opus both ways, the bridge. Bare libopus decodes and encodes the same packets
and nothing else, paced alike. aiortc's echo has the same work as ours, with an encoder of complexity 10. Ours is put
beside it twice: as operators get it, and encoding with that complexity too. Bare libopus of complexity 10 beside
aiortc's echo says what no server that encodes so can be below.

Beside it stands the same call whose PCM goes to another process by WebSocket, as JSON and base64. What that process
takes is counted apart: it is not ours where the backend is somebody's model.
"""

from statistics import median

import attrs

from bench.load import SPEECH, connected, exchanging
from bench.servers import EDGE, RELAY, TRANSCEIVER, Server, aiortc_echo, our_edge
from bench.settings import Settings
from bench.stretch import Stretch, watch
from bench.table import Row
from bench.voices import BACKEND, COMPLEXITY, PCM_ECHO, SOCKET, bare_codecs, voice_edge
from edge.caller.exchange import Exchange
from edge.caller.progress import CallerOptions

__all__ = ["Rounds", "measure", "rows_of"]

_CALLS, _SOCKET_CALLS, _THEIR_CALLS = 40, 20, 8
"""Each keeps the process that has the most to do about half busy."""

_THEIR_COMPLEXITY = 10
"""aiortc leaves the complexity of libopus to FFmpeg, which sets 10."""

_ROUNDS, _SECONDS = 3, 3.0
_OPTIONS = CallerOptions(clip=SPEECH)


@attrs.define
class Rounds:
    """What was seen of each side, a round after another.

    Attributes:
        ours: bridged in process.
        socket: bridged by WebSocket.
        ours_as_theirs: bridged in process, with aiortc's complexity.
        aiortc: its echo.
        bare: shares of a core that bare libopus takes for one stream.
        bare_as_theirs: the same with aiortc's complexity.
    """

    ours: list[Stretch] = attrs.field(factory=list)
    socket: list[Stretch] = attrs.field(factory=list)
    ours_as_theirs: list[Stretch] = attrs.field(factory=list)
    aiortc: list[Stretch] = attrs.field(factory=list)
    bare: list[float] = attrs.field(factory=list)
    bare_as_theirs: list[float] = attrs.field(factory=list)


async def measure(settings: Settings) -> list[Row]:
    """Measure in rounds that take turns."""
    folder = settings.folder / "bridged"
    seconds = settings.shorter(_SECONDS)
    rounds = Rounds()
    with (
        voice_edge(folder / "ours") as ours,
        our_edge(folder / "as-theirs", backend=PCM_ECHO, complexity=_THEIR_COMPLEXITY) as ours_as_theirs,
        aiortc_echo(folder / "aiortc") as aiortc,
    ):
        async with exchanging() as exchange:
            for number in range(settings.fewer(_ROUNDS)):
                rounds.ours.append(await _watch_calls(exchange, ours, _CALLS, seconds))
                rounds.bare.append(await bare_codecs(_CALLS, seconds))
                rounds.socket.append(await _watch_calls(exchange, ours, _SOCKET_CALLS, seconds, model=SOCKET))
                rounds.ours_as_theirs.append(await _watch_calls(exchange, ours_as_theirs, _CALLS, seconds))
                rounds.bare_as_theirs.append(await bare_codecs(_CALLS, seconds, _THEIR_COMPLEXITY))
                rounds.aiortc.append(await _watch_calls(exchange, aiortc, _THEIR_CALLS, seconds))
                for name in ("ours", "socket", "ours_as_theirs", "aiortc"):
                    settings.say(f"bridged: round {number + 1}: {name}: {_describe(getattr(rounds, name)[-1])}")
                bare = f"{_share(rounds.bare[-1])} for a stream, as aiortc's {_share(rounds.bare_as_theirs[-1])}"
                settings.say(f"bridged: round {number + 1}: bare libopus: {bare}")
    return rows_of(rounds)


async def _watch_calls(
    exchange: Exchange, server: Server, count: int, seconds: float, *, model: str | None = None
) -> Stretch:
    async with connected(server, exchange, model=model) as load:
        await load.grow(count, _OPTIONS)
        return await watch(load, server, seconds)


def rows_of(rounds: Rounds) -> list[Row]:
    """Make the lines of the table."""
    ours = [stretch.cpu_per_stream(*EDGE) for stretch in rounds.ours]
    transceiver = [stretch.cpu_per_stream(TRANSCEIVER) for stretch in rounds.ours]
    relay = [stretch.cpu_per_stream(RELAY) for stretch in rounds.ours]
    socket = [stretch.cpu_per_stream(*EDGE) for stretch in rounds.socket]
    backend = [stretch.cpu_per_stream(BACKEND) for stretch in rounds.socket]
    aiortc = [stretch.cpu_per_stream() for stretch in rounds.aiortc]
    return [
        Row.of_rounds(
            "call bridged to PCM, CPU over bare libopus",
            ours,
            rounds.bare,
            _share,
            must=1.4,
            want=1.2,
            notes=(
                f"Opus of complexity {COMPLEXITY} on both sides",
                f"ours: {_describe(rounds.ours[-1])}",
                f"of it {_share(median(transceiver))} the transceiver, {_share(median(relay))} the relay",
            ),
        ),
        Row.of_rounds("the same, the transceiver alone", transceiver, rounds.bare, _share),
        Row.of_rounds(
            "the same, bridged by WebSocket, without the backend",
            socket,
            rounds.bare,
            _share,
            notes=(
                f"ours: {_describe(rounds.socket[-1])}",
                f"beside it the backend's process, JSON and base64 and no codec: {_share(median(backend))}",
            ),
        ),
        Row.of_rounds(
            f"call bridged to PCM, CPU over aiortc's echo, ours with complexity {COMPLEXITY}",
            ours,
            aiortc,
            _share,
            must=1 / 5,
            want=1 / 7,
            notes=(
                f"Opus of complexity {COMPLEXITY}, our default; aiortc has {_THEIR_COMPLEXITY} and no other",
                "ours mono at 24 kHz, as agents speak; aiortc's stereo at 48 kHz, as it always is",
                f"aiortc: {_describe(rounds.aiortc[-1])}",
            ),
        ),
        Row.of_rounds(
            f"the same, complexity {_THEIR_COMPLEXITY} on both sides",
            [stretch.cpu_per_stream(*EDGE) for stretch in rounds.ours_as_theirs],
            aiortc,
            _share,
            must=1 / 5,
            want=1 / 7,
            notes=(f"ours: {_describe(rounds.ours_as_theirs[-1])}",),
        ),
        Row.of_rounds(
            f"bare libopus of complexity {_THEIR_COMPLEXITY} over aiortc's echo: nobody can be below",
            rounds.bare_as_theirs,
            aiortc,
            _share,
        ),
    ]


def _share(cores: float) -> str:
    return f"{cores:.3%} of a core"


def _describe(stretch: Stretch) -> str:
    return f"{stretch.streams} at a time, {stretch.received} frames back for {stretch.sent}; {stretch.loads}"
