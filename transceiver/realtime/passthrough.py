"""The plain Realtime protocol over a socket, without a call: audio inside events, passed through to a backend.

A client of the Realtime WebSocket reaches any backend that a call can reach, an agent in this process among them, with
the same rules: a backend is told its own audio formats and no field that it does not know, and a locked session stays
as it is. What a client does wrong is answered with an `error` event, and the connection goes on.

Nothing piles up. The client is held back when the backend does not take its audio; what the backend says waits in a
queue that is bounded by its bytes.

Source: the Realtime API reference, client events: at most 15 MiB of audio in one `input_audio_buffer.append`.
"""

import json
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import attrs
import trio

from transceiver.backends.contract import BackendLink, BackendUnavailable, Speech
from transceiver.calls import NO_WISHES, CallWishes, EventSocket, SocketClosed
from transceiver.realtime.base64_audio import AudioNotBase64, decoded_slices
from transceiver.realtime.client_events import AUDIO_REFUSED as APPEND
from transceiver.realtime.client_events import Refusal, parse_client_event
from transceiver.realtime.client_queue import ClientQueue
from transceiver.realtime.dialect import to_ga
from transceiver.realtime.fields import Event, integer_at, mapping_at, text_at
from transceiver.realtime.identifiers import Identifiers
from transceiver.realtime.options import BackendProfile, EventLimits
from transceiver.realtime.server_events import backend_disconnected, refused
from transceiver.realtime.session_config import (
    HIDDEN_FIELDS,
    told_response,
    told_session,
    without_fields,
    without_locked,
)
from wire.core import Entropy

__all__ = ["MAX_APPEND_CHARACTERS", "ClientTooSlow", "PassThroughOptions", "pass_through"]

MAX_APPEND_CHARACTERS = 15 * 1_048_576 * 4 // 3 + 1024
"""The longest event: 15 MiB of audio as base64, and what stands around it. For whoever makes the socket."""

_BYTES_PER_SAMPLE = 2
_FAREWELL_SECONDS = 2.0
_SIDES = (("input", "input_rate"), ("output", "output_rate"))


class ClientTooSlow(Exception):  # noqa: N818 - named for what happened
    """The client does not read what the backend says."""


@runtime_checkable
class _PacedLink(Protocol):
    """A link whose queue can be waited for."""

    async def wait_for_room(self) -> None:
        """Wait until there is room for more."""


@attrs.frozen(kw_only=True)
class PassThroughOptions:
    """How a client is connected to a backend.

    Attributes:
        profile: what the backend understands.
        limits: how long and deep a client's event may be; audio has a bound of its own.
        queue_bytes: how much of what the backend says may wait for the client. At 24 kHz these are five minutes of
            speech, which a backend may well make in a few seconds.
    """

    profile: BackendProfile = attrs.field(factory=BackendProfile)
    limits: EventLimits = attrs.field(factory=EventLimits)
    queue_bytes: int = 16_777_216


async def pass_through(
    socket: EventSocket,
    link: BackendLink,
    wishes: CallWishes = NO_WISHES,
    *,
    entropy: Entropy,
    options: PassThroughOptions | None = None,
) -> None:
    """Connect a client to a backend until either ends; the link is closed then, the socket is its owner's.

    Returns when the client has gone, when the backend has ended the conversation, or when `wishes.max_call` is over.
    Cancellation cuts both.

    Args:
        socket: the client's; takes messages of up to `MAX_APPEND_CHARACTERS`.
        link: a fresh link to the backend.
        wishes: the session that the backend is told before all else, and whether the client may change it.
        entropy: for the names of events.
        options: the backend's ways, and bounds.

    Raises:
        BackendUnavailable: the backend could not be reached or was lost; the client has been told that, without why.
        ClientTooSlow: what the backend says does not fit the queue any more.
    """
    await _Passage(socket, link, wishes, entropy, options or PassThroughOptions()).run()


