"""The backend's leg of a call: the real rules, with a link and a client's session that do what a test tells them."""

import json
from collections.abc import Awaitable, Callable, Mapping

import attrs
import pytest
import trio
import trio.testing

from sctp.channel import Channel
from sctp.channel_events import ChannelClosed, ChannelOpened, MessageReceived
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.audio.telephone_event import DtmfReceived
from transceiver.backend_leg import BackendLeg
from transceiver.backends.contract import BackendSink, BackendUnavailable, Speech
from transceiver.backends.realtime import BackendRefused
from transceiver.backends.reconnecting import ReconnectPolicy
from transceiver.calls import CallWishes, Overloaded, SocketClosed
from transceiver.events_channel import EVENTS_LABEL, DropReason
from transceiver.realtime.bridge import Bridge
from transceiver.realtime.options import BackendProfile, BridgeOptions
from transceiver.realtime.passthrough import ClientTooSlow
from transceiver.session_events import DataClosed
from transceiver.sidebands import MAX_SIDEBANDS, MAX_WAITING
from transceiver.sidebands import DropReason as SidebandDropReason
from wire.core import Closed
from wire.errors import LocalProtocolError

RATE = 24_000
PIECE = bytes(range(256)) * 4  # 20 ms is 960 bytes
SPEECH = Speech("resp_1", "item_1")
PASSED_ON = BridgeOptions(backend=BackendProfile(unsupported_fields=frozenset(), hears_dtmf=True), append_ms=20)


class Link:
    """A connection to a backend that does what the test wants."""

    input_rate = output_rate = RATE

    def __init__(self, answer: Callable[["Link", object], None] | None = None) -> None:
        self.taken: list[object] = []  # events by their type, and PCM
        self.sink: BackendSink | None = None
        self.is_closed = False
        self.was_cancelled = False
        self.takes_its_time = 0.0
        self._answer = answer
        self._end = trio.Event()
        self._error: Exception | None = None

    async def run(self, sink: BackendSink) -> None:
        self.sink = sink
        sink.backend_opened()
        try:
            await self._end.wait()
            await trio.sleep(self.takes_its_time)
        except trio.Cancelled:
            self.was_cancelled = True
            raise
        if self._error is not None:
            raise self._error

    def end(self, error: Exception | None = None) -> None:
        self._error = error
        self._end.set()

    def send_event(self, event: Mapping[str, object]) -> None:
        self.taken.append(event["type"])
        if self._answer is not None:
            self._answer(self, event)

    def send_audio(self, pcm: bytes) -> None:
        self.taken.append(pcm)
        if self._answer is not None:
            self._answer(self, pcm)

    def close(self) -> None:
        self.is_closed = True
        self.end()


class Voice:
    """What the caller says."""

    def __init__(self) -> None:
        self.pcm = b""
        self.keys: list[DtmfReceived] = []
        self.quiet_until = 0.0

    def hear(self, now: float) -> bytes:
        pcm, self.pcm = self.pcm, b""
        return pcm

    def digits(self) -> list[DtmfReceived]:
        keys, self.keys = self.keys, []
        return keys


@attrs.define
class Media:
    voice: Voice = attrs.field(factory=Voice)
    round_trip_time: float | None = None
    peer_jitter: float = 0.0


@attrs.define
class ClientSession:
    """The client's leg, as far as this one sees it."""

    closed: Closed | None = None
    media: Media | None = attrs.field(factory=Media)
    said: list[dict[str, object]] = attrs.field(factory=list)
    takes: bool = True

    def send_message(self, channel_id: int, message: str, now: float) -> None:
        if not self.takes:
            raise LocalProtocolError("the send buffer is full")
        assert channel_id == 7
        self.said.append(json.loads(message))

    def types(self) -> list[object]:
        return [event["type"] for event in self.said]


