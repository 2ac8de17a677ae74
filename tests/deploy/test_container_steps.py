"""The container file's steps in a bare Debian, and the fleet of the manifests running in what they made.

There is no container program here. What makes a container of a process is done one by one (`bare_root`): a root of its
own that nobody can write to, a user without any capability, and the number 1 among its processes.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bench.ports import free_port
from edge.config.model import Role

from .bare_root import Image, build, run_command
from .fleet_manifests import ROOT, fleet_of
from .one_node import is_answered, one_node, started, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with build(ROOT / "deploy" / "Containerfile", ROOT) as image:
        yield image


def _output(image: Image, *arguments: str, entrypoint: Sequence[str] | None = None) -> str:
    command, environment = run_command(image, arguments, entrypoint=entrypoint)
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_the_program_is_there(image: Image) -> None:
    assert _output(image, "--version").startswith("trio-voice, version ")
    assert "serve" in _output(image, *image.command)


def test_nothing_is_left_of_the_build(image: Image) -> None:
    path = ":".join(f"{image.root}{each}" for each in image.environment["PATH"].split(":"))
    for name in ("gcc", "cc", "pip", "pip3", "git", "make"):
        assert shutil.which(name, path=path) is None, name
    for name in ("source", "wheels", "etc/certificates-for-the-build"):
        assert not (image.root / name).exists()


def test_it_may_nothing(image: Image) -> None:
    script = "id -u; grep -c 'Cap[PEBA].*:.0*$' /proc/self/status; touch /tmp/a /opt/trio-voice/b || echo refused"
    assert _output(image, "-c", script, entrypoint=["sh"]).split() == ["65532", "4", "refused"]


def test_it_serves_alone(image: Image, tmp_path: Path) -> None:
    http, media, log = free_port(), free_port(), tmp_path / "log"
    command, environment = run_command(image, ["serve", "--http", str(http), "--media-port", str(media)])
    with started(command, environment, log, seconds=10.0):
        wait_until("it", lambda: is_answered(f"http://127.0.0.1:{http}/readyz"), log)


def test_the_fleet_of_the_manifests_takes_a_call(image: Image, tmp_path: Path) -> None:
    fleet = fleet_of("overlays/kind")
    with one_node(image, fleet, tmp_path, "192.0.2.10") as node:
        containers = [*map(fleet.container, Role), fleet.find_container("redis")]
        for wait in [node.start(container) for container in containers]:  # in no order, as in a cluster
            wait()
        signal = fleet.container(Role.SIGNAL)
        call = ("call", "http://127.0.0.1:8080", "--key", "sk-0", "--text", "hello", "--seconds", "4")
        shown = node.output_in(signal, *call)
        members = json.loads(node.output_in(signal, "fleet", "--json"))["members"]
        drained = node.output_in(signal, "drain", "pod-1")
    assert "response.output_audio_transcript.done  hello" in shown  # what the agent of the manifests says
    assert "192.0.2.10 port 3478" in shown  # by the address that they advertise
    names = {"signal": "pod-1", "relay": "trio-voice-control-plane", "transceiver": "pod-1"}
    assert {each["tier"]: each["name"] for each in members} == names  # as kubectl calls them
    assert "pod-1 drains" in drained
