"""The garbage collector, told what kind of program this is."""

import gc

__all__ = ["let_the_collector_rest", "spare_the_collector"]


def let_the_collector_rest() -> None:
    """Collect nothing while a program loads, of which nothing is garbage; until `spare_the_collector`.

    It would look at all that is there already, over and over: a twentieth of the time that a relay takes to start.
    """
    gc.disable()


def spare_the_collector() -> None:
    """Take what the program itself consists of out of the garbage collector's sight.

    A full collection would look at some 50 000 objects of modules each time, for tens of milliseconds in which nobody's
    packets move; none of them ever becomes garbage. Calls are freed as they end, without the collector; so it need not
    look often: with 3000 calls and default thresholds the longest collection took 150 ms, with these 20 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
