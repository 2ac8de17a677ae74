"""The backend's side of a bridge: the connection, what goes to it, and what comes from it."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from transceiver.backends.contract import Speech
from transceiver.realtime.audience import Party
from transceiver.realtime.configuring import Configuring
from transceiver.realtime.correlation import Correlation, Sent
from transceiver.realtime.drops import DropReason
from transceiver.realtime.fields import Event, mapping_at, text_at
from transceiver.realtime.interruption import cut_off, tell_playing
from transceiver.realtime.outputs import ToBackend
from transceiver.realtime.parts import Parts, Tally
from transceiver.realtime.required_keys import complete
from transceiver.realtime.server_events import (
    backend_disconnected,
    item_done,
    item_retrieved,
    output_audio_buffer,
    response_failed,
)
from transceiver.realtime.states import BACKEND_TRANSITIONS, BackendState, BackendTrigger

__all__ = ["BackendSide"]

_MAX_ID = 256
_OPEN = BackendState.OPEN


class BackendSide:
    """The connection to the backend, and all that is done for its sake.

    Args:
        parts: of the bridge.
        configuring: where its answers to updates go.

    Attributes:
        state: whether there is a backend.
        retrieves: whether the backend answers `conversation.item.retrieve`, as far as is known.
    """

    def __init__(self, parts: Parts, configuring: Configuring) -> None:
        self._parts = parts
        self._configuring = configuring
        self._correlation = Correlation(parts.identifiers)
        self._replayed: set[str] = set()
        self.state = BackendState.CONNECTING
        self.retrieves = parts.profile.retrieves

    def resume(self) -> None:
        """There was a backend before, in another process: the next one is told all that it knew."""
        self.state = BackendState.RETRYING

    def go_on(self) -> None:
        """There is a backend, and it is the same as before, in another process."""
        self.state = BackendState.OPEN

    # To the backend.

    def send(self, event: Event, party: Party | None) -> str:
        """Send an event of somebody's, or of the bridge's own; returns the name under which it goes."""
        sent = self._correlation.enter(event, party)
        self._parts.outputs.append(ToBackend(sent))
        return text_at(sent, "event_id")

    def send_ours(self, event: Event) -> None:
        """Send an event of the bridge's own."""
        self.send(event, None)

    def hear(self, pcm: bytes, now: float) -> None:
        """Take what the caller said."""
        parts = self._parts
        uplink = parts.uplink
        is_due = uplink.is_started or uplink.is_due(now)
        if self.state is not _OPEN:
            parts.drops[DropReason.AUDIO_WITHOUT_BACKEND] += 1
        elif not is_due:
            parts.drops[DropReason.AUDIO_BEFORE_CONFIGURATION] += 1
        else:
            parts.outputs.extend(uplink.add(pcm))

    def cut_off(self) -> bool:
        """Silence the agent; returns whether it was speaking."""
        return cut_off(self._parts, self.send_ours)

    # The connection.

    def opened(self) -> bool:
        """The backend is connected: tell it all that its predecessor knew, if any.

        Returns:
            Whether that is news.
        """
        before = self.state
        if not self._apply(BackendTrigger.OPENED):
            return False
        self._configuring.tell_all(lambda event: self.send(event, None))
        if before is BackendState.RETRYING:
            self._parts.tally.reconnections += 1
            self._replay()
        return True

    def lost(self, *, will_retry: bool, is_told: bool = True) -> bool:
        """The backend is gone, or cannot be reached.

        Args:
            will_retry: whether it may come back.
            is_told: whether clients are told that it is gone; if not, they learn only what has become of responses.

        Returns:
            Whether that is news.
        """
        if not self._apply(BackendTrigger.LOST_FOR_NOW if will_retry else BackendTrigger.LOST_FOR_GOOD):
            return False
        parts = self._parts
        parts.uplink.clear()
        parts.tally.is_caller_speaking = False
        self._correlation.clear()
        self._replayed.clear()
        # What was received is still played. But a client that waits for a response's end would wait for ever.
        for response_id in parts.playback.in_progress:
            self._finish(parts.audience.broadcast(response_failed(response_id)))
        self._configuring.abandon()
        if is_told:
            parts.audience.broadcast(backend_disconnected())
        return True

    def _apply(self, trigger: BackendTrigger) -> bool:
        after = BACKEND_TRANSITIONS[self.state].get(trigger)
        if after is None:
            return False
        self.state = after
        return True

    def _replay(self) -> None:
        for item in self._parts.items.replay():
            self._replayed.add(text_at(item, "id"))
            self.send_ours({"type": "conversation.item.create", "item": item})

    # From the backend.

    def receive_event(self, event: Event) -> None:
        """Take an event of the backend's: learn from it, and tell whom it concerns."""
        parts = self._parts
        name = text_at(event, "type")
        if self.state is not BackendState.OPEN:
            parts.drops[DropReason.BACKEND_NOT_OPEN] += 1
            return
        if not name or not _is_sound(event):
            parts.drops[DropReason.BACKEND_MALFORMED] += 1
            return
        Tally.count(parts.tally.from_backend, name)
        if name.endswith(".delta") and parts.playback.is_cancelled(text_at(event, "response_id")):
            parts.drops[DropReason.SPEECH_CANCELLED] += 1
            return
        completed = complete(event, parts.identifiers.fresh, parts.uplink.sent_ms)
        handler = self._HANDLERS.get(name)
        if handler is None:
            self._pass_on(completed)
        else:
            handler(self, completed)

    def receive_audio(self, speech: Speech, pcm: bytes) -> None:
        """Take speech of the backend's."""
        if self.state is _OPEN:
            self._parts.playback.receive(speech, pcm)
        else:
            self._parts.drops[DropReason.BACKEND_NOT_OPEN] += 1

    def _pass_on(self, event: Event) -> None:
        self._parts.items.learn(event)
        self._parts.audience.pass_on(event)

    def _not_for_clients(self, event: Event) -> None:  # noqa: ARG002 - as all handlers
        self._parts.drops[DropReason.BACKEND_AUDIO_EVENT] += 1

    def _session_created(self, event: Event) -> None:
        # Everybody gets one of their own, when they come.
        self._parts.configuration.reported = mapping_at(event, "session")

    def _session_updated(self, event: Event) -> None:
        self._configuring.acknowledged(mapping_at(event, "session"))

    def _error(self, event: Event) -> None:
        error = mapping_at(event, "error")
        sent_id = text_at(error, "event_id")
        sent = self._correlation.take(sent_id)
        if sent is None:
            self._parts.audience.pass_on(event)
            return
        if sent.name == "session.update":
            self._configuring.refused(sent_id)
        theirs = {**event, "error": {**error, "event_id": sent.event_id}}
        if sent.party is None:
            self._parts.drops[DropReason.BACKEND_ERROR_OURS] += 1
            if sent.name == "session.update":
                self._parts.audience.tell_sidebands(theirs)
        elif not self._retrieved(sent, sent.party):
            self._parts.audience.tell(sent.party, theirs)

    def _retrieved(self, sent: Sent, party: Party) -> bool:
        """Answer for a backend that cannot retrieve items; from now on it is not asked any more."""
        item = self._parts.items.get(sent.item_id) if sent.name == "conversation.item.retrieve" else None
        if item is None:
            return False
        self.retrieves = False
        self._parts.audience.tell(party, item_retrieved(item))
        return True

    def _speech_started(self, event: Event) -> None:
        parts = self._parts
        parts.tally.is_caller_speaking = True
        parts.audience.pass_on(event)
        if not parts.configuration.interrupts:
            return
        in_progress = parts.playback.in_progress
        parts.tally.interruptions += self.cut_off()
        if not parts.profile.cancels_on_speech:
            for response_id in in_progress:
                parts.playback.cancel(response_id)
                self.send_ours({"type": "response.cancel", "response_id": response_id})

    def _speech_stopped(self, event: Event) -> None:
        self._parts.tally.is_caller_speaking = False
        self._parts.audience.pass_on(event)

    def _committed(self, event: Event) -> None:
        self._parts.tally.caller_turns += 1
        self._parts.audience.pass_on(event)

    def _item(self, event: Event) -> None:
        item_id = text_at(mapping_at(event, "item"), "id")
        if item_id in self._replayed:
            self._parts.drops[DropReason.REPLAY_ECHO] += 1
            if event["type"] == "conversation.item.done":
                self._replayed.discard(item_id)
        else:
            self._pass_on(event)

    def _response_created(self, event: Event) -> None:
        self._parts.playback.begin(text_at(mapping_at(event, "response"), "id"))
        self._parts.audience.pass_on(event)

    def _audio_done(self, event: Event) -> None:
        self._parts.playback.finish_audio(text_at(event, "response_id"))
        self._parts.audience.pass_on(event)
        tell_playing(self._parts)

    def _response_done(self, event: Event) -> None:
        parts = self._parts
        response = mapping_at(event, "response")
        response_id = text_at(response, "id")
        for item in parts.items.take_undone(response_id):
            parts.audience.broadcast(item_done(item))
        parts.audience.pass_on(event)
        # A backend that heard the caller may say so with this event only, or first. What a client cancelled it may
        # still want to hear to the end of what was received; it has `output_audio_buffer.clear` for the other case.
        was_asked = parts.playback.is_cancelled(response_id)
        if response.get("status") == "cancelled" and not was_asked and parts.playback.plays(response_id):
            parts.tally.interruptions += self.cut_off()
        self._finish(event)

    def _finish(self, event: Event) -> None:
        parts = self._parts
        parts.tally.responses += 1
        for what, response_id in parts.playback.complete(text_at(mapping_at(event, "response"), "id")):
            parts.audience.broadcast(output_audio_buffer(what, response_id))

    # Of the class: an instance that holds methods of its own is freed by the garbage collector only.
    _HANDLERS: ClassVar[Mapping[str, Callable[["BackendSide", Event], None]]] = {
        "session.created": _session_created,
        "session.updated": _session_updated,
        "error": _error,
        "input_audio_buffer.speech_started": _speech_started,
        "input_audio_buffer.speech_stopped": _speech_stopped,
        "input_audio_buffer.committed": _committed,
        "conversation.item.added": _item,
        "conversation.item.done": _item,
        "response.created": _response_created,
        "response.output_audio.delta": _not_for_clients,
        "response.output_audio.done": _audio_done,
        "response.done": _response_done,
        "output_audio_buffer.started": _not_for_clients,
        "output_audio_buffer.stopped": _not_for_clients,
        "output_audio_buffer.cleared": _not_for_clients,
    }


def _is_sound(event: Event) -> bool:
    """Whether the names in an event are no longer than names are: they are remembered."""
    holders = (event, mapping_at(event, "item"), mapping_at(event, "response"))
    names = [text_at(holder, key) for holder in holders for key in ("id", "item_id", "response_id", "event_id")]
    return all(len(name) <= _MAX_ID for name in names)
