"""A transceiver, as far as choosing it needs."""

import attrs

from geo.health import WELL, Health
from geo.regions import Region

__all__ = ["TransceiverCandidate"]


@attrs.frozen(kw_only=True)
class TransceiverCandidate:
    """A transceiver that a call may be placed on.

    Attributes:
        name: what it is called in reasons; its control URL, for instance.
        region: where it is; None when nobody said.
        load: share of its capacity in use, 0 to 1.
        calls: how many calls it has, to be counted against the capacity of its region.
        is_ready: whether it takes calls.
        is_healthy: whether it is known to be alive; one that may not be is asked when nobody else can be.
        is_draining: whether it is about to go; it takes no calls then.
        reason: why it takes none, or does not seem healthy.
        up_seconds: how long ago it came back; None when that is long ago, or it never was away.
        health: what was measured of it.
    """

    name: str
    region: Region | None = None
    load: float = 0.0
    calls: int = 0
    is_ready: bool = True
    is_healthy: bool = True
    is_draining: bool = False
    reason: str = ""
    up_seconds: float | None = None
    health: Health = WELL
