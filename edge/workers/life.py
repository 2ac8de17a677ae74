"""One life of a worker, as the front sees it: from the start of its process to its end."""

from collections import Counter, deque
from collections.abc import Callable, Sequence

import trio

from edge.children.channel import Channel, ChannelClosed
from edge.children.ending import describe_ending
from edge.children.launch import ChildProcess, Launch
from edge.config.problems import Problem
from edge.config.values import format_address
from edge.control.client import ControlClient
from edge.control.moving_client import MovingClient
from edge.tiers.keyring import control_bearers
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

__all__ = ["SILENCE", "Life"]

SILENCE = 5.0
"""Seconds after which a worker that says nothing gets no more calls: something holds up its loop."""

_COMMAND_TIMEOUT = 2.0
"""Seconds for one command; less than half of what signal waits, so that another worker can be asked within it."""

_RELOAD_TIMEOUT = 3.0
_LAST_WORDS = 0.5


class Life:
    """A worker's process. It is made, run once, and forgotten.

    Args:
        start: its first order.
        launch: starts its process.
        on_started: called when it serves.
        on_silence: called when it has not spoken for `SILENCE` seconds, and not again until it did.

    Attributes:
        client: commands it; None while it does not serve.
        moving: moves calls to it and from it; None while it does not serve.
        figures: what it said last.
        under_way: commands to take a call that are not answered yet.
        sockets: connections to backends through it, which are no calls.
        problems: why it refused to start; empty if it did not.
        pid: its process; None before there is one.
    """

    def __init__(
        self,
        start: Start,
        *,
        launch: Launch,
        on_started: Callable[[Started], None],
        on_silence: Callable[[], None],
    ) -> None:
        self.client: ControlClient | None = None
        self.moving: MovingClient | None = None
        self.figures = Figures()
        self.under_way = 0
        self.sockets = 0
        self.problems: tuple[Problem, ...] = ()
        self.pid: int | None = None
        self._start = start
        self._launch = launch
        self._on_started = on_started
        self._on_silence = on_silence
        self._placed = 0
        self._unreported: deque[str] = deque()  # owners of the calls that its figures do not count yet
        self._is_silent = False
        self._owes_answer = False
        self._is_stopping = False
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
            async with self._launch() as (process, channel):
                self.pid = process.pid
                self._channel = channel
                nonsense = await self._listen(process, channel)
        except OSError as error:
            return f"it could not be started: {error}"
        finally:
            self._channel = None
            self._answered.set()
            if self.client is not None:
                client, self.client = self.client, None
                moving, self.moving = self.moving, None
                with trio.CancelScope(shield=True):
                    await client.aclose()
                    if moving is not None:
                        await moving.aclose()
        return nonsense or describe_ending(process.returncode)

    async def _listen(self, process: ChildProcess, channel: Channel) -> str:
        """Follow what the worker says until its end; returns what was wrong with what it said, if anything was."""
        nonsense = ""
        if self._is_stopping:
            return nonsense  # it was told before there was anybody to tell
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_with, process, nursery.cancel_scope)
            try:
                await channel.send(ORDERS.write(self._start))
                while True:
                    await self._hear(channel)
            except ChannelClosed:
                pass
            except BadLine as error:
                nonsense = f"it spoke nonsense: {error}"
            nursery.cancel_scope.cancel()
        return nonsense

    async def _hear(self, channel: Channel) -> None:
        with trio.move_on_after(SILENCE) as patience:
            line = await channel.receive()
        if patience.cancelled_caught:
            if self.client is not None and not self._is_silent:
                self._is_silent = True
                self._on_silence()
            return
        self._is_silent = self._owes_answer = False
        match WORDS.read(line):
            case Figures() as figures:
                self._follow_figures(figures)
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
                await self._channel.send(ORDERS.write(Reload(settings=settings)))
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
        self._is_stopping = True
        if self._channel is not None:
            try:
                await self._channel.send(ORDERS.write(Stop()))
            except ChannelClosed:
                return  # it has died, or is about to

    def not_ready_reason(self) -> str:
        """Tell why it takes no calls now; empty when it does."""
        if self.client is None:
            return "it is starting"
        if self._is_silent:
            return f"it has said nothing for {SILENCE:g} seconds"
        return "it has left a command unanswered" if self._owes_answer else self.figures.reason

    def left_unanswered(self) -> None:
        """It did not answer in time: it takes no calls until it speaks again, which it does each second if it can."""
        self._owes_answer = True

    def call_placed(self, owner: str) -> None:
        """It has taken a call for an owner."""
        self._placed += 1
        self._unreported.append(owner)
        self._forget_reported()

    @property
    def calls(self) -> int:
        """How many calls it has: what it said, and those that it was given since."""
        return self.figures.calls + len(self._unreported)

    @property
    def calls_by_owner(self) -> Counter[str]:
        """The same by owner."""
        return Counter(self.figures.calls_by_owner) + Counter(self._unreported)

    def _follow_figures(self, figures: Figures) -> None:
        self.figures = figures
        self._forget_reported()

    def _forget_reported(self) -> None:
        # All its calls come from this front, so what it has not counted yet are the last of those that we have. It may
        # also have counted one already whose answer is still on its way to us.
        unreported = max(0, self._placed - self.figures.counts.get("created", 0))
        while len(self._unreported) > unreported:
            self._unreported.popleft()

    @property
    def load(self) -> float:
        """Share of its capacity in use, about 0 to 1."""
        return (self.calls + self.under_way + self.sockets) / max(1, self.figures.max_calls)

    def _use_keys(self, settings: WorkerSettings) -> None:
        # The old client's connections end with what is asked over them now. A worker takes both bearers of a rotation.
        key = control_bearers(settings.keys)[0]
        self.client = ControlClient(self._url, key, timeout=_COMMAND_TIMEOUT)
        self.moving = MovingClient(self._url, key, timeout=_COMMAND_TIMEOUT)


async def _end_with(process: ChildProcess, scope: trio.CancelScope) -> None:
    """End a scope soon after a process: what it said last may still be read.

    The channel's end tells the same, unless something that an agent has forked holds it open.
    """
    await process.wait()
    scope.deadline = trio.current_time() + _LAST_WORDS
