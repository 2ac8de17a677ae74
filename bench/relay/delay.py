"""Delay that a forwarder adds to a datagram at a quarter of what our relay could forward.

Each datagram carries the time at which it left; the kernel notes when it has it for the receiver. What the same way
takes without a forwarder in between is subtracted: that is the load's own way of sending a few at a time, and loopback.
Wall time, unlike everything else here: other programs on the machine show in it at once.
"""

from collections.abc import Sequence
from pathlib import Path

from bench.relay.load import Load
from bench.relay.sides import Clients, Side
from bench.relay.sizes import Sizes
from bench.settings import Settings
from bench.table import Row

__all__ = ["SHARE", "measure_delay"]

SHARE = 0.25
"""Of the packets that our relay forwards in a CPU-second."""
_SECONDS = 3.0
_P50, _P99 = 50, 99


def measure_delay(
    programs: Path, sides: Sequence[Side], clients: Clients, sizes: Sizes, rate: float, settings: Settings
) -> Row:
    """Measure it at a rate.

    Args:
        programs: where the load is.
        sides: ours first.
        clients: their hosts.
        sizes: of payloads.
        rate: datagrams a second.
        settings: how long.
    """
    path, seconds = sizes.write(programs), settings.shorter(_SECONDS)
    sink = sides[0].up.sink
    direct = Load.of(clients.sock, sink, [(host, sink.getsockname(), b"") for host in clients.hosts])
    sides[0].refresh()
    base = direct.run(programs, (), path, seconds, rate=rate).delays
    texts: list[str] = []
    added: dict[str, tuple[float, float]] = {}
    for side in sides:
        for way, load in (("up", side.up), ("down", side.down)):
            side.refresh()
            passed = load.run(programs, side.pids, path, seconds, rate=rate, idle=side.idle)
            half, most = (max(passed.delays[part] - base[part], 0.0) * 1e3 for part in (_P50, _P99))
            lost = max(passed.sent - passed.passed, 0)
            texts.append(f"{side.name} {way}: {half:.2f} and {most:.2f} ms, {lost} of {passed.sent} lost")
            added[f"{side.name} {way}"] = (half / 1e3, most / 1e3)
            settings.say(f"relay: delay at {rate:.0f} a second: {texts[-1]}")
    ours = [added[f"{sides[0].name} {way}"] for way in ("up", "down")]
    return Row(
        what=f"delay added at a quarter of what the relay can, {len(clients.hosts)} flows: p50, p99",
        ours=", ".join(f"{half * 1e3:.1f} and {most * 1e3:.1f} ms" for half, most in ours),
        notes=(
            f"{rate:.0f} datagrams a second; without a forwarder {base[_P50] * 1e6:.0f} and {base[_P99] * 1e6:.0f} µs",
            *texts,
        ),
        details={"rate": rate, "direct": (base[_P50], base[_P99]), **added},
    )
