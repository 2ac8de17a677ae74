"""The delay that we add to a voice, and what one call's codecs do to another call's packets.

A caller says a sharp sound in one packet; an agent notes when it gets the PCM with it. A little later the agent says
one, and the caller notes when it gets the packet with that. Both happen on a quiet edge and beside calls that keep the
transceiver about half busy; so does an echo of packets, which shows how long a packet that needs no codec is held up by
those that do.

The probes' calls come from a process of their own: the one that makes the load has too much to do to be in time. It
gives way to all others, since it stands for callers on other machines.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median

import attrs
import trio

from bench.agents import HEARD, SAID
from bench.load import SPEECH, connected, exchanging
from bench.onsets import ONSET_SECONDS, pair_times, quantile
from bench.processes import giving_way
from bench.servers import TRANSCEIVER, Server
from bench.settings import NotMeasured, Settings
from bench.stretch import watch
from bench.table import Row
from bench.ticks import lateness_between, read_ticks
from bench.voices import BACKEND, ECHO, ONSETS, SOCKET, run_program, voice_edge
from edge.caller.progress import CallerOptions

__all__ = ["Delays", "delays_of", "measure"]

_CALLS = 40
"""They keep the transceiver about half busy."""

_PROBES = 4
_SECONDS = 8.0
_OPTIONS = CallerOptions(clip=SPEECH)
_SIDES = {ONSETS: TRANSCEIVER, f"{SOCKET}-{ONSETS}": BACKEND}
"""Where agents run, by the model's name without its number."""


@attrs.frozen(kw_only=True)
class Delays:
    """What the probes have measured, in seconds.

    Attributes:
        to_backend: from the packet that leaves the caller to the PCM that the agent gets, by model.
        to_ear: from the PCM that the agent says to the packet that the caller gets, by model.
        echo: of packets that came back as they went.
        ticks: what there is to know of the lateness of the transceiver's ticks, as a sentence.
    """

    to_backend: Mapping[str, Sequence[float]]
    to_ear: Mapping[str, Sequence[float]]
    echo: Sequence[float]
    ticks: str


async def measure(settings: Settings) -> list[Row]:
    """Measure on a quiet edge, and beside calls."""
    with voice_edge(settings.folder / "voice-delay") as server:
        quiet = await _probe(server, settings)
        settings.say(f"voice-delay: alone: {_describe(quiet)}")
        async with exchanging() as exchange, connected(server, exchange) as load:
            with giving_way():
                await load.grow(_CALLS, _OPTIONS)
                loads = (await watch(load, server, settings.shorter(4.0))).loads
                beside = await _probe(server, settings)
        settings.say(f"voice-delay: beside {_CALLS} calls: {_describe(beside)}")
    return list(_rows(quiet, beside, loads))


async def _probe(server: Server, settings: Settings) -> Delays:
    seconds = settings.shorter(_SECONDS)
    ticks = read_ticks(server)
    found: dict[str, object] = {}

    async def run(kind: str, model: str) -> None:
        found[model] = await run_program("probe", server.url, seconds, kind, model, _PROBES)

    async with trio.open_nursery() as nursery:
        for model in _SIDES:
            nursery.start_soon(run, "onsets", model)
        nursery.start_soon(run, "echo", ECHO)
    assert server.logs is not None
    to_backend, to_ear = {}, {}
    for model, side in _SIDES.items():
        log = (server.logs / f"{side}.log").read_text()
        to_backend[model], to_ear[model] = delays_of(found[model], log)
        if not to_backend[model] or not to_ear[model]:
            raise NotMeasured(f"no sharp sound was heard by {model}, or of it")
    late = lateness_between(ticks, read_ticks(server))
    return Delays(to_backend=to_backend, to_ear=to_ear, echo=found[ECHO], ticks=late)  # type: ignore[arg-type]  # JSON


def delays_of(probed: object, log: str) -> tuple[list[float], list[float]]:
    """Put together what a probe and an agent have noted.

    Args:
        probed: what `bench.probe` printed: what the caller said and heard, by model.
        log: where `bench.agents.onsets` printed its own.

    Returns:
        Delays to the backend, and delays to the ear, in seconds.
    """
    assert isinstance(probed, dict)
    within = ONSET_SECONDS / 2
    to_backend: list[float] = []
    to_ear: list[float] = []
    for model, said in probed["said"].items():
        to_backend += pair_times(said, list(_noted(log, HEARD, model)), within)
        to_ear += pair_times(list(_noted(log, SAID, model)), probed["heard"][model], within)
    return to_backend, to_ear


def _noted(log: str, what: str, model: str) -> Iterator[float]:
    for line in log.splitlines():
        match line.split():
            case [first, second, at] if (first, second) == (what, model):
                yield float(at)


def _rows(quiet: Delays, beside: Delays, loads: str) -> Iterator[Row]:
    in_process, socket = _SIDES
    row = partial(_row, quiet=quiet, beside=beside)
    yield row(
        "delay added, caller to agent in process",
        lambda delays: delays.to_backend[in_process],
        "from the packet that leaves the caller to its PCM at the agent; the packet itself took 20 ms to fill before",
    )
    yield row(
        "the same, agent by WebSocket",
        lambda delays: delays.to_backend[socket],
        "events hold 40 ms, so every other packet waits 20 ms for the next one",
    )
    yield row(
        "delay added, agent in process to caller",
        lambda delays: delays.to_ear[in_process],
        "from PCM that is said into a pause to its packet at the caller. Packets leave every 20 ms, so the first word "
        "waits 10 ms on average and 20 ms at most; what follows waits for its turn anyway",
    )
    yield row("the same, agent by WebSocket", lambda delays: delays.to_ear[socket])
    yield row(
        f"packet echoed beside {_CALLS} calls with codecs, there and back",
        lambda delays: delays.echo,
        f"alone: p99 {_ms(quantile(quiet.echo, 0.99))}, p99.9 {_ms(quantile(quiet.echo, 0.999))}; {quiet.ticks}",
        f"beside: p99 {_ms(quantile(beside.echo, 0.99))}, p99.9 {_ms(quantile(beside.echo, 0.999))}; {beside.ticks}",
        f"beside: {loads}",
    )


def _row(what: str, read: Callable[[Delays], Sequence[float]], *notes: str, quiet: Delays, beside: Delays) -> Row:
    alone, loaded = read(quiet), read(beside)
    return Row(
        what=what,
        ours=_ms(median(alone)),
        notes=(
            *notes,
            f"alone: {_spread(alone)}; beside {_CALLS} calls: {_spread(loaded)}",
        ),
        details={"alone": list(alone), "beside": list(loaded)},
    )


def _spread(values: Sequence[float]) -> str:
    return f"median {_ms(median(values))}, p95 {_ms(quantile(values, 0.95))} of {len(values)}"


def _describe(delays: Delays) -> str:
    parts = [
        *(f"to {model} {_ms(median(times))}" for model, times in delays.to_backend.items()),
        *(f"from {model} {_ms(median(times))}" for model, times in delays.to_ear.items()),
        f"echo {_ms(median(delays.echo))}, p99.9 {_ms(quantile(delays.echo, 0.999))}",
    ]
    return f"{', '.join(parts)}; {delays.ticks}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
