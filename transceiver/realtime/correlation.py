"""Whose event an error is about.

Several parties send events to one backend, and each names its own as it likes. An error names the event that it is
about, and goes to whoever sent it; errors about the bridge's own events go to nobody. So each event gets a name that is
unique on the way to the backend: the sender's, where it has one that nobody else used.
"""

from collections import OrderedDict

import attrs

from transceiver.realtime.audience import Party
from transceiver.realtime.fields import Event, text_at
from transceiver.realtime.identifiers import Identifiers

__all__ = ["Correlation", "Sent"]

_MAX_SENT = 512


@attrs.frozen(kw_only=True)
class Sent:
    """An event that went to the backend.

    Attributes:
        party: who sent it; None for the bridge.
        event_id: what its sender calls it; None when it has no name for it.
        name: the event's type.
        item_id: the item that it is about; empty for none.
    """

    party: Party | None
    event_id: str | None
    name: str
    item_id: str


class Correlation:
    """The newest events that went to the backend."""

    __slots__ = ("_identifiers", "_sent")

    def __init__(self, identifiers: Identifiers) -> None:
        self._identifiers = identifiers
        self._sent: OrderedDict[str, Sent] = OrderedDict()

    def enter(self, event: Event, party: Party | None) -> dict[str, object]:
        """Remember an event and return it under the name that the backend gets."""
        event_id = text_at(event, "event_id") or None
        sent_id = event_id if event_id and event_id not in self._sent else self._identifiers.fresh("event")
        self._sent[sent_id] = Sent(
            party=party, event_id=event_id, name=text_at(event, "type"), item_id=text_at(event, "item_id")[:256]
        )
        if len(self._sent) > _MAX_SENT:
            self._sent.popitem(last=False)
        return {**event, "event_id": sent_id}

    def take(self, sent_id: str) -> Sent | None:
        """Return what was sent under a name, and forget it; None for what is not known (any more)."""
        return self._sent.pop(sent_id, None)

    def clear(self) -> None:
        """Forget all: there is a new backend."""
        self._sent.clear()
