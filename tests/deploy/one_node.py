"""Does for one node what a kubelet does: starts the containers of manifests, mounts, asks probes, and stops them.

Every port of the fleet is another, so all pods share one address and one network namespace. Our image is a root made by
`bare_root`; Redis is the system's own program, with the arguments of its manifest.
"""

import os
import re
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from edge.certificates import CERTIFIED_ROLES, Authority
from edge.key_files import write_all
from edge.keys import new_root

from ..e2e.namespaces import command_in, inside, ip, namespaces  # noqa: TID252 - tests are no package with a name
from .bare_root import Image, make_mount_points, run_command
from .fleet_manifests import POD_IP, Container, Fleet, secrets_of_the_script

__all__ = ["Node", "is_answered", "one_node", "started", "wait_until"]

_START_SECONDS = 60.0  # of a machine that is busy with something else


@attrs.frozen(kw_only=True)
class Node:
    """A node with an image.

    Attributes:
        image: of our containers.
        fleet: whose containers run here.
        folder: for files.
        namespace: its network.
        stack: stops what was started, the last first.
    """

    image: Image
    fleet: Fleet
    folder: Path
    namespace: str
    stack: ExitStack

    def start(self, container: Container) -> Callable[[], None]:
        """Start a container; what is returned waits until its readiness probe is content."""
        log = self.folder / f"{container.name}.log"
        command, environment = self._command(container, container.manifest["args"])
        grace = container.workload.pod["terminationGracePeriodSeconds"]
        self.stack.enter_context(started(command, environment, log, seconds=grace, is_apart=container.is_ours))
        probe = container.manifest["readinessProbe"]
        return lambda: wait_until(container.name, lambda: self._is_content(container, probe, environment), log)

    def output_in(self, container: Container, *arguments: str) -> str:
        """Run our program to its end with all that a container of ours has, as `kubectl exec` does."""
        command, environment = self._command(container, arguments)
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _command(self, container: Container, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
        (facts,) = self.fleet.facts(container)
        environment: Mapping[str, str] = container.environment(facts)
        if container.is_ours:
            volumes = self._volumes(container)
            command, environment = run_command(self.image, arguments, environment=environment, volumes=volumes)
        else:
            command = _expanded([*container.manifest["command"], *arguments], environment)
            environment = {"PATH": os.environ["PATH"], **environment}
        return command_in(self.namespace, *command), environment

    def _is_content(self, container: Container, probe: Mapping[str, dict], environment: Mapping[str, str]) -> bool:
        if "exec" in probe:
            command = command_in(self.namespace, *probe["exec"]["command"])
            return subprocess.run(command, env=environment, check=False, capture_output=True).returncode == 0
        asked = probe["httpGet"]
        number = container.ports[asked["port"]][1]
        scheme = asked.get("scheme", "HTTP").lower()
        return inside(self.namespace, lambda: is_answered(f"{scheme}://{POD_IP}:{number}{asked['path']}"))

    @property
    def _hosts(self) -> Path:
        """The file that names the Services."""
        path = self.folder / "hosts"
        services = [each["metadata"] for each in self.fleet.of_kind("Service")]
        names = " ".join(f"{each['name']}.{each['namespace']}.svc.cluster.local" for each in services)
        path.write_text(f"127.0.0.1 localhost\n{POD_IP} {names}\n")
        return path

    def _volumes(self, container: Container) -> dict[Path, str]:
        """Make what is mounted: configuration, and secrets, which are readable for the group of the pod."""
        volumes = {self._hosts: "/etc/hosts"}
        for mount in container.manifest["volumeMounts"]:
            volume = (container.mount_of(mount["mountPath"]) or {})["volume"]
            source = self.folder / container.name / mount["name"]
            volumes[source] = mount["mountPath"]
            if source.exists():
                continue
            source.mkdir(parents=True)
            if "configMap" in volume:
                data = self.fleet.find("ConfigMap", container.workload.namespace, volume["configMap"]["name"])["data"]
                for name, text in data.items():
                    (source / name).write_text(text)
            else:
                for file in (self.folder / volume["secret"]["secretName"]).iterdir():
                    mounted = Path(shutil.copy(file, source))
                    os.chown(mounted, 0, container.workload.pod["securityContext"]["fsGroup"])
                    mounted.chmod(volume["secret"]["defaultMode"])
        make_mount_points(self.image, volumes)
        return volumes


@contextmanager
def one_node(image: Image, fleet: Fleet, folder: Path, *addresses: str) -> Iterator[Node]:
    """Make a node whose pods have the Secrets that the script makes; what runs on it is stopped in the end.

    Args:
        image: of our containers.
        fleet: what may be started.
        folder: for files.
        addresses: of the node beside that of its pods.
    """
    keys, now = folder / "keys", time.time()
    write_all(keys, new_root(os.urandom, now), is_new=True)
    authority = Authority.create(keys, now)
    for role in CERTIFIED_ROLES:
        authority.issue(role, name=role, days=1, unix_time=now)
    (keys / "password").write_text("sk-0")
    for (_, secret), files in secrets_of_the_script().items():
        (folder / secret).mkdir(exist_ok=True)
        for name in files - {"api-keys"}:  # a variable, and no file
            shutil.copy(keys / name, folder / secret)
    with namespaces("node") as hosts, ExitStack() as stack:
        for address in (POD_IP, *addresses):
            ip("-n", hosts["node"], "address", "add", f"{address}/32", "dev", "lo")
        yield Node(image=image, fleet=fleet, folder=folder, namespace=hosts["node"], stack=stack)


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, seconds: float, is_apart: bool = True
) -> Iterator[None]:
    """Run a container; in the end SIGTERM, as an orchestrator sends it, must end it with 0.

    Args:
        command: what starts it.
        environment: its variables.
        log: takes what it writes.
        seconds: that it may take to end.
        is_apart: whether it has processes of its own, so that the signal is for the child of what is started.
    """
    with log.open("wb") as output:
        outside = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
        (first,) = (
            Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split() if is_apart else [outside.pid]
        )
        os.kill(int(first), signal.SIGTERM)
        code = outside.wait(seconds)
        assert code == 0, f"{log.stem} ended with {code}:\n{log.read_text()[-3000:]}"
    finally:
        outside.kill()
        outside.wait()


def wait_until(what: str, is_ready: Callable[[], bool], log: Path) -> None:
    """Wait for readiness, and where the program says so for that line, as a signal that comes before it cuts."""
    deadline = time.monotonic() + _START_SECONDS
    while not (is_ready() and re.search("^(Ready[. ]|Open )|Ready to accept", log.read_text(), re.MULTILINE)):
        assert time.monotonic() < deadline, f"{what} is not ready:\n{log.read_text()[-3000:]}"
        time.sleep(0.1)


def is_answered(url: str) -> bool:
    """Whether a probe is content."""
    try:
        context = ssl._create_unverified_context()  # noqa: S323 - a kubelet verifies no certificate, and shows none
        with urllib.request.urlopen(url, timeout=2, context=context) as response:
            return bool(response.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False


def _expanded(command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    return [re.sub(r"\$\((\w+)\)", lambda name: variables[name[1]], word) for word in command]
