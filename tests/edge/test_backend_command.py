"""`trio-voice backend`: an agent for clients of the Realtime WebSocket, the official one among them."""

import array
import base64
import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
from functools import partial

import pytest
import trio
from click.testing import CliRunner
from trio_websocket import ConnectionClosed, ConnectionRejected, open_websocket_url

from edge.backend_command import backend
from edge.backend_server import BackendHandler
from edge.http.server import HttpServer, open_listener
from transceiver.agents.parrot import parrot
from transceiver.backends.realtime import RealtimeLink
from transceiver.backends.realtime_options import RealtimeOptions

RATE = 24_000


def tone(seconds: float, amplitude: float = 0.3) -> bytes:
    wave = (amplitude * 32767 * math.sin(2 * math.pi * 440 * n / RATE) for n in range(int(seconds * RATE)))
    return array.array("h", map(int, wave)).tobytes()


SAID = bytes(RATE) + tone(0.6) + bytes(2 * RATE)
"""Half a second of silence, a tone, and a second of silence, which ends the turn."""


def energy(pcm: bytes) -> float:
    samples = array.array("h", pcm)
    return math.sqrt(sum(sample * sample for sample in samples) / max(1, len(samples)))


class Servers:
    def __init__(self, nursery) -> None:
        self._nursery = nursery
        self.reports: list[tuple[str, dict[str, object]]] = []

    async def start(self, agent=parrot, api_key: str | None = None) -> str:
        handler = BackendHandler(
            agent,
            listen=("127.0.0.1", 0),
            api_key=api_key,
            report=lambda name, facts: self.reports.append((name, dict(facts))),
        )
        self.server = HttpServer(handler, on_failure=lambda _, error: self.reports.append((repr(error), {})))
        listener = await open_listener(("127.0.0.1", 0))
        (address,) = await self._nursery.start(self.server.serve, [listener])
        return f"127.0.0.1:{address[1]}"


@pytest.fixture
async def servers(nursery):
    servers = Servers(nursery)
    yield servers
    await servers.server.stop(0)


async def read_until(client, kind: str) -> list[dict[str, object]]:
    events: list[dict[str, object]] = []
    while not events or events[-1]["type"] != kind:
        events.append(json.loads(await client.get_message()))
        assert events[-1]["type"] != "error", events[-1]
    return events


async def events_of(client):
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield json.loads(await client.get_message())


def types_of(events) -> list[object]:
    return [event["type"] for event in events]


