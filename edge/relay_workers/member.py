"""A process of the crew, as the supervisor sees it: idle, then a worker, then gone."""

from collections.abc import Awaitable, Callable
from socket import socket

import trio

from edge.children.channel import Channel, ChannelClosed
from edge.children.ending import describe_ending
from edge.children.launch import ChildProcess, Launch
from edge.relay_workers.messages import (
    ORDERS,
    WORDS,
    Adopt,
    BadLine,
    Done,
    Figures,
    Go,
    Idle,
    Prepared,
    RelaySettings,
    Reload,
    Start,
    Stop,
    Stopped,
)
from relay.sockets import RelaySockets

__all__ = ["SILENCE", "Member"]

SILENCE = 3.0
"""Seconds after which a worker that says nothing is killed: something holds up its loop, and with it its calls."""

_SECOND_CHANCE = 0.2
_LAST_WORDS = 0.5
_RELOAD_TIMEOUT = 2.0


class Member:
    """One process. It is made, run once, and forgotten.

    Args:
        launch: starts it.
        on_silence: called when it is killed because it has not spoken for `SILENCE` seconds.

    Attributes:
        pid: its process; None before there is one.
        figures: what it said last.
        idle: set when it has imported everything.
        prepared: set when it has its sockets.
        ended: set when there is no process any more.
        ending: how it ended, in words for a log.
    """

    def __init__(self, launch: Launch, on_silence: Callable[["Member"], object]) -> None:
        self.pid: int | None = None
        self.figures = Figures()
        self.idle = trio.Event()
        self.prepared = trio.Event()
        self.ended = trio.Event()
        self.ending = ""
        self._launch = launch
        self._on_silence = on_silence
        self._process: ChildProcess | None = None
        self._channel: Channel | None = None
        self._is_there = trio.Event()
        self._works = False
        self._done = trio.Event()
        self._stopped = trio.Event()

    async def run(self) -> None:
        """Live until the process ends; cancelled, it is told to stop and killed if it does not."""
        nonsense = ""
        try:
            async with self._launch() as (process, channel):
                self.pid, self._process, self._channel = process.pid, process, channel
                self._is_there.set()
                nonsense = await self._listen(process, channel)
            self.ending = nonsense or describe_ending(process.returncode)
        except OSError as error:
            self.ending = f"it could not be started: {error}"
        finally:
            self._channel = self._process = None
            for event in (self._is_there, self.idle, self.prepared, self._done, self._stopped, self.ended):
                event.set()

    async def _listen(self, process: ChildProcess, channel: Channel) -> str:
        """Follow what it says until its end; returns what was wrong with what it said, if anything was."""
        nonsense = ""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_with, process, nursery.cancel_scope)
            try:
                while True:
                    self._hear(await self._line(channel))
            except ChannelClosed:
                pass
            except BadLine as error:
                nonsense = f"it spoke nonsense: {error}"
            nursery.cancel_scope.cancel()
        return nonsense

    async def _line(self, channel: Channel) -> bytes:
        while not self._works:
            with trio.move_on_after(SILENCE):
                return await channel.receive()
        # Twice: if it was us who were held up, what it has said is there at once.
        for patience in (SILENCE, _SECOND_CHANCE):
            with trio.move_on_after(patience):
                return await channel.receive()
        self._on_silence(self)
        self.kill()
        return await channel.receive()

    def _hear(self, line: bytes) -> None:
        match WORDS.read(line):
            case Figures() as figures:
                self.figures = figures
            case Idle():
                self.idle.set()
            case Prepared():
                self.prepared.set()
            case Done():
                self._done.set()
            case Stopped():
                self._stopped.set()

    async def start(self, order: Start, sockets: RelaySockets) -> None:
        """Make it a worker; `prepared` tells when it is one."""
        await self._is_there.wait()
        if self._channel is not None:
            await _ignoring_death(self._channel.send(ORDERS.write(order), tuple(sockets)))

    async def go(self) -> None:
        """Let it read its sockets."""
        if self._channel is not None:
            self._works = True
            await _ignoring_death(self._channel.send(ORDERS.write(Go())))

    async def adopt(self, sock: socket, ingress: int) -> None:
        """Let it take over a client's connection, which is closed here."""
        with sock:
            if self._channel is not None:
                await _ignoring_death(self._channel.send(ORDERS.write(Adopt(ingress=ingress)), [sock]))

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()

    async def reload(self, settings: RelaySettings) -> bool:
        """Make it use other settings; returns whether it does, or has died, so that its successor will."""
        if self._channel is None or not self.prepared.is_set():
            return True
        self._done = trio.Event()
        await _ignoring_death(self._channel.send(ORDERS.write(Reload(settings=settings))))
        with trio.move_on_after(_RELOAD_TIMEOUT):
            await self._done.wait()
        return self._done.is_set()

    async def stop(self) -> None:
        """Let it send what it has taken, and exit; returns when it reads nothing any more."""
        if self._channel is not None:
            await _ignoring_death(self._channel.send(ORDERS.write(Stop())))
        await self._stopped.wait()


async def _ignoring_death(sending: Awaitable[None]) -> None:
    try:
        await sending
    except ChannelClosed:
        return  # `run` notices too


async def _end_with(process: ChildProcess, scope: trio.CancelScope) -> None:
    """End a scope soon after a process: what it said last may still be read."""
    await process.wait()
    scope.deadline = trio.current_time() + _LAST_WORDS
