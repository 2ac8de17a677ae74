"""The system's Chromium with a microphone that plays a file, here or on a host of its own."""

import math
import shutil
import struct
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

from bench.browser import MICROPHONE_FLAGS, OFFLINE_FLAGS

__all__ = ["CALL", "TONE_HZ", "chromium_page", "launch", "write_tone"]

CALL = (Path(__file__).parent / "call.js").read_text()
"""Places a call from a page of signal's."""

TONE_HZ = 700.0


def write_tone(path: Path) -> Path:
    """Write a pure tone: 48 kHz, mono, 16 bits, as Chromium's fake microphone wants it."""
    samples = [round(12000 * math.sin(2 * math.pi * TONE_HZ * n / 48000)) for n in range(48000 * 2)]
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(48000)
        wav.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def launch(playwright: Playwright, tone: Path, *flags: str, program: Path | None = None) -> Browser:
    executable = program or shutil.which("chromium")
    assert executable, "the system's Chromium is missing: `make test` installs it from Debian's packages"
    return playwright.chromium.launch(
        executable_path=executable,
        args=[*OFFLINE_FLAGS, *MICROPHONE_FLAGS, f"--use-file-for-fake-audio-capture={tone}", *flags],
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
