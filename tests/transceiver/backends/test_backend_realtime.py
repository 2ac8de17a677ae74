"""A RealtimeLink against real WebSocket servers of another make (trio-websocket) on loopback, good and bad ones."""

import base64
import contextlib
import itertools
import json
import socket as sockets
import struct
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from transceiver.backends.contract import BackendUnavailable, Speech
from transceiver.backends.realtime import BackendRefused, RealtimeLink
from transceiver.backends.realtime_options import RealtimeOptions
from transceiver.backends.realtime_reading import DropReason

SESSION = {"type": "realtime", "output_modalities": ["audio"]}
CREATED = {"type": "session.created", "event_id": "e1", "session": SESSION}
BETA_CREATED = {"type": "session.created", "event_id": "e1", "session": {"modalities": ["text", "audio"]}}


class Sink:
    """Keeps what a link delivers."""

    def __init__(self) -> None:
        self.opened = 0
        self.events: list[dict[str, object]] = []
        self.audio: list[tuple[Speech, bytes]] = []

    def backend_opened(self) -> None:
        self.opened += 1

    def backend_event(self, event) -> None:
        self.events.append(dict(event))

    def backend_audio(self, speech: Speech, pcm: bytes) -> None:
        self.audio.append((speech, pcm))

    @property
    def types(self) -> list[object]:
        return [event["type"] for event in self.events]


@attrs.define
class Server:
    """A WebSocket server of another make."""

    nursery: trio.Nursery
    requests: list[WebSocketRequest] = attrs.field(factory=list)

    async def start(
        self, talk: Callable[[WebSocketConnection], Awaitable[None]], reject: tuple[int, bytes] | None = None
    ) -> str:
        async def handle(request: WebSocketRequest) -> None:
            self.requests.append(request)
            if reject is not None:
                await request.reject(reject[0], body=reject[1])
                return
            await talk(await request.accept())

        def start_server(task_status):
            return serve_websocket(handle, "127.0.0.1", 0, None, max_message_size=1 << 25, task_status=task_status)

        server = await self.nursery.start(start_server)
        return f"ws://127.0.0.1:{server.port}/v1/realtime"


@pytest.fixture
async def server(nursery) -> Server:
    return Server(nursery)


async def send(connection: WebSocketConnection, *events: object) -> None:
    for event in events:
        await connection.send_message(event if isinstance(event, str | bytes) else json.dumps(event))


def delta(pcm: bytes | str, item: str = "item_1", name: str = "response.output_audio.delta", **fields: object):
    text = pcm if isinstance(pcm, str) else base64.b64encode(pcm).decode()
    return {"type": name, "response_id": "resp_1", "item_id": item, "content_index": 0, "delta": text} | fields


async def run(url: str, sink: Sink | None = None, **options: object) -> BackendUnavailable | None:
    """Run a link to its end, and return how it was lost."""
    link = RealtimeLink(RealtimeOptions(url=url, **options))
    try:
        with trio.fail_after(5):
            await link.run(sink or Sink())
    except BackendUnavailable as error:
        return error
    return None


async def test_events_and_speech_are_delivered_until_the_server_ends(server):
    async def talk(connection) -> None:
        await send(connection, CREATED, delta(b"abcd"), {"type": "response.done", "event_id": "e2", "response": {}})

    sink = Sink()
    assert await run(await server.start(talk), sink) is None
    assert sink.opened == 1
    assert sink.types == ["session.created", "response.done"]
    assert sink.audio == [(Speech("resp_1", "item_1", 0), b"abcd")]


async def test_events_and_audio_are_sent_in_the_order_in_which_they_were_given(server, nursery):
    received = []

    async def talk(connection) -> None:
        await send(connection, CREATED)
        received.extend([json.loads(await connection.get_message()) for _ in range(3)])

    link = RealtimeLink(RealtimeOptions(url=await server.start(talk)))
    link.send_audio(b"\x01\x02")
    link.send_event({"type": "input_audio_buffer.commit"})
    link.send_audio(b"\x03\x04\x05\x06")
    await link.run(Sink())
    assert received == [
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(b"\x01\x02").decode()},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(b"\x03\x04\x05\x06").decode()},
    ]
    assert link.queued == 0


