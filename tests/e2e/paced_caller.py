"""A call that counts every packet: the headless caller in a process of its own, which runs in any namespace.

    python paced_caller.py URL [--key KEY] [--port PORT] [--address HOST] [--server HOST] [--dtls-1.2] [--events]

says {"connected": …} when audio flows both ways, and then obeys lines of its standard input:

    begin     from here on packets count
    finish N  tells of the packets sent since, as soon as there are N, and after having waited for those that may still
              come back; without N at once
    stop      hangs up, and ends

Each packet of audio carries a number, and the server echoes it: so what it tells is exact. `sent`, `missing` (numbers
that never came back), `twice`, `gap_ms` (the longest time between two arrivals, without what the caller itself stood
still in) and `gap_packets` (the longest run of missing numbers), `records` (of DTLS, with SCTP in them, that came),
`local` (our port). With `--dtls-1.2` it speaks no other version; with `--events` it sends an event over a data channel
all the time, so that there are records to see.
"""

import argparse
import contextlib
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable, Sequence

import attrs
import trio
from stalls import OwnClock

from dtls.certificate import Certificate
from dtls.options import DtlsOptions
from dtls.versions import Version
from edge.caller.description import parse_answer
from edge.caller.exchange import Exchange, Line
from edge.caller.opus_file import Clip
from edge.caller.placing import Call, Caller
from edge.caller.progress import CallerOptions
from edge.caller.session import CallerSession
from edge.caller.signalling import SignalClient
from edge.caller.wires import UdpWire
from wire.core import Event
from wire.errors import LocalProtocolError

_NUMBERED = struct.Struct(
    ">BI55x"
)  # an Opus packet by its first byte: 20 ms of CELT, about as long as those of a voice
_LATE = 1.0
_EVENT_INTERVAL = 0.1
_PATIENCE = 30.0

Receive = Callable[[bytes, float], Sequence[Event]]


class Numbered(tuple[bytes, ...]):  # noqa: SLOT001 - one that has attributes cannot have slots
    """Packets that carry their number."""

    sent: int
    clock: OwnClock

    def __getitem__(self, index: int) -> bytes:
        self.sent += 1
        self.clock.sent(time.monotonic())
        return _NUMBERED.pack(0xF8, self.sent - 1)


class Journal:
    """What came back; a `Recording`."""

    seconds = 0.0

    def __init__(self, packets: Numbered) -> None:
        self.times: dict[int, float] = {}
        self.twice = 0
        self.gap = 0.0
        self.records = 0
        self._clock = packets.clock = OwnClock(time.monotonic())
        packets.sent = 0
        self.begin()

    def begin(self) -> None:
        """Count anew."""
        self.twice, self.records, self.gap = 0, 0, 0.0
        self._last = self._clock.read(time.monotonic())

    def silent(self) -> float:
        """Seconds since something came, without those that we stood still in."""
        return self._clock.read(time.monotonic()) - self._last

    def add(self, sequence_number: int, timestamp: int, packet: bytes) -> None:
        if len(packet) != _NUMBERED.size:
            return  # silence of the server's own
        number = _NUMBERED.unpack(packet)[1]
        if number in self.times:
            self.twice += 1
            return
        self.gap = max(self.gap, self.silent())
        self.times[number] = now = time.monotonic()
        self._last = self._clock.read(now)

    def counting(self, receive: Receive) -> Receive:
        """Count the records of which SCTP gets the application data."""

        def receive_counted(data: bytes, now: float) -> Sequence[Event]:
            self.records += 1
            return receive(data, now)

        return receive_counted

    def finish(self) -> None:
        pass


class _Wire(UdpWire):
    """Sends from one address."""

    def __init__(self, *, is_ipv6: bool, local: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((local[0] or ("::" if is_ipv6 else "0.0.0.0"), local[1]))  # noqa: S104

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])


