"""Busy sockets are looked at once in a while; quiet ones at once."""

import socket
from contextlib import ExitStack

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from relay.udp import MODERATION, Batch, address_of, open_udp, receive_batches

WINDOW = 0.01  # what `relay.udp` judges the load by
pytestmark = pytest.mark.usefixtures("datapath")


class Wire:
    """A sender, two receiving sockets, and what came out of them."""

    def __init__(self, stack: ExitStack) -> None:
        self.sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.receivers = [stack.enter_context(open_udp("127.0.0.1", 0, on_warning=lambda _: None)) for _ in "ab"]
        self.taken: list[bytes] = []
        self.flushed: list[list[bytes]] = []

    def handle(self, batch: Batch, now: float) -> None:
        self.taken += [data for data, _ in batch]

    def flush(self, now: float) -> None:
        self.flushed.append(self.taken)
        self.taken = []

    async def send(self, *data: bytes) -> None:
        """Send, turn by turn to the two sockets, and let the receiver take what it is going to take."""
        for number, datagram in enumerate(data):
            self.sender.sendto(datagram, address_of(self.receivers[number % 2]))
        for _ in range(3):
            await wait_all_tasks_blocked(0.002)


@pytest.fixture
def wire():
    with ExitStack() as stack:
        yield Wire(stack)


async def test_quiet_sockets_are_read_at_once_and_busy_ones_in_batches(mock_clock: MockClock, wire: Wire) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_batches, dict.fromkeys(wire.receivers, wire.handle), wire.flush)
        await wait_all_tasks_blocked()
        # A datagram in a millisecond is not much: each is read as it comes.
        for number in range(15):
            mock_clock.jump(0.0011)
            await wire.send(b"%d" % number)
        assert wire.flushed == [[b"%d" % number] for number in range(15)]
        # Twenty in one window are; from the next window on the sockets wait for the grid.
        mock_clock.jump(3 * WINDOW)
        await wire.send(*[b"many"] * 20)
        mock_clock.jump(WINDOW)
        await wire.send(b"last at once")
        del wire.flushed[:]
        await wire.send(b"1", b"2", b"3")
        assert wire.flushed == []
        mock_clock.jump(MODERATION)
        await wire.send()
        assert [sorted(batch) for batch in wire.flushed] == [[b"1", b"2", b"3"]]
        # Nothing more comes: they are quiet again, and the next one is read at once.
        mock_clock.jump(MODERATION)
        await wire.send()
        mock_clock.jump(3 * WINDOW)
        await wire.send(b"alone")
        assert wire.flushed[1:] == [[b"alone"]]
        nursery.cancel_scope.cancel()


async def test_a_full_batch_is_followed_at_once_by_the_next(mock_clock: MockClock, wire: Wire) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive_batches, dict.fromkeys(wire.receivers, wire.handle), wire.flush)
        await wire.send(*[b"%d" % number for number in range(300)])
        assert sum(map(len, wire.flushed)) == 300
        nursery.cancel_scope.cancel()
