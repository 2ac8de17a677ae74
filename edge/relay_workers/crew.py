"""A worker for every place, and a spare for whichever of them dies next."""

from collections.abc import Callable, Sequence
from socket import socket

import attrs
import trio

from edge.children.launch import Launch
from edge.relay_workers.member import Member
from edge.relay_workers.messages import Figures, RelaySettings, Start
from edge.relay_workers.totals import add_up, without_what_was
from edge.reports import Report
from relay.sockets import RelaySockets

__all__ = ["START_TIMEOUT", "Crew", "Place"]

START_TIMEOUT = 10.0
"""Seconds that a process may take to import all and to take its sockets."""

_STEADY = 2.0
"""A worker that lived for so many seconds is replaced at once; so is the first that did not. Short, since what kills a
worker now and then is no reason to keep clients waiting; to start one every two seconds is half a processor at most."""
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

_REPLENISH = 0.5
"""Seconds after which a spare is started in the place of one that was needed: not while its successor catches up."""


@attrs.define(eq=False)
class Place:
    """A worker's number, whose process is replaced when it dies.

    Attributes:
        number: the worker's.
        core: the processor that it stays on; None for any.
        sockets: lent to whichever process is in it.
        member: that process; None while there is none.
        past: the numbers of those that were in it before.
        starts: how many processes have worked here.
        works: set when the first of them may read the sockets.
    """

    number: int
    core: int | None
    sockets: RelaySockets
    member: Member | None = None
    past: Figures = attrs.field(factory=Figures)
    starts: int = 0
    works: trio.Event = attrs.field(factory=trio.Event)

    @property
    def figures(self) -> Figures:
        """What its process said last; nothing while there is none."""
        return Figures() if self.member is None else self.member.figures

    @property
    def total(self) -> Figures:
        """Its numbers over all lives."""
        return add_up((self.past, self.figures))


class Crew:
    """Keeps a relay's workers running.

    Args:
        settings: of all workers.
        places: one for each.
        report: takes what happened, for the log.
        launch: starts a process.
    """

    def __init__(self, settings: RelaySettings, places: Sequence[Place], report: Report, launch: Launch) -> None:
        self.places = tuple(places)
        self._settings = settings
        self._report = report
        self._launch = launch
        self._spare: Member | None = None
        self._adopted = 0
        self._spare_is_gone = trio.Event()
        self._gate = trio.Event()
        self._stopping = trio.Event()
        self._stopped = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled or stopped. Started when all workers could forward; they do when `go` was called.

        Raises:
            OSError: a worker did not come into being.
        """
        async with trio.open_nursery() as self._nursery:
            prepared = [trio.Event() for _ in self.places]
            for place, event in zip(self.places, prepared, strict=True):
                self._nursery.start_soon(self._keep, place, event.set)
            for event in prepared:
                await event.wait()
            task_status.started()
            self._nursery.start_soon(self._keep_a_spare)
            await self._stopped.wait()
            self._nursery.cancel_scope.cancel()

    async def go(self) -> None:
        """Let all workers read their sockets, now and when they are replaced; returns when all have been told."""
        self._gate.set()
        for place in self.places:
            await place.works.wait()

    async def reload(self, settings: RelaySettings) -> list[int]:
        """Use other settings, now and for later processes; returns the numbers of workers that do not answer."""
        self._settings = settings
        silent: list[int] = []

        async def reload(place: Place) -> None:
            if place.member is not None and not await place.member.reload(settings):
                silent.append(place.number)

        async with trio.open_nursery() as nursery:
            for place in self.places:
                nursery.start_soon(reload, place)
        return sorted(silent)

    def adopt(self, sock: socket, ingress: int) -> None:
        """Give a client's connection to one of the workers; they take turns."""
        working = [place.member for place in self.places if place.member is not None]
        if not working or self._nursery is None or self._stopping.is_set():
            sock.close()
            return
        self._adopted += 1
        self._nursery.start_soon(working[self._adopted % len(working)].adopt, sock, ingress)

    async def stop(self) -> None:
        """Let all processes end; returns when nobody reads the sockets any more."""
        self._stopping.set()
        async with trio.open_nursery() as nursery:
            for place in self.places:
                if place.member is not None:
                    nursery.start_soon(place.member.stop)
        self._stopped.set()

    async def _keep(self, place: Place, on_first: Callable[[], None]) -> None:
        """Have somebody in a place, always."""
        pause = 0.0
        while not self._stopping.is_set():
            began = trio.current_time()
            member = place.member = self._take()
            await self._put(member, place, on_first)
            await member.ended.wait()
            place.past = add_up((place.past, without_what_was(member.figures)))
            place.member = None
            if self._stopping.is_set():
                return
            if place.starts < 1:
                raise OSError(f"worker {place.number} ended while it started: {member.ending}")
            if trio.current_time() - began >= _STEADY:
                pause = 0.0
            facts = {"worker": place.number, "pid": member.pid, "how": member.ending, "next_start_s": pause}
            self._report("worker-died", facts)
            with trio.move_on_after(pause):
                await self._stopping.wait()
            pause = min(2 * pause or _FIRST_PAUSE, _LONGEST_PAUSE)

    async def _put(self, member: Member, place: Place, on_first: Callable[[], None]) -> None:
        """Make a process the worker of a place."""
        order = Start(
            settings=self._settings,
            number=place.number,
            core=place.core,
            ingresses=tuple(place.sockets.ingresses),
            listeners=tuple(place.sockets.listeners),
        )
        await member.start(order, place.sockets)
        with trio.move_on_after(START_TIMEOUT) as patience:
            await member.prepared.wait()
        if patience.cancelled_caught:
            member.kill()
        if member.ended.is_set():
            return
        place.starts += 1
        on_first()
        await self._gate.wait()
        if not self._stopping.is_set():
            await member.go()
            place.works.set()
            self._report("worker-started", {"worker": place.number, "pid": member.pid})

    def _take(self) -> Member:
        """Take the spare, or whoever must be started first."""
        member, self._spare = self._spare, None
        self._spare_is_gone.set()
        return member if member is not None and not member.ended.is_set() else self._hire()

    def _hire(self) -> Member:
        assert self._nursery is not None  # noqa: S101 - `run` calls us
        member = Member(self._launch, self._silent)
        self._nursery.start_soon(member.run)
        return member

    async def _keep_a_spare(self) -> None:
        """Have one process more than is needed."""
        await self._gate.wait()
        while True:
            await trio.sleep(_REPLENISH)
            self._spare_is_gone = trio.Event()
            if self._spare is None or self._spare.ended.is_set():
                self._spare = self._hire()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_after, self._spare.ended, nursery.cancel_scope)
                nursery.start_soon(_cancel_after, self._spare_is_gone, nursery.cancel_scope)

    def _silent(self, member: Member) -> None:
        numbers = [place.number for place in self.places if place.member is member]
        self._report("worker-silent", {"worker": numbers[0] if numbers else None, "pid": member.pid})


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
