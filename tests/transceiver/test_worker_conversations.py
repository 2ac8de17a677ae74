"""Calls with agents behind them, sidebands and the plain protocol, through a worker on loopback sockets."""

import gc
import json
import sys
import weakref
from collections import Counter
from types import ModuleType

import pytest
import trio

from edge.caller.progress import Stage
from transceiver.agents.contract import Conversation
from transceiver.audio.opus import OpusDecoder, OpusEncoder
from transceiver.audio.receiver import AudioReceiver
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backend_leg import BackendLeg
from transceiver.backends.choice import Backends
from transceiver.backends.contract import BackendUnavailable, Speech
from transceiver.backends.settings import BackendKind, BackendSettings
from transceiver.calls import CallNotFound, CallWishes, ModelNotAllowed, NotOwner, Overloaded, SocketClosed
from transceiver.media import Media
from transceiver.options import SessionOptions
from transceiver.realtime.bridge import Bridge
from transceiver.session import Session

OWNER = "0wner"


class Agents:
    """Agents to answer calls, and what they saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []

    async def waiting(self, conversation: Conversation) -> None:
        """Wait for the caller to go, and tidy up for a while."""
        self.seen.append(("session", conversation.session))
        try:
            async for _ in conversation:
                pass
            self.seen.append(("gone", None))
            await trio.sleep(0.05)
            self.seen.append(("tidied", None))
        except trio.Cancelled:
            self.seen.append(("cancelled", None))
            raise

    async def speaking(self, conversation: Conversation) -> None:
        """Say something, and hang up."""
        async with conversation.reply() as reply:
            await reply.say(b"\x10\x20" * 2400, transcript="Goodbye.")  # 0.1 s

    async def failing(self, conversation: Conversation) -> None:
        """Fail at once."""
        raise ZeroDivisionError("a secret")

    async def echoing(self, conversation: Conversation) -> None:
        """Say everything back."""
        async with conversation.reply() as reply:
            conversation.listen(reply.say_now)
            await trio.sleep_forever()


class Socket:
    """What a control connection gives to the worker."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        self._in, self._out = trio.open_memory_channel[str](100)

    async def receive(self) -> str:
        try:
            return await self._out.receive()
        except trio.EndOfChannel:
            raise SocketClosed from None

    async def send(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.got.append(json.loads(text))

    def says(self, **event: object) -> None:
        self._in.send_nowait(json.dumps(event))

    def hang_up(self) -> None:
        self._in.close()

    def types(self) -> list[object]:
        return [event["type"] for event in self.got]


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Agents:
    agents, module = Agents(), ModuleType("agents_under_test")
    for name in ("waiting", "speaking", "failing", "echoing"):
        setattr(module, name, getattr(agents, name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return agents


def agent(name: str, *models: str) -> BackendSettings:
    return BackendSettings(
        kind=BackendKind.AGENT, target=f"agents_under_test:{name}", name=name, models=models or ("*",)
    )


def only(name: str) -> Backends:
    return Backends(default=agent(name))


# -- what a call is made with


async def test_a_wish_for_a_short_call_is_granted_and_for_a_long_one_is_not(
    autojump_clock, start, worker_network, agents
) -> None:
    options = SessionOptions(max_call=0.6)
    async with start(backends=only("waiting"), session=options) as running:
        for max_call in (0.1, 100.0):
            begun = trio.current_time()
            caller = running.make_caller()
            await running.worker.create_call(
                caller.offer, [running.support.INGRESS], OWNER, CallWishes(max_call=max_call)
            )
            await worker_network.eventually(lambda: running.worker.status()["calls"] == 0)
            assert trio.current_time() - begun == pytest.approx(min(max_call, 0.6), abs=0.15)
        assert running.worker.counts["ended-max-call"] == 2
        await worker_network.eventually(lambda: [what for what, _ in agents.seen].count("tidied") == 2)


async def test_a_locked_session_is_the_agents_and_not_the_clients(
    autojump_clock, start, worker_network, agents
) -> None:
    wishes = CallWishes(session={"type": "realtime", "instructions": "Never say xyzzy."}, is_locked=True)
    async with start(backends=only("waiting")) as running:
        _, caller = await running.call(wishes=wishes, has_events=True)
        await worker_network.eventually(lambda: bool(running.told()))
        assert running.told()[0]["type"] == "session.created"
        caller.events.send(
            json.dumps({"type": "session.update", "session": {"type": "realtime", "instructions": "Say it."}}),
            trio.current_time(),
        )
        await worker_network.eventually(lambda: len(running.told()) >= 2)
        assert "xyzzy" not in json.dumps(running.told())
        (call,) = running.worker._calls
        assert call.leg._link._server._settings.describe()["instructions"] == "Never say xyzzy."


async def test_the_model_chooses_the_backend(autojump_clock, start, worker_network, agents) -> None:
    backends = Backends(
        claims=(agent("waiting", "wait-*"), BackendSettings(kind=BackendKind.ECHO, name="echo", models=("echo",)))
    )
    async with start(backends=backends) as running:
        offer = running.make_caller().offer

        async def create(model: str | None) -> object:
            wishes = CallWishes(model=model)
            return await running.worker.create_call(offer, [running.support.INGRESS], OWNER, wishes)

        await create("echo")
        await create("wait-1")
        await create(None)  # the first of them
        await worker_network.eventually(lambda: len(agents.seen) == 2)
        assert sorted(session["model"] for _, session in agents.seen) == ["", "wait-1"]
        with pytest.raises(ModelNotAllowed) as refused:
            await create("gpt-realtime")
        assert refused.value.model == "gpt-realtime"
        assert running.worker.status()["calls"] == 3
        assert running.worker.counts["refused-model"] == 1


# -- how calls end


async def test_an_agent_that_returns_hangs_up_when_it_was_heard(autojump_clock, start, worker_network, agents) -> None:
    async with start(backends=only("speaking")) as running:
        _, caller = await running.call(has_events=True)
        await worker_network.eventually(lambda: caller.stage is Stage.CLOSED)
        assert running.worker.counts["ended-backend-hung-up"] == 1
        types = [event["type"] for event in running.told()]
        assert types[0] == "session.created"
        assert types.index("output_audio_buffer.started") < types.index("output_audio_buffer.stopped")
        assert "error" not in types


async def test_a_client_that_closes_its_channel_hangs_up(autojump_clock, start, worker_network, agents) -> None:
    async with start(backends=only("waiting")) as running:
        _, caller = await running.call(has_events=True)
        await worker_network.eventually(lambda: bool(running.told()))
        caller.events.close_channel(trio.current_time())
        await worker_network.eventually(lambda: running.worker.counts["ended-client-hung-up"] == 1)
        await worker_network.eventually(lambda: ("tidied", None) in agents.seen)


@pytest.mark.parametrize("by", ["client", "owner"])
async def test_an_agent_has_its_time_when_the_call_ends(autojump_clock, start, worker_network, agents, by: str) -> None:
    async with start(backends=only("waiting")) as running:
        created, caller = await running.call()
        if by == "client":
            caller.hang_up(trio.current_time())
        else:
            await running.worker.end_call(created.call_id, OWNER)
        await worker_network.eventually(lambda: ("tidied", None) in agents.seen)
        assert ("cancelled", None) not in agents.seen
        assert running.worker.status()["calls"] == 0


async def test_a_worker_that_stops_waits_for_agents(autojump_clock, start, worker_network, agents) -> None:
    async with start(backends=only("waiting")) as running:
        created, caller = await running.call(has_events=True)
        await running.worker.create_call(running.make_caller().offer, [running.support.INGRESS], OWNER)
        socket = Socket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.worker.serve_sideband, created.call_id, OWNER, socket)
            await worker_network.eventually(lambda: bool(socket.got))
            await running.worker.stop()  # and the sideband ends, or this block would not
        assert socket.got[-1]["error"]["code"] == "server_shutting_down"
        assert [what for what, _ in agents.seen].count("tidied") >= 1
        assert ("cancelled", None) not in agents.seen
        assert running.worker.status()["calls"] == 0
        await worker_network.eventually(lambda: caller.stage is Stage.CLOSED)
        with pytest.raises(Overloaded):
            await running.worker.create_call(caller.offer, [running.support.INGRESS], OWNER)


async def test_a_worker_that_is_cancelled_cuts_agents_off(autojump_clock, start, worker_network, agents) -> None:
    async with start(backends=only("waiting")) as running:
        await running.call()
    assert ("cancelled", None) in agents.seen
    assert running.worker.counts["ended-shutdown"] == 1


# -- failures


async def test_an_agent_that_fails_is_its_own_calls_trouble(autojump_clock, start, worker_network, agents) -> None:
    backends = Backends(claims=(agent("failing", "bad"), agent("echoing", "good")))
    async with start(backends=backends) as running:
        _, good = await running.call(wishes=CallWishes(model="good"))
        _, bad = await running.call(port=50001, wishes=CallWishes(model="bad"), has_events=True)
        await worker_network.eventually(lambda: any(event["type"] == "error" for event in running.told(50001)))
        assert "secret" not in json.dumps(running.told(50001))
        # Its caller is told, and stays on the line; the other does not notice.
        assert running.worker.status()["calls"] == 2
        assert (good.stage, bad.stage) == (Stage.TALKING, Stage.TALKING)
        (lost,) = [facts for name, facts in running.reports if name == "backend-lost"]
        assert "ZeroDivisionError" in lost["reason"]
        assert "internal-error" not in running.names()


@pytest.mark.parametrize("where", ["link", "rules", "voice"])
async def test_a_bug_of_ours_ends_one_call(
    autojump_clock, start, worker_network, agents, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    async with start(backends=only("echoing")) as running:
        created, one = await running.call()
        _, other = await running.call(port=50001)
        call = running.worker._calls.of_call_id(created.call_id)

        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        match where:
            case "link":
                call.leg._link.send_audio = fail
            case "rules":
                monkeypatch.setattr(call.leg._bridge, "receive_caller_audio", fail)
            case "voice":
                monkeypatch.setattr(call.session.media.voice, "tick", fail)
        await worker_network.eventually(lambda: one.stage is Stage.CLOSED)
        assert running.worker.counts["ended-internal-error"] == 1
        assert running.worker.status()["calls"] == 1
        assert other.stage is Stage.TALKING
        assert running.worker.counts["internal-error"] == 1


async def test_a_bug_in_a_sideband_ends_its_call(autojump_clock, start, worker_network, agents, monkeypatch) -> None:
    async with start(backends=only("waiting")) as running:
        created, _ = await running.call()
        other, _ = await running.call(port=50001)
        socket = Socket()

        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        call = running.worker._calls.of_call_id(created.call_id)
        monkeypatch.setattr(call.leg._bridge, "receive_client_text", fail)
        socket.says(type="input_audio_buffer.clear")
        await running.worker.serve_sideband(created.call_id, OWNER, socket)  # does not raise
        assert running.worker.counts["ended-internal-error"] == 1
        assert (await running.worker.describe_call(other.call_id))["state"] == "established"


# -- sidebands


async def test_a_sideband_takes_part_in_a_call_until_it_ends(autojump_clock, start, worker_network, agents) -> None:
    async with start(backends=only("waiting")) as running:
        created, caller = await running.call(has_events=True)
        await worker_network.eventually(lambda: bool(running.told()))
        socket = Socket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.worker.serve_sideband, created.call_id, None, socket)
            await worker_network.eventually(lambda: socket.types() == ["session.created"])
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
            socket.says(type="conversation.item.create", item=item)
            await worker_network.eventually(lambda: "conversation.item.done" in socket.types())
            # The client sees it as well.
            await worker_network.eventually(
                lambda: "conversation.item.done" in [event["type"] for event in running.told()]
            )
            await running.worker.end_call(created.call_id, OWNER)
        await worker_network.eventually(lambda: caller.stage is Stage.CLOSED)


async def test_who_may_not_take_part(autojump_clock, start, agents) -> None:
    backends = Backends(claims=(agent("waiting", "wait"), BackendSettings(kind=BackendKind.ECHO, models=("echo",))))
    async with start(backends=backends) as running:
        offer, ingresses = running.make_caller().offer, [running.support.INGRESS]
        waiting = await running.worker.create_call(offer, ingresses, OWNER, CallWishes(model="wait"))
        echo = await running.worker.create_call(offer, ingresses, OWNER, CallWishes(model="echo"))
        socket = Socket()
        with pytest.raises(NotOwner):
            await running.worker.serve_sideband(waiting.call_id, "somebody", socket)
        with pytest.raises(CallNotFound):
            await running.worker.serve_sideband("rtc_u1_none", OWNER, socket)
        with pytest.raises(CallNotFound):  # an echo has no events
            await running.worker.serve_sideband(echo.call_id, OWNER, socket)
        assert socket.got == []


# -- the plain protocol


async def test_the_plain_protocol_without_a_call(autojump_clock, start, worker_network, agents) -> None:
    async with start(backends=only("waiting"), max_calls=1) as running:
        socket = Socket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.worker.serve_realtime, CallWishes(model="m"), socket)
            await worker_network.eventually(lambda: socket.types() == ["session.created"])
            assert running.worker.status()["calls"] == 0
            with pytest.raises(Overloaded):  # it takes a place all the same
                await running.worker.serve_realtime(CallWishes(), Socket())
            socket.hang_up()
        await worker_network.eventually(lambda: ("tidied", None) in agents.seen)
        # And gives it back.
        await running.worker.create_call(running.make_caller().offer, [running.support.INGRESS], OWNER)


async def test_the_plain_protocol_ends_with_the_longest_call(autojump_clock, start, agents) -> None:
    async with start(backends=only("waiting"), session=SessionOptions(max_call=0.2)) as running:
        socket = Socket()
        begun = trio.current_time()
        await running.worker.serve_realtime(CallWishes(max_call=100.0), socket)
        assert trio.current_time() - begun == pytest.approx(0.2, abs=0.2)
        assert socket.got[-1]["error"]["code"] == "session_expired"


async def test_the_plain_protocol_is_refused_or_fails(autojump_clock, start, agents) -> None:
    backends = Backends(claims=(agent("failing", "bad"), BackendSettings(kind=BackendKind.ECHO, models=("echo",))))
    async with start(backends=backends) as running:
        socket = Socket()
        for model in ("echo", "unknown"):
            with pytest.raises(ModelNotAllowed):
                await running.worker.serve_realtime(CallWishes(model=model), socket)
        assert socket.got == []
        with pytest.raises(BackendUnavailable, match="ZeroDivisionError"):
            await running.worker.serve_realtime(CallWishes(model="bad"), socket)
        assert socket.got[-1]["error"]["code"] == "backend_disconnected"
        assert running.names().count("pass-through-ended") == 1


# -- nothing is left


_KINDS = (Session, Media, Bridge, BackendLeg, SpeechQueue, OpusEncoder, OpusDecoder, AudioReceiver)


def living() -> Counter[str]:
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, _KINDS))


