"""`make serve` in a bare Debian with what README.md asks for and nothing else: it serves, takes a call, and stops."""

import os
import re
import signal
import subprocess
import time
import urllib.request
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from bench.ports import free_port

from ..e2e.sound import Envelope, match, speech, write_wav  # noqa: TID252
from .bare_root import build, command_as_root, copied
from .fleet_manifests import ROOT
from .lent_network import lent_network

pytestmark = pytest.mark.e2e

CHECKOUT = "/root/trio-voice"
INSTALL_SECONDS = 300.0  # pip's, with a slow mirror
STOP_SECONDS = 20.0
RATE = 48000
SPEECH_SECONDS = 2


@attrs.frozen(kw_only=True)
class Machine:
    """A machine with a checkout.

    Attributes:
        root: its files.
        variables: of its programs.
        mounts: what it is lent.
    """

    root: Path
    variables: Mapping[str, str]
    mounts: Sequence[str]

    def start(self, script: str, output: int) -> subprocess.Popen[bytes]:
        """Run a script in the checkout."""
        command = command_as_root(self.root, self.mounts, f"cd {CHECKOUT} && {script}")
        return subprocess.Popen(command, env=self.variables, stdout=output, stderr=subprocess.STDOUT)

    def output_of(self, script: str, seconds: float) -> str:
        """Run a script to its end, which must be a good one."""
        process = self.start(script, subprocess.PIPE)
        try:
            output = process.communicate(timeout=seconds)[0].decode()
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, output
        return output


@pytest.fixture
def machine() -> Iterator[Machine]:
    with (
        build(ROOT / "tests" / "deploy" / "Freshfile", ROOT) as image,
        copied(image.root, ROOT, CHECKOUT) as root,
        lent_network(root) as (variables, mounts),
    ):
        home = {"HOME": "/root", "LANG": "C.UTF-8"}
        yield Machine(root=root, variables={**image.environment, **home, **variables}, mounts=mounts)


def test_make_serve(machine: Machine, tmp_path: Path) -> None:
    packages = machine.output_of("dpkg-query --show --showformat '${Package}\\n'", 20).split()
    assert {"git", "make", "python3-venv"} <= set(packages)
    assert not {"gcc", "g++", "libopus0", "libsrtp2-1", "python3-pip"} & set(packages)
    http, media, log = free_port(), free_port(), tmp_path / "log"
    with served(machine, f"--http {http} --media-port {media}", log) as url:
        assert url == f"http://127.0.0.1:{http}"
        with urllib.request.urlopen(url, timeout=10) as page:
            assert "Talk" in page.read().decode()
        call = f".venv/bin/trio-voice call {url} --wav said.wav --record heard.wav --seconds {SPEECH_SECONDS * 2 + 3}"
        said = speech(RATE)[: SPEECH_SECONDS * RATE * 2]
        write_wav(machine.root / CHECKOUT[1:] / "said.wav", said, RATE)
        told = machine.output_of(call, 60)
    assert "DTLS 1.3" in told
    with wave.open(str(machine.root / CHECKOUT[1:] / "heard.wav")) as heard:
        assert heard.getnchannels() == 1
        copy = Envelope.of_pcm(heard.readframes(heard.getnframes()), heard.getframerate())
    # The parrot has said back what it heard, when the caller had finished.
    echo = match(Envelope.of_pcm(said, RATE), copy, latest=SPEECH_SECONDS + 2)
    assert echo.correlation > 0.9, f"{echo}\n{told}"
    assert echo.delay > SPEECH_SECONDS


@contextmanager
def served(machine: Machine, options: str, log: Path) -> Iterator[str]:
    """Run `make serve` and give the address that it prints; in the end Ctrl-C must stop it with status 0."""
    with log.open("wb") as output:
        make = machine.start(f"make serve ARGS='{options}'", output.fileno())
    try:
        yield wait_for_address(make, log)
        os.kill(find_program(make.pid), signal.SIGINT)
        assert make.wait(STOP_SECONDS) == 0, log.read_text()
    finally:
        make.kill()
        make.wait()
    assert log.read_text().endswith("Stopped.\n")


def wait_for_address(make: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + INSTALL_SECONDS
    while (found := re.search(r"^Open (\S+) and press Talk", log.read_text(), re.MULTILINE)) is None:
        assert make.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return found[1]


def find_program(pid: int) -> int:
    """Find our program among the descendants of a process."""
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        if b"trio-voice\0serve" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
        found = find_program(child)
        if found:
            return found
    return 0
