"""The rows about Chromium's calls are made of the worst of what the program says."""

from collections.abc import Mapping
from typing import Any

import pytest

from bench.chromium_calls import rows_of

DONE = (
    "relay worker killed",
    "relay killed and started again",
    "relay replaced",
    "moved to another relay",
    "transceiver drained",
    "transceiver killed",
    "transceiver paused",
    "Redis started again",
)


def cost(**changes: Any) -> dict[str, Any]:
    crossed = {"left": 100, "lost": 0, "repeated": 0}
    browser = {"sent": 100, "received": 100, "lost": 0, "concealed_ms": 0.0}
    made = {"up": crossed, "down": crossed, "missing": 0, "gap_ms": 21.0, "reused": 0, "checks": 0, "browser": browser}
    return {**made, **changes}


@pytest.fixture
def told() -> dict[str, list[Any]]:
    passed = {"rebind": cost(gap_ms=2400.0), "gaps_ms": {"drained": 30.0, "rebound": 2400.0, "killed": 400.0}}
    return {**{done: [cost(), cost()] for done in DONE}, "everything": [passed, passed]}


def rows(told: Mapping[str, Any]) -> dict[str, Any]:
    return {row.what.removeprefix("Chromium: "): row for row in rows_of(told, ())}


def test_nothing_lost_is_as_wanted(told: dict[str, list[Any]]) -> None:
    made = rows(told)
    assert {row.verdict for row in made.values()} == {"as wanted", "-"}
    assert made["the client's address changes, silence"].ours == "2400 ms (median 2400)"
    assert made["everything in one call, longest silence but of the new address"].ours == "400 ms (median 400)"


def test_the_worst_counts(told: dict[str, list[Any]]) -> None:
    lost = {"left": 100, "lost": 1, "repeated": 0}
    told["relay worker killed"] = [cost(up=lost, down=lost), cost(), cost()]
    told["relay replaced"] = [cost(), cost(down=lost)]
    told["transceiver killed"] = [cost(gap_ms=999.0, missing=70), cost(gap_ms=300.0)]
    told["transceiver paused"] = [cost(reused=1), cost()]
    made = rows(told)
    worker = made["relay worker killed, frames lost"]
    assert (worker.ours, worker.peer, worker.verdict) == ("2 (median 0)", "1", "MISSED")
    assert made["relay replaced as planned, frames lost"].verdict == "MISSED"
    assert made["transceiver killed, audio back after"].verdict == "met"
    assert made["transceiver paused and resumed, numbers used twice"].verdict == "MISSED"
    both = made["transceiver and relay replaced one after the other, frames lost"]
    assert (both.ours, both.verdict) == ("1 (median 0)", "met")
