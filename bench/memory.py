"""Memory of a call that is connected and idle.

Each call says one word, hears it back, and is silent from then on; consent is still answered, reports still flow. What
the server needs once, for its first calls, is there before the measurement: a first lot of calls comes and goes.
"""

import trio

from bench.load import WORD, connected, exchanging
from bench.servers import our_edge
from bench.settings import Settings
from bench.table import Row
from edge.caller.progress import CallerOptions, Stage

__all__ = ["measure"]

_CALLS, _QUICK_CALLS, _WARM_UP_CALLS = 500, 100, 20
_SETTLE = 6.0
"""Seconds until the last call has had its first reports."""

_MUST_KIB, _WANT_KIB = 128, 48
_OPTIONS = CallerOptions(clip=WORD)


async def measure(settings: Settings) -> list[Row]:
    """Measure once: memory does not vary as time does."""
    count = _QUICK_CALLS if settings.is_quick else _CALLS
    with our_edge(settings.folder / "memory") as ours:
        async with exchanging() as exchange, connected(ours, exchange) as load:
            await load.grow(_WARM_UP_CALLS, _OPTIONS)
            await load.hang_up()
            await trio.sleep(1)
            before = ours.memory()
            settings.say(f"memory: connecting {count} calls")
            await load.grow(count, _OPTIONS)
            await trio.sleep(settings.shorter(_SETTLE))
            after = ours.memory()
            closed = sum(call.session.stage is Stage.CLOSED for call in load.calls)
    per_process = {name: (after[name] - before[name]) / count / 1024 for name in after}
    total = sum(per_process.values())
    settings.say(f"memory: {total:.0f} KiB a call")
    shares = ", ".join(f"{name} {kib:.0f} KiB" for name, kib in per_process.items())
    return [
        Row(
            what=f"memory of a connected idle call, at {count}",
            ours=f"{total:.0f} KiB",
            peer=f"{_MUST_KIB} KiB",
            ratio=total / _MUST_KIB,
            must=1.0,
            want=_WANT_KIB / _MUST_KIB,
            notes=(f"{shares}; {closed} calls had ended by themselves",),
            details={"kib_per_call": per_process},
        )
    ]
