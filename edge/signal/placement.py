"""Where the caller is, and which relay addresses and transceivers suit it."""

from collections.abc import Callable

import attrs
import trio

from edge.config.model import SignalConfig
from edge.control.client import ControlClient
from edge.control.tls import ControlTls
from edge.http.messages import Request
from edge.registry.membership import Membership
from edge.signal.fleet import FleetView, Member
from edge.signal.geography import ChosenPlaces, Geography, region_named, regions_of
from edge.signal.recent import RecentNetworks
from geo.caller import CallerLocation
from geo.regions import Ingress, Region
from geo.residency import NO_RESIDENCY, Residency
from geo.round_trips import round_trip_between
from transceiver.calls import AnswerIngress
from transceiver.round_trips import RoundTripSample

__all__ = ["Placement", "Proposal", "fleet_of"]

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
        reasons: why, a sentence for each candidate that came near to being chosen.
        location: where the caller is.
        residency: where the call may be.
    """

    ingresses: tuple[AnswerIngress, ...]
    members: tuple[Member, ...]
    reasons: tuple[str, ...]
    location: CallerLocation = attrs.field(factory=CallerLocation)
    residency: Residency = NO_RESIDENCY


class Placement:
    """Chooses for each caller.

    Args:
        geography: regions, rules, relay addresses, and what calls have shown so far.
        fleet: the transceivers.
        now: monotonic time in seconds.

    Attributes:
        geography: as given.
        recent: where calls came from lately.
    """

    def __init__(self, geography: Geography, fleet: FleetView, *, now: Callable[[], float] = trio.current_time) -> None:
        self.geography = geography
        self._fleet = fleet
        self._now = now
        self.recent = RecentNetworks()
        # Numbers of the last round trip and the last loss, by cluster and incarnation.
        self._heard: dict[tuple[int, int], tuple[int, int]] = {}

    def propose(self, request: Request, owner: str = "", model: str | None = None) -> Proposal:
        """Choose for the caller who sent a request.

        Args:
            request: what was sent.
            owner: digest of the caller's API key; empty without keys.
            model: that was asked for.
        """
        chosen = self.choose(self.geography.locate(request), owner, model)
        return Proposal(
            ingresses=(
                *(_answer_ingress(rank, each) for rank, each in enumerate(chosen.ingresses.items)),
                *(_tcp_answer_ingress(rank, each) for rank, each in enumerate(chosen.tcp_ingresses.items)),
            ),
            members=tuple(self._fleet.member(each.name) for each in chosen.transceivers.items),
            reasons=chosen.reasons,
            location=chosen.location,
            residency=chosen.residency,
        )

    def choose(self, location: CallerLocation, owner: str = "", model: str | None = None) -> ChosenPlaces:
        """Choose for a caller who is somewhere, with all that is known of the fleet."""
        self.learn()
        self.geography.follow_ingresses(self._fleet.ingresses)
        candidates = self._fleet.candidates()
        return self.geography.choose(location, candidates, now=self._now(), owner=owner, model=model)

    def placed(self, proposal: Proposal, member: Member) -> None:
        """A call was placed on a transceiver: further ones from the caller's network go to its region."""
        region, now = "" if member.region is None else member.region.name, self._now()
        self.geography.networks.serve(proposal.location.network, region, now)
        self.recent.placed(proposal.location, region, now)

    def not_ready_reason(self) -> str:
        """Tell why no call can be placed now; empty when one can."""
        self.geography.follow_ingresses(self._fleet.ingresses)
        if not self.geography.ingresses and not self.geography.tcp_ingresses:
            return "No relay address is configured or announced: signal.ingresses is empty."
        return self._fleet.not_ready_reason()

    def learn(self) -> None:
        """Take the round trips and losses that calls have measured since we looked last."""
        now = self._now()
        heard = {}
        for member in self._fleet.members:
            status = member.status
            if status is None:
                continue
            process = status.cluster, status.incarnation
            round_trip, loss = self._heard.get(process, (0, 0))
            for sample in status.round_trips:
                if sample.number > round_trip:
                    round_trip = sample.number
                    self._learn_round_trip(sample, member.region, now)
            for lost in status.losses:
                if lost.number > loss:
                    loss = lost.number
                    # That of the hop behind the ingress is among it; relays measure it, too, and the worse counts.
                    entered = self.geography.region_of_ingress(lost.ingress) or member.region
                    self.geography.losses.observe(
                        lost.network, "" if entered is None else entered.name, lost.share, now
                    )
            heard[process] = round_trip, loss
        self._heard = heard

    def _learn_round_trip(self, sample: RoundTripSample, region: Region | None, now: float) -> None:
        self.recent.measured(sample.network, sample.milliseconds)
        # What was measured is the way to the transceiver; of the way to the ingress's region it is what remains without
        # the way between the two.
        entered = self.geography.region_of_ingress(sample.ingress) or region
        if entered is not None:
            beyond = 0.0 if region is None else round_trip_between(entered.place, region.place)
            self.geography.networks.observe(sample.network, entered.name, sample.milliseconds - beyond, now)


def fleet_of(
    config: SignalConfig, control_key: str, tls: ControlTls | None = None, membership: Membership | None = None
) -> FleetView:
    """Return the view on the configured transceivers, and on those of the registry; nothing is asked yet.

    Args:
        config: names them.
        control_key: the bearer key.
        tls: what is shown to those with an https URL; None for nothing.
        membership: reads the registry; None without one.
    """
    regions = regions_of(config)

    def meet(url: str, region: str | None) -> Member:
        return Member(ControlClient(url, control_key, tls=tls), region=region_named(region, regions))

    configured = [meet(each.url, each.region) for each in config.transceivers]
    return FleetView(configured, membership, lambda registered: meet(registered.control, registered.region))


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
