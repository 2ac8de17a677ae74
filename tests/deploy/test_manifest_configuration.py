"""What the processes in the manifests are told, loaded as they would load it."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edge.config.catalogue import all_keys
from edge.config.model import Config, Role
from edge.config.sources import read_environment
from edge.http.routing import Router
from edge.http.server import HttpServer
from edge.metrics import Metrics
from edge.serve import STOP_SECONDS
from edge.tiers.relay_figures import Figures, add_relay_metrics
from edge.tiers.serving import add_http_metrics
from edge.tiers.transceiver_metrics import add_transceiver_metrics

from .fleet_manifests import FLEETS, POD_IP, ROOT, Container, Fleet, Measured, fleet_of, secrets_of_the_script

_WITHOUT_TLS = "signal speaks plain HTTP"


@pytest.fixture(params=FLEETS)
def fleet(request: pytest.FixtureRequest) -> Fleet:
    return fleet_of(request.param)


def _ours(fleet: Fleet) -> list[Container]:
    found = [each for each in fleet.containers if each.is_ours]
    assert {each.role for each in found} == set(Role)
    return found


def _configs(fleet: Fleet, role: Role, folder: Path) -> list[Config]:
    """The configuration of each pod of a tier that differs from the others; relays have one for each node."""
    return [each.config for each in fleet.loaded(fleet.container(role), folder)]


def test_every_configuration_is_good(fleet: Fleet, tmp_path: Path) -> None:
    expected = [] if fleet.of_kind("Ingress") else [_WITHOUT_TLS]
    for container in _ours(fleet):
        for loaded in fleet.loaded(container, tmp_path):
            assert [warning for warning in loaded.warnings if not any(each in warning for each in expected)] == []


def test_every_variable_is_one_of_ours(fleet: Fleet) -> None:
    variables = {key.variable for key in all_keys()} | {"TRIO_VOICE_CONFIG"}
    for container in _ours(fleet):
        for facts in fleet.facts(container):
            environment = container.environment(facts)
            assert read_environment(environment)[1] == []
            assert {name for name in environment if name.startswith("TRIO_VOICE_")} <= variables


def test_ports_are_those_of_the_configuration(fleet: Fleet, tmp_path: Path) -> None:
    for container in _ours(fleet):
        for loaded in fleet.loaded(container, tmp_path):
            assert set(container.ports.values()) == _ports(loaded.config)
    relay = fleet.container(Role.RELAY).workload.manifest
    assert relay["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == "7090"


def _ports(config: Config) -> set[tuple[str, int]]:
    if config.signal:
        return {("TCP", config.signal.listen[1])}
    if config.transceiver:
        hop, workers = config.transceiver.hop[1], config.transceiver.workers
        return {("TCP", config.transceiver.control[1])} | {("UDP", hop + number) for number in range(workers)}
    assert config.relay
    assert config.relay.http
    hops = {("UDP", config.relay.hop[1] + number) for number in range(config.relay.workers)}
    ingresses = {(each.protocol.upper(), each.bind[1]) for each in config.relay.ingresses}
    return {("TCP", config.relay.http[1])} | hops | ingresses


def test_all_meet_in_the_store(fleet: Fleet, tmp_path: Path) -> None:
    configs = [config for role in Role for config in _configs(fleet, role, tmp_path)]
    (url,) = {config.store.url for config in configs}
    assert url
    name, namespace, *_ = (urlsplit(url).hostname or "").split(".")
    (port,) = fleet.find("Service", namespace, name)["spec"]["ports"]
    assert port["port"] == urlsplit(url).port
    for config in configs:
        # The members are found there and nowhere else, at addresses that do not depend on what a machine guesses.
        assert config.node.name
        assert config.node.address == POD_IP
        assert config.store.password_file
        assert not config.signal or not (config.signal.transceivers or config.signal.ingresses)
        assert not config.relay or not config.relay.transceivers


def test_a_process_is_called_what_kubectl_calls_its_pod_or_node(fleet: Fleet, tmp_path: Path) -> None:
    for role, name in ((Role.SIGNAL, "pod-1"), (Role.TRANSCEIVER, "pod-1")):
        assert [config.node.name for config in _configs(fleet, role, tmp_path)] == [name]
    files = fleet.find("ConfigMap", "trio-voice-relays", "trio-voice-relay")["data"]
    assert [f"{config.node.name}.toml" for config in _configs(fleet, Role.RELAY, tmp_path)] == list(files)


def test_no_two_nodes_have_one_ingress(fleet: Fleet, tmp_path: Path) -> None:
    ingresses = [
        each for config in _configs(fleet, Role.RELAY, tmp_path) if config.relay for each in config.relay.ingresses
    ]
    assert len({each.id for each in ingresses}) == len(ingresses)
    assert len({(each.protocol, each.advertise) for each in ingresses}) == len(ingresses)


def test_each_tier_gets_its_own_keys_and_no_others(fleet: Fleet, tmp_path: Path) -> None:
    for container in _ours(fleet):
        for loaded in fleet.loaded(container, tmp_path):
            assert loaded.config.keys == str(tmp_path / f"trio-voice-{container.role}-keys")
        for mount in container.manifest["volumeMounts"]:
            assert "subPath" not in mount, "the kubelet does not replace what is mounted so"
        for volume in container.workload.pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] in {f"trio-voice-{container.role}-keys", "trio-voice-store"}
                # Readable for the group, which is the process's by fsGroup, and for nobody else.
                assert volume["secret"]["defaultMode"] == 0o440
        assert container.workload.pod["securityContext"]["fsGroup"]


def test_commands_go_over_mutual_tls(fleet: Fleet, tmp_path: Path) -> None:
    (transceiver,) = _configs(fleet, Role.TRANSCEIVER, tmp_path)
    (signal,) = _configs(fleet, Role.SIGNAL, tmp_path)
    assert transceiver.transceiver
    assert signal.signal
    assert transceiver.transceiver.tls_client_ca
    assert signal.signal.control_ca
    container = fleet.container(Role.TRANSCEIVER)
    assert {
        container.manifest[f"{probe}Probe"]["httpGet"]["scheme"] for probe in ("startup", "readiness", "liveness")
    } == {"HTTPS"}
    scrape = container.workload.manifest["spec"]["template"]["metadata"]["annotations"]
    assert (scrape["prometheus.io/scheme"], scrape["prometheus.io/port"]) == ("https", "7080")


def test_every_secret_is_made_by_the_script(fleet: Fleet) -> None:
    made = secrets_of_the_script()
    for container in fleet.containers:
        for entry in container.manifest.get("env", ()):
            if "secretKeyRef" in (source := entry.get("valueFrom", {})):
                wanted = source["secretKeyRef"]
                assert wanted["key"] in made[container.workload.namespace, wanted["name"]]
        for volume in container.workload.pod.get("volumes", ()):
            if "secret" in volume:
                assert made[container.workload.namespace, volume["secret"]["secretName"]]


def test_a_stop_is_over_before_the_grace_period_is(fleet: Fleet, tmp_path: Path) -> None:
    for container in _ours(fleet):
        hooks = container.manifest.get("lifecycle", {})
        slept = hooks.get("preStop", {}).get("sleep", {}).get("seconds", 0)
        for loaded in fleet.loaded(container, tmp_path):
            drained = loaded.config.transceiver.drain_deadline if loaded.config.transceiver else 0.0
            grace = container.workload.pod["terminationGracePeriodSeconds"]
            assert slept + drained + STOP_SECONDS + 2 <= grace, container.name


def test_the_autoscaler_leaves_room_for_the_calls_of_one_that_goes(fleet: Fleet, tmp_path: Path) -> None:
    (config,) = _configs(fleet, Role.TRANSCEIVER, tmp_path)
    assert config.transceiver
    (autoscaler,) = fleet.of_kind("HorizontalPodAutoscaler")
    (metric,) = autoscaler["spec"]["metrics"]
    average, fewest = int(metric["pods"]["target"]["averageValue"]), autoscaler["spec"]["minReplicas"]
    assert average * fewest <= config.transceiver.max_calls * (fewest - 1)


def test_metrics_in_the_documents_are_there() -> None:
    metrics = Metrics()
    add_transceiver_metrics(metrics, Measured())
    add_relay_metrics(metrics, Figures)
    for tier in Role:
        add_http_metrics(metrics, tier, HttpServer(Router()))
    there = set(re.findall(r"# TYPE (\S+)", metrics.render().decode()))
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    named = set(re.findall(r"trio_voice_\w+", text))
    assert named
    assert named <= there


def test_paths_in_the_documents_are_there() -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"(?<![\w/])deploy/[\w./-]*[\w]", text))
    assert paths
    for path in paths:
        assert (ROOT / path).exists(), path
