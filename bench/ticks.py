"""How late a transceiver's ticks were, by its own histogram."""

import math
from collections.abc import Mapping

from bench.servers import Server, fetch

__all__ = ["Ticks", "late_share", "lateness_between", "lateness_quantile", "read_ticks"]

_NAME = "trio_voice_transceiver_tick_lateness_seconds_bucket"

Ticks = Mapping[float, float]
"""Ticks so far that were at most so late, by seconds: cumulative, as Prometheus does."""


def read_ticks(server: Server) -> Ticks:
    """Read the histogram as it is now."""
    found = {}
    for line in fetch(server.metrics_url).splitlines():
        name, _, count = line.rpartition(" ")
        if name.startswith(_NAME):
            found[float(name.split('le="')[1].split('"')[0])] = float(count)
    return found


def late_share(before: Ticks, after: Ticks, bound: float) -> float:
    """Return the share of ticks between two readings that came later than `bound`, one of the histogram's."""
    total = after[math.inf] - before[math.inf]
    return (total - (after[bound] - before[bound])) / total if total else math.inf


def lateness_quantile(before: Ticks, after: Ticks, share: float) -> float:
    """Return the lateness in seconds that `share` of the ticks between two readings did not exceed.

    Between two bounds of the histogram ticks count as evenly spread, as Prometheus has it; what is later than the last
    bound counts as that.
    """
    total = after[math.inf] - before[math.inf]
    lower, counted = 0.0, 0.0
    for bound in sorted(after):
        count = after[bound] - before[bound]
        if count >= total * share and count > counted:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (total * share - counted) / (count - counted)
        lower, counted = bound, count
    return 0.0


def lateness_between(before: Ticks, after: Ticks) -> str:
    """Say how late ticks were between two readings."""
    p99, p999 = (lateness_quantile(before, after, share) * 1000 for share in (0.99, 0.999))
    return f"transceiver's ticks {p99:.1f} ms late at p99, {p999:.1f} ms at p99.9"
