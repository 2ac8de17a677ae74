"""Where pods stand, and how they go: what the other tests would not miss if somebody took it out."""

from typing import Any

import pytest

from edge.config.model import Role

from .fleet_manifests import FLEETS, Container, Fleet, fleet_of

_BETWEEN = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")

_NOT_YET_OUT_OF_REACH = 5
"""Seconds that a pod goes on serving at least, as those who send to it hear late that it goes."""


@pytest.fixture(params=FLEETS)
def fleet(request: pytest.FixtureRequest) -> Fleet:
    return fleet_of(request.param)


def _sleep_before_stop(container: Container) -> float:
    hooks: dict[str, Any] = container.manifest["lifecycle"]
    return float(hooks["preStop"]["sleep"]["seconds"])


def test_signal_serves_until_the_ingress_has_heard_that_it_goes(fleet: Fleet) -> None:
    assert _sleep_before_stop(fleet.container(Role.SIGNAL)) >= _NOT_YET_OUT_OF_REACH


def test_a_relay_behind_load_balancers_forwards_until_they_have_heard_that_it_goes() -> None:
    assert _sleep_before_stop(fleet_of("overlays/udp-service").container(Role.RELAY)) >= _NOT_YET_OUT_OF_REACH


def test_a_transceiver_drains_at_once(fleet: Fleet) -> None:
    assert "lifecycle" not in fleet.container(Role.TRANSCEIVER).manifest


@pytest.mark.parametrize("role", [Role.SIGNAL, Role.TRANSCEIVER])
def test_pods_are_spread_over_zones_and_nodes(fleet: Fleet, role: Role) -> None:
    workload = fleet.container(role).workload
    spreads = workload.pod["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spreads] == [*_BETWEEN]
    for each in spreads:
        assert each["maxSkew"] == 1
        # One zone with room is better than a pod that waits for another.
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"
        assert workload.is_selected_by(each["labelSelector"])


@pytest.mark.parametrize("name", FLEETS)
def test_there_is_one_relay_on_a_node_and_its_network_is_the_nodes_but_behind_a_service(name: str) -> None:
    workload = fleet_of(name).container(Role.RELAY).workload
    assert workload.manifest["kind"] == "DaemonSet"
    assert workload.pod["nodeSelector"] == {"trio-voice/relay": "true"}
    assert workload.pod["hostNetwork"] is (name != "overlays/udp-service")
