"""The process of a relay's worker: `python -m edge.relay_workers.command`, for the supervisor to start.

It imports what a relay needs, says that it is idle, and waits: for sockets, or for the end of its channel.
"""

import os
import socket
import sys
from contextlib import closing

import trio

from edge.children.channel import Channel, ChannelClosed
from edge.children.inside import leave_signals_to_the_parent, take_standard_input
from edge.children.passing import PassingStream
from edge.collector import spare_the_collector
from edge.large_pages import settle_into_large_pages
from edge.relay_workers.messages import (
    ORDERS,
    WORDS,
    Adopt,
    BadLine,
    Done,
    Go,
    Idle,
    Prepared,
    RelaySettings,
    Reload,
    Start,
    Stop,
    Stopped,
)
from edge.tiers.keyring import relay_keys
from edge.tiers.relay_figures import figures_of
from edge.tiers.relay_options import relay_options
from relay.sockets import RelaySockets
from relay.worker import RelayWorker

__all__ = ["main", "run_worker"]

_TELLING = 0.5
"""Seconds between two figures; so often the supervisor learns that we live."""


def main() -> int:
    """Be a worker; returns the exit code."""
    try:
        channel = take_standard_input()
    except OSError:
        sys.stderr.write("a relay's worker is started by `trio-voice serve`, and cannot be started by hand\n")
        return 2
    leave_signals_to_the_parent()
    return trio.run(run_worker, channel)


async def run_worker(sock: socket.socket) -> int:
    """Forward until the channel says stop, or ends.

    Args:
        sock: the worker's end of the channel.

    Returns:
        The exit code.
    """
    stream = PassingStream(sock)
    channel = Channel(stream)
    spare_the_collector()
    start: Start | None = None
    try:
        await channel.send(WORDS.write(Idle()))
        order = ORDERS.read(await channel.receive())
        if not isinstance(order, Start):
            return 1
        start = order
        with closing(_take_sockets(start, stream)) as sockets:  # not only with the process, which ends slowly
            _stay_on(start.core)
            options = relay_options(start.settings.relay, start.settings.peers, start.settings.shared)
            worker = RelayWorker(options, relay_keys(start.settings.keys), sockets=sockets)
            await channel.send(WORDS.write(Prepared()))
            if not await _wait_for_go(channel):
                return 0
            await _serve(worker, channel, stream)
    except (ChannelClosed, BadLine):
        return 0 if start is None else 1  # the supervisor has ended, or something else has started us
    except Exception as error:  # noqa: BLE001 - our own mistake, told where all else is told
        from edge.logs import configure_logs, get_logger

        if start is not None:
            configure_logs(start.settings.log)
        get_logger("relay").critical("crashed", exc_info=error, worker=start and start.number)
        return 1
    return 0


async def _wait_for_go(channel: Channel) -> bool:
    while True:
        order = ORDERS.read(await channel.receive())
        if isinstance(order, Go):
            return True
        if isinstance(order, Stop):
            return False


async def _serve(worker: RelayWorker, channel: Channel, stream: PassingStream) -> None:
    async with trio.open_nursery() as telling:
        async with trio.open_nursery() as forwarding:
            await forwarding.start(worker.run)
            telling.start_soon(settle_into_large_pages)
            telling.start_soon(_tell_figures, worker, channel)
            try:
                await _follow(channel, stream, worker)
            finally:
                forwarding.cancel_scope.cancel()
        telling.cancel_scope.cancel()
    await channel.send(WORDS.write(figures_of(worker)))
    await channel.send(WORDS.write(Stopped()))


async def _follow(channel: Channel, stream: PassingStream, worker: RelayWorker) -> None:
    """Do what the supervisor says until it says stop, or is gone."""
    try:
        while True:
            order = ORDERS.read(await channel.receive())
            if isinstance(order, Stop):
                return
            if isinstance(order, Adopt) and stream.arrived:
                worker.adopt(socket.socket(fileno=stream.arrived.popleft()), order.ingress)
            if isinstance(order, Reload):
                _use_settings(worker, order.settings)
                await channel.send(WORDS.write(Done()))
    except (ChannelClosed, BadLine):
        return  # who is restarted at once wants our addresses soon


def _use_settings(worker: RelayWorker, settings: RelaySettings) -> None:
    """Use what can be changed while flows go on."""
    worker.replace_keys(relay_keys(settings.keys))
    worker.set_peers(settings.peers.transceivers, settings.peers.clusters)


async def _tell_figures(worker: RelayWorker, channel: Channel) -> None:
    try:
        while True:
            await channel.send(WORDS.write(figures_of(worker)))
            await trio.sleep(_TELLING)
    except ChannelClosed:
        return  # whoever reads the channel notices too


def _take_sockets(start: Start, stream: PassingStream) -> RelaySockets:
    """Take what came with the order.

    Raises:
        BadLine: there are too few.
    """
    numbers = (*start.ingresses, *start.listeners)
    if len(stream.arrived) < 1 + len(numbers):
        raise BadLine("not what should be said: sockets are missing")
    hop, *others = (socket.socket(fileno=stream.arrived.popleft()) for _ in range(1 + len(numbers)))
    by_number = dict(zip(numbers, others, strict=True))
    return RelaySockets(
        hop=hop,
        ingresses={number: by_number[number] for number in start.ingresses},
        listeners={number: by_number[number] for number in start.listeners},
    )


def _stay_on(core: int | None) -> None:
    if core is None:
        return
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        return  # somebody has taken it away from us; any other will do


if __name__ == "__main__":
    sys.exit(main())
