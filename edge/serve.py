"""What `trio-voice serve` does around the roles: configuration, keys, signals, and a line that says it is ready.

Logs come last: who starts again has calls waiting, and what is reported meanwhile is kept (`edge.reports`).
"""

import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import attrs
import trio

from edge.collector import spare_the_collector
from edge.config.check import roles_of
from edge.config.load import Loaded
from edge.config.model import Config, LogConfig, Role
from edge.config.problems import ConfigError
from edge.descriptors import allow_many_descriptors
from edge.head_start import NO_HEAD_START, HeadStart
from edge.key_files import KeysError, age_problem, bundle_path, load_bundle, mode_problem
from edge.keys import derive_bundle, new_root
from edge.large_pages import settle_into_large_pages
from edge.launch import Launch
from edge.reload import what_can_change
from edge.reports import Reports
from edge.roles import Keyring, RunningRoles, run_roles
from edge.start import StartError

if TYPE_CHECKING:
    from edge.handover.listening import ReloadSocket
    from edge.handover.predecessor import Predecessor
    from edge.handover.successor import Lender

__all__ = ["serve"]

STOP_SECONDS = 5.0
_STARTING = 3.0
"""Seconds that a start which is nearly done may still take when we are told to stop; see `_Process`."""
_RELOADING = 1.0
"""Likewise a reload: a tier that is taking another configuration cannot stop in the middle of it."""


def load_keys(config: Config) -> tuple[Keyring, tuple[str, ...]]:
    """Load the bundles of the roles that run here, or make keys that live as long as this process.

    Returns:
        The bundles, and warnings about their files.

    Raises:
        KeysError: a bundle is missing, broken or another role's.
    """
    roles = roles_of(config)
    if config.keys is None:
        root = new_root(os.urandom, time.time())
        return {role: derive_bundle(root, role) for role in roles}, ()
    path = Path(config.keys)
    if len(roles) > 1 and path.exists() and not path.is_dir():
        raise KeysError(f"keys: {path} is one bundle; with {len(roles)} roles in one process name the folder of all")
    bundles = {role: load_bundle(path, role) for role in roles}
    files = {role: bundle_path(path, role) if path.is_dir() else path for role in roles}
    problems = [(mode_problem(file), age_problem(file, bundles[role])) for role, file in files.items()]
    return bundles, tuple(problem for each in problems for problem in each if problem)


async def serve(launch: Launch, loaded: Loaded, head_start: HeadStart = NO_HEAD_START) -> int:
    """Run until a signal says otherwise.

    SIGTERM and SIGINT stop gracefully, a second one at once; SIGHUP reloads configuration and keys.

    Args:
        launch: where the configuration is from.
        loaded: what it gave at the start.
        head_start: what was made for a relay already.

    Returns:
        The exit code: 0 after a graceful stop, 128 and the signal's number after an impatient one or one before it had
        started, 1 after a crash.

    Raises:
        ConfigError, KeysError: it cannot start; inside an exception group.
    """
    allow_many_descriptors()
    keys, warnings = load_keys(loaded.config)
    reports = Reports()
    open_log = partial(_open_log, loaded.config.log, reports, (*loaded.warnings, *warnings))
    try:
        with trio.open_signal_receiver(*_signals()) as received:
            async with trio.open_nursery() as nursery:
                process = _Process(launch, keys, nursery.cancel_scope)
                nursery.start_soon(process.follow_signals, received)
                predecessor = await _predecessor(launch)
                running = await nursery.start(run_roles, loaded.config, keys, reports, predecessor, head_start)
                await _listen_for_reload(process, running, nursery, reports, predecessor)
                await trio.to_thread.run_sync(open_log)  # what is forwarded already does not wait for it
                process.has_started(running)
                spare_the_collector()
                _announce(running, launch.role)
                await settle_into_large_pages()
                await trio.sleep_forever()
    except Exception as error:
        open_log()
        if isinstance(error, ExceptionGroup) and error.split((ConfigError, KeysError))[1] is None:
            raise
        # Our own mistake: told where all else is told, so that whoever collects logs finds it.
        from edge.logs import get_logger

        get_logger("process").critical("crashed", exc_info=error)
        return 1
    if process.successor is not None:
        _tell(f"Replaced by process {process.successor}.")
    elif not process.exit_code:
        _tell("Stopped.")
    return process.exit_code


async def _predecessor(launch: Launch) -> "Predecessor | None":
    """Take what the program has to give in whose place we are started."""
    if launch.successor_of is None:
        return None
    from edge.handover.predecessor import Predecessor

    predecessor = Predecessor(socket.socket(fileno=launch.successor_of))
    await predecessor.receive_sockets()
    return predecessor


async def _listen_for_reload(
    process: "_Process",
    running: RunningRoles,
    nursery: trio.Nursery,
    reports: Reports,
    predecessor: "Predecessor | None",
) -> None:
    """Let our predecessor go, and listen for who wants us to be replaced in our turn."""
    path = running.config.relay.reload_socket if running.config.relay else None
    if path is not None and len(running.tiers) == 1:
        from edge.handover.listening import ReloadSocket

        listening = ReloadSocket(Path(path), lambda: process.replace(running), reports.of("process"))
        await nursery.start(partial(process.listen, listening, is_successor=predecessor is not None))
    if predecessor is not None:
        await predecessor.dismiss()


