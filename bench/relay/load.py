"""The load of the relay's measurements: `load.c`, told what to send, and what the process in between paid for it."""

import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from socket import inet_aton, socket

import attrs

from bench.processes import cpu_of, times_of
from bench.settings import NotMeasured
from relay.udp import lost_on_arrival
from wire.core import Address

__all__ = ["Load", "Passed", "compile_programs", "discard"]

_FOLDER = Path(__file__).parent
_ANYWHERE = b"\0\0\0\0"


def compile_programs(folder: Path) -> None:
    """Compile the C programs of this folder into another."""
    for source in _FOLDER.glob("*.c"):
        command = ["gcc", "-O2", "-o", str(folder / source.stem), str(source)]
        subprocess.run(command, check=True, capture_output=True)


@attrs.frozen(kw_only=True)
class Passed:
    """What came of a load.

    Attributes:
        sent: datagrams.
        passed: those that the process in between has sent on, what was lost behind it included.
        seconds: from the first one until all was quiet.
        cpu: CPU seconds of the processes in between, without what it takes when nothing comes.
        user: those of them that were its own code's, as far as the kernel tells them apart.
        delays: with a rate, delays in seconds: the least, the hundredth part, …, the greatest.
    """

    sent: int
    passed: int
    seconds: float
    cpu: float
    user: float
    delays: tuple[float, ...] = ()

    @property
    def cost(self) -> float:
        """CPU seconds that a datagram costs."""
        return self.cpu / max(self.passed, 1)

    @property
    def user_cost(self) -> float:
        """User CPU seconds of a datagram."""
        return self.user / max(self.passed, 1)


@attrs.frozen(kw_only=True)
class Load:
    """Datagrams of many flows in turn.

    Attributes:
        sender: socket that sends them.
        sink: socket that gets what comes of them.
        records: of each flow: address to send from, address and port to send to, what its datagrams begin with.
        prefix: how long the last of these is.
        is_channel: whether it is TURN's, which ends in the length of what follows.
    """

    sender: socket
    sink: socket
    records: bytes = attrs.field(repr=False)
    prefix: int
    is_channel: bool = False

    @classmethod
    def of(
        cls,
        sender: socket,
        sink: socket,
        flows: Iterable[tuple[str | None, Address, bytes]],
        *,
        is_channel: bool = False,
    ) -> "Load":
        """Write the records.

        Args:
            sender: see there.
            sink: see there.
            flows: address to send from, None for the sender's own; where to; what to begin with, equally long for all.
            is_channel: see there.
        """
        parts: list[bytes] = []
        prefix = b""
        for source, (host, port), prefix in flows:
            packed = _ANYWHERE if source is None else inet_aton(source)
            parts += (packed, inet_aton(host), port.to_bytes(2, "big"), prefix)
        return cls(sender=sender, sink=sink, records=b"".join(parts), prefix=len(prefix), is_channel=is_channel)

    def run(
        self,
        folder: Path,
        pids: Sequence[int],
        sizes: Path,
        seconds: float,
        *,
        rate: float = 0.0,
        count: int = 0,
        idle: float = 0.0,
    ) -> Passed:
        """Send, and wait until all is quiet.

        Args:
            folder: where the programs are.
            pids: of the processes in between.
            sizes: file of the payloads' sizes.
            seconds: how long to send.
            rate: datagrams a second; 0 for as many as go. With a rate delays are measured.
            count: how many to send at most; 0 for no limit.
            idle: CPU seconds that they take in a second when nothing comes.
        """
        descriptors = (self.sender.fileno(), self.sink.fileno())
        words = (*descriptors, seconds, rate, count, self.prefix, int(self.is_channel), sizes)
        lost = lost_on_arrival(self.sink)
        cpu, times = sum(map(cpu_of, pids)), list(map(times_of, pids))
        began = time.monotonic()
        done = subprocess.run(
            [str(folder / "load"), *map(str, words)],
            input=self.records,
            stdout=subprocess.PIPE,
            check=True,
            pass_fds=descriptors,
        )
        elapsed = time.monotonic() - began
        spent = max(sum(map(cpu_of, pids)) - cpu - idle * elapsed, 0.0)
        told, *delays = done.stdout.decode().splitlines()
        sent, arrived = map(int, told.split())
        if not arrived and not count:
            raise NotMeasured("nothing of the load came through")
        return Passed(
            sent=sent,
            passed=arrived + lost_on_arrival(self.sink) - lost,
            seconds=elapsed,
            cpu=spent,
            user=spent * _user_share(times, list(map(times_of, pids))),
            delays=tuple(int(delay) * 1e-9 for delay in delays),
        )


def _user_share(before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]]) -> float:
    user, system = (sum(each[kind] for each in after) - sum(each[kind] for each in before) for kind in (0, 1))
    return user / (user + system) if user + system else 0.0


def discard(sock: socket) -> int:
    """Take all that waits at a socket, and return how many datagrams it was."""
    count = 0
    try:
        while True:
            sock.recv(1)
            count += 1
    except BlockingIOError:
        return count
