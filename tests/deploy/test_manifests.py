import json
import re
from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest

from edge.metrics import Metrics
from edge.tiers.transceiver_metrics import add_transceiver_metrics
from edge.version import VERSION

from .fleet_manifests import BASE, COMPONENTS, FLEETS, KUBERNETES, ROOT, Container, Fleet, Measured, fleet_of
from .kustomization import load_all, merge, render

KUBERNETES_VERSIONS = ("1.31", "1.34")
"""The oldest that the manifests are written for, and the one that they are tried with."""

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@pytest.fixture(params=FLEETS)
def fleet(request: pytest.FixtureRequest) -> Fleet:
    return fleet_of(request.param)


def _names(fleet: Fleet) -> list[str]:
    return [f"{each['kind']} {each['metadata']['name']}" for each in fleet.manifests]


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_every_manifest_is_what_kubernetes_takes(fleet: Fleet, version: str) -> None:
    for manifest in fleet.manifests:
        _validate(json.dumps(manifest), version)


@cache
def _validate(manifest: str, version: str) -> None:
    """Many fleets have it in common."""
    kubernetes_validate.validate(json.loads(manifest), version, strict=True)


def test_the_documents_name_the_versions_of_kubernetes() -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    assert f"Kubernetes {KUBERNETES_VERSIONS[0]} or later" in text


def test_every_file_is_part_of_a_kustomization() -> None:
    named = {"kustomization.yaml", "cluster.yaml", "prometheus-adapter-values.yaml"}  # for kustomize, kind and Helm
    for folder in {path.parent for path in KUBERNETES.rglob("kustomization.yaml")}:
        (kustomization,) = load_all(folder / "kustomization.yaml")
        patches = [patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch]
        referenced = {*kustomization["resources"], *patches}
        for path in folder.glob("*.yaml"):
            assert path.name in referenced | named, f"{path} is in no kustomization"


def test_every_object_says_where_it_belongs(fleet: Fleet) -> None:
    namespaces = {each["metadata"]["name"] for each in fleet.of_kind("Namespace")}
    for manifest in fleet.manifests:
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] in namespaces, manifest["metadata"]["name"]


