"""The way to Redis: one connection at a time, made again whenever it is lost, never waited for longer than a deadline.

Requests share the connection; answers come in the order of the requests. A connection on which anything has gone wrong,
or taken too long, is dropped with all that waits on it, so no answer is ever taken for another's. While there is none,
requests are refused at once.

Cancelled, or refused, a request may have been carried out all the same.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING

import trio

from edge.config.store import StoreConfig
from edge.reports import Report
from edge.store.fullness import IS_THERE_ROOM, Fullness, StoreFull
from edge.store.place import RedisPlace
from edge.store.script import Argument, Script
from transceiver.handover.ownership import StoreUnavailable

if TYPE_CHECKING:
    from edge.store.connection import Connection

__all__ = ["RedisLink"]

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_PULSE = 1.0
"""Seconds between two questions whether Redis is there, so that a link that nobody uses is known to be lost."""


class RedisLink:
    """Asks one Redis.

    Args:
        config: where it is.
        scripts: all that will be asked of it.
        report: takes a line when it is lost or found, is full or has room again.
    """

    def __init__(self, config: StoreConfig, scripts: Sequence[Script], report: Report) -> None:
        self._problem = "the store has not been reached yet"
        self._config = config
        self._place = RedisPlace.parse(config.url or "")
        self._scripts = (*scripts, IS_THERE_ROOM)
        self._fullness = Fullness(str(self._place), report)
        self._report = report
        self._connection: Connection | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a connection until cancelled. Started when the first attempt has ended, one way or the other."""
        open_connection = await trio.to_thread.run_sync(_load_client)
        pause = _FIRST_PAUSE
        while True:
            try:
                async with open_connection(self._config, self._place, self._scripts) as connection:
                    self._note_absence(connection.problem)
                    if not connection.problem:
                        pause = _FIRST_PAUSE
                        self._note_presence(connection)
                        task_status.started()
                        task_status = trio.TASK_STATUS_IGNORED
                        await self._keep(connection)
            except* Exception as group:  # noqa: BLE001 - a mistake in the client's library ends no call either
                self._note_absence(f"{self._place}: {group.exceptions[0]!r}")
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            # Not all at once: everybody has lost it in the same moment.
            await trio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    @property
    def problem(self) -> str:
        """Why nothing can be asked now; empty when something can."""
        return self._problem if self._connection is None else self._connection.problem

    @property
    def is_full(self) -> bool:
        """Whether Redis refuses what needs memory, as it has told this process."""
        return self._fullness.is_full

    async def ask(self, script: Script, arguments: Sequence[Argument]) -> object:
        """Carry out a script; its answer has bytes, integers, None and lists of these.

        Raises:
            StoreFull: Redis is full, and nothing was changed.
            StoreUnavailable: no answer in time, or an error.
        """
        connection = self._connection
        if connection is None or connection.problem:
            raise StoreUnavailable(self.problem)
        return await self._ask(connection, script, arguments)

    async def _ask(self, connection: "Connection", script: Script, arguments: Sequence[Argument]) -> object:
        try:
            return await connection.ask(script, arguments)
        except StoreFull as problem:
            self._fullness.refused(problem, trio.current_time())
            raise

    async def _keep(self, connection: "Connection") -> None:
        """Use a connection until it is lost."""
        try:
            while not connection.lost.is_set():
                with trio.move_on_after(_PULSE) as pause:
                    await connection.lost.wait()
                if pause.cancelled_caught:
                    await self._feel_pulse(connection)
        finally:
            self._connection = None
            self._fullness.forget()
            self._note_absence(connection.problem)

    async def _feel_pulse(self, connection: "Connection") -> None:
        """Ask whether anybody is there; and of one that was full, whether it still is."""
        if not self.is_full:
            await connection.feel_pulse()
            return
        with suppress(StoreUnavailable):
            await self._ask(connection, IS_THERE_ROOM, ())
            self._fullness.accepted(trio.current_time())

    def _note_presence(self, connection: "Connection") -> None:
        self._connection = connection
        self._problem = ""
        self._report("store-reached", {"store": str(self._place)})

    def _note_absence(self, problem: str) -> None:
        if problem and problem != self._problem:
            self._problem = problem
            self._report("store-away", {"problem": problem})


def _load_client() -> "Callable[[StoreConfig, RedisPlace, Sequence[Script]], AbstractAsyncContextManager[Connection]]":
    from edge.store.connection import open_connection

    return open_connection
