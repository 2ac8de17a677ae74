"""A Realtime server that does what it is told, the wrong things above all. It shares no code with ours.

How it begins is said by the model that it is asked for:

| model     | what it does                  |
|-----------|-------------------------------|
| `refuses` | answers 403                   |
| `hangs`   | never answers the upgrade     |
| `silent`  | upgrades, and says nothing    |
| `babbles` | says what is no event         |
| `beta…`   | speaks the beta shape         |
| any other | speaks the GA shape           |

A conversation that has begun obeys what a client writes:

| text            | what it does                                              |
|-----------------|-----------------------------------------------------------|
| `speak SECONDS` | says so much, as fast as it can                           |
| `die`           | says half a word, and the connection is reset             |
| `hear`          | claims that the caller speaks                             |
| `babble`        | says what is no event, and then something                 |
"""

import base64
import itertools
import json
import math
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from .sound import speech

__all__ = ["Heard", "ScriptedBackend", "serve_scripted_backend"]

RATE = 24000
_SECOND = 2 * RATE
_NONSENSE = ("", "{", "[]", "null", '"hello"', "{}", '{"type": 7}', '{"type": ""}', "\x00", "NaN", "[" * 5000)
_BETA_NAMES = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "conversation.item.added": "conversation.item.created",
}


@attrs.define
class Heard:
    """What one conversation has brought.

    Attributes:
        model: as asked for.
        events: all but audio, in order.
        pieces: the caller's audio, each piece with the time of day when it came.
        is_over: whether the connection has ended.
    """

    model: str
    events: list[dict[str, Any]] = attrs.field(factory=list)
    pieces: list[tuple[float, bytes]] = attrs.field(factory=list)
    is_over: bool = False

    def of_type(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == name]


@attrs.define
class ScriptedBackend:
    """The server; runs on a thread of its own.

    Attributes:
        url: where it is.
        conversations: those that have begun, the oldest first.
    """

    url: str = ""
    conversations: list[Heard] = attrs.field(factory=list)

    def last(self, model: str) -> Heard:
        return next(heard for heard in reversed(self.conversations) if heard.model == model)

    async def serve(self, started: threading.Event, scope: trio.CancelScope) -> None:
        with scope:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listeners[0].socket.getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/v1/realtime"
            started.set()
            await trio.serve_listeners(self._serve_stream, listeners)

    async def _serve_stream(self, stream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:
            with suppress(ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
                request = await wrap_server_stream(nursery, stream)
                model = parse_qs(urlsplit(request.path).query).get("model", [""])[0]
                heard = Heard(model)
                self.conversations.append(heard)
                try:
                    if model == "hangs":
                        await trio.sleep_forever()
                    if model == "refuses":
                        await request.reject(403, body=b'{"error": {"message": "Not with this key."}}')
                        return
                    await _Conversation(stream, await request.accept(), heard).run()
                finally:
                    heard.is_over = True
            nursery.cancel_scope.cancel()


class _Conversation:
    def __init__(self, stream: trio.SocketStream, socket: WebSocketConnection, heard: Heard) -> None:
        self._stream = stream
        self._socket = socket
        self._heard = heard
        self._is_beta = heard.model.startswith("beta")
        self._numbers = itertools.count(1)
        self._response: str | None = None  # the one in progress

    async def run(self) -> None:
        if self._heard.model == "silent":
            await trio.sleep_forever()
        if self._heard.model == "babbles":
            for text in itertools.cycle(_NONSENSE):
                await self._socket.send_message(text)
        session = {"modalities": ["text", "audio"], "voice": "old"} if self._is_beta else {"type": "realtime"}
        await self._send({"type": "session.created", "session": session})
        while True:
            event = json.loads(await self._socket.get_message())
            if event["type"] == "input_audio_buffer.append":
                self._heard.pieces.append((time.time(), base64.b64decode(event["audio"])))
                continue
            self._heard.events.append(event)
            if event["type"] == "session.update":
                await self._send({"type": "session.updated", "session": event["session"]})
            elif event["type"] == "conversation.item.create":
                await self._obey(event["item"])

    async def _obey(self, item: dict[str, Any]) -> None:
        is_replayed = "id" in item
        item = {"id": self._name("item"), **item}
        await self._send({"type": "conversation.item.added", "item": item})
        if is_replayed:  # it was obeyed before
            return
        match "".join(part.get("text", "") for part in item.get("content", ())).split():
            case ["speak", seconds]:
                await self._speak(float(seconds))
            case ["die"]:
                await self._speak(2.0, is_whole=False)
                # A reset, as of a process that was killed: nothing says goodbye.
                linger = struct.pack("ii", 1, 0)
                self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                await trio.aclose_forcefully(self._stream)
            case ["hear"]:
                await self._send(
                    {"type": "input_audio_buffer.speech_started", "item_id": self._name("item"), "audio_start_ms": 0}
                )
            case ["babble"]:
                for text in _NONSENSE[:5]:
                    await self._socket.send_message(text)
                await self._speak(1.0)

    async def _speak(self, seconds: float, *, is_whole: bool = True) -> None:
        response, item = self._name("resp"), self._name("item")
        names = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        await self._send({"type": "response.created", "response": {"id": response, "status": "in_progress"}})
        await self._send({"type": "response.output_item.added", **names, "item": message})
        await self._send({"type": "response.output_audio_transcript.delta", **names, "delta": "Some "})
        for piece in _pieces_of_speech(seconds):
            audio = base64.b64encode(piece).decode()
            await self._send({"type": "response.output_audio.delta", **names, "delta": audio})
        if is_whole:
            await self._send({"type": "response.output_audio.done", **names})
            done = {"id": response, "status": "completed", "output": [message | {"status": "completed"}]}
            await self._send({"type": "response.done", "response": done})

    async def _send(self, event: dict[str, Any]) -> None:
        if self._is_beta:
            event = {**event, "type": _BETA_NAMES.get(event["type"], event["type"])}
        await self._socket.send_message(json.dumps({"event_id": self._name("event"), **event}))

    def _name(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"


def _pieces_of_speech(seconds: float) -> Iterator[bytes]:
    pcm = speech(RATE)
    pcm *= math.ceil(seconds * _SECOND / len(pcm))
    end = round(seconds * RATE) * 2
    return (pcm[at : min(at + _SECOND, end)] for at in range(0, end, _SECOND))


@contextmanager
def serve_scripted_backend() -> Iterator[ScriptedBackend]:
    """Serve until the block ends."""
    backend, started, scope = ScriptedBackend(), threading.Event(), trio.CancelScope()
    token: list[trio.lowlevel.TrioToken] = []

    async def run() -> None:
        token.append(trio.lowlevel.current_trio_token())
        await backend.serve(started, scope)

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    assert started.wait(5)
    try:
        yield backend
    finally:
        token[0].run_sync_soon(scope.cancel)
        thread.join(5)
