"""A stand-in for the whole edge, for the tests of the page: it serves the page and answers calls with aiortc.

Run as a process of its own: `python fake_edge.py`. It prints its port, and ends when its standard input closes.
Tests choose its behaviour with `POST /fake/<behaviour>`, and see in `GET /fake` what it was asked to do. As an "agent"
it says on the data channel what a test POSTs to `/fake/send`, makes a tone between `/fake/speak` and `/fake/hush`, and
shows in `GET /fake/events` what it was sent; in all other behaviours it echoes.
"""

import asyncio
import json
import math
import mimetypes
import re
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import sleep

from edge.http.static import PAGE_HEADERS

PAGES = Path(__file__).parents[3] / "edge" / "pages"
CALLS = "/v1/realtime/calls"
BEHAVIOURS = (
    "echo",
    "agent",
    "no-channel",
    "terse",
    "slow",
    "mute",
    "dead-port",
    "key",
    "overloaded",
    "broken",
    "nonsense",
)
KEY = "let-me-in"
GROUP = "secp256r1"
DEAD_PORT = 9
CALL_ID_TAIL = "9fK2mQ7xR4tV8wZ1cB6nL3pS5dG0hJ" * 2  # as long as the ids of the real edge
TONE_HZ = 600
SLOW_SECONDS = 0.5
MUTE_SECONDS = 2


class Voice:
    """The agent's voice: a tone, or silence."""

    def __init__(self) -> None:
        self.is_speaking = False

    def make_track(self):
        from aiortc.mediastreams import AudioStreamTrack

        voice = self

        class Track(AudioStreamTrack):
            async def recv(self):
                frame = await super().recv()
                if voice.is_speaking:
                    first, step = frame.pts, 2 * math.pi * TONE_HZ / frame.sample_rate
                    samples = (int(9000 * math.sin(step * (first + i))) for i in range(frame.samples))
                    frame.planes[0].update(struct.pack(f"<{frame.samples}h", *samples))
                return frame

        return Track()


