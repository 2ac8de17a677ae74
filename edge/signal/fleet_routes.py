"""What operators see of the fleet: its state for the map, and why a caller would be placed where.

Goal: nobody but the operator learns how the fleet is built. Attackers: callers, who may reach this port from anywhere,
and web pages that the operator's browser visits. Construction: the state needs an API key, or a request from this
machine under one of its own names (`Access.operator`), so that a page whose domain was re-pointed to 127.0.0.1 gets
nothing. The page itself holds no data and is open like the other one; it asks for the key.
"""

from collections.abc import Callable, Mapping
from ipaddress import ip_address

import trio

from edge.http.errors import error_response
from edge.http.messages import Request, Response, json_response
from edge.registry.listing import listing_of
from edge.signal.explaining import explain
from edge.signal.fleet import FleetView, Member
from edge.signal.placement import Placement
from geo.health import WELL, Health
from geo.regions import Ingress, Region
from geo.scoring import cost_of

__all__ = ["FleetRoutes"]


class FleetRoutes:
    """`GET /fleet/state`, `GET /fleet/members` and `GET /fleet/where`.

    Args:
        placement: relay addresses, regions, and choices.
        fleet: the transceivers.
        now: monotonic time in seconds.
    """

    def __init__(self, placement: Placement, fleet: FleetView, *, now: Callable[[], float] = trio.current_time) -> None:
        self._placement = placement
        self._fleet = fleet
        self._now = now

    async def state(self, _request: Request, _owner: str) -> Response:
        """`GET /fleet/state`: regions, transceivers, relay addresses, and where calls came from lately."""
        self._placement.learn()
        self._placement.geography.follow_ingresses(self._fleet.ingresses)
        geography = self._placement.geography
        now = self._now()
        ill = geography.losses.health(now)
        return json_response(
            200,
            {
                "regions": [
                    self._region(each) | _health(ill.get(each.name, WELL)) for each in geography.regions.values()
                ],
                "transceivers": [_transceiver(each, now) for each in self._fleet.members],
                "ingresses": [
                    _ingress(each, protocol)
                    for protocol, ingresses in (("udp", geography.ingresses), ("tcp", geography.tcp_ingresses))
                    for each in ingresses
                ],
                "callers": [
                    {
                        "latitude": each.latitude,
                        "longitude": each.longitude,
                        "region": each.region or None,
                        "calls": each.calls,
                        "round_trip_ms": each.round_trip_ms,
                        "seconds_ago": round(now - each.when),
                    }
                    for each in self._placement.recent.since(now)
                ],
            },
        )

    async def members(self, _request: Request, _owner: str) -> Response:
        """`GET /fleet/members`: who has announced himself in the store, with all that he says of himself."""
        membership = self._fleet.membership
        if membership is None:
            message = "This server has no store (store.url), in which members would announce themselves."
            return error_response(404, "no_store", message)
        self._placement.learn()
        ill = self._placement.geography.losses.health(self._now())
        regions = {name: f"{each.why} (+{cost_of(each):.0f} ms)" for name, each in ill.items()}
        return json_response(200, listing_of(membership.roster.members(), membership.roster.problem, regions))

    async def where(self, request: Request, owner: str) -> Response:
        """`GET /fleet/where?ip=…&model=…`: the choice for a caller at an address with this API key, explained."""
        address = request.query.get("ip", "")
        try:
            address = str(ip_address(address))
        except ValueError:
            return error_response(400, "invalid_request", f"ip: {address[:100]!r} is no IP address.", param="ip")
        location = self._placement.geography.locate_address(address)
        return json_response(200, explain(self._placement.choose(location, owner, request.query.get("model"))))

    def _region(self, region: Region) -> dict[str, object]:
        members = [each for each in self._fleet.members if each.region is not None and each.region.name == region.name]
        candidates = [each.candidate() for each in members]
        max_calls = sum(each.status.max_calls for each in members if each.status is not None and not each.reason)
        return {
            "name": region.name,
            "latitude": None if region.place is None else region.place.latitude,
            "longitude": None if region.place is None else region.place.longitude,
            "calls": sum(each.calls for each in candidates if each.is_ready),
            "max_calls": min(max_calls, region.capacity) if region.capacity else max_calls,
            "transceivers": len(members),
            "ready": sum(each.is_ready for each in candidates),
            "draining": region.is_draining,
        }


def _transceiver(member: Member, now: float) -> Mapping[str, object]:
    candidate = member.candidate()
    return {
        "name": candidate.name,
        "region": None if candidate.region is None else candidate.region.name,
        "calls": candidate.calls,
        "max_calls": 0 if member.status is None else member.status.max_calls,
        "ready": candidate.is_ready,
        "reason": candidate.reason or None,
        "back_seconds": None if member.returned_at is None else round(now - member.returned_at),
        **_health(candidate.health),
    }


def _ingress(ingress: Ingress, protocol: str) -> Mapping[str, object]:
    return {
        "id": ingress.id,
        "address": f"[{ingress.host}]:{ingress.port}" if ":" in ingress.host else f"{ingress.host}:{ingress.port}",
        "protocol": protocol,
        "region": None if ingress.region is None else ingress.region.name,
        "healthy": ingress.is_healthy,
        "draining": ingress.is_draining,
        "reason": ingress.reason or None,
        **_health(ingress.health),
    }


def _health(health: Health) -> dict[str, object]:
    """Tell what was measured, and what it costs in milliseconds of score."""
    return {"health": health.why or None, "health_ms": round(cost_of(health), 1)}
