"""The clients' side of a bridge: what the client and sidebands may do, and what becomes of it.

Events are applied strictly in the order in which they came. While the backend is being connected they wait, so that a
client need not know, and also while it is connected anew because the call has moved; otherwise a client without a
backend is told so.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import ClassVar

import attrs

from transceiver.realtime.audience import Party
from transceiver.realtime.backend_side import BackendSide
from transceiver.realtime.client_events import KNOWN_CLIENT_EVENTS, Refusal, is_listed, parse_client_event
from transceiver.realtime.configuring import Configuring
from transceiver.realtime.dialect import speaks_beta, to_ga
from transceiver.realtime.drops import DropReason
from transceiver.realtime.fields import Event, integer_at, list_at, mapping_at, text_at
from transceiver.realtime.outputs import AudioToBackend
from transceiver.realtime.parts import Parts, Tally
from transceiver.realtime.server_events import backend_disconnected, item_retrieved, item_truncated
from transceiver.realtime.session_config import HIDDEN_FIELDS, told_response
from transceiver.realtime.session_updates import PendingUpdate
from transceiver.realtime.states import BackendState

__all__ = ["ClientSide"]


@attrs.frozen(eq=False)
class _Held:
    event: Event
    party: Party
    update: PendingUpdate | None


class ClientSide:
    """Takes what the client and sidebands send.

    Args:
        parts: of the bridge.
        configuring: where updates go.
        backend: where all else goes.
    """

    def __init__(self, parts: Parts, configuring: Configuring, backend: BackendSide) -> None:
        self._parts = parts
        self._configuring = configuring
        self._backend = backend
        self._held: deque[_Held] = deque()
        self._is_holding = False

    def receive(self, text: str, party: Party, now: float) -> None:
        """Take a message; whatever it is, it has an effect or is answered with an error."""
        audience = self._parts.audience
        options = self._parts.options
        if not party.events.admits(now):
            audience.refuse(party, _TOO_MANY, now)
            return
        parsed = parse_client_event(text, options.limits, forwards_unknown=options.forwards_unknown)
        if isinstance(parsed, Refusal):
            audience.refuse(party, parsed, now)
            return
        Tally.count(self._parts.tally.from_clients, text_at(parsed, "type"))
        party.speaks_beta = party.speaks_beta or speaks_beta(parsed)
        event = to_ga(parsed)[0]
        if refusal := self._forbids(event, party):
            audience.refuse(party, attrs.evolve(refusal, event_id=text_at(event, "event_id") or None), now)
        elif self._is_holding or self._backend.state is BackendState.CONNECTING:
            self._hold(event, party, now)
        elif self._backend.state is BackendState.OPEN:
            self._apply(event, party, now)
        else:
            self._apply_alone(event, party, now)

    @property
    def has_held(self) -> bool:
        """Whether something waits."""
        return bool(self._held)

    def hold(self) -> None:
        """From now on events wait: the backend is about to be connected anew."""
        self._is_holding = True

    def release(self, now: float) -> None:
        """There is a backend, with which it goes on: apply what waited for it."""
        self._is_holding = False
        held, self._held = self._held, deque()
        for waiting in held:
            if waiting.update is not None:
                self._tell(waiting.update, waiting.event, waiting.party)
            else:
                self._apply(waiting.event, waiting.party, now)

    def give_up(self, now: float) -> None:
        """There will be no backend, or not soon: tell whoever waited."""
        self._is_holding = False
        held, self._held = self._held, deque()
        for waiting in held:
            if waiting.update is None:
                self._apply_alone(waiting.event, waiting.party, now)

    def _forbids(self, event: Event, party: Party) -> Refusal | None:
        if not party.is_client:
            return None
        name = text_at(event, "type")
        if not is_listed(name, self._parts.options.client_events):
            return Refusal("event_not_allowed", f"This client may not send {name[:64]!r}.", "type")
        if self._parts.wishes.is_locked:
            if name not in KNOWN_CLIENT_EVENTS:
                return Refusal("event_not_allowed", "The session is locked.", "type")
            if name == "conversation.item.create" and mapping_at(event, "item").get("role") == "system":
                return Refusal("session_locked", "The instructions of this session cannot be changed.", "item.role")
        if self._is_secret(event):
            return Refusal("item_not_found", "There is no such item.", "item_id")
        return None

    def _is_secret(self, event: Event) -> bool:
        is_hidden = self._parts.options.hides_configuration or self._parts.wishes.is_locked
        return is_hidden and self._parts.items.role(text_at(event, "item_id")) == "system"

    # While there is no backend.

    def _hold(self, event: Event, party: Party, now: float) -> None:
        if len(self._held) >= self._parts.options.max_held_events:
            self._parts.audience.refuse(
                party, attrs.evolve(_STILL_CONNECTING, event_id=text_at(event, "event_id") or None), now
            )
            return
        # Of updates that wait for another backend the one before would be told, too, and answer for it.
        is_first = self._backend.state is BackendState.CONNECTING and event["type"] == "session.update"
        update = self._configuring.receive(event, party, now) if is_first else None
        self._held.append(_Held(event, party, update))

    def _apply_alone(self, event: Event, party: Party, now: float) -> None:
        name = event["type"]
        if name == "session.update":
            self._configuring.receive(event, party, now)
            self._configuring.abandon()
            if self._backend.state is BackendState.LOST:
                self._without_backend(event, party)
        elif name == "output_audio_buffer.clear":
            self._clear_output(event, party, now)
        elif name == "conversation.item.retrieve" and self._parts.items.get(text_at(event, "item_id")):
            self._retrieve_here(event, party, now)
        else:
            self._without_backend(event, party)

    def _without_backend(self, event: Event, party: Party) -> None:
        self._parts.drops[DropReason.CLIENT_REFUSED] += 1
        self._parts.audience.tell(party, backend_disconnected(text_at(event, "event_id") or None))

    # While there is one.

    def _apply(self, event: Event, party: Party, now: float) -> None:
        name = text_at(event, "type")
        if name == "session.update":
            self._tell(self._configuring.receive(event, party, now), event, party)
        elif (handler := self._HANDLERS.get(name)) is not None:
            handler(self, event, party, now)
        else:
            self._backend.send(event, party)

    def _tell(self, update: PendingUpdate, event: Event, party: Party) -> None:
        named = {"event_id": event["event_id"]} if text_at(event, "event_id") else {}
        self._configuring.tell(update, lambda told: self._backend.send({**told, **named}, party))

    def _commit(self, event: Event, party: Party, now: float) -> None:  # noqa: ARG002 - as all handlers
        # specs: what was said before the commit belongs to it.
        if rest := self._parts.uplink.flush():
            self._parts.outputs.append(AudioToBackend(rest))
        self._backend.send(event, party)

    def _clear_input(self, event: Event, party: Party, now: float) -> None:  # noqa: ARG002 - as all handlers
        self._parts.uplink.clear()
        self._backend.send(event, party)

    def _clear_output(self, event: Event, party: Party, now: float) -> None:  # noqa: ARG002 - as all handlers
        # Only WebRTC knows this event, and we are the WebRTC side: the backend never gets it.
        self._parts.tally.clears += self._backend.cut_off()

    def _retrieve(self, event: Event, party: Party, now: float) -> None:
        if self._backend.retrieves:
            self._backend.send(event, party)
        else:
            self._retrieve_here(event, party, now)

    def _retrieve_here(self, event: Event, party: Party, now: float) -> None:
        item = self._parts.items.get(text_at(event, "item_id"))
        if item is None:
            event_id = text_at(event, "event_id") or None
            self._parts.audience.refuse(
                party, Refusal("item_not_found", "There is no such item.", "item_id", event_id), now
            )
        else:
            self._parts.audience.tell(party, item_retrieved(item))

    def _truncate(self, event: Event, party: Party, now: float) -> None:  # noqa: ARG002 - as all handlers
        if self._parts.profile.truncates:
            self._backend.send(event, party)
            return
        index, at = integer_at(event, "content_index") or 0, integer_at(event, "audio_end_ms") or 0
        self._parts.audience.broadcast(item_truncated(text_at(event, "item_id"), index, max(0, at)))

    def _create_response(self, event: Event, party: Party, now: float) -> None:  # noqa: ARG002 - as all handlers
        response = mapping_at(event, "response")
        if response:
            if party.is_client and self._parts.wishes.is_locked:
                permitted = _unlocking_nothing(response)
                self._parts.drops[DropReason.LOCKED_FIELD] += permitted != response
                response = permitted
            event = {**event, "response": told_response(response, self._parts.profile)}
        self._backend.send(event, party)

    def _cancel_response(self, event: Event, party: Party, now: float) -> None:  # noqa: ARG002 - as all handlers
        self._parts.playback.cancel(text_at(event, "response_id") or None)
        self._backend.send(event, party)

    # Of the class: an instance that holds methods of its own is freed by the garbage collector only.
    _HANDLERS: ClassVar[Mapping[str, Callable[["ClientSide", Event, Party, float], None]]] = {
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear_input,
        "output_audio_buffer.clear": _clear_output,
        "conversation.item.retrieve": _retrieve,
        "conversation.item.truncate": _truncate,
        "response.create": _create_response,
        "response.cancel": _cancel_response,
    }


_TOO_MANY = Refusal("rate_limit_exceeded", "Events come too often; this one was not read.", type="rate_limit_error")
_STILL_CONNECTING = Refusal(
    "too_many_events", "The model is still being connected; no more events can wait for it.", type="server_error"
)


def _unlocking_nothing(response: Event) -> dict[str, object]:
    permitted = {key: value for key, value in response.items() if key not in HIDDEN_FIELDS}
    if "input" in permitted:
        permitted["input"] = [
            item
            for item in list_at(response, "input")
            if not (isinstance(item, Mapping) and item.get("role") == "system")
        ]
    return permitted