def _open_log(config: LogConfig, reports: Reports, warnings: Sequence[str]) -> None:
    """Load what writes logs, and write what was reported until now; may be called again."""
    from edge.logs import configure_logs, get_logger, reporter

    configure_logs(config)
    log = get_logger("process")
    for warning in warnings:
        log.warning(warning)
    reports.open(lambda tier: reporter(get_logger(tier)))


def _signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


@attrs.define(eq=False)
class _Process:
    """What signals do to the roles of this process.

    Some tiers are ready, and say so, before the start is over. So a stop that comes in between waits for its end, and
    is as graceful as any other; a start that does not end is given up.

    Attributes:
        launch: where the configuration is from.
        keys: the bundles in use.
        scope: ends everything.
        running: the roles; None while they start.
        exit_code: what the process will exit with.
        successor: number of the process that has taken our place; None while there is none.
    """

    launch: Launch
    keys: Keyring
    scope: trio.CancelScope
    running: RunningRoles | None = None
    exit_code: int = 0
    successor: int | None = None
    _is_stopping: bool = False
    _started: trio.Event = attrs.field(factory=trio.Event)
    _reloading: trio.Lock = attrs.field(factory=trio.Lock)
    _reload_scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def follow_signals(self, received: AsyncIterator[int]) -> None:
        """Act on signals as they come, until the scope is cancelled."""
        async with trio.open_nursery() as nursery:
            async for number in received:
                if number == getattr(signal, "SIGHUP", None):
                    if self.running is not None and not self._is_stopping:
                        nursery.start_soon(self._reload, self.running)
                elif self._is_stopping:
                    self._give_up(number)
                else:
                    self._is_stopping = True
                    nursery.start_soon(self._stop, number)

    def has_started(self, running: RunningRoles) -> None:
        """Take note of the roles, all of which are up."""
        self.running = running
        self._started.set()

    def _give_up(self, number: int) -> None:
        self.exit_code = 128 + number
        self.scope.cancel()

    async def replace(self, running: RunningRoles) -> int:
        """Have another process take our place, and end; returns its number.

        Raises:
            NotReplaced: it did not come; we go on.
        """
        from edge.handover.successor import Successor

        self.successor = await Successor().replace(cast("Lender", running.tiers[Role.RELAY]))
        return self.successor

    async def listen(
        self, listening: "ReloadSocket", *, is_successor: bool, task_status: trio.TaskStatus[None]
    ) -> None:
        """Listen for who wants us to be replaced, and end when we are."""
        await listening.run(is_successor=is_successor, task_status=task_status)
        self.scope.cancel()

    async def _stop(self, number: int) -> None:
        with trio.move_on_after(_STARTING):
            await self._started.wait()
        if self.running is None:
            self._give_up(number)
            return
        from edge.logs import get_logger

        get_logger("process").info("stopping")
        await self._end_reload()
        with trio.move_on_after(STOP_SECONDS + _drain_deadline(self.running.config)):
            await self.running.stop()
        self.scope.cancel()

    async def _end_reload(self) -> None:
        """Wait for a reload that is going on, and give it up if it does not end."""
        with trio.move_on_after(_RELOADING) as patience:
            async with self._reloading:
                return
        if patience.cancelled_caught:
            self._reload_scope.cancel()
            async with self._reloading:
                return

    async def _reload(self, running: RunningRoles) -> None:
        """Apply what has changed. Nothing is applied when anything of it is wrong; that is logged."""
        async with self._reloading:
            if not self._is_stopping:
                with trio.CancelScope() as self._reload_scope:
                    await self._reload_now(running)

    async def _reload_now(self, running: RunningRoles) -> None:
        from edge.logs import configure_logs, get_logger

        log = get_logger("process")
        try:
            loaded = self.launch.load()
            config, waiting = what_can_change(running.config, running.complete(loaded.config))
            # Keys that were made for this process stay: calls that are going on depend on them.
            keys, warnings = (self.keys, ()) if config.keys is None else load_keys(config)
        except (ConfigError, KeysError) as error:
            log.error("reload refused", problems=str(error).splitlines())  # noqa: TRY400 - not our mistake
            return
        try:
            await running.reload(config, keys)
        except StartError as error:
            log.error("reload incomplete", problems=str(error).splitlines())  # noqa: TRY400 - as above
            return
        self.keys = keys
        configure_logs(config.log)
        for warning in (*loaded.warnings, *warnings):
            log.warning(warning)
        if waiting:
            log.warning("some keys have changed that take effect at the next start only", keys=list(waiting))
        log.info("reloaded")


def _drain_deadline(config: Config) -> float:
    """Seconds that moving calls to other transceivers may take."""
    moves = config.transceiver is not None and config.transceiver.failover and config.store.url is not None
    return config.transceiver.drain_deadline if config.transceiver is not None and moves else 0.0


def _announce(running: RunningRoles, role: Role | None) -> None:
    if role is None:
        _tell(f"Open {running.url} and press Talk.")
        return
    for tier in running.tiers.values():
        _tell(f"Ready. {tier.describe()}")


def _tell(line: str) -> None:
    """Tell whoever has started us. Who has closed our output, as `head -1` does, wants to hear nothing; calls go on."""
    try:
        print(line, flush=True)
    except OSError:
        # What is left of the line would be tried again at the end, and be a failure then.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
