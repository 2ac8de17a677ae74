"""With what the new owner of a call takes the tunnel to its backend, and goes on reading where the old one stopped.

It travels inside of the sealed snapshot of an exact move, as JSON types. A reader takes all of it or nothing, and one
of a version without tunnels passes over it.
"""

import binascii
from base64 import b64decode, b64encode
from typing import Self

import attrs

from transceiver.backends.contract import Speech
from transceiver.realtime.fields import Event, integer_at, text_at

__all__ = ["MAX_HOPS", "TOKEN_SIZE", "Reading", "TunnelTicket"]

TOKEN_SIZE = 16
MAX_HOPS = 3
"""Processes that a backend's texts may go through before they reach the owner of the call."""

_MAX_NAME = 256
_MAX_SECONDS = 86_400.0


@attrs.frozen(kw_only=True)
class Reading:
    """How far a link has understood its server, between two events.

    Attributes:
        is_beta: whether the server speaks the beta shape.
        speech: what it was saying last; None for nothing yet.
        half_sample: of that; empty, or one byte.
    """

    is_beta: bool = False
    speech: Speech | None = None
    half_sample: bytes = b""


@attrs.frozen(kw_only=True)
class TunnelTicket:
    """A tunnel, and the right to take it.

    Attributes:
        cluster: of the process that has it.
        incarnation: of that process.
        worker: of that process.
        session: number of the call's session.
        generation: of the owner who may take it.
        token: shows that the snapshot was opened.
        ends_in: seconds from the move after which the taker has to do without it.
        hops: processes on the way to the backend.
        input_rate: sample rate in Hz of what the backend hears.
        reading: how far the old owner has read.
    """

    cluster: int
    incarnation: int
    worker: int
    session: int
    generation: int
    token: bytes = attrs.field(repr=False)
    ends_in: float
    hops: int = 1
    input_rate: int
    reading: Reading = attrs.field(factory=Reading)

    def to_fields(self) -> dict[str, object]:
        """Write it in JSON types."""
        speech = self.reading.speech
        return {
            **{name: getattr(self, name) for name in _NUMBERS},
            "token": self.token.hex(),
            "ends_in": self.ends_in,
            "is_beta": self.reading.is_beta,
            "speech": None if speech is None else [speech.response_id, speech.item_id, speech.content_index],
            "half_sample": b64encode(self.reading.half_sample).decode(),
        }

    @classmethod
    def from_fields(cls, fields: Event) -> Self | None:
        """Read it; None for anything that `to_fields` did not write."""
        numbers = {name: integer_at(fields, name) for name in _NUMBERS}
        ends_in = fields.get("ends_in")
        try:
            token = bytes.fromhex(text_at(fields, "token"))
            half_sample = b64decode(text_at(fields, "half_sample"), validate=True)
            speech = _read_speech(fields.get("speech"))
        except (ValueError, binascii.Error):
            return None
        is_sound = all(number is not None and number >= 0 for number in numbers.values())
        if not is_sound or not isinstance(ends_in, int | float) or not 0 < ends_in <= _MAX_SECONDS:
            return None
        if len(token) != TOKEN_SIZE or len(half_sample) > 1 or not 0 < (numbers["hops"] or 0) <= MAX_HOPS:
            return None
        reading = Reading(is_beta=fields.get("is_beta") is True, speech=speech, half_sample=half_sample)
        known = {name: number for name, number in numbers.items() if number is not None}
        return cls(**known, token=token, ends_in=float(ends_in), reading=reading)


_NUMBERS = ("cluster", "incarnation", "worker", "session", "generation", "hops", "input_rate")


def _read_speech(value: object) -> Speech | None:
    match value:
        case None:
            return None
        case [str(response_id), str(item_id), int(index)] if len(response_id) <= _MAX_NAME >= len(item_id):
            return Speech(response_id, item_id, index)
        case _:
            raise ValueError("no speech")