def test_containers_may_as_little_as_possible(fleet: Fleet) -> None:
    for container in fleet.containers:
        pod, own = container.workload.pod, container.manifest["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 100
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert all(mount["readOnly"] for mount in container.manifest.get("volumeMounts", ()))


def test_only_relays_may_use_the_hosts_network(fleet: Fleet) -> None:
    for workload in fleet.workloads:
        standard = fleet.find("Namespace", "", workload.namespace)["metadata"]["labels"]
        wanted = "privileged" if workload.pod.get("hostNetwork") else "restricted"
        assert standard["pod-security.kubernetes.io/enforce"] == wanted
        if workload.pod.get("hostNetwork"):
            assert workload.pod["dnsPolicy"] == "ClusterFirstWithHostNet"
            assert workload.manifest["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0


def test_images_have_versions(fleet: Fleet) -> None:
    for container in fleet.containers:
        tag = container.manifest["image"].rpartition(":")[2]
        assert re.fullmatch(r"\d[\w.-]*", tag), container.manifest["image"]
        assert not container.is_ours or tag == VERSION


def test_containers_say_what_they_need(fleet: Fleet) -> None:
    for container in fleet.containers:
        resources = container.manifest["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}
        assert set(resources["limits"]) == {"memory"}, "a limit of CPU stops the ticker in the middle of a frame"


def test_probes_ask_for_life_and_readiness_apart(fleet: Fleet) -> None:
    for container in fleet.containers:
        assert set(_PROBES) <= set(container.manifest), container.name
        if not container.is_ours:
            assert all(container.manifest[probe]["exec"]["command"] for probe in _PROBES)
            continue
        paths = [container.manifest[probe]["httpGet"]["path"] for probe in _PROBES]
        assert paths == ["/healthz", "/readyz", "/healthz"]
        for probe in _PROBES:
            assert container.manifest[probe]["httpGet"]["port"] in container.ports
        readiness, liveness = (container.manifest[probe] for probe in _PROBES[1:])
        # What is not ready gets no work within seconds; what is busy is not killed for it.
        assert readiness["periodSeconds"] * readiness["failureThreshold"] <= 5
        assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 20


def test_selectors_select_something(fleet: Fleet) -> None:
    for workload in fleet.workloads:
        assert workload.is_selected_by(workload.manifest["spec"]["selector"])
        for spread in workload.pod.get("topologySpreadConstraints", ()):
            assert workload.is_selected_by(spread["labelSelector"])
    for budget in fleet.of_kind("PodDisruptionBudget"):
        selected = [each for each in fleet.workloads if each.is_selected_by(budget["spec"]["selector"])]
        assert [each.namespace for each in selected] == [budget["metadata"]["namespace"]], budget["metadata"]["name"]


def test_a_budget_for_everybody_that_must_not_go_at_once(fleet: Fleet) -> None:
    budgets = fleet.of_kind("PodDisruptionBudget")
    for workload in fleet.workloads:
        (budget,) = (each for each in budgets if workload.is_selected_by(each["spec"]["selector"]))
        assert budget["metadata"]["namespace"] == workload.namespace
        # A percentage, and what may be away, are of a scale; a DaemonSet has none.
        assert ("minAvailable" if workload.manifest["kind"] == "DaemonSet" else "maxUnavailable") in budget["spec"]


def test_services_lead_to_ports_of_pods(fleet: Fleet) -> None:
    for service in fleet.of_kind("Service"):
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        selector = {"matchLabels": service["spec"]["selector"]}
        (workload,) = (each for each in fleet.workloads if each.is_selected_by(selector))
        assert workload.namespace == namespace
        ports = {key: value for container in workload.containers for key, value in container.ports.items()}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]][0] == port["protocol"], name
            if service["spec"].get("clusterIP") == "None":  # nothing is translated: the port is the pod's
                assert ports[port["targetPort"]][1] == port["port"]


def test_the_ingress_leads_to_signal(fleet: Fleet) -> None:
    for ingress in fleet.of_kind("Ingress"):
        hosts = {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
        for rule in ingress["spec"]["rules"]:
            assert rule["host"] in hosts
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = fleet.find("Service", ingress["metadata"]["namespace"], backend["name"])
                assert backend["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]


def test_network_policies_begin_with_nobody_and_know_their_pods(fleet: Fleet) -> None:
    policies = fleet.of_kind("NetworkPolicy")
    nothing = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for namespace in {each["metadata"]["namespace"] for each in policies}:
        own = [each["spec"] for each in policies if each["metadata"]["namespace"] == namespace]
        assert nothing in own
    for policy in policies:
        spec, namespace = policy["spec"], policy["metadata"]["namespace"]
        for rule in spec.get("ingress", ()):
            for port in rule["ports"]:
                for container in _selected(fleet, namespace, spec["podSelector"]):
                    assert container.ports[port["port"]][0] == port["protocol"]
        for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
            for peer in [*rule.get("from", ()), *rule.get("to", ())]:
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    assert _selected(fleet, namespace, peer["podSelector"]), f"{peer} is nobody"


def _selected(fleet: Fleet, namespace: str, selector: dict[str, dict[str, str]]) -> list[Container]:
    workloads = [each for each in fleet.workloads if each.namespace == namespace and each.is_selected_by(selector)]
    return [container for workload in workloads for container in workload.containers]


def test_relays_and_signal_reach_transceivers_and_nobody_else(fleet: Fleet) -> None:
    (workload,) = (each for each in fleet.workloads if each.name == "trio-voice-transceiver")
    policies = [each["spec"] for each in fleet.of_kind("NetworkPolicy") if each["spec"]["podSelector"]]
    allowed: dict[str, list[dict[str, object]]] = {"hop": [], "control": []}
    for policy in policies:
        if workload.is_selected_by(policy["podSelector"]):
            for rule in policy["ingress"]:
                (port,) = rule["ports"]
                allowed[port["port"]] += rule["from"]
    # Signal commands; transceivers move calls to each other; Prometheus reads.
    assert [each for each in allowed["control"] if "podSelector" in each] == [
        {"podSelector": {"matchLabels": _labels("signal")}},
        {"podSelector": {"matchLabels": _labels("transceiver")}},
    ]
    assert not any("ipBlock" in peer for peer in allowed["control"])
    (relay,) = (each for each in fleet.workloads if each.name == "trio-voice-relay")
    if relay.pod.get("hostNetwork"):  # a policy sees such a pod as an address of its node
        assert any("ipBlock" in peer for peer in allowed["hop"])
    else:
        assert not any("ipBlock" in peer for peer in allowed["hop"])
        names = {"kubernetes.io/metadata.name": relay.namespace}
        assert {"namespaceSelector": {"matchLabels": names}} in allowed["hop"]


def _labels(component: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "trio-voice", "app.kubernetes.io/component": component}


def test_the_autoscaler_asks_for_a_metric_that_there_is(fleet: Fleet) -> None:
    metrics = Metrics()
    add_transceiver_metrics(metrics, Measured())
    shown = metrics.render().decode()
    (autoscaler,) = fleet.of_kind("HorizontalPodAutoscaler")
    target = autoscaler["spec"]["scaleTargetRef"]
    scaled = fleet.find(target["kind"], autoscaler["metadata"]["namespace"], target["name"])
    assert scaled["apiVersion"] == target["apiVersion"]
    assert "replicas" not in scaled["spec"], "each apply would set it back"
    (adapter,) = load_all(COMPONENTS[0] / "prometheus-adapter-values.yaml")
    for metric in autoscaler["spec"]["metrics"]:
        name = metric["pods"]["metric"]["name"]
        assert f"\n{name} 7.0\n" in shown
        assert any(rule["seriesQuery"].startswith(f"{name}{{") for rule in adapter["rules"]["custom"])


def test_the_cluster_of_kind_suits_its_overlay() -> None:
    fleet = fleet_of("overlays/kind")
    (cluster,) = load_all(KUBERNETES / "overlays" / "kind" / "cluster.yaml")
    (node,) = cluster["nodes"]
    (relay,) = (each for each in fleet.workloads if each.name == "trio-voice-relay")
    assert relay.pod["nodeSelector"].items() <= node["labels"].items()
    (file,) = fleet.find("ConfigMap", relay.namespace, relay.name)["data"]
    assert file == f"{cluster['name']}-{node['role']}.toml"  # as kind names its only node
    mapped = {(each["protocol"], each["containerPort"]) for each in node["extraPortMappings"]}
    assert mapped == {port for name, port in relay.containers[0].ports.items() if name.startswith("media-")}
    assert all(each["containerPort"] == each["hostPort"] for each in node["extraPortMappings"])


def test_load_balancers_keep_the_callers_address() -> None:
    balancers = [each for each in fleet_of("overlays/udp-service").of_kind("Service") if "type" in each["spec"]]
    assert {port["protocol"] for each in balancers for port in each["spec"]["ports"]} == {"UDP", "TCP"}
    assert {each["spec"]["externalTrafficPolicy"] for each in balancers} == {"Local"}


def test_what_a_patch_does() -> None:
    lower = {"a": {"b": 1, "c": 2}, "env": [{"name": "x", "value": "1"}, {"name": "y"}], "args": ["1", "2"]}
    upper = {"a": {"c": None}, "env": [{"name": "x", "value": "2"}, {"name": "z"}], "args": ["3"]}
    assert merge(lower, upper) == {
        "a": {"b": 1},
        "env": [{"name": "x", "value": "2"}, {"name": "y"}, {"name": "z"}],
        "args": ["3"],
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("resources: [nowhere.yaml]", "nowhere"),
        ("namePrefix: a-", "namePrefix"),
        ("resources: [a.yaml, b.yaml]", "there already"),
        ("patches: [{path: a.yaml}]", "not there"),
    ],
)
def test_a_kustomization_that_cannot_be_right_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("kind: ConfigMap\nmetadata: {name: c, namespace: d}\n")
    (tmp_path / "kustomization.yaml").write_text(f"kind: Kustomization\n{text}\n")
    with pytest.raises((ValueError, OSError), match=problem):
        render(tmp_path)


def test_the_base_is_complete_without_its_overlays() -> None:
    assert {"Ingress trio-voice-signal", "DaemonSet trio-voice-relay"} <= set(_names(Fleet(render(BASE))))
