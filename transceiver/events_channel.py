"""The client's data channel for events, whatever its number; that of a call from elsewhere has to be found first."""

import enum
from collections import deque

from sctp.channel_events import ChannelOpened
from transceiver.session import Session
from wire.core import Drops
from wire.errors import LocalProtocolError

__all__ = ["EVENTS_LABEL", "DropReason", "EventsChannel"]

EVENTS_LABEL = "oai-events"
"""The data channel that carries the events of the Realtime protocol (specs of the clients)."""

_MAX_WAITING = 256
"""Events that wait for a channel that is being restarted; the oldest are left out."""


class DropReason(enum.StrEnum):
    """Why an event did not get across."""

    NO_CHANNEL = "no-events-channel"
    """The client has closed the channel for events."""
    CHANNEL_REFUSED = "channel-refused"
    """The channel takes no message so long, or holds as much as it may: the client does not read."""
    OTHER_CHANNEL = "other-channel"
    """The client sent it on a channel that is not for events."""


class EventsChannel:
    """Sends texts to the client, once it has opened the channel.

    Args:
        session: whose data channels they are.
        drops: counts what does not get there.

    Attributes:
        id: the channel's number; None while there is none.
    """

    def __init__(self, session: Session, drops: Drops) -> None:
        self.id: int | None = None
        self._session = session
        self._drops = drops
        self._waiting: deque[str] | None = None

    def takes(self, event: ChannelOpened) -> bool:
        """Whether this is the channel that the client has opened now; a second one of its name is not."""
        if self.id is not None or event.channel.label != EVENTS_LABEL:
            return False
        self.id = event.channel.id
        return True

    def close(self) -> None:
        """The client has closed it."""
        self.id = None

    def resume(self) -> None:
        """Have the channel looked for that the client has opened before the call came here; what is sent waits."""
        self._waiting = deque(maxlen=_MAX_WAITING)

    @property
    def is_missing(self) -> bool:
        """Whether it is still looked for."""
        return self._waiting is not None

    def find(self, now: float) -> None:
        """Look for it; SCTP may have to be restarted first."""
        data = self._session.data
        channels = {} if data is None else data.channels.channels
        self.id = next((each for each, channel in channels.items() if channel.label == EVENTS_LABEL), None)
        if self.id is not None and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            for text in waiting:
                self.send(text, now)

    def send(self, text: str, now: float) -> None:
        """Send an event, or let it wait."""
        if self._waiting is not None:
            self._waiting.append(text)
            return
        if self.id is None:
            self._drops[DropReason.NO_CHANNEL] += 1
            return
        try:
            self._session.send_message(self.id, text, now)
        except LocalProtocolError:
            self._drops[DropReason.CHANNEL_REFUSED] += 1
