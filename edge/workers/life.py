"""One life of a worker, as the front sees it: from the start of its process to its end."""

import signal
from collections.abc import Callable, Sequence

import trio

from edge.config.problems import Problem
from edge.config.values import format_address
from edge.control.client import ControlClient
from edge.tiers.keyring import control_bearers
from edge.workers.channel import Channel, ChannelClosed
from edge.workers.launch import launched
from edge.workers.messages import (
    BadLine,
    Figures,
    Refused,
    Reload,
    Reloaded,
    Start,
    Started,
    Stop,
    WorkerSettings,
    read_word,
    write_order,
)

__all__ = ["SILENCE", "Life"]

SILENCE = 5.0
"""Seconds after which a worker that says nothing gets no more calls: something holds up its loop."""

_COMMAND_TIMEOUT = 2.0
"""Seconds for one command; less than half of what signal waits, so that another worker can be asked within it."""

_RELOAD_TIMEOUT = 3.0


class Life:
    """A worker's process. It is made, run once, and forgotten.

    Args:
        start: its first order.
        command: how to start it.
        on_started: called when it serves.
        on_silence: called when it has not spoken for `SILENCE` seconds, and not again until it did.

    Attributes:
        client: commands it; None while it does not serve.
        figures: what it said last.
        placed: calls that it was made to take, as far as the front knows.
        under_way: commands to take a call that are not answered yet.
        sockets: connections to backends through it, which are no calls.
        problems: why it refused to start; empty if it did not.
        pid: its process; None before there is one.
    """

    def __init__(
        self,
        start: Start,
        *,
        command: Sequence[str],
        on_started: Callable[[Started], None],
        on_silence: Callable[[], None],
    ) -> None:
        self.client: ControlClient | None = None
        self.figures = Figures()
        self.placed = 0
        self.under_way = 0
        self.sockets = 0
        self.problems: tuple[Problem, ...] = ()
        self.pid: int | None = None
        self._start = start
        self._command = command
        self._on_started = on_started
        self._on_silence = on_silence
        self._is_silent = False
        self._url = ""
        self._channel: Channel | None = None
        self._reloaded: Reloaded | None = None
        self._answered = trio.Event()

    async def run(self) -> str:
        """Live until the process ends; cancelled, it is told to stop and killed if it does not.

        Returns:
            How it ended, in words for a log.
        """
        try:
            async with launched(self._command) as (process, channel):
                self.pid = process.pid
                self._channel = channel
                try:
                    await channel.send(write_order(self._start))
                    while True:
                        await self._hear(channel)
                except ChannelClosed:
                    pass
                except BadLine as error:
                    return f"it spoke nonsense: {error}"
        except OSError as error:
            return f"it could not be started: {error}"
        finally:
            self._channel = None
            self._answered.set()
            if self.client is not None:
                client, self.client = self.client, None
                with trio.CancelScope(shield=True):
                    await client.aclose()
        return _ending(process.returncode)

    async def _hear(self, channel: Channel) -> None:
        with trio.move_on_after(SILENCE) as patience:
            line = await channel.receive()
        if patience.cancelled_caught:
            if self.client is not None and not self._is_silent:
                self._is_silent = True
                self._on_silence()
            return
        self._is_silent = False
        match read_word(line):
            case Figures() as figures:
                self.figures = figures
            case Started() as started:
                self._url = f"http://{format_address(started.control)}"
                self._use_keys(self._start.settings)
                self._on_started(started)
            case Reloaded() as reloaded:
                self._reloaded = reloaded
                self._answered.set()
            case Refused() as refused:
                self.problems = refused.problems

    async def reload(self, settings: WorkerSettings) -> Sequence[Problem]:
        """Make it use other settings; returns what of them it could not use."""
        if self._channel is None:
            return ()  # it has died; the next one starts with them
        self._reloaded, self._answered = None, trio.Event()
        try:
            with trio.move_on_after(_RELOAD_TIMEOUT):
                await self._channel.send(write_order(Reload(settings=settings)))
                await self._answered.wait()
        except ChannelClosed:
            return ()
        if not self._answered.is_set():
            found = f"worker {self._start.number} gave no answer within {_RELOAD_TIMEOUT:g} seconds"
            return (Problem("transceiver.workers", found, "Reload again; see its log for what holds it up."),)
        if self.client is not None:
            self._use_keys(settings)
        return () if self._reloaded is None else self._reloaded.problems

    async def stop(self) -> None:
        """Make it say goodbye to its clients and exit; `run` returns then."""
        if self._channel is not None:
            try:
                await self._channel.send(write_order(Stop()))
            except ChannelClosed:
                return  # it has died, or is about to

    def not_ready_reason(self) -> str:
        """Tell why it takes no calls now; empty when it does."""
        if self.client is None:
            return "it is starting"
        return f"it has said nothing for {SILENCE:g} seconds" if self._is_silent else self.figures.reason

    @property
    def calls(self) -> int:
        """How many calls it has: what it said, and those that it was given since."""
        return self.figures.calls + max(0, self.placed - self.figures.counts.get("created", 0))

    @property
    def load(self) -> float:
        """Share of its capacity in use, about 0 to 1."""
        return (self.calls + self.under_way + self.sockets) / max(1, self.figures.max_calls)

    def _use_keys(self, settings: WorkerSettings) -> None:
        # The old client's connections end with what is asked over them now. A worker takes both bearers of a rotation.
        self.client = ControlClient(self._url, control_bearers(settings.keys)[0], timeout=_COMMAND_TIMEOUT)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
