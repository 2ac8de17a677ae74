"""How datagrams get from a relay's sockets through its `Forwarder` and out again.

Two ways, which do the same under the same tests: `relay.slot_path` in batches on memory of our own, where the system
has what that takes, and `relay.plain_path` one datagram after another on any system.
"""

from collections.abc import Callable, Mapping
from socket import socket
from typing import NamedTuple, Protocol

__all__ = ["Datapath", "Sent"]


class Sent(NamedTuple):
    """What was handed to the kernel: up to transceivers (control messages included), and down to clients."""

    up_datagrams: int
    up_bytes: int
    down_datagrams: int
    down_bytes: int


class Datapath(Protocol):
    """What a relay's loop works with."""

    @property
    def receivers(self) -> Mapping[socket, Callable[[float], int]]:
        """For each socket, what takes a batch from it at a time and tells how many datagrams that were."""

    def flush(self) -> Sent:
        """Send what came of all batches since the last time, and what the forwarder has to say by itself."""
