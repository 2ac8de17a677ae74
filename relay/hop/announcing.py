"""A transceiver announces its flows to one relay: in chunks, paced, acknowledged, in the order that they were given.

Goal: a relay that starts knows the flows that it is about to receive within a round trip of its CONFIRM, the busiest
first; and neither end delays media for it.

Rules: a chunk fits a datagram of `MAX_MESSAGE` bytes. At most `WINDOW` chunks wait for their ANNOUNCED, so a relay that
is slow is not flooded; at most `_BURST` leave at once and `_RATE` a second, so 10,000 flows take a second and no socket
overflows. A chunk without its ANNOUNCED is sent again after `_RESEND` s, then twice as long, `_TRIES` times in all;
what is lost beyond that is announced again with the next refreshment (`relay.hop.transceiver_end`). What ends while it
waits or is under way is withdrawn, so that no repetition brings it back.

Flows that were taken over (`Telling.take_over`) go before all others, in chunks of their own: nothing of their sessions
may be sent before relays have acknowledged them, and every millisecond is heard. They may have as many chunks under way
as all others together, and are sent again sooner.

Bounds: `MAX_WAITING` flows, of which the last are shed and counted; the headers are those that the transceiver's flows
hold anyway.
"""

from collections.abc import Iterable, Sequence

import attrs

from relay.hop.drops import HopDropReason
from relay.hop.messages import Announce
from relay.hop.pace import Pace
from wire.core import Drops

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
_RESEND_URGENT = 0.05
_TRIES = 5


@attrs.define
class _Chunk:
    """What was sent and is not acknowledged."""

    headers: list[bytes]
    resend: float
    interval: float
    tries: int = 1
    is_urgent: bool = False


class Announcements:
    """What one relay has still to be told.

    Args:
        now: the present.
        drops: counts flows that are not announced, as `HopDropReason.NOT_ANNOUNCED`.
    """

    def __init__(self, now: float, drops: Drops) -> None:
        self._drops = drops
        self._waiting: dict[bytes, None] = {}
        self._urgent: dict[bytes, None] = {}
        self._flying: dict[int, _Chunk] = {}
        self._pace = Pace(rate=_RATE, burst=_BURST, now=now)
        self._number = 0

    def __len__(self) -> int:
        """How many flows wait or are not acknowledged."""
        return len(self._waiting) + len(self._urgent) + sum(len(chunk.headers) for chunk in self._flying.values())

    def add(self, headers: Iterable[bytes]) -> None:
        """Announce flows, given as their UP headers, behind those that wait already."""
        waiting = self._waiting
        for header in headers:
            if len(waiting) >= MAX_WAITING and header not in waiting:
                self._drops[HopDropReason.NOT_ANNOUNCED] += 1
            else:
                waiting[header] = None

    def add_first(self, header: bytes) -> None:
        """Announce a flow, given as its UP header, before all that were not given so; `acknowledge` tells when."""
        self._waiting.pop(header, None)
        if len(self._urgent) >= MAX_WAITING and header not in self._urgent:
            self._drops[HopDropReason.NOT_ANNOUNCED] += 1
        else:
            self._urgent[header] = None

    def withdraw(self, header: bytes) -> None:
        """Announce a flow no more."""
        self._waiting.pop(header, None)
        self._urgent.pop(header, None)
        for chunk in self._flying.values():
            if header in chunk.headers:
                chunk.headers.remove(header)

    def acknowledge(self, number: int) -> Sequence[bytes] | None:
        """Take an ANNOUNCED.

        Returns:
            Those of the flows in it that were to be announced first; None when it was not waited for.
        """
        chunk = self._flying.pop(number, None)
        if chunk is None:
            return None
        return chunk.headers if chunk.is_urgent else ()

    def messages(self, now: float) -> Iterable[Announce]:
        """Take what is due."""
        yield from self._new_chunks(self._urgent, 2 * WINDOW, _RESEND_URGENT, now)
        for number, chunk in list(self._flying.items()):
            if now < chunk.resend:
                continue
            if chunk.tries >= _TRIES or not chunk.headers:
                if chunk.headers:
                    self._drops[HopDropReason.NOT_ANNOUNCED] += len(chunk.headers)
                del self._flying[number]
            elif self._pace.take(now):
                chunk.resend = now + chunk.interval * 2**chunk.tries
                chunk.tries += 1
                yield Announce(number=number, headers=tuple(chunk.headers))
        yield from self._new_chunks(self._waiting, WINDOW, _RESEND, now)

    def next_timeout(self) -> float | None:
        """When `messages` has something, unless an ANNOUNCED comes before; None for never."""
        resend = min((chunk.resend for chunk in self._flying.values()), default=None)
        flying = len(self._flying)
        if (self._waiting and flying < WINDOW) or (self._urgent and flying < 2 * WINDOW):
            ready = self._pace.ready()
            return ready if resend is None else min(ready, resend)
        return resend

    def _new_chunks(self, waiting: dict[bytes, None], window: int, interval: float, now: float) -> Iterable[Announce]:
        while waiting and len(self._flying) < window and self._pace.take(now):
            self._number = self._number + 1 & 0xFFFF_FFFF
            headers = _next_chunk(waiting)
            self._flying[self._number] = _Chunk(
                headers=headers, resend=now + interval, interval=interval, is_urgent=waiting is self._urgent
            )
            yield Announce(number=self._number, headers=tuple(headers))


def _next_chunk(waiting: dict[bytes, None]) -> list[bytes]:
    headers: list[bytes] = []
    room = _ROOM
    for header in waiting:
        room -= len(header)
        if room < 0:
            break
        headers.append(header)
    for header in headers:
        del waiting[header]
    return headers
