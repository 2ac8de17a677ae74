"""A rendered fleet, looked at: its workloads, what their processes are told, and who is selected by what."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

import attrs

from edge.config.load import Loaded, load
from edge.config.model import Role
from transceiver.ticker import Lateness

from .kustomization import Manifest, render

__all__ = [
    "BASE",
    "COMPONENTS",
    "FLEETS",
    "KUBERNETES",
    "ROOT",
    "Container",
    "Fleet",
    "Measured",
    "Workload",
    "fleet_of",
]

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
COMPONENTS = [KUBERNETES / "components" / "autoscaling"]

FLEETS = ("base", "overlays/kind", "overlays/udp-service")
"""Every kustomization that somebody may apply; each is looked at with all components."""

POD_IP = "10.0.0.5"
"""The address of every pod, as far as the tests know."""

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


@attrs.frozen(kw_only=True)
class Container:
    """A container of ours or somebody else's.

    Attributes:
        manifest: its entry.
        workload: where it is.
    """

    manifest: Manifest
    workload: "Workload"

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def is_ours(self) -> bool:
        return bool(re.fullmatch(r"(.*/)?trio-voice:.*", self.manifest["image"]))

    @property
    def role(self) -> Role:
        """Which tier it runs."""
        arguments = self.manifest["args"]
        assert arguments[0] == "serve"
        return Role(arguments[arguments.index("--role") + 1])

    @property
    def ports(self) -> dict[str, tuple[str, int]]:
        """Protocol and number of each port, by its name."""
        return {each["name"]: (each["protocol"], each["containerPort"]) for each in self.manifest.get("ports", ())}

    def mount_of(self, path: str) -> Manifest | None:
        """Find the volume that a path lies in."""
        volumes = {each["name"]: each for each in self.workload.pod.get("volumes", ())}
        for mount in self.manifest.get("volumeMounts", ()):
            if path == mount["mountPath"] or path.startswith(mount["mountPath"] + "/"):
                return {**mount, "volume": volumes[mount["name"]]}
        return None

    def environment(self, facts: Mapping[str, str]) -> dict[str, str]:
        """Tell its variables.

        Args:
            facts: what only a cluster knows, by the path of the field: "status.podIP". Secrets are stood for by "sk-0".
        """
        found: dict[str, str] = {}
        for entry in self.manifest.get("env", ()):
            source = entry.get("valueFrom", {})
            if "fieldRef" in source:
                found[entry["name"]] = facts[source["fieldRef"]["fieldPath"]]
            elif "secretKeyRef" in source:
                found[entry["name"]] = facts.get(
                    f"{source['secretKeyRef']['name']}/{source['secretKeyRef']['key']}", "sk-0"
                )
            else:
                # Kubernetes knows only those that stand above, and leaves what it does not know as it is.
                found[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found[name[1]], entry["value"])
        return found


@attrs.frozen(kw_only=True)
class Workload:
    """What makes pods.

    Attributes:
        manifest: the object.
    """

    manifest: Manifest

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.manifest["metadata"]["namespace"])

    @property
    def pod(self) -> Manifest:
        """The specification of its pods."""
        return dict(self.manifest["spec"]["template"]["spec"])

    @property
    def labels(self) -> dict[str, str]:
        """Of its pods."""
        return dict(self.manifest["spec"]["template"]["metadata"]["labels"])

    @property
    def containers(self) -> list[Container]:
        return [Container(manifest=each, workload=self) for each in self.pod["containers"]]

    def is_selected_by(self, selector: Mapping[str, Any]) -> bool:
        """Whether a selector's labels are on its pods."""
        assert set(selector) <= {"matchLabels"}, "the tests know no other selectors"
        return selector.get("matchLabels", {}).items() <= self.labels.items()


