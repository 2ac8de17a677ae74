"""Which regions a call may be in at all.

Goal: a call that a rule ties to some regions never gets a relay or a transceiver anywhere else, however near, empty or
healthy. Construction: a rule applies when each of its conditions holds; when several apply, only the regions that all
of them name remain. What is in no region is not allowed while any rule applies, because nobody knows where it is. When
nothing remains the call is refused: a rule is never bent for a call that could otherwise not be placed.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

import attrs

from geo.regions import Region

__all__ = ["NO_RESIDENCY", "UNKNOWN_COUNTRY_CODE", "Residency", "ResidencyRule", "residency_of"]

UNKNOWN_COUNTRY_CODE = "??"
"""In a rule: callers whose country nobody knows."""


@attrs.frozen(kw_only=True)
class ResidencyRule:
    """Calls that may be only in some regions. A condition that is empty holds for every call.

    Attributes:
        regions: names of the regions that are allowed.
        countries: callers from these countries, as ISO 3166-1 codes; `UNKNOWN_COUNTRY_CODE` for unknown ones.
        models: calls for models that match one of these patterns, as in `fnmatch`. A call that names no model matches
            none but "*".
        owners: calls made with the API keys of these digests.
    """

    regions: frozenset[str]
    countries: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()

    def applies(self, *, country: str, model: str, owner: str) -> bool:
        """Whether each of its conditions holds."""
        return (
            (not self.countries or (country or UNKNOWN_COUNTRY_CODE) in self.countries)
            and (not self.models or any(fnmatchcase(model, pattern) for pattern in self.models))
            and (not self.owners or owner in self.owners)
        )

    def why(self, *, country: str, model: str) -> str:
        """Tell what of a call it applied to, for people."""
        conditions = [f"callers from {country or 'an unknown country'}"] if self.countries else []
        conditions += [f"the model {model}" if model else "calls that name no model"] if self.models else []
        conditions += ["this API key"] if self.owners else []
        return f"{' with '.join(conditions) or 'all calls'} only in {', '.join(sorted(self.regions))}"


@attrs.frozen(kw_only=True)
class Residency:
    """What the rules say of one call.

    Attributes:
        regions: names of the regions that are allowed; None for all.
        why: which rules say so, for people; empty when none does.
    """

    regions: frozenset[str] | None = None
    why: str = ""

    def allows(self, region: Region | None) -> bool:
        """Whether a call may be in a region; None is the place of what is in no region."""
        return self.regions is None or (region is not None and region.name in self.regions)


NO_RESIDENCY = Residency()


def residency_of(rules: Iterable[ResidencyRule], *, country: str = "", model: str = "", owner: str = "") -> Residency:
    """Apply the rules to one call.

    Args:
        rules: in any order.
        country: the caller's, as an ISO 3166-1 code in upper case; empty when nobody knows.
        model: that was asked for; empty when none was.
        owner: digest of the caller's API key; empty without keys.
    """
    applying = [rule for rule in rules if rule.applies(country=country, model=model, owner=owner)]
    if not applying:
        return NO_RESIDENCY
    return Residency(
        regions=frozenset.intersection(*(rule.regions for rule in applying)),
        why="; ".join(rule.why(country=country, model=model) for rule in applying),
    )
