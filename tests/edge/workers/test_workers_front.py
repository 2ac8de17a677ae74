"""The front as signal sees it: a transceiver like any other, with workers behind it that it only ever asks."""

from functools import partial

import pytest
import trio
import trio.testing

import edge.workers.life
from edge.control.client import ControlClient, TransceiverUnreachable
from edge.control.server import CONTROL_LIMITS, ControlHandler
from edge.http.server import HttpServer
from edge.tiers.keyring import call_id_keys, control_bearers
from edge.workers.front import Front
from edge.workers.life import SILENCE
from edge.workers.messages import Figures, Started
from edge.workers.place import Place
from stun.credentials import Route
from transceiver.backends.contract import BackendUnavailable
from transceiver.calls import (
    AnswerIngress,
    CallMoved,
    CallNotFound,
    CallWishes,
    IceUpdate,
    ModelNotAllowed,
    NotOwner,
    OfferRefused,
    Overloaded,
    SocketClosed,
    WorkerUnreachable,
)
from transceiver.realtime.passthrough import ClientTooSlow
from transceiver.round_trips import LossSample, RoundTripSample
from transceiver.websocket.closing import WebSocketClosed

KEY = "5f" * 32
CLUSTER, INCARNATION = 3, 77
INGRESSES = (AnswerIngress(id=1, host="192.0.2.1", port=3478, priority=200),)


class EchoingConversations:
    """Says who it is and gives back what it hears, until told otherwise."""

    def __init__(self, number: int, calls) -> None:
        self.number = number
        self.calls = calls
        self.wishes: list[CallWishes] = []
        self.refusal: Exception | None = None
        self.failure: Exception | None = None
        self.hang_up = trio.Event()
        self.here = 0

    async def serve_sideband(self, call_id, owner, socket) -> None:
        if call_id not in self.calls.calls:
            raise CallNotFound(call_id)
        if owner is not None and owner != self.calls.calls[call_id][1]:
            raise NotOwner(call_id)
        await self._serve(socket)

    async def serve_realtime(self, wishes, socket) -> None:
        self.wishes.append(wishes)
        await self._serve(socket)

    async def _serve(self, socket) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.here += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._echo, socket, nursery.cancel_scope)
                await self.hang_up.wait()
                nursery.cancel_scope.cancel()
        finally:
            self.here -= 1
        if self.failure is not None:
            raise self.failure

    async def _echo(self, socket, scope) -> None:
        try:
            await socket.send(str(self.number))
            while True:
                await socket.send(await socket.receive())
        except SocketClosed:
            scope.cancel()


class Bench:
    """A front, its workers on a network of memory, and signal's client of it."""

    def __init__(self, nursery, launch, network, bundle, make_calls, make_start, report, workers: int) -> None:
        self.keys = call_id_keys(bundle)
        self.launch = launch
        self.network = network
        self.calls = [make_calls(mint=partial(self._mint, number)) for number in range(workers)]
        self.conversations = [EchoingConversations(number, calls) for number, calls in enumerate(self.calls)]
        for number in range(workers):
            handler = ControlHandler(
                self.calls[number], control_bearers(bundle), conversations=self.conversations[number]
            )
            network.servers[f"10.1.0.{number}"] = HttpServer(handler, limits=CONTROL_LIMITS)
        self.places = [Place(make_start(number, workers), report, launch) for number in range(workers)]
        self.front = Front(self.places, call_id_keys=self.keys, cluster=CLUSTER, incarnation=INCARNATION)
        network.servers["front"] = HttpServer(
            ControlHandler(self.front, [KEY], conversations=self.front), limits=CONTROL_LIMITS
        )
        self.client = ControlClient("http://front:7080", KEY, connect=network.connect)
        for place in self.places:
            nursery.start_soon(place.run)

    def _mint(self, number: int, session: int) -> str:
        return self.keys.mint(
            Route(cluster=CLUSTER, incarnation=INCARNATION, worker=number, session=session, minted=1_800_000_000)
        )

    async def started(self) -> "Bench":
        await trio.testing.wait_all_tasks_blocked()
        # Workers are born in any order; the first order says which is which.
        self.workers = {(await worker.hear()).number: worker for worker in self.launch.born}
        for number in self.workers:
            await self.start(number)
        return self

    async def start(self, number: int, **figures: object) -> None:
        await self.workers[number].say(Started(hop=("10.0.0.3", 7001 + number), control=(f"10.1.0.{number}", 80)))
        await self.say(number, **figures)

    async def say(self, number: int, **figures: object) -> None:
        """Let a worker tell how it goes."""
        facts: dict[str, object] = {"max_calls": 10, "relays": 2, "reason": "", "calls": len(self.calls[number].calls)}
        facts["counts"] = {"created": len(self.calls[number].wishes)}
        await self.workers[number].say(Figures(**(facts | figures)))

    async def call(self, owner: str = "me", **wishes: object):
        return await self.client.create_call("v=0", INGRESSES, owner, CallWishes(**wishes))

    def worker_of(self, call_id: str) -> int:
        route = self.keys.open(call_id)
        assert route is not None
        return route.worker

    @property
    def spread(self) -> list[int]:
        return [len(calls.calls) for calls in self.calls]


