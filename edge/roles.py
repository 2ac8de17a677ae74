"""The nursery that runs the roles of one process.

With all three in one process they still talk over UDP and HTTP, as between hosts; the only difference is that each is
told the addresses that the one before it was given. Started from the back to the front, so that what a tier needs is
there before it; stopped from the front to the back, so that transceivers can say goodbye through relays.

A tier's code is loaded when the tier is: a relay needs a quarter of what a transceiver does, and is waited for.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, cast

import attrs
import trio

from edge.config.model import Config, RelayConfig, Role, TransceiverConfig, TransceiverEndpoint
from edge.config.sharing import ingresses_beside_signal
from edge.config.values import format_address
from edge.head_start import NO_HEAD_START, HeadStart
from edge.keys import Bundle
from edge.metrics import Metrics
from edge.reports import Reports
from edge.tiers.tier import Surroundings, Tier

if TYPE_CHECKING:
    from edge.handover.predecessor import Predecessor
    from edge.http.first_byte import Neighbour
    from edge.registry.membership import Membership
    from edge.relay_workers.tier import RelayWorkersTier
    from edge.tiers.relay import RelayTier

__all__ = ["Keyring", "RunningRoles", "run_roles"]

Keyring = Mapping[Role, Bundle]
"""The bundle of each role that runs here."""

_GREETING_TIME = 2.0
"""How long to wait for relay and transceiver of one process to find each other, in seconds; it takes milliseconds."""

_GOODBYE_TIME = 0.1
"""How long a relay stays after its transceiver's goodbyes, in seconds, so that they pass."""

_STOP_ORDER = (Role.SIGNAL, Role.TRANSCEIVER, Role.RELAY)


@attrs.define(eq=False)
class RunningRoles:
    """The roles of this process, while they run.

    Attributes:
        config: what they run with.
        tiers: each by its role.
        membership: this process's part in its fleet; None without a store.
    """

    config: Config
    tiers: dict[Role, Tier] = attrs.field(factory=dict)
    membership: "Membership | None" = None

    async def reload(self, config: Config, keys: Keyring) -> None:
        """Use another configuration and keys.

        Args:
            config: as `what_can_change` gave it.
            keys: the bundle of each role.

        Raises:
            StartError: something named in it cannot be used; tiers not reached yet keep what they have.
        """
        config = self.complete(config)
        for role, tier in self.tiers.items():
            await tier.reload(config, keys[role])
        self.config = config

    async def stop(self) -> None:
        """Stop gracefully, within seconds; `run_roles` returns then."""
        for role in _STOP_ORDER:
            if (tier := self.tiers.get(role)) is None:
                continue
            if role is Role.RELAY and Role.TRANSCEIVER in self.tiers:
                await trio.sleep(_GOODBYE_TIME)
            await tier.stop()
        if self.membership is not None:
            await self.membership.leave()

    def not_ready_reason(self) -> str:
        """Tell why no call can be made now; empty when one can."""
        reasons = {role: tier.not_ready_reason() for role, tier in self.tiers.items()}
        return "; ".join(f"{role}: {reason}" for role, reason in reasons.items() if reason)

    @property
    def url(self) -> str | None:
        """Where a browser finds the page; None when signal does not run here."""
        if (signal := self.tiers.get(Role.SIGNAL)) is None:
            return None
        from edge.tiers.signal import SignalTier

        return signal.url if isinstance(signal, SignalTier) else None

    def complete(self, config: Config) -> Config:
        """Tell relay and signal of the transceiver in this process, unless they are told of others."""
        if (transceiver := self.tiers.get(Role.TRANSCEIVER)) is None:
            return config
        from edge.tiers.transceiver import TransceiverTier
        from edge.workers.tier import WorkersTier

        assert isinstance(transceiver, TransceiverTier | WorkersTier)  # noqa: S101 - what `_transceiver_tier` makes
        relay, signal = config.relay, config.signal
        if relay is not None and not relay.transceivers:
            relay = attrs.evolve(relay, transceivers=tuple(map(_reachable, transceiver.hop_addresses)))
        if signal is not None and not signal.transceivers:
            url = f"{transceiver.control_scheme}://{format_address(_reachable(transceiver.control_address))}"
            signal = attrs.evolve(signal, transceivers=(TransceiverEndpoint(url=url),))
        return attrs.evolve(config, relay=relay, signal=signal)


