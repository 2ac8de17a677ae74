"""Who may have the connection to a backend whose call has moved, and what it costs at most."""

from functools import partial

import attrs
import pytest
import trio
import trio.testing
from wsproto.connection import Connection, ConnectionType

from transceiver.backends.contract import Speech
from transceiver.backends.tunnel import Tunnel, TunnelCloseCode, TunnelEnd
from transceiver.backends.tunnel_ticket import MAX_HOPS, Reading, TunnelTicket
from transceiver.handover.ownership import Owner
from transceiver.handover.tunnels import TunnelRefused, Tunnels
from transceiver.websocket.closing import WebSocketClosed
from transceiver.websocket.connection import WebSocket
from transceiver.websocket.limits import SocketLimits

OWNER = Owner(cluster=3, incarnation=77, worker=2)
SESSION, GENERATION = 1 << 63, 4
TICKET = TunnelTicket(
    cluster=3,
    incarnation=77,
    worker=2,
    session=SESSION,
    generation=GENERATION,
    token=bytes(range(16)),
    ends_in=12.5,
    hops=2,
    input_rate=24000,
    reading=Reading(is_beta=True, speech=Speech("r", "i", 1), half_sample=b"\x07"),
)


def sockets(limits: SocketLimits | None = None, *, lockstep: bool = False) -> tuple[WebSocket, WebSocket]:
    pair = trio.testing.lockstep_stream_pair() if lockstep else trio.testing.memory_stream_pair()
    limits = limits or SocketLimits()
    server = WebSocket(pair[0], Connection(ConnectionType.SERVER), limits)
    return server, WebSocket(pair[1], Connection(ConnectionType.CLIENT), limits)


class Leg:
    """A leg whose connection is held, and becomes a tunnel that nobody passes anything through."""

    input_rate = 24000
    can_be_tunnelled = True

    def __init__(self) -> None:
        self.hops = 0
        self.tunnel_left = float("inf")
        self.reading: Reading | None = Reading()
        self.tunnel: Tunnel | None = None

    async def hold(self) -> Reading | None:
        return self.reading

    def hand_over(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel


@attrs.define
class Call:
    leg: Leg = attrs.field(factory=Leg)
    call_id: str = "rtc_1"
    session_id: int = SESSION
    generation: int = GENERATION - 1


@pytest.fixture
def tunnels():
    tokens = iter([bytes([number] * 16) for number in range(1, 9)])
    reports: list[tuple[str, object]] = []
    made = Tunnels(owner=OWNER, entropy=lambda size: next(tokens), report=lambda *what: reports.append(what))
    made.reports = reports
    return made


# The ticket.


def test_a_ticket_is_read_as_it_was_written():
    assert TunnelTicket.from_fields(TICKET.to_fields()) == TICKET
    plain = attrs.evolve(TICKET, reading=Reading())
    assert TunnelTicket.from_fields(plain.to_fields()) == plain
    assert TICKET.token.hex() not in repr(TICKET)
    assert repr(TICKET.token) not in repr(TICKET)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "00"},
        {"token": "xy" * 16},
        {"token": 7},
        {"session": "1"},
        {"session": -1},
        {"worker": None},
        {"ends_in": 0},
        {"ends_in": float("nan")},
        {"ends_in": float("inf")},
        {"ends_in": "soon"},
        {"hops": 0},
        {"hops": MAX_HOPS + 1},
        {"half_sample": "AAAA"},
        {"half_sample": "*"},
        {"speech": ["r" * 257, "i", 0]},
        {"speech": 3},
    ],
)
def test_anything_else_is_no_ticket(wrong):
    assert TunnelTicket.from_fields(TICKET.to_fields() | wrong) is None


def test_a_ticket_without_a_field_is_none():
    for name in TICKET.to_fields().keys() - {"is_beta", "speech", "half_sample"}:
        assert TunnelTicket.from_fields({k: v for k, v in TICKET.to_fields().items() if k != name}) is None


# Who may have one.


async def test_a_ticket_names_the_new_owner_and_the_time(tunnels, autojump_clock):
    ticket = await tunnels.hold(Call(), trio.current_time() + 20.0)
    assert ticket == TunnelTicket(
        cluster=3, incarnation=77, worker=2, session=SESSION, generation=GENERATION, token=bytes([1] * 16),
        ends_in=19.0, hops=1, input_rate=24000,
    )  # fmt: skip