async def test_a_foreign_client_talks_with_the_parrot(servers):
    where = await servers.start()
    async with open_websocket_url(f"ws://{where}/v1/realtime?model=m1") as client:
        (created,) = await read_until(client, "session.created")
        assert created["session"]["model"] == "m1"
        audio = base64.b64encode(SAID).decode()
        await client.send_message(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        events = await read_until(client, "response.done")
    assert "input_audio_buffer.speech_started" in types_of(events)
    deltas = [event for event in events if event["type"] == "response.output_audio.delta"]
    heard = b"".join(base64.b64decode(delta["delta"]) for delta in deltas)
    assert energy(heard) > 3000
    assert {"event_id", "response_id", "item_id", "output_index", "content_index"} <= set(deltas[0])
    assert [name for name, _ in servers.reports] == ["conversation-began", "conversation-ended"]


async def test_who_asks_for_beta_gets_beta(servers):
    where = await servers.start()
    headers = [("OpenAI-Beta", "realtime=v1")]
    async with open_websocket_url(
        f"ws://{where}/v1/realtime?model=m1", subprotocols=["realtime"], extra_headers=headers
    ) as client:
        assert client.subprotocol == "realtime"
        (created,) = await read_until(client, "session.created")
        assert created["session"]["input_audio_format"] == "pcm16"
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
        await client.send_message(json.dumps({"type": "conversation.item.create", "item": item}))
        await read_until(client, "conversation.item.created")
        await client.send_message(json.dumps({"type": "response.create"}))
        assert "response.audio.delta" in types_of(await read_until(client, "response.done"))


@pytest.mark.parametrize(
    ("headers", "subprotocols", "is_welcome"),
    [
        ([], [], False),
        ([("Authorization", "Bearer wrong")], [], False),
        ([("Authorization", "Bearer secret")], [], True),
        ([("api-key", "secret")], [], True),
        ([], ["realtime", "openai-insecure-api-key.secret"], True),
        ([], ["realtime", "openai-insecure-api-key.wrong"], False),
    ],
)
async def test_with_a_key_only_who_shows_it_comes_in(servers, headers, subprotocols, is_welcome):
    where = await servers.start(api_key="secret")
    connecting = open_websocket_url(f"ws://{where}/v1/realtime", extra_headers=headers, subprotocols=subprotocols)
    if is_welcome:
        async with connecting as client:
            await read_until(client, "session.created")
    else:
        with pytest.raises(ConnectionRejected) as caught:
            await connecting.__aenter__()
        assert caught.value.status_code == 401
        assert json.loads(caught.value.body)["error"]["code"] == "invalid_api_key"


async def test_a_page_of_another_origin_does_not_reach_an_agent_on_this_machine(servers):
    where = await servers.start()
    with pytest.raises(ConnectionRejected) as caught:
        await open_websocket_url(
            f"ws://{where}/v1/realtime", extra_headers=[("Origin", "https://evil.example")]
        ).__aenter__()
    assert caught.value.status_code == 403


async def test_other_paths_say_where_the_agent_is(servers):
    where = await servers.start()
    with pytest.raises(ConnectionRejected) as caught:
        await open_websocket_url(f"ws://{where}/").__aenter__()
    assert caught.value.status_code == 404
    assert "/v1/realtime" in json.loads(caught.value.body)["error"]["message"]


async def test_an_agent_that_fails_is_told_to_the_client_and_to_the_operator(servers):
    async def broken(_conversation) -> None:
        raise RuntimeError("our secret")

    where = await servers.start(broken)
    async with open_websocket_url(f"ws://{where}/v1/realtime") as client:
        received = [event async for event in events_of(client)]
    assert (client.closed.code, client.closed.reason) == (1011, "backend_disconnected")
    assert received[-1]["error"]["code"] == "backend_disconnected"
    assert "our secret" not in json.dumps(received)
    assert "our secret" in servers.reports[-1][1]["reason"]


async def test_an_agent_that_returns_hangs_up(servers):
    async def brief(_conversation) -> None:
        await trio.lowlevel.checkpoint()

    where = await servers.start(brief)
    async with open_websocket_url(f"ws://{where}/v1/realtime") as client:
        await read_until(client, "session.created")
        with pytest.raises(ConnectionClosed) as caught:
            await client.get_message()
    assert caught.value.reason.code == 1000


class Sink:
    """Keeps what a link delivers, and ends the link with the answer."""

    def __init__(self, link: RealtimeLink) -> None:
        self.link = link
        self.types: list[object] = []
        self.heard = b""

    def backend_opened(self) -> None:
        self.link.send_audio(SAID)

    def backend_event(self, event) -> None:
        self.types.append(event["type"])
        if event["type"] == "response.done":
            self.link.close()

    def backend_audio(self, _speech, pcm: bytes) -> None:
        self.heard += pcm


@pytest.mark.parametrize("is_beta", [None, True])
async def test_our_own_link_reaches_it(servers, is_beta):
    where = await servers.start(api_key="secret")
    link = RealtimeLink(RealtimeOptions(url=f"ws://{where}/v1/realtime", model="m", api_key="secret", is_beta=is_beta))
    sink = Sink(link)
    with trio.fail_after(5):
        await link.run(sink)
    assert sink.types[0] == "session.created"
    assert "conversation.item.added" in sink.types
    assert energy(sink.heard) > 3000
    assert link.drops == {}


# The official client


@pytest.fixture
def official():
    pytest.importorskip("websockets", reason="openai[realtime] is not installed")
    import openai

    def connect(where: str, key: str = "any", **options: object):
        client = openai.OpenAI(
            api_key=key, base_url=f"http://{where}/v1", websocket_base_url=f"ws://{where}/v1", max_retries=0, timeout=5
        )
        return client.realtime.connect(**options)

    return connect


async def in_thread(function, *arguments: object):
    with trio.fail_after(15):
        return await trio.to_thread.run_sync(partial(function, *arguments), abandon_on_cancel=True)


def talk_in_writing(connection) -> tuple[list[str], str]:
    with connection as realtime:
        realtime.session.update(session={"type": "realtime", "instructions": "Repeat.", "output_modalities": ["text"]})
        realtime.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Grüße"}]}
        )
        realtime.response.create()
        seen, answer = [], ""
        for event in realtime:
            seen.append(event.type)
            assert event.type != "error", event
            if event.type == "response.output_text.delta":
                answer += event.delta
            if event.type == "response.done":
                assert event.response.status == "completed"
                return seen, answer
    raise AssertionError("closed before the answer")


