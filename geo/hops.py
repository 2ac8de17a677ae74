"""Which relays and transceivers lose packets between each other, or answer late, by the PINGs of all relays.

A PING waits in the same sockets and loops as a call's packets do, and needs no call: what is lost of PINGs, calls lose,
and a transceiver that answers late sends its audio late.

Attacker: a caller. He has no key of the hop, so no PING is his; he can fill a relay or a transceiver with packets until
it does lose some, and then what is measured is true, and it is well that calls go elsewhere.

Construction: a hop has two ends, and either may be the one that is ill. So a transceiver is as bad as the lower median
of the relays that ask it, and a relay as the lower median of the transceivers that it asks: one bad end shows in all of
its hops, and in a minority of everybody else's. Hops inside the region stand for both ends where there are any, as
calls go there; hops from elsewhere cross networks that are neither's, and tell nothing of delay.
"""

from collections.abc import Iterable, Mapping

import attrs

from geo.health import WELL, Health, lower_median
from geo.steadying import Steady

__all__ = ["Hop", "HopRatings", "Typical", "typical_of"]

_FEWEST_PINGS = 30
_LOSS_PLAY = 0.01
_DELAY_PLAY = 20.0
"""Milliseconds: both ends look at their sockets every 5 ms when they are busy, and packets of voice are 20 ms apart."""

_HALF_LIFE = 120.0
"""Seconds. A relay looks back at 60 PINGs: two of them, lost by chance, do not get over the play in their time."""


@attrs.frozen(kw_only=True)
class Hop:
    """A way between a relay and a transceiver, as the relay has measured it lately.

    Attributes:
        relay: which.
        transceiver: which.
        is_near: whether both are in one region.
        pings: how many were sent.
        lost: how many brought no answer in time.
        round_trip: in milliseconds; None when nobody can tell.
    """

    relay: str
    transceiver: str
    is_near: bool
    pings: int
    lost: int
    round_trip: float | None = None


@attrs.frozen
class Typical:
    """What the hops of a relay or a transceiver have in common.

    Attributes:
        loss: share of PINGs without an answer.
        delay: milliseconds that answers inside the region take; 0 when nobody can tell.
    """

    loss: float
    delay: float


def typical_of(hops: Iterable[Hop]) -> tuple[Mapping[str, Typical], Mapping[str, Typical]]:
    """Tell of each relay and of each transceiver what its hops have in common; those of whom too little is known miss.

    Args:
        hops: all that there are.
    """
    by_relay: dict[str, list[Hop]] = {}
    by_transceiver: dict[str, list[Hop]] = {}
    for hop in hops:
        if hop.pings >= _FEWEST_PINGS:
            by_relay.setdefault(hop.relay, []).append(hop)
            by_transceiver.setdefault(hop.transceiver, []).append(hop)
    relays, transceivers = (
        {name: _typical(own) for name, own in sorted_out.items()} for sorted_out in (by_relay, by_transceiver)
    )
    return relays, transceivers


def _typical(hops: list[Hop]) -> Typical:
    near = [hop for hop in hops if hop.is_near]
    delays = [hop.round_trip for hop in near if hop.round_trip is not None]
    return Typical(
        lower_median([hop.lost / hop.pings for hop in near or hops]), lower_median(delays) if delays else 0.0
    )


class HopRatings:
    """What to go by of all that relays measure."""

    def __init__(self) -> None:
        self._relays: dict[str, _Rating] = {}
        self._transceivers: dict[str, _Rating] = {}

    def follow(self, hops: Iterable[Hop], now: float) -> None:
        """Take what is measured now; about once a second.

        Args:
            hops: all that there are. Who is in none of them is forgotten.
            now: monotonic time in seconds.
        """
        for ratings, measured in zip((self._relays, self._transceivers), typical_of(hops), strict=True):
            for name in ratings.keys() - measured.keys():
                del ratings[name]
            for name, typical in measured.items():
                ratings.setdefault(name, _Rating()).follow(typical, now)

    def relay(self, name: str) -> Health:
        """Tell how a relay does."""
        rating = self._relays.get(name)
        return WELL if rating is None else rating.health("PINGs from its relay", "to its relay")

    def transceiver(self, name: str) -> Health:
        """Tell how a transceiver does."""
        rating = self._transceivers.get(name)
        return WELL if rating is None else rating.health("relays' PINGs to it", "from it to relays")


class _Rating:
    def __init__(self) -> None:
        self._loss, self._delay = Steady(_LOSS_PLAY, _HALF_LIFE), Steady(_DELAY_PLAY, _HALF_LIFE)

    def follow(self, typical: Typical, now: float) -> None:
        self._loss.follow(typical.loss, now)
        self._delay.follow(typical.delay, now)

    def health(self, pings: str, answers: str) -> Health:
        loss, delay = self._loss.value, self._delay.value
        if not loss and not delay:
            return WELL
        words = [f"{loss:.1%} of {pings} are lost"] if loss else []
        words += [f"answers {answers} take {delay:.0f} ms"] if delay else []
        return Health(loss=loss, delay=delay, why=", ".join(words))
