"""`.ci/run`: nobody takes a pass for more than it is."""

import subprocess
from pathlib import Path

import pytest

from .fleet_manifests import ROOT


@pytest.fixture
def run(tmp_path: Path):
    """Run the script as a user, with a `make` that only tells what it was asked for."""
    made = tmp_path / "made"

    def as_user(number: int) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        for name, script in (("id", f"echo {number}"), ("make", f'echo "$*" >> {made}')):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run([ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
        return done, made.read_text().splitlines() if made.exists() else []

    return as_user


def test_root_runs_every_check_and_every_test(run) -> None:
    done, made = run(0)
    assert (done.returncode, made) == (0, ["check", "test"]), done.stderr


def test_who_is_not_root_is_told_what_would_be_left_out(run) -> None:
    done, made = run(1000)
    assert (done.returncode, made) == (1, [])
    assert "as root" in done.stderr
    assert "network namespaces" in done.stderr


def test_make_test_says_at_its_end_what_was_left_out() -> None:
    command = ["make", "-n", "-C", ROOT, "test"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in told.splitlines() if line.endswith("-m e2e"))
    assert " -rs " in line
