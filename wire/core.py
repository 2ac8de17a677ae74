"""The contract that every protocol object keeps.

A protocol object has no clock, no entropy, no socket and no logger. Time comes in as `now`: seconds, monotonic,
local to the process. Entropy comes in through the constructor, so that a handshake can be replayed byte for byte.
Datagrams come in through `receive_datagram` and are collected with `datagrams_to_send`; what happened is returned
as events.

Rules that hold for every implementation:

* Nothing a peer sends makes `receive_datagram` raise. Noise is dropped with a counted reason; fatal trouble is one
  final `Closed` event, after which every input is ignored and `next_timeout` is None.
* `data` is valid during the call only: what is kept is copied.
* Construction alone makes output available. Commands return nothing; the work they create is due at once.
* `next_timeout` is cheap and changes only in a call that takes `now`. Calling `handle_timeout` early does nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import attrs

__all__ = ["Address", "Closed", "Core", "Drops", "Entropy", "Event", "MultipathCore", "Path"]

Address = tuple[str, int]
"""An IP address in its shortest text form and a port."""


class Path(NamedTuple):
    """A way to the peer: its address, and which of our own addresses it talks to.

    The same peer address through another ingress is another path.

    Attributes:
        address: the peer's IP address and port.
        via: number of the ingress (our own public address) that its datagrams reach; 0 where there is only one.
    """

    address: Address
    via: int = 0


Entropy = Callable[[int], bytes]
"""Returns that many unpredictable bytes (`os.urandom` outside of tests)."""

Drops = Counter[str]
"""How many datagrams or records were dropped, by reason. Keys are members of a package's `DropReason` (a StrEnum)."""


@attrs.frozen(kw_only=True)
class Event:
    """Something a protocol object reports to whoever drives it."""


@attrs.frozen(kw_only=True)
class Closed(Event):
    """The last event of a protocol object.

    Attributes:
        reason: a stable word for programs and metrics ("close-notify", "consent-expired", "fingerprint-mismatch").
        detail: a sentence for people; never holds a secret or a peer's raw bytes.
    """

    reason: str
    detail: str = ""


class Core(Protocol):
    """A protocol that talks with one peer over one path."""

    def receive_datagram(self, data: bytes, now: float) -> Iterable[Event]:
        """Take one datagram from the peer."""

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Do what `next_timeout` announced, if it is due."""

    def datagrams_to_send(self, now: float) -> Iterable[bytes]:
        """Take what is to be sent; each datagram is returned once."""

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called, on the clock of `now`; None for never."""


class MultipathCore(Protocol):
    """A protocol that chooses among several paths to its peer."""

    def receive_datagram(self, data: bytes, source: Path, now: float) -> Iterable[Event]:
        """Take one datagram that came from `source`."""

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Do what `next_timeout` announced, if it is due."""

    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, Path]]:
        """Take what is to be sent, each with its destination."""

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called, on the clock of `now`; None for never."""
