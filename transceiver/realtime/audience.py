"""Who listens to a session, and what each gets of it.

The client sits in somebody's browser: it gets the events that it is allowed, without what is kept from it and without
audio, in its dialect, and no longer than it can take. Sidebands belong to the application: they get all.
"""

from collections import deque

import attrs

from transceiver.realtime.client_events import Refusal, is_listed
from transceiver.realtime.dialect import to_beta
from transceiver.realtime.drops import DropReason
from transceiver.realtime.fields import Event, mapping_at, text_at
from transceiver.realtime.identifiers import Identifiers
from transceiver.realtime.options import BridgeOptions
from transceiver.realtime.outputs import CloseSideband, Output, ToClient, ToSideband
from transceiver.realtime.rate_limit import RateLimit
from transceiver.realtime.required_keys import complete
from transceiver.realtime.serialization import serialize_event, serialize_within, without_audio
from transceiver.realtime.server_events import refused, session_event
from transceiver.realtime.session_config import HIDDEN_FIELDS
from wire.core import Drops

__all__ = ["Audience", "Party"]

_ALWAYS_ALLOWED = frozenset({"session.created", "error"})


@attrs.define(eq=False, kw_only=True)
class Party:
    """Somebody who sends and gets events.

    Attributes:
        number: of a sideband; None for the client.
        events: bounds what is read of it.
        errors: bounds what it is told of its mistakes.
        is_open: whether its channel or socket is open.
        speaks_beta: whether it showed that it speaks the beta dialect.
    """

    number: int | None
    events: RateLimit
    errors: RateLimit
    is_open: bool = False
    speaks_beta: bool = False

    @property
    def is_client(self) -> bool:
        """Whether it is the client, who is trusted less."""
        return self.number is None