class Socket:
    """A sideband's other end."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        self.is_reading = True
        self._in, self._out = trio.open_memory_channel[str](100)

    async def receive(self) -> str:
        await trio.lowlevel.checkpoint()
        try:
            return await self._out.receive()
        except trio.EndOfChannel:
            raise SocketClosed from None

    async def send(self, text: str) -> None:
        if not self.is_reading:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        self.got.append(json.loads(text))

    def says(self, **event: object) -> None:
        self._in.send_nowait(json.dumps(event))

    def hang_up(self) -> None:
        self._in.close()

    def types(self) -> list[object]:
        return [event["type"] for event in self.got]


class Call:
    """A leg, and what is around it."""

    def __init__(self, *, reconnect: int = 0, answer=None, options: BridgeOptions = PASSED_ON) -> None:
        self.session = ClientSession()
        self.speech = SpeechQueue(rate=RATE)
        self.links: list[Link] = []
        self.failures: list[Exception] = []
        self.reports: list[tuple[str, Mapping[str, object]]] = []
        self.answer = answer
        count = iter(range(1_000_000))
        self.leg = BackendLeg(
            session=self.session,
            bridge=Bridge(
                options=options,
                wishes=CallWishes(),
                speech=self.speech,
                entropy=lambda size: next(count).to_bytes(size, "big"),
                now=trio.current_time(),
            ),
            speech=self.speech,
            make_link=self._make_link,
            reconnect=ReconnectPolicy(max_attempts=reconnect, first_delay=1.0, jitter=0.0),
            entropy=bytes,
            unix_time=lambda: 1.7e9,
            advanced=self.advanced,
            failed=lambda error, _now: self.failures.append(error),
            report=lambda name, facts: self.reports.append((name, facts)),
        )

    def advanced(self, now: float) -> None:
        self.leg.advance(now)

    def _make_link(self) -> Link:
        self.links.append(Link(self.answer))
        return self.links[-1]

    @property
    def link(self) -> Link:
        return self.links[-1]

    def open_channel(self, label: str = EVENTS_LABEL, channel_id: int = 7) -> None:
        now = trio.current_time()
        self.leg.follow(ChannelOpened(channel=Channel(id=channel_id, label=label), is_ours=False), now)
        self.leg.advance(now)

    def client_says(self, message: str | bytes | None = None, channel_id: int = 7, **event: object) -> None:
        text = json.dumps(event) if message is None else message
        now = trio.current_time()
        self.leg.follow(MessageReceived(channel_id=channel_id, message=text), now)
        self.leg.advance(now)

    async def tick(self, seconds: float = 0.02) -> None:
        """Let time pass as the worker does: the voice takes from the queue, then the leg is ticked."""
        for _ in range(round(seconds / 0.02)):
            await trio.sleep(0.02)
            if self.session.media is not None:
                self.speech.take(RATE // 50)
            if self.leg.ended is None:
                self.leg.tick(trio.current_time())


@pytest.fixture
async def call(nursery: trio.Nursery) -> Call:
    """A call whose backend is connected and whose channel is open."""
    return await running(Call(), nursery)


async def running(call: Call, nursery: trio.Nursery) -> Call:
    nursery.start_soon(call.leg.run)
    await trio.testing.wait_all_tasks_blocked()
    call.open_channel()
    call.client_says(type="session.update", session={"type": "realtime"})
    call.link.sink.backend_event({"type": "session.updated", "session": {"type": "realtime"}})
    call.link.taken.clear()
    call.session.said.clear()
    return call


def response_of(text: str = "resp_1", **fields: object) -> dict[str, object]:
    return {"id": text, "object": "realtime.response", "output": [], **fields}


# -- events and audio, in order


async def test_what_was_said_before_the_commit_gets_there_before_it(autojump_clock, call: Call) -> None:
    call.session.media.voice.pcm = PIECE[:500]
    call.leg.advance(trio.current_time())
    assert call.link.taken == []  # not a whole piece yet
    call.session.media.voice.pcm = PIECE[500:600]
    # The audio came before the event, in the same batch of datagrams.
    call.leg.advance(trio.current_time())
    call.client_says(type="input_audio_buffer.commit")
    assert call.link.taken == [PIECE[:600], "input_audio_buffer.commit"]


async def test_a_tick_listens_only_when_there_may_be_something_to_hear(autojump_clock, call: Call) -> None:
    voice = call.session.media.voice
    voice.pcm, voice.quiet_until = PIECE[:960], trio.current_time() + 0.05
    await call.tick(0.04)
    assert call.link.taken == []
    await call.tick(0.02)
    assert call.link.taken == [PIECE[:960]]


async def test_what_a_backend_answers_at_once_is_carried_behind_what_was_there_before(autojump_clock, nursery) -> None:
    """An agent in this process answers inside of `send_event`; then the bridge may have more for it."""

    def answer(link: Link, what: object) -> None:
        if isinstance(what, dict) and what["type"] == "response.create":
            link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
            link.sink.backend_audio(SPEECH, PIECE)
            link.sink.backend_event({"type": "response.done", "response": response_of(status="completed")})

    call = await running(Call(answer=answer), nursery)
    for number in range(2):
        call.leg.follow(
            MessageReceived(channel_id=7, message=json.dumps({"type": "response.create", "event_id": str(number)})), 0.0
        )
    call.client_says(type="input_audio_buffer.clear")
    assert call.link.taken == ["response.create", "response.create", "input_audio_buffer.clear"]
    assert call.session.types()[:2] == ["response.created", "response.done"]
    assert call.failures == []


async def test_events_that_come_before_the_channel_is_open_are_told_when_it_is(autojump_clock, nursery) -> None:
    call = Call()
    nursery.start_soon(call.leg.run)
    await trio.testing.wait_all_tasks_blocked()
    call.link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
    assert call.session.said == []
    call.open_channel()
    assert call.session.types() == ["session.created", "response.created"]
    assert call.leg.drops == {}


async def test_keys_and_the_callers_words_get_to_the_backend(autojump_clock, call: Call) -> None:
    call.session.media.voice.pcm = PIECE[:960]
    call.session.media.voice.keys = [DtmfReceived(digit="5", duration_ms=80)]
    call.leg.advance(trio.current_time())
    assert call.link.taken == [PIECE[:960], "input_audio_buffer.dtmf_event_received"]
    assert call.session.types() == ["input_audio_buffer.dtmf_event_received"]


async def test_a_message_of_bytes_is_read_as_text(autojump_clock, call: Call) -> None:
    call.client_says(json.dumps({"type": "input_audio_buffer.clear"}).encode())
    assert call.link.taken == ["input_audio_buffer.clear"]
    call.client_says(b"\xff\xfe\x00audio, perhaps")
    assert call.link.taken == ["input_audio_buffer.clear"]
    assert call.session.types() == ["error"]


async def test_other_channels_are_not_for_events(autojump_clock, call: Call) -> None:
    call.open_channel("chat", 9)
    call.client_says(channel_id=9, type="input_audio_buffer.clear")
    assert call.link.taken == []
    assert call.leg.drops == {DropReason.OTHER_CHANNEL: 1}
    # Nor is a second one of the same name.
    call.open_channel(EVENTS_LABEL, 11)
    assert call.session.said == []
    call.leg.follow(ChannelClosed(channel_id=11), 0.0)
    assert call.leg.ended is None


async def test_a_client_that_does_not_read_is_told_nothing(autojump_clock, call: Call) -> None:
    call.session.takes = False
    for _ in range(3):
        call.link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
    assert call.leg.drops == {DropReason.CHANNEL_REFUSED: 3}
    call.session.takes = True
    call.link.sink.backend_event({"type": "response.done", "response": response_of(status="completed")})
    assert call.session.types() == ["response.done"]


async def test_the_playout_delay_is_what_was_measured(autojump_clock, call: Call) -> None:
    """What is cut off is told as heard up to where the caller's ear is."""
    call.link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
    call.link.sink.backend_audio(SPEECH, bytes(2 * RATE))
    call.session.media.round_trip_time, call.session.media.peer_jitter = 0.2, 0.01
    await call.tick(0.5)
    call.link.taken.clear()
    cuts: list[Mapping[str, object]] = []
    call.link.send_event = cuts.append
    call.link.sink.backend_event({"type": "input_audio_buffer.speech_started", "item_id": "i", "audio_start_ms": 0})
    (cut,) = [event for event in cuts if event["type"] == "conversation.item.truncate"]
    assert cut["audio_end_ms"] == 500 - (100 + 60 + 20)


