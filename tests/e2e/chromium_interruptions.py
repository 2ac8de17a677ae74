"""Calls of stock Chromium that are interrupted over and over, each time counted: a program for the bench.

    python -m tests.e2e.chromium_interruptions FOLDER TIMES

says a line of JSON for each interruption: {"what": …, "cost": {…}} as `interruptions.Cost` has it; and for each call
that went through everything {"what": "everything", …} as `everything.Passed` has it. Needs root: its hosts are network
namespaces. All but the last happen in one call.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
from playwright.sync_api import sync_playwright

from tests.redis_server import redis_server

from .chromium import chromium_page, write_tone
from .everything import go_through_everything
from .interruptions import DisturbedCall, disturbed_call, run_first
from .travelling import Journey, journey

_FIRST, _JOINS = ("alpha", "beta"), "gamma"
_MEMBERS = "trio-voice:members"
_REBIND_SECONDS = 4.5
"""Twice a client's pause between its checks, nearly."""


def main(folder: Path, times: int) -> None:
    """Do all of it."""
    with (
        redis_server() as store,
        journey(
            folder, store_url=store.url, transceivers=_FIRST, relay_environment={"TRIO_VOICE_RELAY_WORKERS": "2"}
        ) as travelling,
        sync_playwright() as playwright,
        chromium_page(
            playwright,
            write_tone(folder / "tone.wav"),
            travelling.edge.signal_url,
            namespace=travelling.client,
        ) as page,
    ):
        run_first(travelling)
        travelling.add_transceiver(_JOINS)
        with disturbed_call(travelling, store, page) as call:
            for interrupt in (_workers, _restarts, _moves, _deaths, _pauses, _store, _everything_replaced):
                for _ in range(times):
                    interrupt(call)
            call.restart_relay()  # none is left that has replaced another
            call.wait("the relay is back", lambda: call.is_ready("relay-a"))
        for _ in range(times):
            _start_missing(travelling)
            with disturbed_call(travelling, store, page) as call:
                passed = go_through_everything(call, _spare(call), rebind_seconds=_REBIND_SECONDS)
            _say("everything", **attrs.asdict(passed))


def _workers(call: DisturbedCall) -> None:
    _count("relay worker killed", call, call.kill_worker, 1.0)
    time.sleep(0.5)  # a worker that has just started is not replaced at once


def _restarts(call: DisturbedCall) -> None:
    _count("relay killed and started again", call, call.restart_relay, 1.5, behind_check=True)
    call.wait("the relay is back", lambda: call.is_ready("relay-a"))


def _moves(call: DisturbedCall) -> None:
    travelling = call.travelling
    other = "b" if travelling.relay == "a" else "a"
    _count("moved to another relay", call, lambda: travelling.lead_to(other), 1.0)


def _deaths(call: DisturbedCall) -> None:
    owner = call.owner_with_record()
    _count("transceiver killed", call, lambda: call.kill(owner), 2.5)
    call.start(owner)


def _pauses(call: DisturbedCall) -> None:
    owner = call.owner_with_record()
    _count("transceiver paused", call, lambda: call.pause(owner), 0.5)


def _store(call: DisturbedCall) -> None:
    members = call.store.command("HLEN", _MEMBERS)
    _count("Redis started again", call, call.restart_store, 1.0)
    call.wait("all are listed again", lambda: call.store.command("HLEN", _MEMBERS) == members)


def _everything_replaced(call: DisturbedCall) -> None:
    """Replace a transceiver, and then the relay, while the transceiver's successor starts."""
    call.travelling.lead_to("a")  # that is the one which is replaced
    owner = call.owner_with_record()
    _count("transceiver drained", call, lambda: call.drain(owner), 1.0)
    call.edge.start(owner)
    _count("relay replaced", call, call.reload_relay, 1.0)
    call.wait("the transceiver is back", lambda: call.is_ready(owner))


def _count(
    what: str, call: DisturbedCall, happening: Callable[[], object], seconds: float, *, behind_check: bool = False
) -> None:
    _say(what, cost=attrs.asdict(call.count(happening, seconds, behind_check=behind_check)))


def _start_missing(travelling: Journey) -> None:
    """Have two transceivers run, whichever."""
    edge = travelling.edge
    running = [name for name, process in edge.processes.items() if process.poll() is None]
    missing = [name for name in travelling.transceivers if name not in running]
    for name in missing[: len(_FIRST) - len(travelling.transceivers) + len(missing)]:
        edge.start(name)
        edge.wait_until(f"{name} is ready", lambda name=name: edge.is_ready(edge.servers[name].health), 30)


def _spare(call: DisturbedCall) -> str:
    """The transceiver that does not run."""
    (name,) = set(call.travelling.transceivers) - set(call.running())
    return name


def _say(what: str, **facts: object) -> None:
    print(json.dumps({"what": what, **facts}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
