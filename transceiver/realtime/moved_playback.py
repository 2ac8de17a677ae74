"""What is being said while a call moves: which responses, how far they were heard, and the speech that waits.

Only an exact move takes it along: after a crash nobody knows what of the speech was heard since the snapshot. As JSON
types, audio in base64; a part of what `memory` writes.

    rate       of the PCM, in Hz
    responses  that are not over, and which speeches belong to them
    speeches   those that wait, and how much was received and sent of each that an interruption may ask for
    queue      numbers of `speeches` in the order in which they are said, and the state of the queue itself

A reader takes all of it or nothing: what is half of it would be told wrong.
"""

from base64 import b64decode, b64encode

from transceiver.audio.speech_queue import MAX_KNOWN, Drained, SpeechQueue, Started, _Track
from transceiver.backends.contract import Speech
from transceiver.realtime.fields import Event, integer_at, list_at, mapping_at, text_at
from transceiver.realtime.playback import Playback, SpokenResponse
from transceiver.realtime.states import PlayingState

__all__ = ["MAX_MOVED_SPEECH", "resume_playback", "write_playback"]

MAX_MOVED_SPEECH = 576_000
"""Bytes of PCM that wait, beyond which none moves: 12 s at 24 kHz. All of a snapshot has to fit into one request."""
_MAX_NAME = 256
_MAX_RESPONSES = 32
_SAMPLE = 2


class _Unreadable(Exception):  # noqa: N818 - named for what happened
    """It is not what `write_playback` writes."""


def write_playback(playback: Playback) -> dict[str, object] | None:
    """Write what is being said; None when too much waits. Nothing of it changes."""
    queue = playback._queue
    if queue.waiting_bytes > MAX_MOVED_SPEECH:
        return None
    responses = [r for r in playback._responses.values() if not (r.is_done and r.state is PlayingState.OVER)]
    asked_for = {speech for response in responses for speech in response.speeches}
    tracks = [
        track
        for speech, track in queue._known.items()
        if speech in asked_for or track.waiting.size or track is queue._current
    ]
    numbers = {id(track): number for number, track in enumerate(tracks)}
    return {
        "rate": queue.rate,
        "responses": [
            {
                "id": response.response_id,
                "is_done": response.is_done,
                "is_cancelled": response.is_cancelled,
                "state": response.state.value,
                "speeches": [[each.response_id, each.item_id, each.content_index] for each in response.speeches],
            }
            for response in responses
        ],
        "speeches": [
            {
                "speech": [track.speech.response_id, track.speech.item_id, track.speech.content_index],
                "waiting": b64encode(track.waiting.copy()).decode(),
                "half": b64encode(track.half).decode(),
                "received": track.received,
                "sent": track.sent,
                "is_cut": track.is_cut,
            }
            for track in tracks
        ],
        "queue": {
            "order": [numbers[id(track)] for track in queue._queued],
            "finished": sorted(queue._finished),
            "speaking": queue._speaking,
            "current": None if queue._current is None else numbers[id(queue._current)],
            "is_waiting": queue._is_waiting,
            "events": [
                [type(event) is Started, event.response_id]
                for event in queue.events
                if isinstance(event, Started | Drained)
            ],
        },
    }


def resume_playback(playback: Playback, record: Event) -> bool:
    """Go on saying what another process has begun to say.

    Args:
        playback: new, and its queue too.
        record: what `write_playback` returned; anything else is left alone.

    Returns:
        Whether it goes on; if not, nothing has changed.
    """
    queue = playback._queue
    if integer_at(record, "rate") != queue.rate:
        return False  # another backend than the one that has spoken, or none has
    try:
        responses = [_read_response(each) for each in list_at(record, "responses")[:_MAX_RESPONSES]]
        tracks = [_read_track(each) for each in list_at(record, "speeches")[:MAX_KNOWN]]
        _resume_queue(queue, tracks, mapping_at(record, "queue"))
    except (_Unreadable, ValueError):
        return False
    for response in responses:
        playback._responses[response.response_id] = response
    return True


def _resume_queue(queue: SpeechQueue, tracks: list[_Track], state: Event) -> None:
    order = [_track_at(tracks, number) for number in list_at(state, "order")]
    current = None if state.get("current") is None else _track_at(tracks, state.get("current"))
    speaking = state.get("speaking")
    size = sum(track.waiting.size for track in tracks)
    waits = {id(track) for track in tracks if track.waiting.size}
    if not isinstance(speaking, str | None) or (speaking is None) != (current is None) or size > MAX_MOVED_SPEECH:
        raise _Unreadable
    if len(order) != len(waits) or {id(track) for track in order} != waits:
        raise _Unreadable
    events = [_read_event(each) for each in list_at(state, "events")[:MAX_KNOWN]]
    finished = {_text(each) for each in list_at(state, "finished")[:MAX_KNOWN]}
    queue._known.update({track.speech: track for track in tracks})
    queue._queued.extend(order)
    queue._size = size
    queue._finished |= finished
    queue._speaking, queue._current = speaking, current
    queue._is_waiting = state.get("is_waiting") is True
    queue.events += events


def _read_response(value: object) -> SpokenResponse:
    record = _mapping(value)
    return SpokenResponse(
        response_id=_text(record.get("id")),
        is_done=record.get("is_done") is True,
        is_cancelled=record.get("is_cancelled") is True,
        state=PlayingState(text_at(record, "state")),
        speeches=[_read_speech(each) for each in list_at(record, "speeches")[:_MAX_RESPONSES]],
    )


def _read_track(value: object) -> _Track:
    record = _mapping(value)
    waiting, half = (b64decode(text_at(record, key), validate=True) for key in ("waiting", "half"))
    received, sent = integer_at(record, "received"), integer_at(record, "sent")
    if received is None or sent is None or len(waiting) % _SAMPLE or len(half) >= _SAMPLE:
        raise _Unreadable
    if sent < 0 or received < sent + len(waiting) // _SAMPLE:  # what was cut off is neither
        raise _Unreadable
    track = _Track(_read_speech(record.get("speech")), half=half, received=received, sent=sent)
    track.is_cut = record.get("is_cut") is True
    if waiting:
        track.waiting.append(waiting)
    return track


def _read_event(value: object) -> Started | Drained:
    match value:
        case [bool(is_start), str(response_id)]:
            return Started(response_id=response_id) if is_start else Drained(response_id=response_id)
        case _:
            raise _Unreadable


def _read_speech(value: object) -> Speech:
    match value:
        case [str(response_id), str(item_id), int(index)] if len(response_id) <= _MAX_NAME >= len(item_id):
            return Speech(response_id, item_id, index)
        case _:
            raise _Unreadable


def _track_at(tracks: list[_Track], number: object) -> _Track:
    if type(number) is not int or not 0 <= number < len(tracks):
        raise _Unreadable
    return tracks[number]


def _mapping(value: object) -> Event:
    if not isinstance(value, dict):
        raise _Unreadable
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_NAME:
        raise _Unreadable
    return value
