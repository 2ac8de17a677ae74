"""The configured earth: regions, rules and relay addresses as `geo` wants them, and one choice over all of them."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import attrs

from edge.config.model import SignalConfig, SignalIngress
from edge.http.messages import Request
from geo.caller import CallerLocation, locate_address, locate_caller
from geo.choice import Choice, TransceiverCandidate, Viewpoint, choose_ingresses, choose_transceiver
from geo.database import LocationDatabase
from geo.health import WELL, Health
from geo.losses import RegionLosses
from geo.measuring import CallerNetworks
from geo.regions import Ingress, Place, Region
from geo.residency import Residency, ResidencyRule, residency_of

__all__ = ["ChosenPlaces", "FoundIngress", "Geography", "region_named", "regions_of"]

_REASONS = 8
"""Sentences of each choice that a call keeps; `trio-voice where` has all."""


@attrs.frozen(kw_only=True)
class FoundIngress:
    """A relay address that a relay has announced, and how that relay is.

    Attributes:
        ingress: the address.
        load: share of the relay's capacity in use.
        is_draining: whether the relay is about to leave.
        reason: why it cannot be relied on; empty when it can.
        health: what was measured of the relay.
    """

    ingress: SignalIngress
    load: float = 0.0
    is_draining: bool = False
    reason: str = ""
    health: Health = WELL


@attrs.frozen(kw_only=True)
class ChosenPlaces:
    """Where a call may go, and why.

    Attributes:
        location: where the caller is.
        residency: where the call may be.
        transceivers: to be asked.
        ingresses: for UDP.
        tcp_ingresses: for TCP.
    """

    location: CallerLocation
    residency: Residency
    transceivers: Choice[TransceiverCandidate]
    ingresses: Choice[Ingress]
    tcp_ingresses: Choice[Ingress]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, a sentence for each candidate that came near to being chosen."""
        choices = (self.ingresses, self.tcp_ingresses, self.transceivers)
        rule = (f"Residency: {self.residency.why}.",) if self.residency.why else ()
        return rule + tuple(sentence for choice in choices for sentence in choice.reasons[:_REASONS])


class Geography:
    """What the configuration says of places.

    Args:
        config: regions, rules, ingresses, and what tells where a caller is.
        database: places by address; None for none.
        networks: how long calls' ways have been so far.
        losses: what calls have lost on them.
    """

    def __init__(
        self,
        config: SignalConfig,
        *,
        database: LocationDatabase | None = None,
        networks: CallerNetworks | None = None,
        losses: RegionLosses | None = None,
    ) -> None:
        self.regions = regions_of(config)
        self.rules = rules_of(config)
        self.networks = CallerNetworks() if networks is None else networks
        self.losses = RegionLosses() if losses is None else losses
        self._found: Sequence[FoundIngress] = ()
        self.ingresses: tuple[Ingress, ...] = ()
        self.tcp_ingresses: tuple[Ingress, ...] = ()
        self._use_ingresses([FoundIngress(ingress=each) for each in config.ingresses])
        self._config = config
        self._database = database
        self._fallback = config.location or _listening_place(self.regions.get(config.region or ""))

    def follow_ingresses(self, found: Sequence[FoundIngress]) -> None:
        """Use these relay addresses beside those that are configured; their numbers stand for what is configured."""
        if found is self._found:
            return
        self._found = found
        own = [FoundIngress(ingress=each) for each in self._config.ingresses]
        configured = {each.ingress.id for each in own}
        self._use_ingresses([*own, *(each for each in found if each.ingress.id not in configured)])

    def _use_ingresses(self, found: Sequence[FoundIngress]) -> None:
        self.ingresses = tuple(_ingress(each, self.regions) for each in found if each.ingress.protocol == "udp")
        self.tcp_ingresses = tuple(_ingress(each, self.regions) for each in found if each.ingress.protocol == "tcp")

    def locate(self, request: Request) -> CallerLocation:
        """Tell where the sender of a request is."""
        return locate_caller(
            request.headers,
            peer=request.peer[0],
            trusted_proxies=self._config.trusted_proxies,
            header_names=self._config.location_headers,
            country_header=self._config.country_header or "",
            database=self._database,
            configured=self._fallback,
        )

    def locate_address(self, address: str) -> CallerLocation:
        """Tell where an address is, without any headers."""
        return locate_address(address, database=self._database, configured=self._fallback)

    def choose(
        self,
        location: CallerLocation,
        candidates: Iterable[TransceiverCandidate],
        *,
        now: float,
        owner: str = "",
        model: str | None = None,
    ) -> ChosenPlaces:
        """Choose for one call.

        Args:
            location: where the caller is.
            candidates: the transceivers.
            now: monotonic time in seconds.
            owner: digest of the caller's API key; empty without keys.
            model: that was asked for.
        """
        residency = residency_of(self.rules, country=location.country, model=model or "", owner=owner)
        viewpoint = Viewpoint(
            place=location.place,
            residency=residency,
            measured=self.networks.measured(location.network, now),
            usual_region=self.networks.usual_region(location.network, now),
            region_health=self.losses.health(now),
        )
        transceivers = choose_transceiver(viewpoint, candidates)
        onward_to = transceivers.items[0].region if transceivers.items else None

        def ingresses(among: Sequence[Ingress], count: int) -> Choice[Ingress]:
            return choose_ingresses(viewpoint, among, count, onward_to=onward_to)

        return ChosenPlaces(
            location=location,
            residency=residency,
            transceivers=transceivers,
            ingresses=ingresses(self.ingresses, self._config.ingress_count),
            tcp_ingresses=ingresses(self.tcp_ingresses, self._config.tcp_ingress_count),
        )

    def region_of_ingress(self, number: int) -> Region | None:
        """Find the region of an ingress by its number; None when it has none, or there is no such ingress."""
        return next((each.region for each in (*self.ingresses, *self.tcp_ingresses) if each.id == number), None)


def regions_of(config: SignalConfig) -> Mapping[str, Region]:
    """Return the configured regions by name."""
    return {
        each.name: Region(name=each.name, place=each.location, capacity=each.capacity, is_draining=each.draining)
        for each in config.regions
    }


def region_named(name: str | None, regions: Mapping[str, Region]) -> Region | None:
    """Find a region; one that is not configured has a name, by which rules know it, and no place."""
    return (regions.get(name) or Region(name=name)) if name else None


def rules_of(config: SignalConfig) -> tuple[ResidencyRule, ...]:
    """Return the configured rules of residency."""
    return tuple(
        ResidencyRule(
            regions=frozenset(each.regions),
            countries=frozenset(country.upper() for country in each.countries),
            models=each.models,
            owners=frozenset(sha256(key.strip().encode()).hexdigest() for key in each.api_keys),
        )
        for each in config.residency
    )


def _listening_place(region: Region | None) -> Place | None:
    if region is None or region.place is None:
        return None
    return attrs.evolve(region.place, why=f"the region {region.name}, which took the request")


def _ingress(found: FoundIngress, regions: Mapping[str, Region]) -> Ingress:
    each = found.ingress
    host, port = each.advertise
    return Ingress(
        id=each.id,
        host=host,
        port=port,
        region=region_named(each.region, regions),
        relay=each.relay or "",
        machine=each.machine or "",
        load=found.load,
        is_healthy=not found.reason or found.is_draining,
        is_draining=found.is_draining,
        reason=found.reason,
        health=found.health,
    )
