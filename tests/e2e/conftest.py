"""Three separate processes and a real browser."""

import math
import shutil
import struct
import tempfile
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from .edge_processes import PROGRAM, Edge, free_port, start_edge
from .page_server import serve_pages
from .scripted_backend import serve_scripted_backend
from .sound import speech, write_wav
from .talk import Talk
from .voice_edge import VoiceEdge, start_voice_edge

__all__ = ["PROGRAM", "TONE_HZ", "Edge", "Talk", "VoiceEdge", "chromium_page", "free_port", "launch"]

TONE_HZ = 700.0
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


def launch(playwright: Playwright, tone: Path, *flags: str, program: Path | None = None) -> Browser:
    executable = program or shutil.which("chromium")
    assert executable, "the system's Chromium is missing: `make test` installs it from Debian's packages"
    return playwright.chromium.launch(
        executable_path=executable,
        args=[*CHROMIUM_FLAGS, f"--use-file-for-fake-audio-capture={tone}", *flags],
    )


@contextmanager
def chromium_page(
    playwright: Playwright, tone: Path, url: str, *flags: str, namespace: str | None = None
) -> Iterator[Page]:
    """A page of a browser of its own, which may live in a namespace; there, `url` need not be secure."""
    with tempfile.TemporaryDirectory() as folder:
        program = None
        if namespace is not None:
            program = Path(folder) / "chromium"
            program.write_text(f'#!/bin/sh\nexec ip netns exec {namespace} {shutil.which("chromium")} "$@"\n')
            program.chmod(0o755)
            flags = (*flags, f"--unsafely-treat-insecure-origin-as-secure={url}")
        browser = launch(playwright, tone, *flags, program=program)
        try:
            page = browser.new_context(permissions=["microphone"]).new_page()
            page.goto(url)
            yield page
        finally:
            browser.close()


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, tone_wav: Path) -> Iterator[Browser]:
    browser = launch(playwright, tone_wav)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoiceEdge]:
    """A second edge, whose calls are answered by backends."""
    with (
        serve_pages() as origin,
        serve_scripted_backend() as scripted,
        start_voice_edge(tmp_path_factory.mktemp("voice"), origin, scripted) as edge,
    ):
        yield edge


@pytest.fixture(scope="session")
def spoken_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in voice of the caller, which pauses for less than ends a turn; Chromium plays it in a loop."""
    return write_wav(tmp_path_factory.mktemp("audio") / "spoken.wav", speech(48000))


@pytest.fixture(scope="module")
def speaking_chromium(playwright: Playwright, spoken_wav: Path) -> Iterator[Browser]:
    browser = launch(playwright, spoken_wav)
    yield browser
    browser.close()


@pytest.fixture
def open_talk(speaking_chromium: Browser, voice: VoiceEdge) -> Iterator[Callable[[], Talk]]:
    """Open pages that can call; behind the test nothing is left of what they have called."""
    calls, flows = voice.calls(), voice.flows()
    talks: list[Talk] = []

    def open_one() -> Talk:
        talks.append(Talk.open(speaking_chromium, voice))
        return talks[-1]

    try:
        yield open_one
        for talk in talks:
            talk.hang_up()
    finally:
        for talk in talks:
            talk.close()
    voice.wait_until_free(calls, flows)


@pytest.fixture
def talk(open_talk: Callable[[], Talk]) -> Talk:
    """A page that can call."""
    return open_talk()
