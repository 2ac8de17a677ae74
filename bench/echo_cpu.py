"""CPU of a call that is echoed: ours over aiortc's, and our transceiver's over a bare loop's.

Each server is watched at the load that suits it, since a server's cost is wanted where it is used: ours and the bare
loop with the same many streams, aiortc with as few as it can hold. Ours is watched at aiortc's number as well: there
every packet costs a wake-up of two processes, which many calls share.
"""

from collections.abc import Sequence

import attrs

from bench.load import SPEECH, Load, Streams, Stretch, connected, exchanging, median, watch
from bench.servers import TRANSCEIVER, Server, aiortc_echo, bare_loop, our_edge
from bench.settings import Settings
from bench.table import Row
from edge.caller.progress import CallerOptions

__all__ = ["measure"]

_FEW, _MANY = 8, 100
_ROUNDS, _SECONDS = 3, 4.0
_OPTIONS = CallerOptions(clip=SPEECH)


@attrs.define
class _Rounds:
    """The stretches of each side, a round after another."""

    few: list[Stretch] = attrs.field(factory=list)
    many: list[Stretch] = attrs.field(factory=list)
    bare: list[Stretch] = attrs.field(factory=list)
    peer: list[Stretch] = attrs.field(factory=list)


async def measure(settings: Settings) -> list[Row]:
    """Measure in rounds that take turns."""
    folder = settings.folder / "echo"
    rounds = _Rounds()
    seconds = settings.shorter(_SECONDS)
    with our_edge(folder / "ours") as ours, bare_loop(folder / "bare") as bare, aiortc_echo(folder / "aiortc") as peer:
        async with exchanging() as exchange:
            for number in range(settings.fewer(_ROUNDS)):
                settings.say(f"echo: round {number + 1}")
                async with connected(ours, exchange) as load:
                    rounds.few.append(await _watch_calls(load, ours, _FEW, seconds))
                    rounds.many.append(await _watch_calls(load, ours, _MANY, seconds))
                    extension_ids = load.calls[0].answer.extension_ids
                streams = Streams(exchange, bare.media_port, extension_ids)
                streams.grow(_MANY)
                rounds.bare.append(await watch(streams, bare, seconds))
                streams.remove()
                async with connected(peer, exchange) as load:
                    rounds.peer.append(await _watch_calls(load, peer, _FEW, seconds))
                for name, (*_, last) in attrs.asdict(rounds, recurse=False).items():
                    settings.say(f"echo: {name}: {last.streams} calls, lost {last.lost} of {last.sent}, {last.loads}")
    return _rows(rounds)


async def _watch_calls(load: Load, server: Server, count: int, seconds: float) -> Stretch:
    await load.grow(count, _OPTIONS)
    return await watch(load, server, seconds)


def _rows(rounds: _Rounds) -> list[Row]:
    many = [stretch.cpu_per_stream() for stretch in rounds.many]
    few = [stretch.cpu_per_stream() for stretch in rounds.few]
    peer = [stretch.cpu_per_stream() for stretch in rounds.peer]
    transceiver = [stretch.cpu_per_stream(TRANSCEIVER) for stretch in rounds.many]
    bare = [stretch.cpu_per_stream() for stretch in rounds.bare]
    return [
        _row(
            "echoed call, CPU over aiortc's echo",
            many,
            peer,
            must=1 / 30,
            want=1 / 60,
            notes=_notes(rounds.many, rounds.peer),
        ),
        _row(f"the same, ours with {_FEW} calls only", few, peer, notes=_notes(rounds.few)),
        _row(
            "echoed call, transceiver's CPU over a bare loop's",
            transceiver,
            bare,
            must=3,
            want=2,
            notes=_notes(rounds.bare),
        ),
    ]


def _row(
    what: str,
    ours: Sequence[float],
    peer: Sequence[float],
    *,
    notes: tuple[str, ...],
    must: float | None = None,
    want: float | None = None,
) -> Row:
    return Row(
        what=what,
        ours=f"{median(ours):.3%} of a core",
        peer=f"{median(peer):.3%} of a core",
        ratio=median([one / other for one, other in zip(ours, peer, strict=True)]),
        must=must,
        want=want,
        notes=notes,
        details={"ours": ours, "peer": peer},
    )


def _notes(*sides: Sequence[Stretch]) -> tuple[str, ...]:
    return tuple(
        f"{side[0].streams} calls, lost {sum(one.lost for one in side)} of {sum(one.sent for one in side)} packets; "
        f"last round: {side[-1].loads}"
        for side in sides
    )
