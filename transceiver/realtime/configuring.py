"""What happens to a `session.update`, from a caller to the backend and back as `session.updated`."""

from collections.abc import Callable

from transceiver.realtime.audience import Party
from transceiver.realtime.drops import DropReason
from transceiver.realtime.fields import Event, mapping_at
from transceiver.realtime.parts import Parts
from transceiver.realtime.server_events import session_event
from transceiver.realtime.session_config import told_session, without_locked
from transceiver.realtime.session_updates import PendingUpdate

__all__ = ["Configuring"]


class Configuring:
    """Takes updates, tells the backend, and answers.

    Args:
        parts: of the bridge.
    """

    __slots__ = ("_parts",)

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def receive(self, event: Event, party: Party, now: float) -> PendingUpdate:
        """Take an update: its sender will be answered, whatever happens."""
        parts = self._parts
        patch = mapping_at(event, "session")
        if party.is_client:
            parts.uplink.update_received()
            if parts.wishes.is_locked:
                # A stock client sends all its settings with each update: to refuse it whole would be to refuse the
                # client. What is not its to set stays as it is, and `session.updated` says so.
                permitted = without_locked(patch, parts.wishes.session)
                parts.drops[DropReason.LOCKED_FIELD] += permitted != patch
                patch = permitted
        is_told = bool(told_session(patch, parts.profile))
        update = PendingUpdate(
            patch=patch,
            deadline=now + parts.options.update_timeout,
            is_from_client=party.is_client,
            is_for_backend=is_told and parts.profile.acknowledges_updates,
        )
        parts.updates.add(update)
        self._settle()
        return update

    def tell(self, update: PendingUpdate, send: Callable[[Event], str]) -> None:
        """Send an update to the backend, in the backend's words.

        Args:
            update: what `receive` returned.
            send: sends an event and returns the name under which it went.
        """
        if told := told_session(update.patch, self._parts.profile):
            update.sent_id = send({"type": "session.update", "session": told})

    def tell_all(self, send: Callable[[Event], str]) -> None:
        """Tell a newly connected backend all that is wanted of it; nobody waits for the answer."""
        parts = self._parts
        if told := parts.configuration.told():
            sent_id = send({"type": "session.update", "session": told})
            if parts.profile.acknowledges_updates:
                parts.updates.insert(PendingUpdate(patch={}, deadline=None, sent_id=sent_id))

    def acknowledged(self, session: Event) -> None:
        """The backend says `session.updated`."""
        parts = self._parts
        parts.configuration.reported = session
        update = parts.updates.acknowledge()
        if update is None:  # the backend's own idea
            parts.audience.broadcast(session_event("session.updated", parts.configuration.shown()))
        else:
            self._answer(update)
        self._settle()

    def refused(self, sent_id: str) -> None:
        """The backend refused an update; whoever sent it hears so from the error."""
        update = self._parts.updates.refuse(sent_id)
        if update is not None and update.is_from_client:
            self._parts.uplink.update_answered()
        self._settle()

    def handle_timeout(self, now: float) -> None:
        """Answer those who have waited too long for the backend."""
        for update in self._parts.updates.take_overdue(now):
            self._answer(update)

    def abandon(self) -> None:
        """Answer everybody: there is no backend. What they set counts as soon as there is one again."""
        for update in self._parts.updates.take_all():
            self._answer(update)

    def _settle(self) -> None:
        for update in self._parts.updates.take_settled():
            self._answer(update)

    def _answer(self, update: PendingUpdate) -> None:
        if update.deadline is None or update.is_answered:
            return
        parts = self._parts
        update.is_answered = True
        parts.configuration.adopt(update.patch)
        parts.audience.broadcast(session_event("session.updated", parts.configuration.shown()))
        if update.is_from_client:
            parts.uplink.update_answered()
