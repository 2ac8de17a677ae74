"""Calls over real sockets on loopback: placing, hearing, hanging up, ramping, and what goes wrong."""

import socket
import types
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from edge.caller import placing
from edge.caller.exchange import Exchange, has_route
from edge.caller.load import LATE, ramp, steps
from edge.caller.opus_file import Clip
from edge.caller.placing import Caller
from edge.caller.progress import CallerOptions
from edge.caller.results import MediaStatistics
from edge.caller.signalling import CallFailed, Signalled
from transceiver.calls import AnswerIngress
from transceiver.session import Session
from wire.core import Path


class LoopbackServer:
    """Signalling and media of a server in one, with a socket for each call; may misbehave when told to."""

    def __init__(self, make_server, nursery: trio.Nursery) -> None:
        self.make_server = make_server
        self.nursery = nursery
        self.ended: list[str] = []
        self.sessions: list[Session] = []
        self.is_deaf = False
        self.is_mute = False
        self.lose_from: int | None = None
        self.tcp_port = 0

    async def offer(self, offer: str) -> Signalled:
        opened = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        await opened.bind(("127.0.0.1", 0))
        port = opened.getsockname()[1]
        ingresses = [
            AnswerIngress(id=1, host="127.0.0.1", port=port, priority=100),
            AnswerIngress(id=2, host="2001:db8::1", port=port, priority=200),
        ]
        if self.tcp_port:
            over_tcp = AnswerIngress(id=3, host="127.0.0.1", port=self.tcp_port, priority=1, protocol="tcp")
            ingresses.append(over_tcp)
        session, answer = self.make_server(offer, trio.current_time(), ingresses)
        self.sessions.append(session)
        self.nursery.start_soon(self._serve, opened, session)
        return Signalled(answer=answer, path=f"/v1/realtime/calls/rtc_{len(self.sessions)}")

    async def end(self, path: str) -> None:
        self.ended.append(path)

    async def aclose(self) -> None:
        pass

    async def _serve(self, opened: trio.socket.SocketType, session: Session) -> None:
        packets = 0
        while True:
            data = source = None
            with trio.move_on_after(0.02):
                data, source = await opened.recvfrom(2048)
            now = trio.current_time()
            if data is not None and not self.is_deaf:
                packets += 128 <= data[0] <= 191
                if self.lose_from is not None and packets > self.lose_from and packets % 5 == 0:
                    continue
                session.receive_datagram(data, Path(source, 1), now)
            session.handle_timeout(now)
            for reply, path in session.datagrams_to_send(now):
                if self.is_mute and 128 <= reply[0] <= 191:
                    continue
                await opened.sendto(reply, path.address)


@asynccontextmanager
async def calling(make_server) -> AsyncIterator[tuple[Caller, Exchange, LoopbackServer]]:
    async with trio.open_nursery() as nursery:
        server = LoopbackServer(make_server, nursery)
        exchange = Exchange()
        nursery.start_soon(exchange.run)
        yield Caller(server, exchange), exchange, server
        nursery.cancel_scope.cancel()


