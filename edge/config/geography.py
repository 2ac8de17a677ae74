"""What is wrong with the regions, the rules for them, and what tells where a caller is."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from edge.config.problems import Problem, describe
from edge.config.signal import ResidencyConfig, SignalConfig

__all__ = ["check_geography"]


def check_geography(signal: SignalConfig) -> Iterator[Problem]:
    """Find everything that is wrong with signal's view of the earth."""
    names = [region.name for region in signal.regions]
    for index, region in enumerate(signal.regions):
        if region.name in names[:index]:
            found = f"found {describe(region.name)} again"
            yield Problem(f"signal.regions[{index}].name", found, "A region has one entry.")
        if region.capacity < 0:
            right = "It should be a number of calls, or 0 for no bound."
            yield Problem(f"signal.regions[{index}].capacity", f"found {region.capacity}", right)
    used = [("signal.region", signal.region)]
    used += [(f"signal.ingresses[{index}].region", item.region) for index, item in enumerate(signal.ingresses)]
    used += [(f"signal.transceivers[{index}].region", item.region) for index, item in enumerate(signal.transceivers)]
    for number, rule in enumerate(signal.residency):
        key = f"signal.residency[{number}]"
        used += [(f"{key}.regions[{index}]", name) for index, name in enumerate(rule.regions)]
        yield from _check_rule(key, rule, signal.api_keys)
    for key, wanted in used:
        if wanted is not None and wanted not in names:
            known = f"The regions are: {', '.join(names)}." if names else "Add it to signal.regions; there is none yet."
            yield Problem(key, f"found {describe(wanted)}, which is no region", known)
    yield from _check_sources(signal)


def _check_rule(key: str, rule: ResidencyConfig, api_keys: Sequence[str]) -> Iterator[Problem]:
    if not rule.regions:
        yield Problem(f"{key}.regions", "there is none", "Name the regions that are allowed.")
    for index, country in enumerate(rule.countries):
        if country != "??" and not (len(country) == 2 and country.isascii() and country.isalpha()):
            right = 'A country is a code of two letters ("DE"), or "??" for callers whose country nobody knows.'
            yield Problem(f"{key}.countries[{index}]", f"found {describe(country)}", right)
    for index, api_key in enumerate(rule.api_keys):
        if api_key not in api_keys:
            right = "A rule is for keys that callers may show; add it there or drop it here."
            yield Problem(f"{key}.api_keys[{index}]", "it is not among signal.api_keys", right)


def _check_sources(signal: SignalConfig) -> Iterator[Problem]:
    if len(signal.location_headers) not in {0, 2}:
        right = 'Name two headers, of the latitude and of the longitude: ["CF-IPLatitude", "CF-IPLongitude"].'
        yield Problem("signal.location_headers", f"found {len(signal.location_headers)} names", right)
    elif (signal.location_headers or signal.country_header) and not signal.trusted_proxies:
        key = "location_headers" if signal.location_headers else "country_header"
        right = f"Name the networks of the proxies that set signal.{key}; nobody else is believed."
        yield Problem("signal.trusted_proxies", "there is none", right)
    if signal.location_database is not None:
        key, found = "signal.location_database", describe(signal.location_database)
        if not Path(signal.location_database).is_file():
            yield Problem(key, f"there is no file {found}", "Give the path of a MaxMind-format file (.mmdb).")
        if find_spec("maxminddb") is None:
            yield Problem(key, f"{found} cannot be read", 'Install the package: pip install "trio-voice[geo]".')
