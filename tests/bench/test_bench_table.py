"""The bench's own arithmetic: verdicts, loads, shares."""

import json
import os
import time
from pathlib import Path

import pytest

from bench.processes import cpu_of, memory_of
from bench.stretch import Stretch
from bench.table import Row, render, save


@pytest.mark.parametrize(
    ("ratio", "must", "want", "verdict"),
    [
        (0.19, 0.2, 0.1, "met"),
        (0.1, 0.2, 0.1, "as wanted"),
        (0.2001, 0.2, 0.1, "MISSED"),
        (0.1, 0.2, None, "met"),
        (0.1, None, None, "-"),
        (None, None, None, "-"),
    ],
)
def test_a_verdict_follows_from_the_ratio(
    ratio: float | None, must: float | None, want: float | None, verdict: str
) -> None:
    assert Row(what="x", ours="1", ratio=ratio, must=must, want=want).verdict == verdict


def test_a_small_ratio_is_shown_as_a_part() -> None:
    row = Row(what="x", ours="1 ms", peer="30 ms", ratio=1 / 30, must=1 / 5, want=None)
    assert row.cells() == ("x", "1 ms", "30 ms", "1/30.0", "1/5.0", "-", "met")


def test_columns_line_up_and_notes_follow() -> None:
    rows = [Row(what="short", ours="1"), Row(what="a longer name", ours="2", ratio=1.5, must=3, notes=("because",))]
    lines = render(rows).splitlines()
    assert lines[2].index("1") == lines[3].index("2") == lines[0].index("ours")
    assert lines[-2:] == ["a longer name:", "  because"]


def test_results_are_saved_with_the_machine(tmp_path: Path) -> None:
    path = save([Row(what="x", ours="1", ratio=0.5, must=1, details={"rounds": [1, 2]})], tmp_path / "new", quick=True)
    saved = json.loads(path.read_text())
    assert saved["machine"]["processors"] == os.cpu_count()
    assert saved["quick"] is True
    assert saved["rows"][0]["verdict"] == "met"
    assert saved["rows"][0]["details"] == {"rounds": [1, 2]}


def stretch(**changes: object) -> Stretch:
    facts = {
        "streams": 10,
        "seconds": 4.0,
        "sent": 2000,
        "received": 2000,
        "lost": 0,
        "lateness": 0.001,
        "cpu": {"relay": 0.4, "transceiver": 0.8},
        "own_cpu": 1.0,
        "cores_used": 0.6,
    }
    return Stretch(**{**facts, **changes})  # type: ignore[arg-type]  # named as the fields are


def test_cpu_of_a_stream_counts_the_packets_that_came_back() -> None:
    # Forty seconds of streams, fifty packets each.
    assert stretch().cpu_per_stream() == pytest.approx(1.2 / 40)
    assert stretch().cpu_per_stream("transceiver") == pytest.approx(0.8 / 40)
    assert stretch(received=1000).cpu_per_stream("relay") == pytest.approx(0.4 / 20)


@pytest.mark.parametrize(
    ("changes", "who"),
    [
        ({}, "nobody"),
        ({"cpu": {"relay": 0.4, "transceiver": 3.5}}, "transceiver"),
        ({"own_cpu": 3.6}, "caller"),
        ({"cores_used": float(os.cpu_count() or 1)}, "the machine"),
    ],
)
def test_the_saturated_side_is_named(changes: dict[str, object], who: str) -> None:
    assert stretch(**changes).loads.endswith(f"saturated: {who}")


def test_the_kernel_tells_the_cpu_time_and_memory_of_a_process() -> None:
    before = cpu_of(os.getpid())
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert 0.05 <= cpu_of(os.getpid()) - before < 0.2
    assert memory_of(os.getpid()) > 1 << 20