class _Passage:
    """One client and one backend; the sink of the link."""

    def __init__(
        self, socket: EventSocket, link: BackendLink, wishes: CallWishes, entropy: Entropy, options: PassThroughOptions
    ) -> None:
        self._socket = socket
        self._link = link
        self._wishes = wishes
        self._options = options
        # What the backend is told of its formats is what the link carries.
        self._profile = attrs.evolve(options.profile, input_rate=link.input_rate, output_rate=link.output_rate)
        self._to_client = ClientQueue(socket, Identifiers(entropy), options.queue_bytes)
        self._talk = trio.CancelScope()
        self._failure: BackendUnavailable | ClientTooSlow | None = None

    async def run(self) -> None:
        wanted = told_session(self._wishes.session, self._profile)
        if wanted:
            self._link.send_event({"type": "session.update", "session": wanted})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_link)
            if self._wishes.max_call is not None:
                self._talk.deadline = trio.current_time() + self._wishes.max_call
            with self._talk:
                async with trio.open_nursery() as talk:
                    talk.start_soon(self._receive)
                    await self._to_client.send_all()
                    talk.cancel_scope.cancel()
            if trio.current_time() >= self._talk.deadline:
                await self._say_that_time_is_over()
            self._link.close()
        if self._failure is not None:
            raise self._failure

    async def _run_link(self) -> None:
        try:
            await self._link.run(self)
        except BackendUnavailable as error:
            if self._failure is None:
                self._failure = error
            self._enqueue(backend_disconnected())
        self._to_client.finish()

    def _enqueue(self, event: Event) -> None:
        if not self._to_client.add_event(event):
            self._give_up()

    def _give_up(self) -> None:
        self._failure = self._failure or ClientTooSlow("what the backend says does not fit the client's queue any more")
        self._talk.cancel()

    # From the client

    async def _receive(self) -> None:
        try:
            while True:
                await self._take(await self._socket.receive())
        except SocketClosed:
            self._talk.cancel()

    async def _take(self, text: str) -> None:
        event = _append_in(text)
        if event is not None:
            await self._take_audio(event)
            return
        parsed = parse_client_event(text, self._options.limits, forwards_unknown=True)
        if isinstance(parsed, Refusal):
            self._enqueue(refused(parsed))
            return
        for translated in to_ga(parsed):
            self._take_event(translated)

    async def _take_audio(self, event: Event) -> None:
        event_id = text_at(event, "event_id") or None
        audio = text_at(event, "audio")
        is_whole = bool(audio)
        try:
            for pcm in decoded_slices(audio):
                half = len(pcm) % _BYTES_PER_SAMPLE  # only the last slice can end in the middle of a sample
                is_whole = not half
                self._link.send_audio(pcm[: len(pcm) - half])
                await trio.lowlevel.checkpoint()
                if isinstance(self._link, _PacedLink):
                    await self._link.wait_for_room()
        except AudioNotBase64:
            self._enqueue(refused(Refusal("invalid_audio", "audio is not base64.", "audio", event_id)))
            return
        if not is_whole:
            message = "audio is the base64 of 16-bit samples, at least one of them."
            self._enqueue(refused(Refusal("invalid_audio", message, "audio", event_id)))

    def _take_event(self, event: Event) -> None:
        name = text_at(event, "type")
        if name == "session.update":
            session = self._allowed(mapping_at(event, "session"))
            refusal = self._refusal_of(session, text_at(event, "event_id") or None)
            if refusal is not None:
                self._enqueue(refused(refusal))
                return
            # An update of nothing is sent all the same: it will be answered, and clients wait for that.
            event = {**event, "session": told_session(session, self._profile) or {"type": "realtime"}}
        elif name == "response.create" and "response" in event:
            response = self._allowed(mapping_at(event, "response"))
            event = {**event, "response": told_response(response, self._profile)}
        self._link.send_event(event)

    def _allowed(self, settings: Event) -> Event:
        return without_locked(settings, self._wishes.session) if self._wishes.is_locked else settings

    def _refusal_of(self, session: Event, event_id: str | None) -> Refusal | None:
        audio = mapping_at(session, "audio")
        for side, rate in _SIDES:
            wanted = mapping_at(mapping_at(audio, side), "format")
            spoken = getattr(self._link, rate)
            if wanted and (wanted.get("type") != "audio/pcm" or (integer_at(wanted, "rate") or spoken) != spoken):
                message = f"This backend's {side} is audio/pcm at {spoken} Hz."
                return Refusal("unsupported_audio_format", message, f"session.audio.{side}.format", event_id)
        return None

    # From the backend: the sink

    def backend_opened(self) -> None:
        """Nothing to do: the client hears of it by `session.created`."""

    def backend_event(self, event: Mapping[str, object]) -> None:
        """Pass an event on."""
        name = text_at(event, "type")
        if self._wishes.is_locked and name in ("session.created", "session.updated"):
            event = {**event, "session": without_fields(mapping_at(event, "session"), HIDDEN_FIELDS)}
        self._enqueue(event)

    def backend_audio(self, speech: Speech, pcm: bytes) -> None:
        """Pass speech on; it becomes events when they are sent."""
        if not self._to_client.add_speech(speech, pcm):
            self._give_up()

    async def _say_that_time_is_over(self) -> None:
        refusal = Refusal("session_expired", "The session has reached its longest duration.")
        self._to_client.clear()
        self._to_client.add_event(refused(refusal))
        self._to_client.finish()
        with trio.move_on_after(_FAREWELL_SECONDS):
            await self._to_client.send_all()


def _append_in(text: str) -> Event | None:
    """Return an `input_audio_buffer.append`; None for everything else, which is not looked at any further."""
    if APPEND not in text:
        return None
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and event.get("type") == APPEND else None