@pytest.fixture
async def make_bench(nursery, launch, network, bundle, make_calls, make_start, report, monkeypatch):
    monkeypatch.setattr(edge.workers.life, "ControlClient", partial(ControlClient, connect=network.connect))

    async def make(workers: int = 3) -> Bench:
        return await Bench(nursery, launch, network, bundle, make_calls, make_start, report, workers).started()

    return make


@pytest.fixture
async def bench(make_bench) -> Bench:
    return await make_bench()


# Calls


async def test_calls_are_spread_before_any_worker_has_told_of_them(bench) -> None:
    ids = [(await bench.call()).call_id for _ in range(6)]
    assert bench.spread == [2, 2, 2]
    assert sorted(map(bench.worker_of, ids)) == [0, 0, 1, 1, 2, 2]
    assert bench.front.status()["calls"] == 6
    for number in range(3):
        await bench.say(number)
    assert bench.front.status()["calls"] == 6, "and not counted twice when they have"


async def test_a_call_goes_to_the_worker_with_the_smallest_share(bench) -> None:
    await bench.say(0, calls=5, max_calls=10)
    await bench.say(1, calls=7, max_calls=20)
    await bench.say(2, calls=9, max_calls=10)
    assert bench.worker_of((await bench.call()).call_id) == 1


async def test_calls_under_way_count_too(nursery, bench) -> None:
    for calls in bench.calls:
        calls.is_slow = True
    for _ in range(6):
        nursery.start_soon(bench.call)
    await trio.testing.wait_all_tasks_blocked()
    assert [place.life.under_way for place in bench.places] == [2, 2, 2]
    nursery.cancel_scope.cancel()


async def test_what_signal_asks_arrives_at_the_worker(bench) -> None:
    created = await bench.call(model="m", session={"voice": "a"}, max_call=60.0, is_locked=True)
    (calls,) = [calls for calls in bench.calls if calls.calls]
    assert calls.calls[created.call_id] == ("v=0", "me", INGRESSES)
    assert calls.wishes == [CallWishes(model="m", session={"voice": "a"}, max_call=60.0, is_locked=True)]
    assert created.answer.startswith("v=0")


async def test_a_call_is_described_and_ended_where_it_is(bench) -> None:
    ids = [(await bench.call(owner)).call_id for owner in ("me", "you", "me")]
    for call_id, owner in zip(ids, ("me", "you", "me"), strict=True):
        assert (await bench.client.describe_call(call_id, owner))["call"] == call_id
        assert (await bench.client.describe_call(call_id, None))["owner"] == owner
    with pytest.raises(NotOwner):
        await bench.client.describe_call(ids[0], "you")
    with pytest.raises(NotOwner):
        await bench.client.end_call(ids[0], "you")
    await bench.client.end_call(ids[0], "me")
    with pytest.raises(CallNotFound):
        await bench.client.end_call(ids[0], "me")
    assert sum(bench.spread) == 2


@pytest.mark.parametrize(
    "route",
    [
        {"cluster": 4},
        {"incarnation": 78},
        {"worker": 3},
        {"worker": 255},
        {"session": 99},
    ],
)
async def test_a_call_that_is_not_here_is_not_found(bench, route) -> None:
    fields = {"cluster": CLUSTER, "incarnation": INCARNATION, "worker": 1, "session": 1, "minted": 1_800_000_000}
    await bench.call()
    foreign = bench.keys.mint(Route(**(fields | route)))
    if "session" not in route:
        bench.network.servers = {"front": bench.network.servers["front"]}  # nobody needs to be asked
        for place in bench.places:
            await place.life.client.aclose()
    for call_id in (foreign, "rtc_nonsense", ""):
        with pytest.raises(CallNotFound):
            await bench.front.describe_call(call_id)
        with pytest.raises(CallNotFound):
            await bench.front.end_call(call_id, None)
        with pytest.raises(CallNotFound):
            await bench.front.serve_sideband(call_id, None, None)


