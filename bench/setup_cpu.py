"""CPU of setting up a call, from the POST to the first audio that came back, and of hanging up again.

Calls follow one another, so no two of them share a wake-up of a process; in further rounds some are set up at the same
time, as on a server in use. What the server takes without calls in the same time is subtracted. The caller talks until
it hears itself, since aiortc's jitter buffer holds the first packets back; what those cost it to decode and encode is
left out where calls end with the handshake. Each side runs as a browser would meet it: ours negotiates DTLS 1.3 with
X25519MLKEM768, aiortc what it has. Ours is measured as three processes, and as one that is all of them.
"""

import attrs
import trio

from bench.load import SPEECH, Load, connected, exchanging, idle_cpu
from bench.processes import MachineClock
from bench.servers import Server, aiortc_echo, our_edge, our_edge_in_one
from bench.settings import Settings
from bench.table import Row
from edge.caller.progress import CallerOptions

__all__ = ["measure"]

_ROUNDS, _SETUPS, _AT_ONCE = 5, 24, 8
_WARM_UP, _IDLE_SECONDS = 5, 1.0
_OPTIONS = CallerOptions(clip=SPEECH)


@attrs.define
class _Side:
    """One of the two.

    Attributes:
        server: what is called.
        load: places the calls.
        idle: share of a core it takes without calls.
        alone: CPU seconds of a set-up, a round after another, calls one after another.
        secured: the same without audio: calls end when the handshake is over.
        together: the same as `alone` with some at a time.
        shares: of each process in the last round of calls one after another.
        handshake: what was negotiated.
    """

    server: Server
    load: Load
    idle: float = 0.0
    alone: list[float] = attrs.field(factory=list)
    secured: list[float] = attrs.field(factory=list)
    together: list[float] = attrs.field(factory=list)
    shares: dict[str, float] = attrs.field(factory=dict)
    handshake: str = ""

    async def warm_up(self) -> None:
        for _ in range(_WARM_UP):
            secured = await self.load.call_once(_OPTIONS)
        self.handshake = f"{secured.version}, {secured.group}, DTLS {'server' if secured.is_client else 'client'}"
        self.idle = await idle_cpu(self.server, _IDLE_SECONDS)

    async def measure_round(self) -> None:
        self.together.append(sum((await self._set_up(_AT_ONCE)).values()))
        self.secured.append(sum((await self._set_up(1, until_heard=False)).values()))
        self.shares = await self._set_up(1)
        self.alone.append(sum(self.shares.values()))

    async def _set_up(self, at_once: int, *, until_heard: bool = True) -> dict[str, float]:
        """Return the CPU seconds of each process for one call."""
        before, started = self.server.cpu(), trio.current_time()
        await self.load.call_in_turn(_SETUPS, _OPTIONS, at_once=at_once, until_heard=until_heard)
        used = self.server.cpu()
        idle = self.idle * (trio.current_time() - started) / len(used)
        return {name: (seconds - before[name] - idle) / _SETUPS for name, seconds in used.items()}

    def last_round(self) -> str:
        """Tell the last round's results."""
        alone, together, secured = (_milliseconds(each[-1]) for each in (self.alone, self.together, self.secured))
        return f"{self.server.name} {alone} of CPU, {together} with {_AT_ONCE} at a time, {secured} without audio"

    def note(self) -> str:
        shares = ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in self.shares.items())
        return f"{self.server.name}: {self.handshake}; {shares}; {self.idle:.1%} of a core when idle (subtracted)"


async def measure(settings: Settings) -> list[Row]:
    """Measure in rounds that take turns."""
    folder = settings.folder / "setup"
    with (
        our_edge(folder / "ours") as ours,
        our_edge_in_one(folder / "one") as one,
        aiortc_echo(folder / "aiortc") as peer,
    ):
        async with (
            exchanging() as exchange,
            connected(ours, exchange) as our_load,
            connected(one, exchange) as one_load,
            connected(peer, exchange) as peer_load,
        ):
            mine, in_one, theirs = _Side(ours, our_load), _Side(one, one_load), _Side(peer, peer_load)
            for side in (mine, in_one, theirs):
                await side.warm_up()
            machine = MachineClock()
            for number in range(settings.fewer(_ROUNDS)):
                for side in (mine, in_one, theirs):
                    await side.measure_round()
                said = "; ".join(side.last_round() for side in (mine, in_one, theirs))
                settings.say(f"set-up: round {number + 1} of {_SETUPS} calls each: {said}")
    notes = (mine.note(), in_one.note(), theirs.note(), machine.describe())
    return [
        Row.of_rounds(
            "set-up, CPU over aiortc's", mine.alone, theirs.alone, _milliseconds, must=1 / 5, want=1 / 10, notes=notes
        ),
        Row.of_rounds("the same, ours in one process", in_one.alone, theirs.alone, _milliseconds),
        Row.of_rounds(f"the same, {_AT_ONCE} set-ups at a time", mine.together, theirs.together, _milliseconds),
        Row.of_rounds(
            f"the same, {_AT_ONCE} at a time, ours in one process", in_one.together, theirs.together, _milliseconds
        ),
        Row.of_rounds("set-up without audio", mine.secured, theirs.secured, _milliseconds),
        Row.of_rounds("the same, ours in one process", in_one.secured, theirs.secured, _milliseconds),
    ]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
