"""Where an association is in its life, as a table.

A missing cell changes nothing: what closes twice is closed, and fingerprints may match again and again.
"""

import enum
from collections.abc import Mapping

__all__ = ["PHASES", "Phase", "Trigger"]


class Phase(enum.Enum):
    """Phases of an association in either role and any version."""

    HANDSHAKE = "handshake"
    UNVERIFIED = "unverified"
    """The handshake is complete, and signalling has not said yet whose certificate to expect."""
    CONNECTED = "connected"
    """The peer is believed."""
    CLOSED = "closed"


class Trigger(enum.Enum):
    """What moves an association on."""

    FINISHED = "handshake finished"
    MATCHED = "fingerprint matched"
    CLOSED = "closed by either side, or failed"


PHASES: Mapping[Phase, Mapping[Trigger, Phase]] = {
    Phase.HANDSHAKE: {Trigger.FINISHED: Phase.UNVERIFIED, Trigger.CLOSED: Phase.CLOSED},
    Phase.UNVERIFIED: {Trigger.MATCHED: Phase.CONNECTED, Trigger.CLOSED: Phase.CLOSED},
    Phase.CONNECTED: {Trigger.CLOSED: Phase.CLOSED},
    Phase.CLOSED: {},
}