@pytest.mark.parametrize("made_by", [{}, {"incarnation": 99}, {"worker": 9}])
async def test_a_call_that_a_worker_has_taken_over_is_found(bench, made_by) -> None:
    """Its id names a sibling, or another transceiver altogether."""
    fields = {"cluster": CLUSTER, "incarnation": INCARNATION, "worker": 0, "session": 7, "minted": 1_800_000_000}
    call_id = bench.keys.mint(Route(**(fields | made_by)))
    bench.calls[0].moved[call_id] = CallMoved(CLUSTER, INCARNATION)
    bench.calls[2].calls[call_id] = ("", "me", INGRESSES)
    assert (await bench.client.describe_call(call_id, "me"))["call"] == call_id
    updated = await bench.client.update_call(call_id, "me", IceUpdate(fragment="a=x\r\n", tag="t", ingresses=INGRESSES))
    assert updated.tag == "t1"
    assert bench.calls[2].updates == [IceUpdate(fragment="a=x\r\n", tag="t", ingresses=INGRESSES)]
    await bench.client.end_call(call_id, "me")
    assert not bench.calls[2].calls


async def test_a_call_that_has_left_for_another_transceiver(bench) -> None:
    call_id = (await bench.call()).call_id
    bench.calls[bench.worker_of(call_id)].moved[call_id] = CallMoved(CLUSTER, 99)
    with pytest.raises(CallMoved) as caught:
        await bench.client.describe_call(call_id, "me")
    assert caught.value.incarnation == 99


async def test_a_worker_that_is_full_passes_a_call_on(bench) -> None:
    bench.calls[0].failure = Overloaded(7.0)
    for _ in range(4):
        await bench.call()
    assert bench.spread == [0, 2, 2]
    for calls in bench.calls:
        calls.failure = Overloaded(7.0)
    with pytest.raises(Overloaded) as caught:
        await bench.call()
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("refusal", [OfferRefused("no audio"), ModelNotAllowed("m")])
async def test_what_every_worker_would_refuse_is_asked_once(bench, refusal) -> None:
    for calls in bench.calls[1:]:
        calls.failure = AssertionError("asked another")
    bench.calls[0].failure = refusal
    with pytest.raises(type(refusal)):
        await bench.call(model="m")


async def test_a_worker_that_cannot_be_reached_passes_a_call_on(bench) -> None:
    del bench.network.servers["10.1.0.0"]
    for _ in range(4):
        await bench.call()
    assert bench.spread == [0, 2, 2]
    bench.network.servers = {"front": bench.network.servers["front"]}
    for place in bench.places:
        await place.life.client.aclose()  # the connections that it had
    with pytest.raises(Overloaded):
        await bench.call()


async def test_a_worker_that_hangs_is_told_from_a_call_that_is_gone(bench) -> None:
    call_id = (await bench.call()).call_id
    del bench.network.servers[f"10.1.0.{bench.worker_of(call_id)}"]
    await bench.places[bench.worker_of(call_id)].life.client.aclose()
    for ask in (bench.front.describe_call(call_id), bench.front.end_call(call_id, None)):
        with pytest.raises(WorkerUnreachable, match="nobody listens there"):
            await ask
    for ask in (bench.client.describe_call(call_id, None), bench.client.end_call(call_id, None)):
        with pytest.raises(TransceiverUnreachable, match="503 worker_unreachable"):
            await ask
    with pytest.raises(TransceiverUnreachable, match="503 worker_unreachable"):
        async with bench.client.open_sideband(call_id, None):
            pass


# Workers that come and go


async def test_a_dead_worker_takes_its_calls_with_it_and_no_others(bench) -> None:
    ids = {bench.worker_of(call_id): call_id for call_id in [(await bench.call()).call_id for _ in range(3)]}
    await bench.workers[1].die()
    with pytest.raises(CallNotFound):
        await bench.client.describe_call(ids[1], "me")
    assert (await bench.client.describe_call(ids[0], "me"))["call"] == ids[0]
    assert (await bench.client.describe_call(ids[2], "me"))["call"] == ids[2]
    status = bench.front.status()
    assert (status["calls"], status["max_calls"], status["ready"]) == (2, 20, True)
    assert status["reason"] == "worker 1: it has died and is being replaced"
    assert status["counts"]["ended-worker-died"] == 1
    for _ in range(4):
        await bench.call()
    assert bench.spread == [3, 1, 3], "the dead one's is the one that it had"