async def eventually(condition: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - the thing waited for is a plain core, which knows no Trio
            await trio.sleep(0.01)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a load test short, and patient with a busy machine."""
    monkeypatch.setattr("edge.caller.load._WINDOW", 0.1)
    monkeypatch.setattr("edge.caller.load._SETTLE", 0.05)
    monkeypatch.setattr("edge.caller.load._LOOKS", 3)
    monkeypatch.setattr("edge.caller.load.LATE", 10.0)


@pytest.fixture(autouse=True)
def no_ipv6_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "has_route", lambda host, port: ":" not in host)


@pytest.fixture
def options(clip: Clip) -> CallerOptions:
    return CallerOptions(clip=clip)


async def test_a_call_from_post_to_delete(autojump_clock, server_maker, options: CallerOptions) -> None:
    async with calling(server_maker) as (caller, exchange, server):
        call = await caller.place(options)
        secured = await caller.connect(call)
        await caller.hear(call)
        assert secured.version == "DTLS 1.3"
        await eventually(lambda: MediaStatistics.of(call.session).received >= 5)
        assert [line.session for line in exchange.lines] == [call.session]
        await caller.hang_up(call)
        await eventually(lambda: server.sessions[0].closed is not None)
        assert server.ended == ["/v1/realtime/calls/rtc_1"]
        assert server.sessions[0].closed.reason == "close-notify"
        assert not exchange.lines
        await caller.hang_up(call)  # once more does no harm


async def test_audio_leaves_every_20_ms(server_maker, options: CallerOptions) -> None:
    async with calling(server_maker) as (caller, exchange, _):
        call = await caller.place(options)
        await caller.connect(call)
        source = call.session.media.outbound.source
        before, started = source.packet_count, trio.current_time()
        await trio.sleep(0.5)
        elapsed = trio.current_time() - started
        assert source.packet_count - before == pytest.approx(elapsed / 0.02, abs=4)
        assert exchange.lateness.worst > 0
        await caller.hang_up(call)


async def test_tcp_refused_is_said_in_plain_words(autojump_clock, server_maker, options, monkeypatch) -> None:
    monkeypatch.setattr(placing, "_CONNECT_SECONDS", 0.2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        async with calling(server_maker) as (caller, _, server):
            server.tcp_port = taken.getsockname()[1]
            call = await caller.place(attrs.evolve(options, over_tcp=True))
            with pytest.raises(CallFailed, match=r"no answer over TCP from 127\.0\.0\.1:\d+: .*Connection refused"):
                await caller.connect(call)
            await caller.hang_up(call)


async def test_udp_blocked_is_said_in_plain_words(autojump_clock, server_maker, options, monkeypatch) -> None:
    monkeypatch.setattr(placing, "_CONNECT_SECONDS", 0.2)
    async with calling(server_maker) as (caller, _, server):
        server.is_deaf = True
        call = await caller.place(options)
        with pytest.raises(CallFailed, match=r"no answer over UDP from 127\.0\.0\.1:\d+: is UDP blocked"):
            await caller.connect(call)
        await caller.hang_up(call)


async def test_silence_is_said_in_plain_words(autojump_clock, server_maker, options, monkeypatch) -> None:
    monkeypatch.setattr(placing, "_AUDIO_SECONDS", 0.3)
    async with calling(server_maker) as (caller, _, server):
        server.is_mute = True
        call = await caller.place(options)
        await caller.connect(call)
        with pytest.raises(CallFailed, match=r"no audio came back in 0\.3 s \(\d+ packets sent\)"):
            await caller.hear(call)
        await caller.hang_up(call)


async def test_a_call_that_the_server_ends_is_noticed(autojump_clock, server_maker, options) -> None:
    async with calling(server_maker) as (caller, _, server):
        call = await caller.place(options)
        await caller.connect(call)
        await caller.hear(call)
        server.sessions[0].close("hang-up", trio.current_time())
        with pytest.raises(CallFailed, match="the server ended the call"):
            await caller.ended(call)
        await caller.hang_up(call)


async def test_an_answer_without_a_route_ends_the_call_at_the_server(
    autojump_clock, server_maker, options, monkeypatch
) -> None:
    monkeypatch.setattr(placing, "has_route", lambda host, port: False)
    async with calling(server_maker) as (caller, exchange, server):
        with pytest.raises(CallFailed, match=r"no route to 2001:db8::1, 127\.0\.0\.1"):
            await caller.place(options)
        assert server.ended == ["/v1/realtime/calls/rtc_1"]
        assert not exchange.lines


async def test_ramp_holds_all_calls(server_maker, options, quick) -> None:
    async with calling(server_maker) as (caller, exchange, server):
        seen = []
        result = await ramp(caller, exchange, options, count=3, seconds=0.2, show=seen.append)
        assert (result.held, result.reached, result.stopped_by) == (3, 3, None)
        assert [window.calls for window in seen] == [1, 2, 3]
        assert all(window.lost == 0 and window.sent > 0 and window.cpu > 0 for window in seen)
        assert 0 < result.median_setup < 2
        assert len(server.ended) == 3
        assert not exchange.lines


async def test_ramp_stops_at_loss_and_accuses_the_server(autojump_clock, server_maker, options, quick) -> None:
    async with calling(server_maker) as (caller, exchange, server):
        server.lose_from = 2
        result = await ramp(caller, exchange, options, count=2, seconds=0.6, show=lambda window: None)
        assert result.held == 0
        assert result.stopped_by.side == "server or network"
        assert "did not come back" in result.stopped_by.why
        assert len(server.ended) == result.reached


@pytest.mark.parametrize(("cpu", "side"), [(0.9, "this caller"), (0.2, "this caller's machine")])
async def test_ramp_stops_at_a_late_tick_and_accuses_the_caller(
    server_maker, options, monkeypatch, autojump_clock: MockClock, cpu: float, side: str
) -> None:
    """The loop is held up in the window of the second call; a clock of our own makes all other ticks punctual."""
    monkeypatch.setattr("edge.caller.load.time", types.SimpleNamespace(process_time=lambda: cpu * trio.current_time()))
    async with calling(server_maker) as (caller, exchange, server):
        seen = []

        async def hold_up() -> None:
            while not seen or len(exchange.lines) < 2:  # noqa: ASYNC110 - neither tells
                await trio.sleep(0.01)
            before = exchange.lateness
            while exchange.lateness is before:  # noqa: ASYNC110 - the window has not begun
                await trio.sleep(0.01)
            autojump_clock.jump(0.05)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold_up)
            result = await ramp(caller, exchange, options, count=3, seconds=1.0, show=seen.append)
        assert (result.held, result.reached) == (1, 2)
        assert [(window.calls, window.lost) for window in seen] == [(1, 0), (2, 0)]
        assert seen[0].lateness < LATE < seen[1].lateness < 0.1
        assert seen[1].cpu == pytest.approx(cpu)
        assert result.stopped_by.side == side
        assert f"{seen[1].lateness * 1000:.1f} ms late" in result.stopped_by.why
        assert len(server.ended) == 2


async def test_ramp_stops_when_a_call_cannot_be_made(autojump_clock, server_maker, options) -> None:
    async with calling(server_maker) as (caller, exchange, server):

        async def refuse(offer: str) -> Signalled:
            raise CallFailed("the server refused the call: full (HTTP 503, server_overloaded)")

        server.offer = refuse
        result = await ramp(caller, exchange, options, count=2, seconds=0.1, show=lambda window: None)
        assert result.reached == 0
        assert "full (HTTP 503" in result.stopped_by.why
        assert result.median_setup is None


async def test_cancelling_a_ramp_hangs_up(autojump_clock, server_maker, options) -> None:
    async with calling(server_maker) as (caller, exchange, server):
        with trio.move_on_after(0.6):
            await ramp(caller, exchange, options, count=2, seconds=60, show=lambda window: None)
        assert len(server.ended) == len(server.sessions) > 0
        assert not exchange.lines


def test_steps_reach_the_count() -> None:
    assert list(steps(1)) == [1]
    assert list(steps(7)) == [1, 2, 3, 4, 5, 6, 7]
    assert list(steps(500)) == [50, 100, 150, 200, 250, 300, 350, 400, 450, 500]
    assert list(steps(25)) == [3, 6, 9, 12, 15, 18, 21, 24, 25]


def test_routes() -> None:
    assert has_route("127.0.0.1", 9)
    assert not has_route("255.255.255.255", 9)
