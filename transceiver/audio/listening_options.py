"""How much is waited for what a caller said: the choice between hearing soon and hearing all.

On a path that keeps packets in order, nothing is ever waited for, whatever is chosen: what is late is late, and what is
missing is lost. The choice matters where packets overtake each other, and where a network stalls. Simulated, calls of
five minutes with packets of 20 ms:

                                                fast          balanced      accurate
    delay added on average, and audio given up although it came, where packets are late at random (gamma, shape 1.5),
      by 10 ms on average                       0.1 ms 3.5 %  0.6 ms 0.8 %  1.1 ms 0.2 %
      by 20 ms                                  2.4 ms 4.3 %  4.4 ms 0.9 %  5.9 ms 0.3 %
      by 40 ms                                  13 ms  5.2 %  20 ms  1.0 %  26 ms  0.3 %
      by 20 ms, in order                        0      0      0      0      0.1 ms 0
    silence put into words, with a stall of 50 to 600 ms each 20 s or so
                                                3.4 s         2.0 s         0
    from the last word of a caller who stops sending to the first 20 ms of silence, on a quiet path
                                                85 ms         175 ms        425 ms

What is given up is mostly recovered from the packet behind it, where the sender uses FEC or redundancy.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType

import attrs

__all__ = ["LISTENING", "ListeningOptions", "Preference"]


class Preference(enum.StrEnum):
    """What matters more."""

    FAST = "fast"
    BALANCED = "balanced"
    ACCURATE = "accurate"


@attrs.frozen(kw_only=True)
class ListeningOptions:
    """Bounds of one caller's jitter buffer; the times within them are measured.

    Attributes:
        quantile: share of the packets that is worth waiting for, 0 to 1. What comes later than all of these is given
            up, so this bounds the share of audio that is lost although it arrives; it is then concealed, or recovered
            from the packet behind it.
        max_wait: most seconds to wait at a gap, whatever was measured.
        patience: seconds beyond the measured lateness until a network that brings nothing is taken for a caller who
            says nothing, and silence is handed on. If the packets come after all, the silence stands in the middle of
            a word. It does not delay a caller who speaks; it delays the end of a turn if the caller stops sending.
        max_packets: most packets held for one source; more are dropped. 10 s of audio in packets of 20 ms.
    """

    quantile: float = 0.99
    max_wait: float = 0.120
    patience: float = 0.150
    max_packets: int = 500

    @property
    def memory(self) -> float:
        """How many packets the measurements remember: enough to have seen a few beyond the quantile."""
        return max(5 / (1 - self.quantile), 50)


LISTENING: Mapping[Preference, ListeningOptions] = MappingProxyType(
    {
        Preference.FAST: ListeningOptions(quantile=0.95, max_wait=0.060, patience=0.060),
        Preference.BALANCED: ListeningOptions(),
        Preference.ACCURATE: ListeningOptions(quantile=0.998, max_wait=0.300, patience=0.400),
    }
)
