"""The messages of one stream that wait for their turn."""

from collections import deque

from sctp.tx.message import OutgoingMessage

__all__ = ["StreamQueue"]


class StreamQueue:
    """A queue with a barrier: behind it wait the messages that belong after a reset of the stream.

    Args:
        stream_id: which stream.

    Attributes:
        messages: what may be sent, in order; the first may be sent in part.
        held: what was queued since the reset was asked for.
        next_ssn: stream sequence number of the next ordered message; does not wrap.
        buffered: bytes in both queues that were not cut off yet.
        served: the stream's virtual time, see `send_queue`.
        is_scheduled: whether the scheduler knows that it has something to send.
        is_paused: whether a reset is under way.
    """

    __slots__ = ("buffered", "held", "is_paused", "is_scheduled", "messages", "next_ssn", "served", "stream_id")

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.messages: deque[OutgoingMessage] = deque()
        self.held: deque[OutgoingMessage] = deque()
        self.next_ssn = 0
        self.buffered = 0
        self.served = 0
        self.is_scheduled = False
        self.is_paused = False

    def add(self, message: OutgoingMessage) -> None:
        """Queue a message, behind the barrier if there is one."""
        (self.held if self.is_paused else self.messages).append(message)
        self.buffered += len(message.data)

    def take_head(self, now: float, *, may_expire: bool) -> OutgoingMessage | None:
        """Return the first message that is worth sending; drop those whose lifetime is over."""
        messages = self.messages
        while messages:
            message = messages[0]
            if not (may_expire and not message.position and message.has_expired(now)):
                return message
            self.drop_head()
        return None

    def drop_head(self) -> None:
        """Remove the first message with what is left of it."""
        message = self.messages.popleft()
        self.buffered -= len(message.data) - message.position

    def open_barrier(self, *, is_reset: bool) -> None:
        """The reset is over: go on, with sequence numbers from 0 if it was performed."""
        if is_reset:
            self.next_ssn = 0
        self.is_paused = False
        self.messages.extend(self.held)
        self.held.clear()

    def rewind(self) -> None:
        """Begin anew with the peer: numbers from 0, and what was sent in part once more as a whole."""
        if self.messages:
            head = self.messages[0]
            self.buffered += head.position
            head.position = 0
        self.open_barrier(is_reset=True)
