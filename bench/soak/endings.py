"""Every way in which a call ends, or does not come about.

What the transceiver has to make of each is said beside it: the reason under which it counts the end.
"""

from collections.abc import Awaitable, Callable

import attrs
import trio

from bench.soak.attempt import Attempt, see_it_end
from bench.soak.conversing import Talk
from edge.caller.events import EventChannel
from edge.caller.placing import Call
from edge.caller.signalling import CallFailed

__all__ = ["ENDINGS", "Ending"]


@attrs.frozen(kw_only=True)
class Ending:
    """A way to end.

    Attributes:
        name: for people.
        live: lives through a call that ends so.
        counted: what the transceiver counts, one of these for each call; the event's name in its metrics.
        is_silent: the transceiver needs its 30 s to notice.
    """

    name: str
    live: Callable[[Attempt], Awaitable[None]]
    counted: frozenset[str]
    is_silent: bool = False


# By the application -------------------------------------------------------------------------------------------------


async def _delete(attempt: Attempt) -> None:
    async with attempt.talking() as call:
        await attempt.means.signal.end(call.path)
        await see_it_end(call)


async def _hang_up_by_secret(attempt: Attempt) -> None:
    key = await attempt.means.mint()
    async with attempt.talking_by_secret(key) as call:
        await attempt.means.post(f"{call.path}/hangup", {}, key)
        await see_it_end(call)


async def _reach_the_limit(attempt: Attempt) -> None:
    key = await attempt.means.mint(max_call=5)
    async with attrs.evolve(attempt, talk=Talk.SILENT).talking_by_secret(key) as call:
        await see_it_end(call)


# By the browser, with a word ----------------------------------------------------------------------------------------


async def _reset_the_channel(attempt: Attempt) -> None:
    await _end_events(attempt, EventChannel.close_channel)


async def _shut_the_association_down(attempt: Attempt) -> None:
    await _end_events(attempt, EventChannel.close)


async def _abort_the_association(attempt: Attempt) -> None:
    await _end_events(attempt, EventChannel.abort)


async def _end_events(attempt: Attempt, end: Callable[[EventChannel, float], None]) -> None:
    async with attempt.talking() as call:
        assert call.session.events is not None  # it has just talked over it
        now = trio.current_time()
        end(call.session.events, now)
        call.line.flush(now)
        await see_it_end(call)


async def _close_the_page(attempt: Attempt) -> None:
    async with attempt.talking() as call:
        _say_goodbye(call)


async def _close_dtls(attempt: Attempt) -> None:
    async with attempt.talking() as call:
        call.session.media = call.session.events = None  # they would say goodbye first
        _say_goodbye(call)


def _say_goodbye(call: Call) -> None:
    now = trio.current_time()
    call.session.hang_up(now)
    call.line.flush(now)


# Without a word -----------------------------------------------------------------------------------------------------


async def _vanish(attempt: Attempt) -> None:
    async with attempt.talking() as call:
        attempt.means.keep_ports(call.line)


async def _vanish_in_the_handshake(attempt: Attempt) -> None:
    async with attempt.begun() as call:
        attempt.means.keep_ports(call.line)


async def _never_come(attempt: Attempt) -> None:
    signalled = await attempt.means.signal.offer(attempt.offer())
    attempt.placed(signalled.path)


# Refused ------------------------------------------------------------------------------------------------------------


async def _offer_what_is_refused(attempt: Attempt) -> None:
    without_security = attempt.offer().replace("a=fingerprint:", "a=no-fingerprint:")
    try:
        await attempt.means.signal.offer(without_security)
    except CallFailed:
        return
    raise CallFailed("an offer without a fingerprint was answered")


ENDINGS = (
    Ending(name="DELETE", live=_delete, counted=frozenset({"ended-hang-up"})),
    Ending(name="channel reset", live=_reset_the_channel, counted=frozenset({"ended-client-hung-up"})),
    Ending(name="vanished", live=_vanish, counted=frozenset({"ended-consent-expired"}), is_silent=True),
    Ending(name="SCTP shutdown", live=_shut_the_association_down, counted=frozenset({"ended-client-hung-up"})),
    Ending(name="hung up by secret", live=_hang_up_by_secret, counted=frozenset({"ended-hang-up"})),
    Ending(
        name="all goodbyes of a page",
        live=_close_the_page,
        counted=frozenset({"ended-client-hung-up", "ended-close-notify"}),
    ),
    Ending(name="never came", live=_never_come, counted=frozenset({"ended-never-connected"}), is_silent=True),
    Ending(name="SCTP abort", live=_abort_the_association, counted=frozenset({"ended-client-hung-up"})),
    Ending(name="refused offer", live=_offer_what_is_refused, counted=frozenset({"refused-offer"})),
    Ending(name="longest call", live=_reach_the_limit, counted=frozenset({"ended-max-call"})),
    Ending(
        name="vanished in the handshake",
        live=_vanish_in_the_handshake,
        counted=frozenset({"ended-never-connected", "ended-consent-expired"}),
        is_silent=True,
    ),
    Ending(name="close_notify", live=_close_dtls, counted=frozenset({"ended-close-notify"})),
)
"""In this order, in turn."""
