"""Places on the earth, regions, and the relay addresses in them."""

import math

import attrs

from geo.health import WELL, Health

__all__ = ["Ingress", "Place", "Region", "distance_km"]

_EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG


def _check_latitude(_instance: object, _attribute: object, value: float) -> None:
    if not -90 <= value <= 90:  # NaN fails as well
        raise ValueError(f"latitude {value} is not between -90 and 90")


def _check_longitude(_instance: object, _attribute: object, value: float) -> None:
    if not -180 <= value <= 180:
        raise ValueError(f"longitude {value} is not between -180 and 180")


@attrs.frozen(kw_only=True)
class Place:
    """A point on the earth, and how we come to know it.

    Attributes:
        latitude: degrees, north positive, -90 to 90.
        longitude: degrees, east positive, -180 to 180.
        why: what told us, for people ("header CF-IPLatitude", "configured").
    """

    latitude: float = attrs.field(validator=_check_latitude)
    longitude: float = attrs.field(validator=_check_longitude)
    why: str = "configured"


@attrs.frozen(kw_only=True)
class Region:
    """A part of the fleet whose members are close to each other.

    Attributes:
        name: what ingresses and transceivers call it ("eu-west").
        place: where it is; None when nobody said.
        capacity: calls that all its transceivers together may have, whatever each of them takes; 0 for no such bound.
        is_draining: it gets no new calls while another region can take them.
    """

    name: str
    place: Place | None = None
    capacity: int = 0
    is_draining: bool = False


@attrs.frozen(kw_only=True)
class Ingress:
    """A relay's public address, as it is put into answers.

    Attributes:
        id: number of the ingress, unique in the fleet.
        host: IP address that clients reach.
        port: UDP or TCP port.
        region: where it is; None when nobody said.
        relay: name of the relay that serves it: addresses of one relay fail together. Empty: nobody said.
        machine: name of the machine it runs on: relays on one machine fail together. Empty: `host` stands for it.
        load: share of its capacity in use, 0 to 1.
        is_healthy: whether the relay is known to be alive.
        is_draining: whether it is about to go.
        reason: why it is not healthy, when it is not.
        up_seconds: how long ago it came back; None when that is long ago, or it never was away.
        health: what was measured of the relay.
    """

    id: int
    host: str
    port: int
    region: Region | None = None
    relay: str = ""
    machine: str = ""
    load: float = 0.0
    is_healthy: bool = True
    is_draining: bool = False
    reason: str = ""
    up_seconds: float | None = None
    health: Health = WELL

    @property
    def relay_name(self) -> str:
        """What fails together with it for sure."""
        return self.relay or f"{self.host}:{self.port}"

    @property
    def machine_name(self) -> str:
        """What fails together with it if the machine does."""
        return self.machine or self.host


def distance_km(one: Place, other: Place) -> float:
    """Great-circle distance in kilometres, 0 to about 20 015.

    Source: the haversine formula, which stays exact for points close to each other and is at worst a few
    kilometres off for points on opposite sides, where that changes no choice.
    """
    latitude_one, latitude_other = math.radians(one.latitude), math.radians(other.latitude)
    half_latitude = math.sin((latitude_other - latitude_one) / 2)
    half_longitude = math.sin(math.radians(other.longitude - one.longitude) / 2)
    chord = half_latitude**2 + math.cos(latitude_one) * math.cos(latitude_other) * half_longitude**2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))
