"""A choice of places in JSON types, term by term: what `trio-voice where` prints."""

from collections.abc import Mapping
from typing import TypeVar

from edge.signal.geography import ChosenPlaces
from geo.ranking import Choice
from geo.regions import Place

__all__ = ["explain"]

Item = TypeVar("Item")


def explain(chosen: ChosenPlaces) -> dict[str, object]:
    """Tell where a caller is, what was looked at for it, and what was chosen."""
    location, residency = chosen.location, chosen.residency
    return {
        "address": location.address,
        "network": location.network,
        "location": _place(location.place),
        "country": location.country or None,
        "country_why": location.country_why or None,
        "residency": None if residency.regions is None else _residency(residency.regions, residency.why),
        "transceivers": _candidates(chosen.transceivers),
        "ingresses": _candidates(chosen.ingresses),
        "tcp_ingresses": _candidates(chosen.tcp_ingresses),
    }


def _place(place: Place | None) -> Mapping[str, object] | None:
    return None if place is None else {"latitude": place.latitude, "longitude": place.longitude, "why": place.why}


def _residency(regions: frozenset[str], why: str) -> Mapping[str, object]:
    return {"regions": sorted(regions), "why": why}


def _candidates(choice: Choice[Item]) -> list[Mapping[str, object]]:
    return [
        {
            "name": each.name,
            "region": None if each.region is None else each.region.name,
            "rank": position + 1 if position < len(choice.items) else None,
            "standing": each.standing.name.lower(),
            "score_ms": round(each.score.total, 1),
            "terms_ms": {name: round(value, 1) for name, value in each.score.terms.items() if value},
            "why": sentence,
        }
        for position, (each, sentence) in enumerate(zip(choice.ranked, choice.reasons, strict=True))
    ]
