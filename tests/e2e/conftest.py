"""Three separate processes and a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from .chromium import TONE_HZ, chromium_page, launch, write_tone
from .edge_processes import PROGRAM, Edge, start_edge
from .former_release import Release, unpack_former_release
from .page_server import serve_pages
from .scripted_backend import serve_scripted_backend
from .sound import speech, write_wav
from .talk import Talk
from .voice_edge import VoiceEdge, start_voice_edge

__all__ = ["PROGRAM", "TONE_HZ", "Edge", "Talk", "VoiceEdge", "chromium_page", "launch"]


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    edge = start_edge(tmp_path_factory.mktemp("edge"))
    yield edge
    edge.stop()


@pytest.fixture
def server(redis_server: ModuleType) -> Iterator[Any]:
    """A store of the test's own."""
    with redis_server.redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def former(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The release before this one."""
    return unpack_former_release(tmp_path_factory.mktemp("former"))


@pytest.fixture(scope="session")
def tone_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pure tone for Chromium's fake microphone."""
    return write_tone(tmp_path_factory.mktemp("audio") / "tone.wav")


# For one module only: Playwright's synchronous API holds the thread's event loop, which other tests want.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as instance:
        yield instance


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
