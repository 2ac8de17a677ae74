"""All of it in one call of Chromium's: what an operator may do to a fleet, and what may befall it, one after the other.

The call is drained from A to B, C is added, A and every relay are started again, Redis is, the client's address
changes, B is killed; and in the end the call is hung up by its id.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import attrs

from .interruptions import Cost, DisturbedCall, audio_times
from .sniffing import Sniffer, sniffing
from .travelling import RELAYS

__all__ = ["Passed", "go_through_everything"]

_TWO_FRAMES = 0.04
_REBIND_SECONDS = 10.0
"""Chromium's checks alone notice a new address, and come every 2.5 s; a busy machine may make it miss one."""


@attrs.frozen(kw_only=True)
class Passed:
    """How a call came through.

    Attributes:
        rebind: what the change of the client's address cost.
        addresses: the client's, before and after, as the transceiver has known it.
        gaps_ms: the longest silence in each step.
        seen: what the browser has seen of it until it was hung up.
    """

    rebind: Cost
    addresses: tuple[str, str]
    gaps_ms: Mapping[str, float]
    seen: Mapping[str, Any]


def go_through_everything(call: DisturbedCall, joins: str, *, rebind_seconds: float = _REBIND_SECONDS) -> Passed:
    """Do it.

    Args:
        call: two transceivers run, of which one has it.
        joins: the transceiver that does not run yet.
        rebind_seconds: how long to watch behind the change of the address.

    Raises:
        AssertionError: something did not reach its place.
    """
    first = call.owner_with_record()
    (second,) = (name for name in call.running() if name != first)
    steps: list[tuple[float, str]] = []

    def begin(step: str) -> None:
        steps.append((time.monotonic(), step))

    with sniffing(call.travelling.client) as client:
        begin("drained")
        call.drain(first)
        assert call.owner() == second
        begin("joined by another, and the first again")
        call.start(joins)
        call.start(first)
        for relay in RELAYS:
            begin(f"relay {relay} started again")
            call.restart_relay(f"relay-{relay}")
            call.wait(f"relay {relay} is back", lambda name=f"relay-{relay}": call.is_ready(name))
        begin("Redis started again")
        created = call.created()
        call.restart_store()
        time.sleep(0.5)
        begin("rebound")
        before = call.client_host()
        rebind = call.count(call.travelling.rebind, rebind_seconds, behind_check=True)
        after = call.client_host()
        assert before != after == call.travelling.client_address
        call.wait("the store has a record again", lambda: call.created() > created)
        begin("killed")
        call.kill(second)
        assert call.owner() in (first, joins)
        time.sleep(1.5)
        begin("over")
    seen = call.seen()
    # Right behind a death, the answer may be 503 with a time to try again.
    call.wait("any signal node finds it by its id", lambda: call.hang_up() == HTTPStatus.OK)
    call.wait("it has ended", lambda: not any(map(call.calls_of, call.running())))
    assert call.edge.call_state(call.location) is None
    return Passed(rebind=rebind, addresses=(before, after), gaps_ms=_gaps(client, steps), seen=seen)


def _gaps(client: Sniffer, steps: Sequence[tuple[float, str]]) -> dict[str, float]:
    """The longest silence that began in each step, in milliseconds."""
    gaps = {step: 0.0 for _, step in steps[:-1]}
    for begin, end in itertools.pairwise(audio_times(client)):
        step = next((step for at, step in reversed(steps) if at <= begin + _TWO_FRAMES), "over")
        if step in gaps:
            gaps[step] = max(gaps[step], round(1000 * (end - begin), 1))
    return gaps
