"""How many offers one source may send.

Signal keeps nothing that matters, and this is no exception: what is remembered here is a guard of this process against
one source that sends too much. It may be lost at any moment, and each signal node counts for itself.

How many calls an API key has at a time is not counted here, as calls go on when a signal node does not. The
transceivers have the calls, and tell with their status how many each owner has (`FleetView.calls_of`). So the bound
holds over all signal nodes; what several of them place within the same second may exceed it.
"""

from collections import OrderedDict
from collections.abc import Sequence

from edge.config.model import Network
from edge.http.messages import Request
from edge.http.server import source_of
from geo.addresses import address_of_caller

__all__ = ["OfferRate", "source_of_request"]

_MINUTE = 60.0
_MAX_SOURCES = 10_000


class OfferRate:
    """Bounds the offers of each source to so many a minute, all at once or spread.

    This is the generic cell rate algorithm (ITU-T I.371): for each source one number, the time at which everything it
    has sent would have been sent had it kept to the rate. It may be a minute ahead, but no more.

    Args:
        per_minute: offers; 0 for no bound.
    """

    def __init__(self, per_minute: int) -> None:
        self._interval = _MINUTE / per_minute if per_minute else 0.0
        self._times: OrderedDict[str, float] = OrderedDict()  # the source that sent last is at the end

    def admit(self, source: str, now: float) -> float:
        """Count an offer.

        Args:
            source: whose it is.
            now: monotonic time in seconds.

        Returns:
            0 when it is admitted; else the seconds after which another one would be. Refused offers do not count.
        """
        if not self._interval:
            return 0.0
        time = max(self._times.get(source, now), now) + self._interval
        excess = time - now - _MINUTE
        if excess > self._interval / 1000:  # less is a rounding error, not an offer
            return excess
        self._times[source] = time
        self._times.move_to_end(source)
        if len(self._times) > _MAX_SOURCES:
            self._times.popitem(last=False)  # most likely it has kept to the rate meanwhile
        return 0.0


def source_of_request(request: Request, trusted_proxies: Sequence[Network]) -> str:
    """Tell whose request it is: an IPv4 address or an IPv6 /64.

    Behind proxies that are trusted it is the last address in X-Forwarded-For that is not one of theirs.
    """
    address = address_of_caller(request.headers, peer=request.peer[0], trusted_proxies=trusted_proxies)
    return source_of(address)
