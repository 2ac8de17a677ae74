"""A Realtime server in a process of its own, which numbers what it says and notes what it hears.

It shares no code with ours.

    python -m tests.e2e.numbering_backend PORT FILE

It obeys the texts that a client says:

| text      | what it does                                                                                      |
|-----------|---------------------------------------------------------------------------------------------------|
| a number  | is noted                                                                                          |
| `speak`   | speaks as long as it hears the caller, until it is told to hush, an event beside every other frame |
| `hush`    | comes to the end of its response                                                                  |
| `ask N`   | answers the next `response.create` with half a second of speech: "answer N"                       |

Whether it is to speak is a matter of the conversation: of a connection that is told an older one, too. Events that
clients see are numbered by connection: "numbered_CONNECTION_NUMBER" is the name of each. FILE gets a line of JSON for
what happens: [time, connection, what, …], the time by the monotonic clock.

| what     | further                                                                    |
|----------|----------------------------------------------------------------------------|
| `opened` |                                                                            |
| `got`    | the number, and whether it was told as a part of an earlier conversation   |
| `heard`  | milliseconds of the caller's audio so far                                  |
| `says`   | the number of an event, which goes now                                     |
| `closed` |                                                                            |
"""

import base64
import itertools
import json
import random
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

RATE = 24000
FRAME_SECONDS = 0.04
AHEAD_SECONDS = 0.4
"""How far it is ahead of the voice, as a backend that makes speech faster than real time and yet a bit at a time."""
ANSWER_FRAMES = 12
LOUDNESS = 6000


def noise(seed: int) -> bytes:
    """A frame of noise: whatever an encoder does with it, the packet is a large one."""
    source = random.Random(seed)
    samples = round(RATE * FRAME_SECONDS)
    return struct.pack(f"<{samples}h", *(source.randint(-LOUDNESS, LOUDNESS) for _ in range(samples)))


class Numbering:
    """All connections, and the file.

    Args:
        file: where notes go.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._connections = itertools.count()

    async def serve(self, request: WebSocketRequest) -> None:
        number = next(self._connections)
        self.note(number, "opened")
        try:
            await Conversation(await request.accept(), number, self).run()
        except* (ConnectionClosed, trio.BrokenResourceError):
            self.note(number, "closed")

    def note(self, connection: int, what: str, *facts: object) -> None:
        self._file.write(json.dumps([time.monotonic(), connection, what, *facts]) + "\n")


class Conversation:
    """One connection.

    Args:
        socket: to the edge.
        number: of the connection.
        numbering: where to note.
    """

    def __init__(self, socket: WebSocketConnection, number: int, numbering: Numbering) -> None:
        self._socket = socket
        self._number = number
        self._numbering = numbering
        self._events = itertools.count()
        self._names = itertools.count()
        self._heard_ms = 0.0
        self._is_to_speak = False
        self._is_speaking = False
        self._question = ""

    async def run(self) -> None:
        await self._send({"type": "session.created", "session": {"type": "realtime"}})
        async with trio.open_nursery() as nursery:
            while True:
                event = json.loads(await self._socket.get_message())
                match event["type"]:
                    case "input_audio_buffer.append":
                        self._hear(event["audio"])
                        if self._is_to_speak and not self._is_speaking:
                            self._is_speaking = True
                            nursery.start_soon(self._speak)
                    case "session.update":
                        await self._send({"type": "session.updated", "session": event["session"]})
                    case "conversation.item.create":
                        await self._obey(event["item"])
                    case "response.create":
                        nursery.start_soon(self._answer, self._question)

    def _hear(self, audio: str) -> None:
        self._heard_ms += 1000 * len(base64.b64decode(audio)) / 2 / RATE
        self._numbering.note(self._number, "heard", self._heard_ms)

    async def _obey(self, item: dict[str, Any]) -> None:
        is_replayed = "id" in item
        match "".join(part.get("text", "") for part in item.get("content", ())).split():
            case [number] if number.isdecimal():
                self._numbering.note(self._number, "got", int(number), is_replayed)
            case ["speak"]:
                self._is_to_speak = True
            case ["hush"]:
                self._is_to_speak = False
            case ["ask", question]:
                self._question = question
        item = {"id": self._name("item"), **item}
        for what in ("added", "done"):
            # Who tells of an earlier conversation passes nothing on of the echo.
            event = {"type": f"conversation.item.{what}", "item": item}
            await (self._send(event) if is_replayed else self._say(event))

    async def _speak(self) -> None:
        try:
            await self._respond(itertools.count(), "")
        finally:
            self._is_speaking = False

    async def _answer(self, question: str) -> None:
        await self._respond(range(ANSWER_FRAMES), f"answer {question}")

    async def _respond(self, frames: Iterator[int] | range, answer: str) -> None:
        """Speak for so many frames, or with no answer to give until it is told to hush."""
        response, item = self._name("resp"), self._name("item")
        names = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "type": "message", "role": "assistant", "content": []}
        await self._say({"type": "response.created", "response": {"id": response, "status": "in_progress"}})
        await self._say({"type": "response.output_item.added", **names, "item": {**message, "status": "in_progress"}})
        await self._say({"type": "conversation.item.added", "item": {**message, "status": "in_progress"}})
        began = trio.current_time()
        for frame in frames:
            if not answer and not self._is_to_speak:
                break
            await trio.sleep_until(began + frame * FRAME_SECONDS - AHEAD_SECONDS)
            audio = base64.b64encode(noise(frame)).decode()
            await self._send({"type": "response.output_audio.delta", **names, "delta": audio})
            if frame % 2 == 0:
                await self._say({"type": "response.output_audio_transcript.delta", **names, "delta": answer or "."})
                answer = answer and " "
        await self._say({"type": "response.output_audio.done", **names})
        done = {**message, "status": "completed"}
        await self._say({"type": "conversation.item.done", "item": done})
        await self._say({"type": "response.output_item.done", **names, "item": done})
        await self._say(
            {"type": "response.done", "response": {"id": response, "status": "completed", "output": [done]}}
        )

    async def _say(self, event: dict[str, Any]) -> None:
        """Send what clients see."""
        number = next(self._events)
        self._numbering.note(self._number, "says", number)
        await self._send({**event, "event_id": f"numbered_{self._number}_{number}"})

    async def _send(self, event: dict[str, Any]) -> None:
        await self._socket.send_message(json.dumps({"event_id": self._name("event"), **event}))

    def _name(self, kind: str) -> str:
        return f"{kind}_{self._number}_{next(self._names)}"


async def main(port: int, path: Path) -> None:
    """Serve for ever."""
    with path.open("w", buffering=1) as file:
        await serve_websocket(Numbering(file).serve, "127.0.0.1", port, ssl_context=None)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), Path(sys.argv[2]))