# -- the end, on either side


@pytest.mark.parametrize("how", [ChannelClosed(channel_id=7), DataClosed(reason="aborted")], ids=["channel", "sctp"])
async def test_a_client_that_closes_its_channel_hangs_up(autojump_clock, call: Call, how: object) -> None:
    call.leg.follow(how, trio.current_time())
    assert call.leg.ended == "client-hung-up"
    # What the backend says until the call is over, nobody hears.
    call.link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
    assert call.session.said == []
    call.leg.close(trio.current_time())
    assert call.link.is_closed


async def test_channels_that_never_opened_end_nothing(autojump_clock, nursery) -> None:
    call = Call()
    nursery.start_soon(call.leg.run)
    await trio.testing.wait_all_tasks_blocked()
    call.leg.follow(DataClosed(reason="handshake-timeout"), trio.current_time())
    assert call.leg.ended is None


async def test_a_backend_that_hangs_up_has_its_last_words_heard(autojump_clock, call: Call) -> None:
    call.session.media.round_trip_time = 0.1
    call.link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
    call.link.sink.backend_audio(SPEECH, bytes(RATE))  # half a second
    call.link.sink.backend_event({"type": "response.done", "response": response_of(status="completed")})
    call.link.end()
    begun = trio.current_time()
    while call.leg.ended is None:
        await call.tick()
    assert call.leg.ended == "backend-hung-up"
    assert not call.speech.has_speech
    # The last of it needs half a round trip, and the time that it waits in the jitter buffer.
    assert trio.current_time() - begun == pytest.approx(0.5 + 0.05 + 0.06, abs=0.041)
    assert call.session.types()[-1] == "output_audio_buffer.stopped"
    assert "error" not in call.session.types()


