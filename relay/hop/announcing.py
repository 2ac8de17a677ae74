"""A transceiver announces its flows to one relay: in chunks, paced, acknowledged, in the order that they were given.

Goal: a relay that starts knows the flows that it is about to receive within a round trip of its CONFIRM, the busiest
first; and neither end delays media for it.

Rules: a chunk fits a datagram of `MAX_MESSAGE` bytes. At most `WINDOW` chunks wait for their ANNOUNCED, so a relay that
is slow is not flooded; at most `_BURST` leave at once and `_RATE` a second, so 10,000 flows take a second and no socket
overflows. A chunk without its ANNOUNCED is sent again after `_RESEND` s, then twice as long, `_TRIES` times in all;
what is lost beyond that is announced again with the next refreshment (`relay.hop.transceiver_end`). What ends while it
waits or is under way is withdrawn, so that no repetition brings it back.

Bounds: `MAX_WAITING` flows, of which the last are shed and counted; the headers are those that the transceiver's flows
hold anyway.
"""

from collections.abc import Iterable

import attrs

from relay.hop.messages import Announce
from relay.hop.pace import Pace

__all__ = ["MAX_MESSAGE", "MAX_WAITING", "WINDOW", "Announcements"]

MAX_MESSAGE = 1200
"""Longest control message, in bytes: it crosses every path that clients' datagrams cross."""
_ROOM = MAX_MESSAGE - 20 - 16 - 5
"""Without the envelope, the seal, and what stands in front of the headers."""
WINDOW = 8
MAX_WAITING = 1 << 16
_RATE = 400.0
_BURST = 4
_RESEND = 0.1
_TRIES = 5


@attrs.define
class _Chunk:
    """What was sent and is not acknowledged."""

    headers: list[bytes]
    resend: float
    tries: int = 1


class Announcements:
    """What one relay has still to be told.

    Args:
        now: the present.

    Attributes:
        shed: flows that were not announced, since too many waited, or since the relay acknowledged nothing.
    """

    def __init__(self, now: float) -> None:
        self.shed = 0
        self._waiting: dict[bytes, None] = {}
        self._flying: dict[int, _Chunk] = {}
        self._pace = Pace(rate=_RATE, burst=_BURST, now=now)
        self._number = 0

    def __len__(self) -> int:
        """How many flows wait or are not acknowledged."""
        return len(self._waiting) + sum(len(chunk.headers) for chunk in self._flying.values())

    def add(self, headers: Iterable[bytes]) -> None:
        """Announce flows, given as their UP headers, behind those that wait already."""
        waiting = self._waiting
        for header in headers:
            if len(waiting) >= MAX_WAITING and header not in waiting:
                self.shed += 1
            else:
                waiting[header] = None

    def withdraw(self, header: bytes) -> None:
        """Announce a flow no more."""
        self._waiting.pop(header, None)
        for chunk in self._flying.values():
            if header in chunk.headers:
                chunk.headers.remove(header)

    def acknowledge(self, number: int) -> bool:
        """Take an ANNOUNCED; return whether it was waited for."""
        return self._flying.pop(number, None) is not None

    def messages(self, now: float) -> Iterable[Announce]:
        """Take what is due."""
        for number, chunk in list(self._flying.items()):
            if now < chunk.resend:
                continue
            if chunk.tries >= _TRIES or not chunk.headers:
                self.shed += len(chunk.headers)
                del self._flying[number]
            elif self._pace.take(now):
                chunk.resend = now + _RESEND * 2**chunk.tries
                chunk.tries += 1
                yield Announce(number=number, headers=tuple(chunk.headers))
        while self._waiting and len(self._flying) < WINDOW and self._pace.take(now):
            self._number = self._number + 1 & 0xFFFF_FFFF
            headers = self._next_chunk()
            self._flying[self._number] = _Chunk(headers=headers, resend=now + _RESEND)
            yield Announce(number=self._number, headers=tuple(headers))

    def next_timeout(self) -> float | None:
        """When `messages` has something, unless an ANNOUNCED comes before; None for never."""
        resend = min((chunk.resend for chunk in self._flying.values()), default=None)
        if self._waiting and len(self._flying) < WINDOW:
            ready = self._pace.ready()
            return ready if resend is None else min(ready, resend)
        return resend

    def _next_chunk(self) -> list[bytes]:
        headers: list[bytes] = []
        room = _ROOM
        for header in self._waiting:
            room -= len(header)
            if room < 0:
                break
            headers.append(header)
        for header in headers:
            del self._waiting[header]
        return headers