@pytest.mark.parametrize(
    ("options", "path", "headers"),
    [
        ({}, "/v1/realtime", {}),
        ({"model": "m 1", "api_key": "k"}, "/v1/realtime?model=m+1", {b"authorization": b"Bearer k"}),
        (
            {"model": "m", "api_key": "k", "key_header": "api-key", "is_beta": True},
            "/v1/realtime?model=m",
            {b"api-key": b"k", b"openai-beta": b"realtime=v1"},
        ),
    ],
)
async def test_the_request_carries_model_key_and_dialect(server, options, path, headers):
    async def talk(connection) -> None:
        await send(connection, CREATED)

    await run(await server.start(talk), **options)
    (request,) = server.requests
    assert request.path == path
    wanted = {b"authorization", b"api-key", b"openai-beta"}
    assert {name: value for name, value in request.headers if name in wanted} == headers


def test_a_model_in_the_url_is_replaced_and_the_rest_of_its_query_kept():
    options = RealtimeOptions(url="wss://host/openai/realtime?api-version=1&model=x", model="y")
    assert options.full_url == "wss://host/openai/realtime?api-version=1&model=y"


def test_the_key_is_not_shown():
    assert "secret" not in repr(RealtimeOptions(url="ws://x", api_key="secret"))


async def test_a_server_that_answers_in_beta_is_understood_and_answered_in_beta(server):
    received = []

    async def talk(connection) -> None:
        await send(connection, BETA_CREATED, delta(b"ab", name="response.audio.delta"))
        await send(connection, {"type": "response.audio.done", "event_id": "e3"})
        received.append(json.loads(await connection.get_message()))

    sink = Sink()
    link = RealtimeLink(RealtimeOptions(url=await server.start(talk)))
    link.send_event({"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"voice": "ash"}}}})
    await link.run(sink)
    assert sink.types == ["session.created", "response.output_audio.done"]
    assert sink.events[0]["session"] == SESSION
    assert sink.audio == [(Speech("resp_1", "item_1", 0), b"ab")]
    assert received == [{"type": "session.update", "session": {"voice": "ash"}}]


async def test_a_server_that_waits_for_us_is_not_waited_for(server):
    async def talk(connection) -> None:
        update = json.loads(await connection.get_message())
        await send(connection, update | {"type": "session.updated", "event_id": "e1"})

    sink = Sink()
    link = RealtimeLink(RealtimeOptions(url=await server.start(talk), dialect_patience=0.01))
    link.send_event({"type": "session.update", "session": SESSION})
    await link.run(sink)
    assert sink.types == ["session.updated"]


async def test_close_ends_the_connection_with_a_goodbye(server):
    codes = []

    async def talk(connection) -> None:
        await send(connection, CREATED)
        with pytest.raises(ConnectionClosed) as caught:
            await connection.get_message()
        codes.append(caught.value.reason.code)

    link = RealtimeLink(RealtimeOptions(url=await server.start(talk)))

    class Closing(Sink):
        def backend_event(self, event) -> None:
            link.close()
            link.send_audio(b"too late")

    with trio.fail_after(2):
        await link.run(Closing())
        while not codes:
            await trio.lowlevel.checkpoint()
    assert codes == [1001]
    assert link.queued == 0


async def test_a_link_that_is_closed_before_it_runs_does_nothing():
    link = RealtimeLink(RealtimeOptions(url="ws://127.0.0.1:1/"))
    link.close()
    await link.run(Sink())


# Servers that refuse


async def test_nobody_listens():
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = await run(f"ws://127.0.0.1:{port}/")
    assert "could not be reached" in str(error)
    assert not isinstance(error, BackendRefused)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_is_final_and_quoted(server, status):
    body = json.dumps({"error": {"message": "Incorrect API key."}}).encode()
    error = await run(await server.start(_never, (status, body)))
    assert isinstance(error, BackendRefused)
    assert str(error) == f"it refused with {status}: Incorrect API key."


@pytest.mark.parametrize("status", [408, 429, 500, 503])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "busy"}', b"[]"])
async def test_a_refusal_that_may_pass_is_not_final(server, status, body):
    error = await run(await server.start(_never, (status, body)))
    assert not isinstance(error, BackendRefused)
    assert str(error).startswith(f"it refused with {status}")
    assert ("busy" in str(error)) == (b"busy" in body)


async def _never(_connection) -> None:
    raise AssertionError("must not be reached")


async def serve_bytes(nursery, answer: bytes, *, then_close: bool = True) -> str:
    """Serve something that is no WebSocket."""

    async def handle(stream) -> None:
        await stream.receive_some(65_536)
        if answer:
            await stream.send_all(answer)
        if not then_close:
            await trio.sleep_forever()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, handle, [listener])
    return f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x16\x03\x01 TLS?",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: \xff\r\nSec-WebSocket-Protocol: \xff\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\n\r\nuntil the end",
        b"HTTP/1.1 503 Busy\r\n\r\n" + b"x" * 200_000,
    ],
)
async def test_what_is_no_websocket_is_lost_at_once(nursery, answer):
    error = await run(await serve_bytes(nursery, answer))
    assert isinstance(error, BackendUnavailable)
    assert not isinstance(error, BackendRefused)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("options", [{"api_key": "se\ncret"}, {"api_key": "sécret"}, {"api_key": "secret "}])
