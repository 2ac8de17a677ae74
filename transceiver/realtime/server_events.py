"""Server events that are made here: for what a client must hear of and no backend says.

None has an `event_id` yet; `required_keys.complete` gives it one.
"""

from transceiver.realtime.client_events import Refusal
from transceiver.realtime.fields import Event

__all__ = [
    "backend_disconnected",
    "dtmf_received",
    "item_done",
    "item_retrieved",
    "item_truncated",
    "output_audio_buffer",
    "refused",
    "response_failed",
    "server_shutting_down",
    "session_event",
]


def session_event(name: str, session: Event) -> Event:
    """`session.created` or `session.updated`."""
    return {"type": name, "session": session}


def refused(refusal: Refusal) -> Event:
    """`error`: a client's event was not applied."""
    return {
        "type": "error",
        "error": {
            "type": refusal.type,
            "code": refusal.code,
            "message": refusal.message,
            "param": refusal.param,
            "event_id": refusal.event_id,
        },
    }


def backend_disconnected(event_id: str | None = None) -> Event:
    """`error`: there is no backend, for which reason the operator knows; also in answer to a client's event."""
    message = "The connection to the model was lost."
    return refused(Refusal("backend_disconnected", message, event_id=event_id, type="server_error"))


def server_shutting_down() -> Event:
    """`error`: the call ends with its server, and its client may place it again."""
    message = "The server of this call is shutting down, and the call ends. Place the call again."
    return refused(Refusal("server_shutting_down", message, type="server_error"))


def output_audio_buffer(what: str, response_id: str) -> Event:
    """`output_audio_buffer.started`, `.stopped` or `.cleared`: what a WebRTC client hears instead of audio deltas."""
    return {"type": f"output_audio_buffer.{what}", "response_id": response_id}


def item_truncated(item_id: str, content_index: int, audio_end_ms: int) -> Event:
    """`conversation.item.truncated`: for a backend that cannot forget what was not heard."""
    return {
        "type": "conversation.item.truncated",
        "item_id": item_id,
        "content_index": content_index,
        "audio_end_ms": audio_end_ms,
    }


def item_retrieved(item: Event) -> Event:
    """`conversation.item.retrieved`: from what is remembered here."""
    return {"type": "conversation.item.retrieved", "item": item}


def item_done(item: Event) -> Event:
    """`conversation.item.done`: for a backend that only says `response.output_item.done`."""
    return {"type": "conversation.item.done", "item": item}


def response_failed(response_id: str) -> Event:
    """`response.done` of a response that nobody will finish: a client must not wait for it for ever."""
    error = {"type": "server_error", "code": "backend_disconnected"}
    return {
        "type": "response.done",
        "response": {
            "id": response_id,
            "object": "realtime.response",
            "status": "failed",
            "status_details": {"type": "failed", "error": error},
            "output": [],
        },
    }


def dtmf_received(digit: str, unix_time: float) -> Event:
    """`input_audio_buffer.dtmf_event_received`: the caller pressed a key."""
    return {"type": "input_audio_buffer.dtmf_event_received", "event": digit, "received_at": int(unix_time)}
