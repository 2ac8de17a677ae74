"""What no distance outweighs: whether a candidate may be chosen at all, and whether it should be while another can.

A forbidden one never is. One that drains, is not healthy or is full comes after all others: a transceiver whose
heartbeats are late may still answer, and a relay that seems to be gone is better than an answer without an address.

"Healthy" means here that it seems to be alive. How well one that lives does its work is a term of the score.
"""

import enum

from geo.candidates import TransceiverCandidate
from geo.regions import Ingress
from geo.residency import Residency

__all__ = ["Standing", "ingress_standing", "takes_calls", "transceiver_standing"]


class Standing(enum.IntEnum):
    """What is never outweighed; a lower one goes first."""

    USABLE = 0
    FULL = 1
    UNHEALTHY = 2
    DRAINING = 3
    FORBIDDEN = 4


def takes_calls(candidate: TransceiverCandidate) -> bool:
    """Whether there is any sense in asking a transceiver."""
    return candidate.is_ready and not candidate.is_draining


def transceiver_standing(candidate: TransceiverCandidate, load: float, residency: Residency) -> tuple[Standing, str]:
    """Judge a transceiver; the sentence is empty for a usable one.

    Args:
        candidate: which.
        load: share of its capacity in use, or of its region's when that is larger.
        residency: where the call may be.
    """
    region = candidate.region
    if not residency.allows(region):
        return Standing.FORBIDDEN, f"forbidden: {residency.why}"
    if candidate.is_draining:
        return Standing.DRAINING, f"takes no calls, {candidate.reason or 'draining'}"
    if not candidate.is_ready:
        return Standing.UNHEALTHY, f"takes no calls, {candidate.reason or 'not ready'}"
    if not candidate.is_healthy:
        return Standing.UNHEALTHY, candidate.reason or "not healthy"
    if region is not None and region.is_draining:
        return Standing.DRAINING, f"the region {region.name} is draining"
    if load >= 1:
        return Standing.FULL, "full"
    return Standing.USABLE, ""


def ingress_standing(ingress: Ingress, residency: Residency) -> tuple[Standing, str]:
    """Judge a relay address; the sentence is empty for a usable one."""
    region = ingress.region
    if not residency.allows(region):
        return Standing.FORBIDDEN, f"forbidden: {residency.why}"
    if ingress.is_draining:
        return Standing.DRAINING, ingress.reason or "its relay is draining"
    if not ingress.is_healthy:
        return Standing.UNHEALTHY, ingress.reason or "its relay is not healthy"
    if region is not None and region.is_draining:
        return Standing.DRAINING, f"the region {region.name} is draining"
    if ingress.load >= 1:
        return Standing.FULL, "full"
    return Standing.USABLE, ""
