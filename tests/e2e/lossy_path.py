"""A network between a browser and a relay that loses packets, by a seed: a UDP proxy in user space."""

import random
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

__all__ = ["LossyPath", "lossy_path"]


@attrs.define
class LossyPath:
    """The proxy.

    Attributes:
        port: where the browser sends to.
        loss: share of the packets that is lost, each way.
        carried: packets that were not.
        lost: packets that were.
    """

    port: int
    loss: float = 0.0
    carried: int = 0
    lost: int = 0


@contextmanager
def lossy_path(target: int, *, seed: int = 1) -> Iterator[LossyPath]:
    """Carry UDP between one client and a port of this machine, until the block ends."""
    stop = threading.Event()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        near.bind(("127.0.0.1", 0))
        far.connect(("127.0.0.1", target))
        path = LossyPath(near.getsockname()[1])
        thread = threading.Thread(target=_carry, args=(path, near, far, random.Random(seed), stop))
        thread.start()
        try:
            yield path
        finally:
            stop.set()
            thread.join()


def _carry(
    path: LossyPath, near: socket.socket, far: socket.socket, randomness: random.Random, stop: threading.Event
) -> None:
    client = None
    while not stop.is_set():
        for readable in select.select([near, far], [], [], 0.05)[0]:
            try:
                data, source = readable.recvfrom(2048)
            except ConnectionRefusedError:  # nobody listens at the target any more
                continue
            if readable is near:
                client = source
            if randomness.random() < path.loss:
                path.lost += 1
                continue
            path.carried += 1
            if readable is near:
                far.send(data)
            elif client is not None:
                near.sendto(data, client)