async def test_a_backend_that_says_nothing_and_hangs_up(autojump_clock, call: Call) -> None:
    call.link.end()
    await call.tick(0.3)
    assert call.leg.ended == "backend-hung-up"


async def test_closing_gives_the_backend_its_time(autojump_clock, call: Call, nursery: trio.Nursery) -> None:
    call.link.takes_its_time = 4.0
    call.leg.close(trio.current_time())
    call.leg.close(trio.current_time())
    link = call.link
    # It may still say something; nobody hears it, and nothing is kept of it.
    link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
    link.sink.backend_audio(SPEECH, PIECE)
    assert call.session.said == []
    assert not call.speech.has_speech
    await trio.sleep(5)
    assert not link.was_cancelled
    assert len(call.links) == 1
    assert nursery.child_tasks == frozenset()


async def test_a_backend_that_takes_too_long_is_cut_off(autojump_clock, call: Call, nursery: trio.Nursery) -> None:
    call.link.takes_its_time = 1000.0
    call.leg.close(trio.current_time())
    await trio.sleep(7)
    assert call.link.was_cancelled
    assert nursery.child_tasks == frozenset()


async def test_a_call_that_ends_before_its_backend_is_asked(autojump_clock, nursery) -> None:
    call = Call()
    call.leg.close(trio.current_time())
    nursery.start_soon(call.leg.run)
    await trio.sleep(1)
    assert call.links == []


async def test_what_was_to_be_said_is_forgotten_with_the_call(autojump_clock, call: Call) -> None:
    call.link.sink.backend_audio(SPEECH, bytes(2_000_000))
    call.leg.close(trio.current_time())
    assert call.speech.waiting_seconds == 0


# -- a backend that is lost


async def test_a_lost_backend_is_told_and_the_call_lives_on(autojump_clock, call: Call, nursery: trio.Nursery) -> None:
    call.link.end(BackendUnavailable("it was lost: host a, port b"))
    await trio.testing.wait_all_tasks_blocked()
    (error,) = [event["error"] for event in call.session.said if event["type"] == "error"]
    assert error["code"] == "backend_disconnected"
    assert "host" not in json.dumps(call.session.said)
    assert call.leg.ended is None
    ((name, facts),) = call.reports
    assert (name, facts["will_retry"]) == ("backend-lost", False)
    assert len(call.links) == 1
    assert nursery.child_tasks == frozenset()
    await call.tick(1)
    assert call.leg.ended is None