class _Line(Line):
    """Has one wire."""

    def __init__(self, session: CallerSession, local: tuple[str, int]) -> None:
        super().__init__(session)
        self._local = local

    def open(self, hosts: Iterable[str], renewed: object) -> Sequence[_Wire]:
        is_ipv6 = any(":" in host for host in hosts)
        self._wires = {is_ipv6: _Wire(is_ipv6=is_ipv6, local=self._local)}
        return tuple(self._wires.values())


async def _main(words: argparse.Namespace) -> None:
    packets = Numbered((b"",))
    journal = Journal(packets)
    clip = Clip(packets=packets, samples=(960,))
    dtls = DtlsOptions(versions=(Version.DTLS_1_2,)) if words.dtls12 else DtlsOptions()
    options = CallerOptions(clip=clip, recording=journal, dtls=dtls, has_events=words.events)
    exchange, signal = Exchange(), SignalClient(words.url, words.key)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange.run)
        now = trio.current_time()
        session = CallerSession(
            certificate=Certificate.generate(unix_time=time.time()),
            options=options,
            unix_time=time.time(),
            entropy=os.urandom,
            now=now,
        )
        signalled = await signal.offer(session.offer)
        answer = parse_answer(signalled.answer)
        if words.server:
            chosen = tuple(candidate for candidate in answer.candidates if candidate.host == words.server)
            answer = attrs.evolve(answer, candidates=chosen)
        session.accept(answer, trio.current_time())
        line = _Line(session, (words.address, words.port))
        exchange.add(line, [candidate.host for candidate in answer.candidates])
        call = Call(session=session, line=line, path=signalled.path, answer=answer, posted_at=now, answered_at=now)
        caller = Caller(signal, exchange)
        await caller.connect(call)
        await caller.hear(call)
        (wire,) = line.wires()
        server = session.path.address
        if words.events:
            session.events.receive = journal.counting(session.events.receive)
            nursery.start_soon(_send_events, session)
        _say({"connected": signalled.path, "local": wire.port, "server": list(server)})
        await _obey(line, packets, journal)
        await caller.hang_up(call)
        await signal.aclose()
        nursery.cancel_scope.cancel()


async def _send_events(session: CallerSession) -> None:
    while True:
        with contextlib.suppress(LocalProtocolError):  # too much waits already: nobody has it just now
            session.events.send("{}", trio.current_time())
        await trio.sleep(_EVENT_INTERVAL)


async def _obey(line: Line, packets: Numbered, journal: Journal) -> None:
    first, errors = 0, 0
    while True:
        order, _, count = (await trio.to_thread.run_sync(sys.stdin.readline)).strip().partition(" ")
        if order == "begin":
            first, errors = packets.sent, line.send_errors
            journal.begin()
            _say({"begun": first})
        elif order == "finish":
            with trio.move_on_after(_PATIENCE):
                while packets.sent - first < int(count or 0):  # noqa: ASYNC110 - a test
                    await trio.sleep(0.01)
            last = packets.sent
            wanted = range(first, last)
            with trio.move_on_after(_LATE):
                while not all(number in journal.times for number in wanted):  # noqa: ASYNC110 - rare, and a test
                    await trio.sleep(0.01)
            missing = [number for number in wanted if number not in journal.times]
            _say(
                {
                    "sent": last - first,
                    "missing": missing,
                    "twice": journal.twice,
                    "gap_ms": round(1000 * journal.gap, 1),
                    "gap_packets": _longest_run(missing),
                    "send_errors": line.send_errors - errors,
                    "closed": line.session.stage.value,
                    "records": journal.records,
                    "drops": {str(reason): count for reason, count in line.session.dropped().items()},
                }
            )
        else:
            return


def _longest_run(numbers: list[int]) -> int:
    longest = run = 0
    before = -2
    for number in numbers:
        run = run + 1 if number == before + 1 else 1
        longest, before = max(longest, run), number
    return longest


def _say(facts: dict[str, object]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--key")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--address", default="", help="to send from")
    parser.add_argument("--server", help="the one of the answer's candidates to take")
    parser.add_argument("--dtls-1.2", dest="dtls12", action="store_true", help="speak no other version")
    parser.add_argument("--events", action="store_true", help="send events all the time")
    trio.run(_main, parser.parse_args())