async def test_a_key_that_no_header_can_carry_is_told_without_the_key(server, options):
    error = await run(await server.start(_never), **options)
    assert isinstance(error, BackendUnavailable)
    assert "cret" not in str(error)


# Servers that hang


async def test_a_server_that_hangs_in_the_handshake(nursery):
    url = await serve_bytes(nursery, b"HTTP/1.1 101 Swit", then_close=False)
    assert "no WebSocket within 0.05 s" in str(await run(url, connect_timeout=0.05))
    nursery.cancel_scope.cancel()


async def test_a_server_that_hangs_in_tls(nursery):
    url = await serve_bytes(nursery, b"", then_close=False)
    assert "no WebSocket within" in str(await run(url.replace("ws:", "wss:"), connect_timeout=0.05))
    nursery.cancel_scope.cancel()


async def test_a_server_that_is_not_tls(nursery):
    url = await serve_bytes(nursery, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "TLS failed" in str(await run(url.replace("ws:", "wss:")))
    nursery.cancel_scope.cancel()


async def test_a_server_that_never_says_anything(server):
    async def talk(_connection) -> None:
        await trio.sleep_forever()

    sink = Sink()
    error = await run(await server.start(talk), sink, first_event_timeout=0.05)
    assert str(error) == "it was lost: it said nothing within 0.05 seconds"
    assert sink.opened == 1


async def test_a_server_that_falls_silent_without_even_answering_pings(server):
    async def talk(connection) -> None:
        await send(connection, CREATED)
        connection._reader_running = False  # it neither reads nor answers from here on
        await trio.sleep_forever()

    error = await run(await server.start(talk), ping_interval=0.05, ping_timeout=0.05)
    assert "no answer to a ping" in str(error)


async def test_a_server_that_does_not_read(server):
    async def talk(connection) -> None:
        await send(connection, CREATED)
        connection._reader_running = False
        await trio.sleep_forever()

    link = RealtimeLink(RealtimeOptions(url=await server.start(talk), queue_bytes=100_000))
    pcm = bytes(10_000)

    async def speak() -> None:
        while True:
            link.send_audio(pcm)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        with trio.fail_after(5), pytest.raises(BackendUnavailable, match="does not read"):
            await link.run(Sink())
        nursery.cancel_scope.cancel()
    assert link.queued <= 100_000 + len(pcm)


async def test_who_can_wait_for_room_is_held_back(server):
    received = []

    async def talk(connection) -> None:
        await send(connection, CREATED)
        received.extend([await connection.get_message() for _ in range(50)])

    link = RealtimeLink(RealtimeOptions(url=await server.start(talk), queue_bytes=30_000))

    async def speak() -> None:
        for _ in range(50):
            link.send_audio(bytes(10_000))
            await link.wait_for_room()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        await link.run(Sink())
    assert len(received) == 50


# Servers that send nonsense


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("garbage", DropReason.NOT_JSON),
        ("", DropReason.NOT_JSON),
        ("[" * 100_000, DropReason.NOT_JSON),
        ("[]", DropReason.NOT_AN_EVENT),
        ('"text"', DropReason.NOT_AN_EVENT),
        ("{}", DropReason.NOT_AN_EVENT),
        ('{"type": 1}', DropReason.NOT_AN_EVENT),
        (delta("AAAA", response_id=None), DropReason.NAMELESS_AUDIO),
        (delta("AAAA", item_id=7), DropReason.NAMELESS_AUDIO),
        (delta("not base64!"), DropReason.INVALID_BASE64),
        (delta("AAA"), DropReason.INVALID_BASE64),
        (delta("é"), DropReason.INVALID_BASE64),
    ],
)
async def test_nonsense_is_dropped_and_counted(server, text, reason):
    async def talk(connection) -> None:
        await send(connection, CREATED, text, {"type": "response.done"})

    sink = Sink()
    link = RealtimeLink(RealtimeOptions(url=await server.start(talk)))
    await link.run(sink)
    assert sink.types == ["session.created", "response.done"]
    assert sink.audio == []
    assert link.drops == {reason: 1}


@pytest.mark.parametrize("text", ["garbage", "[]"])
async def test_a_server_that_sends_nothing_but_nonsense_is_given_up(server, text):
    async def talk(connection) -> None:
        await send(connection, *[text] * 10)
        await trio.sleep_forever()

    assert "no Realtime event" in str(await run(await server.start(talk)))


