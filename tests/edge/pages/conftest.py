"""A browser with a tone for a microphone, and a stand-in for the edge in a process of its own."""

import json
import math
import re
import signal
import socket
import struct
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import attrs
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.browser import OFFLINE_FLAGS
from bench.ports import free_port

CHROMIUM = "/usr/bin/chromium"
TONE_HZ = 440


@attrs.define
class FakeEdgeProcess:
    """The stand-in, as the tests see it."""

    process: subprocess.Popen[str]
    port: int

    @classmethod
    def start(cls) -> "FakeEdgeProcess":
        script = Path(__file__).parent / "fake_edge.py"
        process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return cls(process, int(process.stdout.readline()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def behave(self, behaviour: str) -> None:
        self._request("POST", f"/fake/{behaviour}")

    def asked(self, method: str) -> list[dict[str, str]]:
        return [request for request in json.loads(self._request("GET", "/fake")) if request["method"] == method]

    def send(self, kind: str, **fields: Any) -> None:
        """Say an event on the data channel, as an agent."""
        self.send_text(json.dumps({"type": kind, "event_id": "event_1", **fields}))

    def send_text(self, text: str) -> None:
        self._request("POST", "/fake/send", text)

    def events(self) -> list[dict[str, Any]]:
        """What the page has sent on the data channel, ids of the events left out."""
        events = map(json.loads, json.loads(self._request("GET", "/fake/events")))
        return [{name: value for name, value in event.items() if name != "event_id"} for event in events]

    def _request(self, method: str, path: str, body: str | None = None) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body)
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        assert reply.status < 300, f"{method} {path}: {reply.status}"
        return body

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def running_edge() -> Iterator[FakeEdgeProcess]:
    edge = FakeEdgeProcess.start()
    yield edge
    edge.stop()


@pytest.fixture
def edge(running_edge: FakeEdgeProcess) -> FakeEdgeProcess:
    running_edge.behave("echo")
    return running_edge


@pytest.fixture
def start_edge() -> Iterator[Callable[[], FakeEdgeProcess]]:
    """More of them, for a test that takes them away."""
    started: list[FakeEdgeProcess] = []

    def start() -> FakeEdgeProcess:
        started.append(FakeEdgeProcess.start())
        return started[-1]

    yield start
    for edge in started:
        edge.stop()


@pytest.fixture
def real_edge() -> Iterator[str]:
    """The address of `trio-voice serve`, all tiers in one process."""
    command = [str(Path(sys.executable).with_name("trio-voice")), "serve", "--log-format", "json"]
    ports = ["--http", f"127.0.0.1:{free_port()}", "--media-port", str(free_port())]
    process = subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if found := re.match(r"Open (http://\S+) ", line):
            break
    else:
        pytest.fail(f"trio-voice serve ended without an address: {''.join(said)}")
    yield found[1] + "/"
    process.terminate()
    process.communicate(timeout=20)


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a tone, a whole number of waves: it loops without a click."""
    path = tmp_path_factory.mktemp("microphone") / "tone.wav"
    rate = 48_000
    samples = (int(9000 * math.sin(2 * math.pi * TONE_HZ * i / rate)) for i in range(2 * rate))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path


# For one module only: Playwright's synchronous API holds the thread's event loop, which other tests want.
@pytest.fixture(scope="module")
def chromium(tone: Path) -> Iterator[Browser]:
    # No --use-fake-ui-for-media-stream: a test grants the microphone, or does not and sees it refused.
    microphone = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={tone}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OFFLINE_FLAGS, *microphone])
        yield browser
        browser.close()


# A microphone that the test controls: window.speak(true) and window.speak(false).
MICROPHONE = """() => {
    const context = new AudioContext();
    const tone = new OscillatorNode(context, {frequency: 300});
    const mouth = new GainNode(context, {gain: 0});
    const way = context.createMediaStreamDestination();
    tone.connect(mouth).connect(way);
    tone.start();
    navigator.mediaDevices.getUserMedia = async () => { await context.resume(); return way.stream.clone(); };
    window.speak = (on) => { mouth.gain.value = on ? 0.3 : 0; };
}"""


@pytest.fixture
def open_with_mouth(open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Open the page with a microphone that is silent until the test calls `window.speak(true)`."""

    def open_it(url: str, **settings: Any) -> Page:
        page = open_page(url, **settings)
        page.evaluate(MICROPHONE)
        return page

    return open_it


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open the page in a browser context of its own; whatever it logs as an error fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_it(url: str, *, microphone: bool = True, expect_errors: bool = False, **context: Any) -> Page:
        contexts.append(chromium.new_context(permissions=["microphone"] if microphone else [], **context))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if not expect_errors:
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="session")
def own_address() -> str:
    """The machine's address on its network: to a browser, a page from there is not a secure one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address: str = probe.getsockname()[0]
    return address
