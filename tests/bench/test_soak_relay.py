"""The verdict over a relay's soak names what is wrong, and nothing else."""

from typing import Any

import attrs
import pytest

from bench.soak.census import Census
from bench.soak.relay_verdict import RelayBounds, RelaySoak, describe_relay, judge_relay


def census(**changed: Any) -> Census:
    usual: dict[str, Any] = {
        "ours": {"relay.claims.Claim": 0},
        "others": {},
        "tasks": 12,
        "descriptors": 12,
        "blocks": 200_000,
        "resident": 50 << 20,
    }
    return Census(**{**usual, **changed})


def soak(**changed: Any) -> RelaySoak:
    busy = census(ours={"relay.claims.Claim": 2000}, blocks=260_000, resident=56 << 20)
    usual: dict[str, Any] = {
        "idle": census(),
        "settled": busy,
        "final": attrs.evolve(busy, blocks=261_000, resident=busy.resident + (200 << 10)),
        "forgotten": census(blocks=215_000, resident=55 << 20),
        "sent": 1_000_000,
        "passed": 999_900,
        "flows": 0.0,
        "drops": {"no-flow": 100.0},
    }
    return RelaySoak(**{**usual, **changed})


def test_flat_memory_and_few_losses_are_no_fault() -> None:
    assert judge_relay(soak(), RelayBounds()) == []
    assert "999900 of 1000000" in describe_relay(soak())


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"final": census(resident=60 << 20)}, "resident memory grew by 4.0 MB"),
        ({"final": census(blocks=270_000)}, "10000 pieces of memory"),
        ({"flows": 7.0}, "7 flows are left"),
        ({"forgotten": census(ours={"relay.claims.Claim": 90})}, "90 relay.claims.Claim more"),
        ({"forgotten": census(tasks=20)}, "20 tasks, and 12"),
        ({"forgotten": census(descriptors=30)}, "30 file descriptors, and 12"),
        ({"passed": 990_000}, "1.00% of the datagrams"),
    ],
)
def test_each_fault_is_named_alone(changed: dict[str, Any], named: str) -> None:
    (culprit,) = judge_relay(soak(**changed), RelayBounds())
    assert named in culprit
