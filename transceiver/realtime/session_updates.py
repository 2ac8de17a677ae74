"""Which `session.update` waits for its `session.updated`.

The protocol gives `session.updated` no reference to what it answers, so answers are matched in order. Whoever sent an
update gets exactly one answer: the backend's; or ours, when the backend stays silent for too long, or when nothing in
the update concerns it. A stock client does not count itself connected before.
"""

from collections import deque
from collections.abc import Iterator

import attrs

from transceiver.realtime.fields import Event

__all__ = ["PendingUpdate", "SessionUpdates"]


@attrs.define(eq=False, kw_only=True)
class PendingUpdate:
    """An update that was not yet answered by the backend.

    Attributes:
        patch: what its sender set; empty for the bridge's own.
        deadline: when its sender is answered anyway; None for the bridge's own, which nobody waits for.
        is_from_client: whether the client, not a sideband, sent it.
        sent_id: under which `event_id` it went to the backend; None while it waits for the connection.
        is_for_backend: whether the backend will answer it.
        is_answered: whether its sender was answered.
    """

    patch: Event
    deadline: float | None
    is_from_client: bool = False
    sent_id: str | None = None
    is_for_backend: bool = True
    is_answered: bool = False


class SessionUpdates:
    """All updates of a session that wait, in the order in which they were sent."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[PendingUpdate] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, update: PendingUpdate) -> None:
        """Remember an update."""
        self._waiting.append(update)

    def insert(self, update: PendingUpdate) -> None:
        """Remember an update that went to the backend before all that still wait for the connection."""
        self._waiting.appendleft(update)

    def acknowledge(self) -> PendingUpdate | None:
        """The backend answered one: the first; None when none waits."""
        return self._waiting.popleft() if self._waiting else None

    def refuse(self, sent_id: str) -> PendingUpdate | None:
        """The backend refused the update with this `event_id`: take it out."""
        for update in self._waiting:
            if update.sent_id == sent_id:
                self._waiting.remove(update)
                return update
        return None

    def take_settled(self) -> Iterator[PendingUpdate]:
        """Take what is at the head of the line and needs no answer of the backend's."""
        while self._waiting and not self._waiting[0].is_for_backend:
            yield self._waiting.popleft()

    def take_overdue(self, now: float) -> Iterator[PendingUpdate]:
        """Give the updates whose senders have waited too long; each once. The backend's answer may still come."""
        for update in list(self._waiting):
            if update.deadline is not None and not update.is_answered and update.deadline <= now:
                yield update

    def unanswered(self) -> list[PendingUpdate]:
        """Those whose senders wait."""
        return [update for update in self._waiting if update.deadline is not None and not update.is_answered]

    def take_all(self) -> list[PendingUpdate]:
        """Take all: there is nobody who could answer."""
        waiting, self._waiting = list(self._waiting), deque()
        return waiting

    def next_timeout(self) -> float | None:
        """When somebody will have waited too long."""
        if not self._waiting:
            return None  # nearly always; asked for with each tick
        return min((u.deadline for u in self._waiting if u.deadline is not None and not u.is_answered), default=None)
