"""One connection to Redis, from its beginning until anything goes wrong with it.

This is the only module that knows Redis's client. It takes some 200 ms to load, so whoever needs it does so beside the
event loop (`edge.store.link`).
"""

import logging
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import coredis
import trio
from coredis.connection import TCPConnection, TCPLocation, UnixDomainSocketConnection, UnixDomainSocketLocation
from coredis.exceptions import ResponseError
from coredis.pool import ConnectionPool
from coredis.retry import NoRetryPolicy

from edge.config.store import StoreConfig, read_password
from edge.store.fullness import StoreFull
from edge.store.place import RedisPlace
from edge.store.script import Argument, Script
from transceiver.handover.ownership import StoreUnavailable

__all__ = ["Connection", "open_connection"]

# It writes a traceback for each attempt; we say in a line what has changed.
logging.getLogger("coredis").disabled = True


@asynccontextmanager
async def open_connection(
    config: StoreConfig, place: RedisPlace, scripts: Sequence[Script]
) -> AsyncIterator["Connection"]:
    """Connect until the end of the block; where that is impossible, the connection is lost from the beginning."""
    try:
        pool = await _pool(config, place)
    except OSError as error:
        connection = Connection(None, config, place)
        connection.lose(f"{error.filename}: {error.strerror}")
        yield connection
        return
    # A pool of its own for each connection: nothing that went wrong with one is left for the next.
    async with coredis.Redis(connection_pool=pool, retry_policy=NoRetryPolicy()) as client:
        connection = Connection(client, config, place)
        await connection.tell(scripts)
        yield connection


class Connection:
    """A connection; asking it may end it.

    Args:
        client: the library's; None for a connection that never was.
        config: deadlines.
        place: what to call the other end.

    Attributes:
        problem: why it is lost; empty while it is not.
        lost: set when it is of no use any more.
    """

    def __init__(self, client: "coredis.Redis[bytes] | None", config: StoreConfig, place: RedisPlace) -> None:
        self.problem = ""
        self.lost = trio.Event()
        self._client = client
        self._timeout = config.timeout
        self._place = place
        self._digests: dict[Script, bytes] = {}

    async def tell(self, scripts: Sequence[Script]) -> None:
        """Connect, and have Redis learn the scripts; it is lost if that fails."""
        with self._within_deadline():
            for script in scripts:
                try:
                    self._digests[script] = bytes(await self._redis.script_load(script.source))
                except ResponseError as error:  # Redis 6 does not know a script's first line, in which its flags are
                    self.lose(f"{self._place}: {error}; Redis 7 or Valkey is needed")
                    return

    async def ask(self, script: Script, arguments: Sequence[Argument]) -> object:
        """Carry out a script.

        Raises:
            StoreFull: it needs memory, and Redis has none left; the connection goes on.
            StoreUnavailable: an error; it is lost.
        """
        with self._within_deadline():
            return await self._redis.evalsha(self._digests[script], args=arguments)
        raise StoreUnavailable(self.problem)

    async def feel_pulse(self) -> None:
        """Ask whether anybody is there; it is lost if nobody is."""
        with self._within_deadline():
            await self._redis.ping()

    def lose(self, problem: str) -> None:
        """Use it no more; the first problem is the one that counts."""
        self.problem = self.problem or problem
        self.lost.set()

    @property
    def _redis(self) -> "coredis.Redis[bytes]":
        assert self._client is not None  # noqa: S101 - who is lost is not asked
        return self._client

    @contextmanager
    def _within_deadline(self) -> Iterator[None]:
        """Bound one exchange; the connection is lost when it fails."""
        with trio.move_on_after(self._timeout) as scope:
            try:
                yield
            except Exception as error:
                problem = f"{self._place}: {_describe(error)}"
                if isinstance(error, ResponseError) and "maxmemory" in problem:
                    raise StoreFull(problem) from error  # what needs no room can still be asked
                self.lose(problem)
        if scope.cancelled_caught:
            self.lose(f"no answer from {self._place} within {self._timeout:g} seconds")


async def _pool(config: StoreConfig, place: RedisPlace) -> ConnectionPool[Any]:
    """Make a pool of one connection.

    Raises:
        OSError: a file with a secret or certificate cannot be read.
    """
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


def _describe(error: BaseException) -> str:
    """Say what the matter is; the library hides the cause behind sentences of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):
        return _describe(error.exceptions[0])
    return str(error) or type(error).__name__
