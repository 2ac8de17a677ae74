"""The connection to Redis: one at a time, made again whenever it is lost, and never waited for longer than a deadline.

All that is asked of Redis are scripts (Lua), each one atomic step. Requests share the connection; answers come in the
order of the requests. A connection on which anything has gone wrong, or taken too long, is dropped with all that waits
on it, so no answer is ever taken for another's. While there is none, requests are refused at once.

Cancelled, or refused, a request may have been carried out all the same.
"""

import logging
import random
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import coredis
import trio
from coredis.connection import TCPConnection, TCPLocation, UnixDomainSocketConnection, UnixDomainSocketLocation
from coredis.exceptions import ResponseError
from coredis.pool import ConnectionPool
from coredis.retry import NoRetryPolicy
from coredis.typing import RedisError

from edge.config.store import StoreConfig, read_password
from edge.reports import Report
from edge.store.place import RedisPlace
from transceiver.handover.ownership import StoreUnavailable

__all__ = ["RedisLink", "Script"]

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_PULSE = 1.0
"""Seconds between two questions whether Redis is there, so that a link that nobody uses is known to be lost."""

# It writes a traceback for each attempt; we say in a line what has changed.
logging.getLogger("coredis").disabled = True


@attrs.frozen
class Script:
    """One atomic step in Redis.

    Attributes:
        source: in Lua. A first line "#!lua flags=allow-oom" lets it write although Redis is full.
    """

    source: str


@attrs.define(eq=False)
class _Connection:
    client: coredis.Redis[bytes]
    digests: Mapping[Script, bytes]
    lost: trio.Event = attrs.field(factory=trio.Event)


class RedisLink:
    """Asks one Redis.

    Args:
        config: where it is.
        scripts: all that will be asked of it.
        report: takes a line when it is lost or found.

    Attributes:
        problem: why nothing can be asked now; empty when something can.
    """

    def __init__(self, config: StoreConfig, scripts: Sequence[Script], report: Report) -> None:
        self.problem = "the store has not been reached yet"
        self._config = config
        self._place = RedisPlace.parse(config.url or "")
        self._scripts = tuple(scripts)
        self._report = report
        self._connection: _Connection | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a connection until cancelled. Started when the first attempt has ended, one way or the other."""
        pause = _FIRST_PAUSE
        while True:
            try:
                # A pool of its own for each connection: nothing that went wrong with one is left for the next.
                pool = await self._pool()
            except OSError as error:
                self._note_absence(f"{error.filename}: {error.strerror}")
            else:
                async with coredis.Redis(connection_pool=pool, retry_policy=NoRetryPolicy()) as client:
                    self._connection = connection = await self._prepare(client)
                    if connection is not None:
                        task_status.started()
                        task_status = trio.TASK_STATUS_IGNORED
                        pause = _FIRST_PAUSE
                        await self._keep(connection)
            task_status.started()
            task_status = trio.TASK_STATUS_IGNORED
            # Not all at once: everybody has lost it in the same moment.
            await trio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def ask(self, script: Script, arguments: Sequence[bytes | str | int]) -> object:
        """Carry out a script; its answer has bytes, integers, None and lists of these.

        Raises:
            StoreUnavailable: no answer in time, or an error.
        """
        connection = self._connection
        if connection is None:
            raise StoreUnavailable(self.problem)
        return await self._ask(connection, script, arguments)

    async def _ask(self, connection: _Connection, script: Script, arguments: Sequence[bytes | str | int]) -> object:
        problem = f"no answer from {self._place} within {self._config.timeout:g} seconds"
        with trio.move_on_after(self._config.timeout):
            try:
                return await connection.client.evalsha(connection.digests[script], args=arguments)
            except ResponseError as error:
                problem = f"{self._place}: {error}"
                if "maxmemory" in problem:
                    raise StoreUnavailable(problem) from error  # it is full, and that can be asked about
            except (RedisError, OSError) as error:
                problem = f"{self._place}: {_describe(error)}"
        self._lose(connection, problem)
        raise StoreUnavailable(problem)

    async def _prepare(self, client: coredis.Redis[bytes]) -> _Connection | None:
        """Connect, and tell Redis the scripts; None when that is impossible now."""
        problem = f"no answer from {self._place} within {self._config.timeout:g} seconds"
        with trio.move_on_after(self._config.timeout):
            try:
                digests = {script: bytes(await client.script_load(script.source)) for script in self._scripts}
            except (RedisError, OSError) as error:
                problem = f"{self._place}: {_describe(error)}"
            else:
                self.problem = ""
                self._report("store-reached", {"store": str(self._place)})
                return _Connection(client, digests)
        self._note_absence(problem)
        return None

    async def _pool(self) -> ConnectionPool[Any]:
        """Make a pool of one connection.

        Raises:
            OSError: a file with a secret or certificate cannot be read.
        """
        config, place = self._config, self._place
        location = UnixDomainSocketLocation(place.path) if place.path else TCPLocation(place.host, place.port)
        return ConnectionPool(
            connection_class=UnixDomainSocketConnection if place.path else TCPConnection,
            location=location,
            max_connections=1,
            connect_timeout=config.timeout,
            username=place.username,
            password=await trio.to_thread.run_sync(read_password, config),
            db=place.database,
            ssl_context=ssl.create_default_context(cafile=config.ca) if place.uses_tls else None,
        )

    async def _keep(self, connection: _Connection) -> None:
        """Use a connection until it is lost."""
        try:
            while not connection.lost.is_set():
                with trio.move_on_after(_PULSE) as pause:
                    await connection.lost.wait()
                if pause.cancelled_caught:
                    await self._feel_pulse(connection)
        finally:
            self._connection = None

    async def _feel_pulse(self, connection: _Connection) -> None:
        problem = f"no answer from {self._place} within {self._config.timeout:g} seconds"
        with trio.move_on_after(self._config.timeout):
            try:
                await connection.client.ping()
            except (RedisError, OSError) as error:
                problem = f"{self._place}: {_describe(error)}"
            else:
                return
        self._lose(connection, problem)

    def _lose(self, connection: _Connection, problem: str) -> None:
        if self._connection is connection:
            self._connection = None
            self._note_absence(problem)
        connection.lost.set()

    def _note_absence(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._report("store-away", {"problem": problem})


def _describe(error: BaseException) -> str:
    """Say what the matter is; the library hides the cause behind sentences of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):
        return _describe(error.exceptions[0])
    return str(error) or type(error).__name__