async def test_a_lost_backend_is_tried_again(autojump_clock, nursery: trio.Nursery) -> None:
    call = await running(Call(reconnect=2), nursery)
    begun = trio.current_time()
    call.link.end(BackendUnavailable("lost"))
    await trio.testing.wait_all_tasks_blocked()
    assert [facts["will_retry"] for _, facts in call.reports] == [True]
    assert len(call.links) == 1
    # What is said meanwhile goes nowhere, and is not kept: it would be old.
    call.session.media.voice.pcm = PIECE
    call.leg.advance(trio.current_time())
    await trio.sleep(1.1)
    assert len(call.links) == 2
    call.links[0].taken.clear()
    call.session.media.voice.pcm = PIECE[:960]
    call.leg.advance(trio.current_time())
    assert call.links[0].taken == []
    assert "session.update" in call.link.taken
    # The next losses come soon after it: the row of attempts goes on, and ends.
    call.link.end(BackendUnavailable("lost"))
    await trio.sleep(2.1)
    assert len(call.links) == 3
    call.link.end(BackendUnavailable("lost"))
    await trio.sleep(100)
    assert len(call.links) == 3
    assert [facts["will_retry"] for _, facts in call.reports] == [True, True, False]
    assert trio.current_time() - begun > 100


async def test_who_refuses_is_not_asked_again(autojump_clock, nursery: trio.Nursery) -> None:
    call = await running(Call(reconnect=5), nursery)
    call.link.end(BackendRefused("it refused with 401"))
    await trio.sleep(100)
    assert len(call.links) == 1


async def test_nobody_is_called_after_the_end_of_the_call(autojump_clock, nursery: trio.Nursery) -> None:
    call = await running(Call(reconnect=5), nursery)
    call.link.end(BackendUnavailable("lost"))
    await trio.testing.wait_all_tasks_blocked()
    call.leg.close(trio.current_time())  # while it waits to try again
    await trio.sleep(100)
    assert len(call.links) == 1
    other = await running(Call(reconnect=5), nursery)
    other.leg.close(trio.current_time())
    other.link.end(BackendUnavailable("lost in the very moment"))
    await trio.sleep(100)
    assert len(other.links) == 1


# -- bugs


async def test_a_bug_in_the_rules_is_not_the_agents_to_catch(
    autojump_clock, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Bridge, "receive_backend_event", fail)
    call.link.sink.backend_event({"type": "response.created"})  # does not raise
    monkeypatch.setattr(call.leg._bridge, "receive_backend_audio", fail)
    call.link.sink.backend_audio(SPEECH, PIECE)
    assert [type(error) for error in call.failures] == [ZeroDivisionError] * 2


async def test_a_bug_while_carrying_does_not_stop_the_carrying_for_ever(autojump_clock, call: Call) -> None:
    def fail(_event: object) -> None:
        raise ZeroDivisionError

    call.link.send_event, before = fail, call.link.send_event
    with pytest.raises(ZeroDivisionError):
        call.client_says(type="input_audio_buffer.clear")
    call.link.send_event = before
    call.client_says(type="input_audio_buffer.clear")
    assert call.link.taken == ["input_audio_buffer.clear"]


# -- sidebands


@pytest.fixture
def attach(call: Call, nursery: trio.Nursery) -> Callable[[], Awaitable[tuple[Socket, list[object]]]]:
    async def attached() -> tuple[Socket, list[object]]:
        socket, outcome = Socket(), []

        async def serve() -> None:
            try:
                await call.leg.serve_sideband(socket)
            except (ClientTooSlow, Overloaded) as error:
                outcome.append(type(error))
            else:
                outcome.append(None)

        nursery.start_soon(serve)
        await trio.testing.wait_all_tasks_blocked()
        return socket, outcome

    return attached


async def test_a_sideband_sees_all_and_may_say_things(autojump_clock, call: Call, attach) -> None:
    socket, outcome = await attach()
    assert socket.types() == ["session.created"]
    call.link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
    socket.says(type="response.cancel")
    await trio.testing.wait_all_tasks_blocked()
    assert socket.types() == ["session.created", "response.created"]
    assert call.link.taken == ["response.cancel"]
    assert call.leg.describe()["sidebands"] == 1
    socket.hang_up()
    await trio.testing.wait_all_tasks_blocked()
    assert outcome == [None]
    assert call.leg.describe()["sidebands"] == 0
    assert call.leg.ended is None


