"""Three separate processes and a real browser."""

import json
import math
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

TONE_HZ = 700.0
PROGRAM = Path(sys.executable).with_name("trio-voice")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.define
class Edge:
    """A signal, a relay and a transceiver, each a process of its own."""

    folder: Path
    signal_url: str
    relay_url: str
    control_url: str
    media_port: int
    processes: dict[str, subprocess.Popen[bytes]] = attrs.field(factory=dict)

    def get(self, url: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def call_state(self, location: str) -> dict[str, Any] | None:
        status, body = self.get(self.signal_url + location)
        return json.loads(body) if status == 200 else None

    def metric(self, url: str, name: str, **labels: str) -> float:
        """Sum a metric's samples that carry the given labels."""
        total = 0.0
        for line in self.get(f"{url}/metrics")[1].splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.split("{")[0] == name and all(f'{key}="{text}"' in sample for key, text in labels.items()):
                total += float(value)
        return total

    def wait_until(self, what: str, condition: Any, seconds: float = 10.0) -> Any:
        """Poll what another process will do soon; fails with `what` after a deadline."""
        deadline = time.monotonic() + seconds
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > deadline:
                logs = "\n".join(self.log(role)[-3000:] for role in self.processes)
                pytest.fail(f"did not happen within {seconds} s: {what}\n{logs}")
            time.sleep(0.05)

    def log(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text(errors="replace")

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for role, process in self.processes.items():
            try:
                code = process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                pytest.fail(f"{role} did not stop on SIGTERM:\n{self.log(role)[-3000:]}")
            assert code == 0, f"{role} ended with {code}:\n{self.log(role)[-3000:]}"


def start_edge(folder: Path) -> Edge:
    """Make keys and configuration as an operator would, and start the three tiers."""
    subprocess.run([PROGRAM, "keys", "new", str(folder / "keys")], check=True, capture_output=True)
    http, relay_http, control = free_port(), free_port(), free_port()
    media, relay_hop, transceiver_hop = (free_port(socket.SOCK_DGRAM) for _ in range(3))
    config = {
        "signal": f"""
[signal]
listen = "127.0.0.1:{http}"
transceivers = ["http://127.0.0.1:{control}"]
ingresses = ["1=127.0.0.1:{media}"]
""",
        "relay": f"""
[relay]
hop = "127.0.0.1:{relay_hop}"
http = "127.0.0.1:{relay_http}"
transceivers = ["127.0.0.1:{transceiver_hop}"]
[[relay.ingresses]]
id = 1
advertise = "127.0.0.1:{media}"
bind = "127.0.0.1:{media}"
""",
        "transceiver": f"""
[transceiver]
backend = "echo"
hop = "127.0.0.1:{transceiver_hop}"
control = "127.0.0.1:{control}"
""",
    }
    edge = Edge(
        folder,
        f"http://127.0.0.1:{http}",
        f"http://127.0.0.1:{relay_http}",
        f"http://127.0.0.1:{control}",
        media,
    )
    for role, text in config.items():
        path = folder / f"{role}.toml"
        path.write_text(f'keys = "{folder}/keys/{role}.keys"\n{text}')
        with (folder / f"{role}.log").open("wb") as log:
            edge.processes[role] = subprocess.Popen(
                [PROGRAM, "serve", "--role", role, "--config", str(path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
    for url in (edge.signal_url, edge.relay_url, edge.control_url):
        edge.wait_until(f"{url} is ready", lambda url=url: _is_ready(edge, url), 20)
    return edge


def _is_ready(edge: Edge, url: str) -> bool:
    try:
        return edge.get(f"{url}/readyz")[0] == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    edge = start_edge(tmp_path_factory.mktemp("edge"))
    yield edge
    edge.stop()


@pytest.fixture(scope="session")
def tone_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pure tone: 48 kHz, mono, 16 bits, as Chromium's fake microphone wants it."""
    path = tmp_path_factory.mktemp("audio") / "tone.wav"
    samples = [round(12000 * math.sin(2 * math.pi * TONE_HZ * n / 48000)) for n in range(48000 * 2)]
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(48000)
        wav.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


# For one module only: Playwright's synchronous API holds the thread's event loop, which other tests want.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as instance:
        yield instance


def launch(playwright: Playwright, tone: Path, *flags: str) -> Browser:
    executable = shutil.which("chromium")
    assert executable, "the system's Chromium is missing: `make test` installs it from Debian's packages"
    return playwright.chromium.launch(
        executable_path=executable,
        args=[*CHROMIUM_FLAGS, f"--use-file-for-fake-audio-capture={tone}", *flags],
    )


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, tone_wav: Path) -> Iterator[Browser]:
    browser = launch(playwright, tone_wav)
    yield browser
    browser.close()