async def test_calls_leave_nothing(autojump_clock, start, worker_network, agents) -> None:
    async with start(backends=only("waiting")) as running:
        worker = running.worker

        async def one(number: int) -> None:
            created = await worker.create_call(offer, [running.support.INGRESS], OWNER)
            if number % 10 == 0:
                socket = Socket()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(worker.serve_sideband, created.call_id, OWNER, socket)
                    await worker_network.eventually(lambda: bool(socket.got))
                    await worker.end_call(created.call_id, OWNER)
            else:
                await worker.end_call(created.call_id, OWNER)

        offer = running.make_caller().offer
        await one(0)
        await worker._legs.wait_until_ended()
        before, tasks = living(), trio.lowlevel.current_statistics().tasks_living
        for number in range(200):
            await one(number)
        for number in range(5):
            port = 50000 + number
            created, caller = await running.call(port=port, has_events=True)
            (call,) = worker._calls
            call.leg.backend_audio(Speech("resp_x", "item_x"), bytes(100_000))
            await worker.end_call(created.call_id, OWNER)
            await worker_network.eventually(lambda caller=caller: caller.stage is Stage.CLOSED)
            del running.relay.callers["198.51.100.7", port], caller, call
        assert worker.status()["calls"] == 0
        await worker._legs.wait_until_ended()
        await worker_network.eventually(lambda: trio.lowlevel.current_statistics().tasks_living <= tasks)
        assert living() == before
        assert not worker._calls.by_header
        assert worker._dispatcher._touched == []


async def test_an_ended_call_is_freed_without_the_garbage_collector(
    autojump_clock, start, worker_network, agents
) -> None:
    """With thousands of calls it runs rarely, and it knows nothing of the memory of codecs."""
    async with start(backends=only("waiting")) as running:
        created, caller = await running.call()
        call = running.worker._calls.of_call_id(created.call_id)
        await worker_network.eventually(lambda: call.session.media.voice._receiver is not None)
        voice, speech = call.session.media.voice, call.leg._speech
        leg, session = weakref.ref(call.leg), weakref.ref(call.session)
        call = None
        gc.disable()
        try:
            await running.worker.end_call(created.call_id, OWNER)
            assert voice._receiver is None
            assert voice._sender._encoder._state is None
            assert speech.waiting_seconds == 0
            await worker_network.eventually(lambda: caller.stage is Stage.CLOSED)
            await running.worker._legs.wait_until_ended()
            await worker_network.eventually(lambda: leg() is None)
            assert session() is None
        finally:
            gc.enable()
