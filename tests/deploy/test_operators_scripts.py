import subprocess
from pathlib import Path

import pytest

from edge.config.model import Role

from .fleet_manifests import KUBERNETES, fleet_of, secrets_of_the_script


def test_a_file_that_is_missing_is_named_before_anything_is_made(tmp_path: Path) -> None:
    script = KUBERNETES / "apply-secrets"
    done = subprocess.run(
        [script, tmp_path], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/signal.keys is missing or empty\n"


def test_no_tier_is_given_a_root_or_another_tiers_keys() -> None:
    for (_, name), files in secrets_of_the_script().items():
        assert not {"root.key", "ca.key", "operator.key"} & files
        for role in Role:
            if name != f"trio-voice-{role}-keys":
                assert not any(file.startswith(f"{role}.") for file in files)


@pytest.mark.parametrize("role", list(Role))
def test_the_keys_of_a_tier_are_where_its_pods_are(role: Role) -> None:
    namespace = fleet_of("base").container(role).workload.namespace
    assert f"{role}.keys" in secrets_of_the_script()[namespace, f"trio-voice-{role}-keys"]


def test_reload_reaches_every_pod_of_ours_and_no_other(tmp_path: Path) -> None:
    log, kubectl = tmp_path / "log", tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {log}\n[ "$3" != get ] || echo pod/of-$2\n')
    kubectl.chmod(0o755)
    subprocess.run([KUBERNETES / "reload"], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True)
    ours = {each.workload.namespace for each in fleet_of("base").containers if each.is_ours}
    calls = log.read_text().splitlines()
    assert {each for each in calls if " exec " in each} == {
        f"-n {each} exec pod/of-{each} -- sh -c kill -HUP 1" for each in ours
    }
    (selector,) = {word.removeprefix("--selector=") for each in calls for word in each.split() if "--selector" in word}
    key, _, value = selector.partition("=")
    for workload in fleet_of("base").workloads:
        is_ours = all(container.is_ours for container in workload.containers)
        assert workload.is_selected_by({"matchLabels": {key: value}}) == is_ours
