"""All that is measured of the relay, in one run."""

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import trio

from bench.processes import memory_of
from bench.relay.calls import calls_on_our_relay
from bench.relay.coturn import Coturn, coturn
from bench.relay.delay import SHARE, measure_delay
from bench.relay.growth import growth_row, workers_row
from bench.relay.load import compile_programs
from bench.relay.new_flows import claim_row, memory_row, refusal_row
from bench.relay.packets import Costs, flood_in_turn, rows
from bench.relay.sides import Clients, Side, c_forwarder
from bench.relay.sizes import OPUS_MIX, PAYLOAD_120
from bench.settings import NotMeasured, Settings
from bench.table import Row
from relay.udp import open_udp

__all__ = ["measure"]

_FLOWS = (500, 50_000)
_QUICK_FLOWS = (500, 5_000)
_WARM_UP_FLOWS, _FEW_FLOWS = 100, 5_000
"""Set up before the cost of a new flow is looked at, and before memory is: what any number of flows needs is there."""
_SETTLE = 1.0


async def measure(settings: Settings) -> list[Row]:
    """Measure everything; rows of what is not there are left out, and it is said."""
    if shutil.which("gcc") is None:
        raise NotMeasured("the C sides need gcc (Debian: apt install gcc libc6-dev)")
    folder = settings.folder / "relay"
    folder.mkdir()
    return await trio.to_thread.run_sync(_measure, settings, folder)


def _measure(settings: Settings, folder: Path) -> list[Row]:
    compile_programs(folder)
    made: list[Row] = []
    known: dict[int, tuple[Costs, Costs]] = {}
    for flows in _QUICK_FLOWS if settings.is_quick else _FLOWS:
        made += _with_flows(settings, folder, flows, known)
    if not settings.is_quick:
        made.append(growth_row(folder, folder, known, settings))
    try:
        made.append(workers_row(folder, folder, settings))
    except NotMeasured as problem:
        settings.say(f"relay: workers are not measured: {problem}")
    return made


def _with_flows(settings: Settings, programs: Path, flows: int, known: dict[int, tuple[Costs, Costs]]) -> list[Row]:
    folder = programs / str(flows)
    with ExitStack() as stack:
        sock = stack.enter_context(open_udp("0.0.0.0", 0, on_warning=settings.say))  # noqa: S104 - all of 127/8
        clients = Clients.many(sock, flows)
        calls = stack.enter_context(calls_on_our_relay(folder, clients))
        calls.set_up(range(1, _WARM_UP_FLOWS + 1))
        # A relay loads what is not for forwarding once it forwards; here it is to be there before it is measured.
        calls.drops()
        time.sleep(_SETTLE)
        calls.claim_cpu = calls.prove_cpu = 0.0
        settings.say(f"relay: {flows} flows are made")
        few = min(flows, _FEW_FLOWS)
        calls.set_up(range(_WARM_UP_FLOWS + 1, few + 1))
        before = sum(map(memory_of, calls.relay.pids))
        calls.set_up(range(few + 1, flows + 1))
        grown = sum(map(memory_of, calls.relay.pids)) - before
        turn = _coturn(stack, folder, clients, settings)
        headers = [calls.up_headers[session] for session in sorted(calls.up_headers)]
        in_c = stack.enter_context(c_forwarder(programs, folder, clients, headers, settings))
        ours = calls.as_side().at_rest()
        sides: list[Side] = [ours, in_c.at_rest(), *([turn.side.at_rest()] if turn is not None else [])]
        made: list[Row] = []
        for sizes in (PAYLOAD_120, OPUS_MIX):
            floods = flood_in_turn(programs, sides, sizes, settings)
            made += rows(floods, flows, sizes, ours.name, in_c.name, turn.side.name if turn is not None else "")
            if sizes is PAYLOAD_120:
                known[flows] = (floods[ours.name], floods[in_c.name])
        if lost := calls.drops().get("no-flow"):
            raise NotMeasured(f"{lost:.0f} datagrams of the flood had no flow any more")
        rate = SHARE / known[flows][0].cost
        made.append(measure_delay(programs, sides, clients, OPUS_MIX, rate, settings))
        made.append(claim_row(calls, flows - _WARM_UP_FLOWS, turn.claim_cost if turn is not None else None))
        made.append(refusal_row(programs, calls, ours.idle, settings))
        if flows > few:
            made.append(memory_row(few, flows, grown))
        return made


def _coturn(stack: ExitStack, folder: Path, clients: Clients, settings: Settings) -> Coturn | None:
    try:
        settings.say("relay: coturn's channels are bound")
        return stack.enter_context(coturn(folder, clients))
    except NotMeasured as problem:
        settings.say(f"relay: coturn is not measured: {problem}")
        return None