async def run_roles(
    config: Config,
    keys: Keyring,
    reports: Reports | None = None,
    predecessor: "Predecessor | None" = None,
    head_start: HeadStart = NO_HEAD_START,
    *,
    task_status: trio.TaskStatus[RunningRoles] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run the roles whose section `config` has, until cancelled or stopped.

    Args:
        config: what to run.
        keys: the bundle of each of them.
        reports: takes what they have to say; None for the log, which is loaded then.
        predecessor: the program in whose place the relay is started; None for none.
        head_start: what was made for the relay already.
        task_status: started with what reloads and stops them, when all are up.

    Raises:
        StartError: an address or file cannot be used; inside an exception group, as from any nursery.
    """
    metrics = Metrics()
    if reports is None:
        reports = _logged_reports()
    running = RunningRoles(config=config)

    running.membership = membership = _membership(config, metrics, reports)

    def surroundings(role: Role) -> Surroundings:
        return Surroundings(metrics=metrics, report=reports.of(role), membership=membership)

    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        listener = None
        if config.signal is not None:
            from edge.tiers.serving import open_http
            from edge.tiers.signal import SignalTier

            # First of all, as its port is the one that is most often taken. Who connects already, waits.
            listener = await stack.enter_async_context(await open_http("signal.listen", config.signal.listen))

        async def start(role: Role, tier: Tier) -> None:
            await nursery.start(tier.run)
            running.tiers[role] = tier
            if membership is not None:
                _join(membership, config, role, tier, nursery)

        if config.transceiver is not None:
            await start(
                Role.TRANSCEIVER, _transceiver_tier(config, keys[Role.TRANSCEIVER], surroundings(Role.TRANSCEIVER))
            )
        running.config = config = running.complete(config)
        neighbour = None
        if membership is not None and config.relay is not None and (predecessor or not config.relay.transceivers):
            # It would read clients whose transceivers it does not know yet; who is replaced goes on meanwhile.
            nursery.start_soon(membership.run)
            await membership.wait_for_answer()
        if config.relay is not None:
            around = surroundings(Role.RELAY)
            relay, neighbour = _relay_tier(config, config.relay, keys[Role.RELAY], around, predecessor, head_start)
            await start(Role.RELAY, relay)
            if Role.TRANSCEIVER in running.tiers:
                await _wait_until_ready(running)
        if membership is not None and not membership.is_running:
            nursery.start_soon(membership.run)
        if config.signal is not None and listener is not None:
            bundle, around = keys[Role.SIGNAL], surroundings(Role.SIGNAL)
            await start(Role.SIGNAL, SignalTier(config.signal, bundle, around, listener, neighbour))
        task_status.started(running)


def _membership(config: Config, metrics: Metrics, reports: Reports) -> "Membership | None":
    if config.store.url is None:
        return None
    from edge.registry.membership import Membership, add_membership_metrics

    membership = Membership(config.store, config.node, reports.of("store"))
    add_membership_metrics(metrics, membership)
    return membership


def _join(membership: "Membership", config: Config, role: Role, tier: Tier, nursery: trio.Nursery) -> None:
    """Make a tier a member of the fleet, and have the relay follow who else is."""
    membership.announce(tier.describe_member)
    if role is Role.RELAY and config.relay is not None:
        relay = cast("RelayTier | RelayWorkersTier", tier)
        nursery.start_soon(membership.follow_transceivers, config.relay, relay.use_transceivers)


def _logged_reports() -> Reports:
    from edge.logs import get_logger, reporter

    reports = Reports()
    reports.open(lambda tier: reporter(get_logger(tier)))
    return reports


def _transceiver_tier(config: Config, keys: Bundle, surroundings: Surroundings) -> Tier:
    section = config.transceiver or TransceiverConfig()
    if section.workers > 1:
        from edge.workers.tier import WorkersTier

        return WorkersTier(config, keys, surroundings)
    from edge.config.backends import backends_of
    from edge.tiers.transceiver import TransceiverTier

    return TransceiverTier(section, backends_of(config.backend, section.backend), keys, surroundings)


def _relay_tier(  # noqa: PLR0913, RUF100 - what the tiers want
    config: Config,
    section: RelayConfig,
    keys: Bundle,
    surroundings: Surroundings,
    predecessor: "Predecessor | None",
    head_start: HeadStart,
) -> tuple[Tier, "Neighbour | None"]:
    """Make the relay, and what signal has to know of it if they share a port."""
    shared = [each.id for each in ingresses_beside_signal(config)]
    tier = _plain_relay_tier(config, section, keys, surroundings, shared, predecessor, head_start)
    if not shared:
        return tier, None
    from edge.http.first_byte import Neighbour
    from relay.tcp.framing import is_framed

    return tier, Neighbour(wants=is_framed, take=tier.adopt)


def _plain_relay_tier(  # noqa: PLR0913, RUF100 - what the tiers want
    config: Config,
    section: RelayConfig,
    keys: Bundle,
    surroundings: Surroundings,
    shared: Sequence[int],
    predecessor: "Predecessor | None",
    head_start: HeadStart,
) -> "RelayTier | RelayWorkersTier":
    if section.workers > 1:
        from edge.relay_workers.tier import RelayWorkersTier

        return RelayWorkersTier(section, config.log, keys, surroundings, shared, predecessor, head_start)
    from edge.tiers.relay import RelayTier

    return RelayTier(section, keys, surroundings, shared, predecessor, head_start)


async def _wait_until_ready(running: RunningRoles) -> None:
    """Wait for the first hello; who opens the page as soon as it is announced must not be told to wait."""
    with trio.move_on_after(_GREETING_TIME):
        while running.not_ready_reason():  # noqa: ASYNC110 - once, for some milliseconds, of sans-IO objects without events
            await trio.sleep(0.005)


def _reachable(address: tuple[str, int]) -> tuple[str, int]:
    """Replace a wildcard by the loopback address of its family."""
    host, port = address
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - replaced
