"""A long way between clients and a relay: a UDP proxy in user space that holds every packet back for a while."""

import heapq
import itertools
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["slow_path"]


@contextmanager
def slow_path(target: int, seconds: float) -> Iterator[int]:
    """Carry UDP between any clients and a port of this machine, until the block ends.

    Args:
        target: the port.
        seconds: how long a packet takes, each way.

    Yields:
        The port that clients send to.
    """
    stop = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
        near.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_carry, args=(near, target, seconds, stop))
        thread.start()
        try:
            yield near.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _carry(near: socket.socket, target: int, seconds: float, stop: threading.Event) -> None:
    towards: dict[tuple[str, int], socket.socket] = {}
    clients: dict[socket.socket, tuple[str, int]] = {}
    waiting: list[tuple[float, int, bytes, socket.socket, tuple[str, int]]] = []
    numbers = itertools.count()
    with ExitStack() as stack:
        while not stop.is_set():
            pause = min(0.05, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.05
            for readable in select.select([near, *clients], [], [], pause)[0]:
                data, source = readable.recvfrom(2048)
                if readable is near:
                    if source not in towards:
                        far = towards[source] = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                        clients[far] = source
                    way = towards[source], ("127.0.0.1", target)
                else:
                    way = near, clients[readable]
                heapq.heappush(waiting, (time.monotonic() + seconds, next(numbers), data, *way))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, data, out, to = heapq.heappop(waiting)
                out.sendto(data, to)
