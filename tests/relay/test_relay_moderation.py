"""A busy socket is looked at once in a while; a quiet one at once."""

import socket
from collections.abc import Callable

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from relay.udp import MODERATION, Batch, address_of, open_udp, receive_batches


async def settle() -> None:
    """Let the kernel deliver and the receiver take what it is going to take."""
    for _ in range(3):
        await wait_all_tasks_blocked(0.002)


async def test_a_quiet_socket_is_read_at_once_and_a_busy_one_in_batches(mock_clock: MockClock) -> None:
    batches: list[list[bytes]] = []

    def handle(batch: Batch, now: float) -> None:
        batches.append([data for data, _ in batch])

    with (
        open_udp("127.0.0.1", 0, on_warning=lambda _: None) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        send: Callable[[bytes], int] = lambda data: sender.sendto(data, address_of(receiver))  # noqa: E731
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_batches, receiver, handle)
            await settle()
            send(b"1")
            await settle()
            assert batches == [[b"1"]]
            send(b"2")  # no time has passed since the first: from here on the socket is busy
            await settle()
            assert batches[1:] == [[b"2"]]
            send(b"3")
            send(b"4")
            await settle()
            assert len(batches) == 2
            mock_clock.jump(MODERATION)
            await settle()
            assert batches[2:] == [[b"3", b"4"]]
            mock_clock.jump(MODERATION)  # nothing has come: it is quiet again
            await settle()
            mock_clock.jump(2 * MODERATION)
            send(b"5")
            await settle()
            assert batches[3:] == [[b"5"]]
            nursery.cancel_scope.cancel()