def talk_aloud(connection) -> tuple[list[str], bytes]:
    with connection as realtime:
        for begin in range(0, len(SAID), 4800):
            realtime.input_audio_buffer.append(audio=base64.b64encode(SAID[begin : begin + 4800]).decode())
        seen, heard = [], b""
        for event in realtime:
            seen.append(event.type)
            assert event.type != "error", event
            if event.type == "response.output_audio.delta":
                heard += base64.b64decode(event.delta)
            if event.type == "response.done":
                return seen, heard
    raise AssertionError("closed before the answer")


async def test_the_official_client_writes_and_reads(servers, official):
    where = await servers.start()
    seen, answer = await in_thread(talk_in_writing, official(where, model="m1"))
    assert seen[0] == "session.created"
    assert "session.updated" in seen
    assert "Grüße" in answer


async def test_the_official_client_speaks_and_hears(servers, official):
    where = await servers.start()
    seen, heard = await in_thread(talk_aloud, official(where, model="m1"))
    assert seen.index("input_audio_buffer.speech_started") < seen.index("input_audio_buffer.speech_stopped")
    assert 0.4 < len(heard) / (2 * RATE) < 1.5
    assert energy(heard) > 3000


async def test_the_official_client_is_told_that_its_key_is_wrong(servers, official):
    from websockets.exceptions import InvalidStatus

    where = await servers.start(api_key="secret")
    with pytest.raises(InvalidStatus) as caught:
        await in_thread(talk_in_writing, official(where, "wrong", model="m1"))
    assert caught.value.response.status_code == 401


# The command


def test_help_says_what_it_is_for():
    output = CliRunner().invoke(backend, ["--help"]).output
    assert "--backend realtime:URL" in " ".join(output.split())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--listen", "nonsense"], "IP:PORT"),
        (["--agent", "nowhere:agent"], 'no module "nowhere"'),
        (["--agent", "json:dumps"], "not an async function"),
        (["--api-key", " "], "is empty"),
    ],
)
def test_what_is_wrong_with_the_options_is_told(arguments, word):
    result = CliRunner().invoke(backend, arguments)
    assert result.exit_code == 2
    assert word in " ".join(result.output.split())


@pytest.mark.e2e
def test_the_process_serves_prints_its_url_and_stops_cleanly(official):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRIO_VOICE_")}
    command = [sys.executable, "-m", "edge", "backend", "--listen", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean) as process:
        try:
            line = process.stdout.readline()
            where = re.search(r"ws://(127\.0\.0\.1:\d+)/v1/realtime", line)[1]
            assert f"serve --backend realtime:ws://{where}/v1/realtime" in process.stdout.readline()
            seen, _ = talk_in_writing(official(where, model="m1"))
            assert seen[-1] == "response.done"
            with official(where, model="m1") as realtime:
                assert realtime.recv().type == "session.created"
                process.send_signal(signal.SIGTERM)
                with pytest.raises(Exception, match="1001") as caught:
                    realtime.recv()
                assert caught.value.rcvd.reason == "the server is stopping"
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "Stopped.\n")
    assert "Traceback" not in err
