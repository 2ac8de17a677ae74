"""Choosing relay addresses and transceivers for a caller.

Both return everything that could be used, best first: an answer offers the first few relay addresses, and signal
asks the next transceiver when the best one refuses.
"""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import attrs

from geo.regions import Ingress, Place, Region
from geo.scoring import DEFAULT_WEIGHTS, Score, Weights, score

__all__ = ["Choice", "TransceiverCandidate", "choose_ingresses", "choose_transceiver"]

Item = TypeVar("Item")


@attrs.frozen(kw_only=True)
class Choice(Generic[Item]):
    """What was chosen, and why.

    Attributes:
        items: what was chosen, best first; empty when nothing can be used.
        reasons: a sentence for each candidate that was looked at, those chosen first and in their order.
    """

    items: tuple[Item, ...]
    reasons: tuple[str, ...]


@attrs.frozen(kw_only=True)
class TransceiverCandidate:
    """A transceiver that a call may be placed on.

    Attributes:
        name: what it is called in reasons; its control URL, for instance.
        region: where it is; None when nobody said.
        load: share of its capacity in use, 0 to 1.
        is_ready: whether it takes calls.
        reason: why it does not, when it does not.
    """

    name: str
    region: Region | None = None
    load: float = 0.0
    is_ready: bool = True
    reason: str = ""


def choose_ingresses(
    place: Place | None, ingresses: Iterable[Ingress], count: int, weights: Weights = DEFAULT_WEIGHTS
) -> Choice[Ingress]:
    """Choose the relay addresses that an answer offers.

    Args:
        place: where the caller is; None when nobody knows.
        ingresses: those to choose from. Among equals the earlier one wins: with no place, that is their order.
        count: how many to choose at most; the others are named in the reasons.
        weights: how much each term counts.
    """
    ranked = _rank([(score(place, _place_of(ingress.region), weights=weights), ingress) for ingress in ingresses])
    reasons = []
    for position, (given, ingress) in enumerate(ranked):
        name = f"ingress {ingress.id}{_in_region(ingress.region)}"
        left_out = "" if position < count else f" Left out, as {count} are enough."
        reasons.append(f"{name}: {given.why}.{left_out}")
    return Choice(items=tuple(ingress for _, ingress in ranked[: max(0, count)]), reasons=tuple(reasons))


def choose_transceiver(
    place: Place | None, candidates: Iterable[TransceiverCandidate], weights: Weights = DEFAULT_WEIGHTS
) -> Choice[TransceiverCandidate]:
    """Order the transceivers that take calls, best first.

    Args:
        place: where the caller is; None when nobody knows.
        candidates: those to choose from. Among equals the earlier one wins.
        weights: how much each term counts.
    """
    candidates = tuple(candidates)
    ready = [candidate for candidate in candidates if candidate.is_ready]
    ranked = _rank(
        [(score(place, _place_of(candidate.region), candidate.load, weights), candidate) for candidate in ready]
    )
    reasons = [f"{candidate.name}{_in_region(candidate.region)}: {given.why}." for given, candidate in ranked]
    reasons += [
        f"{candidate.name}{_in_region(candidate.region)}: takes no calls, {candidate.reason or 'not ready'}."
        for candidate in candidates
        if not candidate.is_ready
    ]
    return Choice(items=tuple(candidate for _, candidate in ranked), reasons=tuple(reasons))


def _rank(scored: Sequence[tuple[Score, Item]]) -> list[tuple[Score, Item]]:
    return sorted(scored, key=lambda pair: pair[0].total)  # sorting is stable: equals keep their order


def _place_of(region: Region | None) -> Place | None:
    return None if region is None else region.place


def _in_region(region: Region | None) -> str:
    return "" if region is None else f" in {region.name}"