async def test_a_worker_that_was_replaced_takes_calls_again(autojump_clock, bench) -> None:
    await bench.workers[1].die()
    bench.workers[1] = await bench.launch.next()
    bench.calls[1].calls.clear()
    bench.calls[1].wishes.clear()
    assert (await bench.workers[1].hear()).number == 1
    await bench.start(1)
    for _ in range(6):
        await bench.call()
    assert bench.spread == [2, 2, 2]


async def test_workers_that_are_not_ready_get_no_calls(bench) -> None:
    await bench.say(0, reason="no relay has said hello yet")
    await bench.say(2, reason="no relay has said hello yet")
    for _ in range(3):
        await bench.call()
    assert bench.spread == [0, 3, 0]
    assert bench.front.not_ready_reason() == ""
    await bench.say(1, reason="no relay has said hello yet")
    with pytest.raises(Overloaded):
        await bench.call()
    assert bench.front.not_ready_reason() == "no relay has said hello yet", "once for all"
    assert bench.front.status()["ready"] is False
    await bench.workers[1].die()
    assert bench.front.not_ready_reason() == (
        "worker 0: no relay has said hello yet; worker 1: it has died and is being replaced; "
        "worker 2: no relay has said hello yet"
    )


async def test_it_has_joined_the_fleet_when_each_of_its_workers_has(bench):
    assert bench.front.not_joined_reason() == ""
    await bench.say(1, not_joined="no store yet")
    assert bench.front.not_joined_reason() == "worker 1: no store yet"
    assert await bench.call(), "that keeps nobody from calling"


async def test_a_silent_worker_gets_no_calls(autojump_clock, bench) -> None:
    for _ in range(5):
        await trio.sleep(SILENCE / 4)
        await bench.say(0)
    for _ in range(3):
        await bench.call()
    assert bench.spread == [3, 0, 0]


async def test_one_that_leaves_a_command_unanswered_gets_no_calls_until_it_speaks(autojump_clock, bench) -> None:
    """Only the first caller waits for it."""
    server = bench.network.servers.pop("10.1.0.0")
    await bench.places[0].life.client.aclose()
    asked = trio.current_time()
    for _ in range(2):
        assert bench.worker_of((await bench.call()).call_id) != 0
    await bench.say(1)
    assert bench.front.status()["each_worker"][0]["reason"] == "it has left a command unanswered"
    bench.network.servers["10.1.0.0"] = server
    await bench.say(0)
    assert trio.current_time() - asked < SILENCE
    assert bench.worker_of((await bench.call()).call_id) == 0


async def test_a_draining_front_takes_no_calls(bench) -> None:
    call_id = (await bench.call()).call_id
    bench.front.start_draining()
    with pytest.raises(Overloaded):
        await bench.call()
    with pytest.raises(Overloaded):
        async with bench.client.open_realtime(CallWishes()):
            pass
    assert bench.front.not_ready_reason() == "draining"
    assert await bench.client.describe_call(call_id, "me"), "those that are, stay"


async def test_the_status_adds_up(bench) -> None:
    await bench.say(0, calls=2, calls_by_owner={"a": 1, "b": 1}, counts={"created": 5}, lateness={1: 1000}, relays=1)
    await bench.say(1, calls=3, calls_by_owner={"a": 3}, counts={"created": 7, "established": 3}, lateness={19: 1000})
    await bench.say(2, drops={"worker.not-a-relay": 2, "hop.replayed": 1})
    bench.places[0].ended.add(Figures(drops={"hop.replayed": 4}, counts={"created": 1}), lost=0)
    status = await bench.client.status()
    assert (status.cluster, status.incarnation) == (CLUSTER, INCARNATION)
    assert (status.calls, status.max_calls, status.is_ready, status.reason) == (5, 30, True, "")
    assert status.calls_by_owner == {"a": 4, "b": 1}
    fields = bench.front.status()
    assert (fields["workers"], fields["relays"]) == (3, 2)
    assert fields["tick_lateness_p999_ms"] == 5.0, "the worst worker's; the sum would hide it behind the others"
    assert fields["counts"] == {"created": 13, "established": 3}
    assert bench.front.all_drops() == {"worker.not-a-relay": 2, "hop.replayed": 5}, "those of the dead included"
    assert sum(bench.front.lateness.counts) == 2000
    assert [each["calls"] for each in fields["each_worker"]] == [2, 3, 0]


