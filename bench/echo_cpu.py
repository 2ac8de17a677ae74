"""CPU of a call that is echoed: ours over aiortc's, and our transceiver's over a bare loop's.

A server's cost matters where it is used, so each is watched with as many calls as keep it about half busy: ours with
many, aiortc with few. The bare loop gets as many streams as we get calls. Ours is also watched with aiortc's few: there
every packet wakes two of our processes, a cost that many calls share.
"""

from statistics import median

import attrs

from bench.load import SPEECH, Load, Streams, connected, exchanging
from bench.servers import RELAY, TRANSCEIVER, Server, aiortc_echo, bare_loop, our_edge
from bench.settings import Settings
from bench.stretch import Stretch, watch
from bench.table import Row
from edge.caller.progress import CallerOptions

__all__ = ["measure"]

_FEW, _MANY = 8, 300
_ROUNDS, _SECONDS = 3, 4.0
_OPTIONS = CallerOptions(clip=SPEECH)


@attrs.define
class _Rounds:
    """The stretches of each side, a round after another."""

    ours_few: list[Stretch] = attrs.field(factory=list)
    ours_many: list[Stretch] = attrs.field(factory=list)
    bare: list[Stretch] = attrs.field(factory=list)
    aiortc: list[Stretch] = attrs.field(factory=list)


async def measure(settings: Settings) -> list[Row]:
    """Measure in rounds that take turns."""
    folder = settings.folder / "echo"
    rounds = _Rounds()
    seconds = settings.shorter(_SECONDS)
    with our_edge(folder / "ours") as ours, bare_loop(folder / "bare") as bare, aiortc_echo(folder / "aiortc") as peer:
        async with exchanging() as exchange:
            for number in range(settings.fewer(_ROUNDS)):
                async with connected(ours, exchange) as load:
                    rounds.ours_few.append(await _watch_calls(load, ours, _FEW, seconds))
                    rounds.ours_many.append(await _watch_calls(load, ours, _MANY, seconds))
                    extension_ids = load.calls[0].answer.extension_ids
                streams = Streams(exchange, bare.media_port, extension_ids)
                streams.grow(_MANY)
                rounds.bare.append(await watch(streams, bare, seconds))
                streams.remove()
                async with connected(peer, exchange) as load:
                    rounds.aiortc.append(await _watch_calls(load, peer, _FEW, seconds))
                for name, (*_, last) in attrs.asdict(rounds, recurse=False).items():
                    settings.say(f"echo: round {number + 1}: {name}: {_describe(last)}")
    return _rows(rounds)


async def _watch_calls(load: Load, server: Server, count: int, seconds: float) -> Stretch:
    await load.grow(count, _OPTIONS)
    return await watch(load, server, seconds)


def _rows(rounds: _Rounds) -> list[Row]:
    aiortc = [stretch.cpu_per_stream() for stretch in rounds.aiortc]
    few = [stretch.cpu_per_stream() for stretch in rounds.ours_few]
    many = [stretch.cpu_per_stream() for stretch in rounds.ours_many]
    transceiver = [stretch.cpu_per_stream(TRANSCEIVER) for stretch in rounds.ours_many]
    relay = [stretch.cpu_per_stream(RELAY) for stretch in rounds.ours_many]
    bare = [stretch.cpu_per_stream() for stretch in rounds.bare]
    return [
        Row.of_rounds(
            "echoed call, CPU over aiortc's echo",
            many,
            aiortc,
            _share,
            must=1 / 30,
            want=1 / 60,
            notes=(
                f"ours: {_describe(rounds.ours_many[-1])}",
                f"of it {median(transceiver):.3%} the transceiver, {median(relay):.3%} the relay",
                f"aiortc: {_describe(rounds.aiortc[-1])}",
            ),
        ),
        Row.of_rounds(
            f"the same, ours with {_FEW} calls too",
            few,
            aiortc,
            _share,
            notes=(f"ours: {_describe(rounds.ours_few[-1])}",),
        ),
        Row.of_rounds(
            "echoed call, transceiver's CPU over a bare loop's",
            transceiver,
            bare,
            _share,
            must=3,
            want=2,
            notes=(f"bare loop: {_describe(rounds.bare[-1])}",),
        ),
    ]


def _share(cores: float) -> str:
    return f"{cores:.3%} of a core"


def _describe(stretch: Stretch) -> str:
    return f"{stretch.streams} at a time, {stretch.lost} of {stretch.sent} packets lost; {stretch.loads}"
