"""Who gives way to whom while something is measured."""

import os
import subprocess
import sys

import pytest

from bench.processes import giving_way

_CHILD = """
import os
from bench.processes import not_giving_way
print(os.sched_getscheduler(0))
not_giving_way()
print(os.sched_getscheduler(0))
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="coming back from the lowest priority takes a privilege")


@as_root
def test_the_load_runs_at_the_lowest_priority_and_no_longer_than_its_block() -> None:
    before = os.sched_getscheduler(0)
    with giving_way() as gives_way:
        assert gives_way
        assert os.sched_getscheduler(0) == os.SCHED_IDLE
    assert os.sched_getscheduler(0) == before


@as_root
def test_a_program_started_meanwhile_can_measure_time() -> None:
    with giving_way():
        done = subprocess.run([sys.executable, "-c", _CHILD], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(os.SCHED_IDLE), str(os.SCHED_OTHER)]


def test_without_the_privilege_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    before = os.sched_getscheduler(0)
    with giving_way() as gives_way:
        assert not gives_way
        assert os.sched_getscheduler(0) == before
