"""Sidebands of a call: further connections of its owner, each of which sees all events and may send its own.

What a sideband is to be told waits for it here, so that a call never does. One that does not read what waits is cut
off, and so is one that has not read it soon after the call is over.
"""

import enum
import itertools
from collections import deque
from collections.abc import Callable

import trio

from transceiver.calls import EventSocket, Overloaded, SocketClosed
from transceiver.realtime.bridge import Bridge
from transceiver.realtime.passthrough import ClientTooSlow
from wire.core import Drops

__all__ = ["MAX_SIDEBANDS", "DropReason", "Sidebands"]

MAX_SIDEBANDS = 8
"""How many a call may have at a time."""

MAX_WAITING = 1024
"""How many events may wait for a sideband."""

MAX_WAITING_LENGTH = 4_194_304
"""How many characters they may have. A single event may be longer, if a backend makes such."""

_RETRY_SECONDS = 5.0

_GOODBYE_SECONDS = 2.0
"""What a sideband has to read what waits for it when the call is over."""


class DropReason(enum.StrEnum):
    """Why events did not reach a sideband."""

    SLOW = "sideband-slow"
    """It did not read; it was cut off."""


class _Outbox:
    """What one sideband is still to be sent."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.is_slow = False
        self._texts: deque[str] = deque()
        self._length = 0  # of these, in characters
        self._is_finished = False
        self._has_more = trio.Event()

    def put(self, text: str) -> bool:
        """Add a text. Returns whether it fits; if not, the sideband is cut off."""
        if self.is_slow or self._is_finished:
            return True
        texts = self._texts
        if texts and (len(texts) >= MAX_WAITING or self._length + len(text) > MAX_WAITING_LENGTH):
            self.is_slow = True
            texts.clear()
            self.scope.cancel()
            return False
        texts.append(text)
        self._length += len(text)
        self._has_more.set()
        return True

    def finish(self, now: float) -> None:
        """Nothing more will be added: the sideband ends when it has read what waits, or does not."""
        self._is_finished = True
        self._has_more.set()
        self.scope.deadline = min(self.scope.deadline, now + _GOODBYE_SECONDS)

    async def send_all(self, socket: EventSocket) -> None:
        """Send until `finish` was called and all is sent, or the socket is closed; then end the sideband."""
        try:
            while not self._is_finished or self._texts:
                while self._texts:
                    text = self._texts.popleft()
                    self._length -= len(text)
                    await socket.send(text)
                    # A socket need not give others a turn while the kernel takes what it is given.
                    await trio.lowlevel.checkpoint()
                if not self._is_finished:
                    self._has_more = trio.Event()
                    await self._has_more.wait()
        except SocketClosed:
            pass
        self.scope.cancel()


class Sidebands:
    """The sidebands of one call.

    Args:
        bridge: tells them what happens, and takes what they send.
        carry: carries out what the bridge wants done; called after each of its inputs here.
        drops: where it is counted which were cut off.
    """

    def __init__(self, bridge: Bridge, carry: Callable[[float], None], drops: Drops) -> None:
        self._bridge = bridge
        self._carry = carry
        self._drops = drops
        self._outboxes: dict[int, _Outbox] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False

    def __len__(self) -> int:
        """How many there are."""
        return len(self._outboxes)

    async def serve(self, socket: EventSocket) -> None:
        """Let one more connection take part until it closes or the call ends; see `Conversations.serve_sideband`.

        Raises:
            Overloaded: there are `MAX_SIDEBANDS`, or the call is just ending; nothing was sent.
            ClientTooSlow: it did not read.
        """
        if self._is_closed or len(self._outboxes) >= MAX_SIDEBANDS:
            raise Overloaded(_RETRY_SECONDS)
        number = next(self._numbers)
        outbox = self._outboxes[number] = _Outbox()
        try:
            with outbox.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(outbox.send_all, socket)
                    now = trio.current_time()
                    self._bridge.sideband_opened(number, now)
                    self._carry(now)
                    await self._read(number, socket)
                    outbox.scope.cancel()
        finally:
            del self._outboxes[number]
            self._bridge.sideband_closed(number, trio.current_time())
        if outbox.is_slow:
            raise ClientTooSlow("the sideband does not read what the call says")

    async def _read(self, number: int, socket: EventSocket) -> None:
        try:
            while True:
                text = await socket.receive()
                now = trio.current_time()
                self._bridge.receive_client_text(text, now, sideband=number)
                self._carry(now)
        except SocketClosed:
            return

    def send(self, number: int, text: str) -> None:
        """Tell one something; does nothing when it is gone."""
        outbox = self._outboxes.get(number)
        if outbox is not None and not outbox.put(text):
            self._drops[DropReason.SLOW] += 1

    def finish(self, number: int, now: float) -> None:
        """End one, once it has read what waits for it."""
        outbox = self._outboxes.get(number)
        if outbox is not None:
            outbox.finish(now)

    def close(self, now: float) -> None:
        """End all, and take no further one."""
        self._is_closed = True
        for outbox in self._outboxes.values():
            outbox.finish(now)