@attrs.define(slots=False)
class Fleet:
    """All objects of a rendered kustomization."""

    manifests: list[Manifest]

    def of_kind(self, *kinds: str) -> list[Manifest]:
        return [each for each in self.manifests if each["kind"] in kinds]

    def find(self, kind: str, namespace: str, name: str) -> Manifest:
        for each in self.of_kind(kind):
            if each["metadata"]["name"] == name and each["metadata"].get("namespace", "") == namespace:
                return each
        raise AssertionError(f"there is no {kind} {name} in {namespace}")

    @cached_property
    def workloads(self) -> list[Workload]:
        return [Workload(manifest=each) for each in self.of_kind(*WORKLOADS)]

    @property
    def containers(self) -> list[Container]:
        return [container for workload in self.workloads for container in workload.containers]

    def container(self, role: Role) -> Container:
        """Find the container of one of our tiers."""
        (found,) = (each for each in self.containers if each.is_ours and each.role is role)
        return found

    def find_container(self, name: str) -> Container:
        (found,) = (each for each in self.containers if each.name == name)
        return found

    def facts(self, container: Container) -> Iterator[dict[str, str]]:
        """Tell what a cluster would know of each pod that may differ: one for each node that has a configuration."""
        found = [each for each in self.of_kind("ConfigMap") if each["metadata"]["name"] == container.workload.name]
        for name in found[0]["data"] if found else ["node-1"]:
            yield {"spec.nodeName": name.removesuffix(".toml"), "status.podIP": POD_IP, "metadata.name": "pod-1"}

    def loaded(self, container: Container, folder: Path) -> Iterator[Loaded]:
        """Load the configuration of a container as its process would: one for each node that has a file of its own.

        Args:
            container: one of ours.
            folder: for files.
        """
        mounted = self._mounted(container, folder)
        for facts in self.facts(container):
            environment = container.environment(facts)
            at = environment["TRIO_VOICE_CONFIG"]
            file = folder / Path(at).name
            file.write_text(mounted(self.file_at(container, at)))
            environment = {name: mounted(value) for name, value in environment.items()}
            yield load(path=file, environ=environment, role=container.role)

    def _mounted(self, container: Container, folder: Path) -> Callable[[str], str]:
        """Make folders of its Secrets, with the files that the script makes; returns what makes paths lead there."""
        folders = {}
        for mount in container.manifest["volumeMounts"]:
            volume = (container.mount_of(mount["mountPath"]) or {})["volume"]
            if "secret" in volume:
                place = folders[mount["mountPath"]] = folder / volume["secret"]["secretName"]
                place.mkdir(exist_ok=True)
                for name in secrets_of_the_script()[container.workload.namespace, place.name]:
                    (place / name).touch()

        def mounted(text: str) -> str:
            for path, place in folders.items():
                text = text.replace(path, str(place))
            return text

        return mounted

    def file_at(self, container: Container, path: str) -> str:
        """Read the file that a container sees at a path, out of a ConfigMap."""
        mount = container.mount_of(path)
        assert mount is not None, f"nothing is mounted at {path}"
        config = self.find("ConfigMap", container.workload.namespace, mount["volume"]["configMap"]["name"])
        return str(config["data"][path.removeprefix(mount["mountPath"] + "/")])


@cache
def secrets_of_the_script() -> dict[tuple[str, str], set[str]]:
    """Run the script that makes the Secrets; returns for each namespace and name the files that are in it."""
    made = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kubectl").write_text(f'#!/bin/sh\n[ "$3" != create ] || printf "%s\\n" "$*" >> {folder}/log\n')
        (folder / "kubectl").chmod(0o755)
        files = [f"{role}.{kind}" for role in Role for kind in ("keys", "crt", "key")]
        for file in (*files, "ca.crt", "password", "api-keys"):
            (folder / file).write_text("x")
        environment = {"PATH": f"{folder}:/usr/bin:/bin"}
        subprocess.run([KUBERNETES / "apply-secrets", folder], check=True, env=environment)
        for line in (folder / "log").read_text().splitlines():
            _, namespace, _, _, _, secret, *options = line.split()
            given = [option.removeprefix("--from-file=") for option in options if option.startswith("--from-file=")]
            made[namespace, secret] = {Path(path).name for path in given}
    return made


@cache
def fleet_of(name: str) -> Fleet:
    """Render a kustomization, with all components. Nobody changes what it gives."""
    return Fleet(render(KUBERNETES / name, *COMPONENTS))


class Measured:
    """A transceiver for its metrics: seven calls of thirty."""

    counts: ClassVar[dict[str, int]] = {}
    lateness = Lateness()

    def all_drops(self) -> dict[str, int]:
        return {}

    def handover_counts(self) -> dict[str, int]:
        return {}

    def status(self) -> dict[str, object]:
        return {"calls": 7, "max_calls": 30, "relays": 1}
