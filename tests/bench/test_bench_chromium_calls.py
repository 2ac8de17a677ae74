"""The rows about Chromium's calls are made of the worst of what the program says."""

from collections.abc import Mapping
from typing import Any

import pytest

from bench.chromium_rows import REALTIME, rows_of

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
CONVERSED = ("transceiver drained", "relay replaced", "transceiver killed", "transceiver paused", "Redis started again")


def cost(**changes: Any) -> dict[str, Any]:
    crossed = {"left": 100, "lost": 0, "repeated": 0}
    browser = {"sent": 100, "received": 100, "lost": 0, "concealed_ms": 0.0, "troubles": 0}
    made = {"up": crossed, "down": crossed, "missing": 0, "gap_ms": 21.0, "reused": 0, "checks": 0, "browser": browser}
    return {**made, **changes}


def conversed(is_answered: bool = True, errors: int = 0, **changes: Any) -> dict[str, Any]:
    way = {"sent": 50, "lost": 0, "repeated": 0, "disordered": 0}
    events = {"up": way, "down": way, "oldest_lost_ms": 0.0, "lost_behind": 0, "holes": 0, "wrong": 0, "broken": 0}
    return {"events": {**events, **changes}, "errors": errors, "is_answered": is_answered}


def spoken(**changes: Any) -> dict[str, Any]:
    return cost(**{"unheard": 0, "conversed": conversed(), **changes})


@pytest.fixture
def told() -> dict[str, list[Any]]:
    passed = {"gaps_ms": {"drained": 30.0, "rebound": 2400.0, "killed": 400.0}, "troubles": 0, "conversed": None}
    both = {"echo": passed, "realtime": {**passed, "conversed": conversed()}}
    echoed = {done: [cost(), cost()] for done in DONE}
    return {**echoed, **{REALTIME + done: [spoken(), spoken()] for done in CONVERSED}, "everything": [both, both]}


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


def test_no_step_of_everything_may_be_silent_for_longer_than_a_kill_but_the_new_address(told: dict[str, Any]) -> None:
    for kind, prefix in (("echo", ""), ("realtime", "realtime, ")):
        longer = {"drained": 30.0, "rebound": 2400.0, "killed": 999.0}
        for gap, verdict in ((400.0, "as wanted"), (999.0, "met"), (1001.0, "MISSED")):
            longer["drained"] = longer["killed"] = gap
            told["everything"] = [{**told["everything"][0], kind: {**told["everything"][0][kind], "gaps_ms": longer}}]
            row = rows(told)[f"{prefix}everything in one call, longest silence but of the new address"]
            assert (row.peer, row.verdict) == ("1000 ms", verdict)


def test_the_worst_counts_in_conversations(told: dict[str, list[Any]]) -> None:
    told[REALTIME + "transceiver drained"] = [spoken(missing=1, unheard=2), spoken(conversed=conversed(wrong=1))]
    told[REALTIME + "transceiver killed"] = [spoken(gap_ms=1001.0), spoken(conversed=conversed(broken=2))]
    told[REALTIME + "transceiver paused"] = [spoken(reused=1, gap_ms=1200.0), spoken()]
    made = {what.removeprefix("realtime, "): row for what, row in rows(told).items() if what.startswith("realtime, ")}
    assert {what for what, row in made.items() if row.verdict == "MISSED"} == {
        "transceiver drained, frames lost",
        "transceiver and relay replaced one after the other, frames lost",
        "transceiver killed, audio back after",
        "transceiver paused and resumed, numbers used twice",
        "both replaced or Redis started again, events lost, twice or out of order",
        "transceiver killed or paused, or everything: events lost beyond what is said at a death",
    }
    assert made["transceiver drained, frames lost"].ours == "3 (median 2)"
    died = "transceiver killed or paused, or everything: events lost beyond what is said at a death"
    told[REALTIME + "transceiver killed"] = [spoken(conversed=conversed(oldest_lost_ms=1500.0)), spoken()]
    assert rows(told)["realtime, " + died].verdict == "as wanted"
    told[REALTIME + "transceiver killed"] = [spoken(conversed=conversed(oldest_lost_ms=1700.0)), spoken()]
    assert rows(told)["realtime, " + died].verdict == "MISSED"
    assert made["transceiver paused, audio back after"].ours == "1200 ms (median 610)"
    assert {row.verdict for row in rows(told).values() if "realtime" not in row.what} == {"as wanted", "-"}


TROUBLES = "ICE failed, negotiated again, channel closed, an error told, or the next turn not answered"


@pytest.mark.parametrize(
    ("done", "trouble"),
    [
        ("relay replaced", cost(browser={**cost()["browser"], "troubles": 1})),
        (REALTIME + "Redis started again", spoken(conversed=conversed(errors=1))),
        (REALTIME + "transceiver paused", spoken(conversed=conversed(is_answered=False))),
    ],
)
def test_no_call_may_be_in_trouble(told: dict[str, list[Any]], done: str, trouble: dict[str, Any]) -> None:
    assert rows(told)[TROUBLES].verdict == "as wanted"
    told[done] = [trouble, told[done][1]]
    assert rows(told)[TROUBLES].verdict == "MISSED"
    told[done] = told[done][1:] * 2
    told["everything"] = [{**told["everything"][0], "echo": {**told["everything"][0]["echo"], "troubles": 1}}]
    assert rows(told)[TROUBLES].verdict == "MISSED"
