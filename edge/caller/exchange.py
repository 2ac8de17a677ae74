"""Sockets and time for many calls at once.

Two tasks serve all calls of the process. One waits for datagrams: the sockets of all calls are in one epoll set,
and Trio waits for the set, so a packet costs no task switch of its own. The other ticks every two milliseconds:
each call belongs to one of ten phases, sends its audio in its phase and looks after its timers there. So packets of
many calls leave spread over the 20 ms of a frame, and how late the ticks are tells whether this process keeps up.
"""

import select
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import trio

from edge.caller.progress import Secured
from edge.caller.session import CallerSession
from edge.caller.wires import TcpWire, UdpWire, Wire
from transceiver.ticker import Lateness
from wire.core import Address, Event, Path
from wire.demux import Kind, kind_of

__all__ = ["PHASES", "TICK", "Exchange", "Line", "has_route"]

TICK = 0.002
"""Seconds between two ticks."""

PHASES = 10
"""Ticks until it is a call's turn again: 20 ms, one frame of audio."""

# As many datagrams are taken in a row; then the ticker gets its turn, about a millisecond later.
_BATCH = 32
_IDLE = 0.1


class Line:
    """A call's sockets and its session.

    Args:
        session: the call.
        servers: where to connect over TCP; without any, the call goes over UDP.

    Attributes:
        session: the call.
        send_errors: datagrams that the kernel did not take.
        last_error: what it said the last time; empty for nothing.
    """

    __slots__ = ("_news", "_servers", "_wires", "last_error", "phase", "seen", "send_errors", "session")

    def __init__(self, session: CallerSession, servers: Iterable[Address] = ()) -> None:
        self.session = session
        self._servers = tuple(servers)
        self.phase = 0
        self.send_errors = 0
        self.last_error = ""
        self.seen: list[Event] = []
        self._wires: dict[bool | Address, Wire] = {}
        self._news = trio.Event()

    @property
    def is_over_tcp(self) -> bool:
        """Whether the call uses TCP, and nothing else."""
        return bool(self._servers)

    async def next_event(self) -> Event:
        """Wait for the next event of the session; cancellation loses none."""
        while not self.seen:
            await self._news.wait()
            self._news = trio.Event()
        return self.seen.pop(0)

    def wires(self) -> Iterable[Wire]:
        """Return the wires that were opened so far."""
        return self._wires.values()

    def open(self, hosts: Iterable[str], renewed: Callable[[int, Wire], object]) -> Sequence[Wire]:
        """Open what the call needs: a socket for each family of addresses among `hosts`, or the connections.

        Args:
            hosts: the server's addresses.
            renewed: told the old number of a wire's socket, and the wire, when it has got another socket.
        """
        if self._servers:
            self._wires.update((server, TcpWire(server, renewed)) for server in self._servers)
        else:
            self._wires.update((is_ipv6, UdpWire(is_ipv6=is_ipv6)) for is_ipv6 in {":" in host for host in hosts})
        return tuple(self._wires.values())

    def receive(self, wire: Wire, now: float) -> None:
        """Take what has come over a wire."""
        try:
            datagrams = wire.receive()
        except OSError as error:  # also how a refused port shows
            if not isinstance(error, BlockingIOError):
                self.last_error = error.strerror or str(error)
            return
        for data, source in datagrams:
            self._take(data, source, now)

    def _take(self, data: bytes, source: Address, now: float) -> None:
        session = self.session
        if kind_of(data) is Kind.RTP:
            events = session.receive_rtp(data, now)
        else:
            events = session.receive_datagram(data, Path(source), now)
            self.flush(now)
        if events:
            self._report(events)
            if any(isinstance(event, Secured) for event in events):
                self.tick(now, now)  # the first audio need not wait for its phase

    def tick(self, due: float, now: float) -> None:
        """Send the audio that is due, and look after timers."""
        session = self.session
        if session.media is not None and session.path is not None:
            destination = session.path.address
            for packet in session.media.audio_to_send(due, now):
                self._send(packet, destination)
        when = session.next_timeout()
        if when is not None and when <= now:
            self._report(session.handle_timeout(now))
            self.flush(now)

    def flush(self, now: float) -> None:
        """Send what the session has to say, audio apart."""
        for data, path in self.session.datagrams_to_send(now):
            self._send(data, path.address)

    def close(self) -> None:
        """Close the sockets."""
        for wire in self._wires.values():
            wire.close()

    def _send(self, data: bytes, destination: Address) -> None:
        try:
            self._wires[destination if self._servers else ":" in destination[0]].send(data, destination)
        except OSError as error:
            self.send_errors += 1
            self.last_error = error.strerror or str(error)

    def _report(self, events: Iterable[Event]) -> None:
        self.seen.extend(events)
        if self.seen:
            self._news.set()


