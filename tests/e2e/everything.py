"""All of it in one call of Chromium's: what an operator may do to a fleet, and what may befall it, one after the other.

The call is drained from A to B, C is added, A and every relay are started again, Redis is, the client's address
changes, B is killed; and in the end the call is hung up by its id. Several calls may go through it together.
"""

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import attrs

from .conversing import Conversed, ConversingCall
from .costs import departures
from .interruptions import DisturbedCall, troubles
from .sniffing import Sniffer, sniffing
from .stalls import silences
from .travelling import RELAYS

__all__ = ["REBOUND", "Passed", "go_through_everything"]

REBOUND = "rebound"
_LATE = 0.1
"""Seconds before a step in which a silence may begin that is the step's: a frame, and what a busy machine adds."""
_REBIND_SECONDS = 10.0
"""Chromium's checks alone notice a new address, and come every 2.5 s; a busy machine may make it miss one."""
_NUMBER_EVERY_MS = 400
"""As many as a conversation remembers are not said in this time."""


@attrs.frozen(kw_only=True)
class Passed:
    """How a call came through.

    Attributes:
        addresses: the client's, before and after it changed, as the transceiver has known it.
        gaps_ms: the longest silence in each step.
        seen: what the browser has seen of it until it was hung up.
        conversed: what became of its conversation; None for an echo.
    """

    addresses: tuple[str, str]
    gaps_ms: Mapping[str, float]
    seen: Mapping[str, Any]
    conversed: Conversed | None

    def to_json(self) -> dict[str, object]:
        """All of it, as JSON types."""
        conversed = None if self.conversed is None else self.conversed.to_json()
        return {**attrs.asdict(self, recurse=False), "conversed": conversed, "troubles": troubles(self.seen)}


def go_through_everything(
    calls: Sequence[DisturbedCall], joins: str, *, rebind_seconds: float = _REBIND_SECONDS
) -> list[Passed]:
    """Do it.

    Args:
        calls: two transceivers run, of which one has them all. The client's address changes right after the first one
            has checked its path.
        joins: the transceiver that does not run yet.
        rebind_seconds: how long to watch behind the change of the address.

    Returns:
        How each came through.

    Raises:
        AssertionError: something did not reach its place.
    """
    call = calls[0]
    edge, travelling = call.edge, call.travelling
    conversations = [each for each in calls if isinstance(each, ConversingCall)]
    first = call.owner_with_record()
    (second,) = (name for name in call.running() if name != first)
    steps: list[tuple[float, str]] = []

    def begin(step: str) -> None:
        steps.append((time.monotonic(), step))

    for conversation in conversations:
        conversation.begin(_NUMBER_EVERY_MS)
    with sniffing(travelling.client) as client:
        begin("drained")
        call.start_draining(first)
        assert call.calls_of(second) == len(calls)
        time.sleep(0.5)
        for conversation in conversations:
            conversation.hush()
        call.wait_for_end(first)
        for conversation in conversations:
            conversation.speak()
        begin("joined by another, and the first again")
        for name in (joins, first):
            edge.start(name)
        for name in (joins, first):
            call.wait(f"{name} is ready", lambda name=name: call.is_ready(name))
        for relay in RELAYS:
            begin(f"relay {relay} started again")
            call.restart_relay(f"relay-{relay}")
            call.wait(f"relay {relay} is back", lambda name=f"relay-{relay}": call.is_ready(name))
        begin("Redis started again")
        created = call.created()
        call.restart_store()
        time.sleep(0.5)
        before = [each.client_host() for each in calls]
        call.wait_for_check(client)
        begin(REBOUND)
        travelling.rebind()
        time.sleep(rebind_seconds)
        after = [each.client_host() for each in calls]
        assert {*after} == {travelling.client_address} != {*before}
        call.wait("the store has all records again", lambda: call.created() >= created + len(calls))
        begin("killed")
        for conversation in conversations:
            conversation.disturbed_at = time.monotonic()
        call.kill(second)
        call.wait("others have them", lambda: call.calls_of(first) + call.calls_of(joins) == len(calls))
        time.sleep(1.5)
        begin("over")
    conversed = [each.finish() if isinstance(each, ConversingCall) else None for each in calls]
    seen = [each.seen() for each in calls]
    for each in calls:
        # Right behind a death, the answer may be 503 with a time to try again.
        call.wait("any signal node finds it by its id", lambda each=each: each.hang_up() == HTTPStatus.OK)
    call.wait("they have ended", lambda: not any(map(call.calls_of, call.running())))
    assert not any(edge.call_state(each.location) for each in calls)
    return [
        Passed(
            addresses=addresses,
            gaps_ms=_gaps(each, client, steps),
            seen=each_seen,
            conversed=each_conversed,
        )
        for each, addresses, each_seen, each_conversed in zip(
            calls, zip(before, after, strict=True), seen, conversed, strict=True
        )
    ]


def _gaps(call: DisturbedCall, client: Sniffer, steps: Sequence[tuple[float, str]]) -> dict[str, float]:
    """The longest silence that began in each step, in milliseconds, at least up to the end of all."""
    gaps = {step: 0.0 for _, step in steps[:-1]}
    over, _ = steps[-1]
    for silence in silences([*(at for at in call.audio_times(client) if at < over), over], departures(client)):
        step = next((step for at, step in reversed(steps) if at <= silence.begin + _LATE), "over")
        if step in gaps:
            gaps[step] = max(gaps[step], round(1000 * silence.seconds, 1))
    return gaps
