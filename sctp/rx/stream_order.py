"""Delivering the ordered messages of each stream in the order of their sequence numbers.

Source: RFC 9260 §6.6; RFC 3758 §3.6 (skipping); RFC 6525 §5.2.2 (reset).
"""

from collections.abc import Iterable, Iterator

from sctp.events import MessageReceived
from wire.serial import serial_distance

__all__ = ["StreamOrder"]


class StreamOrder:
    """The next stream sequence number of each stream, and the whole messages that came too early.

    Attributes:
        joins: whether the first message of a stream tells where its numbers have come to: the peer has not begun them
            anew with the association.
    """

    __slots__ = ("_expected", "_waiting", "joins")

    def __init__(self) -> None:
        self.joins = False
        self._expected: dict[int, int] = {}  # unwrapped; a stream that is not here expects 0
        self._waiting: dict[int, dict[int, MessageReceived]] = {}  # by stream, by unwrapped number

    def add(self, stream_sequence_number: int, message: MessageReceived) -> list[MessageReceived] | None:
        """Take a whole message.

        Args:
            stream_sequence_number: wrapped.
            message: the message.

        Returns:
            What can be delivered now, in order; None when its number was delivered before.
        """
        stream_id = message.stream_id
        expected = self._expected.get(stream_id, stream_sequence_number if self.joins else 0)
        ahead = serial_distance(stream_sequence_number, expected & 0xFFFF, 16)
        if ahead == 0:
            self._expected[stream_id] = expected + 1
            return [message, *self._release(stream_id)] if stream_id in self._waiting else [message]
        if ahead < 0:
            return None
        waiting = self._waiting.setdefault(stream_id, {})
        if expected + ahead in waiting:
            return None
        waiting[expected + ahead] = message
        return []

    def skip(self, stream_id: int, stream_sequence_number: int) -> list[MessageReceived]:
        """The peer has given up all that is missing up to a number (wrapped): deliver what has waited for it."""
        expected = self._expected.get(stream_id, 0)
        ahead = serial_distance(stream_sequence_number, expected & 0xFFFF, 16)
        if ahead < 0:
            return []
        waiting = self._waiting.get(stream_id, {})
        through = expected + ahead
        delivered = [waiting.pop(number) for number in sorted(waiting) if number <= through]
        self._expected[stream_id] = through + 1
        return [*delivered, *self._release(stream_id)]

    def _release(self, stream_id: int) -> Iterator[MessageReceived]:
        waiting = self._waiting.get(stream_id, {})
        expected = self._expected[stream_id]
        while (message := waiting.pop(expected, None)) is not None:
            expected += 1
            yield message
        self._expected[stream_id] = expected
        if not waiting:
            self._waiting.pop(stream_id, None)

    def reset(self, stream_ids: Iterable[int]) -> list[MessageReceived]:
        """Expect 0 again on these streams (all, if none is named); return what is given up thereby."""
        given_up: list[MessageReceived] = []
        for stream_id in tuple(stream_ids) or tuple({*self._expected, *self._waiting}):
            self._expected.pop(stream_id, None)
            given_up += self._waiting.pop(stream_id, {}).values()
        return given_up

    def expected(self) -> Iterator[tuple[int, int]]:
        """Each stream's next number, unwrapped."""
        yield from self._expected.items()

    def waiting(self) -> Iterator[tuple[int, MessageReceived]]:
        """Each message that waits, with its unwrapped number."""
        for messages in self._waiting.values():
            yield from messages.items()

    def restore(self, expected: Iterable[tuple[int, int]], waiting: Iterable[tuple[int, MessageReceived]]) -> None:
        """Put back what `expected` and `waiting` returned."""
        self._expected = dict(expected)
        for number, message in waiting:
            self._waiting.setdefault(message.stream_id, {})[number] = message
