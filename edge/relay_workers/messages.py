"""What supervisor and worker say to each other, one JSON object a line.

supervisor                   worker
  │◀──────────────────── Idle ─│   everything is imported
  │── Start, with sockets ────▶│   be a worker: configuration, keys, number
  │◀──────────────── Prepared ─│   it could forward now
  │── Go ─────────────────────▶│   read the sockets
  │── Adopt, with a socket ───▶│   a client's connection that was accepted elsewhere
  │── Reload ─────────────────▶│   another configuration and keys
  │◀──────────────────── Done ─│
  │◀───────────────── Figures ─│   twice a second; that it speaks at all says that it lives
  │── Stop ───────────────────▶│   take nothing more, send what was taken, and exit
  │◀─────── Figures, Stopped ─│   the last ones; nobody reads the sockets now
"""

import attrs

from edge.children.lines import BadLine, Lines
from edge.config.model import LogConfig, RelayConfig
from edge.keys import Bundle
from edge.tiers.relay_figures import Figures
from relay.places import HopPeers

__all__ = [
    "ORDERS",
    "WORDS",
    "Adopt",
    "BadLine",
    "Done",
    "Figures",
    "Go",
    "Idle",
    "Order",
    "Prepared",
    "RelaySettings",
    "Reload",
    "Start",
    "Stop",
    "Stopped",
    "Word",
]


@attrs.frozen(kw_only=True)
class RelaySettings:
    """What a worker runs with.

    Attributes:
        relay: the section of the configuration.
        peers: whom it says HELLO to.
        log: what is logged.
        keys: the bundle of the role.
        shared: numbers of the TCP ingresses whose connections signal accepts, in the supervisor's process.
    """

    relay: RelayConfig
    peers: HopPeers
    log: LogConfig
    keys: Bundle = attrs.field(repr=False)
    shared: tuple[int, ...] = ()


@attrs.frozen(kw_only=True)
class Start:
    """Be a worker, with the sockets that come along: the hop's, then those named here, in this order.

    Attributes:
        settings: what to run with.
        number: the worker's.
        core: the processor to stay on; None for any.
        ingresses: numbers of the ingresses on UDP.
        listeners: numbers of those on TCP.
    """

    settings: RelaySettings
    number: int
    core: int | None
    ingresses: tuple[int, ...]
    listeners: tuple[int, ...]


@attrs.frozen(kw_only=True)
class Go:
    """Read the sockets."""


@attrs.frozen(kw_only=True)
class Adopt:
    """Take over the client's connection that comes along.

    Attributes:
        ingress: number of the TCP ingress that it came to.
    """

    ingress: int


@attrs.frozen(kw_only=True)
class Reload:
    """Use other settings; flows stay."""

    settings: RelaySettings


@attrs.frozen(kw_only=True)
class Stop:
    """Take nothing more from the sockets, and exit."""


Order = Start | Go | Adopt | Reload | Stop
"""What the supervisor says."""


@attrs.frozen(kw_only=True)
class Idle:
    """Everything is imported."""


@attrs.frozen(kw_only=True)
class Prepared:
    """The sockets are here, and can be read at once."""


@attrs.frozen(kw_only=True)
class Stopped:
    """The sockets are not read any more; the process exits."""


@attrs.frozen(kw_only=True)
class Done:
    """The other settings are in use."""


Word = Idle | Prepared | Done | Figures | Stopped
"""What a worker says."""

ORDERS = Lines(Order)
WORDS = Lines(Word)
