"""What one source, and one token, may cost the relay.

Goal: who floods the relay with requests that fail pays more than we do, and who holds one valid token cannot fill the
table. Attacker: sends anything from anywhere, forged sources included; holds tokens of calls of his own.

* Failures are counted by source: an IPv4 address, or the /64 of an IPv6 address, whose owner has all of it. Beyond
  `FAILURES` in a window, only one request in `SAMPLE` is verified, drawn by lot. Not none: the source may be forged,
  and its true owner wants to call. His checks repeat every 50 ms, so the flood delays him by half a second and does not
  lock him out. (By lot, because any rhythm could be kept busy by who sends in step with it.) What already has a claim
  is never held against the budget.
* Requests with a good token and bad integrity cost us most, and may each come from another source. So these failures
  are counted by session too, with the same lot beyond the same number. It is the victim's session if somebody has
  overheard its token; that costs it half a second when it changes its address, and its claims feel nothing.
* New addresses are counted by session: in no second more than `NEW_ADDRESSES`, for requests that are authentic.

Failures are counted in windows of fixed length, forgotten as a whole: no timers, no record outlives its window. The
number of records is bounded. A flood of more sources than fit goes uncounted, as it would with any table.

What remains: who has overheard an authentic request can repeat it from other addresses (`relay.admission`), and so use
up what its session may have of new ones. The call goes on where it is, and what is proven needs none of this.
"""

from collections import Counter

from relay.hop.header import pack_host
from wire.core import Entropy
from wire.errors import LocalProtocolError

__all__ = ["FAILURES", "NEW_ADDRESSES", "SAMPLE", "FailureBudget", "NewAddressBudget", "source_of"]

FAILURES = 32
FAILURE_WINDOW = 10.0
SAMPLE = 8
NEW_ADDRESSES = 4
NEW_ADDRESS_WINDOW = 1.0
MAX_RECORDS = 1 << 15


class _Window:
    """How often each key was counted since the window began."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._end = 0.0
        self.counts: Counter[bytes | int] = Counter()

    def count(self, key: bytes | int, now: float) -> int:
        """How often `key` was counted in the present window."""
        if now >= self._end:
            self.counts.clear()
            self._end = now + self._length
        return self.counts[key]

    def add(self, key: bytes | int) -> None:
        """Count `key` once more, unless the table is full."""
        if key in self.counts or len(self.counts) < MAX_RECORDS:
            self.counts[key] += 1


class FailureBudget:
    """Holds failures against a source, as `source_of` tells it, or against a session."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._window = _Window(FAILURE_WINDOW)

    def allows(self, who: bytes | int, now: float) -> bool:
        """Whether a request should be verified now."""
        return self._window.count(who, now) < FAILURES or self._entropy(1)[0] % SAMPLE == 0

    def failed(self, who: bytes | int, now: float) -> None:
        """Hold a failure against somebody."""
        if self._window.count(who, now) < FAILURES:
            self._window.add(who)


class NewAddressBudget:
    """Limits how fast a session may show up at new addresses."""

    def __init__(self) -> None:
        # The sessions that were counted last come last. Nothing else is kept for each: there is one for each new call.
        self._times: dict[int, tuple[float, ...]] = {}

    def is_spent(self, session: int, now: float) -> bool:
        """Whether the session may have no more now."""
        return len(self._lately(session, now)) >= NEW_ADDRESSES

    def spend(self, session: int, now: float) -> None:
        """Count one more."""
        times, lately = self._times, self._lately(session, now)
        times.pop(session, None)
        while times:
            oldest = next(iter(times))
            if now - times[oldest][-1] < NEW_ADDRESS_WINDOW and len(times) < MAX_RECORDS:
                break
            del times[oldest]
        times[session] = (*lately, now)

    def _lately(self, session: int, now: float) -> tuple[float, ...]:
        return tuple(time for time in self._times.get(session, ()) if now - time < NEW_ADDRESS_WINDOW)


def source_of(host: str) -> bytes:
    """What one subscriber can hardly have many of: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        address = pack_host(host)
    except LocalProtocolError:
        return host.encode()
    return address[:8] if len(address) == 16 else address
