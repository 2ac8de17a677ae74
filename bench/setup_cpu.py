"""CPU of setting up a call, from the POST to the first audio that came back, and of hanging up again.

Calls follow one another, so nothing is shared between them. What the server takes without calls in the same time is
subtracted. Each side runs as a browser would meet it: ours negotiates DTLS 1.3 with X25519MLKEM768, aiortc what it
has.
"""

import attrs
import trio

from bench.load import WORD, Load, connected, exchanging, idle_cpu, median
from bench.servers import Server, aiortc_echo, our_edge
from bench.settings import Settings
from bench.table import Row
from edge.caller.progress import CallerOptions

__all__ = ["measure"]

_ROUNDS, _SETUPS = 5, 25
_WARM_UP, _IDLE_SECONDS = 5, 2.0
_OPTIONS = CallerOptions(clip=WORD)


@attrs.define
class _Side:
    """One of the two.

    Attributes:
        server: what is called.
        load: places the calls.
        idle: share of a core it takes without calls.
        rounds: CPU seconds per set-up, a round after another.
        shares: of each process in the last round.
        handshake: what was negotiated.
    """

    server: Server
    load: Load
    idle: float = 0.0
    rounds: list[float] = attrs.field(factory=list)
    shares: dict[str, float] = attrs.field(factory=dict)
    handshake: str = ""

    async def warm_up(self) -> None:
        for _ in range(_WARM_UP):
            secured = await self.load.call_once(_OPTIONS)
        self.handshake = f"{secured.version}, {secured.group}, DTLS {'server' if secured.is_client else 'client'}"
        self.idle = await idle_cpu(self.server, _IDLE_SECONDS)

    async def measure_round(self, count: int) -> None:
        before, started = self.server.cpu(), trio.current_time()
        for _ in range(count):
            await self.load.call_once(_OPTIONS)
        self.shares = {name: (used - before[name]) / count for name, used in self.server.cpu().items()}
        idle = self.idle * (trio.current_time() - started) / count
        self.rounds.append(sum(self.shares.values()) - idle)

    def note(self) -> str:
        shares = ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in self.shares.items())
        return f"{self.server.name}: {self.handshake}; {shares}; {self.idle:.1%} of a core when idle (subtracted)"


async def measure(settings: Settings) -> list[Row]:
    """Measure in rounds that take turns."""
    folder = settings.folder / "setup"
    with our_edge(folder / "ours") as ours, aiortc_echo(folder / "aiortc") as peer:
        async with (
            exchanging() as exchange,
            connected(ours, exchange) as our_load,
            connected(peer, exchange) as peer_load,
        ):
            sides = _Side(ours, our_load), _Side(peer, peer_load)
            for side in sides:
                await side.warm_up()
            for number in range(settings.fewer(_ROUNDS)):
                for side in sides:
                    await side.measure_round(_SETUPS)
                said = "; ".join(f"{side.server.name} {side.rounds[-1] * 1000:.1f} ms of CPU" for side in sides)
                settings.say(f"set-up: round {number + 1}, {_SETUPS} calls each, one after another: {said}")
    mine, theirs = (side.rounds for side in sides)
    return [
        Row(
            what="set-up, CPU over aiortc's",
            ours=f"{median(mine) * 1000:.2f} ms",
            peer=f"{median(theirs) * 1000:.2f} ms",
            ratio=median([one / other for one, other in zip(mine, theirs, strict=True)]),
            must=1 / 5,
            want=1 / 10,
            notes=(*(side.note() for side in sides), "one call at a time: nobody is saturated"),
            details={"ours": mine, "peer": theirs},
        )
    ]
