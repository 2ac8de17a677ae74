"""What the soak takes for a leak, and whom it names."""

import functools
import gc
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import attrs
import pytest

from bench.soak.calls import Tally
from bench.soak.census import Census
from bench.soak.endings import ENDINGS
from bench.soak.readings import GAUGES, Reading, parse_metrics
from bench.soak.report import describe_progress, describe_result
from bench.soak.verdict import Bounds, Readings, bytes_per_call, judge

ENDED = {ending.name: 100 for ending in ENDINGS}
COUNTS = {
    "created": 1100,
    "ended-client-hung-up": 390,
    "ended-close-notify": 110,
    "ended-consent-expired": 130,
    "ended-hang-up": 200,
    "ended-max-call": 100,
    "ended-never-connected": 170,
    "refused-offer": 100,
}


def census(**changes: object) -> Census:
    facts = {
        "ours": {"transceiver.session.Session": 0, "relay.flows.Claim": 2},
        "others": {"builtins.dict": 1000},
        "tasks": 10,
        "descriptors": 12,
        "blocks": 300_000,
        "resident": 70 << 20,
    }
    return Census(**{**facts, **changes})  # type: ignore[arg-type]  # named as the fields are


def reading(calls: int, counts: Mapping[str, float] = COUNTS, gauge: float = 1.0, **changes: object) -> Reading:
    censuses = {name: census() for name in ("signal", "relay", "transceiver")}
    censuses["transceiver"] = census(**changes)
    metrics = dict.fromkeys(GAUGES, gauge) | {f"transceiver_events_total {name}": n for name, n in counts.items()}
    return Reading(calls=calls, censuses=censuses, metrics=metrics)


def verdict(
    final: Reading, settled: Reading | None = None, ended: Mapping[str, int] = ENDED, **problems: int
) -> list[str]:
    readings = Readings(idle=reading(0), settled=settled or reading(200), final=final)
    return judge(readings, ended, problems, Bounds())


def test_nothing_left_is_no_leak() -> None:
    assert verdict(reading(1200)) == []


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        (
            {"ours": {"transceiver.session.Session": 5}},
            "transceiver: 5 transceiver.session.Session more than in an idle process",
        ),
        ({"ours": {"sctp.packet.Packet": 5}}, "transceiver: 5 sctp.packet.Packet more than in an idle process"),
        ({"others": {"builtins.dict": 1401}}, "transceiver: 401 builtins.dict more after 1000 calls, 0.40 a call"),
        ({"tasks": 15}, "transceiver: 15 tasks, and 10 in an idle process"),
        ({"descriptors": 17}, "transceiver: 17 file descriptors, and 12 in an idle process"),
        ({"blocks": 302_001}, "transceiver: 2.00 pieces of memory are left by a call; 0.5 may be"),
        (
            {"resident": (70 << 20) + 2_100_000},
            "transceiver: resident memory grew by 2100 bytes a call; 512 may be",
        ),
        ({"gauge": 2.0}, "transceiver_calls is 2 though nobody calls; before the first call it was 1"),
        ({"counts": {**COUNTS, "internal-error": 1}}, "transceiver: 1 internal errors; its log has them"),
        (
            {"counts": {**COUNTS, "ended-consent-expired": 20}},
            "transceiver: 300 calls ended as ended-consent-expired or ended-never-connected, and 190 were noticed",
        ),
        (
            {"counts": {**COUNTS, "ended-max-call": 98}},
            "transceiver: 100 calls ended as ended-max-call, and 98 were noticed",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_culprit_is_named(changes: dict[str, object], culprit: str) -> None:
    found = verdict(reading(1200, **changes))
    assert found[0] == culprit
    assert len(found) == (len(GAUGES) if "gauge" in changes else 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"ours": {"transceiver.session.Session": 4}},
        {"others": {"builtins.dict": 1400}},
        {"tasks": 14},
        {"descriptors": 16},
        {"blocks": 302_000},
        {"resident": 72 << 20},
        {"counts": {**COUNTS, "ended-max-call": 99}},
    ],
    ids=str,
)
def test_what_is_within_bounds_is_no_leak(changes: dict[str, object]) -> None:
    assert verdict(reading(1200, **changes)) == []


