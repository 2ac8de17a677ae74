"""What a bridge wants done, in this order."""

from typing import TypeAlias

import attrs

from transceiver.realtime.fields import Event

__all__ = ["AudioToBackend", "CloseSideband", "Output", "ToBackend", "ToClient", "ToSideband"]


@attrs.frozen
class ToClient:
    """Send a message on the client's data channel.

    Attributes:
        text: one server event as JSON.
    """

    text: str


@attrs.frozen
class ToSideband:
    """Send a message on a sideband's socket.

    Attributes:
        number: which sideband.
        text: one server event as JSON.
    """

    number: int
    text: str


@attrs.frozen
class ToBackend:
    """Send an event to the backend.

    Attributes:
        event: a client event in the GA shape.
    """

    event: Event


@attrs.frozen
class CloseSideband:
    """Close a sideband's socket.

    Attributes:
        number: which sideband.
    """

    number: int


AudioToBackend: TypeAlias = bytes
"""Send this to the backend, which the caller said: 16-bit little-endian mono PCM at its input rate.

Fifty of them a second come of each call, so it is no record: to make one takes 0.1 µs, and a step more to look into it.
"""

Output = ToClient | ToSideband | ToBackend | AudioToBackend | CloseSideband