async def test_when_there_is_none(tunnels, autojump_clock):
    now = trio.current_time()
    assert await tunnels.hold(Call(), now + 4.0) is None, "for so short a time"
    call = Call()
    call.leg.hops = MAX_HOPS
    assert await tunnels.hold(call, now + 20.0) is None
    call = Call()
    call.leg.tunnel_left = 3.0
    assert await tunnels.hold(call, now + 20.0) is None
    call = Call()
    call.leg.reading = None
    assert await tunnels.hold(call, now + 20.0) is None


async def test_only_who_shows_the_ticket_has_it_and_only_once(tunnels, autojump_clock, nursery):
    call = Call()
    until = trio.current_time() + 20.0
    ticket = await tunnels.hold(call, until)
    server, _ = sockets()
    right = (SESSION, GENERATION, ticket.token)

    async def is_refused(session, generation, token) -> bool:
        try:
            await tunnels.serve(session, generation, token, server)
        except TunnelRefused:
            return True
        return False

    assert await is_refused(*right), "before the record has changed hands"
    tunnels.open(call, ticket, until)
    assert await is_refused(SESSION, GENERATION, bytes(16))
    assert await is_refused(SESSION, GENERATION, ticket.token[:15] + b"x")
    assert await is_refused(SESSION, GENERATION, b"")
    assert await is_refused(SESSION, GENERATION - 1, ticket.token)
    assert await is_refused(SESSION, GENERATION + 1, ticket.token)
    assert await is_refused(SESSION + 1, GENERATION, ticket.token)
    assert tunnels.counts["refused"] == 7
    assert len(tunnels) == 1
    nursery.start_soon(tunnels.serve, *right, server)
    await trio.testing.wait_all_tasks_blocked()
    assert tunnels.counts["taken"] == 1
    assert await is_refused(*right), "a second taker"
    call.leg.tunnel.end(TunnelEnd.DEADLINE)
    assert await is_refused(*right), "it is over"
    assert len(tunnels) == 0
    assert not any(ticket.token.hex() in repr(each) or repr(ticket.token) in repr(each) for each in tunnels.reports)


async def test_an_offer_that_was_taken_back_leads_nowhere(tunnels, autojump_clock):
    call, until = Call(), trio.current_time() + 20.0
    first = await tunnels.hold(call, until)
    second = await tunnels.hold(call, until)
    tunnels.open(call, second, until)
    with pytest.raises(TunnelRefused):
        await tunnels.serve(SESSION, GENERATION, first.token, sockets()[0])


async def test_it_is_known_when_all_have_ended(tunnels, autojump_clock):
    call, until = Call(), trio.current_time() + 20.0
    tunnels.open(call, await tunnels.hold(call, until), until)
    with trio.move_on_after(1) as waiting:
        await tunnels.wait_until_ended()
    assert waiting.cancelled_caught
    tunnels.end_all()
    await tunnels.wait_until_ended()
    assert tunnels.counts["ended-stopped"] == 1


# What goes through.


@attrs.define
class Passage:
    """A tunnel with a backend at one end and a taker at the other."""

    tunnel: Tunnel
    backend: WebSocket
    taker: WebSocket
    is_flushed: trio.Event


@pytest.fixture
async def passage(nursery):
    def start(*, has_taker: bool = True, until: float = 60.0, is_tunnel: bool = False, **options) -> Passage:
        ours, backend = sockets(**options)
        server, taker = sockets(**options)
        tunnel = Tunnel(taken_within=5.0, until=trio.current_time() + until)
        is_flushed = trio.Event()
        is_flushed.set()
        nursery.start_soon(partial(tunnel.pass_on, ours, is_flushed, is_tunnel=is_tunnel))
        if has_taker:
            nursery.start_soon(tunnel.serve, server)
        return Passage(tunnel, backend, taker, is_flushed)

    return start


async def closed_with(socket: WebSocket) -> int:
    try:
        while True:
            await socket.receive()
    except WebSocketClosed as closed:
        return closed.code