class Exchange:
    """Drives the sessions of all calls.

    Attributes:
        lateness: how late the ticks came, since somebody last put a new one in its place.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, tuple[Line, Wire]] = {}
        self._phases: list[list[Line]] = [[] for _ in range(PHASES)]
        self.lateness = Lateness()

    @property
    def lines(self) -> list[Line]:
        """All calls that are connected here."""
        return [line for phase in self._phases for line in phase]

    def add(self, line: Line, hosts: Iterable[str]) -> None:
        """Open a call's sockets and drive its session from now on."""
        for wire in line.open(hosts, partial(self._renew, line)):
            self._watch(line, wire)
        phase = min(range(PHASES), key=lambda number: len(self._phases[number]))
        line.phase = phase
        self._phases[phase].append(line)
        line.flush(trio.current_time())

    def remove(self, line: Line) -> None:
        """Drive a session no more, and close its sockets."""
        if line not in self._phases[line.phase]:
            return
        self._phases[line.phase].remove(line)
        for wire in line.wires():
            self._epoll.unregister(wire.fileno())
            del self._by_descriptor[wire.fileno()]
        line.close()

    def _watch(self, line: Line, wire: Wire) -> None:
        self._by_descriptor[wire.fileno()] = (line, wire)
        self._epoll.register(wire.fileno(), wire.events)

    def _renew(self, line: Line, old: int, wire: Wire) -> None:
        del self._by_descriptor[old]  # the epoll set has lost it with its socket
        self._watch(line, wire)

    async def run(self) -> None:
        """Drive the sessions until cancelled; then all sockets are closed, and nobody says goodbye any more."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive)
                nursery.start_soon(self._tick)
        finally:
            for line in self.lines:
                self.remove(line)
            self._epoll.close()

    async def _receive(self) -> None:
        descriptor = self._epoll.fileno()
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            now = trio.current_time()
            for ready, _ in self._epoll.poll(0, _BATCH):
                # The line may have been removed by what another one of this batch reported.
                if found := self._by_descriptor.get(ready):
                    line, wire = found
                    line.receive(wire, now)

    async def _tick(self) -> None:
        started, number = trio.current_time(), 0
        while True:
            if not self._by_descriptor:
                await trio.sleep(_IDLE)
                started, number = trio.current_time(), 0
                continue
            phase = self._phases[number % PHASES]
            if phase:
                due = started + number * TICK
                await trio.sleep_until(due)
                now = trio.current_time()
                self.lateness.add(now - due)
                for line in tuple(phase):
                    line.tick(due, now)
            number += 1
            # What is late by whole rounds is left out: made up for in a burst, it would overflow buffers everywhere.
            rounds = int((trio.current_time() - started - number * TICK) / (PHASES * TICK))
            number += max(rounds, 0) * PHASES


def has_route(host: str, port: int) -> bool:
    """Tell whether the kernel knows a way to an address at all; nothing is sent."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))
    except OSError:
        return False
    return True