class Audience:
    """The client and the sidebands of one session.

    Args:
        options: what the client may get.
        is_hidden: whether the agent's configuration is kept from the client.
        identifiers: names what is sent.
        outputs: where messages are put.
        drops: where they are counted when they are not.
        now: monotonic seconds.
    """

    def __init__(
        self,
        *,
        options: BridgeOptions,
        is_hidden: bool,
        identifiers: Identifiers,
        outputs: deque[Output],
        drops: Drops,
        now: float,
    ) -> None:
        self.client = self._party(None, options, now)
        self.sidebands: dict[int, Party] = {}
        self._options = options
        self._is_hidden = is_hidden
        self._identifiers = identifiers
        self._outputs = outputs
        self._drops = drops
        self._backlog: deque[Event] | None = deque()

    @staticmethod
    def _party(number: int | None, options: BridgeOptions, now: float) -> Party:
        limits = options.limits
        return Party(
            number=number,
            events=RateLimit(limits.events_per_second, limits.burst, now),
            errors=RateLimit(limits.errors_per_second, limits.error_burst, now),
        )

    def party(self, sideband: int | None) -> Party | None:
        """Return who sends under this number, if it is open."""
        party = self.client if sideband is None else self.sidebands.get(sideband)
        return party if party is not None and party.is_open else None

    def open_client(self, session: Event) -> None:
        """The client's channel is open: tell it of the session, then what happened before."""
        self.client.is_open = True
        # specs: the first event on the channel is `session.created`; some clients look for it nowhere else.
        self.tell(self.client, session_event("session.created", session))
        backlog, self._backlog = self._backlog, None
        for event in backlog or ():
            self._send_to_client(event)

    def resume_client(self, *, speaks_beta: bool) -> None:
        """The client's channel is open since before we were here; it knows of the session."""
        self.client.is_open, self.client.speaks_beta = True, speaks_beta
        self._backlog = None

    def close_client(self) -> None:
        """The client's channel has closed."""
        self.client.is_open = False
        self._backlog = None

    def open_sideband(self, number: int, session: Event, now: float) -> None:
        """Attach a sideband, and tell it of the session."""
        if len(self.sidebands) >= self._options.max_sidebands and number not in self.sidebands:
            self._outputs.append(CloseSideband(number))
            return
        party = self.sidebands[number] = self._party(number, self._options, now)
        party.is_open = True
        self.tell(party, session_event("session.created", session))

    def close_sideband(self, number: int) -> None:
        """A sideband is gone."""
        if party := self.sidebands.pop(number, None):
            party.is_open = False

    def pass_on(self, event: Event) -> None:
        """Tell everybody a completed event."""
        self._to_client(event)
        self._to_sidebands(event)

    def broadcast(self, event: Event) -> Event:
        """Tell everybody an event that was made here.

        Returns:
            The event as it was told: completed.
        """
        completed = complete(event, self._identifiers.fresh, 0)
        self.pass_on(completed)
        return completed

    def tell(self, party: Party, event: Event) -> None:
        """Tell one."""
        completed = complete(event, self._identifiers.fresh, 0)
        if party.is_client:
            self._to_client(completed)
        elif party.is_open and party.number is not None:
            self._to_sideband(party.number, party, completed, None)

    def tell_sidebands(self, event: Event) -> None:
        """Tell all but the client."""
        self._to_sidebands(complete(event, self._identifiers.fresh, 0))

    def refuse(self, party: Party, refusal: Refusal, now: float) -> None:
        """Tell somebody why its event is not applied, unless it was told too often."""
        self._drops[DropReason.CLIENT_REFUSED] += 1
        if party.errors.admits(now):
            self.tell(party, refused(refusal))
        else:
            self._drops[DropReason.ERROR_UNTOLD] += 1

    def _to_sidebands(self, event: Event) -> None:
        if self.sidebands:
            text = serialize_event(event)
            for number, party in self.sidebands.items():
                self._to_sideband(number, party, event, text)

    def _to_sideband(self, number: int, party: Party, event: Event, text: str | None) -> None:
        for translated in to_beta(event) if party.speaks_beta else (event,):
            written = text if text is not None and translated is event else serialize_event(translated)
            if written is not None:
                self._outputs.append(ToSideband(number, written))
            else:
                self._drops[DropReason.UNSENDABLE] += 1

    def _to_client(self, event: Event) -> None:
        name = text_at(event, "type")
        if not is_listed(name, self._options.server_events) and name not in _ALWAYS_ALLOWED:
            self._drops[DropReason.NOT_ALLOWED] += 1
        elif self.client.is_open:
            self._send_to_client(event)
        elif self._backlog is None:
            self._drops[DropReason.CLIENT_GONE] += 1
        elif not name.startswith("session."):  # `session.created` will say how it then stands
            self._keep(event, self._backlog)

    def _keep(self, event: Event, backlog: deque[Event]) -> None:
        """Keep an event for later; of too many, deltas go first, since what they add up to is said again."""
        if len(backlog) >= self._options.max_backlog:
            self._drops[DropReason.BACKLOG_FULL] += 1
            if text_at(event, "type").endswith(".delta"):
                return
            old = next((kept for kept in backlog if text_at(kept, "type").endswith(".delta")), backlog[0])
            backlog.remove(old)
        backlog.append(event)

    def _send_to_client(self, event: Event) -> None:
        shown = self._for_client(event)
        if shown is None:
            self._drops[DropReason.NOT_ALLOWED] += 1
            return
        for translated in to_beta(shown) if self.client.speaks_beta else (shown,):
            text, is_trimmed = serialize_within(translated, self._options.max_client_message)
            if is_trimmed:
                self._drops[DropReason.TRIMMED_FOR_CLIENT] += 1
            if text is None:
                self._drops[DropReason.UNSENDABLE] += 1
            else:
                self._outputs.append(ToClient(text))

    def _for_client(self, event: Event) -> Event | None:
        """Return what the client may see of an event; None for nothing."""
        item = mapping_at(event, "item")
        if self._is_hidden:
            if item.get("role") == "system":
                return None
            for key in ("session", "response"):
                inner = mapping_at(event, key)
                if not HIDDEN_FIELDS.isdisjoint(inner):
                    kept = {name: value for name, value in inner.items() if name not in HIDDEN_FIELDS}
                    event = {**event, key: kept}
        return without_audio(event)
