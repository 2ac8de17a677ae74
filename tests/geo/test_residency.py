"""Rules are never bent, and the strictest of several holds."""

import pytest

from geo.regions import Region
from geo.residency import NO_RESIDENCY, Residency, ResidencyRule, residency_of

GERMANS = ResidencyRule(regions=frozenset({"eu-central", "eu-west"}), countries=frozenset({"DE", "AT"}))
MODELS = ResidencyRule(regions=frozenset({"eu-west", "us-east"}), models=("bank-*",))
OWNERS = ResidencyRule(regions=frozenset({"us-east"}), owners=frozenset({"5f5f"}))


@pytest.mark.parametrize(
    ("call", "regions"),
    [
        ({}, None),
        ({"country": "FR", "model": "other", "owner": "00"}, None),
        ({"country": "DE"}, {"eu-central", "eu-west"}),
        ({"model": "bank-1"}, {"eu-west", "us-east"}),
        ({"country": "AT", "model": "bank-1"}, {"eu-west"}),
        ({"country": "AT", "owner": "5f5f"}, set()),
    ],
)
def test_the_regions_that_all_rules_allow_remain(call: dict[str, str], regions: set[str] | None) -> None:
    assert residency_of([GERMANS, MODELS, OWNERS], **call).regions == regions


def test_all_conditions_of_a_rule_have_to_hold() -> None:
    both = ResidencyRule(regions=frozenset({"eu"}), countries=frozenset({"DE"}), models=("bank-*",))
    assert residency_of([both], country="DE", model="other") is NO_RESIDENCY
    assert residency_of([both], country="DE", model="bank-2").regions == {"eu"}


def test_a_rule_may_name_callers_of_whom_nothing_is_known() -> None:
    rule = ResidencyRule(regions=frozenset({"eu"}), countries=frozenset({"??"}))
    assert residency_of([rule]).regions == {"eu"}
    assert residency_of([rule], country="DE").regions is None


def test_what_is_in_no_region_is_only_allowed_without_rules() -> None:
    assert NO_RESIDENCY.allows(None)
    assert not Residency(regions=frozenset({"eu"})).allows(None)
    assert Residency(regions=frozenset({"eu"})).allows(Region(name="eu"))


def test_a_residency_explains_itself() -> None:
    residency = residency_of([GERMANS, MODELS, OWNERS], country="DE", model="bank-1", owner="5f5f")
    assert residency.why == (
        "callers from DE only in eu-central, eu-west; the model bank-1 only in eu-west, us-east; "
        "this API key only in us-east"
    )
