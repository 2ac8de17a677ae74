"""What a packet costs the relay with more and more flows, and with more than one worker.

The numbers of a run stand in its results; `python -m bench.relay.growth_plot` draws them.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.relay.calls import calls_on_our_relay
from bench.relay.packets import Costs, flood_in_turn
from bench.relay.sides import Clients, Side, c_forwarder
from bench.relay.sizes import PAYLOAD_120
from bench.settings import NotMeasured, Settings
from bench.table import Row
from relay.udp import open_udp

__all__ = ["BY_FLOWS", "BY_WORKERS", "FLOWS", "WORKERS", "growth_row", "ours_and_in_c", "workers_row"]

BY_FLOWS, BY_WORKERS = "relay's CPU for a packet, by flows", "relay's CPU for a packet, by workers"
"""Names of the rows."""

FLOWS = (100, 500, 2_000, 10_000, 50_000)
WORKERS = (1, 2)
_ROUNDS = 2
_FLOWS_OF_WORKERS = 2_000


@contextmanager
def ours_and_in_c(
    programs: Path, folder: Path, flows: int, settings: Settings, *, workers: int = 1
) -> Iterator[list[Side]]:
    """Run our relay and the C forwarder with so many flows."""
    with ExitStack() as stack:
        sock = stack.enter_context(open_udp("0.0.0.0", 0, on_warning=settings.say))  # noqa: S104 - all of 127/8
        clients = Clients.many(sock, flows)
        calls = stack.enter_context(calls_on_our_relay(folder, clients, workers=workers))
        calls.set_up(range(1, flows + 1))
        headers = [calls.up_headers[session] for session in sorted(calls.up_headers)]
        in_c = stack.enter_context(c_forwarder(programs, folder, clients, headers, settings))
        yield [calls.as_side().at_rest(), in_c.at_rest()]


def growth_row(programs: Path, folder: Path, known: dict[int, tuple[Costs, Costs]], settings: Settings) -> Row:
    """Measure what a packet costs with each number of flows.

    Args:
        programs: where the C programs are.
        folder: for everything else.
        known: what was measured already, ours and in C, by the number of flows.
        settings: how long.
    """
    costs = dict(known)
    for flows in FLOWS:
        if flows not in costs:
            with ours_and_in_c(programs, folder / f"growth-{flows}", flows, settings) as sides:
                floods = flood_in_turn(programs, sides, PAYLOAD_120, settings, rounds=_ROUNDS)
            ours, in_c = (floods[side.name] for side in sides)
            costs[flows] = (ours, in_c)
    own, peer = ([costs[flows][side].cost for flows in FLOWS] for side in (0, 1))
    return Row(
        what=BY_FLOWS,
        ours=_list(FLOWS, own),
        notes=(f"in C {_list(FLOWS, peer)}",),
        details={"flows": FLOWS, "ours": own, "peer": peer},
    )


def _list(numbers: Sequence[int], costs: Sequence[float]) -> str:
    return ", ".join(f"{number}: {cost * 1e6:.2f} µs" for number, cost in zip(numbers, costs, strict=True))


def workers_row(programs: Path, folder: Path, settings: Settings) -> Row:
    """Measure what a packet costs with each number of workers, all of them together."""
    costs: dict[int, Costs] = {}
    for workers in WORKERS:
        here = folder / f"workers-{workers}"
        with ours_and_in_c(programs, here, _FLOWS_OF_WORKERS, settings, workers=workers) as (ours, _):
            if len(ours.pids) < workers:
                raise NotMeasured(f"asked for {workers} workers, the relay has {len(ours.pids)} processes")
            costs[workers] = flood_in_turn(programs, [ours], PAYLOAD_120, settings, rounds=_ROUNDS)[ours.name]
    return Row(
        what=BY_WORKERS,
        ours=", ".join(f"{workers}: {cost.cost * 1e6:.2f} µs" for workers, cost in costs.items()),
        notes=tuple(f"{workers}: {cost.describe()}" for workers, cost in costs.items()),
        details={"workers": list(costs), "ours": [cost.cost for cost in costs.values()]},
    )
