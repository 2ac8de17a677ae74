"""Where the caller is, and which relay addresses and transceivers suit it."""

from collections.abc import Mapping

import attrs

from edge.config.model import SignalConfig, SignalIngress
from edge.control.client import ControlClient
from edge.http.messages import Request
from edge.signal.fleet import FleetView, Member
from geo.caller import locate_caller
from geo.choice import choose_ingresses, choose_transceiver
from geo.regions import Ingress, Region
from transceiver.calls import AnswerIngress

__all__ = ["Placement", "Proposal", "fleet_of", "regions_of"]

_HOST_TYPE_PREFERENCE = 126
_TCP_TYPE_PREFERENCE = 90
"""Below every type preference that UDP has (RFC 6544 §4.2), relayed candidates aside; libwebrtc's for its own."""
_HIGHEST_LOCAL_PREFERENCE = 65535
_PASSIVE = 4
_HIGHEST_OTHER_PREFERENCE = 8191
_COMPONENT_RTP = 1


@attrs.frozen(kw_only=True)
class Proposal:
    """How one call could be placed.

    Attributes:
        ingresses: for the answer, the preferred one first, with priorities that say so to the client's ICE.
        members: transceivers to ask, the preferred one first.
        reasons: why, a sentence for each candidate.
    """

    ingresses: tuple[AnswerIngress, ...]
    members: tuple[Member, ...]
    reasons: tuple[str, ...]


class Placement:
    """Chooses for each caller.

    Args:
        config: ingresses, regions, and what tells where a caller is.
        fleet: the transceivers.
    """

    def __init__(self, config: SignalConfig, fleet: FleetView) -> None:
        self._config = config
        self._fleet = fleet
        regions = regions_of(config)
        self._ingresses = tuple(_ingress(each, regions) for each in config.ingresses if each.protocol == "udp")
        self._tcp_ingresses = tuple(_ingress(each, regions) for each in config.ingresses if each.protocol == "tcp")

    def propose(self, request: Request) -> Proposal:
        """Choose for the caller who sent a request."""
        config = self._config
        place = locate_caller(
            request.headers,
            peer=request.peer[0],
            trusted_proxies=config.trusted_proxies,
            header_names=config.location_headers,
            configured=config.location,
        )
        ingresses = choose_ingresses(place, self._ingresses, config.ingress_count)
        over_tcp = choose_ingresses(place, self._tcp_ingresses, config.tcp_ingress_count)
        transceivers = choose_transceiver(place, self._fleet.candidates())
        return Proposal(
            ingresses=(
                *(_answer_ingress(rank, each) for rank, each in enumerate(ingresses.items)),
                *(_tcp_answer_ingress(rank, each) for rank, each in enumerate(over_tcp.items)),
            ),
            members=tuple(self._fleet.member(each.name) for each in transceivers.items),
            reasons=ingresses.reasons + over_tcp.reasons + transceivers.reasons,
        )

    def not_ready_reason(self) -> str:
        """Tell why no call can be placed now; empty when one can."""
        if not self._ingresses and not self._tcp_ingresses:
            return "No relay address is configured: signal.ingresses is empty."
        return self._fleet.not_ready_reason()


def regions_of(config: SignalConfig) -> Mapping[str, Region]:
    """Return the configured regions by name."""
    return {each.name: Region(name=each.name, place=each.location) for each in config.regions}


def fleet_of(config: SignalConfig, control_key: str) -> FleetView:
    """Return the view on the configured transceivers; nothing is asked yet."""
    regions = regions_of(config)
    return FleetView(
        Member(ControlClient(each.url, control_key), region=regions.get(each.region or ""))
        for each in config.transceivers
    )


def _ingress(each: SignalIngress, regions: Mapping[str, Region]) -> Ingress:
    host, port = each.advertise
    return Ingress(id=each.id, host=host, port=port, region=regions.get(each.region or ""))


def _answer_ingress(rank: int, ingress: Ingress) -> AnswerIngress:
    # RFC 8445 §5.1.2.1: 2^24 * type preference + 2^8 * local preference + (256 - component id). The local preference
    # descends, so that the client's own ICE is the last fail-over.
    local_preference = max(0, _HIGHEST_LOCAL_PREFERENCE - rank)
    priority = (_HOST_TYPE_PREFERENCE << 24) | (local_preference << 8) | (256 - _COMPONENT_RTP)
    return AnswerIngress(id=ingress.id, host=ingress.host, port=ingress.port, priority=priority)


def _tcp_answer_ingress(rank: int, ingress: Ingress) -> AnswerIngress:
    # RFC 6544 §4.2: local preference = 2^13 * direction preference + other preference.
    local_preference = (_PASSIVE << 13) | max(0, _HIGHEST_OTHER_PREFERENCE - rank)
    priority = (_TCP_TYPE_PREFERENCE << 24) | (local_preference << 8) | (256 - _COMPONENT_RTP)
    return AnswerIngress(id=ingress.id, host=ingress.host, port=ingress.port, priority=priority, protocol="tcp")