async def test_round_trips_of_all_workers_are_told_as_one_transceivers(bench) -> None:
    await bench.say(0, round_trips=[RoundTripSample(1, "n", 1, 20.0)])
    await bench.say(1, round_trips=[RoundTripSample(1, "m", 2, 30.0)])
    assert [each.number for each in (await bench.client.status()).round_trips] == [1, 2]
    await bench.say(1, round_trips=[RoundTripSample(1, "m", 2, 30.0), RoundTripSample(2, "m", 2, 40.0)])
    told = (await bench.client.status()).round_trips
    assert [(each.number, each.milliseconds) for each in told] == [(1, 20), (2, 30), (3, 40)]


async def test_losses_of_all_workers_are_told_as_one_transceivers(bench) -> None:
    await bench.say(0, losses=[LossSample(1, "n", 1, 0.05)])
    await bench.say(1, losses=[LossSample(1, "m", 2, 0.0)])
    assert [each.to_list() for each in (await bench.client.status()).losses] == [[1, "n", 1, 0.05], [2, "m", 2, 0.0]]


async def test_an_owners_calls_are_counted_at_once(bench) -> None:
    for owner in ("a", "b", "a", "a"):
        await bench.call(owner)
    assert (await bench.client.status()).calls_by_owner == {"a": 3, "b": 1}


# Sockets


async def test_a_sideband_reaches_the_worker_of_its_call(bench) -> None:
    for _ in range(3):
        call_id = (await bench.call()).call_id
        number = bench.worker_of(call_id)
        async with bench.client.open_sideband(call_id, "me") as socket:
            assert await socket.receive() == str(number)
            await socket.send("hello")
            assert await socket.receive() == "hello"
            assert bench.conversations[number].here == 1
        await trio.testing.wait_all_tasks_blocked()
        assert bench.conversations[number].here == 0, "its client has left"
    with pytest.raises(NotOwner):
        async with bench.client.open_sideband(call_id, "you"):
            pass
    bench.conversations[number].refusal = Overloaded(2.0)
    with pytest.raises(Overloaded):
        async with bench.client.open_sideband(call_id, "me"):
            pass


@pytest.mark.parametrize(
    ("failure", "code", "reason"),
    [
        (None, 1000, ""),
        (BackendUnavailable("gone"), 1011, "backend_disconnected"),
        (ClientTooSlow("slow"), 1008, "client_too_slow"),
    ],
)
async def test_how_a_worker_ends_a_socket_is_how_the_front_does(bench, failure, code, reason) -> None:
    async with bench.client.open_realtime(CallWishes(model="m")) as socket:
        number = int(await socket.receive())
        assert bench.conversations[number].wishes == [CallWishes(model="m")]
        bench.conversations[number].failure = failure
        bench.conversations[number].hang_up.set()
        with pytest.raises(WebSocketClosed) as caught:
            await socket.receive()
    assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_a_worker_that_vanishes_under_a_socket(bench) -> None:
    async with bench.client.open_realtime(CallWishes()) as socket:
        number = int(await socket.receive())
        for connection in bench.network.servers[f"10.1.0.{number}"]._connections:
            await connection._stream.aclose()
        with pytest.raises(WebSocketClosed) as caught:
            await socket.receive()
    assert caught.value.code == 1011


async def test_sockets_are_spread_as_calls_are(bench) -> None:
    async with (
        bench.client.open_realtime(CallWishes()) as one,
        bench.client.open_realtime(CallWishes()) as two,
        bench.client.open_realtime(CallWishes()) as three,
    ):
        assert sorted([await socket.receive() for socket in (one, two, three)]) == ["0", "1", "2"]
    await trio.testing.wait_all_tasks_blocked()
    assert [place.life.sockets for place in bench.places] == [0, 0, 0]
    bench.conversations[0].refusal = Overloaded(2.0)
    async with bench.client.open_realtime(CallWishes()) as socket:
        assert await socket.receive() == "1"
    bench.conversations[1].refusal = ModelNotAllowed("m")
    with pytest.raises(ModelNotAllowed):
        async with bench.client.open_realtime(CallWishes(model="m")) as socket:
            pass
