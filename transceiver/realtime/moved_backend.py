"""What goes on with the same backend when its call moves: only an exact move through a tunnel takes it along.

As JSON types; a part of what `memory` writes, beside the conversation and what is being said:

    sent      the newest events that went to the backend, whose errors are still to be told to who has sent them
    updates   that the backend has not answered, in order
    replayed  items that it was told again, and whose echo nobody is told
    uplink    what the caller has said and the backend has not got, and how much it has

A reader takes all of it or nothing. Sidebands do not move: what they have sent is nobody's from then on.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping

from transceiver.realtime.audience import Audience, Party
from transceiver.realtime.backend_side import BackendSide
from transceiver.realtime.correlation import Sent
from transceiver.realtime.fields import Event, integer_at, list_at, mapping_at, text_at
from transceiver.realtime.parts import Parts
from transceiver.realtime.rate_limit import RateLimit
from transceiver.realtime.session_updates import PendingUpdate

__all__ = ["resume_backend", "write_backend"]

_MAX_SENT = 128
_MAX_NAME = 256
_MAX_UPDATES = 64
_MAX_REPLAYED = 1024
_MAX_PENDING = 65_536
_CLIENT, _OURS, _GONE = "client", "ours", "gone"


def write_backend(parts: Parts, backend: BackendSide, now: float) -> dict[str, object]:
    """Write what the bridge of another process needs to go on with this backend. Nothing of it changes."""
    uplink = parts.uplink
    return {
        "sent": [
            [sent_id, _origin_of(sent.party), sent.event_id, sent.name, sent.item_id]
            for sent_id, sent in list(backend._correlation._sent.items())[-_MAX_SENT:]
            if max(len(sent_id), len(sent.event_id or ""), len(sent.name)) <= _MAX_NAME
        ],
        "updates": [
            {
                "patch": dict(update.patch),
                "left": None if update.deadline is None else max(0.0, update.deadline - now),
                "sent_id": update.sent_id,
                "flags": [update.is_from_client, update.is_for_backend, update.is_answered],
            }
            for update in parts.updates._waiting
        ],
        "replayed": sorted(backend._replayed),
        "retrieves": backend.retrieves,
        "is_caller_speaking": parts.tally.is_caller_speaking,
        "uplink": {
            "pending": b64encode(bytes(uplink._pending)).decode(),
            "sent": uplink._sent,
            "is_started": uplink.is_started,
            "is_update_awaited": uplink._is_update_awaited,
        },
    }


def resume_backend(parts: Parts, backend: BackendSide, record: Event, now: float) -> bool:
    """Go on with the backend of another process's bridge.

    Args:
        parts: of a bridge that is new, with the conversation that was remembered.
        backend: of the same.
        record: what `write_backend` returned; anything else is left alone.
        now: monotonic seconds.

    Returns:
        Whether it goes on; if not, nothing has changed.
    """
    uplink = mapping_at(record, "uplink")
    sent_bytes = integer_at(uplink, "sent")
    try:
        pending = b64decode(text_at(uplink, "pending"), validate=True)
    except (ValueError, binascii.Error):
        return False
    updates = [_read_update(each, now) for each in list_at(record, "updates")]
    sent = [_read_sent(each, parts.audience, now) for each in list_at(record, "sent")[:_MAX_SENT]]
    if sent_bytes is None or sent_bytes < 0 or len(pending) > _MAX_PENDING or len(updates) > _MAX_UPDATES:
        return False
    if any(each is None for each in (*updates, *sent)):
        return False
    for update in updates:
        if update is not None:
            parts.updates.add(update)
    for entry in sent:
        if entry is not None:
            backend._correlation._sent[entry[0]] = entry[1]
    replayed = list_at(record, "replayed")[:_MAX_REPLAYED]
    backend._replayed |= {each for each in replayed if isinstance(each, str)}
    backend.retrieves = record.get("retrieves") is True
    parts.tally.is_caller_speaking = record.get("is_caller_speaking") is True
    parts.uplink._pending += pending
    parts.uplink._sent = sent_bytes
    parts.uplink.is_started = uplink.get("is_started") is True
    parts.uplink._is_update_awaited = uplink.get("is_update_awaited") is True
    backend.go_on()
    return True


def _origin_of(party: Party | None) -> str:
    if party is None:
        return _OURS
    return _CLIENT if party.is_client else _GONE


def _read_sent(value: object, audience: Audience, now: float) -> tuple[str, Sent] | None:
    match value:
        case [str(sent_id), str(origin), str() | None as event_id, str(name), str(item_id)]:
            party = {_CLIENT: audience.client, _OURS: None}.get(origin, _nobody(now))
            return sent_id, Sent(party=party, event_id=event_id, name=name, item_id=item_id[:_MAX_NAME])
        case _:
            return None


def _nobody(now: float) -> Party:
    """Somebody who has gone: is told nothing."""
    return Party(number=-1, events=RateLimit(0.0, 0, now), errors=RateLimit(0.0, 0, now))


def _read_update(value: object, now: float) -> PendingUpdate | None:
    match value:
        case {
            "patch": Mapping() as patch,
            "left": int() | float() | None as left,
            "sent_id": str() | None as sent_id,
            "flags": [bool(is_from_client), bool(is_for_backend), bool(is_answered)],
        }:
            return PendingUpdate(
                patch=patch,
                deadline=None if left is None else now + min(max(0.0, left), 3600.0),
                is_from_client=is_from_client,
                sent_id=sent_id,
                is_for_backend=is_for_backend,
                is_answered=is_answered,
            )
        case _:
            return None
