"""Datagrams that reach a worker when their call has just gone elsewhere: they are handed on.

A relay leads a client's datagrams to the new owner from the moment it reads MOVED. What it has sent before that is on
its way to the old one, which tells the new owner of it in the same words as of what it had kept itself.

Goal: what was under way is not lost. Bound: for `_SECONDS` after a call has left, `MAX_KEPT` datagrams of it, one
request at a time and at most a hundred a second. After that whoever sends has not read MOVED, which each datagram of
his gets him anew.
"""

from collections.abc import Iterator

import attrs
import trio

from transceiver.handover.kept import MAX_KEPT, KeptDatagrams, pack_kept
from transceiver.handover.ownership import Owner
from transceiver.handover.peers import Offered, Peers
from wire.core import Address

__all__ = ["LateDatagrams"]

_SECONDS = 2.0
_GATHER = 0.01
"""How long the first waits for others that go with it."""
_LINGER = 0.25
"""Who is about to stop waits so long for what is late of the call that was the last to leave."""


@attrs.define(eq=False)
class _Gone:
    """A call that has left, and may have something on its way here still."""

    offered: Offered
    target: Owner
    until: float
    waiting: KeptDatagrams = attrs.field(factory=KeptDatagrams)
    room: int = MAX_KEPT
    is_busy: bool = True


class LateDatagrams:
    """Hands on what comes late.

    Args:
        peers: the other transceivers.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._gone: dict[int, _Gone] = {}  # by session; who left last is at the end
        self._has_some = trio.Event()

    def expect(self, offered: Offered, target: Owner, now: float) -> None:
        """From now on a call is the target's; nothing is handed on before it has been `released`."""
        for session, gone in list(self._gone.items()):
            if now < gone.until:
                break
            del self._gone[session]
        self._gone.pop(offered.session, None)
        self._gone[offered.session] = _Gone(offered, target, now + _SECONDS)

    def released(self, session: int) -> None:
        """The target has been told that the call is its own, and given what had come until then."""
        if (gone := self._gone.get(session)) is not None:
            gone.is_busy = False
            self._has_some.set()

    def keep(self, session: int, data: bytes, source: Address, now: float) -> bool:
        """Take a late datagram with its hop header, from a relay; whether it will be handed on."""
        gone = self._gone.get(session)
        if gone is None or now >= gone.until or not gone.room:
            return False
        gone.room -= 1
        gone.waiting.append(data, source)
        self._has_some.set()
        return True

    async def run(self) -> None:
        """Hand on, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._has_some.wait()
                await trio.sleep(_GATHER)
                self._has_some = trio.Event()
                for gone in self._due():
                    gone.is_busy = True
                    nursery.start_soon(self._hand_on, gone)

    async def linger(self) -> None:
        """Wait for what is late of the call that was the last to leave."""
        if self._gone:
            *_, last = self._gone.values()
            await trio.sleep_until(last.until - _SECONDS + _LINGER)

    def _due(self) -> Iterator[_Gone]:
        return (gone for gone in self._gone.values() if gone.waiting and not gone.is_busy)

    async def _hand_on(self, gone: _Gone) -> None:
        await self._peers.release(gone.offered, gone.target, pack_kept(gone.waiting.take()))
        self.released(gone.offered.session)