class Calls:
    """Calls that send back the audio they get, or speak as an agent does, all on one event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.voice = Voice()
        self.events: list[str] = []
        self._calls = {}
        self._channel = None
        Thread(target=self.loop.run_forever, daemon=True).start()

    def answer(self, call_id: str, offer: str, *, is_agent: bool) -> str:
        return self._wait_for(self._answer(call_id, offer, is_agent))

    def send(self, text: str) -> None:
        """Say something on the data channel."""
        self._wait_for(self._send(text))

    def close_channel(self) -> None:
        self._wait_for(self._close_channel())

    def end_all(self) -> None:
        self._wait_for(self._end_all())

    def vanish(self) -> None:
        """Stop answering on every call, without a word to anyone."""
        self._wait_for(self._vanish())

    def _wait_for(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _answer(self, call_id: str, offer: str, is_agent: bool) -> str:
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

        peer = self._calls[call_id] = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.events.clear()
        self.voice.is_speaking = False
        if is_agent:
            peer.addTrack(self.voice.make_track())
        else:
            peer.on("track", peer.addTrack)
        peer.on("datachannel", self._adopt)
        # The page sends no candidates, and aioice gives up at once without one: let it try a port where nobody is.
        with_candidate = offer + f"a=candidate:1 1 udp 1 127.0.0.1 {DEAD_PORT} typ host\r\n"
        await peer.setRemoteDescription(RTCSessionDescription(with_candidate, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return peer.localDescription.sdp

    def _adopt(self, channel) -> None:
        self._channel = channel
        channel.on("message", self.events.append)

    async def _send(self, text: str) -> None:
        self._channel.send(text)

    async def _close_channel(self) -> None:
        self._channel.close()

    async def _end_all(self) -> None:
        calls, self._calls = self._calls, {}
        for peer in calls.values():
            await peer.close()

    async def _vanish(self) -> None:
        for peer in self._calls.values():
            await peer.getTransceivers()[0].receiver.transport.transport.stop()


class FakeEdge(ThreadingHTTPServer):
    """What is shared by the requests: the behaviour in force, and what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("", 0), Handler)
        self.calls = Calls()
        self.behaviour = "echo"
        self.asked: list[dict[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    """The routes of the edge that the page uses, and the tests' own."""

    server: FakeEdge
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._reply(200)

    def do_GET(self) -> None:
        if self.path == "/fake":
            return self._reply(200, json.dumps(self.server.asked).encode(), "application/json")
        if self.path == "/fake/events":
            return self._reply(200, json.dumps(self.server.calls.events).encode(), "application/json")
        if self.path.startswith(CALLS):
            return self._describe_call()
        name = self.path.partition("?")[0].lstrip("/") or "index.html"
        file = PAGES / name
        if file.parent != PAGES or file.suffix not in {".html", ".css", ".js", ".svg"} or not file.exists():
            return self._reply(404)
        kind, _ = mimetypes.guess_type(name)
        return self._reply(200, file.read_bytes(), kind or "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/fake/"):
            self._behave(self.path.removeprefix("/fake/"), body.decode())
        elif self.path == CALLS:
            self._note()
            self._create_call(body.decode())
        else:
            self._reply(404)

    def do_DELETE(self) -> None:
        self._note()
        self.server.calls.end_all()
        self._reply(200)

    def log_message(self, *_: object) -> None:
        pass

    def _behave(self, behaviour: str, text: str) -> None:
        calls = self.server.calls
        if behaviour == "hang-up":
            calls.end_all()
        elif behaviour == "vanish":
            calls.vanish()
        elif behaviour == "send":
            calls.send(text)
        elif behaviour == "close-channel":
            calls.close_channel()
        elif behaviour in ("speak", "hush"):
            calls.voice.is_speaking = behaviour == "speak"
        elif behaviour in BEHAVIOURS:
            self.server.behaviour = behaviour
            self.server.asked.clear()
        else:
            return self._reply(404)
        return self._reply(204)

    def _create_call(self, offer: str) -> None:
        match self.server.behaviour:
            case "key" if self.headers.get("Authorization") != f"Bearer {KEY}":
                return self._refuse(401, "Missing or unknown API key", "invalid_api_key")
            case "overloaded":
                return self._refuse(503, "All lines are busy", "server_overloaded", ("Retry-After", "7"))
            case "broken":
                return self._reply(502, b"<h1>Bad gateway</h1>", "text/html")
            case "slow":
                sleep(SLOW_SECONDS)
            case "mute":
                sleep(MUTE_SECONDS)
            case "nonsense":
                return self._answer("rtc_nonsense", "this is no session description")
        call_id = f"rtc_{len(self.server.asked)}{CALL_ID_TAIL}"
        answer = self.server.calls.answer(call_id, offer, is_agent=self.server.behaviour == "agent")
        if self.server.behaviour == "no-channel":
            answer = refuse_channel(answer)
        if self.server.behaviour == "dead-port":
            answer = move_candidates(answer)
        return self._answer(call_id, answer)

    def _describe_call(self) -> None:
        if self.server.behaviour == "terse":
            return self._reply(404)
        return self._reply(200, json.dumps({"dtls": {"group": GROUP}}).encode(), "application/json")

    def _answer(self, call_id: str, answer: str) -> None:
        self._reply(201, answer.encode(), "application/sdp", ("Location", f"{CALLS}/{call_id}"))

    def _refuse(self, status: int, message: str, code: str, *headers: tuple[str, str]) -> None:
        error = {"error": {"message": message, "type": "invalid_request_error", "code": code, "param": None}}
        self._reply(status, json.dumps(error).encode(), "application/json", *headers)

    def _reply(self, status: int, body: bytes = b"", kind: str = "text/plain", *headers: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in (*PAGE_HEADERS, *headers):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _note(self) -> None:
        asked = {name: self.headers.get(name, "") for name in ("Content-Type", "Authorization")}
        self.server.asked.append({"method": self.command, "path": self.path, **asked})


def move_candidates(answer: str) -> str:
    """Put a candidate where nobody listens in the place of the answer's own: what a network without UDP looks like."""
    kept = [line for line in answer.splitlines() if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "\r\n".join([*kept, f"a=candidate:1 1 udp 2130706431 127.0.0.1 {DEAD_PORT} typ host", ""])


def refuse_channel(answer: str) -> str:
    """Take the data channel out of an answer: RFC 3264 §6, with port 0; RFC 9143 §7.3.3, out of the bundle."""
    return re.sub(r"m=application \d+", "m=application 0", answer).replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0")


if __name__ == "__main__":
    import aiortc  # noqa: F401 - takes a second or two, for which no first call is to wait

    edge = FakeEdge()
    Thread(target=edge.serve_forever, daemon=True).start()
    print(edge.server_port, flush=True)  # read by the test that started this process
    sys.stdin.read()