def test_objects_are_compared_with_the_idle_process_and_memory_with_the_settled_one() -> None:
    """What leaked before memory had settled is a leak; memory that came then and stayed is not."""
    ours = {"transceiver.session.Session": 90}
    assert len(verdict(reading(1200, ours=ours), reading(200, ours=ours))) == 1
    more = {"resident": 90 << 20, "blocks": 400_000, "others": {"builtins.dict": 3000}}
    assert verdict(reading(1200, **more), reading(200, **more)) == []


def test_calls_that_fail_too_often_are_named() -> None:
    assert verdict(reading(1200), **{"DELETE: no session.updated came": 12}) == []
    assert verdict(reading(1200), **{"DELETE: no session.updated came": 13}) == [
        "13 calls did not go as planned, most often: DELETE: no session.updated came (13)"
    ]


def test_memory_is_bounded_by_the_call_when_there_were_many() -> None:
    found = verdict(reading(7200, resident=(70 << 20) + 513 * 7000, blocks=300_000 + 3600))
    assert found == [
        "transceiver: 0.51 pieces of memory are left by a call; 0.5 may be",
        "transceiver: resident memory grew by 513 bytes a call; 512 may be",
    ]
    assert verdict(reading(7200, resident=(70 << 20) + 512 * 7000, blocks=300_000 + 3500)) == []


def test_a_dozen_classes_are_enough_to_see_what_stays() -> None:
    found = verdict(reading(1200, ours={f"sctp.part.Part{number}": 40 - number for number in range(20)}))
    assert len(found) == 13
    assert found[0] == "transceiver: 40 sctp.part.Part0 more than in an idle process"
    assert found[-1] == "transceiver: and so for 8 further classes, which they have brought along"


def test_growth_is_told_by_the_call() -> None:
    readings = Readings(idle=reading(0), settled=reading(200), final=reading(1200, resident=(70 << 20) - 100_000))
    assert bytes_per_call(readings) == {"signal": 0, "relay": 0, "transceiver": -100}


def test_a_census_survives_its_file() -> None:
    assert Census.from_json(census().to_json()) == census()


async def test_a_census_tells_ours_from_others() -> None:
    @attrs.define
    class Other:
        pass

    before = Census.take(collects=True)
    kept = [reading(number) for number in range(3)], [Other() for _ in range(7)]
    after = Census.take(collects=True)
    name = f"{Other.__module__}.{Other.__qualname__}"
    assert (before.others.get(name, 0), after.others[name]) == (0, 7)
    assert before.ours.keys() >= after.ours.keys(), "the bench is not what is watched"
    assert after.blocks > before.blocks
    assert after.tasks >= 1
    assert after.descriptors >= 3
    assert after.resident > 1 << 20
    assert len(kept) == 2


def test_metrics_are_named_by_their_labels() -> None:
    text = (
        "# TYPE trio_voice_relay_flows gauge\ntrio_voice_relay_flows 3.0\n"
        '# TYPE trio_voice_relay_drops counter\ntrio_voice_relay_drops_total{reason="no-flow"} 7.0\n'
        "# TYPE process_open_fds gauge\nprocess_open_fds 9.0\n"
    )
    assert parse_metrics(text) == {"relay_flows": 3.0, "relay_drops_total no-flow": 7.0}


def test_words() -> None:
    readings = Readings(idle=reading(0), settled=reading(200), final=reading(1200, tasks=11))
    tally = Tally()
    tally.ended.update(ENDED)
    tally.problems["socket: sideband: refused"] += 2
    assert describe_progress(readings.final, tally).startswith("1200 calls, 2 not as planned; 1 going on, 1 flows;")
    text = describe_result(readings, tally)
    assert "1200 calls went as planned" in text
    assert "2 NOT AS PLANNED: socket: sideband: refused" in text
    assert "10 / 10 / 11 tasks" in text


async def test_bounded_caches_do_not_count_and_unbounded_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("relay.of_this_test")
    module.bounded, module.unbounded = functools.lru_cache(4)(lambda n: [n]), functools.lru_cache(None)(lambda n: [n])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.bounded(1)
    module.unbounded(1)
    Census.take(collects=False)
    assert module.bounded.cache_info().currsize == 1
    gc.freeze()  # as servers do
    try:
        Census.take(collects=True)
    finally:
        gc.unfreeze()
    assert (module.bounded.cache_info().currsize, module.unbounded.cache_info().currsize) == (0, 1)