async def test_bytes_are_no_events(server):
    codes = []

    async def talk(connection) -> None:
        await send(connection, CREATED, b"binary")
        with pytest.raises(ConnectionClosed) as caught:
            await connection.get_message()
        codes.append(caught.value.reason.code)

    assert "closed with 1003" in str(await run(await server.start(talk)))
    assert codes == [1003]


async def test_a_message_of_ten_megabytes_is_not_collected(server):
    async def talk(connection) -> None:
        await send(connection, CREATED)
        with contextlib.suppress(ConnectionClosed):
            await send(connection, "x" * 10_000_000)

    error = await run(await server.start(talk), message_bytes=1_000_000)
    assert "closed with 1009: a message may have at most 1000000 bytes" in str(error)


async def test_a_sample_cut_in_two_is_put_together(server):
    async def talk(connection) -> None:
        await send(connection, CREATED, delta(b"abc"), delta(b"d"), delta(b"efg"), delta(b"xy", item="item_2"))

    sink = Sink()
    link = RealtimeLink(RealtimeOptions(url=await server.start(talk)))
    await link.run(sink)
    assert [pcm for speech, pcm in sink.audio if speech.item_id == "item_1"] == [b"ab", b"cd", b"ef"]
    assert [pcm for speech, pcm in sink.audio if speech.item_id == "item_2"] == [b"xy"]
    assert link.drops == {DropReason.HALF_SAMPLE: 1}


async def test_audio_in_an_object_is_understood(server):
    async def talk(connection) -> None:
        await send(connection, CREATED, delta("") | {"delta": {"audio": "AAAA", "sample_rate_hz": 24000}})

    sink = Sink()
    await run(await server.start(talk), sink)
    assert [pcm for _, pcm in sink.audio] == [bytes(2)]  # the third byte is half a sample


@pytest.mark.parametrize("deltas", [1, 60])
async def test_a_minute_of_speech_in_one_second_holds_up_nobody(server, deltas):
    second = bytes(range(256)) * 188 * (60 // deltas)

    async def talk(connection) -> None:
        await send(connection, CREATED, *[delta(second)] * deltas)

    sink = Sink()
    turns = []

    async def count_turns() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            turns.append(len(sink.audio))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        assert await run(await server.start(talk), sink) is None
        nursery.cancel_scope.cancel()
    assert b"".join(pcm for _, pcm in sink.audio) == second * deltas
    # Each piece has at most a second, and others have a turn between two (before or after ours, as Trio pleases).
    assert max(len(pcm) for _, pcm in sink.audio) <= 49_152
    assert all(later - earlier <= 2 for earlier, later in itertools.pairwise(turns))


# Servers that break off


@pytest.mark.parametrize(
    ("code", "reason"), [(1011, "oops"), (1001, ""), (1012, "restart"), (3000, "invalid_request_error.invalid_api_key")]
)
async def test_a_server_that_closes_with_an_error(server, code, reason):
    async def talk(connection) -> None:
        await send(connection, CREATED)
        await connection.aclose(code, reason)

    error = await run(await server.start(talk))
    assert f"closed with {code}" in str(error)
    assert reason in str(error)


async def test_a_server_that_closes_politely_without_a_word(server):
    async def talk(_connection) -> None:
        return

    assert "closed with 1000" in str(await run(await server.start(talk)))


async def test_a_server_that_dies_in_the_middle_of_a_word(server):
    async def talk(connection) -> None:
        await send(connection, CREATED)
        stream = connection._stream
        await stream.send_all(b'\x81\x7e\x01\x00{"type": "response.out')  # the beginning of a frame of 256 bytes
        stream.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()  # a reset

    sink = Sink()
    assert "closed with 1006" in str(await run(await server.start(talk), sink))
    assert sink.types == ["session.created"]


async def test_a_frame_that_makes_no_sense(server):
    async def talk(connection) -> None:
        await send(connection, CREATED)
        await connection._stream.send_all(b"\xff\xff\xff\xff")
        await trio.sleep_forever()

    assert "closed with 1002" in str(await run(await server.start(talk)))


async def test_cancellation_closes_the_connection(server):
    ended = trio.Event()

    async def talk(connection) -> None:
        await send(connection, CREATED)
        with pytest.raises(ConnectionClosed):
            await connection.get_message()
        ended.set()

    link = RealtimeLink(RealtimeOptions(url=await server.start(talk)))
    with trio.move_on_after(0.1):
        await link.run(Sink())
    with trio.fail_after(1):
        await ended.wait()
