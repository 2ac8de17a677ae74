"""Which message is sent next, and cutting it into chunks.

Without message interleaving (RFC 8260) the chunks of a message have consecutive TSNs (RFC 9260 §6.9), so a message
that has begun is finished first. Between messages the stream goes next that has sent the fewest bytes: start-time
fair queueing. Each stream has a virtual time that advances by what it sends; a stream that was idle starts at the
present of the others, so that silence earns no credit.

Chunks are cut when they are sent, as large as the packet has room for.
"""

import heapq
from collections.abc import Iterable

from sctp.tx.message import OutgoingMessage
from sctp.tx.stream_queue import StreamQueue
from wire.errors import LocalProtocolError

__all__ = ["SendQueue"]


class SendQueue:
    """Messages of all streams that wait to be sent.

    Attributes:
        buffered: bytes that wait, over all streams.
        may_expire: whether lifetimes and retransmission limits count; only if the peer knows FORWARD TSN.
        virtual_time: that of the stream whose turn it is or was.
    """

    __slots__ = ("_current", "_heap", "_streams", "buffered", "may_expire", "virtual_time")

    def __init__(self) -> None:
        self.buffered = 0
        self.may_expire = False
        self._streams: dict[int, StreamQueue] = {}
        self._heap: list[tuple[int, int]] = []  # (virtual time, stream id) of streams with something to send
        self.virtual_time = 0
        self._current: StreamQueue | None = None  # the stream whose first message is sent in part

    # Filling ---------------------------------------------------------------------------------------------------------

    def add(self, message: OutgoingMessage) -> None:
        """Queue a message."""
        stream = self._stream(message.stream_id)
        stream.add(message)
        self.buffered += len(message.data)
        self._schedule(stream)

    def buffered_amount(self, stream_id: int) -> int:
        """Bytes of a stream that wait."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None else stream.buffered

    # Emptying --------------------------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there that could be sent; what waits for a reset does not count."""
        return self._current is None and not self._heap

    def next_message(self, now: float) -> OutgoingMessage | None:
        """Return the message whose turn it is; None when there is none."""
        stream = self._current
        if stream is not None:
            message = stream.messages[0]
            if message.position or not (self.may_expire and message.has_expired(now)):
                return message
            # It was chosen, but the packet had no room for it, and now it is too late.
            self._current = None
            self._schedule(stream)
        stream = self._next_stream(now)
        return None if stream is None else stream.messages[0]

    def cut(self, max_size: int) -> bytes:
        """Cut off the next chunk's user data of the message that `next_message` has returned.

        Args:
            max_size: bytes that it may have at most, 1 or more.
        """
        stream = self._current
        if stream is None:
            raise LocalProtocolError("no message was chosen")
        message = stream.messages[0]
        position, data = message.position, message.data
        if not position and not message.is_unordered:
            # RFC 9260 §6.6: unordered messages do not advance the sequence number.
            message.stream_sequence_number = stream.next_ssn
            stream.next_ssn += 1
        end = position + max_size
        length = len(data)
        if end < length:
            payload, size = data[position:end], max_size
        else:
            payload, size = data[position:] if position else data, length - position
        message.position = position + size
        stream.buffered -= size
        stream.served += size
        self.buffered -= size
        if end >= length:
            stream.messages.popleft()
            self._current = None
            self._schedule(stream)
            if not self._heap:
                # All are idle: whoever comes next starts where the last one has stopped.
                self.virtual_time = max(self.virtual_time, stream.served)
        return payload

    @property
    def under_way(self) -> OutgoingMessage | None:
        """The message that was sent in part: nothing comes before its rest."""
        stream = self._current
        if stream is None:
            return None
        message = stream.messages[0]
        return message if message.position else None

    def cut_series(self, size: int, count: int) -> list[bytes]:
        """Cut off the user data of chunks from the middle of the message that is `under_way`.

        Args:
            size: bytes of each.
            count: how many; something is left behind them.
        """
        stream = self._current
        if stream is None:
            raise LocalProtocolError("no message is under way")
        message = stream.messages[0]
        data, begin, taken = message.data, message.position, size * count
        message.position = begin + taken
        stream.buffered -= taken
        stream.served += taken
        self.buffered -= taken
        return [data[at : at + size] for at in range(begin, begin + taken, size)]

    def abandon(self, message: OutgoingMessage) -> bool:
        """Forget what is left of a message that has begun.

        Returns:
            Whether anything was left, so that the peer has not seen its end.
        """
        stream = self._current
        if stream is None or stream.messages[0] is not message:
            return False
        self.buffered -= len(message.data) - message.position
        stream.drop_head()
        self._current = None
        self._schedule(stream)
        return True

    # Stream resets ---------------------------------------------------------------------------------------------------

    def pause(self, stream_id: int) -> None:
        """Send what is queued on a stream, and hold back what comes later."""
        self._stream(stream_id).is_paused = True

    def is_drained(self, stream_id: int) -> bool:
        """Whether all that was queued before `pause` has been cut into chunks."""
        stream = self._streams.get(stream_id)
        return stream is None or not stream.messages

    def resume(self, stream_id: int, *, is_reset: bool) -> None:
        """Go on with a stream, from sequence number 0 if it was reset."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.open_barrier(is_reset=is_reset)
            self._schedule(stream)
            if not stream.messages and not stream.next_ssn:
                del self._streams[stream_id]

    def used_streams(self) -> list[int]:
        """Streams whose sequence numbers are not at 0, or will not be."""
        return [stream_id for stream_id, stream in self._streams.items() if stream.next_ssn or stream.buffered]

    def restart(self) -> None:
        """The peer has lost its state: begin anew with all that is still here."""
        self._current = None
        self._heap.clear()
        for stream in self._streams.values():
            stream.rewind()
            stream.is_scheduled = False
            self._schedule(stream)
        self.buffered = sum(stream.buffered for stream in self._streams.values())

    def drop_beyond(self, stream_count: int) -> None:
        """The peer accepts so many streams only: forget what was queued on others before that was known."""
        for stream_id in [stream_id for stream_id in self._streams if stream_id >= stream_count]:
            stream = self._streams.pop(stream_id)
            self.buffered -= stream.buffered
            self._heap = [item for item in self._heap if item[1] != stream_id]
        heapq.heapify(self._heap)

    # For snapshots ---------------------------------------------------------------------------------------------------

    @property
    def current_stream_id(self) -> int | None:
        """The stream whose turn it is."""
        return None if self._current is None else self._current.stream_id

    def streams(self) -> Iterable[StreamQueue]:
        """All streams that were used."""
        return self._streams.values()

    def restore(self, streams: Iterable[StreamQueue], current_stream_id: int | None) -> None:
        """Put back the streams."""
        self._streams = {stream.stream_id: stream for stream in streams}
        self._heap = [(stream.served, stream.stream_id) for stream in self._streams.values() if stream.is_scheduled]
        heapq.heapify(self._heap)
        self._current = None if current_stream_id is None else self._streams[current_stream_id]
        self.buffered = sum(stream.buffered for stream in self._streams.values())

    # The scheduler ---------------------------------------------------------------------------------------------------

    def _stream(self, stream_id: int) -> StreamQueue:
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._streams[stream_id] = StreamQueue(stream_id)
        return stream

    def _schedule(self, stream: StreamQueue) -> None:
        if stream.messages and not stream.is_scheduled and stream is not self._current:
            stream.is_scheduled = True
            stream.served = max(stream.served, self.virtual_time)
            heapq.heappush(self._heap, (stream.served, stream.stream_id))

    def _next_stream(self, now: float) -> StreamQueue | None:
        """Return the stream whose turn it is; it has a message."""
        while self._heap:
            served, stream_id = self._heap[0]
            stream = self._streams[stream_id]
            before = stream.buffered
            message = stream.take_head(now, may_expire=self.may_expire)
            self.buffered -= before - stream.buffered
            heapq.heappop(self._heap)
            stream.is_scheduled = False
            if message is not None:
                # It is its turn until its message has gone out.
                self.virtual_time = served
                self._current = stream
                return stream
        return None
