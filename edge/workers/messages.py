"""What front and worker say to each other, one JSON object a line.

front                        worker
  │── Start ─────────────────▶│   once, before anything else: configuration, keys, which worker it is
  │◀─────── Started | Refused ─│   it serves, or cannot
  │── Reload ────────────────▶│   another configuration and keys
  │◀───────────────── Reloaded ─│
  │◀────────────────── Figures ─│   every second; that it speaks at all says that it lives
  │── Stop ──────────────────▶│   goodbye to every client, then the channel ends

"""

import attrs

from edge.children.lines import BadLine, Lines
from edge.config.model import BackendConfig, Config, LogConfig, NodeConfig, StoreConfig, TransceiverConfig
from edge.config.problems import Problem
from edge.keys import Bundle
from transceiver.round_trips import LossSample, RoundTripSample
from wire.core import Address

__all__ = [
    "ORDERS",
    "WORDS",
    "BadLine",
    "Figures",
    "Order",
    "Refused",
    "Reload",
    "Reloaded",
    "Start",
    "Started",
    "Stop",
    "Word",
    "WorkerSettings",
]


@attrs.frozen(kw_only=True)
class WorkerSettings:
    """What a worker runs with.

    Attributes:
        transceiver: the section of the configuration, with the worker's own hop address and its share of the calls.
        backend: what answers.
        log: what is logged.
        keys: the bundle of the role.
        store: what the fleet shares; calls move by it.
        node: what the process is called in its fleet.
    """

    transceiver: TransceiverConfig
    backend: tuple[BackendConfig, ...] = attrs.field(repr=False)
    log: LogConfig
    keys: Bundle = attrs.field(repr=False)
    store: StoreConfig = attrs.field(factory=StoreConfig)
    node: NodeConfig = attrs.field(factory=NodeConfig)

    @property
    def config(self) -> Config:
        """The same as the configuration of a process that runs nothing else."""
        return Config(
            backend=self.backend, log=self.log, transceiver=self.transceiver, store=self.store, node=self.node
        )


@attrs.frozen(kw_only=True)
class Start:
    """Be a worker.

    Attributes:
        settings: what to run with.
        number: the worker's number.
        announced: how many workers listen on consecutive ports; 1 when ports were left to the kernel.
        incarnation: the whole transceiver's.
    """

    settings: WorkerSettings
    number: int
    announced: int
    incarnation: int


@attrs.frozen(kw_only=True)
class Reload:
    """Use other settings; calls go on."""

    settings: WorkerSettings


@attrs.frozen(kw_only=True)
class Stop:
    """Take no further call, say goodbye to every client, and exit."""


Order = Start | Reload | Stop
"""What the front says."""


@attrs.frozen(kw_only=True)
class Started:
    """The worker serves.

    Attributes:
        hop: where relays reach it.
        control: where the front reaches it.
    """

    hop: Address
    control: Address


@attrs.frozen(kw_only=True)
class Refused:
    """The worker cannot serve; it exits."""

    problems: tuple[Problem, ...]


@attrs.frozen(kw_only=True)
class Reloaded:
    """The worker has other settings now; with problems, it has kept what it could not replace."""

    problems: tuple[Problem, ...] = ()


@attrs.frozen(kw_only=True)
class Figures:
    """A worker's numbers, all counted since it started.

    Attributes:
        calls: that are going on.
        max_calls: taken at a time.
        calls_by_owner: those going on, by the digest of the key that made them.
        relays: whose link is up.
        reason: why it takes no calls; empty when it does.
        not_joined: why it does not know the fleet yet; empty when it has read the store once, or needs none.
        store_full: whether the store has refused it something lately, as it has no room.
        round_trips: those that its calls have measured lately.
        losses: what its calls have lost lately.
        counts: what became of offers and calls, by event.
        drops: datagrams dropped, by layer and reason.
        moves: checkpoints, take-overs and moves of calls, by what became of them.
        lateness: ticks by lateness, in steps of 0.25 ms (`transceiver.ticker.Lateness`).
        worst_lateness: in seconds.
        cpu_seconds: processor time of the process.
        resident_bytes: its memory; 0 where that cannot be told.
    """

    calls: int = 0
    max_calls: int = 0
    calls_by_owner: dict[str, int] = attrs.field(factory=dict, repr=False)
    relays: int = 0
    reason: str = "it has not said anything yet"
    not_joined: str = ""
    store_full: bool = False
    round_trips: list[RoundTripSample] = attrs.field(factory=list, repr=False)
    losses: list[LossSample] = attrs.field(factory=list, repr=False)
    counts: dict[str, int] = attrs.field(factory=dict)
    drops: dict[str, int] = attrs.field(factory=dict)
    moves: dict[str, int] = attrs.field(factory=dict)
    lateness: dict[int, int] = attrs.field(factory=dict, repr=False)
    worst_lateness: float = 0.0
    cpu_seconds: float = 0.0
    resident_bytes: int = 0


Word = Started | Refused | Reloaded | Figures
"""What a worker says."""

ORDERS = Lines(Order)
WORDS = Lines(Word)
