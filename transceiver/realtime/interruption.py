"""Cutting the agent off, and telling everybody how much of it was heard.

In WebRTC the server owns interruption: only it knows what was played. In this order: the queue is emptied, so that the
next frame is silence; the client learns that (`output_audio_buffer.cleared`); the backend learns what was heard
(`conversation.item.truncate`), so that the model does not believe it said more. That the response was cancelled is the
backend's to say, with `response.done`; a backend that does not cancel by itself is asked to.
"""

from collections.abc import Callable

from transceiver.realtime.fields import Event
from transceiver.realtime.parts import Parts
from transceiver.realtime.server_events import item_truncated, output_audio_buffer

__all__ = ["cut_off", "tell_playing"]


def tell_playing(parts: Parts) -> None:
    """Tell everybody which response begins and ends to be heard."""
    for what, response_id in parts.playback.progress():
        parts.audience.broadcast(output_audio_buffer(what, response_id))


def cut_off(parts: Parts, send: Callable[[Event], None]) -> bool:
    """Fall silent, and tell everybody.

    Args:
        parts: of the bridge.
        send: sends an event of the bridge's own to the backend.

    Returns:
        Whether there was anything to cut off.
    """
    tell_playing(parts)
    notices, cuts = parts.playback.flush()
    for what, response_id in notices:
        parts.audience.broadcast(output_audio_buffer(what, response_id))
    for cut in cuts:
        speech = cut.speech
        parts.items.truncate(speech.item_id, speech.content_index, cut.share)
        if parts.profile.truncates:
            send(
                {
                    "type": "conversation.item.truncate",
                    "item_id": speech.item_id,
                    "content_index": speech.content_index,
                    "audio_end_ms": cut.audio_end_ms,
                }
            )
        else:
            parts.audience.broadcast(item_truncated(speech.item_id, speech.content_index, cut.audio_end_ms))
    return bool(notices)