async def test_texts_go_both_ways_untouched(passage):
    there = passage()
    texts = ["", "no JSON", '{"type": "x", "é": "\\u0000"}', "y" * 100_000]
    for text in texts:
        await there.backend.send(text)
        assert await there.taker.receive() == text
        await there.taker.send(text)
        assert await there.backend.receive() == text


async def test_what_the_old_owner_had_to_send_goes_first(nursery, autojump_clock):
    ours, backend = sockets()
    server, taker = sockets()
    tunnel, is_flushed = Tunnel(taken_within=5.0, until=60.0), trio.Event()
    nursery.start_soon(tunnel.pass_on, ours, is_flushed)
    nursery.start_soon(tunnel.serve, server)
    await taker.send("second")
    await trio.testing.wait_all_tasks_blocked()
    await ours.send("first")
    is_flushed.set()
    assert [await backend.receive(), await backend.receive()] == ["first", "second"]
    tunnel.end(TunnelEnd.STOPPED)


async def test_a_backend_that_says_goodbye_has_said_it_to_the_taker(passage, nursery):
    there = passage()
    nursery.start_soon(there.backend.close)
    assert await closed_with(there.taker) == 1000
    assert there.tunnel.ended is TunnelEnd.HUNG_UP


async def test_a_backend_that_is_lost(passage, nursery):
    there = passage()
    nursery.start_soon(there.backend.close, 1011, "out of memory")
    assert await closed_with(there.taker) == TunnelCloseCode.BACKEND_LOST
    assert there.tunnel.ended is TunnelEnd.BACKEND_LOST


@pytest.mark.parametrize(
    ("code", "is_tunnel", "end", "told"),
    [
        (TunnelCloseCode.CONNECT_ANEW, True, TunnelEnd.BROKEN, TunnelCloseCode.CONNECT_ANEW),
        (1011, True, TunnelEnd.BROKEN, TunnelCloseCode.CONNECT_ANEW),
        (TunnelCloseCode.BACKEND_LOST, True, TunnelEnd.BACKEND_LOST, TunnelCloseCode.BACKEND_LOST),
        # A backend does not say how a tunnel ends.
        (TunnelCloseCode.CONNECT_ANEW, False, TunnelEnd.BACKEND_LOST, TunnelCloseCode.BACKEND_LOST),
    ],
)
async def test_a_tunnel_behind_that_has_ended(passage, nursery, code, is_tunnel, end, told):
    there = passage(is_tunnel=is_tunnel)
    nursery.start_soon(there.backend.close, code)
    assert await closed_with(there.taker) == told
    assert there.tunnel.ended is end


async def test_nobody_comes(passage, autojump_clock):
    there = passage(has_taker=False)
    await trio.sleep(4.9)
    assert there.tunnel.ended is None
    await trio.sleep(0.2)
    assert there.tunnel.ended is TunnelEnd.NOT_TAKEN


async def test_the_time_is_up(passage, autojump_clock):
    there = passage(until=7.0)
    assert await closed_with(there.taker) == TunnelCloseCode.CONNECT_ANEW
    assert there.tunnel.ended is TunnelEnd.DEADLINE
    assert trio.current_time() == pytest.approx(7.0)


async def test_a_taker_that_leaves(passage, nursery):
    there = passage()
    nursery.start_soon(there.taker.close)
    await trio.testing.wait_all_tasks_blocked()
    assert there.tunnel.ended is TunnelEnd.TAKER_LEFT


@pytest.mark.parametrize("is_slow_taker", [True, False])
async def test_who_does_not_read_holds_the_other_back_until_it_is_given_up(
    passage, nursery, autojump_clock, is_slow_taker
):
    """The streams hold nothing: a text is out of a sender's hands when the tunnel has passed it on, but for one."""
    there = passage(limits=SocketLimits(write_timeout=10.0), lockstep=True)
    sender = there.backend if is_slow_taker else there.taker
    sent = 0

    async def send() -> None:
        nonlocal sent
        try:
            while True:
                await sender.send("x" * 1000)
                sent += 1
        except WebSocketClosed:
            pass

    nursery.start_soon(send)
    await trio.sleep(5.0)
    assert sent <= 2
    await trio.sleep(10.0)
    assert there.tunnel.ended is (TunnelEnd.TAKER_LEFT if is_slow_taker else TunnelEnd.BACKEND_LOST)
