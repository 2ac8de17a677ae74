"""One client's connection: what it has sent of a frame, and what waits to be sent to it."""

import enum
from collections import deque

from relay.tcp.drops import TcpDropReason
from relay.tcp.framing import FrameReader, frame
from relay.tcp.options import TcpOptions
from wire.core import Address

__all__ = ["Connection", "ConnectionState"]


class ConnectionState(enum.Enum):
    """How far a connection is believed."""

    OPENING = "opening"
    """It has shown nothing yet."""
    OPEN = "open"
    """Its first frame was an authentic Binding Request."""
    CLOSED = "closed"


class Connection:
    """A connection; `relay.tcp.connections` has the rules that it lives by.

    Args:
        ingress: number of the ingress that it came to.
        client: the client's address.
        source: what counts as its source: the IPv4 address, or the IPv6 /64.
        now: the present.
        options: bounds.

    Attributes:
        ingress: as given.
        client: as given.
        source: as given.
        accepted: when it was accepted.
        state: how far it is believed.
        unclaimed_since: since when no session claims it; None while one does.
        blocked_since: since when the kernel takes nothing; None while it does.
        frames: finds the datagrams in what it sends.
    """

    __slots__ = (
        "_options",
        "_queue",
        "_queued",
        "accepted",
        "blocked_since",
        "client",
        "frames",
        "ingress",
        "source",
        "state",
        "unclaimed_since",
    )

    def __init__(self, *, ingress: int, client: Address, source: bytes, now: float, options: TcpOptions) -> None:
        self.ingress = ingress
        self.client = client
        self.source = source
        self.accepted = now
        self.state = ConnectionState.OPENING
        self.unclaimed_since: float | None = now
        self.blocked_since: float | None = None
        self.frames = FrameReader()
        self._options = options
        self._queue: deque[bytes] = deque()
        self._queued = 0

    @property
    def queued(self) -> int:
        """How many bytes wait to be sent, lengths included."""
        return self._queued

    def enqueue(self, datagram: bytes) -> TcpDropReason | None:
        """Let a datagram wait to be sent.

        The newest is dropped, not the oldest: of what waits, the beginning may have been sent already. Media is given
        up much earlier than the rest once the kernel takes no more, because it is worth nothing when it is late.

        Returns:
            Why it was dropped; None when it was not.
        """
        size = self._queued + len(datagram) + 2
        if size > self._options.media_queue and self.blocked_since is not None and 128 <= datagram[0] <= 191:
            return TcpDropReason.MEDIA_QUEUE_FULL  # RFC 7983 §7: RTP and RTCP
        if size > self._options.queue:
            return TcpDropReason.QUEUE_FULL
        self._queue.append(frame(datagram))
        self._queued = size
        return None

    def to_send(self) -> bytes:
        """All that waits, in one piece."""
        if len(self._queue) > 1:
            joined = b"".join(self._queue)
            self._queue.clear()
            self._queue.append(joined)
        return self._queue[0] if self._queue else b""

    def sent(self, count: int, now: float) -> None:
        """Note that the kernel took so many bytes of `to_send`."""
        rest = self.to_send()[count:]
        self._queue.clear()
        if rest:
            self._queue.append(rest)
        self._queued = len(rest)
        if not rest:
            self.blocked_since = None
        elif count or self.blocked_since is None:
            self.blocked_since = now
