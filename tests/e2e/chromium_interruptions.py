"""Calls of stock Chromium that are interrupted over and over, each time counted: a program for the bench.

    python -m tests.e2e.chromium_interruptions FOLDER TIMES

says a line of JSON for each interruption: first those of a call with an echo, {"what": …, "cost": {…}} as `costs.Cost`
has it; then those of one with a backend in another process, {"what": "realtime: …", "cost": {…}, "conversed": {…}} as
`conversing` has it; and for each two calls, one of each kind, that went through everything together {"what":
"everything", "echo": {…}, "realtime": {…}} as `everything.Passed` has it. Needs root: its hosts are network namespaces.
"""

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs
from playwright.sync_api import Page, sync_playwright

from tests.redis_server import redis_server

from .chromium import chromium_page, write_tone
from .conversing import BACKEND, SECTION, ConversingCall, NumberingBackend, conversing_call, numbering_backend
from .costs import Cost
from .everything import go_through_everything
from .fleet_processes import lists
from .interruptions import DisturbedCall, Store
from .placing import disturbed_call
from .travelling import RELAYS, Journey, journey

_FIRST, _JOINS = ("alpha", "beta"), "gamma"
_OWNERS = 2
"""Of a call whose transceiver was paused: numbers of both must be seen, or none could be used twice."""
_REBIND_SECONDS = 4.5
"""Twice a client's pause between its checks, nearly."""
_RECORDED_SECONDS = 2.0
"""After which what was said is in the store, so that a successor knows of it."""


def main(folder: Path, times: int) -> None:
    """Do all of it."""
    with (
        redis_server() as store,
        journey(
            folder,
            store_url=store.url,
            transceivers=_FIRST,
            relay_environment={"TRIO_VOICE_RELAY_WORKERS": "2"},
            backends=BACKEND,
            section=SECTION,
        ) as travelling,
        numbering_backend(travelling, folder) as backend,
        sync_playwright() as playwright,
        chromium_page(
            playwright,
            write_tone(folder / "tone.wav"),
            travelling.edge.signal_url,
            namespace=travelling.client,
        ) as page,
    ):
        travelling.run_relays_first()
        travelling.add_transceiver(_JOINS)
        with disturbed_call(travelling, store, page) as call:
            for interrupt in (_workers, _restarts, _moves, _deaths, _pauses, _everything_replaced, _store):
                for _ in range(times):
                    interrupt(call)
            call.start_own_relay()
        with conversing_call(travelling, store, page, backend) as conversation:
            for disturb in (
                _conversation_moves,
                _conversation_outlives,
                _conversation_is_fenced,
                _conversation_goes_on,
            ):
                for _ in range(times):
                    disturb(conversation)
            conversation.start_own_relay()
        for _ in range(times):
            _everything(travelling, store, page, backend)


# An echo


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
    cost = _count("transceiver paused", call, lambda: call.pause(owner), 0.5)
    assert cost.senders == _OWNERS


def _store(call: DisturbedCall) -> None:
    _count("Redis started again", call, call.restart_store, 1.0)
    _wait_for_members(call)


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
) -> Cost:
    cost = call.count(happening, seconds, behind_check=behind_check)
    _say(what, cost=attrs.asdict(cost))
    return cost


# A conversation


def _conversation_moves(call: ConversingCall) -> None:
    """Replace its transceiver, and then the relay, as `_everything_replaced` does."""
    call.travelling.lead_to("a")
    owner = call.owner_with_record()
    call.begin()
    drained = call.count(lambda: call.start_draining(owner), 1.0)
    call.hush()  # at some time its backend is connected anew, and an answer would be cut
    call.wait_for_end(owner)
    call.speak()
    call.edge.start(owner)
    replaced = call.count(call.reload_relay, 1.0)
    conversed = call.finish().to_json()
    _say("realtime: transceiver drained", cost=attrs.asdict(drained), conversed=conversed)
    _say("realtime: relay replaced", cost=attrs.asdict(replaced), conversed=conversed)
    call.wait("the transceiver is back", lambda: call.is_ready(owner))


def _conversation_outlives(call: ConversingCall) -> None:
    owner = _begin_on_record(call)
    _count_conversed("transceiver killed", call, lambda: call.kill(owner), 2.0)


def _conversation_is_fenced(call: ConversingCall) -> None:
    owner = _begin_on_record(call)
    cost = _count_conversed("transceiver paused", call, lambda: call.pause(owner), 1.0)
    assert cost.senders == _OWNERS


def _conversation_goes_on(call: ConversingCall) -> None:
    call.begin()
    _count_conversed("Redis started again", call, call.restart_store, 1.0)
    _wait_for_members(call)


def _begin_on_record(call: ConversingCall) -> str:
    """Begin to converse, and return the owner when another could go on with it."""
    call.begin()
    began = time.monotonic()
    for name in call.travelling.missing()[: len(_FIRST) - len(call.running())]:
        call.start(name)
    owner = call.owner_with_record()
    time.sleep(max(0.0, began + _RECORDED_SECONDS - time.monotonic()))
    return owner


def _count_conversed(what: str, call: ConversingCall, happening: Callable[[], object], seconds: float) -> Cost:
    cost = call.count(happening, seconds)
    _say(f"realtime: {what}", cost=attrs.asdict(cost), conversed=call.finish().to_json())
    return cost


# Both, and everything


def _everything(travelling: Journey, store: Store, page: Page, backend: NumberingBackend) -> None:
    for name in travelling.running()[1:]:  # so one gets both calls
        travelling.edge.processes[name].send_signal(signal.SIGTERM)
        assert travelling.edge.processes[name].wait(10) == 0
    other = page.context.new_page()
    other.goto(travelling.edge.signal_url)
    with (
        disturbed_call(travelling, store, page) as call,
        conversing_call(travelling, store, other, backend) as conversation,
    ):
        second, joins = travelling.missing()
        call.start(second)
        passed = go_through_everything([call, conversation], joins, rebind_seconds=_REBIND_SECONDS)
    other.close()
    _say("everything", echo=passed[0].to_json(), realtime=passed[1].to_json())


def _wait_for_members(call: DisturbedCall) -> None:
    members = len(call.running()) + len(RELAYS) + 1
    call.wait("all are listed again", lambda: lists(call.store, members))


def _say(what: str, **facts: object) -> None:
    print(json.dumps({"what": what, **facts}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
