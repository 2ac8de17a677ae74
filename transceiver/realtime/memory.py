"""What a bridge remembers when its call moves to another transceiver, where the backend is connected anew.

A backend's connection cannot move, so it is with it as with a backend that was lost: another one is told the session's
configuration and what was said (`items.replay`), and whatever was under way is ended for the client, in the protocol's
own words. What is different is that the bridge is another one, too:

    session's name, configuration    as they are; the client sees no second `session.created`
    updates that wait for an answer  are answered: what they set counts as soon as there is a backend
    responses in progress            `response.done`, failed; those that were being heard, `output_audio_buffer.cleared`
    items                            as they are, with the words that are known of them; the oldest are left out first
    the client                       whether it listens, and in which dialect

What was received of a response is still said when the move is an exact one and not too much of it waits: then nothing
is cleared, and only a response that the backend has not finished is `response.done`, failed (`moved_playback`).

With a ticket for a tunnel the backend stays the same: then nothing has to be ended, and what is under way with the
backend moves, too (`moved_backend`). Who cannot read that goes on as above.

As JSON, at most `MAX_MEMORY` bytes, or `MAX_EXACT_MEMORY` with speech. A reader ignores what it does not know,
and takes the default for what is missing.
"""

import json
from collections.abc import Mapping

import attrs

from transceiver.backends.tunnel_ticket import TunnelTicket
from transceiver.realtime.backend_side import BackendSide
from transceiver.realtime.fields import Event, list_at, mapping_at, text_at
from transceiver.realtime.moved_backend import resume_backend, write_backend
from transceiver.realtime.moved_playback import resume_playback, write_playback
from transceiver.realtime.parts import Parts
from transceiver.realtime.server_events import output_audio_buffer, response_failed, session_event

__all__ = ["MAX_EXACT_MEMORY", "MAX_MEMORY", "Recalled", "recall", "remember"]

MAX_MEMORY = 262_144
MAX_EXACT_MEMORY = 850_000
"""With it a call still fits into one request to another transceiver (`edge.control.server.CONTROL_LIMITS`)."""
_VERSION = 1
_MAX_RESPONSES = 32


def remember(
    parts: Parts,
    *,
    has_backend: bool,
    is_exact: bool = False,
    tunnelled: tuple[TunnelTicket, BackendSide, float] | None = None,
) -> bytes:
    """Write what another bridge needs to go on.

    Args:
        parts: of the bridge.
        has_backend: whether a backend was ever connected, and has been told things.
        is_exact: whether nothing happens any more before another bridge goes on; what is being said is written then.
        tunnelled: for an exact move: how the other bridge gets to the same backend, what is under way with it, and the
            monotonic time in seconds.
    """
    configuration, playback = parts.configuration, parts.playback
    memory: dict[str, object] = {
        "version": _VERSION,
        "session_id": configuration.session_id,
        "model": configuration.model,
        "wanted": configuration.wanted,
        "reported": configuration.reported,
        "updates": [dict(update.patch) for update in parts.updates.unanswered()],
        "responses": playback.in_progress,
        "heard": playback.heard,
        "is_client_open": parts.audience.client.is_open,
        "speaks_beta": parts.audience.client.speaks_beta,
        "is_listening": parts.uplink.is_started,
        "has_backend": has_backend,
        "items": [],
    }
    room = MAX_MEMORY - len(json.dumps(memory))
    items: list[Event] = []
    for record in reversed(parts.items.to_records()):
        room -= len(json.dumps(record)) + 2
        if room < 0:
            break
        items.append(record)
    memory["items"] = items[::-1]
    written = json.dumps(memory).encode()
    if is_exact and (said := write_playback(playback)) is not None:
        memory["playback"] = said
        exact = json.dumps(memory).encode()
        if tunnelled is not None:
            ticket, backend, now = tunnelled
            more = {"tunnel": ticket.to_fields(), "backend": write_backend(parts, backend, now)}
            continued = json.dumps({**memory, **more}).encode()
            if len(continued) <= MAX_EXACT_MEMORY:
                return continued
        if len(exact) <= MAX_EXACT_MEMORY:
            return exact
    return written


@attrs.frozen(kw_only=True)
class Recalled:
    """What a bridge goes on with.

    Attributes:
        has_backend: whether there was a backend that had been told things.
        ticket: the way to that very backend, with which the bridge now is; None when it is to be connected anew.
    """

    has_backend: bool = False
    ticket: TunnelTicket | None = None


def recall(parts: Parts, backend: BackendSide, data: bytes, now: float, *, takes_tunnels: bool = False) -> Recalled:
    """Take over what another bridge has written, and tell the client what has become of what was under way.

    Args:
        parts: of a bridge that is new.
        backend: its side of the backend.
        data: what `remember` returned; anything else is nothing.
        now: monotonic seconds.
        takes_tunnels: whether a tunnel to the same backend could be taken.
    """
    try:
        memory = json.loads(data)
    except (ValueError, RecursionError):
        return Recalled()
    if not isinstance(memory, Mapping):
        return Recalled()
    configuration, audience = parts.configuration, parts.audience
    configuration.session_id = text_at(memory, "session_id") or configuration.session_id
    configuration.model = text_at(memory, "model") or configuration.model
    configuration.wanted = mapping_at(memory, "wanted")
    configuration.reported = mapping_at(memory, "reported")
    parts.items.from_records(each for each in list_at(memory, "items") if isinstance(each, Mapping))
    if memory.get("is_client_open") is True:
        parts.uplink.channel_opened(now)
        audience.resume_client(speaks_beta=memory.get("speaks_beta") is True)
    is_played = resume_playback(parts.playback, mapping_at(memory, "playback"))
    ticket = TunnelTicket.from_fields(mapping_at(memory, "tunnel")) if takes_tunnels and is_played else None
    if (
        ticket is not None
        and ticket.input_rate == parts.profile.input_rate
        and resume_backend(parts, backend, mapping_at(memory, "backend"), now)
    ):
        return Recalled(has_backend=True, ticket=ticket)
    if memory.get("is_listening") is True:
        parts.uplink.update_answered()
    for patch in list_at(memory, "updates"):
        if isinstance(patch, Mapping):
            configuration.adopt(patch)
            audience.broadcast(session_event("session.updated", configuration.shown()))
            parts.uplink.update_answered()
    if not is_played:
        for response_id in _names(memory, "heard"):
            audience.broadcast(output_audio_buffer("cleared", response_id))
    for response_id in _names(memory, "responses"):
        audience.broadcast(response_failed(response_id))
        for what, ended in parts.playback.complete(response_id):
            audience.broadcast(output_audio_buffer(what, ended))
    return Recalled(has_backend=memory.get("has_backend") is True)


def _names(memory: Event, key: str) -> list[str]:
    return [each for each in list_at(memory, key) if isinstance(each, str)][:_MAX_RESPONSES]