async def test_only_so_many_sidebands(autojump_clock, call: Call, attach) -> None:
    sockets = [await attach() for _ in range(MAX_SIDEBANDS)]
    refused, outcome = await attach()
    assert outcome == [Overloaded]
    assert refused.got == []
    sockets[0][0].hang_up()
    await trio.testing.wait_all_tasks_blocked()
    _, outcome = await attach()
    assert outcome == []


async def test_a_sideband_that_does_not_read_is_cut_off_and_no_other(autojump_clock, call: Call, attach) -> None:
    slow, cut_off = await attach()
    quick, outcome = await attach()
    slow.is_reading = False
    for _ in range(MAX_WAITING + 2):
        call.link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
        await trio.testing.wait_all_tasks_blocked()
    assert cut_off == [ClientTooSlow]
    assert outcome == []
    assert len(quick.got) == MAX_WAITING + 3
    assert call.leg.drops == {SidebandDropReason.SLOW: 1}
    assert call.leg.describe()["sidebands"] == 1
    assert call.failures == []


async def test_long_events_fill_a_sidebands_room_sooner(autojump_clock, call: Call, attach) -> None:
    slow, cut_off = await attach()
    slow.is_reading = False
    for _ in range(8):
        call.link.sink.backend_event({"type": "response.created", "response": response_of(text="x" * 1_000_000)})
        await trio.testing.wait_all_tasks_blocked()
        if cut_off:
            break
    assert cut_off == []  # a name so long is no event's
    item = {"id": "i", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 1_000_000}]}
    told = 0
    while not cut_off and told < 8:
        told += 1
        call.link.sink.backend_event({"type": "conversation.item.added", "item": item})
        await trio.testing.wait_all_tasks_blocked()
    assert cut_off == [ClientTooSlow]
    assert told >= 5


async def test_sidebands_read_the_end_of_the_call(autojump_clock, call: Call, attach) -> None:
    reading, outcome = await attach()
    stuck, stuck_outcome = await attach()
    stuck.is_reading = False
    call.link.sink.backend_event({"type": "response.created", "response": response_of(status="in_progress")})
    call.leg.close(trio.current_time())
    await trio.testing.wait_all_tasks_blocked()
    assert reading.types() == ["session.created", "response.created"]
    assert outcome == [None]
    await trio.sleep(3)
    assert stuck_outcome == [None]
    late, late_outcome = await attach()
    assert late_outcome == [Overloaded]
    assert late.got == []


async def test_a_sideband_that_is_cancelled_leaves_nothing(autojump_clock, call: Call) -> None:
    socket = Socket()
    with trio.move_on_after(1) as scope:
        await call.leg.serve_sideband(socket)
    assert scope.cancelled_caught
    assert call.leg.describe()["sidebands"] == 0


# -- moving


async def test_it_is_quiet_between_two_turns(autojump_clock, call: Call) -> None:
    """What is being played may move; a turn that is under way, and a backend that thinks, may not."""

    def is_quiet() -> bool:
        return call.leg.is_quiet(trio.current_time())

    def says(**event: object) -> None:
        call.link.sink.backend_event(event)

    await call.tick(1.0)
    assert is_quiet()
    says(type="input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    await call.tick(1.0)
    assert not is_quiet()
    says(type="input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=1000)
    await call.tick(0.5)
    assert not is_quiet()
    says(type="response.created", response=response_of(status="in_progress"))
    call.link.sink.backend_audio(SPEECH, bytes(2 * 20 * RATE))
    await call.tick(1.0)
    assert not is_quiet()
    says(type="response.done", response=response_of(status="completed"))
    await call.tick(1.0)
    assert not is_quiet()  # 18 seconds are too much
    await call.tick(6.1)
    assert is_quiet()
    call.client_says(type="response.create")
    assert not is_quiet()
    await call.tick(0.8)
    assert is_quiet()


async def test_it_is_not_quiet_while_the_backends_last_words_are_said(autojump_clock, call: Call) -> None:
    """Another backend would begin the conversation again."""
    call.link.sink.backend_audio(SPEECH, bytes(2 * 2 * RATE))
    call.link.sink.backend_event({"type": "response.done", "response": response_of(status="completed")})
    call.link.end()
    await call.tick(1.0)
    assert not call.leg.is_quiet(trio.current_time())
