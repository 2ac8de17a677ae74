"""The worker's process: a transceiver tier that does what its channel says, and ends with it."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from time import process_time
from typing import TYPE_CHECKING

import attrs
import cattrs
import click
import trio

from edge.children.channel import Channel, ChannelClosed
from edge.children.inside import leave_signals_to_the_parent, resident_bytes, take_standard_input
from edge.collector import spare_the_collector
from edge.config.backends import backends_of
from edge.config.problems import ConfigError, Problem
from edge.large_pages import settle_into_large_pages
from edge.logs import configure_logs, get_logger, reporter
from edge.metrics import Metrics
from edge.reports import Report
from edge.start import StartError
from edge.tiers.tier import Surroundings
from edge.tiers.transceiver import TransceiverTier, WorkerIdentity
from edge.workers.messages import (
    ORDERS,
    WORDS,
    BadLine,
    Figures,
    Refused,
    Reload,
    Reloaded,
    Start,
    Started,
    Stop,
    WorkerSettings,
)
from transceiver.worker import Worker

if TYPE_CHECKING:
    from edge.registry.membership import Membership

__all__ = ["run_worker", "worker"]

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_FROM_STATUS = ("calls", "max_calls", "calls_by_owner", "relays", "reason")


@click.command("worker")
@click.pass_context
def worker(ctx: click.Context) -> None:
    """Be one worker of a transceiver; for `trio-voice serve --workers` to start, which talks to it by its input."""
    try:
        channel = take_standard_input()
    except OSError:
        message = "a worker is started by `trio-voice serve --workers N`, and cannot be started by hand"
        raise click.UsageError(message) from None
    leave_signals_to_the_parent()
    ctx.exit(trio.run(run_worker, channel))


async def run_worker(sock: socket.socket) -> int:
    """Serve until the channel says stop, or ends.

    Args:
        sock: the worker's end of the channel; the first line is its `Start`.

    Returns:
        The exit code.
    """
    channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(sock)))
    try:
        order = ORDERS.read(await channel.receive())
        if not isinstance(order, Start):
            return 1
        configure_logs(order.settings.log)
        return await _serve(order, channel)
    except (ChannelClosed, BadLine):
        return 1  # the front is gone already, or something else has started us; there is nobody to tell
    except Exception as error:  # noqa: BLE001 - our own mistake, told where all else is told
        get_logger("transceiver").critical("crashed", exc_info=error)
        return 1


async def _serve(start: Start, channel: Channel) -> int:
    problems: list[Problem] = []
    try:
        membership = _membership(start.settings)
        tier = _tier_of(start, membership)
        async with trio.open_nursery() as nursery:
            if membership is not None:
                nursery.start_soon(membership.run)  # the front speaks for us; we read, and keep records of calls
            await nursery.start(tier.run)
            spare_the_collector()
            with suppress(ChannelClosed):  # then `_follow` sees the same
                await channel.send(WORDS.write(Started(hop=tier.hop_address, control=tier.control_address)))
            nursery.start_soon(settle_into_large_pages)
            nursery.start_soon(_tell_figures, tier.worker, membership, channel)
            if not await _follow(channel, tier):
                get_logger("transceiver").warning("the front is gone: stopping", worker=start.number)
            await tier.stop()
            nursery.cancel_scope.cancel()
    except* StartError as group:
        problems = [problem for error in _leaves(group) for problem in error.problems]
    if not problems:
        return 0
    await channel.send(WORDS.write(Refused(problems=tuple(problems))))
    return 1


def _membership(settings: WorkerSettings) -> "Membership | None":
    if settings.store.url is None or not settings.transceiver.failover:
        return None
    from edge.registry.membership import Membership

    return Membership(settings.store, settings.node, reporter(get_logger("store")))


def _tier_of(start: Start, membership: "Membership | None") -> TransceiverTier:
    settings = start.settings
    return TransceiverTier(
        settings.transceiver,
        backends_of(settings.backend, settings.transceiver.backend),
        settings.keys,
        Surroundings(
            metrics=Metrics(),
            report=_numbered(reporter(get_logger("transceiver")), start.number),
            membership=membership,
        ),
        WorkerIdentity(incarnation=start.incarnation, number=start.number, announced=start.announced),
    )


def _numbered(report: Report, number: int) -> Report:
    """Name the worker in every line; what is true of all of them is said by the first."""

    def report_numbered(name: str, facts: Mapping[str, object]) -> None:
        if name != "socket-warning" or not number:
            report(name, {"worker": number, **facts})

    return report_numbered


async def _follow(channel: Channel, tier: TransceiverTier) -> bool:
    """Do what the front says until it says stop; return whether it did, and did not just vanish."""
    try:
        while True:
            order = ORDERS.read(await channel.receive())
            if isinstance(order, Stop):
                return True
            if isinstance(order, Reload):
                await channel.send(WORDS.write(await _reload(tier, order.settings)))
    except (ChannelClosed, BadLine):
        return False


async def _reload(tier: TransceiverTier, settings: WorkerSettings) -> Reloaded:
    try:
        await tier.reload(settings.config, settings.keys)
    except ConfigError as error:
        return Reloaded(problems=error.problems)
    configure_logs(settings.log)
    return Reloaded()


async def _tell_figures(worker: Worker, membership: "Membership | None", channel: Channel) -> None:
    """Tell the front how it goes: often at first, when everybody waits for the first relay, then every second."""
    pause = _FIRST_PAUSE
    try:
        while True:
            await trio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            await channel.send(WORDS.write(_figures_of(worker, membership)))
    except ChannelClosed:
        return  # whoever reads the channel notices too


def _figures_of(worker: Worker, membership: "Membership | None") -> Figures:
    status = worker.status()
    own = {
        "not_joined": "" if membership is None else membership.not_joined_reason,
        "store_full": membership is not None and membership.stores.is_full,
        "round_trips": [attrs.asdict(each) for each in worker.round_trips()],
        "losses": [attrs.asdict(each) for each in worker.losses()],
        "counts": dict(worker.counts),
        "drops": dict(worker.all_drops()),
        "moves": dict(worker.handover_counts()),
        "lateness": {step: count for step, count in enumerate(worker.lateness.counts) if count},
        "worst_lateness": worker.lateness.worst,
        "cpu_seconds": process_time(),
        "resident_bytes": resident_bytes(),
    }
    return cattrs.structure({name: status[name] for name in _FROM_STATUS} | own, Figures)


def _leaves(group: BaseExceptionGroup[StartError]) -> list[StartError]:
    found: list[StartError] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found += _leaves(error)
        else:
            found.append(error)
    return found
