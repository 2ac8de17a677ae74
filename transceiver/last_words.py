"""What a client is told when its call ends because its transceiver does: to place the call again.

A call ends so when nobody could take it by the deadline of a drain, and where calls do not move. Its client cannot tell
a transceiver that stops from one that hangs up; the event says which it was. It goes where the client listens for
events, and to sidebands; a client without a channel for events is told nothing.

What ends the call is sent behind the event, at best in the same flight. A datagram that is lost would take the event
with it, so the end waits until SCTP has been told that it came, but no longer than `PATIENCE`: a client that is away
holds up nobody.
"""

from collections.abc import Iterable

import trio

from transceiver.events_channel import EVENTS_LABEL
from transceiver.realtime.identifiers import Identifiers
from transceiver.realtime.required_keys import complete
from transceiver.realtime.serialization import serialize_event
from transceiver.realtime.server_events import server_shutting_down
from transceiver.registry import Call
from wire.core import Entropy
from wire.errors import LocalProtocolError

__all__ = ["PATIENCE", "say_last_words", "wait_until_heard"]

PATIENCE = 0.5
"""Seconds until calls end whose clients have not acknowledged the event: two round trips of a far one, or the time in
which SCTP sends again what was lost on a short way."""

_GLANCE = 0.02


def say_last_words(call: Call, entropy: Entropy, now: float) -> None:
    """Tell whoever listens to a call's events that its server is about to end it.

    Args:
        call: which; one that is held has its last word elsewhere.
        entropy: names the event of a call without a backend.
        now: monotonic seconds.
    """
    if call.leg is not None:
        call.leg.server_stops(now)
        return
    data = call.session.data
    channels = {} if data is None else data.channels.channels
    text = serialize_event(complete(server_shutting_down(), Identifiers(entropy).fresh, 0))
    for channel_id, channel in channels.items():
        if channel.label == EVENTS_LABEL and text is not None:
            try:
                call.session.send_message(channel_id, text, now)
            except LocalProtocolError:
                continue  # it does not read, or takes no message so long


async def wait_until_heard(calls: Iterable[Call]) -> None:
    """Wait until the clients of calls have acknowledged all that they were told, but `PATIENCE` at most.

    Cancellation leaves the calls as they are.
    """
    waiting = list(calls)
    with trio.move_on_after(PATIENCE):
        while waiting := [call for call in waiting if _is_waiting(call)]:  # noqa: ASYNC110 - cores know no Trio
            await trio.sleep(_GLANCE)


def _is_waiting(call: Call) -> bool:
    session = call.session
    return session.closed is None and session.data is not None and not session.data.is_acknowledged
