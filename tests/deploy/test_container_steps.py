"""The container file's steps in a bare Debian, and the fleet of the manifests running in what they made.

There is no container program here. What makes a container of a process is done one by one (`bare_root`): a root of its
own that nobody can write to, a user without any capability, and the number 1 among its processes.
"""

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from edge.config.model import Role
from edge.key_files import write_all
from edge.keys import new_root

from ..e2e.edge_processes import free_port  # noqa: TID252 - tests are no package that could be named
from ..e2e.namespaces import command_in, inside, ip, namespaces  # noqa: TID252 - as above
from .bare_root import Image, build, mount_points, run_command
from .fleet_manifests import ROOT, Container, Fleet, fleet_of

pytestmark = pytest.mark.e2e

_START_SECONDS = 60.0  # of a machine that is busy with something else


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with build(ROOT / "deploy" / "Containerfile", ROOT) as image:
        yield image


@contextmanager
def _started(
    command: Sequence[str], environment: Mapping[str, str], log: Path, seconds: float
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a container; in the end SIGTERM, as an orchestrator sends it, must end it with 0 within the given time."""
    with log.open("wb") as output:
        outside = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield outside
        os.kill(_first_process(outside.pid), signal.SIGTERM)
        code = outside.wait(seconds)
        assert code == 0, f"it ended with {code}:\n{log.read_text()[-3000:]}"
    finally:
        outside.kill()
        outside.wait()


def _first_process(outside: int) -> int:
    """Find process 1 of the container that a process has started."""
    (pid,) = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()
    return int(pid)


def _wait_until_ready(url: str, log: Path, namespace: str | None = None) -> None:
    """Wait for a readiness probe's 200, and for the line that says that all has started; a signal before would cut."""

    def is_ready() -> bool:
        if not any(line.startswith(("Ready. ", "Open ")) for line in log.read_text().splitlines()):
            return False
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.HTTPError, OSError):
            return False

    deadline = time.monotonic() + _START_SECONDS
    while not inside(namespace, is_ready):
        assert time.monotonic() < deadline, f"{url} is not ready:\n{log.read_text()[-3000:]}"
        time.sleep(0.1)


def _output(image: Image, *arguments: str, entrypoint: Sequence[str] | None = None) -> str:
    command, environment = run_command(image, arguments, entrypoint=entrypoint)
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_the_program_is_there(image: Image) -> None:
    assert _output(image, "--version").startswith("trio-voice, version ")
    assert "serve" in _output(image, *image.command)


def test_nothing_is_left_of_the_build(image: Image) -> None:
    for name in ("gcc", "cc", "pip", "pip3", "git", "make"):
        assert shutil.which(name, path=":".join(str(image.root) + each for each in _path(image))) is None, name
    assert not (image.root / "source").exists()
    assert not (image.root / "wheels").exists()
    assert not (image.root / "etc/certificates-for-the-build").exists()


def _path(image: Image) -> list[str]:
    return image.environment["PATH"].split(":")


def test_it_may_nothing(image: Image) -> None:
    script = "id -u; grep -c 'Cap[PEBA].*:.0*$' /proc/self/status; touch /tmp/a /opt/trio-voice/b || echo refused"
    assert _output(image, "-c", script, entrypoint=["sh"]).split() == ["65532", "4", "refused"]


def test_it_serves_alone(image: Image, tmp_path: Path) -> None:
    http, media, log = free_port(), free_port(), tmp_path / "log"
    command, environment = run_command(image, ["serve", "--http", str(http), "--media-port", str(media)])
    with _started(command, environment, log, seconds=10.0):
        _wait_until_ready(f"http://127.0.0.1:{http}/readyz", log)


def test_the_fleet_of_the_manifests_takes_a_call(image: Image, tmp_path: Path) -> None:
    fleet = fleet_of("overlays/kind")
    node = "10.0.0.5"  # every port of the fleet is another, so one host will do
    keys, names = tmp_path / "keys", tmp_path / "hosts"
    service = "trio-voice-transceiver.trio-voice.svc.cluster.local"
    names.write_text(f"127.0.0.1 localhost\n{node} {service} trio-voice-transceiver-0.{service}\n")
    mount_points(image, "/etc/trio-voice/config", "/etc/trio-voice/keys")
    (image.root / "etc/hosts").touch()
    write_all(keys, new_root(os.urandom, time.time()), is_new=True)
    with namespaces("node") as hosts, ExitStack() as stack:
        for address in (node, "192.0.2.10"):
            ip("-n", hosts["node"], "address", "add", f"{address}/32", "dev", "lo")
        ready = []
        for role in (Role.TRANSCEIVER, Role.RELAY, Role.SIGNAL):
            container, log = fleet.container(role), tmp_path / f"{role}.log"
            (facts,) = fleet.facts(container)
            volumes = {**_volumes(fleet, container, keys, tmp_path / role), names: "/etc/hosts"}
            environment = container.environment({**facts, "status.podIP": node})
            command, environment = run_command(
                image, container.manifest["args"], environment=environment, volumes=volumes
            )
            command = command_in(hosts["node"], *command)
            grace = container.workload.pod["terminationGracePeriodSeconds"]
            stack.enter_context(_started(command, environment, log, seconds=grace))
            probe = container.manifest["readinessProbe"]["httpGet"]
            ready.append((f"http://{node}:{container.ports[probe['port']][1]}{probe['path']}", log))
        for url, log in ready:
            _wait_until_ready(url, log, hosts["node"])
        arguments = ["call", f"http://{node}:8080", "--key", "sk-0", "--text", "hello", "--seconds", "4"]
        command, environment = run_command(image, arguments, volumes={names: "/etc/hosts"})
        done = subprocess.run(
            command_in(hosts["node"], *command),
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "response.output_audio_transcript.done  hello" in done.stdout  # what the agent of the manifests says
    assert "192.0.2.10 port 3478" in done.stdout  # by the address that they advertise


def _volumes(fleet: Fleet, container: Container, keys: Path, folder: Path) -> dict[Path, str]:
    """Make what an orchestrator mounts: configuration, and the keys of the tier, readable for its group."""
    volumes = {}
    for mount in container.manifest["volumeMounts"]:
        volume = (container.mount_of(mount["mountPath"]) or {})["volume"]
        source = folder / mount["name"]
        source.mkdir(parents=True)
        if "configMap" in volume:
            data = fleet.find("ConfigMap", container.workload.namespace, volume["configMap"]["name"])["data"]
            for name, text in data.items():
                (source / name).write_text(text)
        else:
            file = source / f"{container.role}.keys"
            shutil.copy(keys / file.name, file)
            os.chown(file, 0, container.workload.pod["securityContext"]["fsGroup"])
            file.chmod(volume["secret"]["defaultMode"])
        volumes[source] = mount["mountPath"]
    return volumes
