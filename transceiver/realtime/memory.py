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

As JSON, at most `MAX_MEMORY` bytes, or `MAX_EXACT_MEMORY` with speech. A reader ignores what it does not know,
and takes the default for what is missing.
"""

import json
from collections.abc import Mapping

from transceiver.realtime.fields import Event, list_at, mapping_at, text_at
from transceiver.realtime.moved_playback import resume_playback, write_playback
from transceiver.realtime.parts import Parts
from transceiver.realtime.server_events import output_audio_buffer, response_failed, session_event

__all__ = ["MAX_EXACT_MEMORY", "MAX_MEMORY", "recall", "remember"]

MAX_MEMORY = 262_144
MAX_EXACT_MEMORY = 850_000
"""With it a call still fits into one request to another transceiver (`edge.control.server.CONTROL_LIMITS`)."""
_VERSION = 1
_MAX_RESPONSES = 32


def remember(parts: Parts, *, has_backend: bool, is_exact: bool = False) -> bytes:
    """Write what another bridge needs to go on.

    Args:
        parts: of the bridge.
        has_backend: whether a backend was ever connected, and has been told things.
        is_exact: whether nothing happens any more before another bridge goes on; what is being said is written then.
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
        exact = json.dumps({**memory, "playback": said}).encode()
        if len(exact) <= MAX_EXACT_MEMORY:
            return exact
    return written


def recall(parts: Parts, data: bytes, now: float) -> bool:
    """Take over what another bridge has written, and tell the client what has become of what was under way.

    Args:
        parts: of a bridge that is new.
        data: what `remember` returned; anything else is nothing.
        now: monotonic seconds.

    Returns:
        Whether there was a backend that had been told things.
    """
    try:
        memory = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(memory, Mapping):
        return False
    configuration, audience = parts.configuration, parts.audience
    configuration.session_id = text_at(memory, "session_id") or configuration.session_id
    configuration.model = text_at(memory, "model") or configuration.model
    configuration.wanted = mapping_at(memory, "wanted")
    configuration.reported = mapping_at(memory, "reported")
    parts.items.from_records(each for each in list_at(memory, "items") if isinstance(each, Mapping))
    if memory.get("is_client_open") is True:
        parts.uplink.channel_opened(now)
        audience.resume_client(speaks_beta=memory.get("speaks_beta") is True)
    if memory.get("is_listening") is True:
        parts.uplink.update_answered()
    for patch in list_at(memory, "updates"):
        if isinstance(patch, Mapping):
            configuration.adopt(patch)
            audience.broadcast(session_event("session.updated", configuration.shown()))
            parts.uplink.update_answered()
    if not resume_playback(parts.playback, mapping_at(memory, "playback")):
        for response_id in _names(memory, "heard"):
            audience.broadcast(output_audio_buffer("cleared", response_id))
    for response_id in _names(memory, "responses"):
        audience.broadcast(response_failed(response_id))
        for what, ended in parts.playback.complete(response_id):
            audience.broadcast(output_audio_buffer(what, ended))
    return memory.get("has_backend") is True


def _names(memory: Event, key: str) -> list[str]:
    return [each for each in list_at(memory, key) if isinstance(each, str)][:_MAX_RESPONSES]
