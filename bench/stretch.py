"""What happened in a stretch of time: packets sent and come back, and the CPU time of everybody."""

import gc
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence

import attrs
import trio

from bench.load import Load, Streams
from bench.processes import MachineClock
from bench.servers import Server
from edge.caller.exchange import Exchange
from edge.caller.media import Media
from transceiver.ticker import Lateness

__all__ = ["Stretch", "watch"]

_SETTLE = 0.35
_SETTLE_ATTEMPTS = 20
_SETTLED = 0.020
"""By how many seconds our own ticks may be late before a stretch begins."""

_ATTEMPTS = 2
"""A stretch in which packets were lost while other programs disturbed us is watched again."""

_LOOKS = 5
_MORE_LOOKS = 50
_LOOK_INTERVAL = 0.03
_UNSURE = 1
"""By how many packets of a stream two counts of what is under way may differ without a loss."""

_PACKETS_PER_SECOND = 50
_BUSY = 0.85
"""Share of a core from which on a process counts as at its limit."""

_MACHINE_BUSY = 0.95
"""Share of all processors from which on nobody can be sure of getting one in time."""


@attrs.frozen(kw_only=True)
class Stretch:
    """What happened in a stretch of time without set-ups.

    Attributes:
        streams: calls, or streams without a call.
        seconds: how long it was.
        sent: packets sent.
        received: packets that came back.
        lost: packets that did not come back.
        lateness: by how many seconds our own ticks were late, at p99.9.
        cpu: seconds of CPU of each of the server's processes.
        own_cpu: seconds of CPU of this process.
        cores_used: processors that were busy, everything on the machine together.
    """

    streams: int
    seconds: float
    sent: int
    received: int
    lost: int
    lateness: float
    cpu: Mapping[str, float]
    own_cpu: float
    cores_used: float

    def cpu_per_stream(self, *names: str) -> float:
        """Return the share of a core that one stream takes of the named processes, or of all.

        A second of a stream is fifty packets that came back, whether or not everybody found the time for all of them.
        """
        if not self.received:
            return math.inf
        return sum(self.cpu[name] for name in names or self.cpu) / (self.received / _PACKETS_PER_SECOND)

    @property
    def loads(self) -> str:
        """Say how busy everybody was, and who was at the limit."""
        shares = {name: seconds / self.seconds for name, seconds in {**self.cpu, "caller": self.own_cpu}.items()}
        others = max(self.cores_used - sum(shares.values()), 0.0)
        busy = [name for name, share in shares.items() if share >= _BUSY]
        processors = os.cpu_count() or 1
        if not busy and self.cores_used >= processors * _MACHINE_BUSY:
            busy = ["the machine"]
        text = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        return (
            f"{text}, other programs {others:.0%} of a core; "
            f"caller's ticks {self.lateness * 1000:.1f} ms late at p99.9; saturated: {', '.join(busy) or 'nobody'}"
        )


async def watch(source: Load | Streams, server: Server, seconds: float) -> Stretch:
    """Let all streams run for a while, and tell what came back and who paid for it."""
    # A collection of everything there is takes longer than a tick may be late.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    for _ in range(_ATTEMPTS):
        await _settle(source.exchange)
        stretch = await _watch_once(source, server, seconds)
        if not stretch.lost or stretch.lateness < _SETTLED:
            break
    return stretch


async def _settle(exchange: Exchange) -> None:
    """Wait until set-ups are over and our ticks are in time: what they missed is made up in bursts, which get lost."""
    for _ in range(_SETTLE_ATTEMPTS):
        lateness = exchange.lateness = Lateness()
        await trio.sleep(_SETTLE)
        if lateness.worst < _SETTLED:
            break


async def _watch_once(source: Load | Streams, server: Server, seconds: float) -> Stretch:
    media = source.media()
    missing_before = await _missing(media)
    sent_before, received_before = _sent(media), _received(media)
    lateness = source.exchange.lateness = Lateness()
    machine, started = MachineClock(), trio.current_time()
    cpu_before, own_before = server.cpu(), time.process_time()
    await trio.sleep(seconds)
    cpu, own = server.cpu(), time.process_time()
    elapsed = trio.current_time() - started
    cores_used, late = machine.cores_used(), lateness.quantile(0.999)
    sent, received = _sent(media) - sent_before, _received(media) - received_before
    missing = await _missing(media, missing_before)
    return Stretch(
        streams=len(media),
        seconds=elapsed,
        sent=sent,
        received=received,
        lost=sum(max(now - before - _UNSURE, 0) for before, now in zip(missing_before, missing, strict=True)),
        lateness=late,
        cpu={name: used - cpu_before[name] for name, used in cpu.items()},
        own_cpu=own - own_before,
        cores_used=cores_used,
    )


def _sent(media: Sequence[Media]) -> int:
    return sum(one.outbound.source.packet_count for one in media)


def _received(media: Sequence[Media]) -> int:
    return sum(one.inbound.statistics.received_count for one in media if one.inbound.statistics is not None)


async def _missing(media: Sequence[Media], before: Sequence[int] = ()) -> list[int]:
    """Count what each stream has sent and not got back: the least of a few looks, since some is just under way.

    Given what was missing before, it looks longer while more is missing: what comes late is not lost.
    """
    least = [sys.maxsize] * len(media)
    for look in range(_MORE_LOOKS if before else _LOOKS):
        least = [min(known, _under_way(one)) for known, one in zip(least, media, strict=True)]
        if before and look >= _LOOKS and all(now <= then + _UNSURE for then, now in zip(before, least, strict=True)):
            break
        await trio.sleep(_LOOK_INTERVAL)
    return least


def _under_way(media: Media) -> int:
    heard = media.inbound.statistics
    return media.outbound.source.packet_count - (heard.received_count if heard is not None else 0)
