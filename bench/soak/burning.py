"""Processes that keep all processors that they may use busy to a wanted share, whatever else runs on them."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized

from bench.processes import MachineClock

__all__ = ["burning"]

_PERIOD = 0.1
"""Seconds in which a process burns for a while and rests for a while: bursts, as other programs have them."""
_LOOK = 1.0
_GAIN = 0.5


@contextmanager
def burning(share: float) -> Iterator[None]:
    """Keep the machine busy until the block ends; other programs count, so what these leave is burnt.

    But for those that give way (nice): they take only what is left over, and are no rivals of anybody's.

    Args:
        share: of all processors, 0 to 1.
    """
    context = multiprocessing.get_context("spawn")
    duty: Synchronized[float] = context.Value("d", share)
    done = threading.Event()
    fires = [
        context.Process(target=_burn, args=(duty, number), daemon=True)
        for number in range(len(os.sched_getaffinity(0)))
    ]
    for fire in fires:
        fire.start()
    keeper = threading.Thread(target=_keep, args=(duty, share, done))
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        for fire in fires:
            fire.terminate()
            fire.join()


def _keep(duty: "Synchronized[float]", share: float, done: threading.Event) -> None:
    while not done.is_set():
        clock = MachineClock(with_nice=False)
        done.wait(_LOOK)
        duty.value = min(max(duty.value + _GAIN * (share - clock.share()), 0.0), 1.0)


def _burn(duty: "Synchronized[float]", number: int) -> None:
    parent = os.getppid()
    time.sleep(number * _PERIOD / 3)  # not all in step
    while os.getppid() == parent:
        began = time.thread_time()
        at = time.monotonic()
        while time.thread_time() - began < duty.value * _PERIOD and time.monotonic() - at < _PERIOD:
            pass
        time.sleep(max(_PERIOD - (time.monotonic() - at), 0.0))
