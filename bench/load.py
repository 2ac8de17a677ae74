"""The load: calls placed from this process by our own caller.

All servers get the same: the same clip, the same packets at the same pace. `Load` places calls, `Streams` sends the
same audio without a call around it to the bare loop.
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

import trio

from bench.bare_loop import CLIENT_KEY, SERVER_KEY
from bench.servers import Server
from dtls.certificate import Certificate
from edge.caller.audio import InboundAudio, OutboundAudio
from edge.caller.description import OPUS_PAYLOAD_TYPE
from edge.caller.exchange import Exchange, Line
from edge.caller.media import Media
from edge.caller.opus_file import SAMPLE_RATE, Clip, read_clip
from edge.caller.placing import Call, Caller
from edge.caller.progress import CallerOptions, Secured
from edge.caller.session import CallerSession
from edge.caller.signalling import CallFailed, SignalClient
from srtp.profile import ProtectionProfile
from srtp.session import SrtpSession
from wire.core import Path

__all__ = ["SPEECH", "WORD", "Load", "Streams", "connected", "exchanging", "idle_cpu"]

SPEECH = read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())
"""Fifty packets a second, for as long as the call lasts."""

WORD = Clip(packets=SPEECH.packets[:1], samples=(3600 * SAMPLE_RATE,))
"""One packet, said to last an hour: a call that is connected, and then silent."""

_PLACED_AT_ONCE = 4
_NEVER = float("inf")


class Load:
    """Calls to one server.

    Args:
        caller: places them.
        exchange: drives them.

    Attributes:
        calls: those that are up.
    """

    def __init__(self, caller: Caller, exchange: Exchange) -> None:
        self._caller = caller
        self.exchange = exchange
        self.calls: list[Call] = []

    async def call_in_turn(
        self, count: int, options: CallerOptions, *, at_once: int = 1, until_heard: bool = True
    ) -> None:
        """Place calls and end each when it has heard its first audio.

        Args:
            count: how many; a multiple of `at_once`.
            options: of every call.
            at_once: how many there are at a time.
            until_heard: see `call_once`.

        Raises:
            ExceptionGroup: of CallFailed: one did not come about.
        """

        async def call_some() -> None:
            for _ in range(count // at_once):
                await self.call_once(options, until_heard=until_heard)

        async with trio.open_nursery() as nursery:
            for _ in range(at_once):
                nursery.start_soon(call_some)

    async def call_once(self, options: CallerOptions, *, until_heard: bool = True) -> Secured:
        """Place one call, wait for its first audio, and hang up; return what was negotiated.

        Args:
            options: of the call.
            until_heard: whether to wait for audio, and not for the end of the handshake alone.

        Raises:
            CallFailed: it did not come about.
        """
        call = await self._caller.place(options)
        try:
            secured = await self._caller.connect(call)
            if until_heard:
                await self._caller.hear(call)
            return secured
        finally:
            await self._caller.hang_up(call)

    async def grow(self, count: int, options: CallerOptions) -> None:
        """Add calls until there are `count`, and wait until each has heard its first audio.

        Raises:
            CallFailed: one did not come about.
        """
        limiter = trio.CapacityLimiter(_PLACED_AT_ONCE)
        problems: list[CallFailed] = []

        async def add(scope: trio.CancelScope) -> None:
            async with limiter:
                try:
                    call = await self._caller.place(options)
                    self.calls.append(call)
                    await self._caller.connect(call)
                    await self._caller.hear(call)
                except CallFailed as problem:
                    problems.append(problem)
                    scope.cancel()

        async with trio.open_nursery() as nursery:
            for _ in range(count - len(self.calls)):
                nursery.start_soon(add, nursery.cancel_scope)
        if problems:
            raise problems[0]

    async def hang_up(self) -> None:
        """End all calls."""
        calls, self.calls = self.calls, []
        limiter = trio.CapacityLimiter(_PLACED_AT_ONCE)

        async def end(call: Call) -> None:
            async with limiter:
                await self._caller.hang_up(call)

        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for call in calls:
                    nursery.start_soon(end, call)

    def media(self) -> list[Media]:
        """Return the audio of all calls."""
        return [call.session.media for call in self.calls if call.session.media is not None]


class Streams:
    """The audio of calls, without calls: to the bare loop.

    Args:
        exchange: drives them.
        port: of the bare loop.
        extension_ids: header extensions that a call would use, so that packets are as long.
    """

    def __init__(self, exchange: Exchange, port: int, extension_ids: dict[str, int]) -> None:
        self.exchange = exchange
        self._path = Path(("127.0.0.1", port))
        self._extension_ids = extension_ids
        self._certificate = Certificate.generate(unix_time=time.time())
        self._lines: list[Line] = []

    def grow(self, count: int) -> None:
        """Add streams until there are `count`."""
        while len(self._lines) < count:
            now = trio.current_time()
            session = CallerSession(
                certificate=self._certificate,
                options=CallerOptions(clip=SPEECH),
                unix_time=time.time(),
                entropy=os.urandom,
                now=now,
            )
            session.media = Media(
                SrtpSession(ProtectionProfile.AEAD_AES_128_GCM, CLIENT_KEY, SERVER_KEY),
                OutboundAudio(
                    SPEECH,
                    ssrc=len(self._lines) + 1,
                    payload_type=OPUS_PAYLOAD_TYPE,
                    extension_ids=self._extension_ids,
                    entropy=os.urandom,
                ),
                InboundAudio(OPUS_PAYLOAD_TYPE, None),
                cname="bench",
                clock_offset=0.0,
                now=now,
            )
            session.media.reports.next_at = _NEVER
            session.path = self._path
            line = Line(session)
            self.exchange.add(line, [self._path.address[0]])
            self._lines.append(line)

    def remove(self) -> None:
        """End all streams."""
        for line in self._lines:
            self.exchange.remove(line)
        self._lines.clear()

    def media(self) -> list[Media]:
        """Return the audio of all streams."""
        return [line.session.media for line in self._lines if line.session.media is not None]


@asynccontextmanager
async def exchanging() -> AsyncIterator[Exchange]:
    """Drive whatever is added to the exchange, until the block ends."""
    async with trio.open_nursery() as nursery:
        exchange = Exchange()
        nursery.start_soon(exchange.run)
        yield exchange
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(server: Server, exchange: Exchange, *, model: str | None = None) -> AsyncIterator[Load]:
    """Be ready to call a server, and perhaps a certain model there; at the end of the block all calls are ended."""
    client = SignalClient(server.url, model=model)
    load = Load(Caller(client, exchange), exchange)
    try:
        yield load
    finally:
        await load.hang_up()
        with trio.CancelScope(shield=True):
            await client.aclose()


async def idle_cpu(server: Server, seconds: float, windows: int = 3) -> float:
    """Return the share of a core that a server takes while nobody calls.

    The least of some windows: what a start or the end of calls has left to do is work, and not rest.

    Args:
        server: to look at.
        seconds: how long a window is.
        windows: how many there are.
    """
    shares = []
    for _ in range(windows):
        before, started = sum(server.cpu().values()), trio.current_time()
        await trio.sleep(seconds)
        shares.append((sum(server.cpu().values()) - before) / (trio.current_time() - started))
    return min(shares)
